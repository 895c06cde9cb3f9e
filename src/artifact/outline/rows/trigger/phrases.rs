//! Sentences that were put into many rows: too long to try every few words in a row, but where a sentence stands in
//! many rows, its words stand together there, and those around it do not.

use std::hash::{BuildHasher as _, RandomState};

use super::{BETWEEN, Fresh, HITS_MIN};

/// Words in a row by which sentences are found, and most words of one.
const GRAM: usize = 4;
const WORDS_MAX: usize = 64;
/// Words at either end that may belong to the row and not to the sentence.
const SLACK: usize = 2;
/// Counters at least, so that words of one sentence hardly ever share one, and at most; two bytes each.
const COUNTERS_MIN: usize = 1 << 18;
const COUNTERS_MAX: usize = 8 << 20;

/// How often four words stand in a row, at most: two that share a counter are counted together.
pub struct Grams {
    counters: Vec<u16>,
    keys: RandomState,
}

impl Grams {
    pub fn of(fresh: &[Fresh]) -> Self {
        let words: usize = fresh.iter().map(|row| row.text.split(' ').count()).sum();
        let size = words.saturating_mul(2).next_power_of_two().clamp(COUNTERS_MIN, COUNTERS_MAX);
        let mut grams = Self { counters: vec![0; size], keys: RandomState::new() };
        for row in fresh {
            let words: Vec<&str> = row.text.split(' ').collect();
            for gram in words.windows(GRAM) {
                let at = grams.place(gram);
                if let Some(counter) = grams.counters.get_mut(at) {
                    *counter = counter.saturating_add(1);
                }
            }
        }
        grams
    }

    fn place(&self, gram: &[&str]) -> usize {
        let mask = self.counters.len().saturating_sub(1) as u64;
        usize::try_from(self.keys.hash_one(gram) & mask).unwrap_or(0)
    }

    /// How often; 0 for less than matters.
    fn count(&self, gram: &[&str]) -> u64 {
        let count = self.counters.get(self.place(gram)).copied().unwrap_or(0).into();
        if count < HITS_MIN || gram.contains(&BETWEEN) { 0 } else { count }
    }

    /// Where sentences may have been put into a row, as the first word and the one behind the last: the longest runs
    /// of words that stand together as often as each other, and the same without a word or two at their ends.
    pub fn runs(&self, words: &[&str]) -> Vec<(usize, usize)> {
        let counts: Vec<u64> = words.windows(GRAM).map(|gram| self.count(gram)).collect();
        let alike = |one: &u64, other: &u64| one.abs_diff(*other).saturating_mul(4) <= *one.max(other);
        let mut found = Vec::new();
        let mut at = 0_usize;
        for run in counts.chunk_by(alike) {
            let (start, end) = (at, at.saturating_add(run.len()).saturating_add(GRAM - 1));
            at = at.saturating_add(run.len());
            if run.first().is_none_or(|count| *count == 0) {
                continue;
            }
            for front in 0..=SLACK {
                for back in 0..=SLACK {
                    let (start, end) = (start.saturating_add(front), end.saturating_sub(back));
                    if (GRAM..=WORDS_MAX).contains(&end.saturating_sub(start)) {
                        found.push((start, end));
                    }
                }
            }
        }
        found
    }
}
