//! The pages of one column: levels that say where values are missing or repeated, and the values.

mod delta;

use super::{Chunk, Leaf};
use crate::artifact::format::cursor::varint;
use crate::artifact::format::thrift::{self, Value};
use crate::artifact::inflate::{self, Block, Codec};
use crate::artifact::input::Input;
use crate::artifact::outline::rows::column::{Values, shown};

/// Pages of one column, and bytes of the header of one.
const PAGES_MAX: u32 = 100_000;
const HEADERS: [usize; 2] = [1 << 10, 256 << 10];
/// Values of one page.
const VALUES_MAX: u64 = 16 << 20;

#[derive(Default)]
struct Page {
    kind: i64,
    unpacked: u64,
    packed: u64,
    encoding: i64,
    values: u64,
    /// Bytes of the levels in front of the values, in pages of the second version.
    defined: u64,
    repeated: u64,
    plain: bool,
}

fn size(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn header(input: Input<'_>) -> Option<(Page, u64)> {
    HEADERS.into_iter().find_map(|length| {
        let bytes = input.read(0, length);
        let mut page = Page { plain: true, ..Page::default() };
        let length = thrift::walk(&bytes, &mut |path, value| match (path, value) {
            ([1], Value::Number(number)) => page.kind = number,
            ([2], Value::Number(number)) => page.unpacked = size(number),
            ([3], Value::Number(number)) => page.packed = size(number),
            ([5 | 7 | 8, 1], Value::Number(number)) => page.values = size(number),
            ([5 | 7, 2] | [8, 4], Value::Number(number)) => page.encoding = number,
            ([8, 5], Value::Number(number)) => page.defined = size(number),
            ([8, 6], Value::Number(number)) => page.repeated = size(number),
            ([8, 7], Value::Flag(packed)) => page.plain = packed,
            _ => {}
        });
        Some((page, length.ok()? as u64))
    })
}

/// A column read page by page, so that no more than one page of it is held.
pub struct Pages<'a> {
    input: Input<'a>,
    leaf: &'a Leaf,
    chunk: &'a Chunk,
    position: u64,
    end: u64,
    left: u32,
    dictionary: Values,
    page: Values,
    next: usize,
    /// Some are packed in a way that is not read, or broken: what follows has no values.
    pub broken: bool,
}

impl<'a> Pages<'a> {
    pub fn new(input: Input<'a>, leaf: &'a Leaf, chunk: &'a Chunk) -> Self {
        let position = chunk.first.map_or(0, size);
        let end = position.saturating_add(size(chunk.size)).min(input.len());
        let (dictionary, page) = (Values::default(), Values::default());
        Self { input, leaf, chunk, position, end, left: PAGES_MAX, dictionary, page, next: 0, broken: false }
    }

    /// Memory that it takes.
    pub fn room(&self) -> usize {
        self.dictionary.room().saturating_add(self.page.room())
    }

    /// The value of the next row; `None` when there is none.
    pub fn value(&mut self) -> Option<&[u8]> {
        while self.next >= self.page.len() {
            if self.broken || self.position >= self.end {
                return None;
            }
            if self.turn().is_none() {
                self.broken = true;
                return None;
            }
        }
        let at = self.next;
        self.next = at.saturating_add(1);
        self.page.get(at)
    }

    /// Reads the next page.
    fn turn(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let (page, length) = header(self.input.window(self.position, self.end.saturating_sub(self.position)))?;
        let body = self.position.saturating_add(length);
        self.position = body.saturating_add(page.packed);
        if self.position > self.end || page.values > VALUES_MAX {
            return None;
        }
        let body = self.input.window(body, page.packed);
        match page.kind {
            2 => {
                let bytes = unpack(body, self.chunk.codec, page.unpacked)?;
                self.dictionary = Values::default();
                plain(&bytes, self.leaf.kind, page.values, &mut self.dictionary).then_some(())?;
            }
            0 | 3 => {
                self.page = Values::default();
                self.next = 0;
                data(body, self.leaf, self.chunk, &page, &self.dictionary, &mut self.page)?;
            }
            // Indices are no values.
            _ => {}
        }
        (!self.dictionary.cut && !self.page.cut).then_some(())
    }
}

/// The bytes of a page; `None` when it is packed in a way that is not unpacked, or broken.
fn unpack(packed: Input<'_>, codec: i64, size: u64) -> Option<Vec<u8>> {
    if packed.len() == 0 {
        return Some(Vec::new());
    }
    let whole = |codec| {
        let unpacked = inflate::unpack(packed, codec);
        unpacked.fault.is_none().then(|| unpacked.input(packed.budget).whole()).flatten()
    };
    match codec {
        0 => packed.whole(),
        1 => inflate::block(packed, Block::Snappy, size),
        2 => whole(Codec::Gzip),
        // Blocks behind their lengths, unpacked and packed; some writers leave those out.
        5 => {
            let head = packed.read(0, 8);
            let number = |bytes: Option<&[u8]>| {
                bytes
                    .and_then(|bytes| bytes.try_into().ok())
                    .map_or(u64::MAX, |bytes| u64::from(u32::from_be_bytes(bytes)))
            };
            let framed = number(head.get(..4)) == size && number(head.get(4..8)) == packed.len().saturating_sub(8);
            inflate::block(if framed { packed.from(8) } else { packed }, Block::Lz4, size)
        }
        6 => whole(Codec::Zstd),
        7 => inflate::block(packed, Block::Lz4, size),
        _ => None,
    }
}

fn data(body: Input<'_>, leaf: &Leaf, chunk: &Chunk, page: &Page, dictionary: &Values, out: &mut Values) -> Option<()> {
    let (bits_repeated, bits_defined) = (bits(leaf.repeated), bits(leaf.defined));
    let second = page.kind == 3;
    let (levels, bytes) = if second {
        let length = page.repeated.checked_add(page.defined)?;
        let packed = body.from(length);
        let codec = if page.plain { chunk.codec } else { 0 };
        (body.window(0, length).whole()?, unpack(packed, codec, page.unpacked.checked_sub(length)?)?)
    } else {
        (Vec::new(), unpack(body, chunk.codec, page.unpacked)?)
    };
    let mut rest = bytes.as_slice();
    let count = usize::try_from(page.values).ok()?;
    let mut level = |bits: u32, from: usize, length: u64| -> Option<Vec<u32>> {
        if bits == 0 {
            return Some(Vec::new());
        }
        if second {
            let end = from.checked_add(usize::try_from(length).ok()?)?;
            return hybrid(levels.get(from..end)?, bits, count);
        }
        let (length, after) = rest.split_first_chunk()?;
        let (inner, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        rest = after;
        hybrid(inner, bits, count)
    };
    let repeated = level(bits_repeated, 0, page.repeated)?;
    let defined = level(bits_defined, usize::try_from(page.repeated).ok()?, page.defined)?;
    let present =
        if bits_defined == 0 { count } else { defined.iter().filter(|level| **level == leaf.defined).count() };
    let mut values = Values::default();
    match page.encoding {
        0 => {
            if !plain(rest, leaf.kind, present as u64, &mut values) {
                return None;
            }
        }
        2 | 8 => {
            let (width, rest) = rest.split_first().unwrap_or((&0, &[]));
            for at in hybrid(rest, u32::from(*width), present)? {
                values.push(dictionary.get(usize::try_from(at).ok()?)?);
            }
        }
        3 if leaf.kind == 0 => {
            let (_, rest) = rest.split_first_chunk::<4>()?;
            hybrid(rest, 1, present)?.iter().for_each(|flag| values.push(if *flag == 0 { b"false" } else { b"true" }));
        }
        5 if matches!(leaf.kind, 1 | 2) => delta::whole(rest, leaf.kind == 1, &mut values)?,
        6 => delta::texts(rest, &mut values)?,
        7 => delta::prefixed(rest, &mut values)?,
        9 if matches!(leaf.kind, 1 | 4) => delta::split(rest, 4, present, leaf.kind == 4, &mut values)?,
        9 if matches!(leaf.kind, 2 | 5) => delta::split(rest, 8, present, leaf.kind == 5, &mut values)?,
        _ => return None,
    }
    if values.cut {
        return None;
    }
    let mut next = 0_usize;
    for at in 0..count {
        let here = defined.get(at).is_none_or(|level| *level == leaf.defined);
        let value = if here { values.get(next).unwrap_or_default() } else { &[] };
        next = next.saturating_add(usize::from(here));
        // Items of one list belong to one row, and lie in one page.
        if repeated.get(at).copied().unwrap_or(0) > 0 {
            if at == 0 {
                return None;
            }
            out.extend(b"\n");
            out.extend(value);
        } else {
            out.push(value);
        }
    }
    Some(())
}

/// Bits that hold a level.
fn bits(highest: u32) -> u32 {
    u32::BITS.saturating_sub(highest.leading_zeros())
}

/// Runs of one number, and groups of eight packed ones.
fn hybrid(bytes: &[u8], width: u32, count: usize) -> Option<Vec<u32>> {
    if width > 32 {
        return None;
    }
    let mut out = Vec::with_capacity(count.min(bytes.len().saturating_mul(8).saturating_add(8)).min(1 << 20));
    let mut rest = bytes.iter();
    while out.len() < count {
        // Without bits there is nothing to write: all are zero.
        if width == 0 {
            out.resize(count, 0);
            break;
        }
        let head = varint(|| rest.next().copied())?;
        let left = count.saturating_sub(out.len());
        if head & 1 == 1 {
            let groups = usize::try_from(head >> 1).ok()?;
            let length = groups.checked_mul(usize::try_from(width).ok()?)?.min(rest.len());
            let packed = rest.as_slice().get(..length)?;
            let (mut buffer, mut held) = (0_u64, 0_u32);
            let wanted = left.min(groups.saturating_mul(8));
            let before = out.len();
            for byte in packed {
                buffer |= u64::from(*byte).checked_shl(held)?;
                held = held.saturating_add(8);
                while held >= width && out.len().saturating_sub(before) < wanted {
                    out.push(u32::try_from(buffer & ((1_u64 << width) - 1)).ok()?);
                    buffer >>= width;
                    held = held.saturating_sub(width);
                }
                if out.len().saturating_sub(before) >= wanted {
                    break;
                }
            }
            if out.len() == before {
                return None;
            }
            rest = rest.as_slice().get(length..)?.iter();
        } else {
            let length = usize::try_from(head >> 1).ok()?.min(left);
            let mut value = 0_u32;
            for at in 0..width.div_ceil(8) {
                value |= u32::from(*rest.next()?).checked_shl(at.saturating_mul(8))?;
            }
            if length == 0 {
                return None;
            }
            out.resize(out.len().saturating_add(length), value);
        }
    }
    Some(out)
}

/// Values one behind another.
fn plain(bytes: &[u8], kind: i64, count: u64, out: &mut Values) -> bool {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut rest = bytes;
    let width = match kind {
        1 | 4 => 4,
        2 | 5 => 8,
        3 => 12,
        _ => 0,
    };
    match kind {
        0 => {
            for at in 0..count {
                let Some(byte) = bytes.get(at / 8) else { return false };
                out.push(if byte >> (at % 8) & 1 == 0 { b"false" } else { b"true" });
            }
        }
        6 => {
            for _ in 0..count {
                let Some((length, after)) = rest.split_first_chunk() else { return false };
                let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                let Some((value, after)) = after.split_at_checked(length) else { return false };
                out.push(value);
                rest = after;
            }
        }
        7 => {
            // The width stands in the schema; all values are of one.
            let width = bytes.len().checked_div(count).unwrap_or(0).max(1);
            bytes.chunks(width).take(count).for_each(|value| out.push(value));
        }
        _ => {
            for value in bytes.chunks_exact(width.max(1)).take(count) {
                out.push(shown(value, matches!(kind, 4 | 5), kind != 3).as_bytes());
            }
            return bytes.len() / width.max(1) >= count;
        }
    }
    true
}
