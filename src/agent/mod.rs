//! The running agent: stages joined by bounded queues, and what keeps them going.
//!
//! ```text
//! source ─→ pipeline ─→ examine ─→ tell ─→ judge ─→ committer ─→ outbox ─→ deliver
//!           snapshot    hash,      events  rules,   one          per sink
//!           compared    inspect            mutes    transaction
//! ```

pub mod announced;
pub mod committer;
pub mod decisions;
pub mod deliver;
pub mod examine;
mod headway;
pub mod health;
pub mod http;
pub mod judge;
mod lanes;
mod lease;
mod paced;
pub mod pipeline;
pub mod readiness;
pub mod receive;
pub mod reload;
pub mod rules;
pub mod run;
pub mod signatures;
pub mod supervisor;
pub mod tally;
pub mod telemetry;
pub mod tell;
pub mod values;

pub use run::{Agent, AgentError, Settings};
