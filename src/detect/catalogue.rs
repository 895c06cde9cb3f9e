//! The ATLAS identifiers that rules may name, from the release in [`crate::event::atlas::VERSION`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One technique, tactic or mitigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `AML.T0018.002`, `AML.TA0005` or `AML.M0014`.
    pub id: &'static str,
    /// Its name; sub-techniques without their parent's.
    pub name: &'static str,
    /// The technique that replaces it, when it is retired.
    pub replaced_by: Option<&'static str>,
}

static ENTRIES: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    include_str!("atlas.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let entry = Entry { id: cells.next()?, name: cells.next()?, replaced_by: cells.next() };
            Some((entry.id, entry))
        })
        .collect()
});

/// The entry with this id, retired ones included.
pub fn find(id: &str) -> Option<&'static Entry> {
    ENTRIES.get(id)
}

/// Every entry, by id.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.values()
}

/// The entry that a Sigma tag names: `atlas.aml.t0018.002`, or the short form `atlas.t0018.002`.
pub fn from_tag(tag: &str) -> Option<&'static Entry> {
    let id = tag.strip_prefix("atlas.")?;
    let id = id.strip_prefix("aml.").unwrap_or(id);
    find(&format!("AML.{}", id.to_ascii_uppercase()))
}
