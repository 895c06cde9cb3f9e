//! What two sketches that were kept tell of a difference whose bytes are gone.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::pairs::{Change, moved, ratio, standing};
use super::sketch::Sketch;
use super::spectrum::Spectrum;

/// The difference of two tensors of the same lengths.
pub fn change(old: &Sketch, new: &Sketch, lengths: (f64, f64), precision: f64, count: u64) -> Option<Change> {
    if (old.rows, old.columns) != (new.rows, new.columns) || old.right.is_empty() || new.right.is_empty() {
        return None;
    }
    // A narrower sketch is a wider one with its buckets added up.
    let width = old.width.min(new.width);
    let (first, second) = (narrowed(old, width), narrowed(new, width));
    let apart: Vec<f32> = first.iter().zip(&second).map(|(old, new)| new - old).collect();
    let energy = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>();
    let product: f64 = first.iter().zip(&second).map(|(old, new)| f64::from(*old) * f64::from(*new)).sum();
    let (old_energy, new_energy, changed) = (energy(&first), energy(&second), energy(&apart));
    let wide: Vec<f64> = apart.chunks_exact(width).map(energy).collect();
    let tall = columns(old, new);
    // Numbers are kept with 16 bits of mantissa, each of both.
    let kept = 2.0 * 4.4e-6_f64.powi(2) * (lengths.0.powi(2) + lengths.1.powi(2)) / 2.0;
    Some(Change {
        exact: false,
        count,
        rel: ratio(changed, old_energy).sqrt(),
        cosine: ratio(product, (old_energy * new_energy).sqrt()),
        along: ratio(product - old_energy, (old_energy * changed).sqrt()),
        rows: old.rows,
        columns: old.columns,
        changed_rows: wide.iter().filter(|energy| **energy > 0.0).count(),
        changed_columns: tall.iter().filter(|energy| **energy > 0.0).count(),
        standing_rows: standing(&wide),
        standing_columns: standing(&tall),
        moved: moved(&wide),
        spectrum: if old.columns > 1 { Spectrum::of(&apart, width, old.columns) } else { None },
        noise: lengths.0.max(lengths.1).powi(2) * precision * precision + kept,
        permuted: permuted(old, new),
        ..Change::default()
    })
}

fn narrowed(sketch: &Sketch, width: usize) -> Vec<f32> {
    if sketch.width == width {
        return sketch.right.clone();
    }
    let rows = sketch.right.chunks_exact(sketch.width.max(1));
    rows.flat_map(|row| {
        let mut sums = vec![0.0; width];
        for (at, number) in row.iter().enumerate() {
            if let Some(sum) = sums.get_mut(at.checked_rem(width).unwrap_or_default()) {
                *sum += number;
            }
        }
        sums
    })
    .collect()
}

/// Energies of the columns of a difference, as far as their buckets tell.
fn columns(old: &Sketch, new: &Sketch) -> Vec<f64> {
    if old.height != new.height || old.height == 0 || old.columns == 0 {
        return Vec::new();
    }
    let mut energies = vec![0.0; old.columns];
    for (first, second) in old.left.chunks_exact(old.columns).zip(new.left.chunks_exact(old.columns)) {
        for (energy, (old, new)) in energies.iter_mut().zip(first.iter().zip(second)) {
            *energy += f64::from(new - old).powi(2);
        }
    }
    energies
}

/// Whether rows or columns came back in another order.
pub fn permuted(old: &Sketch, new: &Sketch) -> bool {
    let width = old.width.min(new.width);
    width > 1 && reordered(&narrowed(old, width), &narrowed(new, width), width) || permuted_columns(old, new)
}

/// Whether the rows that differ are rows that were there, elsewhere: equal to the last bit, each as often. The sums of
/// their hashes tell, under keys that nobody knows beforehand.
fn reordered(old: &[f32], new: &[f32], width: usize) -> bool {
    let keys = RandomState::new();
    let hash = |row: &[f32]| {
        let mut hasher = keys.build_hasher();
        for number in row {
            hasher.write_u32(number.to_bits());
        }
        hasher.finish()
    };
    let (mut before, mut after, mut count) = (0_u64, 0_u64, 0_u64);
    for (old, new) in old.chunks_exact(width).zip(new.chunks_exact(width)).filter(|(old, new)| old != new) {
        before = before.wrapping_add(hash(old));
        after = after.wrapping_add(hash(new));
        count = count.saturating_add(1);
    }
    count >= 2 && before == after
}

fn permuted_columns(old: &Sketch, new: &Sketch) -> bool {
    if old.height != new.height || old.height < 2 || old.columns < 2 {
        return false;
    }
    let turn = |sketch: &Sketch| -> Vec<f32> {
        let at = |column: usize, bucket: usize| {
            sketch.left.get(bucket.saturating_mul(sketch.columns).saturating_add(column))
        };
        (0..sketch.columns)
            .flat_map(|column| (0..sketch.height).map(move |bucket| (column, bucket)))
            .map(|(column, bucket)| at(column, bucket).copied().unwrap_or_default())
            .collect()
    };
    reordered(&turn(old), &turn(new), old.height)
}
