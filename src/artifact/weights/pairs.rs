//! Two versions of one tensor, and what is known of their difference: from what was kept, or from the bytes.

use std::collections::{BTreeSet, HashMap};

use super::bits::Bits;
use super::delta::{Delta, Features};
use super::grid::Grid;
use super::numbers::Number;
use super::plan::matrix;
use super::remembered;
use super::roles::Role;
use super::sketch::Seed;
use super::spectrum::Spectrum;
use super::{Measured, TensorMeasure};
use crate::artifact::Bytes;

/// Bytes read at once of each version.
const CHUNK: usize = 256 << 10;
/// Rows of a change that are named.
const MOVED_MAX: usize = 8;
/// Least rows and columns of what is looked at as a matrix.
pub const MATRIX_MIN: usize = 16;

/// One name in both versions, or in one of them.
pub struct Pair<'m> {
    pub name: &'m str,
    pub role: Role,
    pub old: Option<&'m TensorMeasure>,
    pub new: Option<&'m TensorMeasure>,
    /// `None` where nothing differs, or nothing is known.
    pub change: Option<Change>,
}

/// What is known of a difference.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The bytes of both were read.
    pub exact: bool,
    pub count: u64,
    /// Numbers that differ; only from the bytes.
    pub changed: Option<u64>,
    /// Length of the difference as a share of the length of the old tensor.
    pub rel: f64,
    /// Cosine between old and new, and between the difference and old.
    pub cosine: f64,
    pub along: f64,
    pub rows: usize,
    pub columns: usize,
    /// Rows and columns that differ at all, of matrices.
    pub changed_rows: usize,
    pub changed_columns: usize,
    /// Rows and columns that hold nearly all of the difference while the others hardly differ.
    pub standing_rows: usize,
    pub standing_columns: usize,
    /// The most changed rows: their index, and the share of all of the difference that is in them.
    pub moved: Vec<(usize, f64)>,
    pub spectrum: Option<Spectrum>,
    /// Energy of what rounding to the types at hand adds.
    pub noise: f64,
    pub bits: Option<Bits>,
    /// Rows or columns came back in another order.
    pub permuted: bool,
    /// Whether the new numbers are rounded ones; `None` where only their bytes would tell, or not even those.
    pub rounded: Option<bool>,
}

impl Change {
    pub fn top(&self) -> f64 {
        self.spectrum.as_ref().map_or(0.0, Spectrum::top)
    }

    pub fn rank(&self) -> Option<usize> {
        self.spectrum.as_ref().map(|spectrum| spectrum.rank(self.noise))
    }

    pub const fn is_matrix(&self) -> bool {
        self.rows >= MATRIX_MIN && self.columns >= MATRIX_MIN
    }

    /// Share of the numbers that differ.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn changed_share(&self) -> Option<f64> {
        self.changed.filter(|_| self.count > 0).map(|changed| changed as f64 / self.count as f64)
    }
}

/// All names of both versions, in order, with their differences.
pub fn pairs<'m>(
    old: &'m Measured,
    new: &'m Measured,
    both: Option<(&dyn Bytes, &dyn Bytes)>,
    stop: &dyn Fn() -> bool,
) -> Vec<Pair<'m>> {
    let by_name = |measured: &'m Measured| -> HashMap<&'m str, &'m TensorMeasure> {
        measured.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()
    };
    let (olds, news) = (by_name(old), by_name(new));
    let names: BTreeSet<(Role, &str)> = olds.keys().chain(news.keys()).map(|name| (Role::of(name), *name)).collect();
    let comparable = old.seed_tag == new.seed_tag;
    let pair = |(role, name): (Role, &'m str)| {
        let (old, new) = (olds.get(name).copied(), news.get(name).copied());
        let change = match (old, new) {
            (Some(old), Some(new)) if old.digest != new.digest || old.dtype != new.dtype => {
                change(old, new, both.filter(|_| !stop()), comparable)
            }
            _ => None,
        };
        Pair { name, role, old, new, change }
    };
    names.into_iter().map(pair).collect()
}

fn change(
    old: &TensorMeasure,
    new: &TensorMeasure,
    both: Option<(&dyn Bytes, &dyn Bytes)>,
    comparable: bool,
) -> Option<Change> {
    if old.shape != new.shape {
        return None;
    }
    let (old_type, new_type) = (old.number()?, new.number()?);
    let exact = both.and_then(|(old_bytes, new_bytes)| read((old, old_bytes), (new, new_bytes)));
    let (old_length, new_length) = (old.stats.map_or(0.0, |stats| stats.l2), new.stats.map_or(0.0, |stats| stats.l2));
    let precision = rounding(old_type, new_type, exact.as_ref().and_then(|(features, _)| features.bits));
    let sketches = old.sketch.as_ref().zip(new.sketch.as_ref()).filter(|_| comparable);
    if let Some((features, grid)) = exact {
        let permuted = sketches.is_some_and(|(old, new)| remembered::permuted(old, new));
        let change = from_features(&features, (old_length, new_length), precision);
        return Some(Change { permuted, rounded: grid.verdict(new_type), ..change });
    }
    let count = old.stats.map_or(0, |stats| stats.count);
    sketches.and_then(|(old, new)| remembered::change(old, new, (old_length, new_length), precision, count))
}

/// What rounding adds: of the coarser type, or of the one whose numbers were only written in a wider one.
fn rounding(old: Number, new: Number, bits: Option<Bits>) -> f64 {
    let own = old.rounding().max(new.rounding());
    let unused = bits.map_or(0, |bits| bits.trailing_zeros().1);
    match (new, unused) {
        (Number::F32, 16..) => own.max(Number::Bf16.rounding()),
        (Number::F32, 13..) => own.max(Number::F16.rounding()),
        _ => own,
    }
}

/// Reads both side by side; `None` where the bytes are not what they were.
fn read(old: (&TensorMeasure, &dyn Bytes), new: (&TensorMeasure, &dyn Bytes)) -> Option<(Features, Grid)> {
    let types = (old.0.number()?, new.0.number()?);
    let ((old_block, in_old), (new_block, in_new)) = (types.0.block(), types.1.block());
    let count = old.0.shape.iter().try_fold(1_u64, |product, length| product.checked_mul(*length))?;
    let bytes = |block: usize, inner: usize| (count / inner as u64).checked_mul(block as u64);
    if bytes(old_block, in_old) != Some(old.0.len()) || bytes(new_block, in_new) != Some(new.0.len()) {
        return None;
    }
    // The secret of what is kept has no part in this: nothing of it leaves the comparison.
    let mut delta = Delta::new(types, &old.0.shape, &Seed(*blake3::hash(&new.0.digest).as_bytes()));
    let mut grid = Grid::default();
    let numbers = CHUNK / old_block.max(new_block) * in_old.max(in_new) / 32 * 32;
    let (old_step, new_step) = (numbers / in_old * old_block, numbers / in_new * new_block);
    let (mut old_buffer, mut new_buffer) = (vec![0; old_step], vec![0; new_step]);
    let (mut old_at, mut new_at) = (old.0.start, new.0.start);
    while old_at < old.0.end {
        let part = |at: u64, end: u64, step: usize| {
            usize::try_from(end.saturating_sub(at)).map_or(step, |left| left.min(step))
        };
        let old_part = old_buffer.get_mut(..part(old_at, old.0.end, old_step))?;
        let new_part = new_buffer.get_mut(..part(new_at, new.0.end, new_step))?;
        fill(old.1, old_at, old_part)?;
        fill(new.1, new_at, new_part)?;
        delta.update(old_part, new_part);
        grid.look(types, old_part, new_part);
        old_at = old_at.saturating_add(old_part.len() as u64);
        new_at = new_at.saturating_add(new_part.len() as u64);
    }
    Some((delta.finish(), grid))
}

fn fill(bytes: &dyn Bytes, offset: u64, buffer: &mut [u8]) -> Option<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match bytes.read_at(offset.saturating_add(filled as u64), buffer.get_mut(filled..)?) {
            Ok(0) => return None,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(())
}

fn from_features(features: &Features, lengths: (f64, f64), precision: f64) -> Change {
    let (rows, columns) = (features.rows.len(), features.columns.len());
    let (old_energy, new_energy) = (lengths.0 * lengths.0, lengths.1 * lengths.1);
    // Of a triangle three sides are known.
    let product = f64::midpoint(old_energy, new_energy) - features.energy / 2.0;
    let spectrum = features.sketch.as_ref().and_then(|sketch| Spectrum::of(&sketch.right, sketch.width, columns));
    let wide: Vec<f64> = features.rows.iter().map(|energy| f64::from(*energy)).collect();
    let tall: Vec<f64> = features.columns.iter().map(|energy| f64::from(*energy)).collect();
    Change {
        exact: true,
        count: features.count,
        changed: Some(features.changed),
        rel: ratio(features.energy, old_energy).sqrt(),
        cosine: ratio(product, lengths.0 * lengths.1),
        along: ratio(product - old_energy, lengths.0 * features.energy.sqrt()),
        rows,
        columns,
        changed_rows: wide.iter().filter(|energy| **energy > 0.0).count(),
        changed_columns: tall.iter().filter(|energy| **energy > 0.0).count(),
        standing_rows: standing(&wide),
        standing_columns: standing(&tall),
        moved: moved(&wide),
        spectrum,
        noise: new_energy.max(old_energy) * precision * precision,
        bits: features.bits,
        permuted: false,
        rounded: None,
    }
}

pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// How many hold at least 99 parts of a hundred while each of the others has less than a hundredth of what the
/// least of them has.
pub fn standing(energies: &[f64]) -> usize {
    let mut sorted: Vec<f64> = energies.iter().copied().filter(|energy| *energy > 0.0).collect();
    sorted.sort_by(|first, second| second.total_cmp(first));
    let total: f64 = sorted.iter().sum();
    let mut sum = 0.0;
    for (count, energy) in sorted.iter().enumerate() {
        sum += energy;
        let next = sorted.get(count.saturating_add(1)).copied().unwrap_or_default();
        if sum >= total * 0.99 && next <= energy * 0.01 {
            return count.saturating_add(1);
        }
    }
    sorted.len()
}

pub fn moved(energies: &[f64]) -> Vec<(usize, f64)> {
    let total: f64 = energies.iter().sum();
    let mut order: Vec<(usize, f64)> =
        energies.iter().copied().enumerate().filter(|(_, energy)| *energy > 0.0).collect();
    order.sort_by(|first, second| second.1.total_cmp(&first.1));
    order.truncate(MOVED_MAX);
    order.into_iter().map(|(row, energy)| (row, ratio(energy, total))).collect()
}

/// Rows and columns of a tensor, for whoever has no change to ask.
pub fn sides(tensor: &TensorMeasure) -> (usize, usize) {
    matrix(&tensor.shape).unwrap_or_default()
}
