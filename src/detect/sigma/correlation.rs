//! Correlation rules as written (Sigma correlation rules specification 2.1).

use crate::base::text;
use crate::base::yaml::{Data, Node};
use crate::detect::correlation::plan::{Bound, Kind};
use crate::detect::diagnostic::{Level, Reporter, Span};
use crate::detect::number::Number;
use crate::detect::schema::Schema;

use super::condition::{self, Condition};
use super::custom::Tests;
use super::modifier::Comparison;
use super::rule::{self, Head};
use super::{keys, timespan};

/// The `correlation` of a rule, its names not looked up yet.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// The percentile of `value_percentile` is in [`Bounds::percentile`].
    pub kind: Kind,
    /// Names or ids.
    pub rules: Vec<(String, Span)>,
    /// Names of fields or aliases.
    pub group_by: Vec<(String, Span)>,
    pub aliases: Vec<Alias>,
    pub timespan_millis: i64,
    pub condition: Wanted,
    pub generate: bool,
    pub span: Span,
}

/// A name for a field that rules call differently.
#[derive(Debug, Clone)]
pub struct Alias {
    pub name: String,
    pub span: Span,
    /// Rule and field.
    pub fields: Vec<[(String, Span); 2]>,
}

/// The condition as written.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// None: all rules.
    Every,
    Bounds(Bounds),
    /// Over the names of rules, at this node.
    Rules(Condition, Node),
}

#[derive(Debug, Clone, Default)]
pub struct Bounds {
    pub limits: Vec<(Bound, Number, Span)>,
    pub fields: Vec<(String, Span)>,
    pub percentile: Option<(f64, Span)>,
    pub span: Span,
}

/// The types of correlation.
pub const KINDS: &[(&str, Kind)] = &[
    ("event_count", Kind::EventCount),
    ("value_count", Kind::ValueCount),
    ("temporal", Kind::Temporal),
    ("temporal_ordered", Kind::TemporalOrdered),
    ("value_sum", Kind::ValueSum),
    ("value_avg", Kind::ValueAvg),
    ("value_percentile", Kind::ValuePercentile(50.0)),
    ("value_median", Kind::ValueMedian),
];
/// The operators of a condition.
pub const BOUNDS: &[(&str, Bound)] = &[
    ("gt", Bound::Compare(Comparison::Gt)),
    ("gte", Bound::Compare(Comparison::Gte)),
    ("lt", Bound::Compare(Comparison::Lt)),
    ("lte", Bound::Compare(Comparison::Lte)),
    ("eq", Bound::Equal),
    ("neq", Bound::NotEqual),
];
const KEYS: &[&str] = &["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
const CONDITION_KEYS: &[&str] = &["gt", "gte", "lt", "lte", "eq", "neq", "field", "percentile"];
/// Rules that one correlation counts.
const RULES_MAX: usize = 256;
/// Fields to group by, and fields of which values are counted.
const FIELDS_MAX: usize = 32;

/// Reads the document. The correlation is `None` when it makes no sense, which is reported.
pub fn read(node: &Node, path: &str, schema: &Schema, reporter: &mut Reporter<'_>) -> (Head, Option<Correlation>) {
    let mark = reporter.mark();
    let head = rule::head(node, path, Tests::Timelines, schema, reporter);
    let correlation = section(node, schema, reporter);
    (head, correlation.filter(|_| !reporter.errors_since(mark)))
}

fn section(document: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Correlation> {
    let node = document.get("correlation")?;
    if node.as_map().is_none() {
        keys::wrong(node, "correlation", "a mapping of type, rules, timespan and condition", reporter);
        return None;
    }
    keys::unknown(node, KEYS, true, true, reporter);
    // All of them are read even after a failure: all problems are reported.
    let kind = kind(node, reporter);
    let rules = names(node, "rules", RULES_MAX, reporter);
    let group_by = names(node, "group-by", FIELDS_MAX, reporter);
    let aliases = aliases(node, reporter);
    let timespan_millis = timespan(node, reporter);
    let generate = generate(document, node, reporter);
    if rules.is_empty() && node.get("rules").is_none_or(|rules| rules.as_list().is_some_and(<[_]>::is_empty)) {
        keys::missing(node, "rules", "the names or ids of the rules to count", reporter);
    }
    let kind = kind?;
    let condition = condition(node, kind, schema, reporter);
    let span = Span::of(node);
    let (timespan_millis, condition) = (timespan_millis?, condition?);
    Some(Correlation { kind, rules, group_by, aliases, timespan_millis, condition, generate, span })
}

fn kind(node: &Node, reporter: &mut Reporter<'_>) -> Option<Kind> {
    let Some(written) = node.get("type") else {
        keys::missing(node, "type", "for example `event_count`", reporter);
        return None;
    };
    let name = keys::text(node, "type", reporter)?;
    let known = KINDS.iter().find(|(known, _)| *known == name);
    if known.is_none() {
        let names = KINDS.iter().map(|(name, _)| *name);
        let hint = match text::nearest(&name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        reporter.error_hint("R006", Span::of(written), format!("`{name}` is no type of correlation"), hint);
    }
    known.map(|(_, kind)| *kind)
}

/// A list of texts, or one text.
fn names(node: &Node, key: &str, most: usize, reporter: &mut Reporter<'_>) -> Vec<(String, Span)> {
    let Some(written) = node.get(key) else {
        return Vec::new();
    };
    let found = match written.as_text() {
        Some(text) => vec![(text.to_owned(), Span::of(written))],
        None => keys::texts(node, key, reporter),
    };
    if found.len() > most {
        reporter.error("R061", Span::of(written), format!("`{key}` has at most {most} members"));
    }
    if let Some((_, span)) = found.iter().find(|(name, _)| name.trim().is_empty()) {
        reporter.error("R004", *span, format!("`{key}` has an empty member"));
    }
    found
}

fn aliases(node: &Node, reporter: &mut Reporter<'_>) -> Vec<Alias> {
    let Some(written) = node.get("aliases").filter(|written| written.data != Data::Null) else {
        return Vec::new();
    };
    let Some(members) = written.as_map() else {
        keys::wrong(written, "aliases", "a mapping of names to rules and their fields", reporter);
        return Vec::new();
    };
    members.iter().filter_map(|(name, fields)| alias(name, fields, reporter)).collect()
}

fn alias(name: &Node, fields: &Node, reporter: &mut Reporter<'_>) -> Option<Alias> {
    let (Some(text), Some(members)) = (name.as_text(), fields.as_map()) else {
        keys::wrong(fields, "an alias", "a mapping of rules to fields", reporter);
        return None;
    };
    let mut pairs = Vec::new();
    for (rule, field) in members {
        match (rule.as_text(), field.as_text()) {
            (Some(rule_name), Some(path)) => {
                pairs.push([(rule_name.to_owned(), Span::of(rule)), (path.to_owned(), Span::of(field))]);
            }
            _ => keys::wrong(field, "an alias", "a mapping of rules to fields", reporter),
        }
    }
    Some(Alias { name: text.to_owned(), span: Span::of(name), fields: pairs })
}

fn timespan(node: &Node, reporter: &mut Reporter<'_>) -> Option<i64> {
    let Some(written) = node.get("timespan") else {
        keys::missing(node, "timespan", "how far apart the events may be, for example `5m`", reporter);
        return None;
    };
    match timespan::parse(written) {
        Ok(millis) => Some(millis),
        Err(message) => {
            reporter.error("R061", Span::of(written), message);
            None
        }
    }
}

/// In the correlation, as the reference implementation has it, or beside it, as the specification does.
fn generate(document: &Node, node: &Node, reporter: &mut Reporter<'_>) -> bool {
    let mut flag = false;
    for written in [node.get("generate"), document.get("generate")].into_iter().flatten() {
        match written.data {
            Data::Bool(generate) => flag |= generate,
            Data::Null | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
                keys::wrong(written, "generate", "true or false", reporter);
            }
        }
    }
    flag
}

fn condition(node: &Node, kind: Kind, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Wanted> {
    let temporal = matches!(kind, Kind::Temporal | Kind::TemporalOrdered);
    let Some(written) = node.get("condition").filter(|written| written.data != Data::Null) else {
        if temporal {
            return Some(Wanted::Every);
        }
        keys::missing(node, "condition", "for example `{gte: 10}`", reporter);
        return None;
    };
    match &written.data {
        Data::Text(text) if temporal => rules(text, written, reporter),
        Data::Map(_) => bounds(written, kind, schema, reporter).map(Wanted::Bounds),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) => {
            let wanted = if temporal {
                "a condition over the rules, or a mapping such as `{gte: 2}`"
            } else {
                "a mapping such as `{gte: 10}`"
            };
            keys::wrong(written, "condition", wanted, reporter);
            None
        }
    }
}

/// The specification's own examples write `AND` here, in capitals; rules' conditions do not.
fn rules(text: &str, node: &Node, reporter: &mut Reporter<'_>) -> Option<Wanted> {
    match condition::parse(&lower_operators(text)) {
        Ok(condition) => Some(Wanted::Rules(condition, node.clone())),
        Err(error) => {
            let before = text.get(..error.start).map_or(0, |before| before.chars().count());
            let span = reporter.inside(node, text, before, error.length);
            reporter.report(Level::Error, "R020", span, error.message, error.hint);
            None
        }
    }
}

/// The same text, of the same length, with operators in lower case.
fn lower_operators(text: &str) -> String {
    let pieces = text.split_inclusive(|c: char| c.is_whitespace() || c == '(' || c == ')');
    let lower = |piece: &str| match piece.trim_end_matches(|c: char| c.is_whitespace() || c == '(' || c == ')') {
        "AND" | "OR" | "NOT" => piece.to_ascii_lowercase(),
        _ => piece.to_owned(),
    };
    pieces.map(lower).collect()
}

fn bounds(node: &Node, kind: Kind, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Bounds> {
    let mark = reporter.mark();
    keys::unknown(node, CONDITION_KEYS, true, true, reporter);
    let mut found = Bounds { span: Span::of(node), ..Bounds::default() };
    for (name, bound) in BOUNDS {
        let Some(written) = node.get(name) else { continue };
        match number(written) {
            Some(number) => found.limits.push((*bound, number, Span::of(written))),
            None => keys::wrong(written, name, "a number", reporter),
        }
    }
    found.fields = names(node, "field", FIELDS_MAX, reporter);
    found.percentile = percentile(node, kind, schema, reporter);
    fields(&found, kind, node, reporter);
    if found.limits.is_empty() && !reporter.errors_since(mark) {
        let names: Vec<&str> = BOUNDS.iter().map(|(name, _)| *name).collect();
        let hint = format!("write one of {}", names.join(", "));
        reporter.error_hint("R061", Span::of(node), "the condition says no number", hint);
    }
    (!reporter.errors_since(mark)).then_some(found)
}

/// Some types need a field, the others have no use for one.
fn fields(bounds: &Bounds, kind: Kind, node: &Node, reporter: &mut Reporter<'_>) {
    let named = KINDS.iter().find(|(_, known)| same(*known, kind)).map_or("", |(name, _)| name);
    let (least, most) = match kind {
        Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => (0, 0),
        Kind::ValueCount => (1, FIELDS_MAX),
        Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile(_) | Kind::ValueMedian => (1, 1),
    };
    let at = |index: usize| bounds.fields.get(index).map_or(Span::of(node), |(_, span)| *span);
    if bounds.fields.len() < least {
        keys::missing(node, "field", &format!("`{named}` needs the field whose values are meant"), reporter);
    } else if most == 0 && !bounds.fields.is_empty() {
        reporter.error("R061", at(0), format!("`{named}` looks at no field"));
    } else if bounds.fields.len() > most {
        reporter.error("R061", at(most), format!("`{named}` takes one field"));
    }
}

/// Whether two kinds are the same but for the percentile.
pub fn same(a: Kind, b: Kind) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b)
}

fn percentile(node: &Node, kind: Kind, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<(f64, Span)> {
    let wanted = matches!(kind, Kind::ValuePercentile(_));
    let Some(written) = node.get("percentile") else {
        if wanted {
            let level = if schema.is_open() { Level::Warning } else { Level::Error };
            let message = "`percentile` is missing, so the median is meant".to_owned();
            reporter.report(level, "R061", Span::of(node), message, Some("write `percentile: 95`".to_owned()));
        }
        return None;
    };
    let number = match &written.data {
        Data::Int(number @ 1..=100) => i32::try_from(*number).ok().map(f64::from),
        Data::Float(number) if *number > 0.0 && *number <= 100.0 => Some(*number),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
            None
        }
    };
    if !wanted {
        reporter.error("R061", Span::of(written), "`percentile` belongs to `value_percentile`");
    } else if number.is_none() {
        reporter.error("R004", Span::of(written), "`percentile` is a number above 0 and at most 100");
    }
    number.map(|number| (number, Span::of(written)))
}

fn number(node: &Node) -> Option<Number> {
    match &node.data {
        Data::Int(number) => Some(Number::Int(*number)),
        Data::Float(number) => number.is_finite().then_some(Number::Float(*number)),
        Data::Null | Data::Bool(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => None,
    }
}
