//! Two runs of bytes as words: how many differ, and in which bits.

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
            1 => self.words(old, new, |[byte]| u32::from(byte)),
            2 => self.words(old, new, |word| u32::from(u16::from_le_bytes(word))),
            4 => self.words(old, new, u32::from_le_bytes),
            8 => self.long_words(old, new),
            _ => {}
        }
    }

    fn words<const N: usize>(&mut self, old: &[u8], new: &[u8], word: impl Fn([u8; N]) -> u32 + Copy) {
        let (old, new) = (old.as_chunks::<N>().0, new.as_chunks::<N>().0);
        for (old, new) in old.chunks(BLOCK).zip(new.chunks(BLOCK)) {
            let sums = sums(old, new, word);
            self.changed = self.changed.saturating_add(sums[0].into());
            self.touched = self.touched.saturating_add(if sums[0] == 0 { 0 } else { old.len() as u64 });
            self.mask |= u64::from(sums[1]);
            self.before |= u64::from(sums[2]);
            self.after |= u64::from(sums[3]);
            // As long as only low bits differ there is something to add up, and then it is soon done.
            if self.mask != 0 && self.mask < 1 << 16 {
                let pairs = old.iter().zip(new);
                let apart = pairs.map(|(old, new)| u64::from(word(*old).abs_diff(word(*new)))).sum();
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

/// Words that differ, bits that differ, bits set before and after; lanes side by side for SIMD.
#[inline(never)]
fn sums<const N: usize>(old: &[[u8; N]], new: &[[u8; N]], word: impl Fn([u8; N]) -> u32) -> [u32; 4] {
    const LANES: usize = 8;
    let mut changed = [0_u32; LANES];
    let (mut mask, mut before, mut after) = ([0_u32; LANES], [0_u32; LANES], [0_u32; LANES]);
    let (old_blocks, old_rest) = old.as_chunks::<LANES>();
    let (new_blocks, new_rest) = new.as_chunks::<LANES>();
    for (olds, news) in old_blocks.iter().zip(new_blocks) {
        for lane in 0..LANES {
            let (old, new) = (word(olds[lane]), word(news[lane]));
            changed[lane] += u32::from(old != new);
            mask[lane] |= old ^ new;
            before[lane] |= old;
            after[lane] |= new;
        }
    }
    let or = |lanes: [u32; LANES]| lanes.iter().fold(0, |all, lane| all | lane);
    let mut all = [changed.iter().sum(), or(mask), or(before), or(after)];
    for (old, new) in old_rest.iter().zip(new_rest) {
        let (old, new) = (word(*old), word(*new));
        all[0] += u32::from(old != new);
        all[1] |= old ^ new;
        all[2] |= old;
        all[3] |= new;
    }
    all
}
