//! One batch: lengths and buffers in the order of the schema, walked field by field.

use std::collections::HashMap;

use super::{DEPTH_MAX, Field};
use crate::artifact::format::flatbuffer::Table;
use crate::artifact::inflate::{self, Codec};
use crate::artifact::input::Input;
use crate::artifact::outline::rows::column::{Values, number, shown};

/// Values of one field.
const VALUES_MAX: u64 = 16 << 20;

pub struct Batch<'a> {
    body: Input<'a>,
    lengths: std::vec::IntoIter<u64>,
    buffers: std::vec::IntoIter<(u64, u64)>,
    /// How buffers are packed.
    codec: Option<u64>,
}

impl<'a> Batch<'a> {
    pub fn new(records: Table<'_>, body: Input<'a>) -> Option<Self> {
        let pairs = |index: u64| -> Option<Vec<(u64, u64)>> {
            let Some(vector) = records.vector(index, 16).ok()? else { return Some(Vec::new()) };
            let bytes = vector.window(16).whole()?;
            Some(bytes.chunks_exact(16).map(|pair| (number(pair), pair.get(8..).map_or(0, number))).collect())
        };
        let lengths: Vec<u64> = pairs(1)?.into_iter().map(|(length, _)| length).collect();
        let codec = records.child(3).ok()?.map(|packed| packed.number(0, 1));
        Some(Self { body, lengths: lengths.into_iter(), buffers: pairs(2)?.into_iter(), codec })
    }

    fn buffer(&mut self) -> Option<Vec<u8>> {
        let (offset, length) = self.buffers.next()?;
        offset.checked_add(length).filter(|end| *end <= self.body.len())?;
        let input = self.body.window(offset, length);
        if length == 0 {
            return Some(Vec::new());
        }
        let codec = match self.codec {
            None => return input.whole(),
            Some(_) if input.read(0, 8) == [0xff; 8] => return input.from(8).whole(),
            Some(0) => Codec::Lz4,
            Some(1) => Codec::Zstd,
            Some(_) => return None,
        };
        let unpacked = inflate::unpack(input.from(8), codec);
        unpacked.fault.is_none().then(|| unpacked.input(input.budget).whole()).flatten()
    }

    /// The values of one field; `None` when they are broken, or of a type that is not read.
    pub fn column(&mut self, field: &Field, dictionaries: &HashMap<u64, Values>, depth: u32) -> Option<Values> {
        if depth > DEPTH_MAX {
            return None;
        }
        let count = usize::try_from(self.lengths.next().filter(|count| *count <= VALUES_MAX)?).ok()?;
        let mut out = Values::default();
        if field.kind == 1 {
            (0..count).for_each(|_| out.push(b""));
            return Some(out);
        }
        let validity = self.buffer()?;
        let here =
            |at: usize| validity.is_empty() || validity.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        if let Some((id, width)) = field.dictionary {
            let indices = self.buffer()?;
            let known = dictionaries.get(&id)?;
            for at in 0..count {
                let start = at.checked_mul(width)?;
                let index = number(indices.get(start..start.checked_add(width)?)?);
                let value = if here(at) { known.get(usize::try_from(index).ok()?)? } else { &[] };
                out.push(value);
            }
            return (!out.cut).then_some(out);
        }
        match field.kind {
            // Numbers, dates and times; texts and bytes of a fixed width.
            2 | 3 | 7..=10 | 15 | 18 => {
                let bytes = self.buffer()?;
                for at in 0..count {
                    let start = at.checked_mul(field.width)?;
                    let value = bytes.get(start..start.checked_add(field.width)?)?;
                    match (here(at), field.kind) {
                        (false, _) => out.push(b""),
                        (true, 7 | 15) => out.push(value),
                        (true, 3) if field.width == 2 => out.push(number(value).to_string().as_bytes()),
                        (true, kind) => out.push(shown(value, kind == 3, field.signed).as_bytes()),
                    }
                }
            }
            6 => {
                let bytes = self.buffer()?;
                for at in 0..count {
                    let set = bytes.get(at / 8)? >> (at % 8) & 1 == 1;
                    out.push(if !here(at) {
                        b""
                    } else if set {
                        b"true"
                    } else {
                        b"false"
                    });
                }
            }
            4 | 5 | 19 | 20 => {
                let wide = matches!(field.kind, 19 | 20);
                let (offsets, bytes) = (self.buffer()?, self.buffer()?);
                for at in 0..count {
                    let (from, to) = bounds(&offsets, at, wide)?;
                    let value = bytes.get(from..to)?;
                    out.push(if here(at) { value } else { b"" });
                }
            }
            12 | 17 | 21 => {
                let offsets = self.buffer()?;
                let items = self.column(field.children.first()?, dictionaries, depth.saturating_add(1))?;
                for at in 0..count {
                    let (from, to) = bounds(&offsets, at, field.kind == 21)?;
                    out.push(b"");
                    for item in (from..to).take(items.len().saturating_add(1)) {
                        out.extend(items.get(item)?);
                        out.extend(b"\n");
                    }
                    if out.cut {
                        return None;
                    }
                }
            }
            16 => {
                let items = self.column(field.children.first()?, dictionaries, depth.saturating_add(1))?;
                for at in 0..count {
                    out.push(b"");
                    let from = at.checked_mul(field.width)?;
                    for item in (from..from.checked_add(field.width)?).take(items.len().saturating_add(1)) {
                        out.extend(items.get(item)?);
                        out.extend(b"\n");
                    }
                    if out.cut {
                        return None;
                    }
                }
            }
            13 => {
                let mut parts = Vec::new();
                for child in &field.children {
                    parts.push((child.name.as_bytes(), self.column(child, dictionaries, depth.saturating_add(1))?));
                }
                for at in 0..count {
                    out.push(b"");
                    for (name, values) in &parts {
                        out.extend(name);
                        out.extend(b": ");
                        out.extend(values.get(at).unwrap_or_default());
                        out.extend(b"\n");
                    }
                    if out.cut {
                        return None;
                    }
                }
            }
            _ => return None,
        }
        (!out.cut).then_some(out)
    }
}

/// Where a value begins and ends.
fn bounds(offsets: &[u8], at: usize, wide: bool) -> Option<(usize, usize)> {
    // Nothing has no offsets.
    let width: usize = if wide { 8 } else { 4 };
    let start = at.checked_mul(width)?;
    let middle = start.checked_add(width)?;
    let from = usize::try_from(number(offsets.get(start..middle)?)).ok()?;
    let to = usize::try_from(number(offsets.get(middle..middle.checked_add(width)?)?)).ok()?;
    (from <= to).then_some((from, to))
}
