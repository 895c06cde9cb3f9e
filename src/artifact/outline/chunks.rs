//! Anything else: chunks cut where the content says, so that what was put in moves no other chunk, and how much of a
//! file is the same can be told.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::packed::{Packed, finish, hasher};
use super::take::Taking;
use super::{Body, Told};
use crate::artifact::input::Input;
use crate::event::difference::Grade;

/// Bytes of a chunk: at least, on average, at most; the average doubles for larger files.
const MIN: u64 = 16 << 10;
const AVERAGE_BITS: u32 = 16;
const MAX: u64 = 256 << 10;
/// Chunks of one file.
const CHUNKS_MAX: u64 = 16_384;
const STEP: usize = 1 << 20;

/// Digests and lengths of the chunks of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Chunks {
    /// Bits of the mask that ends a chunk: files of different size are cut otherwise.
    bits: u32,
    digests: Packed,
    lengths: Packed,
    bytes: u64,
}

/// Numbers for each byte, from a fixed sequence (`SplitMix64`).
fn gear() -> [u64; 256] {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::array::from_fn(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

pub fn take(taking: &mut Taking, input: Input<'_>) {
    let gear = gear();
    let max = input.budget.limits.sweep_bytes_max.max(1);
    let length = input.len().min(max);
    if input.len() > max {
        taking.cut("of a long file only the first bytes, up to `sweep_bytes_max`, are in the outline");
    }
    // Doubled until there is room for all chunks.
    let factor =
        (length >> AVERAGE_BITS).checked_div(CHUNKS_MAX / 2).unwrap_or(0).saturating_add(1).next_power_of_two();
    let bits = AVERAGE_BITS.saturating_add(factor.trailing_zeros());
    let mask = !(u64::MAX >> bits.min(48));
    let mut chunks = Chunks { bits, ..Chunks::default() };
    let (mut rolling, mut size, mut position) = (0_u64, 0_u64, 0_u64);
    let mut hash = hasher();
    while position < length {
        let bytes = input.read(position, STEP.min(usize::try_from(length.saturating_sub(position)).unwrap_or(STEP)));
        if bytes.is_empty() {
            taking.cut("some bytes could not be read; they are not in the outline");
            break;
        }
        position = position.saturating_add(bytes.len() as u64);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let mut end = rest.len();
            let mut ended = false;
            for (at, byte) in rest.iter().enumerate() {
                rolling = (rolling << 1).wrapping_add(gear.get(usize::from(*byte)).copied().unwrap_or(0));
                size = size.saturating_add(1);
                if size >= MAX.saturating_mul(factor) || size >= MIN.saturating_mul(factor) && rolling & mask == 0 {
                    end = at.saturating_add(1);
                    ended = true;
                    break;
                }
            }
            let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            hash.update(chunk);
            rest = after;
            if ended {
                chunks.end(&mut hash, &mut size);
                rolling = 0;
            }
        }
    }
    if size > 0 {
        chunks.end(&mut hash, &mut size);
    }
    if chunks.bytes > 0 {
        taking.add("", Body::Chunks(chunks));
    }
}

impl Chunks {
    fn end(&mut self, hash: &mut blake3::Hasher, size: &mut u64) {
        self.digests.push(finish(hash), 8);
        self.lengths.push(*size, 4);
        self.bytes = self.bytes.saturating_add(*size);
        *hash = hasher();
        *size = 0;
    }

    fn pairs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.digests.numbers(8).zip(self.lengths.numbers(4))
    }
}

pub fn compare(told: &mut Told, place: &str, old: &Chunks, new: &Chunks) {
    if old == new {
        return;
    }
    if old.bits != new.bits {
        let words = "the file is so much longer or shorter that its chunks cannot be compared";
        told.say("bytes.changed", Grade::Routine, place, words);
        return;
    }
    let mut known: HashMap<(u64, u64), u64> = HashMap::new();
    for pair in old.pairs() {
        let count = known.entry(pair).or_default();
        *count = count.saturating_add(1);
    }
    let mut same = 0_u64;
    for pair in new.pairs() {
        if let Some(count) = known.get_mut(&pair).filter(|count| **count > 0) {
            *count = count.saturating_sub(1);
            same = same.saturating_add(pair.1);
        }
    }
    let words =
        format!("{} of {} bytes lie in chunks that the old version has as well", same.min(new.bytes), new.bytes);
    told.say("bytes.changed", Grade::Routine, place, words);
}
