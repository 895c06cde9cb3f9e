//! Parquet: the footer, in which the schema, the metadata and the places of all columns stand. What the columns
//! hold is in `parquet/pages.rs`.

mod pages;

use super::arrow::schema::Schema;
use super::columns::Columns;
use super::thrift::{self, Value};
use super::{Head, keras, zip};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Longest key that is kept.
const KEY_MAX: usize = 4096;
/// Fields of the footer by the way to them: pairs of the file, and of a column.
const PAIRS: [&[i16]; 2] = [&[5], &[4, 1, 3, 8]];
const COLUMN: &[i16] = &[4, 1];
/// Columns of all groups of rows whose pages are read.
const COLUMNS_MAX: u32 = 100_000;

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.starts_with(b"PAR1") || head.bytes.starts_with(b"PARE")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let mut columns = Columns::new(input);
    match footer(inspection, input, &mut columns) {
        Ok(()) => {}
        Err("encrypted") => {
            inspection.issue("not_inspected", "the footer is encrypted: only who has the key can look into it");
        }
        Err(why) => {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("malformed", why);
        }
    }
    columns.finish(inspection);
    "parquet"
}

/// What one column's chunk says about its place.
#[derive(Default)]
pub struct Chunk {
    /// It lies in another file, whose length is not known here.
    elsewhere: bool,
    first: Option<i64>,
    size: i64,
    /// Numbers of its type and of its compression.
    kind: Option<i64>,
    codec: i64,
    name: String,
    /// Offset and length of the index, and of the filter.
    tables: [(i64, i64); 3],
}

fn footer<'a>(
    inspection: &mut Inspection<'_>,
    input: Input<'a>,
    columns: &mut Columns<'a>,
) -> Result<(), &'static str> {
    let end = input.len().checked_sub(8).filter(|end| *end >= 4).ok_or("the file is cut off")?;
    let tail = input.read(end, 8);
    let (length, magic) = tail.split_at_checked(4).ok_or("the file is cut off")?;
    if magic == b"PARE" {
        return Err("encrypted");
    }
    let length = <[u8; 4]>::try_from(length).map_or(0, u32::from_le_bytes);
    let start = end
        .checked_sub(u64::from(length))
        .filter(|start| magic == b"PAR1" && *start >= 4)
        .ok_or("the footer is cut off, or its length is a lie")?;
    let bytes = input.window(start, u64::from(length)).whole().ok_or("the footer is larger than one item may be")?;
    let mut schema = Schema::default();
    let mut key = String::new();
    let mut value: Vec<u8> = Vec::new();
    let mut chunk = Chunk::default();
    let (mut astray, mut columns_read) = (false, 0_u32);
    let walked = thrift::walk(&bytes, &mut |path, found| match found {
        Value::Bytes(bytes) => match path {
            [way @ .., 1] if PAIRS.contains(&way) => {
                key = String::from_utf8_lossy(bytes.get(..KEY_MAX).unwrap_or(bytes)).into_owned();
            }
            [4, 1, 3, 3] => {
                if !chunk.name.is_empty() {
                    chunk.name.push('.');
                }
                chunk.name.push_str(&String::from_utf8_lossy(bytes.get(..KEY_MAX).unwrap_or(bytes)));
            }
            [way @ .., 2] if PAIRS.contains(&way) => bytes.clone_into(&mut value),
            // Columns may lie in files beside this one.
            [4, 1, 1] => {
                let place = String::from_utf8_lossy(bytes);
                chunk.elsewhere = true;
                zip::escapes(inspection, &place);
                if keras::is_outside(&place) {
                    inspection.list("artifact.container.escapes", &place);
                }
            }
            _ => {}
        },
        Value::Number(number) => match path {
            [4, 1, 3, 9 | 11] => chunk.first = Some(chunk.first.map_or(number, |first| first.min(number))),
            [4, 1, 3, 1] => chunk.kind = Some(number),
            [4, 1, 3, 4] => chunk.codec = number,
            [4, 1, 3, 7] => chunk.size = number,
            [4, 1, 4] => chunk.tables[0].0 = number,
            [4, 1, 5] => chunk.tables[0].1 = number,
            [4, 1, 6] => chunk.tables[1].0 = number,
            [4, 1, 7] => chunk.tables[1].1 = number,
            [4, 1, 3, 14] => chunk.tables[2].0 = number,
            [4, 1, 3, 15] => chunk.tables[2].1 = number,
            _ => {}
        },
        Value::End if PAIRS.contains(&path) => {
            schema.bytes(inspection, "", &key, &value, "", input);
            key.clear();
            value.clear();
        }
        Value::End if path == COLUMN => {
            let chunk = std::mem::take(&mut chunk);
            let fits = chunk.lies_before(start);
            astray |= !fits;
            if fits && !chunk.elsewhere && columns_read < COLUMNS_MAX {
                columns_read = columns_read.saturating_add(1);
                pages::read(inspection, input.window(0, start), &chunk, columns);
            }
        }
        Value::Flag(_) | Value::End => {}
    });
    schema.finish(inspection);
    walked.map_err(|_| "the footer breaks off, or a length in it is a lie")?;
    if astray {
        return Err("a column lies beyond the end");
    }
    Ok(())
}

impl Chunk {
    fn lies_before(&self, end: u64) -> bool {
        let fits = |start: i64, length: i64| {
            let (start, length) = (u64::try_from(start), u64::try_from(length));
            let (Ok(start), Ok(length)) = (start, length) else { return false };
            start.checked_add(length).is_some_and(|stop| stop <= end)
        };
        self.elsewhere
            || fits(self.first.unwrap_or(0), self.size)
                && self.tables.iter().all(|(start, length)| fits(*start, *length))
    }
}
