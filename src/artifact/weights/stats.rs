//! Statistics of one tensor, gathered while it is hashed.

use pulp::NullaryFnOnce;

use super::wide::wide;

/// Side by side: one register of AVX-512, two of AVX2.
const LANES: usize = 16;
/// Numbers added up as `f32` before they go into an `f64`: 256 in each lane.
const PIECE: usize = 4096;

/// What can be said of numbers one by one. Of NaN and infinities only the counts tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// Numbers altogether, NaN and infinities included.
    pub count: u64,
    pub min: f32,
    pub max: f32,
    pub mean: f64,
    /// Root of the sum of squares.
    pub l2: f64,
    pub zeros: u64,
    pub nan: u64,
    pub infinite: u64,
}

impl Stats {
    /// The largest absolute value.
    pub fn peak(&self) -> f32 {
        if self.count == 0 { 0.0 } else { self.min.abs().max(self.max.abs()) }
    }

    /// NaN and infinities.
    pub const fn odd(&self) -> u64 {
        self.nan.saturating_add(self.infinite)
    }
}

/// Statistics under way.
#[derive(Debug, Clone)]
pub struct Running {
    count: u64,
    min: f32,
    max: f32,
    sum: f64,
    squares: f64,
    zeros: u64,
    nan: u64,
    infinite: u64,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            count: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            sum: 0.0,
            squares: 0.0,
            zeros: 0,
            nan: 0,
            infinite: 0,
        }
    }
}

impl Running {
    /// Takes numbers; true where all of them are finite and of ordinary size.
    pub fn update(&mut self, numbers: &[f32]) -> bool {
        let mut plain = true;
        for piece in numbers.chunks(PIECE) {
            plain &= self.piece(piece);
        }
        plain
    }

    fn piece(&mut self, piece: &[f32]) -> bool {
        let (blocks, rest) = piece.as_chunks::<LANES>();
        let Lanes { min, max, sum, squares, zeros } = wide(Gather(blocks));
        let total: f32 = squares.iter().sum();
        if !total.is_finite() || total > 1e30 {
            return self.slowly(piece);
        }
        self.count = self.count.saturating_add(piece.len().saturating_sub(rest.len()) as u64);
        self.min = min.iter().copied().fold(self.min, f32::min);
        self.max = max.iter().copied().fold(self.max, f32::max);
        self.sum += sum.iter().copied().map(f64::from).sum::<f64>();
        self.squares += squares.iter().copied().map(f64::from).sum::<f64>();
        self.zeros = self.zeros.saturating_add(zeros.iter().copied().map(u64::from).sum());
        self.slowly(rest)
    }

    /// One by one, where something is not finite or its square is too large.
    fn slowly(&mut self, piece: &[f32]) -> bool {
        let mut plain = true;
        for number in piece {
            self.count = self.count.saturating_add(1);
            if number.is_nan() {
                self.nan = self.nan.saturating_add(1);
            } else if number.is_infinite() {
                self.infinite = self.infinite.saturating_add(1);
            } else {
                self.min = self.min.min(*number);
                self.max = self.max.max(*number);
                self.sum += f64::from(*number);
                self.squares += f64::from(*number) * f64::from(*number);
                self.zeros = self.zeros.saturating_add(u64::from(*number == 0.0));
            }
            plain &= number.abs() < 1e15;
        }
        plain
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of numbers, as the divisor of a mean")]
    pub fn finish(&self) -> Stats {
        let finite = self.count.saturating_sub(self.nan).saturating_sub(self.infinite);
        let none = finite == 0;
        Stats {
            count: self.count,
            min: if none { 0.0 } else { self.min },
            max: if none { 0.0 } else { self.max },
            mean: if none { 0.0 } else { self.sum / finite as f64 },
            l2: self.squares.max(0.0).sqrt(),
            zeros: self.zeros,
            nan: self.nan,
            infinite: self.infinite,
        }
    }
}

/// What is kept side by side.
struct Lanes {
    min: [f32; LANES],
    max: [f32; LANES],
    sum: [f32; LANES],
    squares: [f32; LANES],
    zeros: [u32; LANES],
}

/// Gathers all of it at once, and adds nothing up across lanes: only so does the compiler make SIMD of it.
struct Gather<'n>(&'n [[f32; LANES]]);

impl NullaryFnOnce for Gather<'_> {
    type Output = Lanes;

    #[inline(always)]
    fn call(self) -> Lanes {
        let mut min = [f32::INFINITY; LANES];
        let mut max = [f32::NEG_INFINITY; LANES];
        let mut sum = [0.0_f32; LANES];
        let mut squares = [0.0_f32; LANES];
        let mut zeros = [0_u32; LANES];
        for block in self.0 {
            for lane in 0..LANES {
                min[lane] = if block[lane] < min[lane] { block[lane] } else { min[lane] };
            }
            for lane in 0..LANES {
                max[lane] = if block[lane] > max[lane] { block[lane] } else { max[lane] };
            }
            for lane in 0..LANES {
                sum[lane] += block[lane];
            }
            for lane in 0..LANES {
                squares[lane] += block[lane] * block[lane];
            }
            for lane in 0..LANES {
                zeros[lane] += u32::from(block[lane] == 0.0);
            }
        }
        Lanes { min, max, sum, squares, zeros }
    }
}

/// A number that can be squared and added up: NaN is nothing, and what is huge is cut.
pub fn tame(number: f32) -> f32 {
    if number.is_nan() { 0.0 } else { number.clamp(-1e15, 1e15) }
}
