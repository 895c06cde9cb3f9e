//! Files of caches that are as they were, while what they are held against is not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Place, is_repository};
use crate::sources::filesystem::tree::Tree;

/// Files at once: what is left waits for the next time.
const AT_ONCE: usize = 10_000;

/// What is to be looked at again.
#[derive(Debug, Default)]
pub struct Again {
    places: BTreeSet<Files>,
    files: Vec<PathBuf>,
}

/// Files below a folder.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Files {
    All(PathBuf),
    /// Those that are no links.
    Plain(PathBuf),
}

impl Again {
    /// A file came, changed or went. With a listing of a commit goes its snapshot; with a snapshot go references, and
    /// what in it is no link.
    pub fn note(&mut self, path: &Path) {
        if let Some(place) = Place::of(path) {
            let snapshot = place.repository.join("snapshots").join(place.commit);
            self.places.extend([Files::All(place.repository.join("refs")), Files::Plain(snapshot)]);
            return;
        }
        let trees = path.parent().filter(|folder| folder.ends_with("trees"));
        let repository = trees.and_then(Path::parent).filter(|folder| is_repository(folder));
        let commit = path.file_stem().filter(|_| path.extension().is_some_and(|extension| extension == "json"));
        let snapshot = repository.zip(commit).map(|(repository, commit)| repository.join("snapshots").join(commit));
        self.places.extend(snapshot.map(Files::All));
    }

    /// The next of the files that are known.
    pub fn next(&mut self, tree: &Tree) -> Vec<PathBuf> {
        for place in std::mem::take(&mut self.places) {
            self.files.extend(match place {
                Files::All(folder) => tree.below(&folder),
                Files::Plain(folder) => tree.plain_below(&folder),
            });
        }
        self.files.sort_unstable();
        self.files.dedup();
        self.files.split_off(self.files.len().saturating_sub(AT_ONCE))
    }
}
