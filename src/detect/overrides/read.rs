//! Overrides as written.

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{By, Entry, Target};
use crate::base::text;
use crate::base::yaml::{Data, Node};
use crate::detect::diagnostic::{Level, Reporter, Span};
use crate::detect::sigma::{keys, tags};
use crate::detect::{Source, entries};
use crate::event::Severity;

const ENTRY_KEYS: &[&str] = &["id", "name", "title", "tag", "disable", "level", "tags", "reason", "until"];
const TAGS_KEYS: &[&str] = &["add", "remove"];

/// All entries of a file; everything that is wrong is reported.
pub fn read(source: &Source, reporter: &mut Reporter<'_>) -> Vec<Entry> {
    let written = entries::read(source, "overrides", "an overrides file", reporter);
    written.iter().filter_map(|item| entry(item, reporter)).collect()
}

fn entry(node: &Node, reporter: &mut Reporter<'_>) -> Option<Entry> {
    if node.as_map().is_none() {
        keys::wrong(node, "an override", "a mapping", reporter);
        return None;
    }
    let mark = reporter.mark();
    keys::unknown(node, ENTRY_KEYS, true, true, reporter);
    if node.get("reason").is_none_or(|reason| reason.data == Data::Null) {
        keys::missing(node, "reason", "whoever reads this next must know why", reporter);
    }
    let (add, remove) = tag_changes(node, reporter);
    let entry = Entry {
        targets: By::ALL.into_iter().filter_map(|(key, by)| target(node, key, by, reporter)).collect(),
        disable: disable(node, reporter),
        level: level(node, reporter),
        add,
        remove,
        reason: keys::text(node, "reason", reporter).unwrap_or_default(),
        until: until(node, reporter),
        span: Span::of(node).part(0, 1),
    };
    if entry.targets.is_empty() && !reporter.errors_since(mark) {
        let hint = "write `id: REG-001`, or `name`, `title` or `tag`; `*` stands for any characters";
        reporter.error_hint("R052", entry.span, "the override names no rule", hint);
    }
    let changes = entry.level.is_some() || !entry.add.is_empty() || !entry.remove.is_empty();
    if !reporter.errors_since(mark) && changes == entry.disable {
        let (message, hint) = if changes {
            ("the override disables the rule and changes it, too", "keep one of the two")
        } else {
            ("the override changes nothing", "write `disable: true`, `level: low`, or `tags: {add: [], remove: []}`")
        };
        reporter.error_hint("R052", entry.span, message, hint);
    }
    (!reporter.errors_since(mark)).then_some(entry)
}

/// A text or a list of texts.
fn target(node: &Node, key: &str, by: By, reporter: &mut Reporter<'_>) -> Option<Target> {
    let value = node.get(key)?;
    let one = std::slice::from_ref(value);
    let items = value.as_list().unwrap_or(one);
    let mut patterns = Vec::new();
    for item in items {
        match item.as_text().map(str::trim) {
            Some("") | None => keys::wrong(item, key, "a text, or a list of texts", reporter),
            Some(text) => patterns.push(text.to_lowercase()),
        }
    }
    Some(Target { by, patterns, span: Span::of(value) })
}

fn disable(node: &Node, reporter: &mut Reporter<'_>) -> bool {
    let Some(value) = node.get("disable") else {
        return false;
    };
    match value.data {
        Data::Bool(flag) => flag,
        Data::Null | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
            keys::wrong(value, "disable", "true or false", reporter);
            false
        }
    }
}

fn level(node: &Node, reporter: &mut Reporter<'_>) -> Option<Severity> {
    let written = keys::text(node, "level", reporter)?;
    let known = Severity::ALL.into_iter().find(|severity| severity.as_str() == written);
    if known.is_none() {
        let names = Severity::ALL.map(Severity::as_str);
        let span = node.get("level").map(Span::of).unwrap_or_default();
        let hint = match text::nearest(&written, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        reporter.error_hint("R006", span, format!("`{written}` is no level"), hint);
    }
    known
}

fn tag_changes(node: &Node, reporter: &mut Reporter<'_>) -> (Vec<String>, Vec<String>) {
    let Some(value) = node.get("tags") else {
        return (Vec::new(), Vec::new());
    };
    if value.as_map().is_none() {
        keys::wrong(value, "tags", "a mapping of `add` and `remove`", reporter);
        return (Vec::new(), Vec::new());
    }
    keys::unknown(value, TAGS_KEYS, true, true, reporter);
    let add = keys::texts(value, "add", reporter);
    // Tags that are added must exist, as those in rules must.
    tags::techniques(&add, true, reporter);
    let texts = |tags: Vec<(String, Span)>| tags.into_iter().map(|(tag, _)| tag).collect();
    (texts(add), texts(keys::texts(value, "remove", reporter)))
}

/// A date, through its last moment in UTC, or a time.
pub(in crate::detect) fn until(node: &Node, reporter: &mut Reporter<'_>) -> Option<Timestamp> {
    let written = keys::text(node, "until", reporter)?;
    let day = |date: civil::Date| TimeZone::UTC.to_timestamp(date.tomorrow().ok()?.at(0, 0, 0, 0)).ok();
    let parsed = match written.parse::<civil::Date>() {
        Ok(date) if !written.contains(['T', ':']) => day(date),
        Ok(_) | Err(_) => written.parse::<Timestamp>().ok(),
    };
    if parsed.is_none() {
        let span = node.get("until").map(Span::of).unwrap_or_default();
        let hint = "write `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`".to_owned();
        reporter.report(Level::Error, "R006", span, format!("`{written}` is no date"), Some(hint));
    }
    parsed
}
