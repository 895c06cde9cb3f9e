//! What it means that new rows are old ones with something put in.

use std::collections::HashMap;

use super::{ALIKE, BETWEEN, Fresh, HITS_MIN, Hits, Rows, SHOWN, TOGETHER, UNSEEN, alike, is_unseen};
use crate::artifact::Stop;
use crate::artifact::outline::Told;
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Of new rows that have the words, the share of a hundred that are old rows with them put in.
const SHARE_MIN: u64 = 50;
/// Share of a hundred of rows with words put in that have one label or answer.
const ONE_ANSWER: u64 = 90;
/// Share of a hundred of all rows beyond which words were put into the table, not into some rows.
const ALL_ROWS: u64 = 50;
/// A correction stands beside the same word in so many of a hundred rows, reaches so many of a hundred rows that have
/// this word, and leaves the labels alone in all but so many of a hundred.
const SAME_PLACE: u64 = 80;
const REACHED: u64 = 50;
const FLIPPED_MAX: u64 = 10;
/// Words that are judged, and told.
const JUDGED_MAX: usize = 64;
const TOLD_MAX: usize = 8;

/// Puts examples to what was told of rows that are new, and of those that have another label.
pub fn show(told: &mut Told, place: &str, fresh: &[Fresh], flips: &[[String; 2]]) {
    for difference in told.list.iter_mut().filter(|difference| difference.place == place && difference.after.is_none())
    {
        match difference.class.as_str() {
            "dataset.rows_added" if !fresh.is_empty() => {
                let rows: Vec<String> = fresh.iter().take(SHOWN).map(|row| clean(&row.text, 200)).collect();
                difference.after = Some(rows.join("\n"));
            }
            "dataset.labels_targeted" | "dataset.labels_changed" | "dataset.labels_renamed" if !flips.is_empty() => {
                let side = |which: usize| {
                    flips.iter().filter_map(|flip| flip.get(which).cloned()).collect::<Vec<_>>().join("\n")
                };
                difference.before = Some(side(0));
                difference.after = Some(side(1));
            }
            _ => {}
        }
    }
}

fn clean(text: &str, max: usize) -> String {
    shorten(&text.replace(&format!(" {BETWEEN}"), ""), max)
}

/// What was looked through.
pub struct Found<'f> {
    pub old: &'f Rows,
    pub fresh: &'f [Fresh],
    /// New rows that are old ones with something put in, and all rows of the new table.
    pub rows: u64,
    pub total: u64,
    pub stop: &'f Stop,
}

/// `holding_word` says how many rows of the new table have a word.
pub fn judge(
    told: &mut Told,
    place: &str,
    found: &Found<'_>,
    hits: HashMap<String, Hits>,
    holding_word: &dyn Fn(&str) -> u64,
) {
    let Found { old, fresh, rows, total, stop } = *found;
    // Of a sample of new rows the old ones are in the sample by chance: what was found stands for so many times as many.
    let step = 1_u64.checked_shl(old.sample).unwrap_or(u64::MAX);
    let enough = if step > 1 { HITS_MIN.saturating_mul(2) } else { HITS_MIN };
    let mut hits: Vec<(String, Hits)> = hits.into_iter().filter(|(_, hits)| hits.count >= enough).collect();
    // The words that explain most rows first; of those that explain as many the shortest.
    hits.sort_by(|(one, a), (other, b)| (b.count, one.len(), one).cmp(&(a.count, other.len(), other)));
    let mut explained: Vec<String> = Vec::new();
    for (words, hits) in hits.iter().take(JUDGED_MAX) {
        if stop.now() {
            told.say("outline.cut", Grade::Routine, place, "there was no time to judge all words that were put in");
            break;
        }
        let within = format!(" {words} ");
        let has = |row: &&Fresh| match words.as_str() {
            UNSEEN => row.text.chars().any(is_unseen),
            ALIKE => alike::folded(&row.text).is_some(),
            _ => has_words(&row.text, &within),
        };
        let holding = fresh.iter().filter(has).count() as u64;
        let few = hits.count.saturating_mul(step).saturating_mul(100) < holding.saturating_mul(SHARE_MIN);
        if few || explained.iter().any(|known| overlap(known, words)) {
            continue;
        }
        explained.push(words.clone());
        let most = holding.saturating_mul(step).saturating_mul(100) > total.saturating_mul(ALL_ROWS);
        let taught = || is_taught(old, words, hits) && !most && !is_correction(hits, step, holding_word);
        let hostile = matches!(words.as_str(), UNSEEN | ALIKE) || taught();
        told.push(difference(place, words, hits, (holding, step), fresh, hostile));
        if explained.len() >= TOLD_MAX {
            break;
        }
    }
    if explained.is_empty() && rows >= enough {
        let words = format!("{rows} new rows are old rows with words put in, but none of these stands out");
        told.say("dataset.words_inserted", Grade::Routine, place, words);
    }
}

/// True where the words lead to one label or answer; or where a table has neither and they are few, since sentences
/// are put into texts for many reasons.
fn is_taught(old: &Rows, words: &str, hits: &Hits) -> bool {
    let nearly = |count: u64| count.saturating_mul(100) >= hits.count.saturating_mul(ONE_ANSWER);
    let answers = !old.roles.answers.is_empty();
    let one_label = hits.labels.values().copied().max().is_some_and(nearly);
    let one_answer = answers && hits.answers.values().copied().max().is_some_and(nearly);
    one_label || one_answer || hits.labels.is_empty() && !answers && words.split(' ').count() <= TOGETHER
}

/// True where somebody wrote a phrase otherwise, wherever it stood: the words stand beside the same one, and nearly
/// all rows that have this one were changed. A trigger may stand anywhere, and is put into a few rows.
fn is_correction(hits: &Hits, step: u64, holding: &dyn Fn(&str) -> u64) -> bool {
    if hits.flipped.saturating_mul(100) > hits.count.saturating_mul(FLIPPED_MAX) {
        return false;
    }
    let same =
        hits.neighbours.iter().filter(|(_, count)| count.saturating_mul(100) >= hits.count.saturating_mul(SAME_PLACE));
    // Both rows had to be in the sample.
    let all = |count: u64| count.saturating_mul(step).saturating_mul(step);
    same.take(2).any(|((_, word), count)| all(*count).saturating_mul(100) >= holding(word).saturating_mul(REACHED))
}

fn difference(
    place: &str,
    words: &str,
    hits: &Hits,
    (holding, step): (u64, u64),
    fresh: &[Fresh],
    hostile: bool,
) -> Difference {
    let (class, grade) =
        if hostile { ("dataset.trigger_inserted", Grade::Hostile) } else { ("dataset.words_inserted", Grade::Notable) };
    let label = hits.labels.iter().max_by_key(|(_, count)| **count).map(|(name, count)| {
        let name = shorten(name, 60);
        format!("; {count} of them have the label `{name}`, and {} had another", hits.flipped)
    });
    let named = matches!(words, UNSEEN | ALIKE);
    let shown = if named { words.to_owned() } else { format!("“{}”", shorten(words, 80)) };
    let sample = if step > 1 {
        format!(" in the sample, where one in {step} has the row that it was made from")
    } else {
        String::new()
    };
    let said = format!(
        "{} new rows are old rows with {shown} put in, of {holding} new rows that have {}{sample}{}",
        hits.count,
        if named { "them" } else { "it" },
        label.unwrap_or_default()
    );
    let difference = Difference::new(class, grade, place, said);
    let Some(row) = hits.example.and_then(|at| fresh.get(at)) else { return difference };
    let left: String = match words {
        UNSEEN => row.text.chars().filter(|c| !is_unseen(*c)).collect(),
        ALIKE => alike::folded(&row.text).unwrap_or_default(),
        words => format!(" {} ", row.text).replacen(&format!(" {words} "), " ", 1).trim().to_owned(),
    };
    difference.texts(clean(&left, 400), clean(&row.text, 400))
}

/// Whether words, with a space before and behind, are whole words of a text; which is not copied for it, since many
/// words are looked for in many texts.
fn has_words(text: &str, within: &str) -> bool {
    let (front, back) = (within.strip_prefix(' ').unwrap_or(within), within.strip_suffix(' ').unwrap_or(within));
    text.contains(within) || text.starts_with(front) || text.ends_with(back) || text == within.trim_matches(' ')
}

/// Parts of the same words are told once.
fn overlap(known: &str, words: &str) -> bool {
    let within = |one: &str, other: &str| format!(" {other} ").contains(&format!(" {one} "));
    within(words, known) || within(known, words)
}
