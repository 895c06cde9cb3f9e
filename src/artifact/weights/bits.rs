//! Two runs of bytes as words: how many differ, and in which bits.

use std::ops::{Add, BitOr, BitXor};

/// Words that are looked at together.
const BLOCK: usize = 128;

/// What differs between words of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bits {
    /// Words that differ, and words of the blocks in which some do.
    pub changed: u64,
    pub touched: u64,
    /// Bits that differ anywhere.
    pub mask: u64,
    /// Bits that are set anywhere, before and now.
    pub before: u64,
    pub after: u64,
    /// Sum of the differences as integers, for words that differ in the lower half of their bits only.
    pub distance: u64,
}

impl Bits {
    /// Adds two runs of the same length of words of `width` bytes.
    pub fn update(&mut self, width: usize, old: &[u8], new: &[u8]) {
        match width {
            1 => self.words(old, new, u8::from_le_bytes),
            2 => self.words(old, new, u16::from_le_bytes),
            4 => self.words(old, new, u32::from_le_bytes),
            8 => self.long_words(old, new),
            _ => {}
        }
    }

    fn words<const N: usize, W: Word>(&mut self, old: &[u8], new: &[u8], word: impl Fn([u8; N]) -> W + Copy) {
        let (old, new) = (old.as_chunks::<N>().0, new.as_chunks::<N>().0);
        for (old, new) in old.chunks(BLOCK).zip(new.chunks(BLOCK)) {
            let (old_blocks, old_rest) = old.as_chunks::<LANES>();
            let (new_blocks, new_rest) = new.as_chunks::<LANES>();
            let lanes = lanes(old_blocks, new_blocks, word);
            let mut changed: u64 = lanes[0].iter().map(|count| (*count).into()).sum();
            let [mask, before, after] =
                [1, 2, 3].map(|at: usize| lanes[at].iter().fold(0, |all, lane| all | (*lane).into()));
            self.mask |= mask;
            self.before |= before;
            self.after |= after;
            for (old, new) in old_rest.iter().zip(new_rest) {
                let (old, new): (u64, u64) = (word(*old).into(), word(*new).into());
                changed = changed.saturating_add(u64::from(old != new));
                self.mask |= old ^ new;
                self.before |= old;
                self.after |= new;
            }
            if changed == 0 {
                continue;
            }
            self.changed = self.changed.saturating_add(changed);
            self.touched = self.touched.saturating_add(old.len() as u64);
            // As long as only low bits differ there is something to add up; elsewhere that is soon over.
            if self.mask < 1 << 16 {
                let pairs = old.iter().zip(new).map(|(old, new)| (word(*old).into(), word(*new).into()));
                let apart: u64 = pairs.map(|(old, new): (u64, u64)| old.abs_diff(new)).sum();
                self.distance = self.distance.saturating_add(apart);
            }
        }
    }

    fn long_words(&mut self, old: &[u8], new: &[u8]) {
        for (old, new) in old.as_chunks::<8>().0.iter().zip(new.as_chunks::<8>().0) {
            let (old, new) = (u64::from_le_bytes(*old), u64::from_le_bytes(*new));
            self.changed = self.changed.saturating_add(u64::from(old != new));
            self.touched = self.touched.saturating_add(u64::from(old != new));
            self.mask |= old ^ new;
            self.before |= old;
            self.after |= new;
            self.distance = self.distance.saturating_add(old.abs_diff(new));
        }
    }

    /// Bits up to the highest that differs.
    pub const fn width(&self) -> u32 {
        64_u32.saturating_sub(self.mask.leading_zeros())
    }

    /// Zero bits at the low end of every word now, before.
    pub const fn trailing_zeros(&self) -> (u32, u32) {
        (self.before.trailing_zeros(), self.after.trailing_zeros())
    }

    /// Share of the words that differ, where some do.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn density(&self) -> f64 {
        self.changed as f64 / self.touched.max(1) as f64
    }

    /// How often adding differences of this size would have carried into a higher bit. Training adds; a payload
    /// replaces bits, and never carries.
    #[expect(clippy::cast_precision_loss, reason = "an expectation, to be compared with a dozen")]
    pub fn carries_expected(&self) -> f64 {
        self.distance as f64 / 2_f64.powi(i32::try_from(self.width()).unwrap_or(i32::MAX))
    }
}

/// Words side by side: 16 of them fill two registers at least.
const LANES: usize = 16;

/// A word whose bits are looked at.
trait Word: Copy + Default + Eq + Into<u64> + BitXor<Output = Self> + BitOr<Output = Self> + Add<Output = Self> {
    const ONE: Self;
}

impl Word for u8 {
    const ONE: Self = 1;
}

impl Word for u16 {
    const ONE: Self = 1;
}

impl Word for u32 {
    const ONE: Self = 1;
}

/// Words that differ (no more than a block has), bits that differ, bits set before and after. A function of its own
/// that adds up nothing across lanes: only so does the compiler make SIMD of it.
#[inline(never)]
fn lanes<const N: usize, W: Word>(
    old: &[[[u8; N]; LANES]],
    new: &[[[u8; N]; LANES]],
    word: impl Fn([u8; N]) -> W,
) -> [[W; LANES]; 4] {
    let zero = [W::default(); LANES];
    let (mut changed, mut mask, mut before, mut after) = (zero, zero, zero, zero);
    for (olds, news) in old.iter().zip(new) {
        for lane in 0..LANES {
            let (old, new) = (word(olds[lane]), word(news[lane]));
            changed[lane] = changed[lane] + if old == new { W::default() } else { W::ONE };
            mask[lane] = mask[lane] | (old ^ new);
            before[lane] = before[lane] | old;
            after[lane] = after[lane] | new;
        }
    }
    [changed, mask, before, after]
}
