//! Rows of Parquet (parquet.thrift). A column packed in a way that is not read (Brotli, LZO) is left empty, and it is said.

mod page;

use super::column::TOGETHER_MAX;
use super::{COLUMNS_MAX, Column, Look, Row};
use crate::artifact::format::thrift::{self, Value};
use crate::artifact::input::Input;
use crate::base::text::shorten;

/// Rows of one group.
const ROWS_MAX: u64 = 16 << 20;
const GROUPS_MAX: usize = 100_000;
/// Rows after which the memory of all columns is added up.
const ROOM_EVERY: u64 = 64;

/// One element of the schema, in the order in which they stand.
#[derive(Debug, Default, Clone)]
struct Element {
    name: String,
    kind: Option<i64>,
    /// 0 required, 1 optional, 2 repeated.
    repetition: i64,
    children: i64,
}

/// A column of values.
#[derive(Debug, Default, Clone)]
pub struct Leaf {
    pub name: String,
    /// Number of its type.
    pub kind: i64,
    /// Highest levels of definition and repetition.
    pub defined: u32,
    pub repeated: u32,
}

/// One column of one group of rows.
#[derive(Debug, Default, Clone)]
pub struct Chunk {
    pub first: Option<i64>,
    pub size: i64,
    pub codec: i64,
    elsewhere: bool,
}

#[derive(Debug, Default)]
struct Group {
    chunks: Vec<Chunk>,
    rows: i64,
}

pub fn each(input: Input<'_>, look: Look<'_>) -> bool {
    let Some((leaves, groups)) = footer(input) else { return false };
    let columns: Vec<Column> = leaves
        .iter()
        .take(COLUMNS_MAX)
        .map(|leaf| Column { name: leaf.name.clone(), kind: kind(leaf.kind).to_owned() })
        .collect();
    let mut whole = leaves.len() <= COLUMNS_MAX;
    let mut row: Vec<Vec<u8>> = vec![Vec::new(); columns.len()];
    for group in groups {
        let Some(count) = u64::try_from(group.rows).ok().filter(|rows| *rows <= ROWS_MAX) else { return false };
        let of = |(leaf, chunk)| page::Pages::new(input, leaf, chunk);
        let mut pages: Vec<_> = leaves.iter().take(COLUMNS_MAX).zip(&group.chunks).map(of).collect();
        whole &= group.chunks.iter().all(|chunk| !chunk.elsewhere);
        for at in 0..count {
            let mut any = false;
            for (slot, pages) in row.iter_mut().zip(&mut pages) {
                slot.clear();
                if let Some(value) = pages.value() {
                    slot.extend_from_slice(value);
                    any = true;
                }
            }
            // No more rows than there are values of any column.
            if !any {
                break;
            }
            let room = || pages.iter().map(page::Pages::room).fold(0, usize::saturating_add);
            if at.is_multiple_of(ROOM_EVERY) && room() > TOGETHER_MAX {
                return false;
            }
            if !look(&Row { columns: &columns, values: &row }) {
                return whole;
            }
        }
        whole &= !pages.iter().any(|pages| pages.broken);
        if input.budget.exhausted.get().is_some() {
            return false;
        }
    }
    whole
}

fn kind(kind: i64) -> &'static str {
    match kind {
        0 => "bool",
        1 => "int32",
        2 => "int64",
        3 => "int96",
        4 => "float",
        5 => "double",
        6 => "bytes",
        _ => "fixed",
    }
}

fn footer(input: Input<'_>) -> Option<(Vec<Leaf>, Vec<Group>)> {
    let end = input.len().checked_sub(8)?;
    let tail = input.read(end, 8);
    let (length, magic) = tail.split_at_checked(4)?;
    let length = u64::from(u32::from_le_bytes(length.try_into().ok()?));
    let start = end.checked_sub(length).filter(|_| magic == b"PAR1")?;
    let bytes = input.window(start, length).whole()?;
    let mut elements: Vec<Element> = Vec::new();
    let mut element = Element::default();
    let mut groups: Vec<Group> = Vec::new();
    let (mut group, mut chunk) = (Group::default(), Chunk::default());
    let walked = thrift::walk(&bytes, &mut |path, value| match (path, value) {
        ([2, 1], Value::Number(number)) => element.kind = Some(number),
        ([2, 3], Value::Number(number)) => element.repetition = number,
        ([2, 5], Value::Number(number)) => element.children = number,
        ([2, 4], Value::Bytes(bytes)) => element.name = shorten(&String::from_utf8_lossy(bytes), 100),
        ([2], Value::End) => {
            let element = std::mem::take(&mut element);
            if elements.len() <= COLUMNS_MAX.saturating_mul(4) {
                elements.push(element);
            }
        }
        ([4, 1, 1], Value::Bytes(_)) => chunk.elsewhere = true,
        ([4, 1, 3, 4], Value::Number(number)) => chunk.codec = number,
        ([4, 1, 3, 7], Value::Number(number)) => chunk.size = number,
        ([4, 1, 3, 9 | 11], Value::Number(number)) => {
            chunk.first = Some(chunk.first.map_or(number, |first| first.min(number)));
        }
        ([4, 1], Value::End) => {
            let chunk = std::mem::take(&mut chunk);
            if group.chunks.len() <= COLUMNS_MAX {
                group.chunks.push(chunk);
            }
        }
        ([4, 3], Value::Number(number)) => group.rows = number,
        ([4], Value::End) => {
            let group = std::mem::take(&mut group);
            if groups.len() < GROUPS_MAX {
                groups.push(group);
            }
        }
        _ => {}
    });
    walked.ok()?;
    let mut leaves = Vec::new();
    let mut rest = elements.iter().skip(1);
    let roots = elements.first().map_or(0, |root| root.children);
    for _ in 0..roots.clamp(0, 4096) {
        leaves_of(&mut rest, "", 0, 0, 0, &mut leaves)?;
    }
    Some((leaves, groups))
}

/// The columns below one element, in the order of the chunks.
fn leaves_of<'e>(
    rest: &mut impl Iterator<Item = &'e Element>,
    above: &str,
    defined: u32,
    repeated: u32,
    depth: u32,
    leaves: &mut Vec<Leaf>,
) -> Option<()> {
    let element = rest.next().filter(|_| depth < 32)?;
    let defined = defined.saturating_add(u32::from(element.repetition != 0));
    let repeated = repeated.saturating_add(u32::from(element.repetition == 2));
    // What only holds the items of a list has a name that depends on the writer.
    let plain = matches!(element.name.as_str(), "list" | "element" | "item" | "array" | "key_value");
    let name = match (above.is_empty(), plain) {
        (true, _) => element.name.clone(),
        (false, true) => above.to_owned(),
        (false, false) => format!("{above}.{}", element.name),
    };
    if element.children <= 0 {
        leaves.push(Leaf { name, kind: element.kind?, defined, repeated });
        return Some(());
    }
    for _ in 0..element.children.min(4096) {
        leaves_of(rest, &name, defined, repeated, depth.saturating_add(1), leaves)?;
    }
    Some(())
}
