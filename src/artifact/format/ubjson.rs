//! Universal Binary JSON, as `XGBoost` writes models: texts by the keys above them, arrays of numbers
//! stepped over, lengths that lie told.

use super::cursor::{Cursor, Cut, Fault, Read, tell};
use super::{Head, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Values of one file, and objects in one another.
const VALUES_MAX: u64 = 8_000_000;
const DEPTH_MAX: usize = 128;
/// Longest text that is looked at, and longest key that is kept.
const TEXT_MAX: usize = 1 << 20;
const KEY_MAX: usize = 256;

pub fn identify(head: &Head<'_>) -> bool {
    // Lengths are bytes that no text has.
    let binary = head.bytes.iter().take(64).any(|byte| *byte < 9);
    binary && head.bytes.starts_with(b"{") && first_key(head.input).is_some()
}

/// The first key of an object; `None` when it is none.
fn first_key(input: Input<'_>) -> Option<String> {
    let mut cursor = Cursor::new(input);
    if cursor.byte().ok()? != b'{' || !matches!(cursor.peek(1).first(), Some(b'i' | b'U' | b'I' | b'l' | b'L')) {
        return None;
    }
    let kind = cursor.byte().ok()?;
    let length = whole(&mut cursor, kind).ok().filter(|length| (1..=256).contains(length))?;
    let key = cursor.text(length, KEY_MAX).ok()?;
    let next = cursor.byte().ok()?;
    let plain = key.bytes().all(|byte| (32..127).contains(&byte));
    (plain && b"{[ZTFiUIlLdDSHC".contains(&next)).then_some(key)
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let mut reader = Reader { cursor: Cursor::new(input), input, left: VALUES_MAX, top: Vec::new() };
    let result = reader.document(inspection);
    let end = reader.cursor.position;
    let fault = |_| if reader.left == 0 { Fault::Count } else { Fault::Cut };
    tell(inspection, input, result.map(|()| end).map_err(fault));
    let has = |key: &str| reader.top.iter().any(|known| known == key);
    if has("learner") || (has("Model") && has("Config")) { "xgboost" } else { "ubjson" }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    input: Input<'a>,
    left: u64,
    /// Keys of the outermost object.
    top: Vec<String>,
}

/// An object or a list that is still open.
struct Open {
    object: bool,
    /// Type of all its values, when it tells one.
    kind: Option<u8>,
    /// Values still to come, when it tells how many.
    count: Option<u64>,
    key: String,
}

impl Reader<'_> {
    fn document(&mut self, inspection: &mut Inspection<'_>) -> Read<()> {
        let mut open: Vec<Open> = Vec::new();
        let mark = self.cursor.byte()?;
        self.value(inspection, mark, "", &mut open)?;
        while let Some(last) = open.last_mut() {
            match last.count.as_mut() {
                Some(0) => {
                    open.pop();
                    continue;
                }
                Some(count) => *count = count.saturating_sub(1),
                None => {
                    let end = if last.object { b'}' } else { b']' };
                    let mut next = self.cursor.peek(1).first().copied();
                    while next == Some(b'N') {
                        self.cursor.skip(1)?;
                        next = self.cursor.peek(1).first().copied();
                    }
                    if next == Some(end) {
                        self.cursor.skip(1)?;
                        open.pop();
                        continue;
                    }
                }
            }
            if last.object {
                let mark = self.cursor.byte()?;
                let length = whole(&mut self.cursor, mark)?;
                last.key = self.cursor.text(length, KEY_MAX)?;
            }
            let (key, kind, depth) = (last.key.clone(), last.kind, open.len());
            if depth == 1 && self.top.len() < 16 {
                self.top.push(key.clone());
            }
            let mark = kind.map_or_else(|| self.cursor.byte(), Ok)?;
            self.value(inspection, mark, &key, &mut open)?;
        }
        Ok(())
    }

    fn value(&mut self, inspection: &mut Inspection<'_>, mark: u8, key: &str, open: &mut Vec<Open>) -> Read<()> {
        self.left = self.left.checked_sub(1).ok_or(Cut)?;
        match mark {
            b'{' | b'[' => self.enter(inspection, mark == b'{', key, open)?,
            b'S' | b'H' => {
                let kind = self.cursor.byte()?;
                let length = whole(&mut self.cursor, kind)?;
                let text = self.cursor.text(length, TEXT_MAX)?;
                if text.len() >= 8 {
                    probe::text(inspection, key, &text, self.input);
                }
            }
            other => self.cursor.skip(width(other).ok_or(Cut)?)?,
        }
        Ok(())
    }

    fn enter(&mut self, inspection: &mut Inspection<'_>, object: bool, key: &str, open: &mut Vec<Open>) -> Read<()> {
        let mut next = Open { object, kind: None, count: None, key: key.to_owned() };
        if self.cursor.peek(1) == b"$" {
            self.cursor.skip(1)?;
            next.kind = Some(self.cursor.byte()?);
            if self.cursor.peek(1) != b"#" {
                return Err(Cut);
            }
        }
        if self.cursor.peek(1) == b"#" {
            self.cursor.skip(1)?;
            let mark = self.cursor.byte()?;
            let count = whole(&mut self.cursor, mark)?;
            if let (Some(width), false) = (next.kind.and_then(width), object) {
                // Numbers, or values of no bytes at all: nothing to walk through.
                let position = self.cursor.position;
                let data = self.cursor.span(count.checked_mul(width).ok_or(Cut)?)?;
                if data.len() > 64 {
                    probe::data(inspection, data, position);
                }
                return Ok(());
            }
            if count > self.cursor.left() {
                return Err(Cut);
            }
            next.count = Some(count);
        }
        if open.len() >= DEPTH_MAX {
            return Err(Cut);
        }
        open.push(next);
        Ok(())
    }
}

/// Bytes of a value without a length of its own.
fn width(mark: u8) -> Option<u64> {
    Some(match mark {
        b'Z' | b'N' | b'T' | b'F' => 0,
        b'i' | b'U' | b'C' | b'B' => 1,
        b'I' => 2,
        b'l' | b'd' => 4,
        b'L' | b'D' => 8,
        _ => return None,
    })
}

/// A whole number that counts something: never below zero.
fn whole(cursor: &mut Cursor<'_>, mark: u8) -> Read<u64> {
    let bytes = match mark {
        b'i' | b'U' => 1,
        b'I' => 2,
        b'l' => 4,
        b'L' => 8,
        _ => return Err(Cut),
    };
    let number = cursor.big(bytes)?;
    let sign = 1_u64.checked_shl(u32::try_from(bytes * 8 - 1).unwrap_or(63)).unwrap_or(0);
    if mark != b'U' && number & sign != 0 { Err(Cut) } else { Ok(number) }
}
