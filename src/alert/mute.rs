//! Mutes: alerts that a person has decided not to be told of, until a date.

use globset::{Glob, GlobMatcher};
use jiff::Timestamp;

use crate::event::Alert;

/// Suppresses alerts of one rule about some subjects, until it expires.
#[derive(Debug, Clone)]
pub struct Mute {
    /// Short id of the rule; `None` mutes every rule.
    rule: Option<String>,
    /// Subjects, as a glob in which `*` also crosses `/`.
    subject: GlobMatcher,
    until: Timestamp,
}

impl Mute {
    /// # Errors
    /// When the glob is not valid.
    pub fn new(rule: Option<String>, subject: &str, until: Timestamp) -> Result<Self, globset::Error> {
        Ok(Self { rule, subject: Glob::new(subject)?.compile_matcher(), until })
    }

    /// Whether the alert is muted at a time.
    pub fn covers(&self, alert: &Alert, now: Timestamp) -> bool {
        now < self.until
            && self.rule.as_ref().is_none_or(|rule| *rule == alert.rule.id)
            && self.subject.is_match(&alert.subject.name)
    }
}
