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

/// Whether a file in a snapshot lies outside of its repository: it is a link, or lies behind one.
pub fn leads_outside(path: &Path) -> bool {
    let Some(repository) = path.ancestors().skip(1).find(|folder| is_repository(folder)) else { return false };
    if !path.strip_prefix(repository).is_ok_and(|below| below.starts_with("snapshots")) {
        return false;
    }
    match (repository.canonicalize(), path.canonicalize()) {
        (Ok(repository), Ok(real)) => !real.starts_with(repository),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}
