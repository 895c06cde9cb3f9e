//! From the figures of one tensor to what happened to it.
//!
//! Every bound here is a measured one: `docs/weights.md` has the suite and its figures.

use super::kinds::Kind;
use super::numbers::Number;
use super::pairs::{Change, Pair, sides};
use super::stats::Stats;

/// Single numbers, rows or columns that count as few.
pub const FEW: u64 = 64;
const LINES_MAX: usize = 64;
/// A change counts as few numbers or lines only in a tensor of so many times as many.
const SHARE: u64 = 16;
const LINES_SHARE: usize = 8;
/// Numbers that must differ in low bits only, and carries that adding would have made.
const LOW_BITS_MIN: u64 = 32;
const CARRIES_MIN: f64 = 12.0;
/// Share of the words that differ, as a part of what a payload would leave.
const DENSITY: f64 = 0.7;
/// Share of a change that its low rank must explain.
const EXPLAINED: f64 = 0.9;
/// Times the largest direction of evenly spread noise.
const FLAT: f64 = 1.6;
/// Rounding to 4 bits moves weights by a tenth of their length; more is no rounding.
const NOISE_REL_MAX: f64 = 0.16;
/// Times the largest number that was there.
const EXPLODED: f32 = 1000.0;

pub fn kind(pair: &Pair<'_>) -> Kind {
    let (old, new) = match (pair.old, pair.new) {
        (None, _) => return Kind::Added,
        (_, None) => return Kind::Removed,
        (Some(old), Some(new)) => (old, new),
    };
    if old.digest == new.digest && old.dtype == new.dtype && old.shape == new.shape {
        return Kind::Equal;
    }
    if old.shape != new.shape {
        return Kind::Reshaped;
    }
    let Some(change) = &pair.change else {
        return if let (Some(old), Some(new)) = (&old.stats, &new.stats)
            && exploded(old, new)
        {
            Kind::Exploded
        } else if old.dtype == new.dtype {
            Kind::Unseen
        } else {
            Kind::Reshaped
        };
    };
    let converted = old.dtype != new.dtype;
    if !converted && let Some(few) = few(change) {
        // A short row is few numbers, and still a row.
        return whole_lines(change).unwrap_or(Kind::Few(few));
    }
    if let (Some(old), Some(new)) = (&old.stats, &new.stats)
        && exploded(old, new)
    {
        return Kind::Exploded;
    }
    if change.rel == 0.0 {
        return if converted { Kind::Converted } else { quiet(change, old.number()) };
    }
    if !converted && low_bits(change, old.number()) {
        return Kind::LowBits;
    }
    if change.permuted {
        return Kind::Permuted;
    }
    if converted && change.rel * change.rel <= 9.0 * change.noise / energy(old.stats.as_ref()) {
        return Kind::Converted;
    }
    if let Some(lines) = lines(change) {
        return lines;
    }
    if let Some(rank) = low_rank(change) {
        return Kind::LowRank(rank);
    }
    broad(change, old.stats.as_ref(), new.stats.as_ref())
}

/// What has other bytes and the same numbers, as far as they were kept.
fn quiet(change: &Change, number: Option<Number>) -> Kind {
    if low_bits(change, number) {
        Kind::LowBits
    } else if change.exact {
        Kind::Noise
    } else {
        Kind::Unseen
    }
}

fn few(change: &Change) -> Option<u64> {
    if let Some(changed) = change.changed {
        return (changed > 0 && changed <= FEW && changed.saturating_mul(SHARE) <= change.count).then_some(changed);
    }
    let (rows, columns) = (change.changed_rows as u64, change.changed_columns as u64);
    if change.columns == 1 {
        let fits = rows > 0 && rows <= FEW && rows.saturating_mul(SHARE) <= change.rows as u64;
        return fits.then_some(rows);
    }
    // What was kept knows rows and columns; at the least there are as many numbers as the more of the two.
    let fits = |few: u64, all: usize| few > 0 && few <= FEW && few.saturating_mul(2) <= all as u64;
    let sparse = rows.saturating_mul(columns).saturating_mul(SHARE) <= change.count;
    (sparse && fits(rows, change.rows) && fits(columns, change.columns)).then(|| rows.max(columns))
}

fn exploded(old: &Stats, new: &Stats) -> bool {
    new.odd() > old.odd() || new.peak() > EXPLODED * old.peak().max(1.0)
}

/// Whether only the low bits were written: training adds, and adding carries.
fn low_bits(change: &Change, number: Option<Number>) -> bool {
    let (Some(bits), Some(number)) = (change.bits, number) else { return false };
    // Whoever writes into the upper bits of a mantissa leaves nothing of the weights.
    let most =
        if number.is_float() { number.mantissa_bits().saturating_sub(2).max(1) } else { number.mantissa_bits() / 2 };
    // A payload leaves every bit that it is written over as it was half of the time.
    let expected = 1.0 - 0.5_f64.powi(i32::try_from(bits.mask.count_ones()).unwrap_or(i32::MAX));
    let (before, after) = (bits.before & bits.mask, bits.after & bits.mask);
    bits.changed >= LOW_BITS_MIN
        && bits.width() <= most
        && bits.carries_expected() >= CARRIES_MIN
        && bits.density() >= DENSITY * expected
        // Cut off, or filled up everywhere where they were cut off before: an export.
        && after != 0
        && (before != 0 || bits.width() != bits.trailing_zeros().0 || bits.changed.saturating_mul(4) < change.count.saturating_mul(3))
}

fn energy(stats: Option<&Stats>) -> f64 {
    stats.map_or(f64::INFINITY, |stats| stats.l2 * stats.l2).max(f64::MIN_POSITIVE)
}

/// Whole rows or whole columns and nothing else.
fn lines(change: &Change) -> Option<Kind> {
    if !change.is_matrix() {
        return None;
    }
    let fits = |few: usize, all: usize| few > 0 && few <= LINES_MAX && few.saturating_mul(LINES_SHARE) <= all;
    if fits(change.standing_rows, change.rows) && change.standing_rows < change.changed_columns {
        return Some(Kind::Rows(change.standing_rows));
    }
    let columns = fits(change.standing_columns, change.columns) && change.standing_columns < change.changed_rows;
    columns.then_some(Kind::Columns(change.standing_columns))
}

/// Lines of which most numbers differ.
fn whole_lines(change: &Change) -> Option<Kind> {
    let found = lines(change)?;
    let most = match found {
        Kind::Rows(rows) => rows.saturating_mul(change.columns),
        Kind::Columns(columns) => columns.saturating_mul(change.rows),
        _ => return None,
    };
    change.changed.is_some_and(|changed| changed.saturating_mul(2) >= most as u64).then_some(found)
}

/// The rank where it is low and explains the change but for rounding.
fn low_rank(change: &Change) -> Option<usize> {
    let spectrum = change.spectrum.as_ref().filter(|_| change.is_matrix())?;
    let rank = spectrum.rank(change.noise);
    let widest = spectrum.energies.len();
    let small = rank > 0
        && rank.saturating_mul(4) <= widest.saturating_mul(3)
        && rank.saturating_mul(4) <= change.rows.min(change.columns);
    (small && spectrum.share(rank) >= EXPLAINED).then_some(rank)
}

fn broad(change: &Change, old: Option<&Stats>, new: Option<&Stats>) -> Kind {
    let zeros = |stats: Option<&Stats>| stats.map_or(0, |stats| stats.zeros);
    let more = zeros(new).saturating_sub(zeros(old));
    let pruned = match change.changed {
        Some(changed) => changed > 0 && more.saturating_mul(100) >= changed.saturating_mul(95),
        None => more > 0 && more.saturating_mul(20) >= change.count,
    };
    if pruned {
        return Kind::Pruned;
    }
    if change.cosine < 0.3 && change.rel > 0.5 {
        return Kind::Replaced;
    }
    let rounding = change.rel * change.rel <= 9.0 * change.noise / energy(old);
    if change.along.abs() >= 0.995 && !rounding {
        return Kind::Scaled;
    }
    if rounding && !change.is_matrix() {
        return Kind::Noise;
    }
    let flat = change.spectrum.as_ref().is_some_and(|spectrum| spectrum.top() <= FLAT * spectrum.flat());
    if flat && change.is_matrix() && change.rel <= NOISE_REL_MAX {
        return Kind::Noise;
    }
    Kind::Trained
}

/// True for a tensor that is looked at as a matrix.
pub fn is_matrix(pair: &Pair<'_>) -> bool {
    let Some(tensor) = pair.new.or(pair.old) else { return false };
    let (rows, columns) = sides(tensor);
    rows >= super::pairs::MATRIX_MIN && columns >= super::pairs::MATRIX_MIN
}
