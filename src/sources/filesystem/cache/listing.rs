//! What a commit has, as the hub's client wrote it down: `trees/COMMIT.json`.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::base::files;

/// Bytes of one listing.
const BYTES_MAX: u64 = 32 << 20;
/// Files of one commit; of larger ones nothing is known.
const FILES_MAX: usize = 50_000;
/// Characters of a path in it.
const PATH_MAX: usize = 1024;

/// A file as a commit has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The SHA-1 that Git gives it: of large files, of what stands for them.
    pub blob_id: String,
    /// The SHA-256 of a large file.
    pub lfs_sha256: Option<String>,
}

#[derive(Deserialize)]
struct Listing {
    files: Files,
}

struct Files(BTreeMap<String, Entry>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Files;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("files by their paths")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let mut files = BTreeMap::new();
                while let Some((path, entry)) = map.next_entry::<String, Entry>()? {
                    if files.len() >= FILES_MAX || path.len() > PATH_MAX {
                        return Err(A::Error::custom("more than is read"));
                    }
                    files.insert(path, entry);
                }
                Ok(Files(files))
            }
        }
        deserializer.deserialize_map(Bounded)
    }
}

/// The listing that was read last: the files of a snapshot are looked at one after the other.
#[derive(Debug, Default)]
pub struct Listings {
    path: PathBuf,
    /// Inode, bytes, and when it was changed.
    stat: (u64, u64, i64, i64),
    files: Option<BTreeMap<String, Entry>>,
}

impl Listings {
    /// What a commit has; `None` where nobody wrote it down, or so that it cannot be read.
    pub fn of(&mut self, repository: &Path, commit: &str) -> Option<&BTreeMap<String, Entry>> {
        let path = repository.join("trees").join(format!("{commit}.json"));
        let metadata = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file);
        let stat = metadata.map(|metadata| (metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()));
        let stat = stat.filter(|stat| stat.1 <= BYTES_MAX)?;
        if self.path != path || self.stat != stat {
            let read = files::read(&path, BYTES_MAX).ok();
            let listing = read.and_then(|bytes| serde_json::from_slice::<Listing>(&bytes).ok());
            if listing.is_none() {
                tracing::warn!(path = %path.display(), "a listing in a cache is not understood, or larger than is read");
            }
            self.files = listing.map(|listing| listing.files.0);
            (self.path, self.stat) = (path, stat);
        }
        self.files.as_ref()
    }
}
