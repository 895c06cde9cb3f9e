//! Lanner watches the places where machine-learning systems keep and load their artifacts, looks
//! inside what it sees without ever loading it, and raises an alert when an event matches a
//! detection rule mapped to MITRE ATLAS.
//!
//! The modules are floors: each uses only the floors under it.
//!
//! ```text
//!  7  cli       verbs
//!  6  agent     supervisor, pipeline, reload, http
//!  5  config    the file as written → the configuration as checked
//!  4  sources   observe and open           │  sinks   deliver
//!  3  artifact  identify hash inspect diff │  detect  parse compile match │  state  remember  │  alert  group mute render  │  provenance  verify judge
//!  2  event     plain data that joins the floors above
//!  1  base      http, back-off, clock, limits, redaction, files, logs, metrics
//! ```

pub mod agent;
pub mod alert;
pub mod artifact;
pub mod base;
pub mod cli;
pub mod config;
pub mod detect;
pub mod event;
pub mod provenance;
pub mod sinks;
pub mod sources;
pub mod state;
