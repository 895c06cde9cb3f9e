//! The fewest parts that would have to be otherwise for the whole to hold.

use super::Missed;
use super::parts::Part;

/// Parts named at most; a rule that misses by more is simply about something else.
const MISSED_MAX: usize = 64;

/// What keeps parts that must all hold from doing so.
pub fn missed(parts: &[Part]) -> Vec<Missed> {
    let failing = parts.iter().filter(|part| !part.holds());
    failing.flat_map(|part| blame(part, true, &[])).take(MISSED_MAX).collect()
}

/// The smallest set of leaves below a part which is not as wanted.
fn blame(part: &Part, wanted: bool, above: &[String]) -> Vec<Missed> {
    let path: Vec<String> = above.iter().cloned().chain(part.name().map(str::to_owned)).collect();
    match part {
        Part::Leaf(leaf) => vec![Missed { path, wanted, leaf: leaf.clone() }],
        Part::Not { part, .. } => blame(part, !wanted, &path),
        // Wanted true, each failing member must change; wanted false, one of those that hold suffices.
        Part::All { parts, .. } => several(parts, wanted, wanted, &path),
        Part::Any { parts, .. } => several(parts, wanted, !wanted, &path),
    }
}

fn several(parts: &[Part], wanted: bool, every: bool, path: &[String]) -> Vec<Missed> {
    let wrong = parts.iter().filter(|part| part.holds() != wanted).map(|part| blame(part, wanted, path));
    if every { wrong.flatten().take(MISSED_MAX).collect() } else { wrong.min_by_key(Vec::len).unwrap_or_default() }
}
