//! Blobs that the repositories of a cache share: of files that Xet keeps, the client makes `blobs/NAME` of a repository a
//! link to `CACHE/blobs/XX/HASH`, in a folder that it marks.

use std::path::Path;

use super::is_hex;

const MARK: &str = ".huggingface-shared-blobs";

/// The name of the blob by way of which a path leads to a shared one; `None` if it leads elsewhere, or in another way.
pub fn name(repository: &Path, path: &Path, real: &Path) -> Option<String> {
    let repository = repository.canonicalize().ok()?;
    let store = repository.parent()?.join("blobs");
    let mut below = real.strip_prefix(&store).ok()?.iter();
    let (prefix, hash) = (below.next()?.to_str()?, below.next()?.to_str()?);
    let marked = || store.join(MARK).symlink_metadata().is_ok_and(|mark| mark.is_file());
    if below.next().is_some() || prefix.len() != 2 || !hash.starts_with(prefix) || !is_hex(hash, 64) || !marked() {
        return None;
    }
    let blob = path.parent()?.join(path.read_link().ok()?);
    let blobs = blob.parent()?.canonicalize().ok()?;
    let name = blob.file_name()?.to_str().filter(|_| blobs == repository.join("blobs"))?;
    Some(name.to_owned())
}
