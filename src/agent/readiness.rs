//! Whether the agent sees all that it should and can tell what it finds.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use super::deliver::SinkStatus;
use crate::sources::Status;

/// Everything that readiness depends on.
#[derive(Clone)]
pub struct Readiness {
    pub sources: Vec<(String, Arc<Status>)>,
    pub sinks: Vec<Arc<SinkStatus>>,
    /// False while the state cannot be written.
    pub writable: watch::Receiver<bool>,
    /// False when the state's files were removed or replaced.
    pub in_place: watch::Receiver<bool>,
}

/// One line of the verbose answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub ready: bool,
    /// What is wrong, with a remedy; empty when nothing is.
    pub detail: String,
}

impl Readiness {
    /// All checks. A sink that is down does not make the agent unready: alerts wait in the outbox,
    /// and a restart would not help.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.state()];
        checks.extend(self.sources.iter().map(|(name, status)| source(name, status)));
        checks.extend(self.sinks.iter().map(|sink| self::sink(sink)));
        checks
    }

    /// Whether every source sees, and the state can be written.
    pub fn is_ready(&self) -> bool {
        let seeing = |(_, status): &(String, Arc<Status>)| {
            let state = status.read();
            state.synced && state.blind.is_empty()
        };
        *self.writable.borrow() && *self.in_place.borrow() && self.sources.iter().all(seeing)
    }

    fn state(&self) -> Check {
        let detail = match (*self.in_place.borrow(), *self.writable.borrow()) {
            (false, _) => "its files were removed or replaced; restart the agent",
            (true, false) => "cannot be written; free space, or make the directory writable",
            (true, true) => "",
        };
        Check { name: "state".to_owned(), ready: detail.is_empty(), detail: detail.to_owned() }
    }
}

fn source(name: &str, status: &Status) -> Check {
    let state = status.read();
    let reasons = state.blind.iter().map(|(reason, detail)| format!("{reason}: {detail}"));
    let listing = (!state.synced && state.blind.is_empty()).then(|| "the first listing is under way".to_owned());
    let detail = listing.into_iter().chain(reasons).collect::<Vec<_>>().join("; ");
    Check { name: format!("source/{name}"), ready: detail.is_empty(), detail }
}

fn sink(sink: &SinkStatus) -> Check {
    let detail = match (sink.is_gone(), sink.is_up()) {
        (true, _) => "the receiver is gone for good (410); restart the agent when it is back",
        (false, false) => "the last delivery failed; alerts wait in the outbox",
        (false, true) => "",
    };
    Check { name: format!("sink/{}", sink.name), ready: true, detail: detail.to_owned() }
}
