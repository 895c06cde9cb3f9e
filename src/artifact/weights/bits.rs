//! Two runs of bytes as words: how many differ, and in which bits.

use std::ops::{Add, BitOr, BitXor};

use pulp::NullaryFnOnce;

use super::wide::wide;

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
        wide(Words { bits: self, old, new, word });
    }

    /// Counts a block of which some words differ; `mask` has the bits that differ in blocks since the last sum.
    #[inline(always)]
    fn note<const N: usize, W: Word>(
        &mut self,
        changed: u64,
        old: &[[u8; N]],
        new: &[[u8; N]],
        mask: impl Fn() -> u64,
        word: impl Fn([u8; N]) -> W,
    ) {
        if changed == 0 {
            return;
        }
        self.changed = self.changed.saturating_add(changed);
        self.touched = self.touched.saturating_add(old.len() as u64);
        // As long as only low bits differ there is something to add up; elsewhere that is soon over.
        if N <= 2 || (self.mask | mask()) < 1 << 16 {
            self.distance = self.distance.saturating_add(distance(old, new, word));
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

/// Words side by side: 32 of 16 bits fill one register of AVX-512.
const LANES: usize = 32;

/// Words of both, block by block.
struct Words<'n, F, const N: usize> {
    bits: &'n mut Bits,
    old: &'n [[u8; N]],
    new: &'n [[u8; N]],
    word: F,
}

impl<W: Word, F: Fn([u8; N]) -> W + Copy, const N: usize> NullaryFnOnce for Words<'_, F, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { bits, old, new, word } = self;
        let (olds, old_rest) = old.as_chunks::<BLOCK>();
        let (news, new_rest) = new.as_chunks::<BLOCK>();
        let mut lanes = Lanes::default();
        for (old, new) in olds.iter().zip(news) {
            let changed = lanes.add(old, new, word);
            bits.note(changed, old, new, || lanes.mask().into(), word);
        }
        bits.mask |= lanes.mask().into();
        bits.before |= lanes.before.iter().fold(W::default(), |all, lane| all | *lane).into();
        bits.after |= lanes.after.iter().fold(W::default(), |all, lane| all | *lane).into();
        let mut changed = 0;
        for (old, new) in old_rest.iter().zip(new_rest) {
            let (old, new): (u64, u64) = (word(*old).into(), word(*new).into());
            changed += u64::from(old != new);
            bits.mask |= old ^ new;
            bits.before |= old;
            bits.after |= new;
        }
        bits.note(changed, old_rest, new_rest, || 0, word);
    }
}

/// Bits that differ, bits set before and after, of the words that went by in each lane.
struct Lanes<W> {
    mask: [W; LANES],
    before: [W; LANES],
    after: [W; LANES],
}

impl<W: Word> Default for Lanes<W> {
    fn default() -> Self {
        let zero = [W::default(); LANES];
        Self { mask: zero, before: zero, after: zero }
    }
}

impl<W: Word> Lanes<W> {
    /// Adds a block; how many of its words differ. Nothing is added up across lanes before the end: only so does the
    /// compiler make SIMD of it.
    #[inline(always)]
    fn add<const N: usize>(
        &mut self,
        old: &[[u8; N]; BLOCK],
        new: &[[u8; N]; BLOCK],
        word: impl Fn([u8; N]) -> W,
    ) -> u64 {
        let mut changed = [W::default(); LANES];
        for (olds, news) in old.as_chunks::<LANES>().0.iter().zip(new.as_chunks::<LANES>().0) {
            for lane in 0..LANES {
                let (old, new) = (word(olds[lane]), word(news[lane]));
                changed[lane] = changed[lane] + if old == new { W::default() } else { W::ONE };
                self.mask[lane] = self.mask[lane] | (old ^ new);
                self.before[lane] = self.before[lane] | old;
                self.after[lane] = self.after[lane] | new;
            }
        }
        changed.iter().fold(W::default(), |sum, lane| sum + *lane).into()
    }

    #[inline(always)]
    fn mask(&self) -> W {
        self.mask.iter().fold(W::default(), |all, lane| all | *lane)
    }
}

/// A word whose bits are looked at.
trait Word: Copy + Default + Eq + Into<u64> + BitXor<Output = Self> + BitOr<Output = Self> + Add<Output = Self> {
    const ONE: Self;

    fn apart(self, other: Self) -> u32;
}

impl Word for u8 {
    const ONE: Self = 1;

    #[inline(always)]
    fn apart(self, other: Self) -> u32 {
        u32::from(self.abs_diff(other))
    }
}

impl Word for u16 {
    const ONE: Self = 1;

    #[inline(always)]
    fn apart(self, other: Self) -> u32 {
        u32::from(self.abs_diff(other))
    }
}

impl Word for u32 {
    const ONE: Self = 1;

    #[inline(always)]
    fn apart(self, other: Self) -> u32 {
        self.abs_diff(other)
    }
}

/// Sum of the differences of a block whose words differ in their 16 low bits only.
#[inline(always)]
fn distance<const N: usize, W: Word>(old: &[[u8; N]], new: &[[u8; N]], word: impl Fn([u8; N]) -> W) -> u64 {
    let mut sum = 0_u32;
    for (old, new) in old.iter().zip(new) {
        sum = sum.wrapping_add(word(*old).apart(word(*new)));
    }
    u64::from(sum)
}
