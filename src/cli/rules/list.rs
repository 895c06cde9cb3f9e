//! `lanner rules list` and `show`: what rules there are, and what overrides change about them.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::Format;
use crate::detect::overrides::Change;
use crate::detect::{self, Rule, RuleSet};

/// Lists the rules; those that overrides switched off come last.
pub fn list(set: &RuleSet, format: Format) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    for (number, rule) in set.rules().iter().enumerate() {
        let off = set.disabled().iter().find(|off| off.rule.display_id() == rule.display_id());
        let changes = off.map_or_else(|| set.changes(number), |off| off.changes.as_slice());
        match format {
            Format::Json => writeln!(out, "{}", describe(rule, changes, off.is_none()))?,
            Format::Text => write_line(&mut out, rule, changes)?,
        }
        if let Some(off) = off.filter(|_| format == Format::Text) {
            writeln!(out, "{:<9}   silent only: {} counts it", "", off.counted_by.join(", "))?;
        }
    }
    for off in set.disabled().iter().filter(|off| off.counted_by.is_empty()) {
        match format {
            Format::Json => writeln!(out, "{}", describe(&off.rule, &off.changes, false))?,
            Format::Text => write_line(&mut out, &off.rule, &off.changes)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_line(out: &mut impl std::io::Write, rule: &Rule, changes: &[Change]) -> std::io::Result<()> {
    let other = if rule.correlation.is_some() { "correlation" } else { "any" };
    let category = rule.logsource.category.as_deref().unwrap_or(other);
    let severity = rule.severity.as_str();
    writeln!(out, "{:<9} {severity:<13} {category:<15} {}", rule.display_id(), rule.title)?;
    changes.iter().try_for_each(|change| writeln!(out, "{:<9}   {change}", ""))
}

/// Shows one rule with all that it says of itself.
pub fn show(set: &RuleSet, id: &str, format: Format) -> anyhow::Result<ExitCode> {
    let (rule, changes, enabled) =
        find(set, id).with_context(|| format!("there is no rule `{id}`; `lanner rules list` lists all"))?;
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", describe(rule, changes, enabled))?,
        Format::Text => {
            writeln!(out, "{} {}\n", rule.display_id(), rule.title)?;
            writeln!(out, "{}\n", rule.description)?;
            for (name, text) in details(rule) {
                writeln!(out, "{name:<16} {text}")?;
            }
            changes.iter().try_for_each(|change| writeln!(out, "{:<16} {change}", "override"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A rule by what outputs call it, its UUID or its title; whether it is in force, and what was changed.
fn find<'s>(set: &'s RuleSet, id: &str) -> Option<(&'s Rule, &'s [Change], bool)> {
    let named = |rule: &Rule| {
        rule.display_id().eq_ignore_ascii_case(id)
            || rule.uuid.as_deref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(id))
            || rule.title == id
    };
    if let Some(off) = set.disabled().iter().find(|off| named(&off.rule)) {
        return Some((&off.rule, &off.changes, false));
    }
    let number = set.rules().iter().position(named)?;
    Some((set.rule(number)?, set.changes(number), true))
}

fn details(rule: &Rule) -> Vec<(&'static str, String)> {
    let technique = |id: &crate::event::TechniqueId| match detect::catalogue::find(id.as_str()) {
        Some(entry) => format!("{id} {}", entry.name),
        None => id.to_string(),
    };
    let mitigation = |id: &crate::event::MitigationId| match detect::catalogue::find(id.as_str()) {
        Some(entry) => format!("{id} {}", entry.name),
        None => id.to_string(),
    };
    vec![
        ("severity", rule.severity.as_str().to_owned()),
        ("category", rule.logsource.category.clone().unwrap_or_default()),
        ("phase", rule.phase.map(|phase| phase.as_str().to_owned()).unwrap_or_default()),
        ("techniques", rule.atlas.iter().map(technique).collect::<Vec<_>>().join("; ")),
        ("mitigations", rule.mitigations.iter().map(mitigation).collect::<Vec<_>>().join("; ")),
        ("false positives", rule.falsepositives.join("; ")),
        ("asks about", rule.referenced_fields.join(", ")),
        ("shows", rule.fields.join(", ")),
        ("references", rule.references.join(", ")),
        ("uuid", rule.uuid.clone().unwrap_or_default()),
        ("filters", rule.filters.join("; ")),
        ("tests", (rule.tests.len() + rule.timelines.len()).to_string()),
        (
            "imported",
            if rule.imported { format!("by {}", rule.author.as_deref().unwrap_or("?")) } else { String::new() },
        ),
        ("file", rule.path.clone()),
    ]
}

fn describe(rule: &Rule, changes: &[Change], enabled: bool) -> serde_json::Value {
    json!({
        "id": rule.display_id(),
        "uuid": rule.uuid,
        "title": rule.title,
        "description": rule.description,
        "status": rule.status,
        "author": rule.author,
        "imported": rule.imported,
        "severity": rule.severity,
        "category": rule.logsource.category,
        "product": rule.logsource.product,
        "service": rule.logsource.service,
        "atlas": rule.atlas,
        "atlas_version": rule.atlas_version,
        "phase": rule.phase,
        "mitigations": rule.mitigations,
        "tags": rule.tags,
        "fields": rule.fields,
        "referenced_fields": rule.referenced_fields,
        "falsepositives": rule.falsepositives,
        "references": rule.references,
        "filters": rule.filters,
        "correlation": rule.correlation.is_some(),
        "tests": rule.tests.len() + rule.timelines.len(),
        "path": rule.path,
        "line": rule.line,
        "enabled": enabled,
        "silent": rule.silent,
        "overrides": changes,
    })
}
