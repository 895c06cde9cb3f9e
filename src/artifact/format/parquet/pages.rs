//! The pages of a column of texts or bytes, dictionaries among them.

use super::Chunk;
use crate::artifact::format::columns::{Columns, Packed, plain};
use crate::artifact::format::thrift::{self, Value};
use crate::artifact::inflate::{Block, Codec};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Types of columns that are looked at: bytes of any length, and of one.
const BYTES: i64 = 6;
const FIXED: i64 = 7;
/// Pages of one column.
const PAGES_MAX: u32 = 100_000;
/// Bytes of a page's header, as a rule and at most: it may hold the smallest and the largest value.
const HEADER: usize = 1 << 10;
const HEADER_MAX: usize = 256 << 10;
/// Kinds of pages.
const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_2: i64 = 3;

/// What the header of a page says.
#[derive(Default)]
struct Page {
    kind: i64,
    unpacked: u64,
    packed: u64,
    encoding: i64,
    /// Bytes of levels in front of the values, which are never packed, in pages of the second version.
    levels: u64,
    plain: bool,
}

/// Reads the pages of a column, and hands on its values.
pub fn read(inspection: &mut Inspection<'_>, input: Input<'_>, chunk: &Chunk, columns: &mut Columns<'_>) {
    if !matches!(chunk.kind, Some(BYTES | FIXED)) {
        return;
    }
    let unread = match chunk.codec {
        3 => "lzo",
        4 => "brotli",
        _ => "",
    };
    if !unread.is_empty() {
        inspection.list("artifact.table.unread", format!("{unread}:{}", chunk.name));
        return;
    }
    let start = chunk.first.and_then(|first| u64::try_from(first).ok()).unwrap_or(0);
    let end = start.saturating_add(u64::try_from(chunk.size).unwrap_or(0));
    let mut position = start;
    for _ in 0..PAGES_MAX {
        if position >= end || !columns.goes_on() {
            return;
        }
        let Some((page, length)) = header(input.window(position, end.saturating_sub(position))) else {
            inspection.issue("malformed", "a page of a column is none");
            return;
        };
        let body = position.saturating_add(length);
        position = body.saturating_add(page.packed);
        if position > end {
            inspection.issue("malformed", "a page of a column is longer than the column");
            return;
        }
        values(inspection, input.window(body, page.packed), &page, chunk, columns);
    }
    inspection.issue("budget_exceeded", "a column has more pages than are looked at");
}

fn header(input: Input<'_>) -> Option<(Page, u64)> {
    [HEADER, HEADER_MAX].into_iter().find_map(|size| {
        let bytes = input.read(0, size);
        let mut page = Page { plain: true, ..Page::default() };
        let length = thrift::walk(&bytes, &mut |path, value| match (path, value) {
            ([1], Value::Number(number)) => page.kind = number,
            ([2], Value::Number(number)) => page.unpacked = u64::try_from(number).unwrap_or(u64::MAX),
            ([3], Value::Number(number)) => page.packed = u64::try_from(number).unwrap_or(u64::MAX),
            ([5 | 7, 2] | [8, 4], Value::Number(number)) => page.encoding = number,
            ([8, 5 | 6], Value::Number(number)) => {
                page.levels = page.levels.saturating_add(u64::try_from(number).unwrap_or(u64::MAX));
            }
            ([8, 7], Value::Flag(packed)) => page.plain = packed,
            _ => {}
        });
        Some((page, length.ok()? as u64))
    })
}

fn values(inspection: &mut Inspection<'_>, body: Input<'_>, page: &Page, chunk: &Chunk, columns: &mut Columns<'_>) {
    let levels = if page.kind == DATA_2 { page.levels } else { 0 };
    let packed = body.from(levels);
    let size = page.unpacked.saturating_sub(levels);
    let how = match chunk.codec {
        _ if page.kind == DATA_2 && !page.plain => Packed::Not,
        1 => Packed::Block(Block::Snappy, size),
        2 => Packed::As(Codec::Gzip),
        5 => return hadoop(inspection, packed, page, chunk, columns),
        6 => Packed::As(Codec::Zstd),
        7 => Packed::Block(Block::Lz4, size),
        _ => Packed::Not,
    };
    if packed.len() == 0 {
        return;
    }
    if let Some(bytes) = columns.unpack(inspection, packed, how) {
        split(inspection, &bytes, page, chunk, columns);
    }
}

/// LZ4 as Hadoop writes it: blocks behind their lengths. Some writers left the lengths out, or wrote frames.
fn hadoop(inspection: &mut Inspection<'_>, packed: Input<'_>, page: &Page, chunk: &Chunk, columns: &mut Columns<'_>) {
    let head = packed.read(0, 8);
    let number = |bytes: Option<&[u8]>| {
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(u64::MAX, |bytes| u64::from(u32::from_be_bytes(bytes)))
    };
    let (unpacked, length) = (number(head.get(..4)), number(head.get(4..8)));
    let (block, how) = if head.starts_with(&[0x04, 0x22, 0x4d, 0x18]) {
        (packed, Packed::As(Codec::Lz4))
    } else if length <= packed.len().saturating_sub(8) && unpacked <= page.unpacked {
        (packed.window(8, length), Packed::Block(Block::Lz4, unpacked))
    } else {
        (packed, Packed::Block(Block::Lz4, page.unpacked.saturating_sub(page.levels)))
    };
    if let Some(bytes) = columns.unpack(inspection, block, how) {
        split(inspection, &bytes, page, chunk, columns);
    }
}

/// The values of a page that stand one behind another; indices and differences are none.
fn split(inspection: &mut Inspection<'_>, bytes: &[u8], page: &Page, chunk: &Chunk, columns: &mut Columns<'_>) {
    let written = match page.kind {
        DICTIONARY => matches!(page.encoding, 0 | 2),
        DATA | DATA_2 => page.encoding == 0,
        _ => false,
    };
    if !written || chunk.kind != Some(BYTES) {
        return;
    }
    // In the first version of pages up to two lists of levels stand in front, each behind its length.
    let levels = if page.kind == DATA { 3 } else { 1 };
    let mut rest = bytes;
    for _ in 0..levels {
        if let Some(values) = plain(rest) {
            for value in values {
                columns.value(inspection, &chunk.name, value);
            }
            return;
        }
        let Some((length, after)) = rest.split_first_chunk() else { return };
        let Some(after) = usize::try_from(u32::from_le_bytes(*length)).ok().and_then(|length| after.get(length..))
        else {
            return;
        };
        rest = after;
    }
}
