//! Rule files → one rule set, or everything that is wrong with them.

use std::collections::BTreeMap;

use crate::base::yaml::{self, Data};
use crate::event::digest;

use super::Source;
use super::compile::compile;
use super::diagnostic::{Diagnostic, Level, Reporter, Span};
use super::frame::FieldTable;
use super::ruleset::{Loaded, RuleSet};
use super::schema::Schema;
use super::sigma::rule::{self, Written};
use super::sigma::{DOCUMENTS_MAX, FILE_BYTES_MAX};

/// Loads all rules of all files. The error holds every problem, warnings included, in the order of
/// the files; warnings alone are kept in the set.
pub fn load(sources: &[Source], schema: &Schema) -> Result<RuleSet, Vec<Diagnostic>> {
    let mut table = FieldTable::default();
    let mut rules: Vec<Loaded> = Vec::new();
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut ids = Ids::default();
    for source in sources {
        let mut reporter = Reporter::new(source);
        for written in documents(source, schema, &mut reporter) {
            ids.check(&written, schema, &mut reporter);
            if let Some(compiled) = compile(&written.detection, schema, &mut table, &mut reporter) {
                let mut rule = written.rule;
                rule.referenced_fields = compiled.referenced;
                rules.push(Loaded { rule, expression: compiled.expression });
            }
        }
        let mut diagnostics = reporter.into_found();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        found.append(&mut diagnostics);
    }
    if found.iter().any(|diagnostic| diagnostic.severity == Level::Error) {
        return Err(found);
    }
    Ok(RuleSet::new(rules, table, digest_of(sources), found))
}

fn documents(source: &Source, schema: &Schema, reporter: &mut Reporter<'_>) -> Vec<Written> {
    if source.text.len() > FILE_BYTES_MAX {
        reporter.error("R001", Span::default(), format!("the file is larger than {FILE_BYTES_MAX} bytes"));
        return Vec::new();
    }
    let nodes = match yaml::parse(&source.text) {
        Ok(nodes) => nodes,
        Err(error) => {
            let span = Span { line: error.line, column: error.column, length: 1 };
            reporter.error("R001", span, format!("invalid YAML: {}", error.message));
            return Vec::new();
        }
    };
    if nodes.len() > DOCUMENTS_MAX {
        reporter.error("R001", Span::default(), format!("more than {DOCUMENTS_MAX} documents"));
        return Vec::new();
    }
    let (empty, nodes): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.data == Data::Null);
    if nodes.is_empty() {
        let span = empty.first().map(|node| Span::of(node)).unwrap_or_default();
        reporter.error("R002", span, "the file holds no rule");
    }
    nodes.into_iter().filter_map(|node| rule::read(node, &source.path, schema, reporter)).collect()
}

/// Ids used so far and by which file.
#[derive(Default)]
struct Ids {
    seen: BTreeMap<String, String>,
}

impl Ids {
    fn check(&mut self, written: &Written, schema: &Schema, reporter: &mut Reporter<'_>) {
        let severity = if schema.is_open() { Level::Warning } else { Level::Error };
        let ids = [
            (written.rule.uuid.as_ref().map(|id| id.to_ascii_lowercase()), written.id_span),
            (written.rule.short_id.clone(), written.short_id_span),
        ];
        for (id, span) in ids {
            let Some(id) = id else {
                continue;
            };
            if let Some(other) = self.seen.get(&id) {
                let message = format!("the id `{id}` is used twice");
                reporter.report(severity, "R008", span, message, Some(format!("{other} has it too")));
            } else {
                self.seen.insert(id, format!("{}:{}", written.rule.path, span.line));
            }
        }
    }
}

/// The same texts give the same digest, in whatever files and order they come.
fn digest_of(sources: &[Source]) -> crate::event::Sha256 {
    let mut texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
    texts.sort_unstable();
    digest::of_parts(&texts)
}
