//! Whether new numbers are rounded ones: few values over and over, as a scale and whole numbers leave them, or numbers
//! of a narrower type. What was only moved a little has values of its own everywhere.

use super::numbers::Number;

/// Numbers that are looked at together, windows of each stretch that is read, and windows of a tensor.
const WINDOW: usize = 256;
const IN_STRETCH: usize = 16;
const WINDOWS_MAX: usize = 64;
/// Lowest bits that became zero everywhere.
const BITS_MIN: u32 = 3;

/// What was seen of both versions of one tensor.
#[derive(Default)]
pub struct Grid {
    windows: usize,
    count: usize,
    /// Numbers that stand in their window more than once, before and now.
    before: usize,
    after: usize,
    /// Bits that are set anywhere.
    old_bits: u32,
    new_bits: u32,
}

impl Grid {
    /// Takes a stretch of both: as many numbers of one as of the other, in whole blocks.
    pub fn look(&mut self, types: (Number, Number), old: &[u8], new: &[u8]) {
        let window = |number: Number| {
            let (bytes, inner) = number.block();
            WINDOW / inner.max(1) * bytes
        };
        let (old_windows, new_windows) =
            (old.chunks_exact(window(types.0).max(1)), new.chunks_exact(window(types.1).max(1)));
        let step = (old_windows.len() / IN_STRETCH).max(1);
        for (old, new) in old_windows.zip(new_windows).step_by(step) {
            if self.windows >= WINDOWS_MAX {
                return;
            }
            let (old, new) = (words(types.0, old), words(types.1, new));
            if old == new {
                continue;
            }
            self.windows = self.windows.saturating_add(1);
            self.count = self.count.saturating_add(new.len());
            self.old_bits |= old.iter().fold(0, |all, word| all | word);
            self.new_bits |= new.iter().fold(0, |all, word| all | word);
            self.before = self.before.saturating_add(again(old));
            self.after = self.after.saturating_add(again(new));
        }
    }

    /// `None` where it cannot be told: of few numbers, and of types whose numbers are few anyway.
    pub fn verdict(&self, new: Number) -> Option<bool> {
        // What is rounded by its type is rounded.
        if !matches!(new, Number::F64 | Number::F32 | Number::F16 | Number::Bf16) {
            return Some(true);
        }
        if self.count == 0 {
            return None;
        }
        let (old_zeros, new_zeros) = (self.old_bits.trailing_zeros(), self.new_bits.trailing_zeros());
        let more = self.after.saturating_sub(self.before).saturating_mul(20) >= self.count;
        if new_zeros >= old_zeros.saturating_add(BITS_MIN) || more {
            return Some(true);
        }
        // Numbers of a narrow type in a wide one come again by chance, as those of the narrow type do.
        if new_zeros >= Number::F32.mantissa_bits().saturating_sub(Number::Bf16.mantissa_bits()) {
            return None;
        }
        let share =
            if new_zeros >= Number::F32.mantissa_bits().saturating_sub(Number::F16.mantissa_bits()) { 6 } else { 20 };
        Some(self.after.saturating_mul(share) >= self.count)
    }
}

fn words(number: Number, bytes: &[u8]) -> Vec<u32> {
    let mut numbers = Vec::with_capacity(WINDOW);
    number.decode(bytes, &mut numbers);
    numbers.into_iter().map(f32::to_bits).collect()
}

/// Words that stand there already.
fn again(mut words: Vec<u32>) -> usize {
    words.sort_unstable();
    let count = words.len();
    words.dedup();
    count.saturating_sub(words.len())
}
