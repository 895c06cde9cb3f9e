//! Changes a file where its parts are: a member of an archive, what is compressed, a header behind its length, a
//! value of a JSON tree, an opcode of a pickle, a field of a message, a text behind its length, a line. Lengths and
//! checksums around what was changed are written anew, so that a reader comes as far as there.

use std::io::{Read as _, Write as _};
use std::ops::Range;

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Value, json};

/// Most bytes that come out of something compressed.
const INFLATED_MAX: u64 = 256 << 10;
const COUNTED_MAX: usize = 4096;

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `count`, which is not zero.
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % count
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// Changes something in `bytes`, at most `depth` levels down; the result may be longer than `max`.
pub fn change(bytes: &[u8], max: usize, chance: &mut Chance, depth: u32) -> Vec<u8> {
    if depth == 0 || chance.one_in(4) {
        return plain(bytes, max);
    }
    let mut inner = |part: &[u8], chance: &mut Chance| change(part, max, chance, depth - 1);
    // The first that knows the bytes; texts behind their lengths are in all kinds of files.
    zip(bytes, chance, &mut inner)
        .or_else(|| tar(bytes, chance, &mut inner))
        .or_else(|| inflated(bytes, chance, &mut inner))
        .or_else(|| headed(bytes, chance, &mut inner))
        .or_else(|| json(bytes, chance))
        .or_else(|| pickle(bytes, chance, &mut inner))
        .or_else(|| message(bytes, chance, &mut inner))
        .or_else(|| lines(bytes, chance))
        .or_else(|| counted(bytes, chance))
        .unwrap_or_else(|| plain(bytes, max))
}

type Inner<'i> = &'i mut dyn FnMut(&[u8], &mut Chance) -> Vec<u8>;

/// As the fuzzer itself changes bytes.
fn plain(bytes: &[u8], max: usize) -> Vec<u8> {
    let mut room = bytes[..bytes.len().min(max)].to_vec();
    let size = room.len();
    room.resize((size * 2 + 64).min(max.max(1)), 0);
    let (most, size) = (room.len(), size.min(room.len()));
    let count = fuzzer_mutate(&mut room, size, most);
    room.truncate(count);
    room
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    let number = bytes.iter().rev().try_fold(0_u64, |sum, byte| Some(sum.checked_shl(8)? | u64::from(*byte)))?;
    usize::try_from(number).ok()
}

fn slice(bytes: &[u8], at: usize, count: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(count)?)
}

/// A list with one of its items changed, left out, doubled, or put where another is.
fn shuffle<T: Clone>(items: &mut Vec<T>, chance: &mut Chance, change: impl FnOnce(&mut T, &mut Chance)) {
    let (at, other) = (chance.below(items.len()), chance.below(items.len()));
    match chance.below(8) {
        0 => drop(items.remove(at)),
        1 => items.insert(other, items[at].clone()),
        2 => items.swap(at, other),
        _ => change(&mut items[at], chance),
    }
}

#[derive(Clone)]
struct Member<'b> {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    size: usize,
    packed: std::borrow::Cow<'b, [u8]>,
}

fn zip(bytes: &[u8], chance: &mut Chance, inner: Inner<'_>) -> Option<Vec<u8>> {
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06")?;
    let mut at = number(bytes, end + 16, 4)?;
    let mut members = Vec::new();
    while slice(bytes, at, 4)? == b"PK\x01\x02" && members.len() < 256 {
        let [flags, method, name, extra, comment] = [8, 10, 28, 30, 32].map(|place| number(bytes, at + place, 2));
        let (crc, packed, size) = (number(bytes, at + 16, 4)?, number(bytes, at + 20, 4)?, number(bytes, at + 24, 4)?);
        let local = number(bytes, at + 42, 4)?;
        let data = local + 30 + number(bytes, local.checked_add(26)?, 2)? + number(bytes, local + 28, 2)?;
        members.push(Member {
            name: slice(bytes, at + 46, name?)?.to_vec(),
            flags: flags? as u16 & !8,
            method: method? as u16,
            crc: crc as u32,
            size,
            packed: slice(bytes, data, packed)?.into(),
        });
        at += 46 + name? + extra? + comment?;
    }
    if members.is_empty() {
        return None;
    }
    shuffle(&mut members, chance, |member, chance| {
        if chance.one_in(12) {
            member.name = inner(&member.name, chance);
            member.name.truncate(4096);
            return;
        }
        let mut content = Vec::new();
        if member.method == 8 {
            let limited = flate2::read::DeflateDecoder::new(&*member.packed).take(INFLATED_MAX);
            // What comes before an error is enough.
            let _ = { limited }.read_to_end(&mut content);
        } else {
            content = member.packed.to_vec();
        }
        let content = inner(&content, chance);
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        // Stored: mutations of what is compressed would mean nothing.
        (member.method, member.crc, member.size) = (0, crc.sum(), content.len());
        member.packed = content.into();
    });
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in &members {
        let local = out.len() as u32;
        let mut common = member.flags.to_le_bytes().to_vec();
        common.extend(member.method.to_le_bytes());
        common.extend([0; 4]);
        common.extend(member.crc.to_le_bytes());
        common.extend((member.packed.len() as u32).to_le_bytes());
        common.extend((member.size as u32).to_le_bytes());
        common.extend((member.name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04\x14\0");
        out.extend_from_slice(&common);
        out.extend_from_slice(&member.name);
        out.extend_from_slice(&member.packed);
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend_from_slice(&common);
        directory.extend([0; 10]);
        directory.extend(local.to_le_bytes());
        directory.extend_from_slice(&member.name);
    }
    let at = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([(members.len() as u16).to_le_bytes(); 2].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    Some(out)
}

fn tar(bytes: &[u8], chance: &mut Chance, inner: Inner<'_>) -> Option<Vec<u8>> {
    if slice(bytes, 257, 5)? != b"ustar" {
        return None;
    }
    let mut members = Vec::new();
    let mut at = 0;
    while let Some(header) = slice(bytes, at, 512) {
        let size = std::str::from_utf8(&header[124..135]).ok().and_then(|text| usize::from_str_radix(text.trim(), 8).ok());
        let Some(data) = size.and_then(|size| slice(bytes, at + 512, size)) else { break };
        members.push((header.to_vec(), data.to_vec()));
        at += 512 + data.len().next_multiple_of(512);
    }
    if members.is_empty() {
        return None;
    }
    shuffle(&mut members, chance, |(header, data), chance| {
        if chance.one_in(8) {
            *header = inner(header, chance);
            header.resize(512, 0);
        } else {
            *data = inner(data, chance);
        }
        header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    });
    let mut out = Vec::new();
    for (header, data) in &members {
        out.extend_from_slice(header);
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    Some(out)
}

/// What gzip and zlib hold.
fn inflated(bytes: &[u8], chance: &mut Chance, inner: Inner<'_>) -> Option<Vec<u8>> {
    let fast = flate2::Compression::fast();
    let mut content = Vec::new();
    match bytes {
        [0x1f, 0x8b, 8, ..] => {
            let _ = flate2::read::GzDecoder::new(bytes).take(INFLATED_MAX).read_to_end(&mut content);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
            encoder.write_all(&inner(&content, chance)).ok()?;
            encoder.finish().ok()
        }
        [0x78, 1 | 0x5e | 0x9c | 0xda, ..] => {
            let _ = flate2::read::ZlibDecoder::new(bytes).take(INFLATED_MAX).read_to_end(&mut content);
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), fast);
            encoder.write_all(&inner(&content, chance)).ok()?;
            encoder.finish().ok()
        }
        _ => None,
    }
}

/// Headers of safetensors and NumPy, which stand behind their length, and what follows them.
fn headed(bytes: &[u8], chance: &mut Chance, inner: Inner<'_>) -> Option<Vec<u8>> {
    let (before, width) = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, ..] => (8, 2),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => (8, 4),
        [_, _, _, _, _, _, _, _, b'{', ..] => (0, 8),
        _ => return None,
    };
    let start = before + width;
    let header = slice(bytes, start, number(bytes, before, width)?)?;
    let rest = &bytes[start + header.len()..];
    let (header, rest) = if chance.one_in(4) { (header.to_vec(), inner(rest, chance)) } else { (inner(header, chance), rest.to_vec()) };
    let length = (header.len() as u64).to_le_bytes();
    Some([&bytes[..before], &length[..width], &header, &rest].concat())
}

fn json(bytes: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut tree: Value = serde_json::from_slice(bytes).ok().filter(|tree: &Value| tree.is_object() || tree.is_array())?;
    let other = node(&mut tree, chance).clone();
    let place = node(&mut tree, chance);
    let before = place.take();
    *place = match (chance.below(10), before) {
        (0, _) => other,
        (1, before) => json!({ "a": before }),
        (2, before) => json!([before, other]),
        (3, _) => [json!(null), json!(-1), json!(u64::MAX), json!(1e300), json!(""), json!([]), json!({})][chance.below(7)].clone(),
        (_, Value::String(text)) => String::from_utf8_lossy(&plain(text.as_bytes(), text.len() * 2 + 64)).into(),
        (_, Value::Object(mut map)) if !map.is_empty() => {
            let key = map.keys().nth(chance.below(map.len()))?.clone();
            let value = map.remove(&key)?;
            if !chance.one_in(3) {
                map.insert(String::from_utf8_lossy(&plain(key.as_bytes(), key.len() * 2 + 64)).into_owned(), value);
            }
            map.into()
        }
        (_, Value::Array(mut list)) if !list.is_empty() => {
            shuffle(&mut list, chance, |item, _| *item = other);
            list.into()
        }
        (_, before) => before,
    };
    serde_json::to_vec(&tree).ok()
}

/// Some value of a tree.
fn node<'t>(tree: &'t mut Value, chance: &mut Chance) -> &'t mut Value {
    let count = match &*tree {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        _ => 0,
    };
    if count == 0 || chance.one_in(5) {
        return tree;
    }
    let at = chance.below(count);
    let next = match tree {
        Value::Object(map) => map.values_mut().nth(at),
        Value::Array(list) => list.get_mut(at),
        _ => None,
    };
    node(next.expect("it was counted"), chance)
}

/// The length of an opcode with its argument, and how many bytes of it are a length.
fn opcode(rest: &[u8]) -> Option<(usize, usize)> {
    let lines = |count: usize| rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(count - 1).map(|(at, _)| at + 1);
    let plain = |length| Some((length, 0));
    let behind = |width| Some((number(rest, 1, width)?.checked_add(1 + width)?, width));
    match rest.first()? {
        b'K' | b'h' | b'q' | 0x80 | 0x82 => plain(2),
        b'M' | 0x83 => plain(3),
        b'J' | b'j' | b'r' | 0x84 => plain(5),
        b'G' | 0x95 => plain(9),
        b'U' | b'C' | 0x8a | 0x8c => behind(1),
        b'T' | b'B' | b'X' | 0x8b => behind(4),
        0x8d | 0x8e | 0x96 => behind(8),
        b'I' | b'L' | b'F' | b'S' | b'V' | b'P' | b'g' | b'p' => plain(lines(1)?),
        b'c' | b'i' => plain(lines(2)?),
        b'0'..=b'2' | b'(' | b')' | b'.' | b']' | b'[' | b'}' | b'{' | b'N' | b'Q' | b'R' | b'a' | b'b' | b'd' | b'e' | b'l' | b'o'
        | b's' | b't' | b'u' | 0x81 | 0x85..=0x94 | 0x97 | 0x98 => plain(1),
        _ => None,
    }
}

/// A stream of opcodes, and what follows it.
fn pickle(bytes: &[u8], chance: &mut Chance, inner: Inner<'_>) -> Option<Vec<u8>> {
    let (mut at, mut opcodes) = (0, Vec::new());
    loop {
        let (length, width) = opcode(bytes.get(at..)?)?;
        opcodes.push((slice(bytes, at, length)?.to_vec(), width));
        at += length;
        if bytes[at - length] == b'.' {
            break;
        }
    }
    let rest = &bytes[at..];
    if opcodes.len() < 3 {
        return None;
    }
    if !rest.is_empty() && chance.one_in(2) {
        return Some([&bytes[..at], &inner(rest, chance)].concat());
    }
    shuffle(&mut opcodes, chance, |(code, width), chance| {
        if *width == 0 || chance.one_in(8) {
            *code = plain(code, code.len() + 8);
            return;
        }
        let data = inner(&code[1 + *width..], chance);
        let length = (data.len() as u64).to_le_bytes();
        *code = [&code[..1], &length[..*width], &data].concat();
    });
    let mut out: Vec<u8> = opcodes.into_iter().flat_map(|(code, _)| code).collect();
    out.extend_from_slice(rest);
    Some(out)
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Fields of a protocol buffer: the tag, where the field is, and where its data is.
fn fields(bytes: &[u8]) -> Option<Vec<(u64, Range<usize>, Range<usize>)>> {
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let start = at;
        let tag = varint(bytes, &mut at)?;
        let mut data = at;
        match tag & 7 {
            0 => drop(varint(bytes, &mut at)?),
            1 => at += 8,
            2 => {
                let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
                data = at;
                at = at.checked_add(length)?;
            }
            5 => at += 4,
            _ => return None,
        }
        if at > bytes.len() || !(1..1 << 16).contains(&(tag >> 3)) {
            return None;
        }
        found.push((tag, start..at, data..at));
    }
    (!found.is_empty()).then_some(found)
}

fn message(bytes: &[u8], chance: &mut Chance, inner: Inner<'_>) -> Option<Vec<u8>> {
    let mut written: Vec<(u64, Vec<u8>, Vec<u8>)> =
        fields(bytes)?.into_iter().map(|(tag, whole, data)| (tag, bytes[whole].to_vec(), bytes[data].to_vec())).collect();
    shuffle(&mut written, chance, |(tag, whole, data), chance| {
        if chance.one_in(10) {
            *tag = ((chance.below(64) as u64 + 1) << 3) | (*tag & 7);
        }
        whole.clear();
        put(*tag, whole);
        match *tag & 7 {
            0 => put([0, 1, 127, 1 << 31, u64::MAX, chance.0][chance.below(6)], whole),
            2 => {
                let data = inner(data, chance);
                put(data.len() as u64, whole);
                whole.extend(data);
            }
            _ => whole.extend(plain(data, data.len())),
        }
    });
    Some(written.into_iter().flat_map(|(_, whole, _)| whole).collect())
}

/// A text of printable characters behind its length of four or eight bytes, as GGUF, FlatBuffers, Torch 7 and others
/// write them.
fn counted(bytes: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let from = chance.below(bytes.len().max(1));
    let (at, width, text) = (from..bytes.len()).chain(0..from).take(4096).find_map(|at| {
        let width = if number(bytes, at, 8).is_some_and(|length| length <= COUNTED_MAX) { 8 } else { 4 };
        let length = number(bytes, at, width).filter(|length| (2..=COUNTED_MAX).contains(length))?;
        let text = slice(bytes, at + width, length)?;
        text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')).then_some((at, width, text))
    })?;
    let changed = plain(text, text.len() * 2 + 16);
    let length = (changed.len() as u64).to_le_bytes();
    Some([&bytes[..at], &length[..width], &changed, &bytes[at + width + text.len()..]].concat())
}

/// Lines of a text.
fn lines(bytes: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
    let mut lines: Vec<Vec<u8>> = text.split_inclusive('\n').map(|line| line.as_bytes().to_vec()).collect();
    if lines.len() < 3 {
        return None;
    }
    shuffle(&mut lines, chance, |line, _| *line = plain(line, line.len() * 2 + 16));
    Some(lines.concat())
}
