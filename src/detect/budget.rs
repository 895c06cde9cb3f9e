//! How much memory the regular expressions of rules may take.

use regex::{Regex, RegexBuilder};

use super::pattern::REGEX_BYTES_MAX;

/// Sizes at which an expression is tried: what it takes cannot be asked afterwards.
const STEPS: [usize; 3] = [1 << 17, 1 << 20, REGEX_BYTES_MAX];
/// Bytes for one rule: some 250 plain expressions, or eight of the largest.
const RULE_BYTES_MAX: usize = 32 << 20;
/// Bytes for all rules.
const ALL_BYTES_MAX: usize = 2 << 30;

/// What is used up.
#[derive(Debug, Default)]
pub struct Budget {
    rule: usize,
    all: usize,
}

impl Budget {
    /// The next expressions belong to another rule.
    pub const fn begin_rule(&mut self) {
        self.rule = 0;
    }

    /// Builds an expression within the smallest size that it fits into.
    pub fn build(&mut self, builder: &mut RegexBuilder) -> Result<Regex, regex::Error> {
        let room = RULE_BYTES_MAX.saturating_sub(self.rule).min(ALL_BYTES_MAX.saturating_sub(self.all));
        let mut last = regex::Error::CompiledTooBig(room);
        for size in STEPS.into_iter().filter(|size| *size <= room) {
            match builder.size_limit(size).build() {
                Ok(regex) => {
                    self.rule += size;
                    self.all += size;
                    return Ok(regex);
                }
                Err(error @ regex::Error::CompiledTooBig(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}
