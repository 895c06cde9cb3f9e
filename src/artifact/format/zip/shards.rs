//! A shard of a distributed checkpoint: archives in a row, one for each tensor.

use super::entries::Raw;
use crate::artifact::input::Input;

/// Archives of one shard that are told apart.
const PARTS_MAX: usize = 20_000;
/// Bytes of the end of a directory, of the record that ZIP64 puts before it, and of what leads there.
const END: u64 = 22;
const END64: u64 = 56;
const LOCATOR: u64 = 20;

/// Start and length of each archive, found from the last one back: each ends where the next begins. What does not
/// end with an archive is the first part.
pub fn parts(input: Input<'_>) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut end = input.len();
    while end > 0 && found.len() < PARTS_MAX {
        let start = start_of(input, end).filter(|start| *start < end).unwrap_or(0);
        found.push((start, end.saturating_sub(start)));
        end = start;
    }
    found.reverse();
    found
}

/// Where the archive begins that ends here, by the size and the offset of its directory.
fn start_of(input: Input<'_>, end: u64) -> Option<u64> {
    let place = end.checked_sub(END)?;
    let record = input.read(place, 22);
    if !record.starts_with(b"PK\x05\x06") {
        return None;
    }
    let raw = Raw(&record);
    let (mut size, mut offset, mut directory_end) = (u64::from(raw.u32(12)), u64::from(raw.u32(16)), place);
    let locator = place.checked_sub(LOCATOR).filter(|at| input.read(*at, 4).starts_with(b"PK\x06\x07"));
    if let Some(record_at) = locator.and_then(|at| at.checked_sub(END64)) {
        let wide = input.read(record_at, 56);
        if wide.starts_with(b"PK\x06\x06") {
            (size, offset, directory_end) = (Raw(&wide).u64(40), Raw(&wide).u64(48), record_at);
        }
    }
    directory_end.checked_sub(size)?.checked_sub(offset)
}
