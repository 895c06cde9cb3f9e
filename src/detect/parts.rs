//! Conditions of temporal correlations over the rules that they count: `a and not b`.

use std::collections::BTreeSet;

use crate::base::yaml::Node;

use super::correlation::plan::{Condition, Parts};
use super::diagnostic::{Level, Reporter, Span};
use super::references::Names;
use super::sigma::condition::{Condition as Written, Word};
use super::sigma::correlation::Correlation;

/// All rules that a correlation counts.
pub fn every(count: usize) -> Condition {
    Condition::Parts(Parts::All((0..count).map(Parts::Part).collect()))
}

/// Looks the names up; `None` when something is wrong, which is reported.
pub fn compile(
    written: &Written,
    node: &Node,
    counted: &[usize],
    correlation: &Correlation,
    names: &Names,
    reporter: &mut Reporter<'_>,
) -> Option<Condition> {
    let mut linker = Linker { counted, correlation, names, node, used: BTreeSet::new() };
    let parts = linker.link(written, reporter)?;
    for (position, (name, span)) in correlation.rules.iter().enumerate() {
        if !linker.used.contains(&position) {
            let message = format!("the condition does not use the rule `{name}`");
            reporter.report(Level::Warning, "R022", *span, message, None);
        }
    }
    if holds_of_nothing(&parts) {
        let hint = "name a rule that must match, as in `a and not b`";
        reporter.error_hint("R024", Span::of(node), "the condition holds where no rule matched at all", hint);
        return None;
    }
    Some(Condition::Parts(parts))
}

/// Whether the condition holds where no part matched: nothing would ever be looked at to find that out.
fn holds_of_nothing(parts: &Parts) -> bool {
    match parts {
        Parts::Part(_) => false,
        Parts::All(members) => members.iter().all(holds_of_nothing),
        Parts::Any(members) => members.iter().any(holds_of_nothing),
        Parts::Not(inner) => !holds_of_nothing(inner),
    }
}

struct Linker<'l> {
    counted: &'l [usize],
    correlation: &'l Correlation,
    names: &'l Names,
    node: &'l Node,
    used: BTreeSet<usize>,
}

impl Linker<'_> {
    fn link(&mut self, condition: &Written, reporter: &mut Reporter<'_>) -> Option<Parts> {
        match condition {
            Written::And(sides) => self.links(sides, reporter).map(Parts::All),
            Written::Or(sides) => self.links(sides, reporter).map(Parts::Any),
            Written::Not(inner) => Some(Parts::Not(Box::new(self.link(inner, reporter)?))),
            Written::Name(word) => match self.position(&word.text) {
                Some(position) => {
                    self.used.insert(position);
                    Some(Parts::Part(position))
                }
                None => self.undefined(word, reporter),
            },
            Written::Of { every, names } => {
                let rules = self.correlation.rules.iter().enumerate();
                let chosen: Vec<usize> = rules
                    .filter(|(_, (name, _))| Written::selects(&names.text, name))
                    .map(|(position, _)| position)
                    .collect();
                if chosen.is_empty() {
                    return self.undefined(names, reporter);
                }
                self.used.extend(&chosen);
                let members = chosen.into_iter().map(Parts::Part).collect();
                Some(if *every { Parts::All(members) } else { Parts::Any(members) })
            }
        }
    }

    fn links(&mut self, sides: &[Written], reporter: &mut Reporter<'_>) -> Option<Vec<Parts>> {
        let linked: Vec<_> = sides.iter().map(|side| self.link(side, reporter)).collect();
        linked.into_iter().collect()
    }

    /// As written in `rules`, else by another name of the same rule.
    fn position(&self, name: &str) -> Option<usize> {
        let written = self.correlation.rules.iter().position(|(rule, _)| rule == name);
        written.or_else(|| {
            let index = self.names.find(name).ok()?;
            self.counted.iter().position(|part| *part == index)
        })
    }

    fn undefined(&self, word: &Word, reporter: &mut Reporter<'_>) -> Option<Parts> {
        let text = self.node.as_text().unwrap_or_default();
        let before = text.get(..word.start).map_or(0, |before| before.chars().count());
        let span = reporter.inside(self.node, text, before, word.text.chars().count());
        let called: Vec<&str> = self.correlation.rules.iter().map(|(name, _)| name.as_str()).collect();
        let hint = match crate::base::text::nearest(&word.text, called.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it counts {}", called.join(", ")),
        };
        reporter.error_hint("R021", span, format!("the correlation counts no rule `{}`", word.text), hint);
        None
    }
}
