//! The cache of the Hugging Face Hub: what its layout promises about the files in it.
//!
//! `models--org--name/snapshots/COMMIT/file` is a link to `../../blobs/NAME`, and of large files NAME is the SHA-256
//! of their content: so the cache can be held against itself, without asking anybody. Small files bear the SHA-1 that
//! Git gives them, which is no promise worth anything.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::event::Sha256;

/// How the repositories of a cache begin.
const REPOSITORIES: [&[u8]; 3] = [b"models--", b"datasets--", b"spaces--"];

/// Whether a folder is named as a repository in the cache is.
pub fn is_repository(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().as_bytes();
    REPOSITORIES.iter().any(|prefix| name.starts_with(prefix))
}

/// The digest that a blob's name promises.
pub fn claimed(target: &Path) -> Option<Sha256> {
    let folder = target.parent().filter(|folder| folder.file_name().is_some_and(|name| name == "blobs"))?;
    let name = target.file_name()?.to_str().filter(|_| folder.parent().is_some_and(is_repository))?;
    name.parse().ok()
}

/// Whether a link in a snapshot leads out of its repository.
pub fn leads_outside(link: &Path, target: &Path) -> bool {
    let snapshots = link.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "snapshots"));
    let Some(repository) = snapshots.and_then(Path::parent).filter(|folder| is_repository(folder)) else {
        return false;
    };
    // The target is told without links: so must be what it is held against.
    repository.canonicalize().is_ok_and(|repository| !target.starts_with(repository))
}
