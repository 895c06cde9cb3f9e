//! A linear sketch of a matrix: few numbers for each row and column, from which the rank, the rows and the
//! size of a later change can be read when the bytes are gone.
//!
//! Every column gets a secret sign and one of `k` buckets, so that a row becomes `k` sums (a count sketch);
//! columns likewise, with secret signs of the rows. Both are linear: the sketch of a difference is the difference
//! of the sketches. Whoever does not know the signs cannot choose a change that the sums do not show.

use std::sync::Mutex;

use pulp::NullaryFnOnce;

use super::wide::wide;

/// Buckets of a row: the widest sketch that there is.
pub const WIDTH: usize = 32;
/// Columns and rows for which signs are made; a larger matrix is not sketched.
pub const LENGTH_MAX: usize = 1 << 20;

/// The secret of one installation from which all signs are made.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seed(secret)")
    }
}

impl Seed {
    /// Tells sketches of one secret from those of another, and nothing of the secret.
    pub fn tag(&self) -> [u8; 8] {
        let digest = blake3::keyed_hash(&self.0, b"tag of the sketch");
        digest.as_bytes().first_chunk().copied().unwrap_or_default()
    }
}

/// Signs of columns and rows, made once as far as somebody needs them.
pub struct Signs {
    seed: Seed,
    columns: Mutex<std::sync::Arc<Vec<f32>>>,
    rows: Mutex<std::sync::Arc<Vec<f32>>>,
}

impl Signs {
    pub fn new(seed: &Seed) -> Self {
        Self { seed: seed.clone(), columns: Mutex::default(), rows: Mutex::default() }
    }

    pub fn columns(&self, count: usize) -> std::sync::Arc<Vec<f32>> {
        self.cached(&self.columns, b"signs of columns", count)
    }

    pub fn rows(&self, count: usize) -> std::sync::Arc<Vec<f32>> {
        self.cached(&self.rows, b"signs of rows", count)
    }

    fn cached(
        &self,
        cache: &Mutex<std::sync::Arc<Vec<f32>>>,
        purpose: &[u8],
        count: usize,
    ) -> std::sync::Arc<Vec<f32>> {
        let mut known = cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() < count.min(LENGTH_MAX) {
            let wanted = count.min(LENGTH_MAX).next_multiple_of(4096);
            let mut bytes = vec![0; wanted / 8];
            blake3::Hasher::new_keyed(&self.seed.0).update(purpose).finalize_xof().fill(&mut bytes);
            let sign = |byte: u8, bit: u32| if byte >> bit & 1 == 0 { 1.0 } else { -1.0 };
            let signs = bytes.iter().flat_map(|byte| (0..8).map(move |bit| sign(*byte, bit))).collect();
            *known = std::sync::Arc::new(signs);
        }
        known.clone()
    }
}

/// A finished sketch.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    pub rows: usize,
    pub columns: usize,
    /// Buckets of each row; `right` has `rows` times as many numbers, row by row.
    pub width: usize,
    /// Buckets of each column; `left` has `columns` times as many, bucket by bucket. May be none.
    pub height: usize,
    pub right: Vec<f32>,
    pub left: Vec<f32>,
}

/// What a matrix is sketched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub rows: usize,
    pub columns: usize,
    pub width: usize,
    pub height: usize,
}

impl Shape {
    /// Numbers that the sketch holds.
    pub const fn numbers(self) -> usize {
        self.rows.saturating_mul(self.width).saturating_add(self.columns.saturating_mul(self.height))
    }
}

/// A sketch under way: numbers come in order, cut anywhere.
pub struct Sketcher {
    shape: Shape,
    column_signs: std::sync::Arc<Vec<f32>>,
    row_signs: std::sync::Arc<Vec<f32>>,
    lanes: [f32; WIDTH],
    row: usize,
    column: usize,
    right: Vec<f32>,
    left: Vec<f32>,
}

impl Sketcher {
    pub fn new(shape: Shape, signs: &Signs) -> Self {
        Self {
            shape,
            column_signs: signs.columns(shape.columns),
            row_signs: if shape.height > 0 { signs.rows(shape.rows) } else { std::sync::Arc::default() },
            lanes: [0.0; WIDTH],
            row: 0,
            column: 0,
            right: Vec::with_capacity(shape.rows.saturating_mul(shape.width)),
            left: vec![0.0; shape.columns.saturating_mul(shape.height)],
        }
    }

    /// Takes the next numbers. Each must be [`super::stats::tame`].
    pub fn update(&mut self, mut numbers: &[f32]) {
        while !numbers.is_empty() && self.row < self.shape.rows {
            let left_in_row = self.shape.columns.saturating_sub(self.column);
            let (part, rest) = numbers.split_at(left_in_row.min(numbers.len()));
            self.part_of_row(part);
            self.column = self.column.saturating_add(part.len());
            if self.column >= self.shape.columns {
                self.end_row();
            }
            numbers = rest;
        }
    }

    fn part_of_row(&mut self, part: &[f32]) {
        let end = self.column.saturating_add(part.len());
        let signs = self.column_signs.get(self.column..end).unwrap_or_default();
        // Up to a whole number of blocks one by one, so that a column's lane does not depend on how rows are cut.
        let ahead = (WIDTH - self.column % WIDTH) % WIDTH;
        let (first, middle) = part.split_at(ahead.min(part.len()));
        let (first_signs, signs) = signs.split_at(ahead.min(signs.len()));
        let offset = self.column % WIDTH;
        for ((lane, number), sign) in self.lanes.iter_mut().skip(offset).zip(first).zip(first_signs) {
            *lane += number * sign;
        }
        let (blocks, last) = middle.as_chunks::<WIDTH>();
        let (sign_blocks, last_signs) = signs.as_chunks::<WIDTH>();
        wide(AddSigned { lanes: &mut self.lanes, blocks, signs: sign_blocks });
        for ((lane, number), sign) in self.lanes.iter_mut().zip(last).zip(last_signs) {
            *lane += number * sign;
        }
        if self.shape.height > 0 {
            let bucket = self.row % self.shape.height;
            let start = bucket.saturating_mul(self.shape.columns).saturating_add(self.column);
            let sums = self.left.get_mut(start..start.saturating_add(part.len())).unwrap_or_default();
            let sign = self.row_signs.get(self.row).copied().unwrap_or(1.0);
            wide(AddRow { sums, numbers: part, sign });
        }
    }

    fn end_row(&mut self) {
        // A narrower sketch has the sums of buckets whose numbers are the same modulo its width.
        let mut wide = WIDTH;
        while wide > self.shape.width.max(1) {
            wide /= 2;
            let (low, high) = self.lanes.split_at_mut(wide);
            low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        }
        self.right.extend(self.lanes.iter().take(self.shape.width));
        self.lanes = [0.0; WIDTH];
        self.column = 0;
        self.row = self.row.saturating_add(1);
    }

    /// The sketch, or nothing where numbers are missing.
    pub fn finish(self) -> Option<Sketch> {
        let Shape { rows, columns, width, height } = self.shape;
        (self.row == rows).then_some(Sketch { rows, columns, width, height, right: self.right, left: self.left })
    }
}

/// Adds whole blocks of a row to the lanes.
struct AddSigned<'n> {
    lanes: &'n mut [f32; WIDTH],
    blocks: &'n [[f32; WIDTH]],
    signs: &'n [[f32; WIDTH]],
}

impl NullaryFnOnce for AddSigned<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut sums = *self.lanes;
        for (block, signs) in self.blocks.iter().zip(self.signs) {
            for lane in 0..WIDTH {
                sums[lane] += block[lane] * signs[lane];
            }
        }
        *self.lanes = sums;
    }
}

/// Adds a row to the sums of its bucket.
struct AddRow<'n> {
    sums: &'n mut [f32],
    numbers: &'n [f32],
    sign: f32,
}

impl NullaryFnOnce for AddRow<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (sum, number) in self.sums.iter_mut().zip(self.numbers) {
            *sum += number * self.sign;
        }
    }
}

/// The number with the 16 most significant bits of its mantissa left, as it is stored.
pub fn rounded(number: f32) -> f32 {
    let bits = number.to_bits();
    if number.is_finite() { f32::from_bits(bits.saturating_add(0x80) & 0xffff_ff00) } else { 0.0 }
}
