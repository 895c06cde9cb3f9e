//! References of a cache: `refs/main` names the commit that is loaded where nobody names one.
//!
//! The client writes a reference, and then what its commit has. So a reference that leads to a snapshot which was there
//! long before it was written was moved without a download: by the client, where that commit was fetched by its own name
//! or the hub went back to it, or by somebody else.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::is_repository;
use crate::base::files;
use crate::event::Fields;

const BYTES_MAX: u64 = 256;
/// Snapshots that are looked at for a newer one.
const SNAPSHOTS_MAX: usize = 1024;
/// The client makes the folder of a snapshot a moment before it writes the reference.
const MOMENT: Duration = Duration::from_secs(5);

/// Adds where a reference leads, if a path is that of one.
pub fn note(attributes: &mut Fields, path: &Path) {
    let Some(repository) = path.ancestors().skip(1).find(|folder| is_repository(folder)) else { return };
    if !path.strip_prefix(repository).is_ok_and(|below| below.starts_with("refs")) {
        return;
    }
    let commit = files::read_text(path, BYTES_MAX).ok();
    let commit = commit.as_deref().map(str::trim).filter(|text| text.len() == 40);
    let Some(commit) = commit.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit())) else { return };
    let snapshots = repository.join("snapshots");
    let snapshot = snapshots.join(commit);
    if !snapshot.is_dir() {
        super::put(attributes, "file.cache.dangling");
        return;
    }
    let Some((made, written)) = made(&snapshot).zip(written(path)) else { return };
    if made + MOMENT >= written {
        return;
    }
    let listed = repository.join("trees").join(format!("{commit}.json")).is_file();
    let found = match (has_newer(&snapshots, made), listed) {
        (true, _) => "older",
        (false, false) => "unlisted",
        (false, true) => "newest",
    };
    attributes.insert("file.cache.not_fetched".to_owned(), found.into());
}

fn has_newer(snapshots: &Path, than: SystemTime) -> bool {
    let folders = snapshots.read_dir().into_iter().flatten().take(SNAPSHOTS_MAX).flatten();
    folders.into_iter().any(|folder| made(&folder.path()).is_some_and(|made| made > than))
}

/// When a folder was made, which nobody sets back; when something in it changed, where the file system does not know.
fn made(folder: &Path) -> Option<SystemTime> {
    let metadata = folder.symlink_metadata().ok().filter(std::fs::Metadata::is_dir)?;
    metadata.created().ok().or_else(|| changed(&metadata))
}

/// When a reference was written, or something else of it changed.
fn written(path: &Path) -> Option<SystemTime> {
    changed(&path.symlink_metadata().ok()?)
}

fn changed(metadata: &std::fs::Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).ok()?);
    let nanoseconds = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanoseconds)
}
