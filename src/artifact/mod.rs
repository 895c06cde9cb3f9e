//! Identify, hash, inspect and compare artifacts without ever loading one.
//!
//! Bytes come through [`Bytes`]; nothing here opens a file, reads a clock or spawns. Inspection
//! never fails: it yields facts, and says where it had to stop.

mod diff;
pub mod facts;
mod format;
mod hash;
mod inflate;
mod input;
mod inspection;
mod vetted;

use std::io;
use std::sync::Arc;

use crate::event::Sha256;

pub use crate::event::report::{Issue, Report, Segment};
pub use diff::{Delta, Version, diff};
pub use facts::fields;
pub use hash::hash;
pub use input::{FileBytes, Memory};
pub use inspection::{inspect, segments};
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_bytes_max: 1 << 30,
            inflate_bytes_max: 256 << 20,
            item_bytes_max: 16 << 20,
            depth_max: 6,
            members_max: 20_000,
            opcodes_max: 20_000_000,
            list_items_max: 256,
            vetted: Arc::default(),
        }
    }
}

/// Digest of all bytes, and of each segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Hashed {
    pub sha256: Sha256,
    pub size: u64,
    pub segments: Vec<Segment>,
}
