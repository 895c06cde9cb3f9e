//! What differs between two versions: pairs that the real libraries write, attacks and their benign twins.

mod bounds;
mod graphs;
mod hostile;
mod pairs;
mod tables;
mod verb;

use lanner::artifact::outline::{BYTES_MAX, Outline, TABLE_BYTES_MAX, compare, outline};
use lanner::artifact::{Limits, Memory, inspect};
use lanner::event::difference::Difference;

/// The outline of some bytes, as their inspection sees them; it survives being stored.
pub fn taken(bytes: &[u8], name: &str) -> Option<Outline> {
    let memory = Memory(bytes.to_vec());
    let limits = Limits::default();
    let format = inspect(&memory, name, &limits).format;
    let made = outline(&memory, name, &format, &limits)?;
    let text = serde_json::to_vec(&made).expect("it is data");
    let table = matches!(format.as_str(), "csv" | "jsonl" | "parquet" | "arrow" | "json");
    assert!(text.len() <= if table { TABLE_BYTES_MAX } else { BYTES_MAX }, "{name}: {} bytes", text.len());
    assert_eq!(Outline::from_json(&text).as_ref(), Some(&made), "{name}");
    assert_eq!(compare(&made, &made.clone(), Some(&memory), &limits), Vec::new(), "{name} differs from itself");
    Some(made)
}

/// What differs between two files.
pub fn differences(old: &[u8], new: &[u8], name: &str) -> Vec<Difference> {
    let (Some(before), Some(after)) = (taken(old, name), taken(new, name)) else { return Vec::new() };
    compare(&before, &after, Some(&Memory(new.to_vec())), &Limits::default())
}
