//! What two versions of one tensor differ in when both are at hand, read side by side once.

use pulp::NullaryFnOnce;

use super::bits::Bits;
use super::numbers::Number;
use super::plan::matrix;
use super::sketch::{LENGTH_MAX, Seed, Shape, Signs, Sketch, Sketcher, WIDTH};
use super::stats::tame;
use super::wide::{Squares, squares, wide};

/// Numbers taken at once: they stay in the first cache.
const PIECE: usize = 2048;
/// Numbers that the sketch of a difference may hold.
const SKETCH_MAX: usize = 4 << 20;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    pub count: u64,
    /// Numbers that differ.
    pub changed: u64,
    /// Sum of squares of the difference.
    pub energy: f64,
    /// Of matrices: sums of squares of the difference for each row and column.
    pub rows: Vec<f32>,
    pub columns: Vec<f32>,
    /// Of the difference.
    pub sketch: Option<Sketch>,
    /// Where both have one type.
    pub bits: Option<Bits>,
}

/// Two tensors of the same lengths being read side by side.
pub struct Delta {
    types: (Number, Number),
    features: Features,
    sketcher: Option<Sketcher>,
    column: usize,
    row: usize,
    columns: usize,
    old: Vec<f32>,
    new: Vec<f32>,
    apart: Vec<f32>,
}

impl Delta {
    pub fn new(types: (Number, Number), shape: &[u64], seed: &Seed) -> Self {
        let matrix = matrix(shape).filter(|(rows, columns)| *rows <= LENGTH_MAX && *columns <= LENGTH_MAX);
        let mut width = WIDTH;
        let (rows, columns) = matrix.unwrap_or((0, 0));
        while width > 4 && rows.saturating_mul(width) > SKETCH_MAX {
            width /= 2;
        }
        let sketched = columns > 1 && rows > 0 && rows.saturating_mul(width) <= SKETCH_MAX;
        let signs = Signs::new(seed);
        let shape = Shape { rows, columns, width, height: 0 };
        Self {
            types,
            features: Features {
                count: 0,
                changed: 0,
                energy: 0.0,
                rows: vec![0.0; rows],
                columns: vec![0.0; columns],
                sketch: None,
                bits: (types.0 == types.1).then(Bits::default),
            },
            sketcher: sketched.then(|| Sketcher::new(shape, &signs)),
            column: 0,
            row: 0,
            columns: columns.max(1),
            old: Vec::with_capacity(PIECE),
            new: Vec::with_capacity(PIECE),
            apart: Vec::with_capacity(PIECE),
        }
    }

    /// Takes the next bytes of both: whole blocks, as many numbers of one as of the other.
    pub fn update(&mut self, old: &[u8], new: &[u8]) {
        let (old_block, in_old) = self.types.0.block();
        let (new_block, in_new) = self.types.1.block();
        let pieces = old.chunks(PIECE / in_old * old_block).zip(new.chunks(PIECE / in_new * new_block));
        for (old, new) in pieces {
            if let Some(bits) = &mut self.features.bits {
                // Of types with blocks the bytes stand for themselves.
                bits.update(if in_old == 1 { old_block } else { 1 }, old, new);
            }
            self.types.0.decode(old, &mut self.old);
            self.types.1.decode(new, &mut self.new);
            self.piece();
        }
    }

    fn piece(&mut self) {
        self.apart.resize(self.old.len().min(self.new.len()), 0.0);
        wide(Subtract { old: &self.old, new: &self.new, apart: &mut self.apart });
        // NaN and huge numbers would spoil every sum that they go into.
        let sum = squares(&self.apart);
        if !(sum.is_finite() && sum < 1e30) {
            let pairs = self.old.iter().zip(&self.new);
            self.apart.iter_mut().zip(pairs).for_each(|(apart, (old, new))| *apart = tame(*new) - tame(*old));
        }
        self.features.count = self.features.count.saturating_add(self.old.len() as u64);
        if self.features.bits.is_none() {
            let changed = self.apart.iter().filter(|apart| **apart != 0.0).count();
            self.features.changed = self.features.changed.saturating_add(changed as u64);
        }
        // Nothing differs here, and most of a model may be like that.
        if sum == 0.0 && self.sketcher.is_none() && self.features.rows.is_empty() {
            return;
        }
        let apart = std::mem::take(&mut self.apart);
        let mut rest = apart.as_slice();
        while !rest.is_empty() {
            let in_row = self.columns.saturating_sub(self.column).min(rest.len());
            let (part, later) = rest.split_at(in_row);
            self.part_of_row(part);
            rest = later;
        }
        if let Some(sketcher) = &mut self.sketcher {
            sketcher.update(&apart);
        }
        self.apart = apart;
    }

    fn part_of_row(&mut self, part: &[f32]) {
        let end = self.column.saturating_add(part.len());
        let columns = self.features.columns.get_mut(self.column..end).unwrap_or_default();
        let mut energy = f64::from(wide(AddSquares { columns, numbers: part }));
        if !energy.is_finite() {
            energy = part.iter().map(|number| f64::from(*number) * f64::from(*number)).sum();
        }
        self.features.energy += energy;
        if let Some(row) = self.features.rows.get_mut(self.row) {
            *row += narrow(energy);
        }
        self.column = end;
        if self.column >= self.columns {
            self.column = 0;
            self.row = self.row.saturating_add(1);
        }
    }

    pub fn finish(mut self) -> Features {
        if let Some(bits) = &self.features.bits {
            self.features.changed = bits.changed.min(self.features.count);
        }
        self.features.sketch = self.sketcher.and_then(Sketcher::finish);
        self.features
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an energy, of which only the size counts")]
fn narrow(number: f64) -> f32 {
    number as f32
}

struct Subtract<'n> {
    old: &'n [f32],
    new: &'n [f32],
    apart: &'n mut [f32],
}

impl NullaryFnOnce for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((apart, old), new) in self.apart.iter_mut().zip(self.old).zip(self.new) {
            *apart = new - old;
        }
    }
}

/// Adds the squares of the numbers to those of their columns, where there are some, and gives their sum.
struct AddSquares<'n> {
    columns: &'n mut [f32],
    numbers: &'n [f32],
}

impl NullaryFnOnce for AddSquares<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        for (column, number) in self.columns.iter_mut().zip(self.numbers) {
            *column += number * number;
        }
        Squares(self.numbers).call()
    }
}
