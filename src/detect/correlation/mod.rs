//! Correlation rules: several events together, in time.
//!
//! ```text
//! plan    what a correlation rule asks, compiled: which rules, grouped by what, how often, how long
//! ```

pub mod plan;

pub use plan::Plan;
