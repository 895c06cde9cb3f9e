//! Headers of objects: their messages, in both versions, with all continuations.

use std::cell::Cell;

use super::attribute::{self, Attribute};
use super::heaps;
use crate::artifact::format::keras;
use crate::artifact::input::Input;

/// Messages of one object.
const MESSAGES_MAX: usize = 20_000;
/// Bytes of one block of messages.
const BLOCK_MAX: u64 = 16 << 20;
/// Blocks of one object.
const BLOCKS_MAX: usize = 1024;

/// A file from its signature on, and the widths of its numbers.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub input: Input<'a>,
    pub offsets: usize,
    pub lengths: usize,
    /// Places in heaps at which something may still be looked for in vain.
    pub tries: &'a Cell<u32>,
}

impl Place<'_> {
    /// Reads up to `length` bytes from an address.
    pub fn cursor(&self, address: u64, length: u64) -> Cursor {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Cursor { bytes: self.input.read(address, length), at: 0, offsets: self.offsets, lengths: self.lengths }
    }
}

/// Bytes read forward; nothing beyond their end.
pub struct Cursor {
    bytes: Vec<u8>,
    at: usize,
    offsets: usize,
    lengths: usize,
}

impl Cursor {
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    pub fn number(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(width)?;
        Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// An address; one of all ones, which means none, comes as it is.
    pub fn address(&mut self) -> Option<u64> {
        let width = self.offsets;
        let number = self.number(width)?;
        let none = u64::MAX >> (64_u32.saturating_sub(u32::try_from(width).unwrap_or(8).saturating_mul(8)));
        Some(if number == none { u64::MAX } else { number })
    }

    pub fn length(&mut self) -> Option<u64> {
        self.number(self.lengths)
    }

    /// Bytes of the same file.
    pub fn over(&self, bytes: Vec<u8>) -> Cursor {
        Cursor { bytes, at: 0, offsets: self.offsets, lengths: self.lengths }
    }
}

/// What one object says.
#[derive(Default)]
pub struct Object {
    pub attributes: Vec<Attribute>,
    /// Addresses of what lies below.
    pub children: Vec<u64>,
    /// Ways out of the file: `link:file:path`, `storage:file`, `virtual:file`.
    pub outside: Vec<String>,
    /// Where a contiguous dataset lies, and its size.
    pub data: Option<(u64, u64)>,
    pub broken: Vec<&'static str>,
}

pub fn read(place: Place<'_>, address: u64) -> Result<Object, &'static str> {
    let mut object = Object::default();
    let mut head = place.cursor(address, 64);
    let second = head.rest().starts_with(b"OHDR");
    let cut = "the header of an object is cut off";
    let mut blocks = Vec::new();
    let mut ordered = false;
    if second {
        head.take(5).ok_or(cut)?;
        let flags = head.byte().ok_or(cut)?;
        ordered = flags & 4 != 0;
        let times = if flags & 0x20 != 0 { 16_usize } else { 0 };
        let skip = times.saturating_add(if flags & 0x10 != 0 { 4 } else { 0 });
        head.take(skip).ok_or(cut)?;
        let size = head.number(1 << (flags & 3)).ok_or(cut)?;
        let start = 6_u64.saturating_add(skip as u64).saturating_add(1 << (flags & 3));
        blocks.push((address.saturating_add(start), size));
    } else {
        if head.byte() != Some(1) {
            return Err("the header of an object has an unknown version");
        }
        head.take(7).ok_or(cut)?;
        let size = head.number(4).ok_or(cut)?;
        blocks.push((address.saturating_add(16), size));
    }
    let mut messages = 0_usize;
    let mut next = 0;
    while let Some((start, size)) = blocks.get(next).copied() {
        next = next.saturating_add(1);
        if start.checked_add(size).is_none_or(|end| end > place.input.len()) || size > BLOCK_MAX {
            object.broken.push("messages of an object reach beyond the end");
        }
        let mut block = place.cursor(start, size.min(BLOCK_MAX));
        if next > 1 && second {
            // A signature, and a checksum that is part of the size.
            if block.take(4) != Some(b"OCHK") {
                object.broken.push("a continuation of an object is none");
                continue;
            }
        }
        while let Some((kind, flags, body)) = message(&mut block, second, ordered) {
            messages = messages.saturating_add(1);
            if messages > MESSAGES_MAX || blocks.len() > BLOCKS_MAX {
                object.broken.push("an object has more messages than can be");
                return Ok(object);
            }
            let mut body = block.over(body);
            // What is shared lies elsewhere, and is looked at there.
            if flags & 2 != 0 && kind != 0x10 {
                continue;
            }
            if kind == 0x10 {
                if let (Some(start), Some(size)) = (body.address(), body.length()) {
                    blocks.push((start, size));
                }
            } else if tell(place, kind, &mut body, &mut object).is_none() {
                object.broken.push("a message of an object is cut off");
            }
        }
    }
    Ok(object)
}

/// The next message: its type, its flags, its bytes.
fn message(block: &mut Cursor, second: bool, ordered: bool) -> Option<(u64, u8, Vec<u8>)> {
    let kind = block.number(if second { 1 } else { 2 })?;
    let size = block.number(2)?;
    let flags = block.byte()?;
    block.take(match (second, ordered) {
        (true, true) => 2,
        (true, false) => 0,
        (false, _) => 3,
    })?;
    let body = block.take(usize::try_from(size).ok()?)?;
    Some((kind, flags, body.to_vec()))
}

fn tell(place: Place<'_>, kind: u64, body: &mut Cursor, object: &mut Object) -> Option<()> {
    match kind {
        0x02 => {
            let flags = body.number(2)? >> 8;
            body.take(if flags & 1 != 0 { 8 } else { 0 })?;
            let heap = body.address()?;
            heaps::fractal(place, heap, |bytes| {
                let mut cursor = body.over(bytes.to_vec());
                link(&mut cursor, object)?;
                Some(bytes.len().saturating_sub(cursor.rest().len()))
            });
        }
        0x06 => link(body, object)?,
        0x07 => storage(place, body, object)?,
        0x08 => layout(place, body, object)?,
        0x0c => object.attributes.push(attribute::read(body)?),
        0x0f => {
            body.byte()?;
            let table = body.address()?;
            let indices = body.byte()?;
            heaps::shared(place, table, indices, |bytes| {
                let mut cursor = body.over(bytes.to_vec());
                object.attributes.push(attribute::read(&mut cursor)?);
                Some(bytes.len().saturating_sub(cursor.rest().len()))
            });
        }
        0x11 => {
            let tree = body.address()?;
            heaps::symbols(place, tree, object);
        }
        0x15 => {
            let flags = body.number(2)? >> 8;
            body.take(if flags & 1 != 0 { 2 } else { 0 })?;
            let heap = body.address()?;
            heaps::fractal(place, heap, |bytes| {
                let mut cursor = body.over(bytes.to_vec());
                object.attributes.push(attribute::read(&mut cursor)?);
                Some(bytes.len().saturating_sub(cursor.rest().len()))
            });
        }
        _ => {}
    }
    Some(())
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes)).into_owned()
}

/// A link: to an object here, by name, or into another file.
fn link(body: &mut Cursor, object: &mut Object) -> Option<()> {
    let version = body.byte()?;
    let flags = body.byte()?;
    if version != 1 || flags & !0x1f != 0 {
        return None;
    }
    let kind = if flags & 8 != 0 { body.byte()? } else { 0 };
    body.take(if flags & 4 != 0 { 8 } else { 0 })?;
    body.take(usize::from(flags & 0x10 != 0))?;
    let length = usize::try_from(body.number(1 << (flags & 3))?).ok()?;
    let name = body.take(length).filter(|name| !name.is_empty() && !name.contains(&0))?;
    let name = text(name);
    match kind {
        0 => object.children.push(body.address()?),
        1 => {
            let length = usize::try_from(body.number(2)?).ok()?;
            body.take(length)?;
        }
        64 => {
            let length = usize::try_from(body.number(2)?).ok()?;
            let value = body.take(length)?.get(1..)?;
            let file = text(value);
            let path = text(value.get(file.len().saturating_add(1)..).unwrap_or_default());
            object.outside.push(format!("link:{file}:{path}"));
        }
        _ => {
            let length = usize::try_from(body.number(2)?).ok()?;
            body.take(length)?;
            object.outside.push(format!("user_defined:{name}"));
        }
    }
    Some(())
}

/// Raw data in files of its own.
fn storage(place: Place<'_>, body: &mut Cursor, object: &mut Object) -> Option<()> {
    body.take(4)?;
    body.take(2)?;
    let used = body.number(2)?;
    let heap = body.address()?;
    for _ in 0..used.min(4096) {
        let name = body.length()?;
        body.length()?;
        body.length()?;
        let name = heaps::name(place, heap, name).map_or_else(String::new, |name| text(&name));
        object.outside.push(format!("storage:{name}"));
    }
    Some(())
}

/// Where the data of a dataset lies.
fn layout(place: Place<'_>, body: &mut Cursor, object: &mut Object) -> Option<()> {
    let version = body.byte()?;
    let class = body.byte()?;
    match (version, class) {
        (3 | 4, 1) => {
            let (start, size) = (body.address()?, body.length()?);
            if start != u64::MAX {
                object.data = Some((start, size));
            }
        }
        (4, 3) => {
            let (heap, index) = (body.address()?, body.number(4)?);
            let block = heaps::global(place, heap, index)?;
            for file in sources(&block, place.lengths) {
                object.outside.push(format!("virtual:{file}"));
            }
        }
        _ => {}
    }
    Some(())
}

/// Files that a virtual dataset is put together from: those that are not this file itself.
fn sources(block: &[u8], lengths: usize) -> Vec<String> {
    let body = block.get(lengths.saturating_add(1)..).unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    // The selections between the names are binary; a name is what is printable up to a zero.
    for (at, part) in body.split(|byte| *byte == 0).take(100_000).enumerate() {
        let Ok(name) = std::str::from_utf8(part) else { continue };
        let plain = !name.is_empty() && !name.chars().any(char::is_control);
        let first = at == 0 && name != ".";
        let path = at > 1 && name.len() > 3 && (name.contains('.') || keras::is_outside(name));
        if plain && (first || path) && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found.truncate(64);
    found
}
