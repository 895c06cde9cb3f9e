//! Selections and conditions → one expression for each rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::yaml::Node;

use super::budget::Budget;
use super::diagnostic::{Level, Reporter};
use super::frame::FieldTable;
use super::item::Compiler;
use super::predicate::Expression;
use super::schema::Schema;
use super::sigma::condition::{Condition, Word};
use super::sigma::detection::{Detection, Search};
use super::values::Values;

/// Parts of all expressions of one rule: selections are copied where conditions name them.
const PARTS_MAX: usize = 100_000;

/// What rules are compiled with, and into.
pub struct Context<'c> {
    pub schema: &'c Schema,
    pub values: &'c Values,
    table: FieldTable,
    budget: Budget,
}

impl<'c> Context<'c> {
    pub fn new(schema: &'c Schema, values: &'c Values) -> Self {
        Self { schema, values, table: FieldTable::default(), budget: Budget::default() }
    }

    /// The names of all fields that were asked about.
    pub fn into_table(self) -> FieldTable {
        self.table
    }
}

/// A rule's question, and the fields that it asks about.
pub struct Compiled {
    pub expression: Expression,
    pub referenced: Vec<String>,
}

/// `None` when something is wrong, which is reported.
pub fn compile(detection: &Detection, context: &mut Context<'_>, reporter: &mut Reporter<'_>) -> Option<Compiled> {
    context.budget.begin_rule();
    let Context { schema, values, table, budget } = context;
    let mut compiler = Compiler { schema, table, values, budget, reporter, referenced: Vec::new() };
    let mut selections = BTreeMap::new();
    let mut sound = true;
    for selection in &detection.selections {
        match selection.search.as_ref().and_then(|written| search(written, &mut compiler)) {
            Some(expression) => {
                selections.insert(selection.name.as_str(), expression);
            }
            None => sound = false,
        }
    }
    let mut referenced = std::mem::take(&mut compiler.referenced);
    referenced.sort_unstable();
    let names: Vec<&str> = detection.selections.iter().map(|selection| selection.name.as_str()).collect();
    let known = names.iter().copied().collect();
    let mut linker =
        Linker { names, known, selections, used: BTreeSet::new(), parts: 0, undefined: false, full: false };
    let mut conditions = Vec::new();
    for (condition, node) in &detection.conditions {
        match linker.link(condition, node, reporter) {
            Some(expression) => conditions.push(expression),
            None => sound = false,
        }
    }
    // A misspelt name leaves the selection that was meant unused.
    if !linker.undefined && !linker.full {
        unused(detection, &linker.used, reporter);
    }
    let expression = if conditions.len() == 1 { conditions.pop()? } else { Expression::Any(conditions) };
    sound.then_some(Compiled { expression, referenced })
}

fn search(written: &Search, compiler: &mut Compiler<'_, '_>) -> Option<Expression> {
    let all = |searches: &[Search], compiler: &mut Compiler<'_, '_>| {
        // Every member is compiled even after a failure: all problems are reported.
        let members: Vec<_> = searches.iter().map(|member| search(member, compiler)).collect();
        members.into_iter().collect::<Option<Vec<_>>>()
    };
    match written {
        Search::Item(item) => compiler.item(item),
        Search::All(members) => all(members, compiler).map(Expression::All),
        Search::Any(members) => all(members, compiler).map(Expression::Any),
    }
}

fn unused(detection: &Detection, used: &BTreeSet<String>, reporter: &mut Reporter<'_>) {
    if detection.conditions.is_empty() {
        return;
    }
    for selection in detection.selections.iter().filter(|selection| !used.contains(&selection.name)) {
        let message = format!("no condition uses the selection `{}`", selection.name);
        reporter.report(Level::Warning, "R022", selection.span, message, None);
    }
}

struct Linker<'d> {
    /// In the order in which they are written.
    names: Vec<&'d str>,
    known: BTreeSet<&'d str>,
    /// Those that could be compiled.
    selections: BTreeMap<&'d str, Expression>,
    used: BTreeSet<String>,
    parts: usize,
    /// A condition names what is not there.
    undefined: bool,
    /// There are too many parts already, which was reported.
    full: bool,
}

impl Linker<'_> {
    fn link(&mut self, condition: &Condition, node: &Node, reporter: &mut Reporter<'_>) -> Option<Expression> {
        if self.full {
            return None;
        }
        match condition {
            Condition::And(sides) => self.links(sides, node, reporter).map(Expression::All),
            Condition::Or(sides) => self.links(sides, node, reporter).map(Expression::Any),
            Condition::Not(inner) => Some(Expression::Not(Box::new(self.link(inner, node, reporter)?))),
            Condition::Name(word) => {
                if !self.known.contains(word.text.as_str()) {
                    self.undefined(word, node, reporter);
                    return None;
                }
                self.selection(&word.text.clone(), node, reporter)
            }
            Condition::Of { every, names } => {
                let chosen: Vec<String> = self
                    .names
                    .iter()
                    .filter(|name| Condition::selects(&names.text, name))
                    .map(|name| (*name).to_owned())
                    .collect();
                if chosen.is_empty() {
                    self.undefined(names, node, reporter);
                    return None;
                }
                // All of them are used, whether or not each could be compiled.
                let members: Vec<_> = chosen.iter().map(|name| self.selection(name, node, reporter)).collect();
                let members = members.into_iter().collect::<Option<Vec<_>>>()?;
                Some(if *every { Expression::All(members) } else { Expression::Any(members) })
            }
        }
    }

    fn links(&mut self, sides: &[Condition], node: &Node, reporter: &mut Reporter<'_>) -> Option<Vec<Expression>> {
        let linked: Vec<_> = sides.iter().map(|side| self.link(side, node, reporter)).collect();
        linked.into_iter().collect()
    }

    /// `None` also for a selection that could not be compiled, which was reported there.
    fn selection(&mut self, name: &str, node: &Node, reporter: &mut Reporter<'_>) -> Option<Expression> {
        if self.full {
            return None;
        }
        self.used.insert(name.to_owned());
        let expression = self.selections.get(name)?;
        self.parts += size(expression);
        if self.parts > PARTS_MAX {
            self.full = true;
            let message = format!("the conditions name selections of more than {PARTS_MAX} parts in all");
            let hint = "split the rule, or name each selection once";
            reporter.error_hint("R020", super::diagnostic::Span::of(node), message, hint);
            return None;
        }
        Some(expression.clone())
    }

    fn undefined(&mut self, word: &Word, node: &Node, reporter: &mut Reporter<'_>) {
        self.undefined = true;
        let text = node.as_text().unwrap_or_default();
        let before = text.get(..word.start).map_or(0, |before| before.chars().count());
        let span = reporter.inside(node, text, before, word.text.chars().count());
        let pattern = word.text.contains('*') || word.text == "them";
        let message = if pattern {
            format!("no selection fits `{}`", word.text)
        } else {
            format!("the selection `{}` is not defined", word.text)
        };
        let near = crate::base::text::nearest(&word.text, self.names.iter().copied());
        let hint = match near.filter(|_| !pattern) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", self.names.join(", ")),
        };
        reporter.report(Level::Error, "R021", span, message, Some(hint));
    }
}

/// How many parts an expression has.
pub fn size(expression: &Expression) -> usize {
    match expression {
        Expression::All(members) | Expression::Any(members) => 1 + members.iter().map(size).sum::<usize>(),
        Expression::Not(inner) => 1 + size(inner),
        Expression::Field { matchers, .. } | Expression::Keywords { matchers, .. } => 1 + matchers.len(),
        Expression::Exists { .. } | Expression::Present { .. } | Expression::Reference { .. } => 1,
    }
}
