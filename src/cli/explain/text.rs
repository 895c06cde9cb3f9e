//! An explanation for people: a tree with a mark at each part.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::detect::explain::{Correlated, Explanation, Found, Leaf, Missed, Part};

const YES: Style = AnsiColor::Green.on_default();
const NO: Style = AnsiColor::Red.on_default();
/// Values of one leaf that are printed; those that hold come first.
const VALUES_MAX: usize = 6;

/// The explanation as text; colours are for the caller's stream to keep or to drop.
pub fn render(explanation: &Explanation) -> String {
    let mut out = String::new();
    whole(explanation, 0, &mut out);
    out
}

fn whole(explanation: &Explanation, depth: usize, out: &mut String) {
    let verdict = match (explanation.matches, explanation.correlation.is_some()) {
        (true, false) => "matches",
        (false, false) => "does not match",
        (true, true) => "counts this event",
        (false, true) => "does not count this event",
    };
    let title = format!("{} {}: {verdict}", explanation.rule, explanation.title);
    line(out, depth, explanation.matches, &title);
    if explanation.silent && depth == 0 {
        let why = match explanation.counted_by.as_slice() {
            [] => "it is disabled".to_owned(),
            counted_by => format!("{} only counts it", counted_by.join(", ")),
        };
        plain(out, depth, &format!("no alert of its own: {why}"));
    }
    for mismatch in &explanation.logsource {
        let found = mismatch.found.as_deref().unwrap_or("without one");
        let text = format!("the rule looks at {} {}, the event is {found}", mismatch.part, mismatch.wanted);
        line(out, depth + 1, false, &text);
    }
    explanation.parts.iter().for_each(|one| part(one, depth + 1, out));
    if let Some(correlated) = &explanation.correlation {
        correlation(correlated, depth + 1, out);
    }
    if !explanation.missed.is_empty() {
        plain(out, depth, "missed because:");
        explanation.missed.iter().for_each(|one| plain(out, depth + 1, &missed(one)));
    }
}

fn part(one: &Part, depth: usize, out: &mut String) {
    match one {
        Part::All { name, holds, parts } | Part::Any { name, holds, parts } => {
            line(out, depth, *holds, name);
            for inner in parts {
                part(inner, depth + 1, out);
            }
        }
        Part::Not { holds, part: inner } => {
            line(out, depth, *holds, "not");
            part(inner, depth + 1, out);
        }
        Part::Leaf(leaf) => {
            line(out, depth, leaf.holds, &format!("{}: {}", leaf.asks, asked(leaf)));
            // Keywords search everything, so there is no value of theirs to show.
            if !leaf.asks.contains("(keywords") {
                plain(out, depth + 1, &format!("found {}", leaf.found));
            }
        }
    }
}

/// The values asked for, those that hold first.
fn asked(leaf: &Leaf) -> String {
    let (hit, rest): (Vec<_>, Vec<_>) = leaf.values.iter().partition(|value| value.holds == Some(true));
    let marked = leaf.values.len() > 1 && !hit.is_empty();
    let hit = hit.into_iter().map(|value| if marked { format!("{} ✓", value.value) } else { value.value.clone() });
    let all: Vec<String> = hit.chain(rest.into_iter().map(|value| value.value.clone())).collect();
    let more = all.len().saturating_sub(VALUES_MAX) + leaf.more;
    let shown = all.iter().take(VALUES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn missed(one: &Missed) -> String {
    let path = one.path.join(" › ");
    if !one.wanted {
        return format!("{path}: {} holds, and must not; found {}", asked(&one.leaf), one.leaf.found);
    }
    match &one.leaf.found {
        _ if one.leaf.asks.contains("(keywords") => format!("{path}: {} is nowhere in the event", asked(&one.leaf)),
        found @ (Found::Absent { .. } | Found::Null | Found::Values { .. }) => {
            format!("{path}: wants {}; found {found}", asked(&one.leaf))
        }
    }
}

fn correlation(one: &Correlated, depth: usize, out: &mut String) {
    #[expect(clippy::cast_precision_loss, reason = "shown in seconds")]
    let seconds = one.window_millis as f64 / 1000.0;
    plain(out, depth, &format!("asks for {} within {seconds} s", one.asks));
    let pairs = |pairs: &[(String, Found)]| {
        pairs.iter().map(|(name, found)| format!("{name} = {found}")).collect::<Vec<_>>().join(", ")
    };
    for counted in &one.parts {
        whole(&counted.rule, depth, out);
        let group = if counted.group.is_empty() { "one for all events".to_owned() } else { pairs(&counted.group) };
        // Of an event that the rule does not match, nothing is asked further.
        let complete = counted.group.iter().all(|(_, found)| found.is_value());
        line(out, depth + 1, complete, &format!("group: {group}"));
        if !counted.values.is_empty() {
            plain(out, depth + 1, &format!("value: {}", pairs(&counted.values)));
        }
    }
}

fn line(out: &mut String, depth: usize, holds: bool, text: &str) {
    let (style, mark) = if holds { (YES, '✓') } else { (NO, '✗') };
    writeln!(out, "{:indent$}{style}{mark}{style:#} {text}", "", indent = depth * 2).expect("a String takes all");
}

fn plain(out: &mut String, depth: usize, text: &str) {
    writeln!(out, "{:indent$}  {text}", "", indent = depth * 2).expect("a String takes all");
}
