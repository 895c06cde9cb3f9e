//! The files of a tree: what of them is an artifact, and where its bytes are said to be.
//!
//! What was read once is known by its name: of a tree that changed only what changed is read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use gix_hash::ObjectId;
use gix_object::Kind;
use gix_object::TreeRefIter;
use gix_object::tree::EntryKind;

use super::dvc::{self, Out};
use super::files::Fault;
use super::objects::Objects;
use super::pointer::{self, Pointer};
use crate::sources::filesystem::escape;
use crate::sources::filter::Filter;

/// Folders in folders.
const DEPTH_MAX: usize = 64;
/// Bytes of a path.
const PATH_MAX: usize = 4096;
/// Sentences that are kept of what is odd in one tree.
const PROBLEMS_MAX: usize = 20;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its bytes are in the repository.
    Plain,
    /// It stands for bytes that are kept by LFS.
    Lfs(Pointer),
    /// It would, if it were whole.
    Malformed(&'static str),
    /// It names what DVC keeps.
    Dvc(Arc<Vec<Out>>),
}

/// One file of a tree that is told.
#[derive(Debug, Clone)]
pub struct File {
    pub path: Box<[u8]>,
    pub blob: ObjectId,
    pub size: u64,
    pub what: What,
}

/// All files of a tree that are told, and what a person should know of the others.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub told: Vec<File>,
    /// Why some of it is not seen.
    pub hidden: Vec<String>,
    /// What is not as it should be, and seen all the same.
    pub odd: Vec<String>,
    pub submodules: usize,
    pub links: usize,
    /// Objects that are named and cannot be read: what they would be is neither there nor gone.
    pub unread: Option<Fault>,
}

impl Listing {
    fn hide(&mut self, why: impl FnOnce() -> String) {
        if self.hidden.len() < PROBLEMS_MAX {
            self.hidden.push(why());
        }
    }

    fn odd(&mut self, what: impl FnOnce() -> String) {
        if self.odd.len() < PROBLEMS_MAX {
            self.odd.push(what());
        }
    }
}

/// What is known of objects, by their names.
#[derive(Default)]
pub struct Cache {
    folders: HashMap<ObjectId, Arc<Vec<Named>>>,
    blobs: HashMap<ObjectId, (u64, What)>,
    /// Whole trees.
    roots: HashMap<ObjectId, Arc<Listing>>,
}

/// An entry of a folder, as its object has it.
struct Named {
    name: Box<[u8]>,
    kind: EntryKind,
    id: ObjectId,
}

impl Cache {
    /// Forgets what none of these trees leads to.
    fn keep(&mut self, roots: &HashSet<ObjectId>) {
        let mut waiting: Vec<ObjectId> = roots.iter().copied().collect();
        let (mut folders, mut blobs) = (HashSet::new(), HashSet::new());
        while let Some(id) = waiting.pop() {
            if !folders.insert(id) {
                continue;
            }
            for entry in self.folders.get(&id).iter().flat_map(|entries| entries.iter()) {
                match entry.kind {
                    EntryKind::Tree => waiting.push(entry.id),
                    EntryKind::Blob | EntryKind::BlobExecutable => drop(blobs.insert(entry.id)),
                    EntryKind::Link | EntryKind::Commit => {}
                }
            }
        }
        self.folders.retain(|id, _| folders.contains(id));
        self.blobs.retain(|id, _| blobs.contains(id));
        self.roots.retain(|id, _| roots.contains(id));
    }
}

/// Walks trees for one look.
pub struct Walk<'w> {
    pub objects: &'w Objects<'w>,
    filter: &'w Filter,
    bounds: Bounds,
    cache: Cache,
    entries: usize,
    /// Trees of this look.
    roots: HashSet<ObjectId>,
    /// Something was read that was not known.
    news: bool,
    /// Entries of all folders that are known, and files of all trees of this look.
    known: usize,
    told: usize,
}

/// How much is looked through and kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of one file.
    pub bytes: u64,
    /// Listing of one tree; twice as many are kept of all.
    pub files: usize,
    /// Listing that are told, of all trees.
    pub told: usize,
}

impl<'w> Walk<'w> {
    /// What was read before is not read again.
    pub fn new(objects: &'w Objects<'w>, filter: &'w Filter, bounds: Bounds, cache: Cache) -> Self {
        let known = cache.folders.values().map(|entries| entries.len()).sum();
        Self { objects, filter, bounds, cache, entries: 0, roots: HashSet::new(), news: false, known, told: 0 }
    }

    /// What is known now, of a look that was broken off: the next goes on from there.
    pub fn broken_off(self) -> Cache {
        self.cache
    }

    /// What is known now; the trees of this look, and no others.
    pub fn end(mut self) -> Cache {
        if self.news || self.roots.len() < self.cache.roots.len() {
            self.cache.keep(&self.roots);
        }
        self.cache
    }

    /// The files of a tree.
    pub fn files(&mut self, root: &ObjectId) -> Result<Arc<Listing>, Fault> {
        let met = !self.roots.insert(*root);
        // What could not be read may be there by the next look.
        if let Some(files) = self.cache.roots.get(root).filter(|files| met || files.unread.is_none()) {
            let files = Arc::clone(files);
            if !met {
                self.count(&files)?;
            }
            return Ok(files);
        }
        let mut files = Listing::default();
        (self.entries, self.news) = (0, true);
        let mut path = Vec::new();
        self.folder(root, &mut path, DEPTH_MAX, &mut files)?;
        self.count(&files)?;
        let files = Arc::new(files);
        self.cache.roots.insert(*root, Arc::clone(&files));
        Ok(files)
    }

    fn count(&mut self, files: &Listing) -> Result<(), Fault> {
        self.told += files.told.len();
        if self.told <= self.bounds.told {
            return Ok(());
        }
        Err(Fault::TooLarge(
            "its refs lead to more files than are kept; raise `records_max`, or watch fewer `refs`".to_owned(),
        ))
    }

    fn folder(&mut self, id: &ObjectId, path: &mut Vec<u8>, depth: usize, files: &mut Listing) -> Result<(), Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            files.hide(|| format!("folders lie in folders more than {DEPTH_MAX} deep: `{}`", shown(path)));
            return Ok(());
        };
        let Some(entries) = partly(self.entries_of(id), files)? else { return Ok(()) };
        let mut names = BTreeSet::new();
        for entry in entries.iter() {
            self.entries += 1;
            if self.entries > self.bounds.files {
                let most = self.bounds.files;
                return Err(Fault::TooLarge(format!("a tree holds more than {most} files; raise `files_max`")));
            }
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(&entry.name);
            if path.len() > PATH_MAX {
                files.hide(|| {
                    format!("a path has more than {PATH_MAX} bytes: `{}`", shown(path.get(..100).unwrap_or_default()))
                });
            } else if is_hostile(&entry.name) || !names.insert(&entry.name) {
                // A program that trusts such a name writes where it should not, or takes one file for another.
                files.hide(|| {
                    format!("a tree has an entry `{}`, which no file may be called, or has it twice", shown(path))
                });
            } else if !self.leaves_out(path) {
                self.entry(entry, path, depth, files)?;
            }
            path.truncate(length);
        }
        Ok(())
    }

    fn leaves_out(&self, path: &[u8]) -> bool {
        let (folder, name) = parts(path);
        self.filter.leaves_out(folder, name)
    }

    fn includes(&self, path: &[u8]) -> bool {
        let (folder, name) = parts(path);
        self.filter.includes(folder, name)
    }

    fn entry(&mut self, entry: &Named, path: &mut Vec<u8>, depth: usize, files: &mut Listing) -> Result<(), Fault> {
        match entry.kind {
            EntryKind::Tree => self.folder(&entry.id, path, depth, files),
            EntryKind::Commit => {
                files.submodules += 1;
                Ok(())
            }
            EntryKind::Link => {
                files.links += 1;
                Ok(())
            }
            EntryKind::Blob | EntryKind::BlobExecutable => {
                let blob = self.blob(&entry.id, path, files);
                let Some((size, what)) = partly(blob, files)? else { return Ok(()) };
                let told = match &what {
                    What::Plain => self.includes(path),
                    What::Malformed(why) => {
                        files.odd(|| format!("`{}` is a pointer of LFS, but {why}", shown(path)));
                        true
                    }
                    What::Lfs(_) | What::Dvc(_) => true,
                };
                if told {
                    files.told.push(File { path: path.as_slice().into(), blob: entry.id, size, what });
                }
                Ok(())
            }
        }
    }

    fn entries_of(&mut self, id: &ObjectId) -> Result<Arc<Vec<Named>>, Fault> {
        if let Some(entries) = self.cache.folders.get(id) {
            return Ok(Arc::clone(entries));
        }
        let entries = Arc::new(self.read_folder(id)?);
        self.known += entries.len();
        if self.known > self.bounds.files.saturating_mul(2) {
            return Err(Fault::TooLarge(
                "all its trees hold too many files; raise `files_max`, or watch fewer `refs`".to_owned(),
            ));
        }
        self.cache.folders.insert(*id, Arc::clone(&entries));
        Ok(entries)
    }

    fn read_folder(&self, id: &ObjectId) -> Result<Vec<Named>, Fault> {
        let (kind, bytes) = self.objects.structure(id)?;
        let broken = || Fault::Corrupt(format!("tree {id} is none"));
        if kind != Kind::Tree {
            return Err(broken());
        }
        let mut entries = Vec::new();
        for entry in TreeRefIter::from_bytes(&bytes, self.objects.hash()) {
            let entry = entry.map_err(|_| broken())?;
            if entries.len() >= self.bounds.files {
                return Err(Fault::TooLarge(format!("a folder holds more than {} files", self.bounds.files)));
            }
            let name: &[u8] = entry.filename.as_ref();
            entries.push(Named { name: name.into(), kind: entry.mode.kind(), id: entry.oid.to_owned() });
        }
        Ok(entries)
    }

    /// Size of a blob, and what it is.
    fn blob(&mut self, id: &ObjectId, path: &[u8], files: &mut Listing) -> Result<(u64, What), Fault> {
        let dvc = dvc::is_named(path);
        // What a file of DVC names depends on where it lies.
        if !dvc && let Some(known) = self.cache.blobs.get(id) {
            return Ok(known.clone());
        }
        let (size, what) = if dvc {
            let size = self.objects.size(id)?;
            (size, self.dvc(id, path, size, files)?)
        } else {
            self.pointer(id)?
        };
        if !dvc {
            self.cache.blobs.insert(*id, (size, what.clone()));
        }
        Ok((size, what))
    }

    /// Git LFS reads the beginning of a file, whatever follows.
    fn pointer(&self, id: &ObjectId) -> Result<(u64, What), Fault> {
        let (size, mut head) = self.objects.peek(id, pointer::BYTES)?;
        if size < pointer::BYTES as u64 || pointer::is_meant(&head) {
            let most = self.bounds.bytes.max(pointer::BYTES as u64);
            if size > most {
                return Ok((size, What::Malformed("it is longer than is read (`artifact_bytes_max`)")));
            }
            // Now it is held against its name.
            self.objects.read(id, most)?.1.copy(0, head.len() as u64, &mut |block| {
                head.clear();
                head.extend_from_slice(block);
                Ok(())
            })?;
        }
        let what = match pointer::read(&head) {
            None => What::Plain,
            Some(Ok(pointer)) => What::Lfs(pointer),
            Some(Err(why)) => What::Malformed(why),
        };
        Ok((size, what))
    }

    fn dvc(&self, id: &ObjectId, path: &[u8], size: u64, files: &mut Listing) -> Result<What, Fault> {
        let read = match std::str::from_utf8(path) {
            Ok(text) if size <= dvc::BYTES_MAX => {
                dvc::read(text, &self.objects.read(id, dvc::BYTES_MAX)?.1.into_memory()?)
            }
            Ok(_) => dvc::Read::failed(format!("it has more than {} bytes", dvc::BYTES_MAX)),
            Err(_) => dvc::Read::failed("its name is no text".to_owned()),
        };
        for problem in &read.hidden {
            files.hide(|| format!("`{}` is a file of DVC, but {problem}", shown(path)));
        }
        for problem in &read.odd {
            files.odd(|| format!("`{}`: {problem}", shown(path)));
        }
        Ok(What::Dvc(Arc::new(read.outs)))
    }
}

/// What cannot be read of a tree keeps nobody from looking at the rest.
fn partly<T>(read: Result<T, Fault>, files: &mut Listing) -> Result<Option<T>, Fault> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(fault) if fault.is_partial() => {
            files.unread.get_or_insert(fault);
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Names that Git itself refuses to write into a working tree.
fn is_hostile(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b"..") || name.contains(&b'/') || name.eq_ignore_ascii_case(b".git")
}

fn parts(path: &[u8]) -> (&Path, &OsStr) {
    let path = Path::new(OsStr::from_bytes(path));
    (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default())
}

pub fn shown(path: &[u8]) -> String {
    escape(Path::new(OsStr::from_bytes(path)))
}
