//! What every floor stands on: no word of the domain here.

pub mod backoff;
pub mod clock;
pub mod environment;
pub mod files;
pub mod http;
pub mod log;
pub mod metrics;
pub mod secret;
pub mod text;
pub mod uri;
pub mod yaml;
