//! Files at addresses: listed before anything is looked at, fetched when their turn comes.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::artifact::Stop;
use crate::base::http;
use crate::sources::remote::{self, Entry, Ranged, Remote, RemoteError};

/// A file at an address.
pub struct Remoted {
    remote: Arc<dyn Remote>,
    pub entry: Entry,
}

/// Fetches what was listed.
pub struct Fetcher {
    /// Only there when something was asked for.
    runtime: Option<Runtime>,
    /// Larger files are read in parts. Bytes.
    whole_max: u64,
    /// How long the listing of one address may take.
    timeout: Duration,
    pub files: Vec<Remoted>,
}

/// How a file came.
pub enum Fetched {
    Whole(File),
    Parts(Box<Ranged>),
    /// The time was over.
    Late,
}

impl Fetcher {
    pub const fn new(whole_max: u64, timeout: Duration) -> Self {
        Self { runtime: None, whole_max, timeout, files: Vec::new() }
    }

    /// Everything at an address. Nobody is asked for anything before this is called.
    pub fn list(&mut self, address: &str) -> Result<Vec<Remoted>, RemoteError> {
        let remote = remote::open(address)?;
        if self.runtime.is_none() {
            let built = Builder::new_multi_thread().worker_threads(2).enable_all().build();
            self.runtime = Some(built.map_err(|error| RemoteError::Failed(error.to_string()))?);
        }
        let Some(runtime) = &self.runtime else { return Ok(Vec::new()) };
        let (began, timeout) = (Instant::now(), self.timeout);
        let stop = Stop::when(move || began.elapsed() > timeout);
        let listed = runtime.block_on(remote::until(&stop, remote.list()));
        let late = || RemoteError::Failed(format!("listing it takes longer than {timeout:?}; `--timeout` allows more"));
        let entries = listed.unwrap_or_else(|| Err(late()))?;
        if entries.is_empty() {
            return Err(RemoteError::Missing);
        }
        Ok(entries.into_iter().map(|entry| Remoted { remote: Arc::clone(&remote), entry }).collect())
    }

    /// Fetches the file of this number, until `stop` says so.
    pub fn fetch(&self, number: usize, stop: &Stop) -> io::Result<(&Entry, Fetched)> {
        let (Some(Remoted { remote, entry }), Some(runtime)) = (self.files.get(number), &self.runtime) else {
            return Err(io::Error::other("it was not listed"));
        };
        // What one request fetches anyway is taken whole.
        let fetched = if entry.size > self.whole_max.max(remote::BLOCK) {
            Fetched::Parts(Box::new(Ranged::new(
                Arc::clone(remote),
                entry.clone(),
                runtime.handle().clone(),
                stop.clone(),
            )))
        } else {
            remote::spool(&**remote, entry, runtime.handle(), stop)
                .map_err(|error| io::Error::other(http::chain(&error)))?
                .map_or(Fetched::Late, Fetched::Whole)
        };
        Ok((entry, fetched))
    }
}
