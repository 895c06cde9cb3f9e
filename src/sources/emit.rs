//! Sources that read files work on a thread of their own: this carries what they see out of it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use super::{Context, Observation, SourceError, SourceMetrics, Status};

/// The work is over: it was told to stop, or nobody listens any more.
#[derive(Debug)]
pub struct Stopped;

/// A context without its checkpoints, usable from a blocking thread.
pub struct Emitter {
    out: mpsc::Sender<Observation>,
    stop: CancellationToken,
    runtime: Handle,
    pub status: Arc<Status>,
    pub metrics: SourceMetrics,
}

impl Emitter {
    /// Hands one observation on, and waits while the channel is full.
    pub fn send(&self, observation: Observation) -> Result<(), Stopped> {
        match self.out.try_send(observation) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Stopped),
            Err(TrySendError::Full(observation)) => self.runtime.block_on(async {
                tokio::select! {
                    sent = self.out.send(observation) => sent.map_err(|_| Stopped),
                    () = self.stop.cancelled() => Err(Stopped),
                }
            }),
        }
    }

    pub fn stopped(&self) -> bool {
        self.stop.is_cancelled() || self.out.is_closed()
    }
}

/// Runs `work` on a blocking thread. The thread ends also when the returned future is dropped.
pub async fn on_thread<W>(context: Context, work: W) -> Result<(), SourceError>
where
    W: FnOnce(&Emitter) -> Result<(), SourceError> + Send + 'static,
{
    let stop = context.stop.child_token();
    let _ends_with_the_future = stop.clone().drop_guard();
    let emitter = Emitter {
        out: context.out,
        stop,
        runtime: Handle::current(),
        status: context.status,
        metrics: context.metrics,
    };
    tokio::task::spawn_blocking(move || work(&emitter)).await.unwrap_or_else(|error| {
        Err(SourceError::Transient { what: "go on after a defect in the source".to_owned(), cause: Some(error.into()) })
    })
}
