//! Sigma rules: parse, compile, match, explain.
//!
//! Rules know no artifact format and no source; they see declared fields only. Nothing here does
//! input or output: rule files come in as text, events as data.
//!
//! ```text
//! sigma/     a rule as written: YAML with places → rule, selections, condition, modifiers
//! compile    selections and conditions → expressions over interned fields
//! predicate  what an expression asks of one event
//! overrides  what an operator changes about rules without editing them
//! load       many files → one RuleSet, or every problem in them
//! ```

pub mod catalogue;
mod compile;
pub mod correlation;
pub mod diagnostic;
mod frame;
mod item;
mod load;
mod network;
pub mod number;
pub mod overrides;
mod pattern;
mod predicate;
pub mod rule;
mod ruleset;
pub mod schema;
pub mod shipped;
mod sigma;
mod spelling;
mod types;

pub use diagnostic::{Diagnostic, Level};
pub use load::load;
pub use rule::{Rule, RuleTest};
pub use ruleset::{RuleSet, TestFailure};
pub use schema::Schema;
pub use sigma::modifier::Comparison;

/// A rule file as its caller read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What diagnostics call it: a path, or a name for rules that come with the program.
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}
