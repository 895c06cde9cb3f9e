//! A sum of floats that loses nothing: the same numbers give the same sum, whatever came and went
//! before and in which order, and it is rounded once.
//!
//! Every double is a whole multiple of 2^-1074, so all of them are added up as whole numbers of some
//! two thousand bits, in digits to the base 2^32 that may be negative and larger for a while.

/// Digits: 2,098 bits of the largest double, and room above for as many as ever come.
const DIGITS: usize = 68;
/// Exponent of the smallest bit.
const UNIT: i32 = -1074;

/// The sum so far.
#[derive(Debug, Clone)]
pub struct Exact {
    digits: [i64; DIGITS],
    /// Numbers in it, and those of them that are infinite or none.
    count: usize,
    odd: usize,
}

impl Default for Exact {
    fn default() -> Self {
        Self { digits: [0; DIGITS], count: 0, odd: 0 }
    }
}

impl Exact {
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn add(&mut self, number: f64) {
        self.count += 1;
        if number.is_finite() {
            self.put(number, false);
        } else {
            self.odd += 1;
        }
    }

    /// Takes out what was added before.
    pub fn remove(&mut self, number: f64) {
        self.count = self.count.saturating_sub(1);
        if number.is_finite() {
            self.put(number, true);
        } else {
            self.odd = self.odd.saturating_sub(1);
        }
    }

    /// The double next to the sum; `None` when that is none.
    pub fn sum(&self) -> Option<f64> {
        if self.odd > 0 {
            return None;
        }
        let (negative, digits) = self.whole();
        let Some(highest) = digits.iter().rposition(|digit| *digit != 0) else { return Some(0.0) };
        let lowest = highest.saturating_sub(2);
        let top = digits.iter().take(highest + 1).skip(lowest).rev();
        let mut significant = top.fold(0_u128, |all, digit| all << 32 | u128::from(*digit));
        // Bits that are left out decide between two doubles only when all others are even between them.
        significant |= u128::from(digits.iter().take(lowest).any(|digit| *digit != 0));
        #[expect(clippy::cast_precision_loss, reason = "this is where the sum is rounded")]
        let rounded = significant as f64;
        let exponent = UNIT + 32 * i32::try_from(lowest).unwrap_or(i32::MAX / 64);
        let sum = scaled(rounded, exponent);
        sum.is_finite().then_some(if negative { -sum } else { sum })
    }

    fn put(&mut self, number: f64, out: bool) {
        let bits = number.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        // Numbers below 2^-1022 have no hidden bit, and the exponent of the smallest that has one.
        let (mantissa, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        let wide = u128::from(mantissa) << (shift % 32);
        let negative = number.is_sign_negative() != out;
        for (step, digit) in self.digits.iter_mut().skip(shift / 32).take(3).enumerate() {
            let part = i64::try_from(wide >> (32 * step) & 0xffff_ffff).unwrap_or_default();
            // Far fewer than 2^31 numbers are ever held at once, so that no digit overflows.
            *digit = digit.wrapping_add(if negative { -part } else { part });
        }
    }

    /// Whether the sum is negative, and its digits, each below 2^32.
    fn whole(&self) -> (bool, [u32; DIGITS]) {
        let (carry, digits) = carried(self.digits.iter().copied());
        if carry >= 0 {
            return (false, digits);
        }
        (true, carried(self.digits.iter().map(|digit| -digit)).1)
    }
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the lower 32 bits are what is wanted")]
fn carried(from: impl Iterator<Item = i64>) -> (i64, [u32; DIGITS]) {
    let mut digits = [0; DIGITS];
    let mut carry = 0_i64;
    for (digit, into) in from.zip(&mut digits) {
        let sum = carry.wrapping_add(digit);
        *into = sum as u32;
        carry = sum >> 32;
    }
    (carry, digits)
}

/// Times a power of two, which loses nothing unless the result is infinite.
fn scaled(number: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    number * 2_f64.powi(half) * 2_f64.powi(exponent - half)
}
