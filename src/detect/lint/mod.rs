//! What is sound Sigma and yet surely not meant.
//!
//! ```text
//! values  values that are written twice, covered by others, or not what they look like
//! logic   conditions that can never hold, or always do, whatever the event
//! twins   two rules that ask the same
//! ```
//!
//! Nothing is reported that could be right: a linter with false alarms is switched off.

pub mod logic;
pub mod twins;
pub mod values;

use super::diagnostic::{Level, Reporter, Span};
use super::schema::Schema;
use super::sigma::detection::{Detection, Search};

/// Looks at the values of all selections.
pub fn selections(detection: &Detection, reporter: &mut Reporter<'_>) {
    detection.selections.iter().filter_map(|selection| selection.search.as_ref()).for_each(|all| search(all, reporter));
}

fn search(written: &Search, reporter: &mut Reporter<'_>) {
    match written {
        Search::All(members) | Search::Any(members) => members.iter().for_each(|member| search(member, reporter)),
        Search::Item(item) => values::check(item, reporter),
    }
}

/// Looks at the conditions. Gives what the rule asks, spelt so that two rules that ask the same are
/// spelt the same; `None` when that does not depend on the event,
/// or is too much to be looked at.
pub fn conditions(detection: &Detection, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<String> {
    let severity = if schema.is_open() { Level::Warning } else { Level::Error };
    let mut reader = logic::Reader::new(detection, schema);
    let (mut spelt, mut decided) = (Vec::new(), false);
    for (condition, node) in &detection.conditions {
        let (verdict, text) = reader.read(condition)?;
        decided |= verdict != logic::Verdict::Open;
        match verdict {
            logic::Verdict::Open => {}
            logic::Verdict::Never(why) => {
                let message = "no event can match this condition".to_owned();
                reporter.report(severity, "R023", Span::of(node), message, why);
            }
            logic::Verdict::Always => {
                let message = "every event matches this condition".to_owned();
                reporter.report(severity, "R024", Span::of(node), message, None);
            }
        }
        spelt.push(text);
    }
    spelt.sort_unstable();
    (!decided).then(|| spelt.join(" or "))
}
