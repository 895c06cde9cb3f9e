//! Where the file begins, how wide its numbers are, and where its root lies.

use std::cell::Cell;

use super::object::Place;
use crate::artifact::input::Input;

pub const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// Doublings of 512 bytes at which the signature is looked for.
const DOUBLINGS: u32 = 24;

pub struct Root {
    /// Widths of addresses and of lengths.
    pub offsets: usize,
    pub lengths: usize,
    /// End of the file, counted from the signature.
    pub end: u64,
    /// Address of the root group's header.
    pub object: u64,
    /// Address of an object that says more about the file; none, as a rule.
    pub extension: Option<u64>,
}

/// Where the signature stands.
pub fn position(input: Input<'_>) -> Option<u64> {
    let places = std::iter::once(0).chain((0..DOUBLINGS).map(|doubling| 512_u64 << doubling));
    places.take_while(|place| place.saturating_add(8) <= input.len()).find(|place| input.read(*place, 8) == SIGNATURE)
}

pub fn read(input: Input<'_>, position: u64) -> Result<Root, &'static str> {
    let file = input.from(position);
    let head = file.read(8, 6);
    let byte = |at: usize| head.get(at).copied().ok_or("the superblock is cut off");
    let version = byte(0)?;
    let (offsets, lengths, first) = match version {
        // Behind the widths stand the ranks of the trees and flags.
        0 => (byte(5)?, file.read(14, 1).first().copied().unwrap_or(0), 24),
        1 => (byte(5)?, file.read(14, 1).first().copied().unwrap_or(0), 28),
        2 | 3 => (byte(1)?, byte(2)?, 12),
        _ => return Err("the version of the superblock is unknown"),
    };
    let widths = [2_u8, 4, 8];
    if !widths.contains(&offsets) || !widths.contains(&lengths) {
        return Err("the superblock has widths that cannot be");
    }
    let tries = Cell::new(0);
    let place = Place { input: file, offsets: offsets.into(), lengths: lengths.into(), tries: &tries };
    let mut cursor = place.cursor(first, 128);
    let cut = "the superblock is cut off";
    let base = cursor.address().ok_or(cut)?;
    let extension = cursor.address().ok_or(cut)?;
    let extension = Some(extension).filter(|address| version >= 2 && *address != u64::MAX);
    let end = cursor.address().ok_or(cut)?;
    let object = if version < 2 {
        // Driver information, then the entry of the root: its name, then its header.
        cursor.address().ok_or(cut)?;
        cursor.address().ok_or(cut)?;
        cursor.address().ok_or(cut)?
    } else {
        cursor.address().ok_or(cut)?
    };
    // A base of its own is where the file stood when it was written; the end is counted from its start.
    let end = end.saturating_sub(base);
    Ok(Root { offsets: offsets.into(), lengths: lengths.into(), end, object, extension })
}
