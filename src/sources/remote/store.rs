//! Artifacts of a registry or store, fetched whole into a file without a name before they are looked into: what is
//! hashed and what is inspected are the same bytes, whatever happens there meanwhile. What is too large for that is read
//! in parts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Entry, Missed, Ranged, Remote, spool};
use crate::artifact::{Bytes, Stop};
use crate::event::ArtifactRef;
use crate::sources::open::OpenFile;
use crate::sources::{BoxFuture, Opened, Parts, Spent, Store, StoreError};

/// Artifacts fetched at the same time, and those that are there until they were looked into.
const FETCHES_MAX: usize = 2;
const SPOOLED_MAX: usize = 4;
/// A download may take so long, and a second more for each so many bytes: one that trickles holds up all others.
const FETCH_WITHIN: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 64 << 10;
/// How long it may take to ask whether something is still as it was.
const LOOK: Duration = Duration::from_secs(60);

/// The place to ask, and the entry there: its size must be known.
pub type Located = (Arc<dyn Remote>, Entry);

/// Finds what an artifact is called where it lies.
pub trait Locate: Send + Sync + 'static {
    /// The place to ask, and the entry there: its size must be known.
    fn locate<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Located, StoreError>>;

    /// The server that has it, where there is more than one.
    fn server(&self, _artifact: &ArtifactRef) -> Option<String> {
        None
    }
}

/// Opens artifacts by fetching them.
pub struct Fetched<L> {
    locate: Arc<L>,
    bytes_max: u64,
    fetches: Semaphore,
    spooled: Arc<Semaphore>,
}

impl<L: Locate> Fetched<L> {
    /// Artifacts of more than `bytes_max` bytes are read in parts.
    pub fn new(locate: Arc<L>, bytes_max: u64) -> Self {
        Self { locate, bytes_max, fetches: Semaphore::new(FETCHES_MAX), spooled: Arc::new(Semaphore::new(SPOOLED_MAX)) }
    }
}

impl<L: Locate> Store for Fetched<L> {
    fn server(&self, artifact: &ArtifactRef) -> Option<String> {
        self.locate.server(artifact)
    }

    fn is_fetched(&self) -> bool {
        true
    }

    fn open<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Box<dyn Opened>, StoreError>> {
        Box::pin(async move {
            let transient = |error: &dyn std::error::Error| StoreError::Transient(error.to_string().into());
            let (remote, entry) = self.locate.locate(artifact).await?;
            if let Some(why) = &entry.unreadable {
                return Err(StoreError::Refused(why.clone()));
            }
            if entry.size > self.bytes_max {
                let (size, most) = (entry.size, self.bytes_max);
                return Err(StoreError::Refused(format!("it has {size} bytes; `artifact_bytes_max` is {most}")));
            }
            let room = Arc::clone(&self.spooled).acquire_owned().await.map_err(|error| transient(&error))?;
            let _permit = self.fetches.acquire().await.map_err(|error| transient(&error))?;
            // The thread goes on fetching only as long as somebody waits for it.
            let given_up = Arc::new(AtomicBool::new(false));
            let _guard = GiveUp(Arc::clone(&given_up));
            let runtime = Handle::current();
            let size = entry.size;
            let fetched = tokio::task::spawn_blocking(move || {
                let stop = Stop::when(move || given_up.load(Ordering::Relaxed));
                spool(&*remote, &entry, &runtime, &stop)
            });
            let within = FETCH_WITHIN + Duration::from_secs(size / SLOWEST);
            let fetched = tokio::time::timeout(within, fetched).await;
            let fetched = fetched.map_err(|_| {
                StoreError::Transient(format!("{size} bytes took longer than {} s", within.as_secs()).into())
            })?;
            let file = fetched.map_err(|error| transient(&error))??;
            let file = file.ok_or_else(|| StoreError::Transient("nobody waits for it any more".into()))?;
            let file = OpenFile::from_file(file).map_err(|error| transient(&error))?;
            Ok(Box::new(Spooled(file, room)) as Box<dyn Opened>)
        })
    }

    fn parts<'a>(
        &'a self,
        artifact: &'a ArtifactRef,
        bytes_max: u64,
        stop: Stop,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Parts>>, StoreError>> {
        Box::pin(async move {
            let (remote, entry) = self.locate.locate(artifact).await?;
            if entry.size <= self.bytes_max || entry.unreadable.is_some() || bytes_max == 0 {
                return Ok(None);
            }
            let runtime = Handle::current();
            let ranged = Ranged::new(remote, entry.clone(), runtime.clone(), stop).within(bytes_max);
            let locate = Arc::clone(&self.locate);
            let parts = InParts { ranged, entry, locate, artifact: artifact.clone(), runtime };
            Ok(Some(Box::new(parts) as Box<dyn Parts>))
        })
    }
}

/// Bytes that stay where they are.
struct InParts<L> {
    ranged: Ranged,
    /// What it was when reading began.
    entry: Entry,
    locate: Arc<L>,
    artifact: ArtifactRef,
    runtime: Handle,
}

impl<L: Locate> Bytes for InParts<L> {
    fn len(&self) -> u64 {
        self.ranged.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.ranged.read_at(offset, buffer)
    }
}

impl<L: Locate> Opened for InParts<L> {
    /// Asks the store once more: parts of what was replaced in between belong to nothing.
    fn unchanged(&self) -> bool {
        let found = self.runtime.block_on(tokio::time::timeout(LOOK, self.locate.locate(&self.artifact)));
        found.is_ok_and(|found| found.is_ok_and(|(_, entry)| entry == self.entry))
    }
}

impl<L: Locate> Parts for InParts<L> {
    fn spent(&self) -> Spent {
        Spent { requests: self.ranged.requests(), bytes: self.ranged.fetched() }
    }

    fn failure(&self) -> Option<StoreError> {
        match self.ranged.missed()? {
            Missed::Gone => Some(StoreError::Gone),
            Missed::Denied(why) => Some(StoreError::Denied(why.into())),
            Missed::Transient(why) => Some(StoreError::Transient(why.into())),
            Missed::Refused(why) => Some(StoreError::Refused(why)),
            Missed::Late | Missed::Spent => None,
        }
    }
}

/// The bytes as they were fetched. The file that holds them says nothing of where they came from: it has no signature
/// that a record of theirs would have.
struct Spooled(OpenFile, #[expect(dead_code, reason = "it is free again when this is dropped")] OwnedSemaphorePermit);

impl Bytes for Spooled {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

impl Opened for Spooled {
    fn unchanged(&self) -> bool {
        self.0.unchanged()
    }

    fn forget(&self) {
        self.0.forget();
    }
}

struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
