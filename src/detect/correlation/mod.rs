//! Correlation rules: several events together, in time.
//!
//! ```text
//! plan        what a correlation rule asks, compiled: which rules, grouped by what, how often, how long
//! program     the plans of a rule set, and which rule's matches go to which of them
//! correlator  hits in, findings out: groups, lateness, chains, bounds
//! lookup      an event's values: its groups, what it adds
//! group       entries of one group in time, the window over them, when it is told
//! aggregate   what is computed over a window: `order` for sequences, `sorted` for ranks, `exact` for sums
//! pool        all groups, in the order in which they were touched
//! memory      what outlives a reload and a restart
//! trial       the tests inside correlation rules
//! ```
//!
//! `docs/correlation.md` states what it means.

mod aggregate;
mod correlator;
mod entry;
mod evidence;
mod exact;
mod fired;
mod group;
pub mod limits;
mod lookup;
mod memory;
mod order;
pub mod plan;
mod pool;
mod program;
mod sorted;
pub(super) mod trial;
mod watermark;

pub use correlator::{Correlator, Sight};
pub use fired::{Fired, kind_name};
pub use limits::{Counts, Eviction, Limits, Uncounted};
pub use lookup::View;
pub use memory::Restoring;
pub use plan::Plan;
