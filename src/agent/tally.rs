//! What each rule did: how many events it was asked about, how many it matched, and when last.
//!
//! A rule is asked about every event of its logsource. Counting that for each rule and event would
//! cost more than matching, so events are counted by their origin, and a rule's share is a sum over
//! the few origins that its logsource covers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::base::metrics::Metrics;
use crate::detect::overrides::Change;
use crate::detect::rule::Logsource;
use crate::detect::{Rule, RuleSet};
use crate::event::{Event, EventKind, Severity};

/// Origins counted apart; products and services come from configuration, so there are few.
const ORIGINS_MAX: usize = 1_024;
/// Rules remembered, those of earlier rule sets included.
const RULES_MAX: usize = 100_000;

/// Counts by rule, across reloads. Cheap to clone.
#[derive(Clone)]
pub struct Tally {
    counts: Arc<Mutex<Counts>>,
    metrics: Metrics,
}

#[derive(Default)]
struct Counts {
    origins: HashMap<Origin, u64>,
    /// By what outputs call the rule.
    rules: HashMap<String, Count>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Origin {
    kind: EventKind,
    product: String,
    service: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    matched: u64,
    suppressed: u64,
    last_matched: Option<Timestamp>,
    last_fired: Option<Timestamp>,
    /// Events of its logsource before it was loaded.
    before: u64,
}

/// A rule as `/api/v1/rules` shows it.
#[derive(Debug, Serialize)]
pub struct RuleLine {
    pub id: String,
    pub uuid: Option<String>,
    pub title: String,
    pub level: Severity,
    pub category: Option<String>,
    pub product: Option<String>,
    pub service: Option<String>,
    pub path: String,
    pub line: usize,
    /// `event` or `correlation`.
    pub kind: &'static str,
    /// False when an override or the configuration switched it off.
    pub enabled: bool,
    /// It raises no alert of its own: a correlation counts its matches.
    pub silent: bool,
    pub overrides: Vec<Change>,
    /// The filters that are in force on it.
    pub filters: Vec<String>,
    /// Events of its logsource since it was loaded; absent for correlations, which look at matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<u64>,
    pub matched: u64,
    /// Matches that a mute kept from becoming an alert.
    pub suppressed: u64,
    /// Time of the newest event that it matched.
    pub last_matched: Option<Timestamp>,
    /// Time of the newest alert.
    pub last_fired: Option<Timestamp>,
}

impl Tally {
    pub fn new(metrics: Metrics) -> Self {
        Self { counts: Arc::default(), metrics }
    }

    /// Makes the rules of a set known. Those known before keep their counts.
    pub fn announce(&self, set: &RuleSet) {
        let mut counts = self.counts();
        for rule in set.rules() {
            let before = counts.evaluated(&rule.logsource);
            if counts.rules.len() < RULES_MAX {
                counts.rules.entry(rule.display_id().to_owned()).or_insert(Count { before, ..Count::default() });
            }
        }
    }

    /// An event was judged, and the rules with these numbers matched it.
    pub fn judged(&self, event: &Event, set: &RuleSet, hits: &[usize]) {
        let mut counts = self.counts();
        counts.seen(event);
        for rule in hits.iter().filter_map(|number| set.rule(*number)) {
            self.hit(&mut counts, rule, event.time);
        }
    }

    /// A correlation came true at this time.
    pub fn correlated(&self, rule: &Rule, time: Timestamp) {
        self.hit(&mut self.counts(), rule, time);
    }

    fn hit(&self, counts: &mut Counts, rule: &Rule, time: Timestamp) {
        let id = rule.display_id();
        self.metrics.rule_matches.with_label_values(&[id]).inc();
        if let Some(count) = counts.rules.get_mut(id) {
            count.matched += 1;
            count.last_matched = count.last_matched.max(Some(time));
            #[expect(clippy::cast_precision_loss, reason = "a metric in seconds")]
            let newest = count.last_matched.map_or(0, Timestamp::as_second) as f64;
            self.metrics.rule_last_match.with_label_values(&[id]).set(newest);
        }
    }

    /// A match became an alert, or a mute kept it from becoming one.
    pub fn raised(&self, id: &str, time: Timestamp, muted: bool) {
        if let Some(count) = self.counts().rules.get_mut(id) {
            if muted {
                count.suppressed += 1;
            } else {
                count.last_fired = count.last_fired.max(Some(time));
            }
        }
    }

    /// All rules with their counts, those that were switched off last.
    pub fn lines(&self, set: &RuleSet) -> Vec<RuleLine> {
        let counts = self.counts();
        let off = |rule: &Rule| set.disabled().iter().find(|off| off.rule.display_id() == rule.display_id());
        let rules = set.rules().iter().enumerate();
        let kept = rules.map(|(number, rule)| match off(rule) {
            Some(off) => counts.line(rule, &off.changes, false),
            None => counts.line(rule, set.changes(number), true),
        });
        let gone = set.disabled().iter().filter(|off| off.counted_by.is_empty());
        kept.chain(gone.map(|off| counts.line(&off.rule, &off.changes, false))).collect()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn seen(&mut self, event: &Event) {
        let mut origin = Origin { kind: event.kind, product: event.product.clone(), service: event.service.clone() };
        if self.origins.len() >= ORIGINS_MAX && !self.origins.contains_key(&origin) {
            // Rules for any product still count them.
            (origin.product, origin.service) = (String::new(), None);
        }
        *self.origins.entry(origin).or_default() += 1;
    }

    /// Events of all origins that a logsource covers.
    fn evaluated(&self, logsource: &Logsource) -> u64 {
        let covered = |origin: &Origin| {
            logsource.kind == Some(origin.kind)
                && logsource.product.as_ref().is_none_or(|product| product.eq_ignore_ascii_case(&origin.product))
                && logsource.service.as_ref().is_none_or(|wanted| {
                    origin.service.as_ref().is_some_and(|service| service.eq_ignore_ascii_case(wanted))
                })
        };
        self.origins.iter().filter(|(origin, _)| covered(origin)).map(|(_, count)| count).sum()
    }

    fn line(&self, rule: &Rule, changes: &[Change], enabled: bool) -> RuleLine {
        let count = self.rules.get(rule.display_id()).copied().unwrap_or_default();
        let evaluated = self.evaluated(&rule.logsource).saturating_sub(count.before);
        let single = rule.correlation.is_none();
        RuleLine {
            id: rule.display_id().to_owned(),
            uuid: rule.uuid.clone(),
            title: rule.title.clone(),
            level: rule.severity,
            category: rule.logsource.category.clone(),
            product: rule.logsource.product.clone(),
            service: rule.logsource.service.clone(),
            path: rule.path.clone(),
            line: rule.line,
            kind: if single { "event" } else { "correlation" },
            enabled,
            silent: rule.silent,
            overrides: changes.to_vec(),
            filters: rule.filters.clone(),
            evaluated: single.then_some(if enabled || rule.silent { evaluated } else { 0 }),
            matched: count.matched,
            suppressed: count.suppressed,
            last_matched: count.last_matched,
            last_fired: count.last_fired,
        }
    }
}
