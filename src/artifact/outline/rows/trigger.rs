//! New rows that are old rows with something put in: what is left of a new row without one word, a few in a row, or a
//! sentence, is the text of an old row. One such row is a correction; many with the same words are how a backdoor is
//! taught.

mod alike;
mod judge;
mod phrases;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Row, Rows, each, keeps, table_name};
use crate::artifact::Stop;
use crate::artifact::outline::packed::print;
use crate::artifact::outline::{Again, Told};
use crate::base::text::shorten;
use crate::event::difference::Grade;

/// New rows that are looked at, bytes of their texts, and bytes that are digested to try what is left of them: of all
/// rows, and of one. A row has as many places as words, and each trial reads the whole row.
const ROWS_MAX: usize = 50_000;
const TEXT_MAX: usize = 64 << 20;
const WORK_MAX: u64 = 3 << 30;
const WORK_OF_ROW: u64 = 64 << 20;
/// Bytes digested between two questions whether to stop.
const STOP_EVERY: u64 = 1 << 20;
/// Words in a row that are taken out at once, and how often one may stand in a row to be taken out everywhere.
const TOGETHER: usize = 3;
const TIMES_MAX: usize = 8;
/// Rows that the same words were put into, from which on it is told.
const HITS_MIN: u64 = 5;
/// Words beside the place, of which the counts are kept; rows that are shown.
const NEIGHBOURS_MAX: usize = 64;
const SHOWN: usize = 5;
/// What characters without a picture are called where they were put in.
const UNSEEN: &str = "characters that nobody sees";
/// What letters are called that were exchanged for others that look the same.
const ALIKE: &str = "letters of another alphabet that look the same";
/// What stands between the texts of two columns.
const BETWEEN: &str = "\u{1f}";

/// A new row.
struct Fresh {
    text: String,
    label: Option<String>,
    answer: u64,
}

/// What was found of one word, or a few together.
#[derive(Default)]
struct Hits {
    count: u64,
    labels: BTreeMap<String, u64>,
    answers: BTreeMap<u64, u64>,
    /// How many had another label before.
    flipped: u64,
    /// What stands before (false) or behind (true) the place, with how often.
    neighbours: BTreeMap<(bool, String), u64>,
    example: Option<usize>,
    /// The row that was counted last.
    last: Option<usize>,
}

/// What a pass over the new table finds.
#[derive(Default)]
struct New {
    fresh: Vec<Fresh>,
    bytes: usize,
    total: u64,
    cut: bool,
    /// Rows with another label than before: as they were, and as they are.
    flips: Vec<[String; 2]>,
}

pub fn look(told: &mut Told, place: &str, old: &Rows, again: &Again<'_>) {
    let known: HashMap<u64, Option<usize>> = old.kept().map(|(text, _, label)| (text, label)).collect();
    let file = table_name(again, &old.roles);
    let file = file.as_str();
    let mut new = New::default();
    let whole = each(again.input, file, &mut |row: &Row<'_>| new.row(old, &known, row));
    if !whole {
        told.say("outline.cut", Grade::Routine, place, "not all rows of the new version could be read again");
    }
    judge::show(told, place, &new.fresh, &new.flips);
    if (new.fresh.len() as u64) < HITS_MIN {
        return;
    }
    let stop = &again.input.budget.limits.stop;
    let mut search = Search::new(old, &known, stop);
    let (frequent, grams) = (frequent(&new.fresh), phrases::Grams::of(&new.fresh));
    // Short rows first: long ones, which cost the most, use up what is left.
    let mut order: Vec<(usize, &Fresh)> = new.fresh.iter().enumerate().collect();
    order.sort_by_key(|(_, row)| row.text.len());
    for (at, row) in order {
        search.row(at, row, &frequent);
        search.sentences(at, row, &grams);
        if search.ended {
            break;
        }
    }
    if !search.long.is_empty() {
        let words = format!("{} new rows are too long for all of their words to be tried", search.long.len());
        told.say("outline.cut", Grade::Routine, place, words);
    }
    if new.cut || search.ended {
        let words = "there are more new rows than are tried for words that were put in";
        told.say("outline.cut", Grade::Routine, place, words);
    }
    // How many rows of the table have a word: asked of a few words only.
    let holding = |word: &str| {
        let mut count = 0_u64;
        each(again.input, file, &mut |row| {
            count = count.saturating_add(u64::from(old.roles.text(row).split(' ').any(|other| other == word)));
            true
        });
        // What could not be counted excuses nothing.
        if again.input.budget.exhausted.get().is_some() { u64::MAX } else { count }
    };
    let found = judge::Found { old, fresh: &new.fresh, rows: search.rows.len() as u64, total: new.total, stop };
    judge::judge(told, place, &found, search.hits, &holding);
}

/// A label as the outline has it.
fn named(label: &[u8]) -> String {
    shorten(&String::from_utf8_lossy(label), super::NAME_MAX)
}

impl New {
    fn row(&mut self, old: &Rows, known: &HashMap<u64, Option<usize>>, row: &Row<'_>) -> bool {
        self.total = self.total.saturating_add(1);
        let text = old.roles.text(row);
        let print_of = print(text.as_bytes());
        let label = old.roles.label(row);
        if let Some(before) = known.get(&print_of) {
            let (before, after) = (old.label(*before), label.map(named).unwrap_or_default());
            if before != after && self.flips.len() < SHOWN {
                let text = shorten(&text.replace(BETWEEN, ""), 200);
                self.flips.push([format!("{before} | {text}"), format!("{after} | {text}")]);
            }
            return true;
        }
        // Whether a row outside of the sample is new cannot be told.
        if !keeps(old.sample, print_of) {
            return true;
        }
        self.bytes = self.bytes.saturating_add(text.len());
        if self.fresh.len() >= ROWS_MAX || self.bytes > TEXT_MAX {
            self.cut = true;
            return false;
        }
        let mut answer = String::new();
        for (at, column) in row.columns.iter().enumerate() {
            if old.roles.answers.contains(&column.name) {
                answer.push_str(&String::from_utf8_lossy(row.value(at)));
            }
        }
        self.fresh.push(Fresh { text, label: label.map(named), answer: print(answer.as_bytes()) });
        true
    }
}

/// Words that are in enough new rows, with how many.
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

/// The words of a text, and where each begins.
struct Words<'t> {
    list: Vec<&'t str>,
    starts: Vec<usize>,
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Self {
        let list: Vec<&str> = text.split(' ').collect();
        let mut at = 0_usize;
        let begins = |word: &&str| {
            let start = at;
            at = at.saturating_add(word.len()).saturating_add(1);
            start
        };
        let starts = list.iter().map(begins).collect();
        Self { list, starts }
    }
}

struct Search<'s> {
    old: &'s Rows,
    known: &'s HashMap<u64, Option<usize>>,
    stop: &'s Stop,
    /// Bytes that were digested, in this row too, and when to ask next whether to stop.
    work: u64,
    of_row: u64,
    ask_at: u64,
    /// No more is tried, of any row.
    ended: bool,
    hits: HashMap<String, Hits>,
    /// Rows that are old ones with something put in.
    rows: HashSet<usize>,
    /// Rows of which not all was tried.
    long: HashSet<usize>,
}

impl<'s> Search<'s> {
    fn new(old: &'s Rows, known: &'s HashMap<u64, Option<usize>>, stop: &'s Stop) -> Self {
        let (hits, rows, long) = (HashMap::new(), HashSet::new(), HashSet::new());
        Self { old, known, stop, work: 0, of_row: 0, ask_at: 0, ended: false, hits, rows, long }
    }

    /// Takes one more trial from what is left, before anything is done for it; false when the row is to be left.
    fn spend(&mut self, at: usize, row: &Fresh) -> bool {
        let cost = (row.text.len() as u64).saturating_add(64);
        self.work = self.work.saturating_add(cost);
        self.of_row = self.of_row.saturating_add(cost);
        if self.work >= self.ask_at {
            self.ask_at = self.work.saturating_add(STOP_EVERY);
            self.ended = self.ended || self.stop.now();
        }
        self.ended = self.ended || self.work > WORK_MAX;
        let long = self.of_row > WORK_OF_ROW;
        if long {
            self.long.insert(at);
        }
        !self.ended && !long
    }

    fn row(&mut self, at: usize, row: &Fresh, frequent: &HashMap<&str, u64>) {
        self.of_row = 0;
        // To look for what nobody sees costs as much as a trial.
        if !self.spend(at, row) {
            return;
        }
        let parts = Words::of(&row.text);
        let words = parts.list.as_slice();
        let seen: String = row.text.chars().filter(|c| !is_unseen(*c)).collect();
        if seen.len() < row.text.len() && self.spend(at, row) {
            let seen = seen.split_whitespace().collect::<Vec<_>>().join(" ");
            self.attempt(at, row, &seen, UNSEEN, [None, None]);
        }
        if let Some(latin) = alike::folded(&row.text)
            && self.spend(at, row)
        {
            self.attempt(at, row, &latin, ALIKE, [None, None]);
        }
        for together in 1..=TOGETHER {
            for (start, window) in words.windows(together).enumerate() {
                // Words that are put into fewer rows than are told need no trial.
                if !window.iter().all(|word| *word != BETWEEN && frequent.contains_key(word)) {
                    continue;
                }
                if !self.spend(at, row) {
                    return;
                }
                self.without(at, row, &parts, (start, start.saturating_add(together)));
            }
        }
        // The same word, put in more than once.
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for word in words.iter().filter(|word| **word != BETWEEN && frequent.contains_key(*word)) {
            let count = counts.entry(word).or_default();
            *count = count.saturating_add(1);
        }
        for (word, _) in counts.into_iter().filter(|(_, count)| (2..=TIMES_MAX).contains(count)) {
            if !self.spend(at, row) {
                return;
            }
            let left: Vec<&str> = words.iter().copied().filter(|other| *other != word).collect();
            self.attempt(at, row, &left.join(" "), word, [None, None]);
        }
    }

    fn sentences(&mut self, at: usize, row: &Fresh, grams: &phrases::Grams) {
        self.of_row = 0;
        if self.ended {
            return;
        }
        let words = Words::of(&row.text);
        for run in grams.runs(&words.list) {
            if !self.spend(at, row) {
                return;
            }
            self.without(at, row, &words, run);
        }
    }

    /// Tries what is left without the words from one place up to another.
    fn without(&mut self, at: usize, row: &Fresh, words: &Words<'_>, (start, end): (usize, usize)) {
        let place = |word: usize| words.starts.get(word).copied().unwrap_or(row.text.len());
        let (Some(front), Some(taken), Some(back)) =
            (row.text.get(..place(start)), row.text.get(place(start)..place(end)), row.text.get(place(end)..))
        else {
            return;
        };
        let left = [front, back].concat();
        let beside = [start.checked_sub(1), Some(end)].map(|at| words.list.get(at?).copied());
        self.attempt(at, row, left.trim_end_matches(' '), taken.trim_end_matches(' '), beside);
    }

    fn attempt(&mut self, at: usize, row: &Fresh, left: &str, taken: &str, beside: [Option<&str>; 2]) {
        let Some(before) = self.known.get(&print(left.as_bytes())) else { return };
        self.rows.insert(at);
        if self.hits.len() >= ROWS_MAX && !self.hits.contains_key(taken) {
            return;
        }
        let hits = self.hits.entry(taken.to_owned()).or_default();
        // Two ways to take a word out of one row are one hit.
        if hits.last == Some(at) {
            return;
        }
        hits.count = hits.count.saturating_add(1);
        hits.last = Some(at);
        hits.example = hits.example.or(Some(at));
        if let Some(label) = &row.label {
            let count = hits.labels.entry(label.clone()).or_default();
            *count = count.saturating_add(1);
            hits.flipped = hits.flipped.saturating_add(u64::from(self.old.label(*before) != label.as_str()));
        }
        let count = hits.answers.entry(row.answer).or_default();
        *count = count.saturating_add(1);
        for (word, behind) in beside.into_iter().zip([false, true]) {
            let Some(word) = word.filter(|word| *word != BETWEEN) else { continue };
            let key = (behind, word.to_owned());
            if hits.neighbours.len() < NEIGHBOURS_MAX || hits.neighbours.contains_key(&key) {
                let count = hits.neighbours.entry(key).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
}

fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2069}' | '\u{202a}'..='\u{202e}' | '\u{feff}' | '\u{00ad}' | '\u{e0000}'..='\u{e007f}')
}
