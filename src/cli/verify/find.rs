//! Signatures where publishers leave them: in the folder of a model, or beside a folder or file.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::provenance::Kind;

/// What publishers call the signature of the model that lies there.
const USUAL: &str = "model.sig";
/// How the names of other signatures end.
const ENDINGS: [&str; 3] = [".oms.sig", ".sig", ".sigstore.json"];
const ENDINGS_SLSA: [&str; 2] = [".intoto.jsonl", ".sigstore.json"];
/// Names of one folder that are looked at.
const NAMES_MAX: usize = 100_000;

/// The signature in or beside a path; an error when there are several, of which none is the usual one.
pub fn beside(path: &Path, kind: Kind) -> anyhow::Result<Option<PathBuf>> {
    let real = path.canonicalize().with_context(|| format!("`{}` cannot be opened", path.display()))?;
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
            anyhow::bail!("there are several signatures; name one with --signature: {}", names.join(", "))
        }
    }
}

fn with(name: &OsStr, ending: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(ending);
    name
}

/// Signatures in a folder itself, not in those under it.
fn within(folder: &Path, endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let entries = folder.read_dir().with_context(|| format!("`{}` cannot be listed", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries.take(NAMES_MAX) {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if endings.iter().any(|ending| name.ends_with(ending)) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
