//! Fetches artifacts, through the tracking server or from a mounted store.

use std::fs::File;
use std::io;
use std::sync::Arc;

use reqwest::StatusCode;
use tokio::io::AsyncWriteExt;

use super::Shared;
use super::api::Head;
use super::buckets::InBucket;
use super::location::{Location, resolve};
use super::prompts;
use crate::artifact::Stop;
use crate::event::ArtifactRef;
use crate::sources::open::OpenFile;
use crate::sources::remote::Fetched;
use crate::sources::{BoxFuture, Opened, Parts, Store, StoreError};

/// A download that breaks off is continued so often.
const CONTINUE_MAX: u32 = 3;

pub struct Artifacts {
    shared: Arc<Shared>,
    buckets: Fetched<InBucket>,
}

impl Artifacts {
    pub fn new(shared: Arc<Shared>) -> Self {
        let bytes_max = shared.config.artifact_bytes_max;
        Self { buckets: Fetched::new(Arc::new(InBucket(Arc::clone(&shared))), bytes_max), shared }
    }

    async fn fetch(&self, path: &str) -> Result<OpenFile, StoreError> {
        let _permit = self.shared.downloads.acquire().await.map_err(|error| StoreError::Transient(Box::new(error)))?;
        let before = self.shared.api.head(path).await.map_err(StoreError::from)?;
        let limit = self.shared.config.artifact_bytes_max;
        if let Some(size) = before.size.filter(|size| *size > limit) {
            return Err(StoreError::Refused(format!("it has {size} bytes; `artifact_bytes_max` is {limit}")));
        }
        let file = self.download(path, before.size, limit).await?;
        // The server tells the entity tag of a HEAD and that of a GET differently: compare like
        // with like.
        let after = self.shared.api.head(path).await.map_err(StoreError::from)?;
        if tag(&before) != tag(&after) {
            return Err(StoreError::Transient("it was replaced while it was read".into()));
        }
        OpenFile::from_file(file).map_err(|error| StoreError::Transient(Box::new(error)))
    }

    /// Streams into a file that has no name, so that nothing is left behind whatever happens.
    async fn download(&self, path: &str, size: Option<u64>, limit: u64) -> Result<File, StoreError> {
        let folder = self.shared.config.temporary_directory.clone().unwrap_or_else(std::env::temp_dir);
        let file = tempfile::tempfile_in(folder).map_err(disk)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut written: u64 = 0;
        for attempt in 0..=CONTINUE_MAX {
            let response = self.shared.api.fetch(path, written).await;
            let mut response = match response {
                Ok(response) => response,
                Err(failure) if attempt == CONTINUE_MAX || written == 0 => return Err(failure.into()),
                Err(_) => continue,
            };
            if written > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
                // It began anew, and so do we.
                file.set_len(0).await.map_err(disk)?;
                tokio::io::AsyncSeekExt::rewind(&mut file).await.map_err(disk)?;
                written = 0;
            }
            let ended = loop {
                match response.chunk().await {
                    Ok(Some(chunk)) => {
                        written = written.saturating_add(chunk.len() as u64);
                        if written > limit {
                            return Err(StoreError::Refused(format!("it has more than {limit} bytes")));
                        }
                        file.write_all(&chunk).await.map_err(disk)?;
                    }
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            if ended && size.is_none_or(|size| size == written) {
                file.flush().await.map_err(disk)?;
                return Ok(file.into_std().await);
            }
            if size.is_some_and(|size| written > size) {
                break;
            }
        }
        Err(StoreError::Transient("the download broke off".into()))
    }
}

impl Store for Artifacts {
    fn open<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Box<dyn Opened>, StoreError>> {
        Box::pin(async move {
            let uri = artifact.path.replace("\\\\", "\\");
            if let Some((name, version)) = prompts::parse(&uri) {
                return prompts::open(&self.shared.api, &name, &version)
                    .await
                    .map(|file| Box::new(file) as Box<dyn Opened>);
            }
            match resolve(&uri, &self.shared) {
                Location::Proxy(path) => self.fetch(&path).await,
                Location::Local(path) => tokio::task::spawn_blocking(move || OpenFile::open(&path, false))
                    .await
                    .map_err(|error| StoreError::Transient(Box::new(error)))?,
                Location::Bucket(..) => return self.buckets.open(artifact).await,
                Location::Prompt | Location::Elsewhere => Err(StoreError::Refused(format!(
                    "there is no way to `{uri}`; map it in `artifact_roots` or `artifact_buckets`, or let the server serve artifacts"
                ))),
            }
            .map(|file| Box::new(file) as Box<dyn Opened>)
        })
    }

    fn parts<'a>(
        &'a self,
        artifact: &'a ArtifactRef,
        bytes_max: u64,
        stop: Stop,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Parts>>, StoreError>> {
        match resolve(&artifact.path.replace("\\\\", "\\"), &self.shared) {
            Location::Bucket(..) => self.buckets.parts(artifact, bytes_max, stop),
            // The server that hands artifacts on knows no ranges.
            Location::Proxy(_) | Location::Local(_) | Location::Prompt | Location::Elsewhere => {
                Box::pin(std::future::ready(Ok(None)))
            }
        }
    }
}

fn tag(head: &Head) -> (&Option<String>, &Option<String>, &Option<u64>) {
    (&head.etag, &head.modified, &head.size)
}

fn disk(error: io::Error) -> StoreError {
    StoreError::Transient(Box::new(error))
}
