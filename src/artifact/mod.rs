//! Identify, hash, inspect and compare artifacts without ever loading one.
//!
//! Bytes come through [`Bytes`]; nothing here opens a file, reads a clock or spawns. Inspection
//! never fails: it yields facts, and says where it had to stop.

mod diff;
mod digest;
pub mod facts;
mod format;
mod hash;
mod inflate;
mod input;
mod inspection;
mod look;
pub mod outline;
pub mod portrait;
mod search;
mod vetted;
pub mod weights;

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::event::Sha256;

pub use crate::event::report::{Issue, Report, Segment};
pub use diff::{Delta, Version, diff};
pub use digest::hint;
pub use facts::fields;
pub use format::hidden::kinds as hidden_in;
pub use format::shipped::secrets_in;
pub use hash::{digest_of, hash, hash_with};
pub use input::{FileBytes, Memory};
pub use inspection::{beyond, inspect, inspect_parts, inspect_with, segments};
pub use look::{look, read};
pub use search::{Found, Hit, HitKind};
pub use vetted::Vetted;

/// Random access to bytes that lie somewhere: a file, a remote object, memory.
pub trait Bytes: Send + Sync {
    /// Length when it was opened.
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads at most `buffer.len()` bytes from `offset`; 0 means the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// What one inspection may use. Whatever is cut off is an issue in the report.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes read for inspection (hashing is not counted), members included.
    pub read_bytes_max: u64,
    /// Bytes that decompression may yield altogether.
    pub inflate_bytes_max: u64,
    /// Bytes of one header, one pickle or one member held in memory.
    pub item_bytes_max: u64,
    /// Bytes fetched of an artifact that is too large to be fetched whole; each request counts as a block at least.
    pub parts_bytes_max: u64,
    /// Larger files are not read through for what only a look at every byte can find.
    pub sweep_bytes_max: u64,
    /// Containers in containers.
    pub depth_max: u32,
    /// Members of all containers together.
    pub members_max: u32,
    /// Pickle opcodes of all streams together.
    pub opcodes_max: u64,
    /// Items kept in one fact that is a list.
    pub list_items_max: usize,
    /// What the site vouches for.
    pub vetted: Arc<Vetted>,
    /// Asked now and then: an inspection ends where it is once this says so.
    pub stop: Stop,
}

/// Whether to go on: a deadline, or somebody who does not want the result any more.
#[derive(Clone, Default)]
pub struct Stop(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Stop {
    pub fn when(stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(stop)))
    }

    pub fn now(&self) -> bool {
        self.0.as_ref().is_some_and(|stop| stop())
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Stop(when)" } else { "Stop(never)" })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_bytes_max: 1 << 30,
            inflate_bytes_max: 256 << 20,
            item_bytes_max: 16 << 20,
            parts_bytes_max: 256 << 20,
            sweep_bytes_max: 64 << 20,
            depth_max: 6,
            members_max: 20_000,
            opcodes_max: 20_000_000,
            list_items_max: 256,
            stop: Stop::default(),
            vetted: Arc::default(),
        }
    }
}

/// What one pass over all bytes yields: digests, and what lies in their midst.
#[derive(Debug, Clone, PartialEq)]
pub struct Hashed {
    pub sha256: Sha256,
    pub size: u64,
    pub segments: Vec<Segment>,
    /// Programs and pickles that begin anywhere in it.
    pub found: Found,
    /// What was measured of tensors, where it was asked for.
    pub measured: Option<weights::Measured>,
}
