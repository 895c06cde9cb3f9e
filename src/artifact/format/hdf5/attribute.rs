//! Attributes: their names, and their values as bytes.

use super::heaps;
use super::object::{Cursor, Place};

/// Values of one attribute.
const VALUES_MAX: u64 = 4096;

/// An attribute as its message has it.
pub struct Attribute {
    pub name: String,
    kind: Kind,
    count: u64,
    data: Vec<u8>,
}

enum Kind {
    /// A text or opaque bytes of this length.
    Bytes(usize),
    /// A length and a place in a global heap, for each value.
    Heap,
    /// The type stands in an object of its own: either of the above, or numbers.
    Shared,
    Other,
}

/// Reads one attribute, up to its end.
pub fn read(body: &mut Cursor) -> Option<Attribute> {
    let version = body.byte().filter(|version| (1..=3).contains(version))?;
    let flags = body.byte()?;
    let sizes = [body.number(2)?, body.number(2)?, body.number(2)?];
    body.take(usize::from(version == 3))?;
    let padded = |size: u64| if version == 1 { size.next_multiple_of(8) } else { size };
    let [name, kind, space] = sizes.map(|size| usize::try_from(padded(size)).unwrap_or(usize::MAX));
    let name = body.take(name).filter(|name| !name.is_empty())?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let name = std::str::from_utf8(name.get(..end)?).ok()?.to_owned();
    let kind = body.take(kind)?.to_vec();
    let space = body.take(space)?.to_vec();
    let (kind, size) = if flags & 1 != 0 { (Kind::Shared, 0) } else { datatype(&kind)? };
    let count = elements(&mut body.over(space))?;
    let length = usize::try_from(size.checked_mul(count)?).ok()?;
    let data = if flags & 1 != 0 { body.rest().to_vec() } else { body.take(length)?.to_vec() };
    Some(Attribute { name, kind, count, data })
}

fn datatype(bytes: &[u8]) -> Option<(Kind, u64)> {
    let size = bytes.get(4..8)?.try_into().ok().map(u32::from_le_bytes)?;
    let kind = match bytes.first()? & 0x0f {
        3 | 5 => Kind::Bytes(usize::try_from(size).ok()?),
        9 => Kind::Heap,
        _ => Kind::Other,
    };
    Some((kind, size.into()))
}

fn elements(space: &mut Cursor) -> Option<u64> {
    let version = space.byte()?;
    let rank = space.byte()?;
    space.byte()?;
    match version {
        1 => {
            space.take(5)?;
        }
        2 => {
            // The null space has no value.
            if space.byte()? == 2 {
                return Some(0);
            }
        }
        _ => return None,
    }
    (0..rank).try_fold(1_u64, |product, _| product.checked_mul(space.length()?))
}

/// The values, each in bytes, within a number of bytes altogether.
pub fn values(place: Place<'_>, attribute: &Attribute, bytes_max: u64) -> Vec<Vec<u8>> {
    match attribute.kind {
        Kind::Other => vec![attribute.data.clone()],
        Kind::Bytes(0) => Vec::new(),
        Kind::Bytes(size) => attribute.data.chunks(size).take(4096).map(<[u8]>::to_vec).collect(),
        Kind::Heap | Kind::Shared => {
            let mut found = Vec::new();
            if matches!(attribute.kind, Kind::Shared) {
                found.push(attribute.data.clone());
            }
            let mut left = bytes_max;
            let mut cursor = place.cursor(0, 0).over(attribute.data.clone());
            for _ in 0..attribute.count.min(VALUES_MAX) {
                let Some(length) = cursor.number(4) else { break };
                let (Some(heap), Some(index)) = (cursor.address(), cursor.number(4)) else { break };
                if length == 0 {
                    continue;
                }
                let Some(bytes) = heaps::global(place, heap, index) else { continue };
                if bytes.len() as u64 > left {
                    break;
                }
                left = left.saturating_sub(bytes.len() as u64);
                found.push(bytes);
            }
            found
        }
    }
}
