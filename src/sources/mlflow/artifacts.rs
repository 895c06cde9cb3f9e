//! Lists the artifacts of one version, with what tells that their bytes changed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::location::{Location, resolve};
use super::registry::{Held, Holding};
use super::{Shared, buckets};
use crate::base::clock;
use crate::base::http::Failure;

/// What was found, and what it cost.
#[derive(Debug, Default)]
pub struct Listing {
    pub files: BTreeMap<String, Held>,
    /// Files left out because there are too many, or because their name leads elsewhere.
    pub left_out: usize,
    /// Files of which only reading tells whether they changed.
    pub untold: usize,
}

/// Requests that may still be made.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    pub const fn new(requests: u64) -> Self {
        Self(requests)
    }

    pub const fn spend(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    pub const fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Asks where a version's bytes lie.
pub async fn locate(shared: &Shared, name: &str, version: &str, source: Option<&str>) -> Result<Holding, Failure> {
    let uri = shared.api.location(name, version).await?;
    Ok(Holding {
        source: source.map(ToOwned::to_owned),
        location: resolve(&uri, shared),
        uri: uri.trim_end_matches('/').to_owned(),
        files: BTreeMap::new(),
        listed: 0,
        refused: None,
    })
}

/// Lists one version. A listing that was begun is finished, or pieces of it would look deleted.
pub async fn list(shared: &Shared, location: &Location, budget: &mut Budget) -> Result<Listing, Failure> {
    match location {
        Location::Proxy(root) => list_proxy(shared, root, budget).await,
        Location::Local(directory) => {
            let (directory, files_max) = (directory.clone(), shared.config.version_files_max);
            tokio::task::spawn_blocking(move || list_directory(&directory, files_max))
                .await
                .map_err(|error| Failure::Garbage(error.to_string()))?
        }
        Location::Bucket(bucket, folder) => buckets::list(shared, *bucket, folder, budget).await,
        Location::Prompt | Location::Elsewhere => Ok(Listing::default()),
    }
}

async fn list_proxy(shared: &Shared, root: &str, budget: &mut Budget) -> Result<Listing, Failure> {
    let mut listing = Listing::default();
    let mut directories = vec![String::new()];
    // Directories count as well: they could go round for ever.
    let mut entries_max = shared.config.version_files_max;
    while let Some(directory) = directories.pop() {
        budget.spend();
        for entry in shared.api.list(&join(root, &directory)).await? {
            // Servers differ in whether they repeat the directory before the name.
            let name = entry.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            if matches!(name, "" | "." | "..") || entries_max == 0 {
                listing.left_out += 1;
                continue;
            }
            entries_max -= 1;
            let path = join(&directory, name);
            if entry.is_dir {
                directories.push(path);
                continue;
            }
            budget.spend();
            match shared.api.head(&join(root, &path)).await {
                Ok(head) => {
                    let size = entry.file_size.or(head.size);
                    listing.untold += usize::from(head.etag.is_none() && head.modified.is_none());
                    let told = match (head.etag, head.modified) {
                        (Some(etag), modified) => format!("{etag} {}", modified.unwrap_or_default()),
                        (None, Some(modified)) => modified,
                        (None, None) => reread(shared.config.reread_secs),
                    };
                    let signature = format!("{} {told}", size.map_or_else(String::new, |size| size.to_string()));
                    listing.files.insert(path, Held { signature, size });
                }
                // Gone since it was listed.
                Err(Failure::Gone) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(listing)
}

/// Changes every so often, so that the bytes are read again.
fn reread(secs: u64) -> String {
    let now = u64::try_from(clock::now().as_second()).unwrap_or(0);
    format!("reread {}", now / secs.max(1))
}

pub fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() || name.is_empty() { format!("{directory}{name}") } else { format!("{directory}/{name}") }
}

fn list_directory(directory: &Path, files_max: usize) -> Result<Listing, Failure> {
    let mut listing = Listing::default();
    for entry in walkdir::WalkDir::new(directory).follow_links(false).max_depth(32) {
        let Ok(entry) = entry else {
            listing.left_out += 1;
            continue;
        };
        let Ok(metadata) = entry.metadata() else { continue };
        let relative = entry.path().strip_prefix(directory).ok().and_then(Path::to_str);
        let Some(path) = relative.filter(|_| metadata.is_file() && listing.files.len() < files_max) else {
            listing.left_out += usize::from(metadata.is_file());
            continue;
        };
        let signature = format!(
            "{} {} {}.{:09} {}.{:09}",
            metadata.ino(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec()
        );
        listing.files.insert(path.to_owned(), Held { signature, size: Some(metadata.len()) });
    }
    // A mount that is away must not look like artifacts deleted.
    if listing.files.is_empty() && !directory.exists() {
        return Err(Failure::Garbage(format!("`{}` is not there; is the store mounted?", directory.display())));
    }
    Ok(listing)
}
