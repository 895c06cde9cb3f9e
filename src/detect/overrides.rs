//! `overrides.yml`: what an operator changes about rules without editing them.
//!
//! Each entry names rules, says what to change and why, and may end at a date. An entry that fits no
//! rule is an error: a rule that was renamed must not come back to life unnoticed.

mod apply;
mod read;

use jiff::Timestamp;
use serde::Serialize;

use super::diagnostic::Span;
use super::rule::Rule;
use crate::event::Severity;

pub(super) use apply::{Applied, apply, disable};
pub(super) use read::until;

/// One thing that an override changed about one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `disable`, `level`, `tag_added` or `tag_removed`.
    pub action: Action,
    /// The level before, or the tag that went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The level after, or the tag that came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Where the entry is written; line 0 for one that is no entry of a file.
    pub path: String,
    pub line: usize,
    /// Why, as its author says.
    pub reason: String,
    /// The first moment at which it no longer holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Disable,
    Level,
    TagAdded,
    TagRemoved,
}

/// All that overrides changed about a set of rules.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    /// By the rule's number; only rules that were changed.
    pub(super) changes: std::collections::BTreeMap<usize, Vec<Change>>,
    pub(super) disabled: Vec<Disabled>,
    /// When the first entry that holds now will no longer do so.
    pub(super) ends: Option<Timestamp>,
}

/// A rule that an override switched off.
#[derive(Debug, Clone)]
pub struct Disabled {
    pub rule: Rule,
    pub changes: Vec<Change>,
    /// What outputs call the correlations that count it. When there are any, the rule stays in the
    /// set and is silent, because they would be blind without it.
    pub counted_by: Vec<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (self.from.as_deref().unwrap_or_default(), self.to.as_deref().unwrap_or_default());
        match self.action {
            Action::Disable => write!(f, "disabled")?,
            Action::Level => write!(f, "level {from} → {to}")?,
            Action::TagAdded => write!(f, "tag {to} added")?,
            Action::TagRemoved => write!(f, "tag {from} removed")?,
        }
        write!(f, " by {}", self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// One entry as read.
#[derive(Debug)]
struct Entry {
    /// All of them must fit.
    targets: Vec<Target>,
    disable: bool,
    level: Option<Severity>,
    add: Vec<String>,
    remove: Vec<String>,
    reason: String,
    until: Option<Timestamp>,
    /// Where the entry begins.
    span: Span,
}

/// Rules by something that they say of themselves.
#[derive(Debug)]
struct Target {
    by: By,
    /// One of them must fit; `*` stands for any characters, case does not count.
    patterns: Vec<String>,
    span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Id,
    Name,
    Title,
    Tag,
}

impl By {
    /// The keys of an entry that name rules.
    const ALL: [(&'static str, Self); 4] =
        [("id", Self::Id), ("name", Self::Name), ("title", Self::Title), ("tag", Self::Tag)];
}

impl Target {
    fn fits(&self, rule: &Rule) -> bool {
        let written: Vec<&str> = match self.by {
            By::Id => [rule.short_id.as_deref(), rule.uuid.as_deref()].into_iter().flatten().collect(),
            By::Name => rule.name.as_deref().into_iter().collect(),
            By::Title => vec![rule.title.as_str()],
            By::Tag => rule.tags.iter().map(String::as_str).collect(),
        };
        written.iter().any(|text| {
            let text = text.to_lowercase();
            self.patterns.iter().any(|pattern| super::sigma::condition::fits(pattern, &text))
        })
    }
}
