//! The `lanner:` block: what our rules say beyond Sigma.

use crate::base::yaml::{Data, Node};
use crate::detect::catalogue;
use crate::detect::diagnostic::{Level, Reporter, Span};
use crate::detect::rule::{RuleTest, Timeline};
use crate::detect::schema::Schema;
use crate::event::{Fields, LifecyclePhase, MitigationId, Value};

use super::{keys, timeline};

const KEYS: &[&str] = &["short_id", "atlas_version", "phase", "mitigations", "tests", "imported"];
/// What rules of our own have.
const REQUIRED: &[&str] = &["short_id", "atlas_version", "phase", "mitigations", "tests"];
const TEST_KEYS: &[&str] = &["name", "event", "match"];

/// The block as read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Custom {
    pub short_id: Option<(String, Span)>,
    pub atlas_version: Option<String>,
    pub phase: Option<LifecyclePhase>,
    pub mitigations: Vec<MitigationId>,
    pub tests: Vec<RuleTest>,
    pub timelines: Vec<Timeline>,
}

/// What the tests of a rule are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Single events.
    Events,
    /// Several events with times: for correlations.
    Timelines,
}

/// Whether the rule says that it was imported: then it need not have what our own have.
pub fn imported(rule: &Node) -> bool {
    rule.get("lanner").and_then(|block| block.get("imported")).is_some_and(|flag| flag.data == Data::Bool(true))
}

/// Reads the block; with declared fields it must be there and complete, unless the rule was imported.
pub fn read(rule: &Node, kind: Tests, schema: &Schema, reporter: &mut Reporter<'_>) -> Custom {
    let strict = !schema.is_open() && !imported(rule);
    let Some(node) = rule.get("lanner") else {
        if strict {
            keys::missing(rule, "lanner", "it holds short_id, atlas_version, phase, mitigations and tests", reporter);
        }
        return Custom::default();
    };
    if node.as_map().is_none() {
        keys::wrong(node, "lanner", "a mapping", reporter);
        return Custom::default();
    }
    keys::unknown(node, KEYS, true, strict, reporter);
    if let Some(flag) = node.get("imported").filter(|flag| !matches!(flag.data, Data::Bool(_))) {
        keys::wrong(flag, "imported", "true or false", reporter);
    }
    for key in REQUIRED.iter().filter(|key| strict && node.get(key).is_none()) {
        keys::missing(node, key, "our rules have it; see docs/rules.md", reporter);
    }
    let (tests, timelines) = match kind {
        Tests::Events => (tests(node, schema, reporter, test, |test: &RuleTest| test.matches), Vec::new()),
        Tests::Timelines => {
            (Vec::new(), tests(node, schema, reporter, timeline::read, |timeline: &Timeline| timeline.matches))
        }
    };
    Custom {
        short_id: short_id(node, reporter),
        atlas_version: atlas_version(node, reporter),
        phase: phase(node, reporter),
        mitigations: mitigations(node, strict, reporter),
        tests,
        timelines,
    }
}

fn short_id(node: &Node, reporter: &mut Reporter<'_>) -> Option<(String, Span)> {
    let id = keys::text(node, "short_id", reporter)?;
    let span = node.get("short_id").map(Span::of).unwrap_or_default();
    let well_formed = id.split_once('-').is_some_and(|(family, number)| {
        (2..=5).contains(&family.len())
            && family.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && (3..=5).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    });
    if !well_formed {
        let hint = "write it as `REG-001`: letters of the telemetry, a dash, a number";
        reporter.error_hint("R007", span, format!("`{id}` is no short id"), hint);
    }
    Some((id, span))
}

fn atlas_version(node: &Node, reporter: &mut Reporter<'_>) -> Option<String> {
    let version = keys::text(node, "atlas_version", reporter)?;
    let known = crate::event::atlas::VERSION;
    if version != known {
        let span = node.get("atlas_version").map(Span::of).unwrap_or_default();
        let message = format!("the rule was written for ATLAS {version}, its ids are checked against {known}");
        reporter.report(Level::Warning, "R030", span, message, None);
    }
    Some(version)
}

fn phase(node: &Node, reporter: &mut Reporter<'_>) -> Option<LifecyclePhase> {
    let written = keys::text(node, "phase", reporter)?;
    let phase = LifecyclePhase::ALL.into_iter().find(|phase| phase.as_str() == written);
    if phase.is_none() {
        let span = node.get("phase").map(Span::of).unwrap_or_default();
        let hint = format!("there are {}", LifecyclePhase::ALL.map(LifecyclePhase::as_str).join(", "));
        reporter.error_hint("R006", span, format!("`{written}` is no lifecycle phase"), hint);
    }
    phase
}

fn mitigations(node: &Node, strict: bool, reporter: &mut Reporter<'_>) -> Vec<MitigationId> {
    let severity = if strict { Level::Error } else { Level::Warning };
    let mut found = Vec::new();
    for (text, span) in keys::texts(node, "mitigations", reporter) {
        match text.parse::<MitigationId>() {
            Ok(id) if catalogue::find(&text).is_some() => found.push(id),
            Ok(_) | Err(_) => {
                let message = format!("`{text}` is no mitigation of ATLAS {}", crate::event::atlas::VERSION);
                reporter.report(severity, "R030", span, message, None);
            }
        }
    }
    found
}

/// Reads a list of tests of either kind; ours have one that matches and one that does not.
fn tests<T>(
    node: &Node,
    schema: &Schema,
    reporter: &mut Reporter<'_>,
    read: impl Fn(&Node, &Schema, &mut Reporter<'_>) -> Option<T>,
    matches: impl Fn(&T) -> bool,
) -> Vec<T> {
    let Some(list) = node.get("tests") else {
        return Vec::new();
    };
    let Some(items) = list.as_list() else {
        keys::wrong(list, "tests", "a list of tests", reporter);
        return Vec::new();
    };
    let tests: Vec<T> = items.iter().filter_map(|item| read(item, schema, reporter)).collect();
    for (wanted, name) in [(true, "matches"), (false, "does not match")] {
        if !schema.is_open() && tests.len() == items.len() && !tests.iter().any(|test| matches(test) == wanted) {
            reporter.error("R040", Span::of(list), format!("there must be a test that {name}"));
        }
    }
    tests
}

fn test(node: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<RuleTest> {
    if node.as_map().is_none() {
        keys::wrong(node, "a test", "a mapping of name, event and match", reporter);
        return None;
    }
    keys::unknown(node, TEST_KEYS, true, true, reporter);
    for key in TEST_KEYS.iter().filter(|key| node.get(key).is_none()) {
        keys::missing(node, key, "a test has name, event and match", reporter);
    }
    let name = keys::text(node, "name", reporter)?;
    let matches = flag(node, reporter)?;
    let event = fields(node.get("event")?, "event", &[], schema, reporter)?;
    Some(RuleTest { name, event, matches, line: node.line })
}

/// `match`, which is true or false.
pub fn flag(node: &Node, reporter: &mut Reporter<'_>) -> Option<bool> {
    match node.get("match")?.data {
        Data::Bool(flag) => Some(flag),
        Data::Null | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
            keys::wrong(node.get("match")?, "match", "true or false", reporter);
            None
        }
    }
}

/// The fields of a test's event, but for those to `skip`; their names are checked like those of the rule.
pub fn fields(event: &Node, key: &str, skip: &[&str], schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Fields> {
    let Some(members) = event.as_map() else {
        keys::wrong(event, key, "a mapping of fields to values", reporter);
        return None;
    };
    let mut fields = Fields::new();
    for (key, value) in members.iter().filter(|(key, _)| !key.as_text().is_some_and(|key| skip.contains(&key))) {
        let Some(path) = key.as_text() else {
            keys::wrong(key, "a field's name", "a text", reporter);
            continue;
        };
        if schema.kind_of(path).is_none() {
            let hint = schema.nearest(path).map(|near| format!("did you mean `{near}`?"));
            let message = format!("the test names the unknown field `{path}`");
            reporter.report(Level::Error, "R012", Span::of(key), message, hint);
        }
        fields.insert(path.to_owned(), Value::from(value.to_json()));
    }
    Some(fields)
}
