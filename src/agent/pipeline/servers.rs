//! Servers that fail again and again are left alone for a while, so that what lies elsewhere does not wait behind them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::artifact::Stop;
use crate::base::backoff::Backoff;
use crate::event::ArtifactRef;
use crate::sources::{BoxFuture, Opened, Parts, Store, StoreError};

/// Failures in a row after which a server is left alone.
const FAILURES: u32 = 3;
/// For so long at first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_mins(1);
/// Servers in trouble that are told apart.
const SERVERS_MAX: usize = 1_000;

/// A store whose servers are asked with patience: one that fails is asked by one record at a time, and not at once.
pub struct Patient {
    store: Arc<dyn Store>,
    troubles: Mutex<HashMap<String, Trouble>>,
}

/// A server that failed since it last answered.
struct Trouble {
    failures: u32,
    backoff: Backoff,
    /// It is not asked before.
    until: Instant,
    /// One record asks whether it is back.
    probed: bool,
}

impl Patient {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, troubles: Mutex::default() }
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<String, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, unless the server is left alone for now.
    async fn ask<T>(
        &self,
        artifact: &ArtifactRef,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(server) = self.store.server(artifact) else { return call.await };
        if let Some((failures, wait)) = self.rests(&server) {
            let wait = wait.as_secs().saturating_add(1);
            let why = format!("{server} failed {failures} times in a row; it is asked again in {wait} s");
            return Err(StoreError::Transient(why.into()));
        }
        let result = call.await;
        match &result {
            Err(StoreError::Transient(_)) => self.failed(server),
            Ok(_) | Err(StoreError::Gone | StoreError::Denied(_) | StoreError::Refused(_)) => {
                self.troubles().remove(&server);
            }
        }
        result
    }

    /// How often a server failed that is left alone, and how much longer it is.
    fn rests(&self, server: &str) -> Option<(u32, Duration)> {
        let mut troubles = self.troubles();
        let trouble = troubles.get_mut(server).filter(|trouble| trouble.failures >= FAILURES)?;
        let now = Instant::now();
        if now < trouble.until {
            return Some((trouble.failures, trouble.until.saturating_duration_since(now)));
        }
        // Whoever asks may wait for long: nobody else does meanwhile.
        (trouble.probed, trouble.until) = (true, now + MOST);
        None
    }

    fn failed(&self, server: String) {
        let mut troubles = self.troubles();
        let now = Instant::now();
        if troubles.len() >= SERVERS_MAX && !troubles.contains_key(&server) {
            troubles.retain(|_, trouble| trouble.until > now);
            if troubles.len() >= SERVERS_MAX {
                return;
            }
        }
        let seed = server.len() as u64;
        let trouble = troubles.entry(server).or_insert_with(|| Trouble {
            failures: 0,
            backoff: Backoff::new(FIRST, MOST, seed),
            until: now,
            probed: false,
        });
        // Those that asked before it was left alone say nothing new.
        if trouble.failures >= FAILURES && !trouble.probed {
            return;
        }
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.probed = false;
        if trouble.failures >= FAILURES {
            trouble.until = now + trouble.backoff.next_wait();
        }
    }
}

impl Store for Patient {
    fn is_fetched(&self) -> bool {
        self.store.is_fetched()
    }

    fn open<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Box<dyn Opened>, StoreError>> {
        Box::pin(self.ask(artifact, self.store.open(artifact)))
    }

    fn parts<'a>(
        &'a self,
        artifact: &'a ArtifactRef,
        bytes_max: u64,
        stop: Stop,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Parts>>, StoreError>> {
        Box::pin(self.ask(artifact, self.store.parts(artifact, bytes_max, stop)))
    }
}
