//! Values written as differences to the one before (Encodings.md of Parquet): whole numbers, lengths of texts, texts that
//! begin like the one before; and numbers whose bytes were sorted into streams.

use crate::artifact::format::cursor::varint;
use crate::artifact::outline::rows::column::{Values, shown};

/// Numbers of one block, and parts of one.
const BLOCK_MAX: u64 = 1 << 16;
const PARTS_MAX: u64 = 1 << 12;
const VALUES_MAX: u64 = 16 << 20;

/// Whole numbers, and the bytes behind them.
fn numbers(bytes: &[u8]) -> Option<(Vec<i64>, &[u8])> {
    let mut rest = bytes.iter();
    let zigzag = |number: u64| (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
    let block = varint(|| rest.next().copied()).filter(|block| (1..=BLOCK_MAX).contains(block))?;
    let parts = varint(|| rest.next().copied()).filter(|parts| (1..=PARTS_MAX.min(block)).contains(parts))?;
    let count = usize::try_from(varint(|| rest.next().copied()).filter(|count| *count <= VALUES_MAX)?).ok()?;
    let mut value = zigzag(varint(|| rest.next().copied())?);
    let each = usize::try_from(block / parts).ok()?;
    let mut out = Vec::new();
    if count > 0 {
        out.push(value);
    }
    while out.len() < count {
        let least = zigzag(varint(|| rest.next().copied())?);
        let widths = rest.as_slice().get(..usize::try_from(parts).ok()?)?;
        let mut behind = rest.as_slice().get(widths.len()..)?;
        for width in widths {
            // Parts behind the last value may be left out.
            if out.len() >= count {
                break;
            }
            let width = u32::from(*width);
            if width > 64 {
                return None;
            }
            let length = each.checked_mul(usize::try_from(width).ok()?)?.div_ceil(8);
            let (packed, after) = behind.split_at_checked(length.min(behind.len()))?;
            behind = after;
            let mut bits = Bits { bytes: packed.iter(), buffer: 0, held: 0 };
            for _ in 0..each.min(count.saturating_sub(out.len())) {
                value = value.wrapping_add(least).wrapping_add(bits.take(width)?.cast_signed());
                out.push(value);
            }
        }
        rest = behind.iter();
    }
    Some((out, rest.as_slice()))
}

/// Numbers packed bit by bit, the lowest first.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    buffer: u128,
    held: u32,
}

impl Bits<'_> {
    fn take(&mut self, width: u32) -> Option<u64> {
        while self.held < width {
            self.buffer |= u128::from(*self.bytes.next()?).checked_shl(self.held)?;
            self.held = self.held.saturating_add(8);
        }
        let mask = (1_u128 << width).wrapping_sub(1);
        let number = u64::try_from(self.buffer & mask).ok()?;
        self.buffer >>= width;
        self.held = self.held.saturating_sub(width);
        Some(number)
    }
}

/// Whole numbers of four bytes (`narrow`) or eight.
pub fn whole(bytes: &[u8], narrow: bool, out: &mut Values) -> Option<()> {
    for number in numbers(bytes)?.0 {
        let bytes = number.to_le_bytes();
        let kept = if narrow { bytes.get(..4)? } else { &bytes };
        out.push(shown(kept, false, true).as_bytes());
    }
    Some(())
}

/// Texts behind all of their lengths.
pub fn texts(bytes: &[u8], out: &mut Values) -> Option<()> {
    let (lengths, mut rest) = numbers(bytes)?;
    for length in lengths {
        let (value, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        out.push(value);
        rest = after;
    }
    Some(())
}

/// Texts of which the beginning is that of the one before.
pub fn prefixed(bytes: &[u8], out: &mut Values) -> Option<()> {
    let (shared, rest) = numbers(bytes)?;
    let mut ends = Values::default();
    texts(rest, &mut ends)?;
    let mut value: Vec<u8> = Vec::new();
    for (at, length) in shared.into_iter().enumerate() {
        value.truncate(usize::try_from(length).ok().filter(|length| *length <= value.len())?);
        value.extend_from_slice(ends.get(at)?);
        out.push(&value);
        if out.cut {
            return None;
        }
    }
    Some(())
}

/// Numbers of some bytes each: first the first byte of all of them, then the second.
pub fn split(bytes: &[u8], width: usize, count: usize, floating: bool, out: &mut Values) -> Option<()> {
    bytes.len().checked_div(width).filter(|whole| *whole >= count)?;
    for at in 0..count {
        let number: Option<Vec<u8>> =
            (0..width).map(|byte| bytes.get(byte.checked_mul(count)?.checked_add(at)?).copied()).collect();
        out.push(shown(&number?, floating, true).as_bytes());
    }
    Some(())
}
