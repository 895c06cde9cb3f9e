//! How much memory the regular expressions of rules may take.

use regex::{Regex, RegexBuilder};

use super::pattern::REGEX_BYTES_MAX;

/// Sizes at which an expression is tried: what it takes cannot be asked afterwards.
const STEPS: [usize; 6] = [1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, REGEX_BYTES_MAX];
/// What the smallest one takes beside that.
const EACH: usize = 1 << 14;
/// Bytes for one rule: some 1,500 plain expressions, or eight of the largest.
const RULE_BYTES_MAX: usize = 33 << 20;
/// Bytes for all rules.
const ALL_BYTES_MAX: usize = 2 << 30;

/// Why there is no expression.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Regex(#[from] regex::Error),
    #[error("the regular expressions of the rule take more than {} MiB together", RULE_BYTES_MAX >> 20)]
    Rule,
    #[error("the regular expressions of all rules take more than {} GiB together", ALL_BYTES_MAX >> 30)]
    All,
}

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
    pub fn build(&mut self, builder: &mut RegexBuilder) -> Result<Regex, Refused> {
        let (rule, all) = (RULE_BYTES_MAX.saturating_sub(self.rule), ALL_BYTES_MAX.saturating_sub(self.all));
        for size in STEPS {
            let taken = size + EACH;
            if taken > rule {
                return Err(Refused::Rule);
            }
            if taken > all {
                return Err(Refused::All);
            }
            match builder.size_limit(size).build() {
                Ok(regex) => {
                    self.rule += taken;
                    self.all += taken;
                    return Ok(regex);
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(regex::Error::CompiledTooBig(REGEX_BYTES_MAX).into())
    }
}
