//! Branches, tags and other refs, loose and packed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gix_hash::ObjectId;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::FileType;

use super::config::Checked;
use super::files::{Fault, Ground};
use super::layout::Layout;
use crate::base::text::shorten;
use crate::sources::filesystem::escape;
use crate::sources::remote::is_plain;

/// Bytes of a loose ref: an object's name, or that of another ref.
const LOOSE_BYTES_MAX: u64 = 4096;
const PACKED_BYTES_MAX: u64 = 64 << 20;
/// Refs of one repository that are watched.
pub const REFS_MAX: usize = 10_000;
/// Files below `refs/`, watched or not.
const FILES_MAX: usize = 200_000;
const DEPTH_MAX: usize = 32;
/// Refs that name each other.
const SYMBOLIC_MAX: usize = 5;

/// Which refs are watched.
#[derive(Debug)]
pub struct Globs {
    full: GlobSet,
    branches: GlobSet,
}

impl Globs {
    /// Globs that begin with `refs/`, and `HEAD`, are for whole names, others for names of branches.
    pub fn new(globs: &[String]) -> Result<Self, Vec<String>> {
        let (mut full, mut branches) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut problems = Vec::new();
        for text in globs {
            let set = if text.starts_with("refs/") || text == "HEAD" { &mut full } else { &mut branches };
            match GlobBuilder::new(text).literal_separator(true).build() {
                Ok(glob) => drop(set.add(glob)),
                Err(error) => problems.push(format!("`refs` has the glob `{text}`: {}", error.kind())),
            }
        }
        let mut build = |set: GlobSetBuilder| {
            set.build().unwrap_or_else(|error| {
                problems.push(format!("`refs`: {error}; use fewer or simpler globs"));
                GlobSet::empty()
            })
        };
        let globs = Self { full: build(full), branches: build(branches) };
        if problems.is_empty() { Ok(globs) } else { Err(problems) }
    }

    pub fn take(&self, name: &str) -> bool {
        self.full.is_match(name)
            || name.strip_prefix("refs/heads/").is_some_and(|branch| self.branches.is_match(branch))
    }
}

/// The refs of a repository, as far as they are watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// Whole names with the objects that they lead to.
    pub targets: BTreeMap<String, ObjectId>,
    /// Refs that lead nowhere, with the reason.
    pub broken: BTreeMap<String, String>,
    /// There are more than are watched.
    pub cut: bool,
    /// Those that were known, are still there, and are no longer watched because there are more.
    pub left_out: BTreeSet<String>,
    /// What whoever clones the repository gets, and what it leads to: a branch, another ref, or `HEAD` where that names
    /// a commit. Of a repository with a working tree `HEAD` says what is checked out there, and of a branch without a
    /// commit nothing.
    pub default: Option<(String, ObjectId)>,
}

impl Refs {
    /// Where there are more than are watched, those stay that were `known`, of each rank before the next.
    pub fn read(layout: &Layout, checked: &Checked, known: &BTreeMap<String, ObjectId>) -> Result<Self, Fault> {
        let head = layout.git.join("HEAD");
        // Whatever else stands in its place is told where it is watched.
        let named = if layout.bare { layout.ground.read(&head, LOOSE_BYTES_MAX).ok().flatten() } else { None };
        let mut reading = Reading {
            layout,
            checked,
            known,
            default: named.as_deref().and_then(symbolic),
            found: BTreeMap::new(),
            chosen: BTreeMap::new(),
            refs: Self::default(),
            files: 0,
        };
        // Loose ones first: what is packed meanwhile is in the packed ones when it is no longer loose.
        reading.loose("refs", DEPTH_MAX)?;
        if checked.refs.take("HEAD") {
            reading.file(&head, "HEAD")?;
        }
        reading.packed()?;
        if reading.default.is_none() {
            let target = named.and_then(|hex| object(hex.trim_ascii(), layout.hash));
            reading.refs.default = target.map(|target| ("HEAD".to_owned(), target));
        }
        let Reading { chosen, mut refs, .. } = reading;
        refs.targets = chosen.into_iter().map(|((_, _, name), target)| (name, target)).collect();
        Ok(refs)
    }
}

struct Reading<'r> {
    layout: &'r Layout,
    checked: &'r Checked,
    known: &'r BTreeMap<String, ObjectId>,
    /// The ref that `HEAD` names.
    default: Option<String>,
    /// Refs that name others, which may be packed.
    found: BTreeMap<String, String>,
    /// By rank, whether they were not known, and name.
    chosen: BTreeMap<(u8, bool, String), ObjectId>,
    refs: Refs,
    files: usize,
}

impl Reading<'_> {
    fn put(&mut self, name: &str, target: ObjectId) {
        let rank = self.checked.rank(name, self.default.as_deref());
        let place = (rank, !self.known.contains_key(name), name.to_owned());
        if self.chosen.len() >= REFS_MAX && !self.chosen.contains_key(&place) {
            self.refs.cut = true;
            if self.chosen.last_key_value().is_none_or(|(last, _)| *last < place) {
                self.leave_out(place);
                return;
            }
            if let Some((place, _)) = self.chosen.pop_last() {
                self.leave_out(place);
            }
        }
        self.chosen.entry(place).or_insert(target);
    }

    fn leave_out(&mut self, (_, unknown, name): (u8, bool, String)) {
        if !unknown {
            self.refs.left_out.insert(name);
        }
    }

    fn ground(&self) -> &Ground {
        &self.layout.ground
    }

    fn loose(&mut self, folder: &str, depth: usize) -> Result<(), Fault> {
        let path = self.layout.common.join(folder);
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Fault::TooLarge(format!("`{}` lies too deep for a ref", escape(&path))));
        };
        let entries = self.ground().list(&path, FILES_MAX)?;
        self.files += entries.len();
        if self.files > FILES_MAX {
            return Err(Fault::TooLarge(format!(
                "it has more than {FILES_MAX} loose refs; pack them with `git pack-refs`"
            )));
        }
        for (name, kind) in entries {
            // No ref is called like this: it is being written.
            if Path::new(&name).extension().is_some_and(|extension| extension == "lock") {
                continue;
            }
            let Some(text) = name.to_str() else {
                let shown = format!("{folder}/{}", escape(Path::new(&name)));
                self.refs.broken.insert(shown, "its name is no text".to_owned());
                continue;
            };
            let full = format!("{folder}/{text}");
            if kind == FileType::Directory
                || (kind != FileType::RegularFile && self.ground().is_folder(&path.join(&name))?)
            {
                self.loose(&full, depth)?;
            } else if self.checked.refs.take(&full) {
                self.file(&path.join(&name), &full)?;
            }
        }
        Ok(())
    }

    /// One loose ref; one that is broken says nothing of the others.
    fn file(&mut self, path: &Path, name: &str) -> Result<(), Fault> {
        let bytes = match self.ground().read(path, LOOSE_BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            // Packed or deleted meanwhile.
            Ok(None) => return Ok(()),
            Err(fault @ (Fault::Slow | Fault::Stopped)) => return Err(fault),
            Err(fault) => {
                self.refs.broken.insert(name.to_owned(), fault.to_string());
                return Ok(());
            }
        };
        match (object(bytes.trim_ascii(), self.layout.hash), symbolic(&bytes)) {
            (Some(target), _) => self.put(name, target),
            (None, Some(other)) => drop(self.found.insert(name.to_owned(), other)),
            (None, None) => {
                self.refs.broken.insert(name.to_owned(), "it names no object".to_owned());
            }
        }
        Ok(())
    }

    fn packed(&mut self) -> Result<(), Fault> {
        let path = self.layout.common.join("packed-refs");
        let bytes = self.ground().read(&path, PACKED_BYTES_MAX)?.unwrap_or_default();
        let wanted: BTreeSet<String> = self.found.values().chain(&self.default).cloned().collect();
        let mut named = BTreeMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some((hex, name)) = line.iter().position(|byte| *byte == b' ').and_then(|at| line.split_at_checked(at))
            else {
                continue;
            };
            let (Some(target), Ok(name)) = (object(hex, self.layout.hash), std::str::from_utf8(name)) else { continue };
            let name = name.trim();
            if wanted.contains(name) {
                named.insert(name.to_owned(), target);
            }
            if self.checked.refs.take(name) && !self.refs.broken.contains_key(name) && !self.found.contains_key(name) {
                self.put(name, target);
            }
        }
        if let Some(name) = self.default.clone() {
            let target = self.follow(&name, &named, SYMBOLIC_MAX).ok().flatten();
            self.refs.default = target.map(|target| (name, target));
        }
        for (name, other) in std::mem::take(&mut self.found) {
            match self.follow(&other, &named, SYMBOLIC_MAX)? {
                Some(target) => self.put(&name, target),
                // A branch without a commit yet.
                None if name == "HEAD" => {}
                None => {
                    let why = format!("it names `{}`, which names no object", shorten(&other, 200));
                    self.refs.broken.insert(name, why);
                }
            }
        }
        Ok(())
    }

    fn follow(&self, name: &str, packed: &BTreeMap<String, ObjectId>, left: usize) -> Result<Option<ObjectId>, Fault> {
        let plain = name.starts_with("refs/") && is_plain(name);
        let Some(left) = left.checked_sub(1).filter(|_| plain) else { return Ok(None) };
        let Some(bytes) = self.ground().read(&self.layout.common.join(name), LOOSE_BYTES_MAX)? else {
            return Ok(packed.get(name).copied());
        };
        match symbolic(&bytes) {
            Some(other) => self.follow(&other, packed, left),
            None => Ok(object(bytes.trim_ascii(), self.layout.hash)),
        }
    }
}

/// The ref that another names.
fn symbolic(bytes: &[u8]) -> Option<String> {
    let other = bytes.trim_ascii().strip_prefix(b"ref:".as_slice())?;
    Some(String::from_utf8_lossy(other.trim_ascii()).into_owned())
}

fn object(hex: &[u8], kind: gix_hash::Kind) -> Option<ObjectId> {
    ObjectId::from_hex(hex).ok().filter(|id| id.kind() == kind && !id.is_null())
}

/// What people call a ref: branches by their names, tags as `tags/v1`, all others by their whole names.
pub fn short(name: &str) -> &str {
    let branch =
        name.strip_prefix("refs/heads/").filter(|name| !name.starts_with("tags/") && !name.starts_with("refs/"));
    branch.or_else(|| name.strip_prefix("refs/").filter(|_| is_tag(name))).unwrap_or(name)
}

/// The whole name of what people call by this.
pub fn full(short: &str) -> String {
    match short {
        "HEAD" => short.to_owned(),
        _ if short.starts_with("refs/") => short.to_owned(),
        _ if short.starts_with("tags/") => format!("refs/{short}"),
        _ => format!("refs/heads/{short}"),
    }
}

fn is_tag(name: &str) -> bool {
    name.starts_with("refs/tags/")
}
