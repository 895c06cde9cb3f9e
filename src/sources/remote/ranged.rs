//! A file at an address as bytes with random access: only what is asked for is fetched.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::runtime::Handle;

use super::{Entry, Remote, until};
use crate::artifact::{self, Stop};
use crate::base::http;
use crate::sources::StoreError;

/// Smallest stretch that is fetched: a request costs about as much as this many bytes.
pub const BLOCK: u64 = 256 << 10;
/// Largest: a format that reads on and on is met with fewer requests.
const STRETCH_MAX: u64 = 4 << 20;
/// Bytes that are kept.
const KEPT_MAX: u64 = 8 << 20;
/// How often a stretch is asked for.
const TRIES: u32 = 3;

/// Bytes fetched by ranges, from a thread on which blocking is allowed.
pub struct Ranged {
    remote: Arc<dyn Remote>,
    entry: Entry,
    runtime: Handle,
    stop: Stop,
    /// What requests may ask for altogether, in bytes.
    bytes_max: u64,
    asked: AtomicU64,
    kept: Mutex<Kept>,
    failure: Mutex<Option<Missed>>,
    fetched: AtomicU64,
    requests: AtomicU64,
}

/// Why bytes are missing.
#[derive(Debug, Clone)]
pub enum Missed {
    /// The store forgot it.
    Gone,
    /// A person must act.
    Denied(String),
    /// Try again later.
    Transient(String),
    /// It does not give them.
    Refused(String),
    /// The time is over.
    Late,
    /// The budget is used up.
    Spent,
}

#[derive(Default)]
struct Kept {
    /// Stretches with their offsets, the newest last.
    stretches: VecDeque<(u64, Bytes)>,
    /// Where the last stretch ended, and how long it was.
    last: (u64, u64),
}

impl Ranged {
    /// Reading fails once `stop` says so.
    pub fn new(remote: Arc<dyn Remote>, entry: Entry, runtime: Handle, stop: Stop) -> Self {
        Self {
            remote,
            entry,
            runtime,
            stop,
            bytes_max: u64::MAX,
            asked: AtomicU64::new(0),
            kept: Mutex::default(),
            failure: Mutex::default(),
            fetched: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        }
    }

    /// At most so many bytes are asked for; a request counts as a block at least, so that their number is bounded too.
    #[must_use]
    pub fn within(self, bytes_max: u64) -> Self {
        Self { bytes_max, ..self }
    }

    /// Requests made so far, those that failed as well.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes fetched so far.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// Why some of it could not be fetched.
    pub fn failure(&self) -> Option<String> {
        self.missed().map(|missed| missed.to_string())
    }

    /// The same, by what to do about it.
    pub fn missed(&self) -> Option<Missed> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fetch(&self, start: u64, end: u64) -> Result<Bytes, Missed> {
        let mut last = String::new();
        for _ in 0..TRIES {
            self.spend(end.saturating_sub(start).max(BLOCK))?;
            self.requests.fetch_add(1, Ordering::Relaxed);
            let fetched = self.runtime.block_on(until(&self.stop, self.stretch(start, end)));
            match fetched.ok_or(Missed::Late)? {
                Ok(bytes) => return Ok(bytes),
                Err(error @ StoreError::Transient(_)) => last = http::chain(&error),
                Err(error) => {
                    let said = http::chain(&error);
                    return Err(match error {
                        StoreError::Gone => Missed::Gone,
                        StoreError::Denied(_) => Missed::Denied(said),
                        StoreError::Transient(_) => Missed::Transient(said),
                        StoreError::Refused(_) => Missed::Refused(said),
                    });
                }
            }
        }
        Err(Missed::Transient(last))
    }

    fn spend(&self, bytes: u64) -> Result<(), Missed> {
        let asked = self.asked.load(Ordering::Relaxed).saturating_add(bytes);
        if asked > self.bytes_max {
            return Err(Missed::Spent);
        }
        self.asked.store(asked, Ordering::Relaxed);
        Ok(())
    }

    async fn stretch(&self, start: u64, end: u64) -> Result<Bytes, StoreError> {
        let wanted = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut body = self.remote.read(&self.entry, start..end).await?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            self.fetched.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            bytes.extend_from_slice(&chunk);
            if bytes.len() > wanted {
                return Err(StoreError::Refused("the store gives more bytes than were asked for".to_owned()));
            }
        }
        if bytes.len() < wanted {
            return Err(StoreError::Transient("the answer broke off".into()));
        }
        Ok(bytes.freeze())
    }
}

impl Missed {
    /// What whoever reads is told.
    const fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Gone => io::ErrorKind::NotFound,
            Self::Late => io::ErrorKind::TimedOut,
            Self::Spent => io::ErrorKind::QuotaExceeded,
            Self::Denied(_) | Self::Transient(_) | Self::Refused(_) => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Gone => "it is gone",
            Self::Denied(why) | Self::Transient(why) | Self::Refused(why) => why,
            Self::Late => "timed out",
            Self::Spent => "no more of it may be fetched",
        })
    }
}

impl artifact::Bytes for Ranged {
    fn len(&self) -> u64 {
        self.entry.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.entry.size || buffer.is_empty() {
            return Ok(0);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = kept.read(offset, buffer) {
            return Ok(count);
        }
        let (start, length) = kept.next(offset, buffer.len() as u64);
        let end = start.saturating_add(length).min(self.entry.size);
        let bytes = self.fetch(start, end).map_err(|missed| {
            let kind = missed.kind();
            let error = io::Error::new(kind, missed.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(missed);
            error
        })?;
        kept.keep(start, bytes);
        kept.read(offset, buffer).ok_or_else(|| io::Error::other("the store gave no bytes"))
    }
}

impl Kept {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        self.stretches.iter().rev().find_map(|(start, bytes)| {
            let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
            let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
            let count = rest.len().min(buffer.len());
            buffer.get_mut(..count)?.copy_from_slice(rest.get(..count)?);
            Some(count)
        })
    }

    /// The stretch to fetch: whole blocks, twice as long as the last when it goes on from there.
    fn next(&self, offset: u64, wanted: u64) -> (u64, u64) {
        let (end, length) = self.last;
        let start = offset - offset % BLOCK;
        let grown = if start == end { length.saturating_mul(2) } else { 0 };
        let wanted = wanted.saturating_add(offset - start).next_multiple_of(BLOCK);
        (start, grown.max(wanted).clamp(BLOCK, STRETCH_MAX))
    }

    fn keep(&mut self, start: u64, bytes: Bytes) {
        self.last = (start.saturating_add(bytes.len() as u64), bytes.len() as u64);
        self.stretches.push_back((start, bytes));
        let mut total: u64 = self.stretches.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        while total > KEPT_MAX {
            let Some((_, oldest)) = self.stretches.pop_front() else { break };
            total -= oldest.len() as u64;
        }
    }
}
