//! `MessagePack`, as Flax and its kin write checkpoints: walked value by value, with tensors stepped
//! over, lengths that lie told, and what hides in bytes looked at.

use super::cursor::{Cursor, Cut, Fault, Read, tell};
use super::{Head, checkpoint, probe};
use crate::artifact::input::{Budget, Input};
use crate::artifact::inspection::Inspection;

/// Values of one file.
const VALUES_MAX: u64 = 8_000_000;
/// Maps and lists in one another.
const DEPTH_MAX: usize = 256;
/// Values that are tried before a file without a name is taken for one.
const TRIAL: u64 = 512;
/// Longest text that is looked at, and longest key that is kept.
const TEXT_MAX: usize = 64 << 10;
const KEY_MAX: usize = 256;
/// Flax's own kinds of bytes: arrays, complex numbers, and numbers of NumPy.
const ARRAYS: [i8; 2] = [1, 3];

pub fn identify(head: &Head<'_>) -> bool {
    let named = matches!(super::extension(head.name).as_str(), "msgpack" | "flax" | "mpk");
    let key = match head.bytes {
        [0x81..=0x8f, key @ ..] | [0xde, _, _, key @ ..] | [0xdf, _, _, _, _, key @ ..] => key,
        [0x90..=0x9f | 0xdc | 0xdd, ..] => return named,
        _ => return false,
    };
    let text = match key {
        [length @ 0xa1..=0xbf, text @ ..] => text.get(..usize::from(length & 0x1f)),
        [0xd9, length, text @ ..] => text.get(..usize::from(*length)),
        _ => None,
    };
    let named_key = text.is_some_and(|text| !text.is_empty() && text.iter().all(|byte| (32..127).contains(byte)));
    named || named_key && makes_sense(head.input)
}

/// Tries the first values, at the cost of no budget but its own.
fn makes_sense(input: Input<'_>) -> bool {
    let budget = Budget::new(&input.budget.limits);
    let mut reader = Reader::new(input.charged_to(&budget), TRIAL);
    matches!(reader.walk(&mut |_, _| {}), Ok(()) | Err(Fault::Count))
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let mut reader = Reader::new(input, VALUES_MAX);
    let mut tensors = (0_u64, 0_u64);
    let mut result = Ok(());
    while result.is_ok() && reader.cursor.left() > 0 && (reader.cursor.position == 0 || reader.continues()) {
        result = reader.walk(&mut |key, value| look(inspection, input, key, value, &mut tensors));
    }
    inspection.set("artifact.tensors.count", tensors.0);
    inspection.set("artifact.tensors.bytes", tensors.1);
    let end = reader.cursor.position;
    if result == Err(Fault::Count) && reader.open.len() >= DEPTH_MAX {
        inspection.list("artifact.container.bomb", "depth");
    }
    tell(inspection, input, result.map(|()| end));
    "msgpack"
}

/// A value that is worth a look.
enum Value<'a> {
    /// The key itself, where it may be more than a name.
    Key,
    Text(String),
    Bytes(Input<'a>, u64),
    Extension(i8, Input<'a>, u64),
}

fn look(inspection: &mut Inspection<'_>, input: Input<'_>, key: &str, value: Value<'_>, tensors: &mut (u64, u64)) {
    match value {
        Value::Text(text) if text.len() >= 8 => {
            // Orbax puts the place of an array here.
            if text.strip_prefix("PLACEHOLDER://").is_some_and(checkpoint::leaves) {
                inspection.list("artifact.container.escapes", &text);
            }
            probe::text(inspection, key, &text, input);
        }
        // How an object says what is called to make it again.
        Value::Key if matches!(key, "__reduce__" | "__reduce_ex__" | "__setstate__") || probe::code(key) => {
            inspection.list("artifact.metadata.suspicious", key);
        }
        Value::Text(_) | Value::Key => {}
        Value::Extension(kind, bytes, position) if ARRAYS.contains(&kind) => {
            if let Ok((size, declared)) = array(inspection, key, bytes, position) {
                *tensors = (tensors.0.saturating_add(1), tensors.1.saturating_add(size));
                if declared.is_some_and(|declared| declared != size) {
                    inspection.list("artifact.tensors.anomalies", "shape_mismatch");
                }
            } else {
                inspection.list("artifact.tensors.anomalies", "out_of_bounds");
                inspection.issue("malformed", "an array is none");
                probe::search(inspection, bytes);
            }
        }
        Value::Bytes(bytes, position) | Value::Extension(_, bytes, position) => {
            probe::data(inspection, bytes, position);
        }
    }
}

/// An array of Flax: shape, type and bytes. Returns the bytes that it has and those that it declares.
fn array(
    inspection: &mut Inspection<'_>,
    key: &str,
    bytes: Input<'_>,
    position: u64,
) -> Result<(u64, Option<u64>), Cut> {
    let mut cursor = Cursor::new(bytes);
    let whole = match cursor.byte()? {
        0x93 => true,
        0xdc => cursor.big(2)? == 3,
        0xdd => cursor.big(4)? == 3,
        _ => false,
    };
    if !whole {
        return Err(Cut);
    }
    let dimensions = match cursor.byte()? {
        short @ 0x90..=0x9f => u64::from(short & 15),
        0xdc => cursor.big(2)?,
        0xdd => cursor.big(4)?,
        _ => return Err(Cut),
    };
    let mut elements = Some(1_u64);
    for _ in 0..dimensions {
        let length = match cursor.byte()? {
            small @ 0..=0x7f => u64::from(small),
            byte @ 0xcc..=0xcf => cursor.big(1 << (byte - 0xcc))?,
            byte @ 0xd0..=0xd3 => cursor.big(1 << (byte - 0xd0))?,
            _ => return Err(Cut),
        };
        elements = elements.and_then(|elements| elements.checked_mul(length));
    }
    let length = match cursor.byte()? {
        short @ 0xa0..=0xbf => u64::from(short & 31),
        0xd9 | 0xc4 => cursor.big(1)?,
        0xda | 0xc5 => cursor.big(2)?,
        _ => return Err(Cut),
    };
    let kind = cursor.text(length, KEY_MAX)?;
    let size = match cursor.byte()? {
        byte @ 0xc4..=0xc6 => cursor.big(1 << (byte - 0xc4))?,
        short @ 0xa0..=0xbf => u64::from(short & 31),
        byte @ 0xd9..=0xdb => cursor.big(1 << (byte - 0xd9))?,
        _ => return Err(Cut),
    };
    let start = cursor.position;
    let data = cursor.span(size)?;
    if matches!(kind.as_str(), "object" | "O" | "|O") {
        inspection.list("artifact.tensors.anomalies", "unknown_type");
        inspection.issue("malformed", &format!("`{key}` is an array of objects, which the format does not have"));
    }
    probe::data(inspection, data, position.saturating_add(start));
    // More than can be counted is more than there is.
    let declared =
        width(&kind).map(|width| elements.and_then(|elements| elements.checked_mul(width)).unwrap_or(u64::MAX));
    Ok((size, declared))
}

/// Bytes of an element, by the name of its type.
fn width(kind: &str) -> Option<u64> {
    Some(match kind {
        "bool" | "int8" | "uint8" => 1,
        "int16" | "uint16" | "float16" | "bfloat16" => 2,
        "int32" | "uint32" | "float32" => 4,
        "int64" | "uint64" | "float64" | "complex64" => 8,
        "complex128" => 16,
        _ => return None,
    })
}

/// Why a walk ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
/// Items of a map or a list that are still to come; of a map, keys and values in turn.
struct Open {
    left: u64,
    map: bool,
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    left: u64,
    open: Vec<Open>,
    key: String,
}

impl<'a> Reader<'a> {
    fn new(input: Input<'a>, values: u64) -> Self {
        Self { cursor: Cursor::new(input), left: values, open: Vec::new(), key: String::new() }
    }

    /// Whether another map or list follows the first.
    fn continues(&mut self) -> bool {
        matches!(self.cursor.peek(1).first(), Some(0x81..=0x9f | 0xdc..=0xdf))
    }

    /// One value with everything in it.
    fn walk(&mut self, look: &mut dyn FnMut(&str, Value<'a>)) -> Result<(), Fault> {
        self.open.clear();
        self.value(false, look)?;
        while let Some(last) = self.open.last_mut() {
            if last.left == 0 {
                self.open.pop();
                continue;
            }
            last.left = last.left.saturating_sub(1);
            let key = last.map && last.left & 1 == 1;
            self.value(key, look)?;
        }
        Ok(())
    }

    fn value(&mut self, key: bool, look: &mut dyn FnMut(&str, Value<'a>)) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Count)?;
        let byte = self.cursor.byte()?;
        match byte {
            0..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => {}
            0x80..=0x8f => self.enter(u64::from(byte & 15), true)?,
            0x90..=0x9f => self.enter(u64::from(byte & 15), false)?,
            0xa0..=0xbf => self.text(u64::from(byte & 31), key, look)?,
            0xc1 => return Err(Fault::Cut),
            0xc4..=0xc6 => {
                let length = self.cursor.big(1 << (byte - 0xc4))?;
                let position = self.cursor.position;
                look(&self.key, Value::Bytes(self.cursor.span(length)?, position));
            }
            0xc7..=0xc9 => {
                let length = self.cursor.big(1 << (byte - 0xc7))?;
                self.extension(length, look)?;
            }
            0xca | 0xce | 0xd2 => self.cursor.skip(4)?,
            0xcb | 0xcf | 0xd3 => self.cursor.skip(8)?,
            0xcc | 0xd0 => self.cursor.skip(1)?,
            0xcd | 0xd1 => self.cursor.skip(2)?,
            0xd4..=0xd8 => self.extension(1 << (byte - 0xd4), look)?,
            0xd9..=0xdb => {
                let length = self.cursor.big(1 << (byte - 0xd9))?;
                self.text(length, key, look)?;
            }
            0xdc | 0xdd => {
                let count = self.cursor.big(if byte == 0xdc { 2 } else { 4 })?;
                self.enter(count, false)?;
            }
            0xde | 0xdf => {
                let count = self.cursor.big(if byte == 0xde { 2 } else { 4 })?;
                self.enter(count, true)?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, count: u64, map: bool) -> Result<(), Fault> {
        let items = if map { count.saturating_mul(2) } else { count };
        if items > self.cursor.left() {
            return Err(Fault::Cut);
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Fault::Count);
        }
        self.open.push(Open { left: items, map });
        Ok(())
    }

    fn text(&mut self, length: u64, key: bool, look: &mut dyn FnMut(&str, Value<'a>)) -> Read<()> {
        let text = self.cursor.text(length, if key { KEY_MAX } else { TEXT_MAX })?;
        if key {
            if text.contains(['(', '_']) {
                look(&text, Value::Key);
            }
            self.key = text;
        } else {
            look(&self.key, Value::Text(text));
        }
        Ok(())
    }

    fn extension(&mut self, length: u64, look: &mut dyn FnMut(&str, Value<'a>)) -> Read<()> {
        let kind = self.cursor.byte()?.cast_signed();
        let position = self.cursor.position;
        look(&self.key, Value::Extension(kind, self.cursor.span(length)?, position));
        Ok(())
    }
}
