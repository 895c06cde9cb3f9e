//! Rules as written: YAML with places, read into types. Every problem is reported, not the first.

pub mod condition;
pub mod correlation;
pub mod custom;
pub mod detection;
pub mod document;
pub mod filter;
pub mod keys;
pub mod logsource;
pub mod modifier;
pub mod rule;
pub mod tags;
pub mod timeline;
pub mod timespan;

/// Bytes of one rule file.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Documents in one file.
pub const DOCUMENTS_MAX: usize = 10_000;
/// Characters of a field's or a selection's name.
pub const NAME_CHARS_MAX: usize = 256;
