//! `FlatBuffers` without a schema: tables, vectors and texts by offset, each checked against the end.

use crate::artifact::input::Input;

/// Longest text that is read.
const TEXT_MAX: u64 = 4096;

/// A place in a buffer.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    input: Input<'a>,
    position: u64,
    /// Where the table's fields are listed, and the bytes of that list.
    fields: u64,
    listed: u64,
}

/// A vector: where its items begin, and how many there are.
#[derive(Clone, Copy)]
pub struct Vector<'a> {
    pub input: Input<'a>,
    pub start: u64,
    pub count: u64,
}

fn number(input: Input<'_>, at: u64, width: usize) -> Option<u64> {
    let bytes = input.read(at, width);
    (bytes.len() == width).then(|| bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// What an offset that stands at `at` points to.
fn follow(input: Input<'_>, at: u64) -> Option<u64> {
    let offset = number(input, at, 4)?;
    at.checked_add(offset).filter(|target| offset > 0 && *target < input.len())
}

impl<'a> Table<'a> {
    /// The table at the root of a buffer.
    pub fn root(input: Input<'a>) -> Option<Self> {
        Self::at(input, follow(input, 0)?)
    }

    fn at(input: Input<'a>, position: u64) -> Option<Self> {
        let back = number(input, position, 4)?;
        // A signed distance: the list stands before the table, as a rule.
        let fields = if back < 1 << 31 {
            position.checked_sub(back)?
        } else {
            position.checked_add((1_u64 << 32).checked_sub(back)?)?
        };
        let listed = number(input, fields, 2)?;
        let size = number(input, fields.checked_add(2)?, 2)?;
        let inside = |start: u64, length: u64| start.checked_add(length).is_some_and(|end| end <= input.len());
        let whole = inside(fields, listed) && inside(position, size);
        (whole && listed >= 4).then_some(Self { input, position, fields, listed })
    }

    /// Where a field stands; `None` when it is left out.
    fn field(&self, index: u64) -> Option<u64> {
        let slot = index.checked_mul(2)?.checked_add(4)?;
        if slot.checked_add(2)? > self.listed {
            return None;
        }
        let offset = number(self.input, self.fields.checked_add(slot)?, 2)?;
        (offset > 0).then(|| self.position.saturating_add(offset))
    }

    /// A number of some bytes; 0 when it is left out.
    pub fn number(&self, index: u64, width: usize) -> u64 {
        self.field(index).and_then(|at| number(self.input, at, width)).unwrap_or(0)
    }

    /// A text, cut at a length that names never reach; an error when it reaches beyond the end.
    pub fn text(&self, index: u64) -> Result<String, ()> {
        let Some(vector) = self.vector(index, 1)? else { return Ok(String::new()) };
        let bytes = self.input.read(vector.start, usize::try_from(vector.count.min(TEXT_MAX)).unwrap_or(0));
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes of a text or of a vector of bytes; an error when they reach beyond the end.
    pub fn bytes(&self, index: u64) -> Result<Option<Input<'a>>, ()> {
        Ok(self.vector(index, 1)?.map(|vector| self.input.window(vector.start, vector.count)))
    }

    /// A table in a field; an error when it is broken.
    pub fn child(&self, index: u64) -> Result<Option<Self>, ()> {
        let Some(at) = self.field(index) else { return Ok(None) };
        follow(self.input, at).and_then(|target| Self::at(self.input, target)).map(Some).ok_or(())
    }

    /// A vector of items of some bytes each; an error when it reaches beyond the end.
    pub fn vector(&self, index: u64, width: u64) -> Result<Option<Vector<'a>>, ()> {
        let Some(at) = self.field(index) else { return Ok(None) };
        let at = follow(self.input, at).ok_or(())?;
        let count = number(self.input, at, 4).ok_or(())?;
        let start = at.saturating_add(4);
        let end = count.checked_mul(width).and_then(|length| start.checked_add(length)).ok_or(())?;
        if end > self.input.len() {
            return Err(());
        }
        Ok(Some(Vector { input: self.input, start, count }))
    }

    /// The tables of a vector, up to some number; an error when one is broken.
    pub fn tables(&self, index: u64, max: u64) -> Result<Vec<Table<'a>>, ()> {
        let Some(vector) = self.vector(index, 4)? else { return Ok(Vec::new()) };
        (0..vector.count.min(max)).map(|item| vector.table(item).ok_or(())).collect()
    }
}

impl<'a> Vector<'a> {
    /// The bytes of the items themselves.
    pub fn window(&self, width: u64) -> Input<'a> {
        self.input.window(self.start, self.count.saturating_mul(width))
    }

    fn table(&self, item: u64) -> Option<Table<'a>> {
        let at = self.start.checked_add(item.checked_mul(4)?)?;
        Table::at(self.input, follow(self.input, at)?)
    }
}
