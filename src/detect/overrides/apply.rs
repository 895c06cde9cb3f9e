//! Overrides put in force on rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::read::read;
use super::{Action, By, Change, Disabled, Entry, Target, Tuning};
use crate::base::text;
use crate::detect::Source;
use crate::detect::diagnostic::{Diagnostic, Level, Reporter};
use crate::detect::rule::Rule;
use crate::event::TechniqueId;

/// What became of the rules.
pub struct Applied {
    pub tuning: Tuning,
    /// Rules that are no longer part of the set, by number.
    pub gone: BTreeSet<usize>,
    pub found: Vec<Diagnostic>,
}

/// Changes the rules as the files say, in their order: a later entry has the last word.
pub fn apply(rules: &mut [Rule], sources: &[Source], now: Timestamp) -> Applied {
    let mut applied = Applied { tuning: Tuning::default(), gone: BTreeSet::new(), found: Vec::new() };
    let mut disabled: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
    for source in sources {
        let mut reporter = Reporter::new(source);
        let entries = read(source, &mut reporter);
        for entry in &entries {
            let fitting = fitting(rules, entry, &mut reporter);
            if entry.until.is_some_and(|until| until <= now) {
                let hint = Some("remove it, or move the date if it must go on".to_owned());
                let message = "the override has expired and changes nothing".to_owned();
                reporter.report(Level::Warning, "R051", entry.span, message, hint);
                continue;
            }
            let mut idle = !fitting.is_empty();
            for number in fitting {
                let Some(rule) = rules.get_mut(number) else { continue };
                let changes = change(rule, entry, &source.path);
                idle &= changes.is_empty();
                if entry.disable {
                    disabled.entry(number).or_default().extend(changes);
                } else if !changes.is_empty() {
                    applied.tuning.changes.entry(number).or_default().extend(changes);
                }
            }
            if idle {
                let hint = Some("the rule may have been changed since: remove the override".to_owned());
                let message = "the rules say already what the override asks for".to_owned();
                reporter.report(Level::Warning, "R053", entry.span, message, hint);
            } else {
                applied.tuning.ends = [applied.tuning.ends, entry.until].into_iter().flatten().min();
            }
        }
        applied.found.extend(reporter.into_found());
    }
    retire(rules, disabled, &mut applied);
    applied
}

/// Switches off the rules with these numbers, for one and the same reason.
pub fn disable(rules: &mut [Rule], numbers: &[usize], path: &str, reason: &str) -> Applied {
    let mut applied = Applied { tuning: Tuning::default(), gone: BTreeSet::new(), found: Vec::new() };
    let change = Change {
        action: Action::Disable,
        from: None,
        to: None,
        path: path.to_owned(),
        line: 0,
        reason: reason.to_owned(),
        until: None,
    };
    retire(rules, numbers.iter().map(|number| (*number, vec![change.clone()])).collect(), &mut applied);
    applied
}

/// Numbers of the rules that an entry names; none is reported.
fn fitting(rules: &[Rule], entry: &Entry, reporter: &mut Reporter<'_>) -> Vec<usize> {
    let fits = |(_, rule): &(usize, &Rule)| entry.targets.iter().all(|target| target.fits(rule));
    let found: Vec<usize> = rules.iter().enumerate().filter(fits).map(|(number, _)| number).collect();
    if found.is_empty() {
        let lost = entry.targets.iter().find(|target| !rules.iter().any(|rule| target.fits(rule)));
        let (span, hint) = match lost {
            Some(target) => (target.span, near(rules, target)),
            None => (entry.span, Some("each of the names fits a rule, but not the same".to_owned())),
        };
        reporter.report(Level::Error, "R050", span, "the override fits no rule".to_owned(), hint);
    }
    found
}

/// What was most likely meant.
fn near(rules: &[Rule], target: &Target) -> Option<String> {
    let pattern = target.patterns.first()?;
    let names = rules.iter().flat_map(|rule| match target.by {
        By::Id => vec![rule.display_id()],
        By::Name => rule.name.as_deref().into_iter().collect(),
        By::Title => vec![rule.title.as_str()],
        By::Tag => rule.tags.iter().map(String::as_str).collect(),
    });
    let lower: Vec<(String, &str)> = names.map(|name| (name.to_lowercase(), name)).collect();
    let found = text::nearest(pattern, lower.iter().map(|(lower, _)| lower.as_str()))?;
    let shown = lower.iter().find(|(lower, _)| lower == found).map(|(_, name)| *name)?;
    Some(format!("did you mean `{shown}`?"))
}

fn change(rule: &mut Rule, entry: &Entry, path: &str) -> Vec<Change> {
    let change = |action, from: Option<&str>, to: Option<&str>| Change {
        action,
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        path: path.to_owned(),
        line: entry.span.line,
        reason: entry.reason.clone(),
        until: entry.until,
    };
    if entry.disable {
        return vec![change(Action::Disable, None, None)];
    }
    let mut changes = Vec::new();
    if let Some(level) = entry.level.filter(|level| *level != rule.severity) {
        changes.push(change(Action::Level, Some(rule.severity.as_str()), Some(level.as_str())));
        rule.severity = level;
    }
    for tag in &entry.remove {
        let before = rule.tags.len();
        rule.tags.retain(|kept| kept != tag);
        if rule.tags.len() < before {
            changes.push(change(Action::TagRemoved, Some(tag), None));
        }
    }
    for tag in &entry.add {
        if !rule.tags.contains(tag) {
            rule.tags.push(tag.clone());
            changes.push(change(Action::TagAdded, None, Some(tag)));
        }
    }
    if changes.iter().any(|change| change.action != Action::Level) {
        rule.atlas = techniques(&rule.tags);
    }
    changes
}

fn techniques(tags: &[String]) -> Vec<TechniqueId> {
    let mut found: Vec<TechniqueId> = Vec::new();
    for id in tags.iter().filter_map(|tag| TechniqueId::from_tag(tag)) {
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// Takes disabled rules out, but for those that a correlation in force counts: they are silent. What
/// only correlations counted that are out of force speaks for itself again.
fn retire(rules: &mut [Rule], disabled: BTreeMap<usize, Vec<Change>>, applied: &mut Applied) {
    let before = rules.iter().enumerate().filter(|(_, rule)| rule.disabled).map(|(number, _)| number);
    let off: BTreeSet<usize> = disabled.keys().copied().chain(before).collect();
    let mut gone = off.clone();
    let mut counted: BTreeMap<usize, Counted> = BTreeMap::new();
    // Correlations come after what they count, so one pass from the last to the first suffices. What
    // is kept only to be counted goes on counting.
    for (number, rule) in rules.iter().enumerate().rev() {
        let Some(plan) = rule.correlation.as_ref().filter(|_| !gone.contains(&number)) else {
            continue;
        };
        for part in &plan.parts {
            gone.remove(&part.rule);
            let counted = counted.entry(part.rule).or_default();
            counted.by.insert(rule.display_id().to_owned());
            counted.generates |= plan.generate;
        }
    }
    for (number, rule) in rules.iter_mut().enumerate() {
        rule.disabled = off.contains(&number);
        rule.silent = rule.disabled || counted.get(&number).is_some_and(|counted| !counted.generates);
    }
    for (number, changes) in disabled {
        let Some(rule) = rules.get(number) else { continue };
        let counted_by = counted.remove(&number).map(|counted| counted.by.into_iter().collect()).unwrap_or_default();
        let before = applied.tuning.changes.remove(&number).unwrap_or_default();
        let changes: Vec<Change> = before.into_iter().chain(changes).collect();
        applied.tuning.disabled.push(Disabled { rule: rule.clone(), changes, counted_by });
    }
    applied.gone = gone;
}

/// The correlations in force that count a rule.
#[derive(Default)]
struct Counted {
    by: BTreeSet<String>,
    /// One of them lets the rule raise alerts, too.
    generates: bool,
}

impl Tuning {
    /// What was changed later, about rules that still have the same numbers.
    pub(in crate::detect) fn add(&mut self, later: Self) {
        for (number, changes) in later.changes {
            self.changes.entry(number).or_default().extend(changes);
        }
        self.disabled.extend(later.disabled);
        self.ends = [self.ends, later.ends].into_iter().flatten().min();
    }

    /// Each change as a text, for the digest of what is in force.
    pub(in crate::detect) fn parts(&self, rules: &[Rule]) -> Vec<String> {
        let kept = self.changes.iter().filter_map(|(number, changes)| Some((rules.get(*number)?, changes)));
        let gone = self.disabled.iter().map(|disabled| (&disabled.rule, &disabled.changes));
        let one = |(rule, changes): (&Rule, &Vec<Change>)| -> Vec<String> {
            let id = rule.display_id();
            changes
                .iter()
                .map(|change| format!("{id}\0{:?}\0{:?}\0{:?}", change.action, change.from, change.to))
                .collect()
        };
        kept.chain(gone).flat_map(one).collect()
    }
}
