//! Correlations as written → [`Plan`]s: names looked up, parts before wholes.

use std::collections::{BTreeMap, BTreeSet};

use super::correlation::Plan;
use super::correlation::plan::{Kind, Part};
use super::diagnostic::{Reporter, Span};
use super::load::{Batch, Body, Entry};
use super::references::Names;
use super::schema::Schema;
use super::sigma::correlation::{Correlation, Wanted};
use super::{bounds, parts, types};
use crate::event::FieldType;

/// Correlations of correlations of correlations.
const CHAIN_MAX: usize = 16;

/// Compiles all correlations. Gives the order of the set, by numbers of entries: rules first, then
/// correlations after those that they count. Rules that correlations count become silent unless one of
/// these generates.
pub fn compile(batch: &mut Batch<'_>, names: &Names, schema: &Schema) -> Vec<usize> {
    let counted = counted(batch, names);
    let (rules, correlations): (Vec<usize>, Vec<usize>) =
        (0..batch.entries.len()).partition(|index| matches!(batch.entries[*index].body, Body::Rule(_)));
    let mut order = rules;
    order.extend(sort(&correlations, &counted, batch));
    let numbers: BTreeMap<usize, usize> = order.iter().enumerate().map(|(number, index)| (*index, number)).collect();
    let mut loud: BTreeMap<usize, bool> = BTreeMap::new();
    for index in &correlations {
        let Some(parts) = counted.get(index) else { continue };
        if let Some((plan, referenced)) = plan(*index, parts, names, &numbers, batch, schema) {
            parts.iter().for_each(|part| *loud.entry(*part).or_default() |= plan.generate);
            let rule = &mut batch.entries[*index].head.rule;
            rule.referenced_fields = referenced;
            rule.correlation = Some(plan);
        }
    }
    for (index, generates) in loud {
        if let Some(entry) = batch.entries.get_mut(index) {
            entry.head.rule.silent = !generates;
        }
    }
    order
}

/// The entries that each correlation counts. A correlation with an unknown name is left out, which is
/// reported.
fn counted(batch: &mut Batch<'_>, names: &Names) -> BTreeMap<usize, Vec<usize>> {
    let mut counted = BTreeMap::new();
    for (index, entry) in batch.entries.iter().enumerate() {
        let (Body::Correlation(Some(correlation)), Some(reporter)) = (&entry.body, batch.reporters.get_mut(entry.file))
        else {
            continue;
        };
        let mut found = Vec::new();
        for (name, span) in &correlation.rules {
            match names.find(name) {
                Ok(part) if part == index => {
                    reporter.error("R062", *span, "the correlation counts itself");
                }
                Ok(part) if found.contains(&part) && correlation.kind != Kind::TemporalOrdered => {
                    reporter.error("R061", *span, format!("the rule `{name}` is named twice"));
                }
                Ok(part) => found.push(part),
                Err(unknown) => {
                    reporter.report(super::Level::Error, "R060", *span, unknown.message, unknown.hint);
                }
            }
        }
        if found.len() == correlation.rules.len() {
            counted.insert(index, found);
        }
    }
    counted
}

/// The correlations, each after those that it counts; circles are reported.
fn sort(correlations: &[usize], counted: &BTreeMap<usize, Vec<usize>>, batch: &mut Batch<'_>) -> Vec<usize> {
    let waits = |index: &usize, done: &BTreeSet<usize>| {
        let parts = counted.get(index).map(Vec::as_slice).unwrap_or_default();
        parts.iter().any(|part| correlations.contains(part) && !done.contains(part))
    };
    let (mut order, mut done) = (Vec::new(), BTreeSet::new());
    let mut left: Vec<usize> = correlations.to_vec();
    for _ in 0..CHAIN_MAX {
        let (later, ready): (Vec<usize>, Vec<usize>) = left.iter().partition(|index| waits(index, &done));
        done.extend(&ready);
        order.extend(ready);
        left = later;
    }
    for index in &left {
        let entry = &batch.entries[*index];
        let Body::Correlation(Some(correlation)) = &entry.body else { continue };
        let span = correlation.rules.first().map_or(correlation.span, |(_, span)| *span);
        let message = format!("correlations that count each other, or more than {CHAIN_MAX} of them in a chain");
        if let Some(reporter) = batch.reporters.get_mut(entry.file) {
            reporter.error_hint("R062", span, message, "a correlation can only count what does not depend on it");
        }
    }
    order.extend(left);
    order
}

/// The plan, and the fields that it looks at.
fn plan(
    index: usize,
    counted: &[usize],
    names: &Names,
    numbers: &BTreeMap<usize, usize>,
    batch: &mut Batch<'_>,
    schema: &Schema,
) -> Option<(Plan, Vec<String>)> {
    let entry = batch.entries.get(index)?;
    let Body::Correlation(Some(correlation)) = &entry.body else { return None };
    let reporter = batch.reporters.get_mut(entry.file)?;
    let mark = reporter.mark();
    let mut fields = Fields { correlation, counted, entries: &batch.entries, schema, reporter };
    fields.aliases(names);
    let value_names = match &correlation.condition {
        Wanted::Bounds(bounds) => bounds.fields.as_slice(),
        Wanted::Every | Wanted::Rules(..) => &[],
    };
    let mut compiled = Vec::new();
    for (position, (name, _)) in correlation.rules.iter().enumerate() {
        let group_fields = fields.resolve(position, &correlation.group_by, names);
        let value_fields = fields.resolve(position, value_names, names);
        let rule = counted.get(position).and_then(|part| numbers.get(part)).copied()?;
        compiled.push(Part { rule, name: name.clone(), group_fields, value_fields });
    }
    fields.declared(value_names);
    let kind = bounds::kind(correlation);
    let condition = match &correlation.condition {
        Wanted::Every => parts::every(compiled.len()),
        Wanted::Bounds(written) => bounds::compile(written, kind, compiled.len(), reporter),
        Wanted::Rules(written, node) => parts::compile(written, node, counted, correlation, names, reporter)?,
    };
    if reporter.errors_since(mark) {
        return None;
    }
    let mut referenced: Vec<String> =
        compiled.iter().flat_map(|part| part.group_fields.iter().chain(&part.value_fields)).cloned().collect();
    referenced.sort_unstable();
    referenced.dedup();
    let group_by = correlation.group_by.iter().map(|(name, _)| name.clone()).collect();
    let (timespan_millis, generate) = (correlation.timespan_millis, correlation.generate);
    Some((Plan { kind, parts: compiled, group_by, timespan_millis, condition, generate }, referenced))
}

/// Looks up aliases and checks the fields of one correlation.
struct Fields<'f, 's> {
    correlation: &'f Correlation,
    counted: &'f [usize],
    entries: &'f [Entry],
    schema: &'f Schema,
    reporter: &'f mut Reporter<'s>,
}

impl Fields<'_, '_> {
    /// Aliases name rules that are counted, and are used.
    fn aliases(&mut self, names: &Names) {
        for alias in &self.correlation.aliases {
            for [(rule, span), _] in &alias.fields {
                if !names.find(rule).is_ok_and(|index| self.counted.contains(&index)) {
                    let called: Vec<&str> = self.correlation.rules.iter().map(|(name, _)| name.as_str()).collect();
                    let hint = match crate::base::text::nearest(rule, called.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("it counts {}", called.join(", ")),
                    };
                    self.reporter.error_hint("R060", *span, format!("the correlation counts no rule `{rule}`"), hint);
                }
            }
            let values = match &self.correlation.condition {
                Wanted::Bounds(bounds) => bounds.fields.as_slice(),
                Wanted::Every | Wanted::Rules(..) => &[],
            };
            if !self.correlation.group_by.iter().chain(values).any(|(name, _)| *name == alias.name) {
                let message = format!("nothing uses the alias `{}`", alias.name);
                self.reporter.report(super::Level::Warning, "R022", alias.span, message, None);
            }
        }
    }

    /// The field of one part for each name; what is unknown is reported.
    fn resolve(&mut self, position: usize, wanted: &[(String, Span)], names: &Names) -> Vec<String> {
        let part = self.counted.get(position).copied();
        wanted.iter().map(|(name, span)| self.field(position, part, name, *span, names)).collect()
    }

    fn field(&mut self, position: usize, part: Option<usize>, name: &str, span: Span, names: &Names) -> String {
        let (field, span) = match self.correlation.aliases.iter().find(|alias| alias.name == name) {
            None if position > 0 && !self.is_correlation(part) => return name.to_owned(),
            None => (name.to_owned(), span),
            Some(alias) => {
                let of_part = alias.fields.iter().find(|[(rule, _), _]| names.find(rule).ok() == part);
                let Some([_, (field, span)]) = of_part else {
                    let rule = self.correlation.rules.get(position).map_or("", |(rule, _)| rule.as_str());
                    let message = format!("the alias `{name}` says no field for the rule `{rule}`");
                    self.reporter.error("R061", alias.span, message);
                    return name.to_owned();
                };
                (field.clone(), *span)
            }
        };
        if !self.groups_by(part, &field) {
            types::known(&field, span, self.schema, self.reporter);
        }
        field
    }

    fn is_correlation(&self, part: Option<usize>) -> bool {
        part.and_then(|part| self.entries.get(part)).is_some_and(|entry| matches!(entry.body, Body::Correlation(_)))
    }

    /// A correlation that is counted has the names that it groups by for fields.
    fn groups_by(&self, part: Option<usize>, field: &str) -> bool {
        match part.and_then(|part| self.entries.get(part)).map(|entry| &entry.body) {
            Some(Body::Correlation(Some(inner))) => inner.group_by.iter().any(|(name, _)| name == field),
            Some(Body::Correlation(None)) => true,
            Some(Body::Rule(_)) | None => false,
        }
    }

    /// Sums and the like are of numbers.
    fn declared(&mut self, values: &[(String, Span)]) {
        match self.correlation.kind {
            Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile(_) | Kind::ValueMedian => {}
            Kind::EventCount | Kind::ValueCount | Kind::Temporal | Kind::TemporalOrdered => return,
        }
        for (field, span) in values {
            match self.schema.kind_of(field) {
                Some(FieldType::Integer | FieldType::Float | FieldType::Open) | None => {}
                Some(kind @ (FieldType::Bool | FieldType::Text | FieldType::TextList | FieldType::Time)) => {
                    let message = format!("`{field}` is {}, and only numbers can be reckoned with", kind.as_str());
                    self.reporter.error("R013", *span, message);
                }
            }
        }
    }
}
