//! Bytes of artifacts: out of a repository's objects into a file without a name, or from the file that holds them.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gix_object::Kind;
use tokio::sync::Semaphore;

use super::config::Checked;
use super::files::{Fault, Patience};
use super::layout::Layout;
use super::look::{dvc_paths, lfs_paths};
use super::objects::Objects;
use super::records::Identity;
use crate::artifact::Bytes;
use crate::event::ArtifactRef;
use crate::sources::filesystem::paths::{below, unescape};
use crate::sources::open::OpenFile;
use crate::sources::{BoxFuture, Opened, Store, StoreError};

/// Artifacts unpacked at the same time.
const AT_ONCE: usize = 2;
/// Time to unpack one.
const PATIENCE: Duration = Duration::from_mins(10);

pub struct Artifacts {
    checked: Arc<Checked>,
    turns: Semaphore,
}

impl Artifacts {
    pub fn new(checked: Arc<Checked>) -> Self {
        Self { checked, turns: Semaphore::new(AT_ONCE) }
    }
}

impl Store for Artifacts {
    fn open<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Box<dyn Opened>, StoreError>> {
        Box::pin(async move {
            let transient = |error: &dyn std::error::Error| StoreError::Transient(error.to_string().into());
            let _turn = self.turns.acquire().await.map_err(|error| transient(&error))?;
            let given_up = Arc::new(AtomicBool::new(false));
            let _guard = GiveUp(Arc::clone(&given_up));
            let patience = Patience::new(PATIENCE, given_up);
            let (checked, artifact) = (Arc::clone(&self.checked), artifact.clone());
            let opened = tokio::task::spawn_blocking(move || open(&checked, &artifact, &patience));
            let file = opened.await.map_err(|error| transient(&error))??;
            let file = OpenFile::from_file(file).map_err(|error| transient(&error))?;
            Ok(Box::new(Unpacked(file)) as Box<dyn Opened>)
        })
    }
}

fn open(checked: &Checked, artifact: &ArtifactRef, patience: &Patience) -> Result<File, StoreError> {
    let refused = |why: &str| StoreError::Refused(why.to_owned());
    let identity =
        artifact.version.as_deref().and_then(Identity::parse).ok_or_else(|| refused("it is named by no digest"))?;
    let repository = repository(checked, &artifact.path).ok_or(StoreError::Gone)?;
    let layout = Layout::find(&repository, checked).map_err(store_error)?;
    let most = checked.config.artifact_bytes_max;
    let file = match identity {
        Identity::Git(id) => {
            let (kind, held) = Objects::new(&layout, patience.clone()).read(&id, most).map_err(store_error)?;
            if kind != Kind::Blob {
                return Err(refused("it is no file"));
            }
            return held.into_file().map_err(store_error);
        }
        Identity::Lfs(digest) => first(&layout, lfs_paths(&layout, &digest))?,
        Identity::Dvc(md5) => first(&layout, dvc_paths(&layout, &md5, false).chain(dvc_paths(&layout, &md5, true)))?,
    };
    let size = file.metadata().map_err(|error| StoreError::Transient(Box::new(error)))?.len();
    if size > most {
        return Err(StoreError::Refused(format!("it has {size} bytes; `artifact_bytes_max` is {most}")));
    }
    Ok(file)
}

fn first(layout: &Layout, mut paths: impl Iterator<Item = PathBuf>) -> Result<File, StoreError> {
    paths
        .find_map(|path| match layout.ground.file(&path) {
            Err(Fault::Missing) => None,
            opened => Some(opened.map_err(store_error)),
        })
        .unwrap_or(Err(StoreError::Gone))
}

/// The repository that an artifact is in: `PATH@REF:FILE`, of which a path may hold an `@` itself.
fn repository(checked: &Checked, text: &str) -> Option<PathBuf> {
    let ends: Vec<usize> = text.match_indices('@').take(64).map(|(at, _)| at).collect();
    // The longest first: a repository may lie in the working tree of another.
    ends.into_iter().rev().filter_map(|at| unescape(text.get(..at)?)).find(|path| {
        checked.config.repositories.iter().any(|root| below(path, root)) && Layout::find(path, checked).is_ok()
    })
}

fn store_error(fault: Fault) -> StoreError {
    match fault {
        Fault::Missing | Fault::NoObject(_) => StoreError::Gone,
        Fault::Denied(_) => StoreError::Denied(Box::new(fault)),
        Fault::Outside(_) | Fault::Unsupported(_) | Fault::Corrupt(_) | Fault::TooLarge(_) => {
            StoreError::Refused(fault.to_string())
        }
        Fault::Failed { .. } | Fault::Slow | Fault::Stopped => StoreError::Transient(Box::new(fault)),
    }
}

/// The bytes as they were opened. The file that holds them has no signature that a record of theirs would have.
struct Unpacked(OpenFile);

impl Bytes for Unpacked {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

impl Opened for Unpacked {
    fn unchanged(&self) -> bool {
        self.0.unchanged()
    }

    fn forget(&self) {
        self.0.forget();
    }
}

/// Tells a thread that nobody waits for it any more.
pub struct GiveUp(pub Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
