//! What is known of the watched trees: files as they were told, directories as they are watched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::stat::Stat;
use super::walk::Id;

#[derive(Debug, Default)]
pub struct Tree {
    /// By the folder they lie in and their name in it, as bytes: to compare those is several times faster than to
    /// compare components, and a walk stays in one folder for a while.
    folders: BTreeMap<OsString, BTreeMap<OsString, Known>>,
    /// How many files that are.
    count: usize,
    /// Watched directories by their real path.
    directories: HashMap<PathBuf, Directory>,
    /// Real path of a link's target → the links.
    links: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    walk: u64,
}

/// A file as it was told.
#[derive(Debug)]
struct Known {
    stat: Stat,
    target: Option<PathBuf>,
    /// The walk that saw it last.
    walk: u64,
}

#[derive(Debug)]
struct Directory {
    id: Id,
    /// Paths under which programs see it.
    paths: BTreeSet<PathBuf>,
}

impl Tree {
    pub const fn len(&self) -> usize {
        self.count
    }

    pub fn stat(&self, path: &Path) -> Option<&Stat> {
        let (folder, name) = split(path);
        self.folders.get(folder)?.get(name).map(|known| &known.stat)
    }

    /// Remembers a file as it is told.
    pub fn put(&mut self, path: &Path, stat: Stat, target: Option<PathBuf>) {
        self.unlink(path);
        if let Some(target) = &target {
            self.links.entry(target.clone()).or_default().insert(path.to_owned());
        }
        let (folder, name) = split(path);
        let known = Known { stat, target, walk: self.walk };
        if self.folders.entry(folder.to_owned()).or_default().insert(name.to_owned(), known).is_none() {
            self.count += 1;
        }
    }

    pub fn remove(&mut self, path: &Path) {
        self.unlink(path);
        let (folder, name) = split(path);
        let Some(files) = self.folders.get_mut(folder) else { return };
        if files.remove(name).is_some() {
            self.count -= 1;
        }
        if files.is_empty() {
            self.folders.remove(folder);
        }
    }

    fn unlink(&mut self, path: &Path) {
        let Some(target) = self.known(split(path)).and_then(|known| known.target.take()) else { return };
        if let Some(links) = self.links.get_mut(&target) {
            links.remove(path);
            if links.is_empty() {
                self.links.remove(&target);
            }
        }
    }

    /// A walk begins: what it does not see is missing.
    pub fn begin_walk(&mut self) {
        self.walk += 1;
    }

    /// The walk sees a file, by its folder and name; true if it is known, and unchanged.
    pub fn see(&mut self, at: (&OsStr, &OsStr), stat: &Stat, target: Option<&PathBuf>) -> bool {
        let walk = self.walk;
        self.known(at).is_some_and(|known| {
            known.walk = walk;
            known.stat == *stat && known.target.as_ref() == target
        })
    }

    fn known(&mut self, (folder, name): (&OsStr, &OsStr)) -> Option<&mut Known> {
        self.folders.get_mut(folder)?.get_mut(name)
    }

    /// Files below a path that the last walk did not see.
    pub fn missing(&self, below: &Path) -> Vec<PathBuf> {
        self.chosen_below(below, |known| known.walk != self.walk)
    }

    /// All files below a path.
    pub fn below(&self, path: &Path) -> Vec<PathBuf> {
        self.chosen_below(path, |_| true)
    }

    /// Files below a path that are no links.
    pub fn plain_below(&self, path: &Path) -> Vec<PathBuf> {
        self.chosen_below(path, |known| known.target.is_none())
    }

    /// Links below a path.
    pub fn links_below(&self, path: &Path) -> Vec<PathBuf> {
        self.chosen_below(path, |known| known.target.is_some())
    }

    /// The file at a path, if it is chosen, and all such whose paths go on from there.
    fn chosen_below(&self, below: &Path, chosen: impl Fn(&Known) -> bool) -> Vec<PathBuf> {
        // Without a slash at the end, and with one: between the two lie names that begin like this one.
        let below = below.components().as_path();
        let mut prefix = below.as_os_str().to_owned();
        if !prefix.as_bytes().ends_with(b"/") {
            prefix.push("/");
        }
        let (folder, name) = split(below);
        let itself = self.folders.get(folder).and_then(|files| files.get(name)).filter(|known| chosen(known));
        let here = self.folders.get_key_value(below.as_os_str());
        let rest = self.folders.range::<OsStr, _>((Bound::Excluded(prefix.as_os_str()), Bound::Unbounded));
        let folders =
            here.into_iter().chain(rest.take_while(|(path, _)| path.as_bytes().starts_with(prefix.as_bytes())));
        let files = folders.flat_map(|(folder, files)| {
            let files = files.iter().filter(|(_, known)| chosen(known));
            files.map(move |(name, _)| Path::new(folder).join(name))
        });
        itself.map(|_| below.to_owned()).into_iter().chain(files).collect()
    }

    /// The paths under which programs see what the kernel calls `real`.
    pub fn names(&self, real: &Path) -> Vec<PathBuf> {
        let mut names = Vec::new();
        if let (Some(parent), Some(name)) = (real.parent(), real.file_name())
            && let Some(directory) = self.directories.get(parent)
        {
            names.extend(directory.paths.iter().map(|path| path.join(name)));
        }
        names.extend(self.links.get(real).into_iter().flatten().cloned());
        if let Some(directory) = self.directories.get(real) {
            names.extend(directory.paths.iter().cloned());
        }
        names.sort();
        names.dedup();
        names
    }

    /// Whether this very directory is watched already; if so, notes another name of it.
    pub fn is_watched(&mut self, real: &Path, id: Id, path: &Path) -> bool {
        let Some(directory) = self.directories.get_mut(real).filter(|directory| directory.id == id) else {
            return false;
        };
        directory.paths.insert(path.to_owned());
        true
    }

    /// A directory is watched; `path` is `None` when only targets of links lie in it.
    pub fn put_watched(&mut self, real: PathBuf, id: Id, path: Option<PathBuf>) {
        let directory = self.directories.entry(real).or_insert_with(|| Directory { id, paths: BTreeSet::new() });
        directory.id = id;
        directory.paths.extend(path);
    }

    /// Whether a directory is watched, whatever its names.
    pub fn has_watched(&self, real: &Path) -> bool {
        self.directories.contains_key(real)
    }

    /// A path leads to no directory any more, or to another: its name goes, and that of all below.
    /// Gives the directories that are left without a name, which are watched no more.
    pub fn forget_directories(&mut self, path: &Path) -> Vec<PathBuf> {
        let mut nameless = Vec::new();
        self.directories.retain(|real, directory| {
            let before = directory.paths.len();
            directory.paths.retain(|name| !name.starts_with(path));
            // One that never had a name is watched for links.
            let forget = real.starts_with(path) || before > 0 && directory.paths.is_empty();
            if forget {
                nameless.push(real.clone());
            }
            !forget
        });
        nameless
    }

    /// No directory is watched any more.
    pub fn forget_all_directories(&mut self) {
        self.directories.clear();
    }
}

/// The folder of a path and the name in it.
pub fn split(path: &Path) -> (&OsStr, &OsStr) {
    let bytes = path.as_os_str().as_bytes();
    let (folder, name) = match memchr::memrchr(b'/', bytes) {
        Some(0) => bytes.split_at(1),
        Some(slash) => (bytes.get(..slash).unwrap_or_default(), bytes.get(slash + 1..).unwrap_or_default()),
        None => (&[][..], bytes),
    };
    (OsStr::from_bytes(folder), OsStr::from_bytes(name))
}
