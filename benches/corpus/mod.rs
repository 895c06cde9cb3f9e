//! Rules and events of our own making, in the manner of public rule sets: as many, as long, and
//! asking the same kinds of things in about the same shares. Deterministic.

pub mod events;
pub mod mlops;
pub mod rules;
pub mod words;

/// A small generator (xorshift64*), so that every run makes the same.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to `below`, which it never is.
    pub const fn below(&mut self, below: usize) -> usize {
        (self.next() >> 11) as usize % below
    }

    pub const fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// One of the words; those in front come up far more often.
    pub fn prefer<'w>(&mut self, words: &[&'w str]) -> &'w str {
        let (a, b) = (self.below(words.len()), self.below(words.len()));
        words[a * b / words.len()]
    }

    pub fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len())]
    }

    /// True in so many of a hundred cases.
    pub const fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }
}
