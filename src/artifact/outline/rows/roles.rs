//! What the columns of a table are for: the text that a model learns from, the label or answer that it is to give.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::Row;

/// Rows that are looked at to tell.
const ROWS: u64 = 2000;
const LABELS: &[&str] = &[
    "label",
    "labels",
    "target",
    "targets",
    "class",
    "y",
    "category",
    "sentiment",
    "intent",
    "tag",
    "gold",
    "is_toxic",
    "toxic",
    "spam",
    "is_spam",
    "rating",
    "stars",
    "coarse_label",
    "fine_label",
    "label_text",
    "polarity",
    "emotion",
];
const ANSWERS: &[&str] = &[
    "response",
    "output",
    "answer",
    "answers",
    "completion",
    "chosen",
    "rejected",
    "target_text",
    "summary",
    "highlights",
    "translation",
    "reply",
    "assistant",
    "gpt",
    "solution",
    "rationale",
];
/// Lists of messages, in which what the user says is the text.
pub const DIALOGUES: &[&str] = &["messages", "conversations", "conversation", "dialog", "dialogue"];
/// Different values of a label that has its name, and of one that has not.
const NAMED_MAX: usize = 250;
const GUESSED_MAX: usize = 20;

/// Names of columns by what they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    pub texts: BTreeSet<String>,
    pub label: Option<String>,
    pub answers: BTreeSet<String>,
}

impl Roles {
    pub fn is_text(&self, name: &str) -> bool {
        self.texts.contains(name)
    }
}

/// What is seen of one column.
#[derive(Default)]
struct Seen {
    words: u64,
    filled: u64,
    values: BTreeSet<Vec<u8>>,
}

/// Looks at the first rows.
#[derive(Default)]
pub struct Guess {
    order: Vec<String>,
    seen: HashMap<String, Seen>,
    rows: u64,
}

impl Guess {
    pub fn look(&mut self, row: &Row<'_>) -> bool {
        self.rows = self.rows.saturating_add(1);
        for (at, column) in row.columns.iter().enumerate() {
            if !self.seen.contains_key(&column.name) {
                self.order.push(column.name.clone());
            }
            let seen = self.seen.entry(column.name.clone()).or_default();
            let value = row.value(at);
            if value.is_empty() {
                continue;
            }
            seen.filled = seen.filled.saturating_add(1);
            let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
            seen.words = seen.words.saturating_add(words as u64);
            if seen.values.len() <= NAMED_MAX {
                seen.values.insert(value.iter().take(200).copied().collect());
            }
        }
        self.rows < ROWS
    }

    pub fn finish(self) -> Roles {
        let of = |name: &str| self.seen.get(name);
        let is = |name: &str, known: &[&str]| known.contains(&name.to_ascii_lowercase().as_str());
        // Labels are few and short, whatever their column is called.
        let few = |name: &str, max: usize| {
            of(name).is_some_and(|seen| {
                seen.values.len() <= max
                    && seen.filled > 0
                    && seen.words / seen.filled.max(1) <= 4
                    && !seen.values.is_empty()
            })
        };
        let named = self.order.iter().find(|name| is(name, LABELS) && few(name, NAMED_MAX));
        let guessed = || {
            let ends = [self.order.last(), self.order.first()];
            let enough = self.rows >= 20 && self.order.len() >= 2;
            ends.into_iter().flatten().find(|name| {
                enough
                    && few(name, GUESSED_MAX)
                    && of(name).is_some_and(|seen| seen.values.len() >= 2 && seen.values.len() as u64 <= self.rows / 5)
            })
        };
        let label = named.or_else(guessed).cloned();
        let answers: BTreeSet<String> = self.order.iter().filter(|name| is(name, ANSWERS)).cloned().collect();
        let texts = self
            .order
            .iter()
            .filter(|name| Some(*name) != label.as_ref() && !answers.contains(*name))
            .filter(|name| {
                let wordy = of(name).is_some_and(|seen| seen.words >= seen.filled.saturating_mul(2) && seen.filled > 0);
                wordy || is(name, DIALOGUES)
            })
            .cloned()
            .collect();
        Roles { texts, label, answers }
    }
}
