//! The headers of an archive, from the directory and from a sweep over the file itself
//! (APPNOTE.TXT 4.3).

use std::collections::HashMap;

use super::notes::{Kind, Note};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const DIRECTORY: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
/// Bytes between members that are searched for others, which the directory does not name.
const GAPS_MAX: u64 = 64 << 20;
const CHUNK: usize = 1 << 20;

/// Who names an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Directory,
    /// Only a local header: no reader that goes by the directory sees it.
    Local,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one member")]
pub struct Entry {
    pub name: String,
    pub source: Source,
    /// Offset of the local header, and of the data.
    pub header: u64,
    pub data: u64,
    pub packed: u64,
    pub size: u64,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub stored: bool,
    pub name_differs: bool,
    pub size_differs: bool,
    /// A symbolic link by its mode; its content is the target.
    pub link: bool,
}

impl Entry {
    pub fn is_directory(&self) -> bool {
        self.name.ends_with('/') && self.packed == 0
    }
}

#[derive(Debug, Default)]
pub struct Archive {
    pub entries: Vec<Entry>,
    /// Ends of directories found.
    pub directories: usize,
    /// Bytes before the first header.
    pub prefix: bool,
    /// Bytes after the last end of a directory.
    pub trailing: bool,
    /// Comments and extra fields.
    pub notes: Vec<Note>,
}

/// Header fields, little-endian.
pub struct Raw<'b>(pub &'b [u8]);

impl Raw<'_> {
    pub fn u16(&self, at: usize) -> u16 {
        self.0.get(at..at.saturating_add(2)).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
    }

    pub fn u32(&self, at: usize) -> u32 {
        self.0.get(at..at.saturating_add(4)).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    pub fn u64(&self, at: usize) -> u64 {
        self.0.get(at..at.saturating_add(8)).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    }
}

/// Reads every directory and every local header.
pub fn read(inspection: &mut Inspection<'_>, input: Input<'_>) -> Archive {
    let mut archive = Archive::default();
    let ends = ends(input);
    let mut last = 0;
    // From the last to the first: what lies in a member is that member's own archive.
    for end in ends.iter().rev() {
        let inside = |entry: &Entry| (entry.data..entry.data.saturating_add(entry.packed)).contains(end);
        if archive.entries.iter().any(inside) {
            continue;
        }
        archive.directories = archive.directories.saturating_add(1);
        let record = input.read(*end, 22);
        let raw = Raw(&record);
        last = last.max(end.saturating_add(22).saturating_add(raw.u16(20).into()));
        archive.note(Kind::Comment, end.saturating_add(22), raw.u16(20));
        directory(inspection, input, *end, &raw, &mut archive);
    }
    archive.trailing = archive.directories > 0 && last < input.len();
    archive.prefix = !input.read(0, 4).starts_with(b"PK");
    sweep(inspection, input, &mut archive);
    archive
}

/// Ends of directories that are plausible, in order; searched from the last 1 MiB and, in files
/// that are small enough, from everywhere.
fn ends(input: Input<'_>) -> Vec<u64> {
    let mut found = Vec::new();
    let mut position =
        if input.len() > input.budget.limits.sweep_bytes_max { input.len().saturating_sub(CHUNK as u64) } else { 0 };
    while position < input.len() && found.len() < 16 {
        let chunk = input.read(position, CHUNK);
        if chunk.len() < 22 {
            break;
        }
        for at in memchr::memmem::find_iter(&chunk, END) {
            let place = position.saturating_add(at as u64);
            let record = input.read(place, 22);
            let raw = Raw(&record);
            let size = u64::from(raw.u32(12));
            let whole = record.len() == 22 && (size <= place || size == u64::from(u32::MAX));
            if whole && raw.u16(8) == raw.u16(10) && !found.contains(&place) {
                found.push(place);
            }
        }
        position = position.saturating_add(chunk.len().saturating_sub(21).max(1) as u64);
    }
    found
}

fn directory(inspection: &mut Inspection<'_>, input: Input<'_>, end: u64, raw: &Raw<'_>, archive: &mut Archive) {
    let (mut size, mut offset) = (u64::from(raw.u32(12)), u64::from(raw.u32(16)));
    let mut directory_end = end;
    let locator = input.read(end.saturating_sub(20), 20);
    if locator.starts_with(b"PK\x06\x07") {
        let at = Raw(&locator).u64(8);
        let record = input.read(at, 56);
        if record.starts_with(b"PK\x06\x06") {
            (size, offset) = (Raw(&record).u64(40), Raw(&record).u64(48));
            directory_end = at;
        }
    }
    // Data in front of the archive moves every offset by as much.
    let start = directory_end.saturating_sub(size);
    let shift = start.saturating_sub(offset);
    let mut position = start;
    while position < directory_end {
        let header = input.read(position, 46);
        if !header.starts_with(DIRECTORY) || header.len() < 46 {
            inspection.issue("malformed", "the archive's directory is broken");
            return;
        }
        let raw = Raw(&header);
        let (name, extra, comment) = (raw.u16(28), raw.u16(30), raw.u16(32));
        let name_bytes = input.read(position.saturating_add(46), name.into());
        let extra_bytes = input.read(position.saturating_add(46).saturating_add(name.into()), extra.into());
        entry(input, &raw, &name_bytes, &extra_bytes, shift, archive);
        let behind = position.saturating_add(46).saturating_add(name.into());
        archive.note(Kind::Extra, behind, extra);
        archive.note(Kind::Comment, behind.saturating_add(extra.into()), comment);
        let length = 46_u64.saturating_add(name.into()).saturating_add(extra.into()).saturating_add(comment.into());
        position = position.saturating_add(length);
        if archive.entries.len() > input.budget.limits.members_max as usize {
            return;
        }
    }
}

fn entry(input: Input<'_>, raw: &Raw<'_>, name: &[u8], extra: &[u8], shift: u64, archive: &mut Archive) {
    let (mut packed, mut size, mut offset) = (u64::from(raw.u32(20)), u64::from(raw.u32(24)), u64::from(raw.u32(42)));
    let mut wide = zip64(extra).into_iter();
    for value in [&mut size, &mut packed, &mut offset] {
        if *value == u64::from(u32::MAX) {
            *value = wide.next().unwrap_or(*value);
        }
    }
    let header = offset.saturating_add(shift);
    let local = input.read(header, 30);
    let local_raw = Raw(&local);
    let local_name = input.read(header.saturating_add(30), local_raw.u16(26).into());
    let present = local.starts_with(LOCAL);
    let data =
        header.saturating_add(30).saturating_add(local_raw.u16(26).into()).saturating_add(local_raw.u16(28).into());
    let streamed = local_raw.u16(6) & 8 != 0;
    let local_packed = u64::from(local_raw.u32(18));
    if present {
        let behind = header.saturating_add(30).saturating_add(local_raw.u16(26).into());
        archive.note(Kind::Extra, behind, local_raw.u16(28));
    }
    let differs = present && !streamed && local_packed != packed && local_packed != u64::from(u32::MAX);
    archive.entries.push(Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        source: Source::Directory,
        header,
        data,
        // The larger of two sizes shows more of what some reader would take.
        packed: if differs { packed.max(local_packed) } else { packed },
        size,
        method: raw.u16(10),
        flags: raw.u16(8) | local_raw.u16(6),
        crc: raw.u32(16),
        stored: raw.u16(10) == 0,
        name_differs: present && local_name != name,
        size_differs: differs || !present,
        // The upper half of the external attributes is the mode of Unix.
        link: (raw.u32(38) >> 16) & 0o170_000 == 0o120_000,
    });
    if present
        && local_raw.u16(8) != raw.u16(10)
        && let Some(last) = archive.entries.last_mut()
    {
        last.size_differs = true;
    }
}

/// Values of the ZIP64 extra field.
fn zip64(extra: &[u8]) -> Vec<u64> {
    let mut rest = extra;
    while let Some((head, tail)) = rest.split_at_checked(4) {
        let (id, size) = (Raw(head).u16(0), usize::from(Raw(head).u16(2)));
        let value = tail.get(..size).unwrap_or(tail);
        if id == 1 {
            return value.chunks_exact(8).map(|chunk| Raw(chunk).u64(0)).collect();
        }
        rest = tail.get(size..).unwrap_or_default();
    }
    Vec::new()
}

/// Local headers that no directory names. Weights are stepped over where their place is known.
fn sweep(inspection: &mut Inspection<'_>, input: Input<'_>, archive: &mut Archive) {
    let known: HashMap<u64, u64> =
        archive.entries.iter().map(|entry| (entry.header, entry.data.saturating_add(entry.packed))).collect();
    let mut position = 0;
    let mut swept = 0_u64;
    while position < input.len() {
        if let Some(end) = known.get(&position).filter(|end| **end > position) {
            position = *end;
            continue;
        }
        let chunk = input.read(position, CHUNK.min(if swept == 0 { 64 << 10 } else { CHUNK }));
        if chunk.len() < 30 {
            return;
        }
        swept = swept.saturating_add(chunk.len() as u64);
        if swept > GAPS_MAX {
            inspection.issue(
                "budget_exceeded",
                "the archive was not searched to its end for members that its directory hides",
            );
            return;
        }
        let Some(at) = memchr::memmem::find(&chunk, LOCAL) else {
            position = position.saturating_add((chunk.len().saturating_sub(29)) as u64);
            continue;
        };
        let header = position.saturating_add(at as u64);
        if known.contains_key(&header) {
            position = header;
            continue;
        }
        position = hidden(input, header, archive).unwrap_or(header.saturating_add(4));
        if archive.entries.len() > input.budget.limits.members_max as usize {
            return;
        }
    }
}

/// A member that only its local header names; gives the position behind it.
fn hidden(input: Input<'_>, header: u64, archive: &mut Archive) -> Option<u64> {
    let local = input.read(header, 30);
    let raw = Raw(&local);
    let (name, extra) = (raw.u16(26), raw.u16(28));
    let plausible = local.len() == 30
        && name > 0
        && name < 4096
        && raw.u16(4) < 100
        && matches!(raw.u16(8), 0 | 8 | 9 | 12 | 14 | 93 | 95);
    if !plausible {
        return None;
    }
    let name_bytes = input.read(header.saturating_add(30), name.into());
    let data = header.saturating_add(30).saturating_add(name.into()).saturating_add(extra.into());
    let mut packed = u64::from(raw.u32(18));
    if packed == 0 || packed == u64::from(u32::MAX) {
        packed = input.len().saturating_sub(data);
    }
    archive.entries.push(Entry {
        name: String::from_utf8_lossy(&name_bytes).into_owned(),
        source: Source::Local,
        header,
        data,
        packed,
        size: u64::from(u32::MAX),
        method: raw.u16(8),
        flags: raw.u16(6),
        crc: raw.u32(14),
        stored: raw.u16(8) == 0,
        name_differs: false,
        size_differs: false,
        link: false,
    });
    let known = raw.u16(6) & 8 == 0 && raw.u32(18) != 0;
    known.then(|| data.saturating_add(packed))
}
