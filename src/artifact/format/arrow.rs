//! Arrow's files and streams, and Feather: what the schema says, and batches that lie about their
//! place.

pub mod schema;

use super::columns::{Columns, Packed, bounds};
use super::flatbuffer::Table;
use super::{Head, probe};
use crate::artifact::Memory;
use crate::artifact::inflate::Codec;
use crate::artifact::input::{Budget, Input};
use crate::artifact::inspection::Inspection;
use schema::Schema;

/// Messages of one file, and buffers whose beginnings are looked at.
const MESSAGES_MAX: u64 = 100_000;
const BUFFERS_MAX: u64 = 4096;
/// Longest list of places of values.
const OFFSETS_MAX: u64 = 4 << 20;
/// Kinds of messages.
const SCHEMA: u64 = 1;
const DICTIONARY: u64 = 2;
const RECORDS: u64 = 3;

pub fn identify(head: &Head<'_>) -> bool {
    let stream = || {
        let claimed = matches!(super::extension(head.name).as_str(), "arrow" | "arrows" | "feather" | "ipc");
        (head.bytes.starts_with(&[0xff; 4]) || claimed)
            && message(head.input, 0).is_some_and(|message| message.is_schema())
    };
    head.bytes.starts_with(b"ARROW1") || head.bytes.starts_with(b"FEA1") || stream()
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let head = input.read(0, 8);
    let mut reader = Reader { schema: Schema::default(), buffers: 0, columns: Columns::new(input) };
    let feather = head.starts_with(b"FEA1");
    let result = if feather {
        Reader::feather(inspection, input)
    } else if head.starts_with(b"ARROW1") {
        reader.file(inspection, input)
    } else {
        reader.messages(inspection, input)
    };
    if result.is_err() {
        inspection.list("artifact.tensors.anomalies", "out_of_bounds");
        inspection.issue("malformed", "an offset or a length reaches beyond the end, or what it points to is none");
    }
    reader.schema.finish(inspection);
    reader.columns.finish(inspection);
    if feather { "feather" } else { "arrow" }
}

/// The schema in one message, as Parquet keeps it in its metadata.
pub fn encapsulated(schema: &mut Schema, inspection: &mut Inspection<'_>, input: Input<'_>) -> Result<(), ()> {
    let message = message(input, 0).ok_or(())?;
    message.look(|table| read_schema(schema, inspection, table)).unwrap_or(Err(()))
}

fn read_schema(schema: &mut Schema, inspection: &mut Inspection<'_>, table: Table<'_>) -> Result<(), ()> {
    match table.child(2)? {
        Some(header) if table.number(1, 1) == SCHEMA => schema.read(inspection, header),
        Some(_) | None => Err(()),
    }
}

/// The flat buffer of a message, held; its body lies behind it.
struct Message<'a> {
    bytes: Memory,
    /// Where the body begins.
    end: u64,
    budget: &'a Budget,
}

impl Message<'_> {
    fn look<R>(&self, look: impl FnOnce(Table<'_>) -> R) -> Option<R> {
        Table::root(Input::new(&self.bytes, self.budget)).map(look)
    }

    /// Without a magic: a schema, in a version that exists.
    fn is_schema(&self) -> bool {
        self.look(|table| table.number(1, 1) == SCHEMA && table.number(0, 2) <= 8) == Some(true)
    }
}

/// The message at a place. Before 0.15 no mark stood before its length.
fn message(input: Input<'_>, at: u64) -> Option<Message<'_>> {
    let head = input.read(at, 8);
    let number = |from: usize| {
        let bytes = head.get(from..from.checked_add(4)?)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
    };
    let (length, start) = match number(0)? {
        0xffff_ffff => (number(4)?, at.checked_add(8)?),
        length => (length, at.checked_add(4)?),
    };
    let end = start.checked_add(length).filter(|end| length > 0 && *end <= input.len())?;
    // Not every file that begins so is one: what is too long costs no budget.
    if length > input.budget.limits.item_bytes_max {
        return None;
    }
    let bytes = input.window(start, length).whole()?;
    Some(Message { bytes: Memory(bytes), end, budget: input.budget })
}

struct Reader<'a> {
    schema: Schema,
    /// Buffers whose beginnings were looked at.
    buffers: u64,
    columns: Columns<'a>,
}

impl Reader<'_> {
    /// A file: the footer has the schema and the places of all batches.
    fn file(&mut self, inspection: &mut Inspection<'_>, input: Input<'_>) -> Result<(), ()> {
        // Readers of streams take the schema that stands first, others that of the footer.
        let first = message(input, 8).ok_or(()).and_then(|message| {
            message.look(|table| read_schema(&mut self.schema, inspection, table)).unwrap_or(Err(()))
        });
        let end = input.len().checked_sub(10).ok_or(())?;
        let tail = input.read(end, 10);
        let (length, magic) = tail.split_at_checked(4).ok_or(())?;
        let length = <[u8; 4]>::try_from(length).map(u32::from_le_bytes).map_err(|_| ())?;
        let start = end.checked_sub(u64::from(length)).filter(|_| magic == b"ARROW1").ok_or(())?;
        let bytes = Memory(input.window(start, u64::from(length)).whole().ok_or(())?);
        let footer = Table::root(Input::new(&bytes, input.budget)).ok_or(())?;
        self.schema.read(inspection, footer.child(1)?.ok_or(())?)?;
        self.schema.pairs(inspection, "", footer, 4)?;
        for list in [2, 3] {
            let Some(blocks) = footer.vector(list, 24)? else { continue };
            if blocks.count > MESSAGES_MAX {
                inspection.issue("budget_exceeded", "the file has more batches than are looked at");
            }
            let table = blocks.window(24).read(0, usize::try_from(blocks.count.min(MESSAGES_MAX)).unwrap_or(0) * 24);
            for block in table.chunks_exact(24) {
                let number = |from: usize, width: usize| {
                    let bytes = block.get(from..from.saturating_add(width)).unwrap_or_default();
                    bytes.iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
                };
                let (offset, head, body) = (number(0, 8), number(8, 4), number(16, 8));
                offset
                    .checked_add(head)
                    .and_then(|end| end.checked_add(body))
                    .filter(|end| *end <= start && offset >= 8)
                    .ok_or(())?;
                self.batch(inspection, input.window(0, start), offset)?;
            }
        }
        first
    }

    /// A stream: one message after another, up to one of no length or the end.
    fn messages(&mut self, inspection: &mut Inspection<'_>, input: Input<'_>) -> Result<(), ()> {
        let mut position = 0_u64;
        for _ in 0..MESSAGES_MAX {
            let mark = input.read(position, 8);
            if mark.is_empty() || matches!(mark.as_slice(), [0, 0, 0, 0, ..] | [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]) {
                return Ok(());
            }
            position = self.batch(inspection, input, position)?;
        }
        inspection.issue("budget_exceeded", "the stream has more messages than are looked at");
        Ok(())
    }

    /// One message with its body; returns where it ends.
    fn batch(&mut self, inspection: &mut Inspection<'_>, input: Input<'_>, at: u64) -> Result<u64, ()> {
        let message = message(input, at).ok_or(())?;
        let start = message.end;
        message
            .look(|table| {
                self.schema.pairs(inspection, "", table, 4)?;
                let length = table.number(3, 8);
                let end = start.checked_add(length).filter(|end| *end <= input.len()).ok_or(())?;
                let body = input.window(start, length);
                match (table.number(1, 1), table.child(2)?) {
                    (SCHEMA, Some(header)) => self.schema.read(inspection, header)?,
                    (DICTIONARY, Some(header)) => {
                        if let Some(records) = header.child(1)? {
                            self.buffers(inspection, records, body, start)?;
                        }
                    }
                    (RECORDS, Some(header)) => self.buffers(inspection, header, body, start)?,
                    _ => {}
                }
                Ok(end)
            })
            .unwrap_or(Err(()))
    }

    /// Every buffer of a batch lies in its body.
    fn buffers(
        &mut self,
        inspection: &mut Inspection<'_>,
        records: Table<'_>,
        body: Input<'_>,
        start: u64,
    ) -> Result<(), ()> {
        let Some(buffers) = records.vector(2, 16)? else { return Ok(()) };
        let codec = records.child(3)?.map(|compression| compression.number(0, 1));
        let rows = records.number(0, 8);
        let table = buffers.window(16).whole().ok_or(())?;
        let mut before = Vec::new();
        for buffer in table.chunks_exact(16) {
            let number = |bytes: Option<&[u8]>| {
                bytes.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes).unwrap_or_default()
            };
            let (offset, length) = (number(buffer.get(..8)), number(buffer.get(8..)));
            offset.checked_add(length).filter(|end| *end <= body.len()).ok_or(())?;
            if length == 0 {
                before.clear();
                continue;
            }
            if self.buffers < BUFFERS_MAX {
                self.buffers = self.buffers.saturating_add(1);
                probe::values(inspection, body.window(offset, length), start.saturating_add(offset));
            }
            if self.schema.has_texts {
                self.column(inspection, body.window(offset, length), codec, rows, &mut before);
            }
        }
        Ok(())
    }

    /// A buffer of a table that has columns of texts: its values, where the buffer before it lists them.
    fn column(
        &mut self,
        inspection: &mut Inspection<'_>,
        buffer: Input<'_>,
        codec: Option<u64>,
        rows: u64,
        before: &mut Vec<u8>,
    ) {
        // What is packed begins with its length, or with a mark that it is not.
        let (data, how) = match codec {
            None => (buffer, Packed::Not),
            Some(_) if buffer.read(0, 8) == [0xff; 8] => (buffer.from(8), Packed::Not),
            Some(0) => (buffer.from(8), Packed::As(Codec::Lz4)),
            Some(1) => (buffer.from(8), Packed::As(Codec::Zstd)),
            Some(_) => {
                inspection.list("artifact.table.unread", "unknown");
                return;
            }
        };
        let mut places = bounds(before, rows, data.len()).filter(|_| how == Packed::Not);
        let bytes = if how == Packed::Not && places.is_none() {
            // Numbers, or the places of the values that come next.
            if data.len() > OFFSETS_MAX {
                before.clear();
                return;
            }
            data.read(0, usize::try_from(data.len()).unwrap_or(0))
        } else {
            self.columns.unpack(inspection, data, how).unwrap_or_default()
        };
        if how != Packed::Not {
            places = bounds(before, rows, bytes.len() as u64);
        }
        for pair in places.unwrap_or_default().windows(2) {
            if let [from, to] = pair {
                self.columns.value(inspection, "column", bytes.get(*from..*to).unwrap_or_default());
            }
        }
        *before = bytes;
    }

    /// Feather of the first version: a flat buffer of columns, whose metadata are texts.
    fn feather(inspection: &mut Inspection<'_>, input: Input<'_>) -> Result<(), ()> {
        let end = input.len().checked_sub(8).ok_or(())?;
        let tail = input.read(end, 8);
        let (length, magic) = tail.split_at_checked(4).ok_or(())?;
        let length = <[u8; 4]>::try_from(length).map(u32::from_le_bytes).map_err(|_| ())?;
        let start = end.checked_sub(u64::from(length)).filter(|_| magic == b"FEA1").ok_or(())?;
        let bytes = Memory(input.window(start, u64::from(length)).whole().ok_or(())?);
        let table = Table::root(Input::new(&bytes, input.budget)).ok_or(())?;
        for column in table.tables(2, MESSAGES_MAX)? {
            if let Some(text) = column.bytes(4)? {
                let key = format!("{}:user_metadata", column.text(0)?);
                probe::value(inspection, &key, &text.read(0, 1 << 20), input);
            }
        }
        if let Some(text) = table.bytes(4)? {
            probe::value(inspection, "metadata", &text.read(0, 1 << 20), input);
        }
        Ok(())
    }
}
