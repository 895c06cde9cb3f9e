//! Opens the files that the source tells of.

use std::path::PathBuf;
use std::sync::Arc;

use super::paths;
use crate::event::ArtifactRef;
use crate::sources::open::OpenFile;
use crate::sources::{BoxFuture, Opened, Store, StoreError};

/// Files below the watched directories, and no others.
pub struct Files {
    roots: Arc<[PathBuf]>,
    follow_symlinks: bool,
}

impl Files {
    pub fn new(roots: &[PathBuf], follow_symlinks: bool) -> Self {
        Self { roots: roots.into(), follow_symlinks }
    }
}

impl Store for Files {
    fn open<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Box<dyn Opened>, StoreError>> {
        Box::pin(async move {
            let path = paths::unescape(&artifact.path)
                .filter(|path| self.roots.iter().any(|root| paths::below(path, root)))
                .ok_or_else(|| StoreError::Refused(format!("`{}` is not below a watched directory", artifact.path)))?;
            let follow_symlinks = self.follow_symlinks;
            // On a dead network mount even an open can take minutes.
            tokio::task::spawn_blocking(move || OpenFile::open(&path, follow_symlinks))
                .await
                .map_err(|error| StoreError::Transient(Box::new(error)))?
                .map(|file| Box::new(file.careful()) as Box<dyn Opened>)
        })
    }
}
