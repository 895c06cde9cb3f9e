//! Rows of Arrow's files and streams (Schema.fbs, Message.fbs): one batch after another, texts, numbers, lists of them,
//! structures and dictionaries. A type that is not read ends the reading, and it is said.

mod batch;

use std::collections::HashMap;

use super::column::{TOGETHER_MAX, Values, rows};
use super::{COLUMNS_MAX, Column, Look};
use crate::artifact::Memory;
use crate::artifact::format::flatbuffer::Table;
use crate::artifact::input::Input;
use batch::Batch;

/// Messages of one file, fields in fields, and rows of one batch.
const MESSAGES_MAX: u64 = 100_000;
const DEPTH_MAX: u32 = 16;
const ROWS_MAX: u64 = 16 << 20;
/// Kinds of messages.
const SCHEMA: u64 = 1;
const DICTIONARY: u64 = 2;
const RECORDS: u64 = 3;

/// A column, or a part of one, as the schema describes it.
#[derive(Debug, Clone, Default)]
pub struct Field {
    pub name: String,
    /// Number of the type.
    pub kind: u64,
    /// Bytes of a number or of a fixed value; items of a fixed list.
    pub width: usize,
    pub signed: bool,
    /// Which dictionary its values stand in, and the bytes of an index into it.
    pub dictionary: Option<(u64, usize)>,
    pub children: Vec<Field>,
}

pub fn each(input: Input<'_>, look: Look<'_>) -> bool {
    let mut position = if input.read(0, 6) == b"ARROW1" { 8 } else { 0 };
    let mut fields: Vec<Field> = Vec::new();
    let mut dictionaries: HashMap<u64, Values> = HashMap::new();
    let mut room = 0_usize;
    for _ in 0..MESSAGES_MAX {
        let Some((header, body)) = message(input, position) else {
            // A stream ends with a length of zero or with its bytes, a file with its footer.
            return ends(input, position);
        };
        let memory = Memory(header);
        let Some(table) = Table::root(Input::new(&memory, input.budget)) else { return false };
        let Some(end) = body.checked_add(table.number(3, 8)).filter(|end| *end <= input.len()) else { return false };
        let data = input.window(body, table.number(3, 8));
        position = end;
        let Ok(Some(inner)) = table.child(2) else { return false };
        match table.number(1, 1) {
            SCHEMA if fields.is_empty() => match schema(inner) {
                Ok(found) => fields = found,
                Err(()) => return false,
            },
            DICTIONARY => {
                let id = inner.number(0, 8);
                let Ok(Some(records)) = inner.child(1) else { return false };
                let Some(field) = of_dictionary(&fields, id) else { return false };
                let plain = Field { dictionary: None, ..field.clone() };
                let Some(values) =
                    Batch::new(records, data).and_then(|mut batch| batch.column(&plain, &dictionaries, 0))
                else {
                    return false;
                };
                room = room.saturating_add(values.room());
                if room > TOGETHER_MAX {
                    return false;
                }
                dictionaries.insert(id, values);
            }
            RECORDS => {
                let count = inner.number(0, 8);
                let Some(mut batch) = Batch::new(inner, data).filter(|_| count <= ROWS_MAX) else { return false };
                let mut values = Vec::new();
                let mut held = room;
                for field in fields.iter().take(COLUMNS_MAX) {
                    let Some(column) = batch.column(field, &dictionaries, 0) else { return false };
                    held = held.saturating_add(column.room());
                    if held > TOGETHER_MAX {
                        return false;
                    }
                    values.push(column);
                }
                let columns: Vec<Column> = fields
                    .iter()
                    .take(COLUMNS_MAX)
                    .map(|field| Column { name: field.name.clone(), kind: kind(field) })
                    .collect();
                let longest = values.iter().map(Values::len).max().unwrap_or(0);
                if !rows(&columns, &values, usize::try_from(count).unwrap_or(0).min(longest), look) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn ends(input: Input<'_>, position: u64) -> bool {
    let rest = input.read(position, 8);
    rest.is_empty() || matches!(rest.as_slice(), [0, 0, 0, 0, ..] | [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])
}

/// The flat buffer of a message, and where its body begins.
fn message(input: Input<'_>, at: u64) -> Option<(Vec<u8>, u64)> {
    let head = input.read(at, 8);
    let number =
        |from: usize| head.get(from..from.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes).map(u64::from);
    let (length, start) = match number(0)? {
        0xffff_ffff => (number(4)?, at.checked_add(8)?),
        length => (length, at.checked_add(4)?),
    };
    let end = start.checked_add(length).filter(|end| length > 0 && *end <= input.len())?;
    Some((input.window(start, length).whole()?, end))
}

fn schema(table: Table<'_>) -> Result<Vec<Field>, ()> {
    table.tables(1, COLUMNS_MAX as u64 * 4)?.into_iter().map(|field| read(field, 0)).collect()
}

fn read(table: Table<'_>, depth: u32) -> Result<Field, ()> {
    if depth > DEPTH_MAX {
        return Err(());
    }
    let of = table.child(3)?;
    let number = |index: u64, width: usize| of.map_or(0, |of| of.number(index, width));
    let kind = table.number(2, 1);
    let (width, signed) = match kind {
        // Bits of a whole number, and whether it has a sign.
        2 => (usize::try_from(number(0, 4) / 8).unwrap_or(0), number(1, 1) != 0),
        // Half, single, double.
        3 => (2_usize << number(0, 2).min(2), true),
        7 => (usize::try_from(Some(number(2, 4)).filter(|bits| *bits > 0).unwrap_or(128) / 8).unwrap_or(16), true),
        // Days in four bytes, milliseconds in eight; the latter is what is meant when nothing is said.
        8 => (if of.is_some_and(|of| of.number(0, 2) == 0) { 4 } else { 8 }, true),
        9 => (if matches!(number(1, 4), 64) { 8 } else { 4 }, true),
        10 | 18 => (8, true),
        15 | 16 => (usize::try_from(number(0, 4)).unwrap_or(0), false),
        _ => (0, false),
    };
    let dictionary = table.child(4)?.map(|encoding| -> Result<(u64, usize), ()> {
        let bits = encoding.child(1)?.map_or(32, |index| index.number(0, 4));
        Ok((encoding.number(0, 8), usize::try_from(bits / 8).unwrap_or(4).clamp(1, 8)))
    });
    let children = table
        .tables(5, COLUMNS_MAX as u64)?
        .into_iter()
        .map(|child| read(child, depth.saturating_add(1)))
        .collect::<Result<_, ()>>()?;
    Ok(Field { name: table.text(0)?, kind, width, signed, dictionary: dictionary.transpose()?, children })
}

fn of_dictionary(fields: &[Field], id: u64) -> Option<&Field> {
    fields.iter().find_map(|field| match field.dictionary {
        Some((known, _)) if known == id => Some(field),
        _ => of_dictionary(&field.children, id),
    })
}

fn kind(field: &Field) -> String {
    let name = match field.kind {
        2 => "int",
        3 => "float",
        4 | 19 => "bytes",
        5 | 20 => "text",
        6 => "bool",
        12 | 16 | 21 => "list",
        13 => "structure",
        _ => "other",
    };
    if field.width > 0 { format!("{name}{}", field.width.saturating_mul(8)) } else { name.to_owned() }
}
