//! Weights: what one pass measures of each tensor, and what two versions of a model differ in.
//!
//! [`Measured`] is small enough to be kept for every version. Two of them tell what changed and how (which rows,
//! of which rank, along which direction) when the bytes of the old version are gone; with both at hand
//! [`Comparison`] also counts the numbers and bits that differ. What cannot be told is in `docs/weights.md`.

#![allow(clippy::inline_always, reason = "loops get the widest registers only where they are inlined, see `wide`")]

mod bits;
mod classify;
mod compare;
mod delta;
mod digests;
mod edits;
mod grid;
mod kinds;
mod measure;
mod numbers;
mod pairs;
mod plan;
mod remembered;
mod roles;
mod sketch;
mod spectrum;
mod spread;
mod stats;
mod store;
mod swaps;
mod table;
mod truncated;
mod wide;
mod words;

pub use compare::{Comparison, compare, table};
pub use delta::{Delta, Features};
pub use kinds::Kind;
pub use measure::Measurer;
pub use numbers::Number;
pub use sketch::{Seed, Sketch};
pub use stats::{Running, Stats};
pub use store::Broken;
pub use table::Row;
pub use truncated::truncated;

/// What is measured beside digests.
#[derive(Debug, Clone)]
pub struct Options {
    /// The secret of this installation: sketches of different secrets cannot be compared.
    pub seed: Seed,
    /// Bytes that the sketches of one artifact may take when stored; the width of all of them is halved until
    /// they fit, and at last the largest tensors go without. 8 MiB keep every rank up to 32 of a model of
    /// 300 million weights.
    pub sketch_bytes_max: usize,
}

impl Options {
    pub const fn new(seed: Seed) -> Self {
        Self { seed, sketch_bytes_max: 8 << 20 }
    }
}

/// What one pass has measured of the tensors of an artifact.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Tells sketches of one secret from those of another.
    pub seed_tag: [u8; 8],
    /// Numbers to a row of the sketches; 32 unless the budget was too small.
    pub width: usize,
    /// Tensors that the budget left without a sketch.
    pub left_out: usize,
    pub tensors: Vec<TensorMeasure>,
}

/// One tensor as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorMeasure {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<u64>,
    /// First byte in the artifact, and the byte after the last.
    pub start: u64,
    pub end: u64,
    /// BLAKE3 of the bytes.
    pub digest: [u8; 32],
    /// Of tensors of more than 16 MiB: the beginnings of the chaining values of BLAKE3 for every 4 MiB.
    pub blocks: Vec<[u8; 16]>,
    /// Of numbers that can be read as such.
    pub stats: Option<Stats>,
    pub sketch: Option<Sketch>,
}

impl TensorMeasure {
    pub fn number(&self) -> Option<Number> {
        Number::of(&self.dtype)
    }

    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
