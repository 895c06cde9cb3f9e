//! Rules that are loaded: immutable, shared, replaced whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::event::{Event, Fields, Sha256, digest, repair};

use super::Source;
use super::diagnostic::{Diagnostic, Level};
use super::frame::{FieldTable, Frame};
use super::overrides::{self, Applied, Change, Disabled, Tuning};
use super::predicate::Expression;
use super::program::Program;
use super::rule::Rule;
use super::select::{Labels, Programs};

/// A rule with its matcher.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub rule: Rule,
    pub expression: Expression,
}

/// All rules, by the events that they look at.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    expressions: Vec<Expression>,
    table: FieldTable,
    programs: Programs,
    digest: Sha256,
    warnings: Vec<Diagnostic>,
    tuning: Tuning,
}

/// One of a rule's own tests that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// What outputs call the rule.
    pub rule: String,
    pub path: String,
    /// Line of the test.
    pub line: usize,
    pub test: String,
    /// What should have been: a match, or none.
    pub expected: bool,
}

impl std::fmt::Display for TestFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wanted = if self.expected { "must match and does not" } else { "must not match and does" };
        write!(f, "{}:{}: {}: the test `{}` {wanted}", self.path, self.line, self.rule, self.test)
    }
}

impl RuleSet {
    pub(crate) fn new(loaded: Vec<Loaded>, table: FieldTable, digest: Sha256, warnings: Vec<Diagnostic>) -> Self {
        let (rules, expressions): (Vec<_>, Vec<_>) = loaded.into_iter().map(|one| (one.rule, one.expression)).unzip();
        let programs = Programs::new(&rules);
        Self { rules, expressions, table, programs, digest, warnings, tuning: Tuning::default() }
    }

    /// All rules, in the order of their files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule that outputs call so.
    pub fn find(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.display_id() == id || rule.uuid.as_deref() == Some(id))
    }

    /// Digest over the texts of all rule files, whatever their names and order.
    pub const fn digest(&self) -> Sha256 {
        self.digest
    }

    /// What could be better about the rules, and did not keep them from loading.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The rule with a number that [`Self::hits`] gave.
    pub fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    /// Numbers of the rules that match an event of ours: those of its kind, product and service;
    /// silent ones too, no correlations.
    pub fn hits(&self, event: &Event) -> Vec<usize> {
        self.labelled(Labels::of(event)).run_flat(&event.fields)
    }

    /// Numbers of the rules that match foreign fields, whatever their logsource; silent ones too.
    /// A name is a key as it stands, else a path into nested objects.
    pub fn open_hits(&self, fields: &Fields) -> Vec<usize> {
        self.programs.open(&self.rules, &self.expressions, &self.table).run_nested(fields)
    }

    /// The same, from one JSON object, put right first if need be; without labels whatever the rules'
    /// logsource. The error is the parser's.
    pub fn json_hits(&self, json: &str, labels: Option<Labels<'_>>) -> Result<Vec<usize>, serde_json::Error> {
        let program = match labels {
            Some(labels) => self.labelled(labels),
            None => self.programs.open(&self.rules, &self.expressions, &self.table),
        };
        program.run_json(json).or_else(|error| match repair::repaired(json.as_bytes()) {
            Some((json, _)) => program.run_json(&json),
            None => Err(error),
        })
    }

    /// The same as [`Self::open_hits`], rule by rule and without a program: slow and plain, for
    /// explanations and to test the programs against.
    pub fn plain_hits(&self, fields: &Fields) -> Vec<usize> {
        let frame = Frame::new(fields, &self.table, true);
        let all = self.expressions.iter().enumerate();
        all.filter(|(_, expression)| expression.holds(&frame)).map(|(number, _)| number).collect()
    }

    /// What an event of ours is run through.
    pub(crate) fn program_of(&self, event: &Event) -> Arc<Program> {
        self.labelled(Labels::of(event))
    }

    /// What foreign fields are run through.
    pub(crate) fn open_program(&self) -> Arc<Program> {
        self.programs.open(&self.rules, &self.expressions, &self.table)
    }

    pub(crate) fn expression(&self, number: usize) -> Option<&Expression> {
        self.expressions.get(number)
    }

    /// What rules call the field with this number.
    pub(crate) fn field_name(&self, slot: usize) -> &str {
        self.table.name(slot)
    }

    fn labelled(&self, labels: Labels<'_>) -> Arc<Program> {
        self.programs.labelled(labels, &self.rules, &self.expressions, &self.table)
    }

    /// The rules that raise an alert for an event of ours by itself.
    pub fn matches(&self, event: &Event) -> Vec<&Rule> {
        self.loud(&self.hits(event))
    }

    /// The rules that raise an alert for foreign fields.
    pub fn matches_open(&self, fields: &Fields) -> Vec<&Rule> {
        self.loud(&self.open_hits(fields))
    }

    fn loud(&self, hits: &[usize]) -> Vec<&Rule> {
        hits.iter().filter_map(|number| self.rules.get(*number)).filter(|rule| !rule.silent).collect()
    }

    /// The set without the rules that are named by what outputs call them, or by their Sigma id.
    /// [`Self::disabled`] tells of them; those that a correlation counts are silent only.
    #[must_use]
    pub fn without(mut self, disabled: &[String]) -> Self {
        let named = |rule: &Rule| {
            disabled.iter().any(|id| id == rule.display_id() || Some(id.as_str()) == rule.uuid.as_deref())
        };
        let rules = self.rules.iter().enumerate();
        let numbers: Vec<usize> = rules.filter(|(_, rule)| named(rule)).map(|(number, _)| number).collect();
        let applied = overrides::disable(&mut self.rules, &numbers, "rules.disabled", "listed in the configuration");
        self.tuned(applied)
    }

    /// The set as an operator's overrides change it; they hold at `now` or not at all. The error
    /// holds every problem, the warnings are kept with those of the rules.
    pub fn overridden(mut self, sources: &[Source], now: Timestamp) -> Result<Self, Vec<Diagnostic>> {
        let applied = overrides::apply(&mut self.rules, sources, now);
        if applied.found.iter().any(|found| found.severity == Level::Error) {
            return Err(applied.found);
        }
        Ok(self.tuned(applied))
    }

    fn tuned(mut self, applied: Applied) -> Self {
        let changes = applied.tuning.parts(&self.rules);
        if !changes.is_empty() {
            // Another set of rules is in force, so it has another digest.
            let parts: Vec<String> = std::iter::once(self.digest.to_string()).chain(changes).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            self.digest = digest::of_parts(&parts);
        }
        self.warnings.extend(applied.found);
        self.tuning.add(applied.tuning);
        let mut less = self.less(&applied.gone);
        // What counted a rule that was disabled before may be gone by now.
        let there: BTreeSet<&str> = less.rules.iter().map(Rule::display_id).collect();
        for disabled in &mut less.tuning.disabled {
            disabled.counted_by.retain(|id| there.contains(id.as_str()));
        }
        less
    }

    /// What overrides changed about the rule with this number.
    pub fn changes(&self, number: usize) -> &[Change] {
        self.tuning.changes.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Rules that overrides switched off.
    pub fn disabled(&self) -> &[Disabled] {
        &self.tuning.disabled
    }

    /// When the first of the overrides that hold now ends: the set is to be loaded again then.
    pub const fn ends(&self) -> Option<Timestamp> {
        self.tuning.ends
    }

    /// The set without some rules, and without the correlations that would count them; the others
    /// get new numbers.
    fn less(self, gone: &BTreeSet<usize>) -> Self {
        if gone.is_empty() {
            return self;
        }
        let mut numbers: Vec<Option<usize>> = Vec::new();
        let mut kept: Vec<Loaded> = Vec::new();
        for (number, (mut rule, expression)) in self.rules.into_iter().zip(self.expressions).enumerate() {
            let stays = !gone.contains(&number) && renumber(&mut rule, &numbers);
            numbers.push(stays.then_some(kept.len()));
            if stays {
                kept.push(Loaded { rule, expression });
            }
        }
        let mut tuning = self.tuning;
        let moved = |(number, changes): (usize, Vec<Change>)| Some(((*numbers.get(number)?)?, changes));
        tuning.changes = tuning.changes.into_iter().filter_map(moved).collect();
        Self { tuning, ..Self::new(kept, self.table, self.digest, self.warnings) }
    }

    /// Runs every rule's own tests.
    pub fn test(&self) -> Vec<TestFailure> {
        let pairs = self.rules.iter().zip(&self.expressions);
        let mut failures: Vec<TestFailure> =
            pairs.flat_map(|(rule, expression)| self.test_rule(rule, expression)).collect();
        failures.extend(super::correlation::trial::failures(self));
        failures
    }

    fn test_rule(&self, rule: &Rule, expression: &Expression) -> Vec<TestFailure> {
        let wrong = rule.tests.iter().filter(|test| {
            let frame = Frame::new(&test.event, &self.table, rule.logsource.kind.is_none());
            expression.holds(&frame) != test.matches
        });
        wrong
            .map(|test| TestFailure {
                rule: rule.display_id().to_owned(),
                path: rule.path.clone(),
                line: test.line,
                test: test.name.clone(),
                expected: test.matches,
            })
            .collect()
    }
}

/// Points a correlation at the new numbers of what it counts; false when one of them is gone.
fn renumber(rule: &mut Rule, numbers: &[Option<usize>]) -> bool {
    let parts = rule.correlation.iter_mut().flat_map(|plan| &mut plan.parts);
    parts.into_iter().all(|part| match numbers.get(part.rule).copied().flatten() {
        Some(number) => {
            part.rule = number;
            true
        }
        None => false,
    })
}
