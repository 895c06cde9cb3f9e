//! Filters → conditions added to the rules that they are for.
//!
//! The specification leaves open whether a filter's condition describes what to keep or what to leave
//! out. As in the reference implementation it is added to the rule's with `and`: to leave something out,
//! one writes `not selection`.

use std::collections::BTreeSet;

use super::compile::{Context, compile, size};
use super::diagnostic::{Level, Span};
use super::load::{Batch, Body};
use super::predicate::Expression;
use super::references::Names;
use super::sigma::filter::{Filter, Targets};

/// Parts of all copies of all filters: a filter stands in every rule that it is for.
const PARTS_MAX: usize = 5_000_000;

/// Adds every filter to its rules; reports those that are for no rule.
pub fn apply(batch: &mut Batch<'_>, names: &Names, context: &mut Context<'_>) {
    let mut parts = 0_usize;
    for (file, filter) in std::mem::take(&mut batch.filters) {
        let Some(reporter) = batch.reporters.get_mut(file) else { continue };
        let compiled = compile(&filter.detection, context, reporter);
        super::lint::selections(&filter.detection, reporter);
        let targets = targets(&filter, file, batch, names, context.schema.is_open());
        let Some(compiled) = compiled else { continue };
        parts = parts.saturating_add(size(&compiled.expression).saturating_mul(targets.len()));
        if parts > PARTS_MAX {
            report(batch, file, Level::Error, "R070", filter.span, "filters are too large for so many rules", None);
            return;
        }
        for index in targets {
            let Some(entry) = batch.entries.get_mut(index) else { continue };
            entry.head.rule.filters.push(filter.title.clone());
            if let Body::Rule(Some(expression)) = &mut entry.body {
                let rule = std::mem::replace(expression, Expression::Any(Vec::new()));
                *expression = Expression::All(vec![rule, compiled.expression.clone()]);
            }
        }
    }
}

fn targets(filter: &Filter, file: usize, batch: &mut Batch<'_>, names: &Names, open: bool) -> BTreeSet<usize> {
    // Others' rule sets and filters come apart; ours are kept together.
    let severity = if open { Level::Warning } else { Level::Error };
    let mut found = BTreeSet::new();
    let mut reported = false;
    match &filter.targets {
        Targets::Any => found.extend(rules(batch, |_| true, filter)),
        Targets::Named { rules: named, tags } => {
            for (name, span) in named {
                match target(name, filter, batch, names) {
                    Ok(index) => {
                        found.insert(index);
                    }
                    Err((message, hint)) => {
                        reported = true;
                        report(batch, file, severity, "R071", *span, &message, hint);
                    }
                }
            }
            for (tag, span) in tags {
                let tagged = rules(batch, |rule| has_tag(rule, tag), filter);
                if tagged.is_empty() {
                    reported = true;
                    let message = format!("no rule that the filter could be for has the tag `{tag}`");
                    report(batch, file, severity, "R071", *span, &message, None);
                }
                found.extend(tagged);
            }
        }
    }
    if found.is_empty() && !reported {
        let message = "the filter is for no rule: none has a logsource that its own covers";
        report(batch, file, severity, "R071", filter.span, message, None);
    }
    found
}

/// Numbers of the rules about single events that the filter's logsource covers.
fn rules(batch: &Batch<'_>, wanted: impl Fn(&super::Rule) -> bool, filter: &Filter) -> Vec<usize> {
    let all = batch.entries.iter().enumerate();
    all.filter(|(_, entry)| match entry.body {
        Body::Rule(_) => filter.logsource.includes(&entry.head.rule.logsource) && wanted(&entry.head.rule),
        Body::Correlation(_) => false,
    })
    .map(|(index, _)| index)
    .collect()
}

fn has_tag(rule: &super::Rule, tag: &str) -> bool {
    let technique = crate::event::TechniqueId::from_tag(tag);
    rule.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)) || technique.is_some_and(|id| rule.atlas.contains(&id))
}

fn target(name: &str, filter: &Filter, batch: &Batch<'_>, names: &Names) -> Result<usize, (String, Option<String>)> {
    let index = names.find(name).map_err(|unknown| (unknown.message, unknown.hint))?;
    let entry = batch.entries.get(index).ok_or_else(|| (format!("there is no rule `{name}`"), None))?;
    if let Body::Correlation(correlation) = &entry.body {
        let counted: Vec<&str> = correlation.iter().flat_map(|one| &one.rules).map(|(rule, _)| rule.as_str()).collect();
        let hint = format!("filter the rules that it counts: {}", counted.join(", "));
        return Err((format!("`{name}` is a correlation, which looks at no event itself"), Some(hint)));
    }
    if !filter.logsource.includes(&entry.head.rule.logsource) {
        let hint = "take the logsource of the rule, or leave it out".to_owned();
        return Err((format!("the filter's logsource does not cover that of `{name}`"), Some(hint)));
    }
    Ok(index)
}

fn report(
    batch: &mut Batch<'_>,
    file: usize,
    severity: Level,
    code: &'static str,
    span: Span,
    message: &str,
    hint: Option<String>,
) {
    if let Some(reporter) = batch.reporters.get_mut(file) {
        reporter.report(severity, code, span, message.to_owned(), hint);
    }
}
