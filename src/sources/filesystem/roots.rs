//! The watched directories themselves: present or missing, notified or polled.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::walk::Id;
use super::{Config, Watch, mounts};

/// One configured directory.
#[derive(Debug)]
pub struct Root {
    pub path: PathBuf,
    /// `None` while it is missing.
    pub id: Option<Id>,
    /// Why it is polled, if it is.
    pub polled: Option<String>,
    /// Directories in it that could not be looked at.
    pub unreadable: BTreeSet<PathBuf>,
    /// It holds more files than are allowed.
    pub full: bool,
}

/// What a look at a root shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Same,
    /// It is there, and was not, or is another.
    Appeared,
    Vanished,
}

impl Root {
    pub fn new(path: &Path, config: &Config) -> Self {
        let polled = (config.watch == Watch::Poll).then(|| "as configured".to_owned());
        Self { path: path.to_owned(), id: None, polled, unreadable: BTreeSet::new(), full: false }
    }

    /// Looks whether it is there.
    pub fn check(&mut self) -> Change {
        let id = self.path.metadata().ok().filter(std::fs::Metadata::is_dir).map(|found| (found.dev(), found.ino()));
        let before = std::mem::replace(&mut self.id, id);
        match (before, id) {
            (None, None) => Change::Same,
            (Some(old), Some(new)) if old == new => Change::Same,
            (_, Some(_)) => {
                self.note_file_system(&self.path.clone());
                Change::Appeared
            }
            (Some(_), None) => Change::Vanished,
        }
    }

    /// Polls the root if the file system at a path does not tell of all its writers.
    pub fn note_file_system(&mut self, path: &Path) {
        if self.polled.is_none()
            && let Some(name) = mounts::blind(path)
        {
            self.polled = Some(format!("{name} does not tell of remote writers"));
        }
    }
}

/// Why the source cannot see all it should: reason and sentence.
pub fn blindness(roots: &[Root], files_max: usize) -> BTreeMap<String, String> {
    let mut blind = BTreeMap::new();
    let (files, missing): (Vec<&Root>, Vec<&Root>) =
        roots.iter().filter(|root| root.id.is_none()).partition(|root| root.path.exists());
    if let Some(first) = files.first() {
        let (count, path) = (files.len(), first.path.display());
        let text = format!(
            "{count} of `paths` are no directories, for example `{path}`; name the directory, and the file in `include`"
        );
        blind.insert("no_directory".to_owned(), text);
    }
    if let Some(first) = missing.first() {
        blind.insert(
            "missing_root".to_owned(),
            format!(
                "{} of {} directories are missing, for example `{}`; create or mount it, or take it out of `paths`",
                missing.len(),
                roots.len(),
                first.path.display()
            ),
        );
    }
    let unreadable: Vec<&PathBuf> = roots.iter().flat_map(|root| &root.unreadable).collect();
    if let Some(first) = unreadable.first() {
        blind.insert(
            "unreadable".to_owned(),
            format!(
                "{} places cannot be looked at, for example `{}`; give the agent permission to read, or \
                 exclude them; where more than 64 links lead to one directory, the others are not gone into",
                unreadable.len(),
                first.display()
            ),
        );
    }
    if let Some(full) = roots.iter().find(|root| root.full) {
        blind.insert(
            "files_max".to_owned(),
            format!("more than {files_max} files, at `{}`; raise `files_max` or exclude some", full.path.display()),
        );
    }
    blind
}

/// What a person should know although the source sees.
pub fn notes(roots: &[Root]) -> BTreeMap<String, String> {
    let polled: Vec<String> = roots
        .iter()
        .filter_map(|root| root.polled.as_ref().map(|why| format!("`{}`: {why}", root.path.display())))
        .collect();
    if polled.is_empty() { BTreeMap::new() } else { BTreeMap::from([("polling".to_owned(), polled.join("; "))]) }
}
