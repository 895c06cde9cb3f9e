//! Which files of two sides belong together, and what differs between the two of each pair.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _};

use anyhow::Context as _;

use super::sides::Side;
use super::tensors::{self, Tensor};
use crate::artifact::outline::{compare, outline};
use crate::artifact::{self, Bytes, Delta, Hashed, Limits, Version, weights};
use crate::event::Sha256;
use crate::event::difference::Difference;

/// One file that is not the same on both sides.
pub struct Change {
    /// Path below the roots, or what was named.
    pub name: String,
    pub how: How,
}

pub enum How {
    Added,
    Removed,
    /// The same bytes had another name, and do not any more.
    Renamed(String),
    /// The same bytes have another name as well.
    Copied(String),
    Changed(Box<Changed>),
}

/// Two versions of one file.
pub struct Changed {
    pub old: Hashed,
    pub new: Hashed,
    /// Formats before and after.
    pub formats: [String; 2],
    pub delta: Delta,
    /// The worst first.
    pub differences: Vec<Difference>,
    pub tensors: Vec<Tensor>,
    /// What was measured of those that differ.
    pub rows: Vec<weights::Row>,
}

/// What differs. Files that cannot be read are put to `unread`, with the reason; the others are compared all the same.
pub fn changes(old: &Side, new: &Side, unread: &mut Vec<String>) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    // One file against one file is a pair, whatever they are called.
    if let (Some(before), Some(after)) = (old.single(), new.single()) {
        changes.extend(changed(old, before, new, after)?);
        return Ok(changes);
    }
    let names: BTreeSet<&String> = old.names().chain(new.names()).collect();
    for name in names.iter().filter(|name| old.has(name) && new.has(name)) {
        match changed(old, name, new, name) {
            Ok(change) => changes.extend(change),
            Err(error) => unread.push(format!("{error:#}")),
        }
    }
    let gone: Vec<&&String> = names.iter().filter(|name| !new.has(name)).collect();
    let fresh: Vec<&&String> = names.iter().filter(|name| !old.has(name)).collect();
    // What is there under another name is told as such. Without new names there is nothing to look for.
    let mut before: BTreeMap<Sha256, &String> = BTreeMap::new();
    if !fresh.is_empty() {
        // Those that are gone last: of the same bytes they are the likelier ones.
        for name in old.names().filter(|name| new.has(name)).chain(gone.iter().map(|name| **name)) {
            match digest(old, name) {
                Ok(digest) => {
                    before.insert(digest, name);
                }
                Err(error) => unread.push(format!("{error:#}")),
            }
        }
    }
    let mut moved: BTreeSet<&String> = BTreeSet::new();
    for name in &fresh {
        let digest = digest(new, name).map_err(|error| unread.push(format!("{error:#}"))).ok();
        let how = match digest.and_then(|digest| before.get(&digest)) {
            Some(known) if !new.has(known) && moved.insert(known) => How::Renamed((*known).clone()),
            Some(known) => How::Copied((*known).clone()),
            None => How::Added,
        };
        changes.push(Change { name: (**name).clone(), how });
    }
    for name in gone.iter().filter(|name| !moved.contains(**name)) {
        changes.push(Change { name: (**name).clone(), how: How::Removed });
    }
    // A file of both sides that cannot be read was tried twice.
    unread.sort();
    unread.dedup();
    Ok(changes)
}

fn digest(side: &Side, name: &str) -> anyhow::Result<Sha256> {
    let digest = artifact::digest_of(&*side.read(name)?, &|| false).with_context(|| side.failed(name))?;
    digest.with_context(|| side.failed(name))
}

/// A secret for this one comparison: both sides are measured with it, and nobody can have known it before.
fn secret() -> weights::Seed {
    let mut seed = [0; 32];
    for part in seed.chunks_mut(8) {
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish().to_le_bytes();
        part.copy_from_slice(&random);
    }
    weights::Seed(seed)
}

fn changed(old: &Side, before: &str, new: &Side, after: &str) -> anyhow::Result<Option<Change>> {
    let limits = Limits::default();
    let (old_bytes, new_bytes) = (old.read(before)?, new.read(after)?);
    let (old_name, new_name) = (old.shown(before), new.shown(after));
    let options = weights::Options::new(secret());
    let read = |bytes: &dyn Bytes| artifact::read(bytes, Some(&options), &limits);
    let old_hashed = read(&*old_bytes).with_context(|| old.failed(before))?;
    let new_hashed = read(&*new_bytes).with_context(|| new.failed(after))?;
    if old_hashed.sha256 == new_hashed.sha256 {
        return Ok(None);
    }
    let old_report = artifact::inspect_with(&*old_bytes, &old_name, &limits, &old_hashed.found);
    let new_report = artifact::inspect_with(&*new_bytes, &new_name, &limits, &new_hashed.found);
    let delta = artifact::diff(&Version::of(&old_hashed, &old_report), &Version::of(&new_hashed, &new_report));
    let outlines = (
        outline(&*old_bytes, &old_name, &old_report.format, &limits),
        outline(&*new_bytes, &new_name, &new_report.format, &limits),
    );
    let mut differences = match &outlines {
        (Some(old), Some(new)) => compare(old, new, Some(&*new_bytes), &limits),
        _ => Vec::new(),
    };
    let mut tensors = tensors::compare(&*old_bytes, &old_hashed.segments, &*new_bytes, &new_hashed.segments);
    let mut rows = Vec::new();
    if let (Some(old), Some(new)) = (&old_hashed.measured, &new_hashed.measured) {
        let found = weights::Comparison::of(old, new, Some((&*old_bytes, &*new_bytes)), &|| false);
        differences.extend(found.differences);
        let beyond = artifact::beyond(&*new_bytes, &limits);
        weights::truncated(&mut differences, old, new, &beyond);
        differences.sort_by_key(|difference| std::cmp::Reverse(difference.grade));
        rows = found.table;
        rows.retain(|row| row.rel != Some(0.0));
        tensors::note(&mut tensors, &rows);
        tensors::cut_off(&mut tensors, &beyond);
    }
    let formats = [old_report.format, new_report.format];
    let changed = Changed { old: old_hashed, new: new_hashed, formats, delta, differences, tensors, rows };
    Ok(Some(Change { name: new_name, how: How::Changed(Box::new(changed)) }))
}
