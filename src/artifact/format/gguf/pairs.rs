//! The metadata of GGUF one value after another, lists item by item.

use super::{Cursor, ENTRIES_MAX, Parsed};
use crate::artifact::input::Input;

/// Items of all lists of one file.
const ITEMS_MAX: u64 = 8_000_000;

/// A value, or a part of one.
pub enum Pair<'v> {
    /// A single value: texts as they are, numbers and flags as text.
    One(&'v [u8]),
    /// An item of a list.
    Item(&'v [u8]),
    /// The list is complete.
    End,
}

/// Hands every value to `look` with its key. False when the header is broken or too long.
pub fn pairs(input: Input<'_>, look: &mut dyn FnMut(&str, Pair<'_>)) -> bool {
    let mut cursor = Cursor { input, buffer: Vec::new(), start: 0, position: 4, short: false, big: false };
    walk(&mut cursor, look).is_ok()
}

fn walk(cursor: &mut Cursor<'_>, look: &mut dyn FnMut(&str, Pair<'_>)) -> Parsed<()> {
    let version = cursor.u32()?;
    cursor.big = version.swap_bytes() <= 3 && version > 3;
    let version = if cursor.big { version.swap_bytes() } else { version };
    cursor.short = version == 1;
    if !(1..=3).contains(&version) {
        return Err("the version is unknown");
    }
    let (_, entries) = (cursor.length()?, cursor.length()?);
    if entries > ENTRIES_MAX {
        return Err("the header counts more entries than can be");
    }
    let mut items = 0_u64;
    for _ in 0..entries {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        if kind != 9 {
            let bytes = value(cursor, kind)?;
            look(&key, Pair::One(&bytes));
            continue;
        }
        let (inner, count) = (cursor.u32()?, cursor.length()?);
        items = items.saturating_add(count);
        // Every item takes a byte at least.
        if items > ITEMS_MAX || count > cursor.input.len() {
            return Err("a list has more items than are looked at");
        }
        for _ in 0..count {
            let bytes = value(cursor, inner)?;
            look(&key, Pair::Item(&bytes));
        }
        look(&key, Pair::End);
    }
    Ok(())
}

/// One value that is no list, as text.
fn value(cursor: &mut Cursor<'_>, kind: u32) -> Parsed<Vec<u8>> {
    let text = match kind {
        8 => return cursor.bytes(),
        0 => cursor.number(1)?.to_string(),
        7 => (if cursor.number(1)? == 0 { "false" } else { "true" }).to_owned(),
        1 => sign(cursor.number(1)?, 8).to_string(),
        2 => cursor.number(2)?.to_string(),
        3 => sign(cursor.number(2)?, 16).to_string(),
        4 => cursor.number(4)?.to_string(),
        5 => sign(cursor.number(4)?, 32).to_string(),
        6 => u32::try_from(cursor.number(4)?).map(f32::from_bits).unwrap_or_default().to_string(),
        10 => cursor.number(8)?.to_string(),
        11 => cursor.number(8)?.cast_signed().to_string(),
        12 => f64::from_bits(cursor.number(8)?).to_string(),
        _ => return Err("a value has a type that does not exist"),
    };
    Ok(text.into_bytes())
}

fn sign(number: u64, bits: u32) -> i64 {
    let shift = 64_u32.saturating_sub(bits);
    (number << shift).cast_signed() >> shift
}
