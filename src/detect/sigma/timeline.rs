//! The tests of a correlation: events with times.

use crate::base::yaml::{Data, Node};
use crate::detect::diagnostic::{Reporter, Span};
use crate::detect::rule::{TimedEvent, Timeline};
use crate::detect::schema::Schema;

use super::{custom, keys};

const KEYS: &[&str] = &["name", "events", "match", "alerts"];
/// Events of one test.
const EVENTS_MAX: usize = 10_000;
/// A year in milliseconds; longer tests are slips of the pen.
const MILLIS_MAX: i64 = 366 * 86_400_000;

/// Reads one test: `{name, events: [{at: SECONDS, …}], match, alerts}`.
pub fn read(node: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Timeline> {
    if node.as_map().is_none() {
        keys::wrong(node, "a test", "a mapping of name, events and match", reporter);
        return None;
    }
    keys::unknown(node, KEYS, true, true, reporter);
    for key in KEYS.iter().filter(|key| **key != "alerts" && node.get(key).is_none()) {
        keys::missing(node, key, "a correlation's test has name, events and match", reporter);
    }
    let name = keys::text(node, "name", reporter)?;
    let matches = custom::flag(node, reporter)?;
    let alerts = alerts(node, matches, reporter);
    let events = events(node.get("events")?, schema, reporter)?;
    Some(Timeline { name, events, matches, alerts, line: node.line })
}

fn alerts(node: &Node, matches: bool, reporter: &mut Reporter<'_>) -> Option<u64> {
    let written = node.get("alerts")?;
    let count = match &written.data {
        Data::Int(count) => u64::try_from(*count).ok(),
        Data::Null | Data::Bool(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => None,
    };
    match count {
        None => keys::wrong(written, "alerts", "how many alerts there must be", reporter),
        Some(count) if (count > 0) != matches => {
            reporter.error("R040", Span::of(written), "`alerts` and `match` contradict each other");
        }
        Some(_) => {}
    }
    count
}

fn events(node: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<Vec<TimedEvent>> {
    let Some(items) = node.as_list().filter(|items| !items.is_empty() && items.len() <= EVENTS_MAX) else {
        keys::wrong(node, "events", &format!("a list of 1 to {EVENTS_MAX} events"), reporter);
        return None;
    };
    // Every event is read even after a failure: all problems are reported.
    let events: Vec<_> = items.iter().map(|item| event(item, schema, reporter)).collect();
    events.into_iter().collect()
}

fn event(node: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<TimedEvent> {
    let Some(at) = node.get("at") else {
        keys::missing(node, "at", "seconds from the beginning of the test", reporter);
        return None;
    };
    let Some(at_millis) = millis(at) else {
        keys::wrong(at, "at", "a number of seconds, at most a year", reporter);
        return None;
    };
    let fields = custom::fields(node, "an event", &["at"], schema, reporter)?;
    Some(TimedEvent { at_millis, fields })
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn millis(at: &Node) -> Option<i64> {
    let within = |millis: &i64| (0..=MILLIS_MAX).contains(millis);
    match &at.data {
        Data::Int(seconds) => i64::try_from(*seconds).ok()?.checked_mul(1000).filter(within),
        Data::Float(seconds) => {
            let millis = (seconds * 1000.0).round();
            (millis.is_finite() && millis.abs() < 1e15).then_some(millis as i64).filter(within)
        }
        Data::Null | Data::Bool(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => None,
    }
}
