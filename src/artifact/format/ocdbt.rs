//! OCDBT, the store in which Orbax keeps arrays: its manifest, the nodes of its trees, and the values in its
//! files of data, by their keys.

use super::cursor::{Cursor, Cut, Read};
use super::{Head, checkpoint, probe, zarr};
use crate::artifact::Memory;
use crate::artifact::inflate::{Codec, unpack};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// What begins with which mark.
const MANIFEST: [u8; 4] = [0x0c, 0xdb, 0x3a, 0x2a];
const NODE: [u8; 4] = [0x0c, 0xdb, 0x20, 0xde];
const VERSIONS: [u8; 4] = [0x0c, 0xdb, 0x12, 0x34];
/// Bytes of the header and of the checksum behind the body, at least.
const HEADER: u64 = 14;
const CHECKSUM: u64 = 4;
/// Bytes of a file of data in which nodes are looked for, nodes of one file, entries of one node.
const SEARCH_MAX: u64 = 256 << 20;
const PIECE: usize = 1 << 20;
const NODES_MAX: usize = 4096;
const ENTRIES_MAX: u64 = 100_000;
/// Longest path and longest key.
const PATH_MAX: usize = 65_535;
/// Values that are looked at by their keys.
const VALUES_MAX: u64 = 20_000;

/// A mark, or a packed value at the beginning of what is called as files of data are.
pub fn identify(head: &Head<'_>) -> bool {
    let packed = head.bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    [MANIFEST, NODE, VERSIONS].iter().any(|mark| head.bytes.starts_with(mark)) || packed && is_data(head.name)
}

/// Where nothing else is known: values that are not packed stand in front of every node.
pub fn identify_data(head: &Head<'_>) -> bool {
    is_data(head.name)
}

/// `d/` and a random number.
fn is_data(name: &str) -> bool {
    let mut parts = name.rsplit('/');
    let (file, folder) = (parts.next().unwrap_or_default(), parts.next());
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    file.len() == 32 && file.bytes().all(digit) && folder == Some("d")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let mut store = Store { input, name, values: 0, more: false };
    if input.read(0, 4) == MANIFEST {
        if store.part(inspection, 0).is_none() {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("malformed", "the manifest is cut off, or a length in it is a lie");
        }
        return "ocdbt";
    }
    for at in places(input) {
        // The same four bytes may well stand among numbers.
        if store.part(inspection, at).is_none() && at == 0 {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("malformed", "a node is cut off, or a length in it is a lie");
        }
    }
    if store.more {
        inspection.issue("budget_exceeded", "the store has more entries than are looked at");
    }
    zarr::chunk(inspection, input);
    "ocdbt"
}

/// Where nodes may begin.
fn places(input: Input<'_>) -> Vec<u64> {
    let mut found = Vec::new();
    let mut position = 0_u64;
    while position < input.len().min(SEARCH_MAX) && found.len() < NODES_MAX {
        let bytes = input.read(position, PIECE);
        if bytes.len() < 4 {
            break;
        }
        let marks = memchr::memmem::find_iter(&bytes, &[0x0c, 0xdb]);
        let node =
            |at: &usize| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&NODE) || rest.starts_with(&VERSIONS));
        found.extend(marks.filter(node).map(|at| position.saturating_add(at as u64)));
        // A mark may lie across two pieces.
        position = position.saturating_add(bytes.len().saturating_sub(3).max(1) as u64);
        if position.saturating_add(3) >= input.len() {
            break;
        }
    }
    found.dedup();
    found
}

struct Store<'a, 'n> {
    input: Input<'a>,
    name: &'n str,
    values: u64,
    more: bool,
}

impl Store<'_, '_> {
    /// A manifest or a node at a place; `None` when it is none.
    fn part(&mut self, inspection: &mut Inspection<'_>, at: u64) -> Option<()> {
        let part = self.input.from(at);
        let mark: [u8; 4] = part.read(0, 4).try_into().ok()?;
        let mut header = Cursor::at(part, 4);
        let length = header.number(8).ok().filter(|length| (HEADER + CHECKSUM..=part.len()).contains(length))?;
        let version = header.varint().ok()?;
        let packed = header.varint().ok().filter(|packed| *packed <= 1 && version == 0)?;
        let body = part.window(header.position, length.checked_sub(header.position)?.checked_sub(CHECKSUM)?);
        let look = |store: &mut Self, inspection: &mut Inspection<'_>, body: Input<'_>| {
            let mut cursor = Cursor::new(body);
            let read = match mark {
                MANIFEST => Self::manifest(inspection, &mut cursor),
                NODE => store.node(inspection, &mut cursor),
                _ => Self::versions(inspection, &mut cursor),
            };
            read.ok()
        };
        if packed == 0 {
            return look(self, inspection, body);
        }
        let unpacked = unpack(body, Codec::Zstd);
        look(self, inspection, unpacked.input(body.budget))
    }

    /// The settings of the store, and the files in which its trees are.
    fn manifest(inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Read<()> {
        cursor.skip(16)?;
        let kind = cursor.varint()?;
        for _ in 0..2 {
            cursor.varint()?;
        }
        cursor.skip(1)?;
        if cursor.varint()? == 1 {
            cursor.skip(4)?;
        }
        // With the second kind the versions stand in manifests of their own, which are numbered.
        if kind == 0 || cursor.left() > 0 {
            Self::files(inspection, cursor)?;
        }
        Ok(())
    }

    fn versions(inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Read<()> {
        cursor.skip(2)?;
        Self::files(inspection, cursor).map(drop)
    }

    /// The files to which entries point, as the store would open them.
    fn files(inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Read<Vec<String>> {
        let count = cursor.varint()?;
        let names = texts(cursor, count, 1)?;
        let names: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        for name in &names {
            if name.starts_with('/') || name.contains("://") || checkpoint::leaves(name) {
                inspection.list("artifact.container.escapes", name);
            }
        }
        Ok(names)
    }

    fn node(&mut self, inspection: &mut Inspection<'_>, cursor: &mut Cursor<'_>) -> Read<()> {
        let height = cursor.byte()?;
        let files = Self::files(inspection, cursor)?;
        let count = cursor.varint()?;
        if height > 0 {
            // What is below is a node of its own, wherever it lies.
            return texts(cursor, count, 1).map(drop);
        }
        let keys = texts(cursor, count, 0)?;
        let lengths = numbers(cursor, count)?;
        let kinds = numbers(cursor, count)?;
        let far = kinds.iter().filter(|kind| **kind == 1).count() as u64;
        let (ids, offsets) = (numbers(cursor, far)?, numbers(cursor, far)?);
        let mut places = ids.into_iter().zip(offsets);
        for ((key, length), kind) in keys.iter().zip(lengths).zip(kinds) {
            let key = String::from_utf8_lossy(key).into_owned();
            inspection.list("artifact.members", &key);
            if probe::code(&key) {
                inspection.list("artifact.metadata.suspicious", &key);
            }
            self.values = self.values.saturating_add(1);
            if kind == 0 {
                let value = Memory(bytes(cursor, length)?);
                self.value(inspection, &key, Input::new(&value, self.input.budget));
                continue;
            }
            let (id, offset) = places.next().ok_or(Cut)?;
            let file = usize::try_from(id).ok().and_then(|id| files.get(id)).ok_or(Cut)?;
            // Only what lies in this very file is at hand.
            if !file.is_empty() && self.name.ends_with(file.as_str()) && length > 0 {
                if offset.checked_add(length).is_none_or(|end| end > self.input.len()) {
                    inspection.list("artifact.tensors.anomalies", "out_of_bounds");
                    continue;
                }
                self.value(inspection, &key, self.input.window(offset, length));
            }
        }
        Ok(())
    }

    /// The description of an array, or a piece of one.
    fn value(&mut self, inspection: &mut Inspection<'_>, key: &str, value: Input<'_>) {
        self.more |= self.values > VALUES_MAX;
        if self.more || value.len() == 0 {
            return;
        }
        inspection.member(key, |inspection| zarr::value(inspection, value, key));
    }
}

fn numbers(cursor: &mut Cursor<'_>, count: u64) -> Read<Vec<u64>> {
    if count > cursor.left().min(ENTRIES_MAX) {
        return Err(Cut);
    }
    (0..count).map(|_| cursor.varint()).collect()
}

fn bytes(cursor: &mut Cursor<'_>, length: u64) -> Read<Vec<u8>> {
    if length > cursor.left().min(1 << 20) {
        return Err(Cut);
    }
    let length = usize::try_from(length).map_err(|_| Cut)?;
    let bytes = cursor.peek(length).to_vec();
    cursor.skip(length as u64)?;
    Ok(bytes)
}

/// Texts of which each has what it shares with the one before it. Behind their lengths stand as many numbers
/// for each as `beside` says.
fn texts(cursor: &mut Cursor<'_>, count: u64, beside: u32) -> Read<Vec<Vec<u8>>> {
    let shared = numbers(cursor, count.saturating_sub(1))?;
    let lengths = numbers(cursor, count)?;
    for _ in 0..beside {
        numbers(cursor, count)?;
    }
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut total = 0_usize;
    for (number, length) in lengths.into_iter().enumerate() {
        let before = number.checked_sub(1).and_then(|before| Some((all.get(before)?, *shared.get(before)?)));
        let start = match before {
            Some((text, shared)) => text.get(..usize::try_from(shared).map_err(|_| Cut)?).ok_or(Cut)?.to_vec(),
            None => Vec::new(),
        };
        let text = [start, bytes(cursor, length)?].concat();
        // Short lengths over long texts would unfold.
        total = total.saturating_add(text.len());
        if text.len() > PATH_MAX || total > (16 << 20) {
            return Err(Cut);
        }
        all.push(text);
    }
    Ok(all)
}
