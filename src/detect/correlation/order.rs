//! Whether rules matched one after the other.
//!
//! Entries of a window come in the order of event time, and of arrival where times are equal. One
//! event is one step: it never counts for two rules of an order.

use std::collections::BTreeSet;

use super::aggregate::Window;
use super::plan::Parts;

/// Whether the rules that the condition asks for, and that matched, did so in the order in which
/// they are written.
pub fn in_order(parts: &Parts, counts: &[u32], window: &Window<'_>) -> bool {
    let mut asked = BTreeSet::new();
    positive(parts, false, &mut asked);
    let mut wanted = asked.into_iter().filter(|part| counts.get(*part).is_some_and(|count| *count > 0)).peekable();
    let mut last = None;
    for entry in window.iter() {
        let Some(next) = wanted.peek() else { return true };
        if usize::from(entry.part) == *next && last != Some(entry.seq) {
            last = Some(entry.seq);
            wanted.next();
        }
    }
    wanted.peek().is_none()
}

/// The most rules that matched one after the other, in the order in which they are written.
pub fn longest(parts: usize, window: &Window<'_>) -> usize {
    // Length of the longest chain that ends with each rule, before the event at hand and with it.
    let mut before = vec![0_usize; parts];
    let mut with = before.clone();
    let mut seq = None;
    for entry in window.iter() {
        if seq != Some(entry.seq) {
            before.clone_from(&with);
            seq = Some(entry.seq);
        }
        let part = usize::from(entry.part);
        let chain = 1 + before.iter().take(part).max().copied().unwrap_or(0);
        if let Some(length) = with.get_mut(part) {
            *length = (*length).max(chain);
        }
    }
    with.into_iter().max().unwrap_or(0)
}

/// Rules that the condition wants to have matched: those that no `not` stands before.
fn positive(parts: &Parts, negated: bool, asked: &mut BTreeSet<usize>) {
    match parts {
        Parts::Part(number) => {
            if !negated {
                asked.insert(*number);
            }
        }
        Parts::All(members) | Parts::Any(members) => {
            for member in members {
                positive(member, negated, asked);
            }
        }
        Parts::Not(inner) => positive(inner, !negated, asked),
    }
}
