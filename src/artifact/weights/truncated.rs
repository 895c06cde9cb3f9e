//! Tensors that a file declares and does not hold: they are not gone, the file was cut off.

use std::collections::HashSet;

use super::Measured;
use super::words::that;
use crate::event::{Difference, Grade};

/// Names that a sentence lists.
const NAMES_MAX: usize = 4;

/// Says of tensors that the new file still declares, beyond its end, that it was cut off. `beyond` are their names.
pub fn truncated(found: &mut Vec<Difference>, old: &Measured, new: &Measured, beyond: &[String]) {
    let there: HashSet<&str> = new.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let declared: HashSet<&str> = beyond.iter().map(String::as_str).collect();
    let missing = old.tensors.iter().map(|tensor| tensor.name.as_str()).filter(|name| !there.contains(name));
    let (cut, gone): (Vec<&str>, Vec<&str>) = missing.partition(|name| declared.contains(name));
    let Some(first) = cut.first() else { return };
    if gone.is_empty() {
        found.retain(|difference| difference.class != "weights.removed");
    }
    let shown = cut.get(..cut.len().min(NAMES_MAX)).unwrap_or_default().join(", ");
    let more = cut.len().saturating_sub(NAMES_MAX);
    let names = if more > 0 { format!("{shown} and {more} more") } else { shown };
    let words = format!(
        "the file was cut off: {} declared and not there to the end: {names}",
        that(cut.len(), "tensor", "is", "are")
    );
    found.push(Difference::new("weights.truncated", Grade::Notable, *first, words));
}
