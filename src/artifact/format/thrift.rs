//! Thrift's compact protocol without a schema: fields of structures, each by the way to it.

use super::cursor;

/// Structures in structures.
const DEPTH_MAX: usize = 32;

/// What stands in a field.
pub enum Value<'a> {
    Number(i64),
    Flag(bool),
    Bytes(&'a [u8]),
    /// The structure at this place is complete.
    End,
}

/// A length reaches beyond the end, or a type does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// Hands every value to `look`, with the numbers of the fields that lead to it. Items of a list
/// stand where the list does. Every value takes a byte at least, so that the work has a bound.
///
/// Returns how many bytes the structure takes.
pub fn walk(bytes: &[u8], look: &mut dyn FnMut(&[i16], Value<'_>)) -> Result<usize, Broken> {
    let mut reader = Reader { rest: bytes, path: Vec::new(), look };
    reader.structure()?;
    Ok(bytes.len().saturating_sub(reader.rest.len()))
}

struct Reader<'a, 'f> {
    rest: &'a [u8],
    path: Vec<i16>,
    look: &'f mut dyn FnMut(&[i16], Value<'_>),
}

impl Reader<'_, '_> {
    fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.rest.split_first().ok_or(Broken)?;
        self.rest = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        cursor::varint(|| self.byte().ok()).ok_or(Broken)
    }

    fn zigzag(&mut self) -> Result<i64, Broken> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn structure(&mut self) -> Result<(), Broken> {
        if self.path.len() >= DEPTH_MAX {
            return Err(Broken);
        }
        let mut field = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                (self.look)(&self.path, Value::End);
                return Ok(());
            }
            field = match head >> 4 {
                0 => i16::try_from(self.zigzag()?).map_err(|_| Broken)?,
                more => field.checked_add(i16::from(more)).ok_or(Broken)?,
            };
            self.path.push(field);
            // A flag in a field is its type, and takes no byte.
            match head & 15 {
                flag @ 1..=2 => (self.look)(&self.path, Value::Flag(flag == 1)),
                kind => self.value(kind, 0)?,
            }
            self.path.pop();
        }
    }

    fn value(&mut self, kind: u8, lists: usize) -> Result<(), Broken> {
        match kind {
            1..=3 => self.byte().map(drop),
            4..=6 => {
                let number = self.zigzag()?;
                (self.look)(&self.path, Value::Number(number));
                Ok(())
            }
            7 => self.skip(8),
            8 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Broken)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Broken)?;
                self.rest = rest;
                (self.look)(&self.path, Value::Bytes(bytes));
                Ok(())
            }
            9 | 10 if lists < DEPTH_MAX => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                self.items(count, &[head & 15], lists)
            }
            11 if lists < DEPTH_MAX => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                self.items(count, &[kinds >> 4, kinds & 15], lists)
            }
            12 => self.structure(),
            13 => self.skip(16),
            _ => Err(Broken),
        }
    }

    fn items(&mut self, count: u64, kinds: &[u8], lists: usize) -> Result<(), Broken> {
        if count > self.rest.len() as u64 {
            return Err(Broken);
        }
        (0..count).try_for_each(|_| kinds.iter().try_for_each(|kind| self.value(*kind, lists.saturating_add(1))))
    }

    fn skip(&mut self, count: usize) -> Result<(), Broken> {
        self.rest = self.rest.get(count..).ok_or(Broken)?;
        Ok(())
    }
}
