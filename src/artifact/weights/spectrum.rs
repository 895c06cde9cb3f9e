//! The singular values of a change, from its sketch: how much of it lies along one direction, along a few, or
//! everywhere.

/// Rotations over all pairs until nothing is left off the diagonal.
const SWEEPS: usize = 24;

/// Squares of the singular values of a sketch, the largest first, with the directions of the largest.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// As many as the sketch is wide, or as the matrix has rows or columns.
    pub energies: Vec<f64>,
    /// Of the largest: one number for each row, of length 1.
    pub left: Vec<f32>,
    /// Of the largest: one number for each bucket of columns.
    pub right: Vec<f64>,
    pub rows: usize,
    pub columns: usize,
}

impl Spectrum {
    /// Of `rows` times `width` numbers; `None` where there is nothing.
    pub fn of(numbers: &[f32], width: usize, columns: usize) -> Option<Self> {
        let rows = numbers.len().checked_div(width)?;
        let mut gram = vec![vec![0.0_f64; width]; width];
        for row in numbers.chunks_exact(width) {
            if row.iter().all(|number| *number == 0.0) || !row.iter().all(|number| number.is_finite()) {
                continue;
            }
            for (line, first) in gram.iter_mut().zip(row) {
                for (sum, second) in line.iter_mut().zip(row) {
                    *sum += f64::from(*first) * f64::from(*second);
                }
            }
        }
        let vectors = diagonalize(&mut gram);
        let mut order: Vec<(f64, usize)> = gram
            .iter()
            .enumerate()
            .map(|(at, line)| (line.get(at).copied().unwrap_or_default().max(0.0), at))
            .collect();
        order.sort_by(|first, second| second.0.total_cmp(&first.0));
        let (largest, at) = order.first().copied().filter(|(energy, _)| *energy > 0.0)?;
        let right: Vec<f64> = vectors.iter().map(|line| line.get(at).copied().unwrap_or_default()).collect();
        let size = largest.sqrt();
        let along = |row: &[f32]| row.iter().zip(&right).map(|(number, part)| f64::from(*number) * part).sum::<f64>();
        let left = numbers.chunks_exact(width).map(|row| narrow(along(row) / size)).collect();
        let most = width.min(rows).min(columns);
        let energies = order.into_iter().map(|(energy, _)| energy).take(most).collect();
        Some(Self { energies, left, right, rows, columns })
    }

    pub fn total(&self) -> f64 {
        self.energies.iter().sum()
    }

    /// Share of the largest.
    pub fn top(&self) -> f64 {
        self.share(1)
    }

    /// Share of the `count` largest.
    pub fn share(&self, count: usize) -> f64 {
        let total = self.total();
        if total > 0.0 { self.energies.iter().take(count).sum::<f64>() / total } else { 0.0 }
    }

    /// How many stand above noise whose energy is `noise` altogether and lies everywhere alike.
    pub fn rank(&self, noise: f64) -> usize {
        let floor = self.noise_floor(noise).max(self.energies.first().copied().unwrap_or_default() * 1e-9);
        self.energies.iter().filter(|energy| **energy > floor).count()
    }

    /// The largest energy that noise reaches by chance, twice over in size.
    #[expect(clippy::cast_precision_loss, reason = "rows and buckets are few")]
    fn noise_floor(&self, noise: f64) -> f64 {
        let (rows, width) = (self.rows.max(1) as f64, self.energies.len().max(1) as f64);
        let edge = 1.0 + (width / rows).sqrt();
        4.0 * noise / width * edge * edge
    }

    /// The share that the largest has where nothing but noise is.
    #[expect(clippy::cast_precision_loss, reason = "rows and buckets are few")]
    pub fn flat(&self) -> f64 {
        let (rows, width) = (self.rows.max(1) as f64, self.energies.len().max(1) as f64);
        let edge = 1.0 + (width / rows).sqrt();
        (edge * edge / width).min(1.0)
    }

    /// How far two changes write into the same direction: by rows where they have as many, else by columns.
    pub fn alike(&self, other: &Self) -> f64 {
        let mut most = 0.0_f64;
        if self.rows == other.rows {
            let products = self.left.iter().zip(&other.left).map(|(one, two)| f64::from(*one) * f64::from(*two));
            most = products.sum::<f64>().abs();
        }
        if self.columns == other.columns && self.right.len() == other.right.len() {
            most = most.max(self.right.iter().zip(&other.right).map(|(one, two)| one * two).sum::<f64>().abs());
        }
        most
    }
}

/// Makes a symmetric matrix diagonal by Jacobi's rotations; gives the vectors as columns.
#[expect(clippy::needless_range_loop, reason = "two lines of one matrix change together")]
fn diagonalize(matrix: &mut [Vec<f64>]) -> Vec<Vec<f64>> {
    let size = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..size).map(|at| (0..size).map(|other| f64::from(u8::from(at == other))).collect()).collect();
    let scale: f64 = (0..size).map(|at| matrix[at][at].abs()).sum::<f64>();
    for _ in 0..SWEEPS {
        let off: f64 = (0..size).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| matrix[p][q].powi(2)).sum();
        if off.sqrt() <= scale * 1e-11 {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                let apart = matrix[p][q];
                if apart.abs() <= scale * 1e-13 {
                    continue;
                }
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * apart);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let tangent = if theta == 0.0 { 1.0 } else { tangent };
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for line in 0..size {
                    let (one, two) = (matrix[line][p], matrix[line][q]);
                    matrix[line][p] = cosine * one - sine * two;
                    matrix[line][q] = sine * one + cosine * two;
                }
                for column in 0..size {
                    let (one, two) = (matrix[p][column], matrix[q][column]);
                    matrix[p][column] = cosine * one - sine * two;
                    matrix[q][column] = sine * one + cosine * two;
                }
                for line in &mut vectors {
                    let (one, two) = (line[p], line[q]);
                    line[p] = cosine * one - sine * two;
                    line[q] = sine * one + cosine * two;
                }
            }
        }
    }
    vectors
}

#[expect(clippy::cast_possible_truncation, reason = "a part of a direction of length 1")]
fn narrow(number: f64) -> f32 {
    number as f32
}
