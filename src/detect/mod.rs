//! Sigma rules: parse, compile, match, explain.
//!
//! Rules know no artifact format and no source; they see declared fields only. Nothing here does
//! input or output: rule files come in as text, events as data.
//!
//! ```text
//! sigma/     a rule as written: YAML with places → rule, selections, condition, modifiers
//! compile    selections and conditions → expressions over interned fields
//! predicate  what an expression asks of one event
//! explain    why a rule matches or does not
//! profile    what each rule costs, and why
//! overrides  what an operator changes about rules without editing them
//! allow      findings of a scan that somebody accepted
//! plans      correlations → what is counted, grouped by what, for how long
//! filters    what rules must not be told of here, added to their expressions
//! lint       what is sound Sigma and surely not meant
//! import     rules of others over our own fields, as text
//! load       many files → one RuleSet, or every problem in them
//! ```

pub mod allow;
mod bounds;
mod budget;
pub mod catalogue;
mod compile;
pub mod correlation;
pub mod diagnostic;
mod entries;
mod expand;
pub mod explain;
mod filters;
mod frame;
mod glob;
pub mod import;
mod item;
mod lint;
mod load;
mod moment;
mod network;
pub mod number;
pub mod overrides;
mod parts;
mod pattern;
mod plans;
mod predicate;
pub mod profile;
mod program;
pub mod reference;
mod references;
mod relation;
pub mod rule;
mod ruleset;
pub mod schema;
mod select;
pub mod shipped;
mod sigma;
mod spelling;
mod types;
pub mod values;

pub use diagnostic::{Diagnostic, Level};
pub use load::{Loader, load};
pub use rule::{Rule, RuleTest, TimedEvent, Timeline};
pub use ruleset::{RuleSet, TestFailure};
pub use schema::Schema;
pub use select::Labels;
pub use sigma::FILE_BYTES_MAX;
pub use sigma::modifier::Comparison;
pub use values::Values;

/// A rule file as its caller read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What diagnostics call it: a path, or a name for rules that come with the program.
    pub path: String,
    pub text: String,
    /// Why there is no text: a file that cannot be read.
    pub unreadable: Option<String>,
}

impl Source {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), unreadable: None }
    }

    /// A file that cannot be read, which is reported among all other problems.
    pub fn unreadable(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), text: String::new(), unreadable: Some(why.into()) }
    }
}
