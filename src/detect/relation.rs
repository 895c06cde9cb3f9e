//! How one text stands to another, and the texts of one list to those of another.

use std::collections::HashSet;

use aho_corasick::AhoCorasick;

/// Bytes to compare up to which every pair is tried.
const PAIRS_BYTES: usize = 1 << 16;
/// Bytes of texts that one automaton is made of, which needs some fifty times that.
const AUTOMATON_BYTES: usize = 1 << 20;

/// How one text stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equal,
    Contains,
    StartsWith,
    EndsWith,
}

impl Relation {
    pub fn holds(self, one: &str, other: &str) -> bool {
        match self {
            Self::Equal => one == other,
            Self::Contains => one.contains(other),
            Self::StartsWith => one.starts_with(other),
            Self::EndsWith => one.ends_with(other),
        }
    }

    /// Whether one of these texts stands so to one of the others. The lists come from an event, so
    /// they may be long: the time goes with their bytes, not with their pairs.
    pub fn any(self, these: &[&str], others: &[&str]) -> bool {
        let bytes: usize = these.iter().map(|text| text.len() + 1).sum();
        if bytes.saturating_mul(others.len()) <= PAIRS_BYTES {
            return these.iter().any(|one| others.iter().any(|other| self.holds(one, other)));
        }
        match self {
            Self::Equal => {
                let others: HashSet<&str> = others.iter().copied().collect();
                these.iter().any(|text| others.contains(text))
            }
            Self::StartsWith => starts(&collected(these, str::as_bytes), collected(others, str::as_bytes)),
            Self::EndsWith => {
                let (these, others) = (collected(these, reversed), collected(others, reversed));
                starts(&these, others)
            }
            Self::Contains => contains(these, others),
        }
    }
}

fn collected<'t, B>(texts: &[&'t str], bytes: impl Fn(&'t str) -> B) -> Vec<B> {
    texts.iter().copied().map(bytes).collect()
}

fn reversed(text: &str) -> Vec<u8> {
    text.bytes().rev().collect()
}

/// Whether one of the texts starts with one of the others.
fn starts<B: AsRef<[u8]> + Ord>(texts: &[B], mut starts: Vec<B>) -> bool {
    starts.sort_unstable();
    // Without those that start with another one, what a text starts with is the last one that is not
    // behind it.
    starts.dedup_by(|later, kept| later.as_ref().starts_with(kept.as_ref()));
    texts.iter().any(|text| {
        let behind = starts.partition_point(|start| start.as_ref() <= text.as_ref());
        behind
            .checked_sub(1)
            .and_then(|at| starts.get(at))
            .is_some_and(|start| text.as_ref().starts_with(start.as_ref()))
    })
}

/// Whether one of the texts contains one of the others.
fn contains(texts: &[&str], mut others: &[&str]) -> bool {
    while !others.is_empty() {
        let mut bytes = 0;
        let fit = others.iter().take_while(|other| {
            bytes += other.len();
            bytes <= AUTOMATON_BYTES
        });
        let (some, rest) = others.split_at(fit.count().max(1));
        others = rest;
        let pairs = || texts.iter().any(|text| some.iter().any(|other| text.contains(other)));
        let automaton = if some.len() > 1 { AhoCorasick::new(some).ok() } else { None };
        let found = match automaton {
            Some(automaton) => texts.iter().any(|text| automaton.is_match(*text)),
            None => pairs(),
        };
        if found {
            return true;
        }
    }
    false
}
