//! Which tensors are sketched, and how finely, so that all sketches together stay within a budget.

use super::numbers::Number;
use super::sketch::{LENGTH_MAX, Shape, WIDTH};

/// Bytes of one number of a sketch as it is stored.
pub const NUMBER_BYTES: usize = 3;
/// Longest vector whose numbers are kept one by one.
const VECTOR_MAX: usize = 1 << 16;
/// A matrix with so many times as many rows as columns is a table: its rows count more than its rank.
const TABLE: usize = 8;

/// A tensor that may be sketched: its type and its lengths.
pub struct Wanted {
    pub number: Number,
    pub matrix: Option<(usize, usize)>,
}

/// Rows and columns of a tensor of any rank: the cut between two axes that makes it the least oblong.
pub fn matrix(shape: &[u64]) -> Option<(usize, usize)> {
    let lengths: Vec<usize> = shape.iter().map(|length| usize::try_from(*length).ok()).collect::<Option<_>>()?;
    let product = |lengths: &[usize]| lengths.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
    if lengths.len() < 2 {
        let rows = product(&lengths)?;
        return (rows > 0).then_some((rows, 1));
    }
    let cuts = (1..lengths.len()).filter_map(|at| {
        let (rows, columns) = lengths.split_at_checked(at)?;
        Some((product(rows)?, product(columns)?))
    });
    cuts.filter(|(rows, columns)| *rows > 0 && *columns > 0)
        .reduce(|best, cut| if cut.0.min(cut.1) > best.0.min(best.1) { cut } else { best })
}

/// Shapes of the sketches, in the order of the tensors; the width that was chosen, and how many tensors had to
/// go without one.
pub struct Plan {
    pub shapes: Vec<Option<Shape>>,
    pub width: usize,
    pub left_out: usize,
}

/// The widest sketches that fit. Where not even the narrowest do, the largest tensors go without.
pub fn plan(tensors: &[Wanted], bytes_max: usize) -> Plan {
    let numbers_max = bytes_max / NUMBER_BYTES;
    let mut width = WIDTH;
    loop {
        let mut shapes: Vec<Option<Shape>> = tensors.iter().map(|tensor| shape(tensor, width)).collect();
        let total = |shapes: &[Option<Shape>]| {
            shapes.iter().flatten().fold(0_usize, |sum, shape| sum.saturating_add(shape.numbers()))
        };
        let mut sum = total(&shapes);
        if sum <= numbers_max {
            return Plan { shapes, width, left_out: 0 };
        }
        if width > 4 {
            width /= 2;
            continue;
        }
        let mut order: Vec<usize> = (0..shapes.len()).collect();
        let size = |shapes: &[Option<Shape>], at: usize| shapes.get(at).copied().flatten().map_or(0, Shape::numbers);
        order.sort_by_key(|at| std::cmp::Reverse(size(&shapes, *at)));
        let mut left_out = 0;
        for at in order {
            if sum <= numbers_max {
                break;
            }
            sum = sum.saturating_sub(size(&shapes, at));
            if let Some(shape) = shapes.get_mut(at) {
                left_out += usize::from(shape.is_some());
                *shape = None;
            }
        }
        return Plan { shapes, width, left_out };
    }
}

fn shape(tensor: &Wanted, width: usize) -> Option<Shape> {
    let (rows, columns) = tensor.matrix?;
    let (block_bytes, _) = tensor.number.block();
    if block_bytes == 0 || rows > LENGTH_MAX || columns > LENGTH_MAX {
        return None;
    }
    if columns == 1 {
        return (rows <= VECTOR_MAX).then_some(Shape { rows, columns, width: 1, height: 0 });
    }
    let table = rows > 4096 && rows / TABLE > columns;
    let width = if table { (width / 4).max(4) } else { width };
    Some(Shape { rows, columns, width, height: (width / 4).max(1) })
}
