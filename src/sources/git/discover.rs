//! Which repositories there are: those that are named, and those below a folder that is.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::config::{Checked, name_of};
use super::files::{Fault, Ground, Patience};
use super::layout::{Layout, is_repository};

/// Folders in folders: servers keep `owner/repository.git`, or `@hashed/aa/bb/….git`.
const DEPTH_MAX: usize = 5;
/// Folders that are looked into.
const FOLDERS_MAX: usize = 200_000;
pub const REPOSITORIES_MAX: usize = 10_000;

/// What was found.
#[derive(Default)]
pub struct Found {
    /// By the names that they have in events.
    pub repositories: BTreeMap<String, PathBuf>,
    /// Places that could not be looked into: what lies there is neither seen nor gone. A place that is a repository
    /// has a name.
    pub unseen: Vec<(PathBuf, Fault)>,
    /// What else a person should know.
    pub problems: Vec<String>,
    /// Working trees whose branches and tags are told by another, with that.
    pub linked: Vec<(PathBuf, String)>,
}

/// Looks for repositories. Links are followed only where they are named themselves.
pub fn find(checked: &Checked, patience: &Patience) -> Result<Found, Fault> {
    let mut found = Found::default();
    for root in &checked.config.repositories {
        let ground = match Ground::new(root, &checked.outside) {
            Ok(ground) => ground,
            Err(fault) => {
                found.unseen.push((root.clone(), told(root, fault)));
                continue;
            }
        };
        if is_repository(&ground, ground.repository()) {
            found.put(name_of(root.file_name().map_or(Path::new("repository"), |_| named(root))), root.clone());
            continue;
        }
        let before = found.repositories.len();
        let mut walk = Walk { ground: &ground, root, patience, folders: 0 };
        match walk.folder(Path::new(""), DEPTH_MAX, &mut found) {
            Ok(()) if found.repositories.len() == before => {
                let fault = Fault::Unsupported(
                    "there is no Git repository; name a working tree, a bare repository or a folder of them".to_owned(),
                );
                found.unseen.push((root.clone(), fault));
            }
            Ok(()) => {}
            Err(fault @ (Fault::Stopped | Fault::Slow)) => return Err(fault),
            Err(fault) => found.unseen.push((root.clone(), fault)),
        }
    }
    // Where each has a `HEAD` of its own to be watched, each is told.
    if !checked.refs.take("HEAD") {
        found.tell_once(checked);
    }
    Ok(found)
}

/// What is there where a folder should be is not simply missing.
fn told(root: &Path, fault: Fault) -> Fault {
    match fault {
        Fault::Missing if root.symlink_metadata().is_ok_and(|found| !found.is_dir()) => Fault::Unsupported(
            "it is no folder, or a link that leads to none; name a working tree, a bare repository or a folder of them"
                .to_owned(),
        ),
        fault => fault,
    }
}

/// The last part of a path that says something: that before `.git`.
fn named(root: &Path) -> &Path {
    let root = if root.file_name() == Some(".git".as_ref()) { root.parent().unwrap_or(root) } else { root };
    root.file_name().map_or(root, Path::new)
}

impl Found {
    /// Linked working trees have the branches, tags and objects of one repository: it is told once, by that one if it
    /// is watched itself.
    fn tell_once(&mut self, checked: &Checked) {
        let names_another = |path: &Path| path.join(".git").symlink_metadata().is_ok_and(|found| found.is_file());
        let (linked, own): (Vec<_>, Vec<_>) = self
            .repositories
            .iter()
            .map(|(name, path)| (name.clone(), path.clone()))
            .partition(|(_, path)| names_another(path));
        if linked.is_empty() {
            return;
        }
        let folder = |path: &Path| path.join(".git").canonicalize().or_else(|_| path.canonicalize());
        let mut told: HashMap<PathBuf, String> =
            own.into_iter().filter_map(|(name, path)| Some((folder(&path).ok()?, name))).collect();
        for (name, path) in linked {
            // What cannot be read is told by the look.
            let Ok(layout) = Layout::find(&path, checked) else { continue };
            if let Some(other) = told.get(&layout.common) {
                self.linked.push((path, other.clone()));
                self.repositories.remove(&name);
            } else {
                told.insert(layout.common, name);
            }
        }
    }

    fn put(&mut self, name: String, path: PathBuf) {
        let full = self.repositories.len() >= REPOSITORIES_MAX;
        match self.repositories.entry(name) {
            Entry::Occupied(known) => {
                let (path, name) = (path.display(), known.key());
                self.problems.push(format!(
                    "`{path}` is not watched: another repository is called `{name}` too; name the folder that both lie in"
                ));
            }
            Entry::Vacant(_) if full => {
                let why =
                    format!("there are more than {REPOSITORIES_MAX} repositories; watch some with another source");
                self.problems.push(why);
            }
            Entry::Vacant(place) => drop(place.insert(path)),
        }
    }
}

struct Walk<'w> {
    ground: &'w Ground,
    root: &'w Path,
    patience: &'w Patience,
    folders: usize,
}

impl Walk<'_> {
    fn folder(&mut self, below: &Path, depth: usize, found: &mut Found) -> Result<(), Fault> {
        self.patience.check()?;
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        self.folders += 1;
        if self.folders > FOLDERS_MAX {
            return Err(Fault::TooLarge(format!("it holds more than {FOLDERS_MAX} folders; name the repositories")));
        }
        let here = self.ground.repository().join(below);
        let mut names: Vec<_> = self
            .ground
            .list(&here, FOLDERS_MAX)?
            .into_iter()
            .filter_map(|(name, kind)| (kind == FileType::Directory).then_some(name))
            .collect();
        names.sort_unstable();
        for name in names {
            let inner = below.join(&name);
            let path = self.ground.repository().join(&inner);
            if is_repository(self.ground, &path) {
                found.put(name_of(&inner), self.root.join(&inner));
                continue;
            }
            match self.folder(&inner, depth, found) {
                Ok(()) => {}
                Err(fault @ (Fault::Stopped | Fault::Slow | Fault::TooLarge(_))) => return Err(fault),
                Err(fault) => found.unseen.push((self.root.join(&inner), fault)),
            }
        }
        Ok(())
    }
}
