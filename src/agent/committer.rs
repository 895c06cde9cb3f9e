//! The one writer: gathers what stages decided and commits it in transactions.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::base::backoff::Backoff;
use crate::base::metrics::Metrics;
use crate::state::{Commit, Committed, State, StateError};

/// Commits that may wait.
const QUEUE: usize = 256;
/// Commits in one transaction.
const BATCH: usize = 128;

/// Something to commit, and whom to tell when it is durable.
pub struct Work {
    pub commit: Commit,
    pub done: oneshot::Sender<()>,
}

/// Where stages hand in what they decided. Cheap to clone; the committer ends when all are gone.
#[derive(Clone)]
pub struct Desk {
    work: mpsc::Sender<Work>,
}

/// The committer has ended: the agent is stopping.
#[derive(Debug, thiserror::Error)]
#[error("the agent is stopping")]
pub struct Closed;

impl Desk {
    /// Hands a commit in and waits until it is durable.
    pub async fn commit(&self, commit: Commit) -> Result<(), Closed> {
        let (done, durable) = oneshot::channel();
        self.work.send(Work { commit, done }).await.map_err(|_| Closed)?;
        durable.await.map_err(|_| Closed)
    }
}

/// The committing stage.
pub struct Committer {
    work: mpsc::Receiver<Work>,
    state: State,
    metrics: Metrics,
    /// Counts transactions that put something into the outbox.
    news: watch::Sender<u64>,
    /// False while the state cannot be written.
    writable: watch::Sender<bool>,
}

impl Committer {
    /// The stage, the desk before it, news for deliverers, and whether the state is writable.
    pub fn new(state: State, metrics: Metrics) -> (Self, Desk, watch::Receiver<u64>, watch::Receiver<bool>) {
        let (sender, work) = mpsc::channel(QUEUE);
        let (news, heard) = watch::channel(0);
        let (writable, is_writable) = watch::channel(true);
        (Self { work, state, metrics, news, writable }, Desk { work: sender }, heard, is_writable)
    }

    /// Runs until every desk is gone and all work is done.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.work.recv_many(&mut batch, BATCH).await > 0 {
            let (commits, waiting): (Vec<_>, Vec<_>) = batch.drain(..).map(|work| (work.commit, work.done)).unzip();
            let committed = self.commit(commits).await;
            self.count(&committed);
            if !committed.raised.is_empty() {
                self.news.send_modify(|count| *count += 1);
            }
            for done in waiting {
                // Whoever asked may have been stopped; the commit holds all the same.
                done.send(()).ok();
            }
        }
    }

    /// Commits; on a full disk or a busy database it waits and tries again, for as long as it takes:
    /// letting go would lose what was decided. What the database will never take is set aside alone.
    #[tracing::instrument(name = "commit", skip_all, fields(commits = commits.len()))]
    async fn commit(&self, commits: Vec<Commit>) -> Committed {
        let commits = Arc::new(commits);
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10), 7);
        loop {
            let timer = self.metrics.state_commit_seconds.start_timer();
            match self.once(Arc::clone(&commits)).await {
                Ok(committed) => {
                    timer.observe_duration();
                    self.writable.send_if_modified(|writable| !std::mem::replace(writable, true));
                    return committed;
                }
                Err(error) if error.is_permanent() => {
                    timer.stop_and_discard();
                    return self.one_by_one(&commits).await;
                }
                Err(error) => {
                    timer.stop_and_discard();
                    self.complain(&error);
                    tokio::time::sleep(backoff.next_wait()).await;
                }
            }
        }
    }

    async fn once(&self, commits: Arc<Vec<Commit>>) -> Result<Committed, StateError> {
        let state = self.state.clone();
        tokio::task::spawn_blocking(move || state.commit(&commits))
            .await
            .unwrap_or_else(|error| Err(StateError::Unreadable(error.to_string())))
    }

    /// Finds what the database will not take, and lets everything else through.
    async fn one_by_one(&self, commits: &[Commit]) -> Committed {
        let mut all = Committed::default();
        for commit in commits {
            match self.once(Arc::new(vec![commit.clone()])).await {
                Ok(mut committed) => {
                    all.raised.append(&mut committed.raised);
                    all.repeated.append(&mut committed.repeated);
                }
                Err(error) => {
                    self.metrics.events_dropped.with_label_values(&["commit", "commit_failed"]).inc();
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(%error, cause, source = %commit.source, "something that was found cannot be stored and is lost; please report it");
                }
            }
        }
        all
    }

    fn complain(&self, error: &StateError) {
        self.metrics.state_commit_failures.inc();
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            %error,
            cause,
            path = %self.state.path().display(),
            "what was found cannot be stored; it is kept in memory and tried again: free space, or make the directory writable"
        );
        self.writable.send_if_modified(|writable| std::mem::replace(writable, false));
    }

    fn count(&self, committed: &Committed) {
        for (rule, severity) in &committed.raised {
            self.metrics.detections.with_label_values(&[rule, *severity]).inc();
        }
        for rule in &committed.repeated {
            self.metrics.detections_suppressed.with_label_values(&[rule.as_str(), "repeat"]).inc();
        }
    }
}
