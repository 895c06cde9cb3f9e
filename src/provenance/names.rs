//! Names of files and of what is left out, as a payload writes them: relative, plain, and in order.

use std::cmp::Ordering;

/// Bytes of a name.
const NAME_MAX: usize = 4096;

/// Whether a name leads to something under the model and can be written in one way only.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX
        && !name.contains('\0')
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Why an entry of what is left out is refused; `None` when it is fine. It counts from the root of the model.
pub fn ignore_fault(entry: &str) -> Option<&'static str> {
    if !is_plain(entry) {
        return Some("it is empty, absolute, or has a part `.` or `..`");
    }
    // Some would take it for a pattern, others for a name.
    entry.contains(['*', '?', '[', ']', '{', '}']).then_some("it is a pattern; only plain names are taken")
}

/// Whether an entry is the name itself or a folder above it.
pub fn covers(entry: &str, name: &str) -> bool {
    name.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The order in which signers write names: by their parts. That of whole texts differs where a name goes on
/// with a character below `/`.
pub fn by_parts(one: &str, other: &str) -> Ordering {
    one.split('/').cmp(other.split('/'))
}
