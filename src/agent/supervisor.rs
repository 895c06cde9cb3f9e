//! The one place where tasks are started, so that somebody hears of every end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks and knows when they have ended. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    tasks: TaskTracker,
    /// Asks everything to stop.
    stop: CancellationToken,
    failed: Arc<AtomicBool>,
}

impl Supervisor {
    pub fn new(stop: CancellationToken) -> Self {
        Self { tasks: TaskTracker::new(), stop, failed: Arc::new(AtomicBool::new(false)) }
    }

    /// Starts a stage. If it panics, the agent stops: an agent that misses a stage must not look
    /// as if it watched.
    pub fn spawn(&self, name: String, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let supervisor = self.clone();
        self.tasks.spawn(async move {
            let end = Guard { name, supervisor: &supervisor, fine: false };
            task.await;
            end.fine();
        })
    }

    /// The agent cannot go on: it stops, and ends with a failure.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }

    /// Whether a stage has failed.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits until every task has ended; no further ones may be started.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Notices when a task ends by a panic.
struct Guard<'a> {
    name: String,
    supervisor: &'a Supervisor,
    fine: bool,
}

impl Guard<'_> {
    fn fine(mut self) {
        self.fine = true;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.fine && std::thread::panicking() {
            tracing::error!(stage = %self.name, "a stage ended by a bug of ours; the agent stops");
            self.supervisor.fail();
        }
    }
}
