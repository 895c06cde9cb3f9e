//! What is known of the registry, and what was told of it.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{Model, Version};
use super::location::Location;
use super::runs::Made;
use crate::sources::Record;

/// Name and version.
pub type VersionId = (String, String);

/// Sweeps in a row that must miss a thing before it is gone: pages are cut by offset, so that a
/// deletion between two of them hides an innocent neighbour.
pub const MISSES_MAX: u8 = 2;

#[derive(Debug, Default)]
pub struct Registry {
    pub models: BTreeMap<String, Model>,
    pub versions: BTreeMap<VersionId, Version>,
    pub runs: BTreeMap<String, Made>,
    pub holdings: BTreeMap<VersionId, Holding>,
    told: BTreeMap<String, Told>,
}

/// The artifacts of one version.
#[derive(Debug)]
pub struct Holding {
    /// The source as it was when `uri` was asked for.
    pub source: Option<String>,
    pub uri: String,
    pub location: Location,
    pub files: BTreeMap<String, Held>,
    /// Sweep in which they were listed; 0 for never.
    pub listed: u64,
    /// Why the last listing failed.
    pub refused: Option<String>,
}

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub signature: String,
    pub size: Option<u64>,
}

#[derive(Debug)]
struct Told {
    signature: String,
    misses: u8,
}

impl Registry {
    pub fn aliases(&self, (name, version): &VersionId) -> BTreeSet<String> {
        let aliases = self.models.get(name).map(|model| &*model.aliases).unwrap_or_default();
        aliases.iter().filter(|alias| alias.version == *version).map(|alias| alias.alias.clone()).collect()
    }

    /// Whether a version is new, or differs from what is known of it.
    pub fn is_news(&self, version: &Version) -> bool {
        self.versions.get(&(version.name.clone(), version.version.clone())) != Some(version)
    }

    /// Approval tags that the version behind an alias lacks.
    pub fn lacking(&self, name: &str, version: &str, required: &[String]) -> Vec<String> {
        let tags =
            self.versions.get(&(name.to_owned(), version.to_owned())).map(|version| &*version.tags).unwrap_or_default();
        required.iter().filter(|tag| !tags.iter().any(|found| found.key == **tag)).cloned().collect()
    }

    /// Notes a record as told; true if it is new or changed.
    pub fn tell(&mut self, record: &Record) -> bool {
        let told = Told { signature: record.signature.clone(), misses: 0 };
        self.told.insert(record.key.clone(), told).is_none_or(|before| before.signature != record.signature)
    }

    /// Notes that a thing was not listed; true if that is certain by now.
    pub fn miss(&mut self, key: &str) -> bool {
        self.told.get_mut(key).is_some_and(|told| {
            told.misses = told.misses.saturating_add(1);
            told.misses >= MISSES_MAX
        })
    }

    pub fn forget(&mut self, key: &str) {
        self.told.remove(key);
    }

    /// Keys of all artifacts told of a version.
    pub fn told_below(&self, prefix: &str) -> Vec<String> {
        self.told
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub fn len(&self) -> usize {
        self.told.len()
    }
}
