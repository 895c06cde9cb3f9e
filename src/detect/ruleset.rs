//! Rules that are loaded: immutable, shared, replaced whole.

use std::sync::Arc;

use crate::event::{Event, Fields, Sha256, digest};

use super::diagnostic::Diagnostic;
use super::frame::{FieldTable, Frame};
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
        Self { rules, expressions, table, programs, digest, warnings }
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

    /// The same, from one JSON object; without labels whatever the rules' logsource. The error is
    /// the parser's.
    pub fn json_hits(&self, json: &str, labels: Option<Labels<'_>>) -> Result<Vec<usize>, serde_json::Error> {
        let program = match labels {
            Some(labels) => self.labelled(labels),
            None => self.programs.open(&self.rules, &self.expressions, &self.table),
        };
        program.run_json(json)
    }

    /// The same as [`Self::open_hits`], rule by rule and without a program: slow and plain, for
    /// explanations and to test the programs against.
    pub fn plain_hits(&self, fields: &Fields) -> Vec<usize> {
        let frame = Frame::new(fields, &self.table, true);
        let all = self.expressions.iter().enumerate();
        all.filter(|(_, expression)| expression.holds(&frame)).map(|(number, _)| number).collect()
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
    #[must_use]
    pub fn without(self, disabled: &[String]) -> Self {
        if disabled.is_empty() {
            return self;
        }
        let named = |rule: &Rule| {
            disabled.iter().any(|id| id == rule.display_id() || Some(id.as_str()) == rule.uuid.as_deref())
        };
        let pairs = self.rules.into_iter().zip(self.expressions);
        let kept: Vec<Loaded> =
            pairs.filter(|(rule, _)| !named(rule)).map(|(rule, expression)| Loaded { rule, expression }).collect();
        // Another set of rules is in force, so it has another digest.
        let mut parts = vec![self.digest.to_string()];
        parts.extend(kept.iter().map(|one| one.rule.display_id().to_owned()));
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Self::new(kept, self.table, digest::of_parts(&parts), self.warnings)
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
