//! Signatures where publishers leave them: in the folder of a model, or beside a folder or file.

mod watch;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::provenance::Kind;

pub use watch::Watch;

/// What publishers call the signature of the model that lies there.
const USUAL: &str = "model.sig";
/// How the names of other signatures end.
const ENDINGS: [&str; 3] = [".oms.sig", ".sig", ".sigstore.json"];
const ENDINGS_SLSA: [&str; 2] = [".intoto.jsonl", ".sigstore.json"];
/// Folders in folders, where a glob sets no bound.
const DEPTH_MAX: usize = 16;
/// Files and folders walked to find models.
const ENTRIES_MAX: usize = 1_000_000;
/// Names of one folder that are looked at.
const NAMES_MAX: usize = 100_000;

/// The signature in or beside a path; an error when there are several, of which none is the usual one.
pub fn beside(path: &Path, kind: Kind) -> Result<Option<PathBuf>, String> {
    let real = path.canonicalize().map_err(|error| format!("`{}` cannot be opened: {error}", path.display()))?;
    let name = real.file_name().unwrap_or_default();
    let parent = real.parent().unwrap_or(Path::new("/"));
    let endings = if kind == Kind::Slsa { ENDINGS_SLSA.as_slice() } else { ENDINGS.as_slice() };
    let mut found = Vec::new();
    if real.is_dir() {
        found = within(&real, endings)?;
    }
    if found.is_empty() {
        let named = endings.iter().map(|ending| parent.join(with(name, ending)));
        found = named.filter(|path| path.is_file()).collect();
    }
    if found.is_empty() && kind == Kind::Model {
        found.extend(Some(parent.join(USUAL)).filter(|path| path.is_file()));
    }
    let usual = found.iter().find(|path| path.file_name() == Some(OsStr::new(USUAL)));
    match (usual, found.as_slice()) {
        (Some(usual), _) => Ok(Some(usual.clone())),
        (None, []) => Ok(None),
        (None, [one]) => Ok(Some(one.clone())),
        (None, several) => {
            let names: Vec<String> = several.iter().take(5).map(|path| format!("`{}`", path.display())).collect();
            Err(format!("there are several signatures; name one with --signature: {}", names.join(", ")))
        }
    }
}

fn with(name: &OsStr, ending: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(ending);
    name
}

/// Signatures in a folder itself, not in those under it.
fn within(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be listed: {error}", folder.display());
    let entries = folder.read_dir().map_err(failed)?;
    let mut found = Vec::new();
    for entry in entries.take(NAMES_MAX) {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if endings.iter().any(|ending| name.ends_with(ending)) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What globs of paths name, and what of it could not be looked at.
#[derive(Debug, Default)]
pub struct Places {
    /// Folders and files: each is one model. Signatures themselves are none.
    pub models: BTreeSet<PathBuf>,
    /// Folders in which globs begin.
    pub starts: BTreeSet<PathBuf>,
    /// Folders that were walked, where models may come and go.
    pub folders: BTreeSet<PathBuf>,
    /// Folders that could not be read, or are not there where a glob begins: what lies below is unknown.
    pub unreadable: BTreeSet<PathBuf>,
    /// More models, or more to walk, than is looked at.
    pub cut: bool,
    entries: usize,
}

impl Places {
    /// Looks for what globs name, through links to folders as a program goes that loads from there; a link that leads
    /// back to where it lies is not followed.
    pub fn find<'g>(globs: impl Iterator<Item = &'g globset::GlobMatcher>, most: usize) -> Self {
        let mut found = Self::default();
        for glob in globs {
            found.walk(glob, most);
        }
        found
    }

    fn walk(&mut self, glob: &globset::GlobMatcher, most: usize) {
        let text = glob.glob().glob();
        // What stands before the first sign that means something else than itself is a folder to begin in.
        let plain = text.find(['*', '?', '[', '{', '\\']).unwrap_or(text.len());
        let start = text.get(..plain).and_then(|text| Some(text.rsplit_once('/')?.0)).unwrap_or_default();
        let depth = if text.contains("**") {
            DEPTH_MAX
        } else {
            text.matches('/').count().saturating_sub(start.matches('/').count())
        };
        let start = if start.is_empty() { "/" } else { start };
        self.starts.insert(PathBuf::from(start));
        let walk = walkdir::WalkDir::new(start).max_depth(depth).follow_links(true).sort_by_file_name();
        let mut entries = walk.into_iter();
        while let Some(entry) = entries.next() {
            self.entries += 1;
            if self.models.len() >= most || self.entries >= ENTRIES_MAX {
                self.cut = true;
                return;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.fault(glob, &error);
                    continue;
                }
            };
            let folder = entry.file_type().is_dir();
            if names(glob, entry.path(), folder) {
                // What lies in a model is no model of its own.
                if folder {
                    entries.skip_current_dir();
                }
                self.models.insert(entry.into_path());
            } else if folder && entry.depth() < depth {
                self.folders.insert(entry.into_path());
            } else if folder && text.contains("**") {
                self.cut = true;
            }
        }
    }

    fn fault(&mut self, glob: &globset::GlobMatcher, error: &walkdir::Error) {
        let Some(path) = error.path() else { return };
        let missing = error.io_error().is_none_or(|error| error.kind() == std::io::ErrorKind::NotFound);
        if error.loop_ancestor().is_none() && path.is_symlink() && names(glob, path, false) {
            // A link that leads nowhere is verified all the same, which tells why it cannot be.
            self.models.insert(path.to_owned());
        } else if !missing || error.depth() == 0 {
            self.unreadable.insert(path.to_owned());
        }
    }
}

/// Whether a glob names a path, and the path is no signature. A folder is none, whatever its name.
fn names(glob: &globset::GlobMatcher, path: &Path, folder: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_signature = !folder && ENDINGS.iter().chain(&ENDINGS_SLSA).any(|ending| name.ends_with(ending));
    !is_signature && glob.is_match(path)
}
