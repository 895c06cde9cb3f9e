//! What a rule says of itself: title, ids, level, tags and the like.

use crate::base::text;
use crate::base::yaml::{Data, Node};
use crate::detect::diagnostic::{Level, Reporter, Span};
use crate::detect::rule::{Related, Rule};
use crate::detect::schema::Schema;
use crate::event::Severity;

use super::custom::{self, Tests};
use super::detection::{self, Detection};
use super::logsource::Logsource;
use super::{keys, tags};

/// Every key that Sigma gives a meaning, and ours.
const KEYS: &[&str] = &[
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "correlation",
    "generate",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "lanner",
];
const STATUSES: &[&str] = &["stable", "test", "experimental", "deprecated", "unsupported"];
/// Rules that their authors have given up.
const GIVEN_UP: &[&str] = &["deprecated", "unsupported"];
/// How rules can be related.
const RELATIONS: &[&str] = &["correlation", "derived", "merged", "obsolete", "renamed", "similar"];
/// Characters of a title.
const TITLE_CHARS_MAX: usize = 256;

/// A rule about single events as written.
#[derive(Debug, Clone)]
pub struct Written {
    pub head: Head,
    pub detection: Detection,
}

/// What every rule says of itself, and where, to report what is wrong with it later.
#[derive(Debug, Clone)]
pub struct Head {
    pub rule: Rule,
    pub id_span: Span,
    pub short_id_span: Span,
    pub name_span: Span,
    pub title_span: Span,
}

/// Reads a rule about single events.
pub fn read(node: &Node, path: &str, schema: &Schema, reporter: &mut Reporter<'_>) -> Written {
    let mut head = head(node, path, Tests::Events, schema, reporter);
    head.rule.logsource = Logsource::read(node, schema, reporter);
    Written { head, detection: detection::read(node, reporter) }
}

/// Reads what all kinds of rules have in common.
pub fn head(node: &Node, path: &str, tests: Tests, schema: &Schema, reporter: &mut Reporter<'_>) -> Head {
    let imported = custom::imported(node);
    let strict = !schema.is_open() && !imported;
    keys::unknown(node, KEYS, false, strict, reporter);
    required(node, strict, reporter);
    let mark = reporter.mark();
    let written_tags = keys::texts(node, "tags", reporter);
    let atlas = tags::techniques(&written_tags, strict, reporter);
    if strict && atlas.is_empty() && node.get("tags").is_some() && !reporter.errors_since(mark) {
        let span = node.get("tags").map(Span::of).unwrap_or_default();
        reporter.error("R030", span, "no tag names an ATLAS technique, as in `atlas.aml.t0018`");
    }
    let custom = custom::read(node, tests, schema, reporter);
    let (short_id, short_id_span) = custom.short_id.unzip();
    let fields = keys::texts(node, "fields", reporter);
    known_fields(&fields, schema, reporter);
    unused(node, reporter);
    let rule = Rule {
        short_id,
        uuid: id(node, strict, reporter),
        name: keys::text(node, "name", reporter),
        title: title(node, strict, reporter),
        description: keys::text(node, "description", reporter).unwrap_or_default(),
        status: status(node, strict, reporter),
        related: related(node, strict, reporter),
        author: optional_text(node, "author"),
        date: optional_text(node, "date"),
        modified: optional_text(node, "modified"),
        severity: level(node, reporter),
        atlas,
        tags: written_tags.into_iter().map(|(tag, _)| tag).collect(),
        atlas_version: custom.atlas_version,
        phase: custom.phase,
        mitigations: custom.mitigations,
        logsource: Logsource::default(),
        fields: fields.into_iter().map(|(field, _)| field).collect(),
        referenced_fields: Vec::new(),
        falsepositives: loose_texts(node, "falsepositives"),
        references: loose_texts(node, "references"),
        tests: custom.tests,
        timelines: custom.timelines,
        filters: Vec::new(),
        correlation: None,
        silent: false,
        disabled: false,
        imported,
        path: path.to_owned(),
        line: node.line,
    };
    let span = |key| node.get(key).map(Span::of).unwrap_or_default();
    Head {
        rule,
        id_span: span("id"),
        short_id_span: short_id_span.unwrap_or_default(),
        name_span: span("name"),
        title_span: span("title"),
    }
}

fn required(node: &Node, strict: bool, reporter: &mut Reporter<'_>) {
    let ours: &[&str] = &["id", "description", "tags", "level", "falsepositives"];
    for key in ["title"].iter().chain(ours.iter().filter(|_| strict)) {
        if node.get(key).is_none_or(|value| value.data == Data::Null) {
            keys::missing(node, key, "a rule needs it", reporter);
        }
    }
}

fn title(node: &Node, strict: bool, reporter: &mut Reporter<'_>) -> String {
    let title = keys::text(node, "title", reporter).unwrap_or_default();
    if title.chars().count() > TITLE_CHARS_MAX {
        let severity = if strict { Level::Error } else { Level::Warning };
        let span = node.get("title").map(Span::of).unwrap_or_default();
        let message = format!("a title has at most {TITLE_CHARS_MAX} characters");
        reporter.report(severity, "R006", span, message, None);
    }
    title
}

/// Keys that we give no meaning but whose shape Sigma lays down.
fn unused(node: &Node, reporter: &mut Reporter<'_>) {
    for key in ["taxonomy", "license"] {
        keys::text(node, key, reporter);
    }
    keys::texts(node, "scope", reporter);
}

/// `related: [{id: …, type: obsolete}]`; what is malformed is reported and left out.
fn related(node: &Node, strict: bool, reporter: &mut Reporter<'_>) -> Vec<Related> {
    let Some(written) = node.get("related").filter(|written| written.data != Data::Null) else {
        return Vec::new();
    };
    let severity = if strict { Level::Error } else { Level::Warning };
    let one = std::slice::from_ref(written);
    let mut found = Vec::new();
    for item in written.as_list().unwrap_or(one) {
        let (Some(id), Some(kind)) = (optional_text(item, "id"), optional_text(item, "type")) else {
            let message = format!("`related` is a list of mappings of id and type, not {}", item.kind());
            reporter.report(severity, "R004", Span::of(item), message, None);
            continue;
        };
        if !RELATIONS.contains(&kind.as_str()) {
            let span = item.get("type").map(Span::of).unwrap_or_default();
            let hint = format!("there are {}", RELATIONS.join(", "));
            reporter.report(severity, "R006", span, format!("`{kind}` is no relation"), Some(hint));
        }
        found.push(Related { id, kind });
    }
    found
}

pub fn id(node: &Node, strict: bool, reporter: &mut Reporter<'_>) -> Option<String> {
    let value = node.get("id")?;
    let Some(id) = optional_text(node, "id") else {
        keys::wrong(value, "id", "a UUID", reporter);
        return None;
    };
    let mut groups = id.split('-').map(str::len);
    let well_formed = [8, 4, 4, 4, 12].into_iter().all(|length| groups.next() == Some(length))
        && groups.next().is_none()
        && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !well_formed {
        let severity = if strict { Level::Error } else { Level::Warning };
        let hint = "write a UUID: 8-4-4-4-12 hexadecimal digits".to_owned();
        reporter.report(severity, "R007", Span::of(value), format!("`{id}` is no UUID"), Some(hint));
    }
    Some(id)
}

fn status(node: &Node, strict: bool, reporter: &mut Reporter<'_>) -> Option<String> {
    let status = keys::text(node, "status", reporter)?;
    if !STATUSES.contains(&status.as_str()) {
        let severity = if strict { Level::Error } else { Level::Warning };
        let span = node.get("status").map(Span::of).unwrap_or_default();
        let hint = format!("there are {}", STATUSES.join(", "));
        reporter.report(severity, "R006", span, format!("`{status}` is no status"), Some(hint));
    }
    if GIVEN_UP.contains(&status.as_str()) {
        let span = node.get("status").map(Span::of).unwrap_or_default();
        let hint = "disable the rule, or take the one that replaces it; see `related`".to_owned();
        let message = format!("the rule is in force although its status is `{status}`");
        reporter.report(Level::Warning, "R029", span, message, Some(hint));
    }
    Some(status)
}

fn level(node: &Node, reporter: &mut Reporter<'_>) -> Severity {
    let Some(written) = keys::text(node, "level", reporter) else {
        return Severity::Medium;
    };
    let known = Severity::ALL.into_iter().find(|severity| severity.as_str() == written);
    known.unwrap_or_else(|| {
        let names = Severity::ALL.map(Severity::as_str);
        let span = node.get("level").map(Span::of).unwrap_or_default();
        let hint = match text::nearest(&written, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        reporter.error_hint("R006", span, format!("`{written}` is no level"), hint);
        Severity::Medium
    })
}

/// Evidence that a rule lists must be a field, or a family such as `ml.model.tags.*`.
fn known_fields(fields: &[(String, Span)], schema: &Schema, reporter: &mut Reporter<'_>) {
    for (field, span) in fields.iter().filter(|(field, _)| schema.kind_of(field).is_none()) {
        let hint = schema.nearest(field).map(|near| format!("did you mean `{near}`?"));
        reporter.report(Level::Error, "R012", *span, format!("unknown field `{field}`"), hint);
    }
}

/// A text, or a number or date that YAML read as something else.
fn optional_text(node: &Node, key: &str) -> Option<String> {
    match &node.get(key)?.data {
        Data::Text(text) => Some(text.trim().to_owned()),
        Data::Int(number) => Some(number.to_string()),
        Data::Float(number) => Some(number.to_string()),
        Data::Null | Data::Bool(_) | Data::List(_) | Data::Map(_) => None,
    }
}

/// Texts where foreign rules are careless: one text counts as a list of one.
fn loose_texts(node: &Node, key: &str) -> Vec<String> {
    let Some(value) = node.get(key) else {
        return Vec::new();
    };
    let one = std::slice::from_ref(value);
    let items = value.as_list().unwrap_or(one);
    items.iter().filter_map(Node::as_text).map(|text| text.trim().to_owned()).collect()
}
