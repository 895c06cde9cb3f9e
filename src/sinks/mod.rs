//! Deliver: where alerts go.
//!
//! A sink only sends. Order, retries, back-off and the dead-letter list are the deliverer's, which
//! reads the durable outbox, so that nothing is lost between a decision and a person.

pub mod alertmanager;
pub mod file;
mod http;
pub mod otlp;
pub mod queue;
pub mod stdout;
pub mod webhook;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::event::{Alert, Severity};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somewhere that alerts go.
pub trait Sink: Send + Sync {
    /// Name as configured; the cursor in the outbox is kept under it.
    fn name(&self) -> &str;

    /// Alerts below it are passed over.
    fn minimum_severity(&self) -> Severity;

    /// Alerts sent at once.
    fn batch_max(&self) -> usize;

    /// Sends alerts in order: all or none count as sent.
    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Whether alerts could be delivered, as far as that shows without sending one.
    fn look(&self) -> BoxFuture<'_, Look> {
        Box::pin(std::future::ready(Ok(Looked::at("nothing has to be reached"))))
    }

    /// How often alerts that still hold are sent again, and for how long they hold; `None`: never.
    fn resend(&self) -> Option<Resend> {
        None
    }
}

/// What a look at a sink shows: what was tried, or a reason from a closed set and a sentence with a remedy.
pub type Look = Result<Looked, (&'static str, String)>;

/// What was tried and worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub how: &'static str,
    /// What the receiver takes for the time, where it says so.
    pub time: Option<Timestamp>,
}

impl Looked {
    pub const fn at(how: &'static str) -> Self {
        Self { how, time: None }
    }
}

/// For receivers that forget an alert unless it is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resend {
    pub every: Duration,
    pub expire_after: Duration,
}

/// Why alerts were not taken, by what the deliverer does next.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Try again with back-off.
    #[error("{what}")]
    Transient { what: String, reason: Reason },
    /// Try again after this wait.
    #[error("the receiver asks to wait {0:?}")]
    Throttled(Duration),
    /// The receiver will never take this: dead-letter list.
    #[error("the receiver refused it: {0}")]
    Refused(String),
    /// The receiver asks not to be called again (HTTP 410).
    #[error("the receiver is gone for good")]
    Gone,
}

/// Why a delivery failed: a closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Connect,
    Timeout,
    Server,
    Auth,
    Io,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Auth => "auth",
            Self::Io => "io",
        }
    }
}

/// All sinks of a configuration.
pub type Sinks = Vec<Arc<dyn Sink>>;
