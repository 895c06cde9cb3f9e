//! Signatures where publishers leave them: in the folder of a model, or beside a folder or file.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::provenance::Kind;

/// What publishers call the signature of the model that lies there.
const USUAL: &str = "model.sig";
/// How the names of other signatures end.
const ENDINGS: [&str; 3] = [".oms.sig", ".sig", ".sigstore.json"];
const ENDINGS_SLSA: [&str; 2] = [".intoto.jsonl", ".sigstore.json"];
/// Folders in folders, where a glob sets no bound.
const DEPTH_MAX: usize = 16;
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

/// Folders and files that globs of paths name: each is one model. Signatures themselves are none.
pub fn places<'g>(globs: impl Iterator<Item = &'g globset::GlobMatcher>, most: usize) -> Vec<PathBuf> {
    let mut found = std::collections::BTreeSet::new();
    for glob in globs {
        let text = glob.glob().glob();
        // What stands before the first sign that means something else than itself is a folder to begin in.
        let plain = text.find(['*', '?', '[', '{', '\\']).unwrap_or(text.len());
        let start = if plain == text.len() {
            text
        } else {
            text.get(..plain).and_then(|text| Some(text.rsplit_once('/')?.0)).unwrap_or("/")
        };
        let depth = if text.contains("**") {
            DEPTH_MAX
        } else {
            text.matches('/').count().saturating_sub(start.matches('/').count())
        };
        let walk =
            walkdir::WalkDir::new(if start.is_empty() { "/" } else { start }).max_depth(depth).sort_by_file_name();
        let mut entries = walk.into_iter();
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name().to_string_lossy();
            let is_signature = ENDINGS.iter().chain(&ENDINGS_SLSA).any(|ending| name.ends_with(ending));
            if !is_signature && glob.is_match(entry.path()) {
                // What lies in a model is no model of its own.
                if entry.file_type().is_dir() {
                    entries.skip_current_dir();
                }
                found.insert(entry.into_path());
            }
            if found.len() >= most {
                return found.into_iter().collect();
            }
        }
    }
    found.into_iter().collect()
}
