//! Loops that are compiled for each width of registers, and run in the widest that the processor has.
//!
//! Numbers are added up in lanes of a fixed count and never fused, so that every width gives the same sums to the
//! last bit: what was kept on one machine can be compared on another.

use std::sync::LazyLock;

use pulp::{Arch, NullaryFnOnce};

/// Runs a loop in the widest registers. All that it calls must be `#[inline(always)]`: what is not inlined keeps the
/// registers that every processor has.
pub fn wide<K: NullaryFnOnce>(kernel: K) -> K::Output {
    static WIDEST: LazyLock<Arch> = LazyLock::new(Arch::new);
    WIDEST.dispatch(kernel)
}

/// Sum of squares.
pub fn squares(numbers: &[f32]) -> f32 {
    wide(Squares(numbers))
}

const LANES: usize = 16;

/// The sum of squares as a loop.
pub struct Squares<'n>(pub &'n [f32]);

impl NullaryFnOnce for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        let (blocks, rest) = self.0.as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for block in blocks {
            for lane in 0..LANES {
                sums[lane] += block[lane] * block[lane];
            }
        }
        sums.iter().sum::<f32>() + rest.iter().map(|number| number * number).sum::<f32>()
    }
}
