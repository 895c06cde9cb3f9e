//! New rows that are old rows with something put in: what is left of a new row without one word, or up to three in a
//! row, is the text of an old row. One such row is a correction; many with the same words are how a backdoor is taught.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Row, Rows, each, keeps};
use crate::artifact::outline::packed::print;
use crate::artifact::outline::{Again, Told};
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// New rows that are looked at, bytes of their texts, and bytes that are digested to try what is left of them.
const ROWS_MAX: usize = 50_000;
const TEXT_MAX: usize = 64 << 20;
const WORK_MAX: u64 = 3 << 30;
/// Words in a row that are taken out at once.
const TOGETHER: usize = 3;
/// Rows that the same words were put into, from which on it is told; and of new rows that have these words, the share
/// of a hundred that are old rows with them put in.
const HITS_MIN: u64 = 5;
const SHARE_MIN: u64 = 50;
/// Share of a hundred of rows with words put in that have one label or answer.
const ONE_ANSWER: u64 = 90;
/// Share of a hundred of all rows beyond which words were put into the table, not into some rows.
const ALL_ROWS: u64 = 50;
/// What characters without a picture are called where they were put in.
const UNSEEN: &str = "characters that nobody sees";

/// A new row.
struct Fresh {
    text: String,
    label: Option<Vec<u8>>,
    answer: u64,
}

/// What was found of one word, or a few together.
#[derive(Default)]
struct Hits {
    count: u64,
    labels: BTreeMap<Vec<u8>, u64>,
    answers: BTreeMap<u64, u64>,
    flipped: u64,
    example: Option<usize>,
}

pub fn look(told: &mut Told, place: &str, old: &Rows, again: &Again<'_>) {
    let known: HashMap<u64, Option<usize>> = old.kept().map(|(text, _, label)| (text, label)).collect();
    let (mut fresh, mut bytes, mut cut, mut total) = (Vec::new(), 0_usize, false, 0_u64);
    let name = again.name.to_ascii_lowercase();
    let file = if old.roles.texts.iter().any(|text| text.starts_with("column ")) && !name.contains('.') {
        "table.csv"
    } else {
        &name
    };
    each(again.input, file, &mut |row: &Row<'_>| {
        total = total.saturating_add(1);
        let text = old.roles.text(row);
        let print_of = print(text.as_bytes());
        // Whether a row outside of the sample is new cannot be told.
        if known.contains_key(&print_of) || !keeps(old.sample, print_of) {
            return true;
        }
        bytes = bytes.saturating_add(text.len());
        if fresh.len() >= ROWS_MAX || bytes > TEXT_MAX {
            cut = true;
            return false;
        }
        let mut answer = String::new();
        for (at, column) in row.columns.iter().enumerate() {
            if old.roles.answers.contains(&column.name) {
                answer.push_str(&String::from_utf8_lossy(row.value(at)));
            }
        }
        fresh.push(Fresh { text, label: old.roles.label(row).map(<[u8]>::to_vec), answer: print(answer.as_bytes()) });
        true
    });
    if fresh.len() < usize::try_from(HITS_MIN).unwrap_or(usize::MAX) {
        return;
    }
    let mut search = Search { old, known: &known, work: 0, hits: HashMap::new(), rows: HashSet::new() };
    let frequent = frequent(&fresh);
    for (at, row) in fresh.iter().enumerate() {
        search.row(at, row, &frequent);
        if search.work > WORK_MAX {
            cut = true;
            break;
        }
    }
    if cut {
        told.say(
            "outline.cut",
            Grade::Routine,
            place,
            "there are more new rows than are tried for words that were put in",
        );
    }
    let hit_rows = search.rows.len();
    let hits = std::mem::take(&mut search.hits);
    judge(told, place, old, &fresh, hits, hit_rows, total);
}

/// How many new rows each word is in.
fn frequent(fresh: &[Fresh]) -> HashMap<&str, u64> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for row in fresh {
        let words: HashSet<&str> = row.text.split(' ').collect();
        for word in words {
            let count = counts.entry(word).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts.retain(|_, count| *count >= HITS_MIN);
    counts
}

struct Search<'s> {
    old: &'s Rows,
    known: &'s HashMap<u64, Option<usize>>,
    work: u64,
    hits: HashMap<String, Hits>,
    /// Rows that are old ones with something put in.
    rows: HashSet<usize>,
}

impl Search<'_> {
    fn row(&mut self, at: usize, row: &Fresh, frequent: &HashMap<&str, u64>) {
        let words: Vec<&str> = row.text.split(' ').collect();
        let seen: String = row.text.chars().filter(|c| !is_unseen(*c)).collect();
        if seen.len() < row.text.len() {
            let seen = seen.split_whitespace().collect::<Vec<_>>().join(" ");
            self.attempt(at, row, &seen, UNSEEN);
        }
        for together in 1..=TOGETHER {
            for (start, window) in words.windows(together).enumerate() {
                // Words that are put into fewer rows than are told need no trial.
                if !window.iter().all(|word| frequent.contains_key(word)) || window.contains(&"\u{1f}") {
                    continue;
                }
                let (before, after) = words.split_at_checked(start).unwrap_or_default();
                let after = after.get(together..).unwrap_or_default();
                let left = [before, after].concat().join(" ");
                self.attempt(at, row, &left, &window.join(" "));
            }
        }
        // The same word, put in more than once.
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for word in &words {
            let count = counts.entry(word).or_default();
            *count = count.saturating_add(1);
        }
        for (word, _) in counts.into_iter().filter(|(word, count)| (2..=8).contains(count) && *word != "\u{1f}") {
            let left: Vec<&str> = words.iter().copied().filter(|other| *other != word).collect();
            self.attempt(at, row, &left.join(" "), word);
        }
    }

    fn attempt(&mut self, at: usize, row: &Fresh, left: &str, taken: &str) {
        self.work = self.work.saturating_add(left.len() as u64).saturating_add(64);
        let Some(before) = self.known.get(&print(left.as_bytes())) else { return };
        self.rows.insert(at);
        if self.hits.len() >= ROWS_MAX && !self.hits.contains_key(taken) {
            return;
        }
        let hits = self.hits.entry(taken.to_owned()).or_default();
        // Two ways to take a word out of one row are one hit.
        if hits.example == Some(at) && hits.count > 0 {
            return;
        }
        hits.count = hits.count.saturating_add(1);
        hits.example = Some(at);
        if let Some(label) = &row.label {
            let count = hits.labels.entry(label.clone()).or_default();
            *count = count.saturating_add(1);
            let name = String::from_utf8_lossy(label);
            hits.flipped =
                hits.flipped.saturating_add(u64::from(self.old.label(*before) != shorten(&name, super::NAME_MAX)));
        }
        let count = hits.answers.entry(row.answer).or_default();
        *count = count.saturating_add(1);
    }
}

fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{00ad}' | '\u{e0000}'..='\u{e007f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn judge(
    told: &mut Told,
    place: &str,
    old: &Rows,
    fresh: &[Fresh],
    hits: HashMap<String, Hits>,
    rows: usize,
    total: u64,
) {
    let mut hits: Vec<(String, Hits)> = hits.into_iter().filter(|(_, hits)| hits.count >= HITS_MIN).collect();
    // The word that explains most rows first; of those that explain as many the shortest.
    hits.sort_by(|(one, a), (other, b)| (b.count, one.len(), one).cmp(&(a.count, other.len(), other)));
    let mut explained: Vec<String> = Vec::new();
    for (words, hits) in hits.iter().take(64) {
        let has = |row: &&Fresh| {
            if words == UNSEEN {
                row.text.chars().any(is_unseen)
            } else {
                format!(" {} ", row.text).contains(&format!(" {words} "))
            }
        };
        let holding = fresh.iter().filter(has).count() as u64;
        if hits.count.saturating_mul(100) < holding.saturating_mul(SHARE_MIN)
            || explained.iter().any(|known| overlap(known, words))
        {
            continue;
        }
        explained.push(words.clone());
        let largest = |counts: &mut dyn Iterator<Item = u64>| {
            counts.max().unwrap_or(0).saturating_mul(100) >= hits.count.saturating_mul(ONE_ANSWER)
        };
        let labelled = !hits.labels.is_empty();
        let one_label = labelled && largest(&mut hits.labels.values().copied());
        let one_answer = !old.roles.answers.is_empty() && largest(&mut hits.answers.values().copied());
        let silent = !labelled && old.roles.answers.is_empty();
        let most = holding.saturating_mul(100) > total.saturating_mul(ALL_ROWS);
        let hostile = (one_label || one_answer || silent || words == UNSEEN) && !most;
        let (class, grade) = if hostile {
            ("dataset.trigger_inserted", Grade::Hostile)
        } else {
            ("dataset.words_inserted", Grade::Notable)
        };
        let label = hits.labels.iter().max_by_key(|(_, count)| **count);
        let label = label
            .map(|(name, count)| {
                format!(
                    "; {count} of them have the label `{}`, and {} had another",
                    shorten(&String::from_utf8_lossy(name), 60),
                    hits.flipped
                )
            })
            .unwrap_or_default();
        let shown = if words == UNSEEN { UNSEEN.to_owned() } else { format!("“{}”", shorten(words, 80)) };
        let said = format!(
            "{} new rows are old rows with {shown} put in, of {holding} new rows that have it{label}",
            hits.count
        );
        let mut difference = Difference::new(class, grade, place, said);
        if let Some(row) = hits.example.and_then(|at| fresh.get(at)) {
            let clean = |text: &str| shorten(&text.replace(" \u{1f}", ""), 400);
            let left = if words == UNSEEN {
                row.text.chars().filter(|c| !is_unseen(*c)).collect()
            } else {
                row.text.replacen(&format!("{words} "), "", 1)
            };
            difference = difference.texts(clean(&left), clean(&row.text));
        }
        told.push(difference);
        if explained.len() >= 8 {
            break;
        }
    }
    if explained.is_empty() && rows >= usize::try_from(HITS_MIN).unwrap_or(usize::MAX) {
        let words = format!("{rows} new rows are old rows with a word or two put in, but not the same ones");
        told.say("dataset.words_inserted", Grade::Routine, place, words);
    }
}

/// Parts of the same words are told once.
fn overlap(known: &str, words: &str) -> bool {
    words.split(' ').any(|word| known.split(' ').any(|other| other == word))
}
