//! Values of one column, one behind another in one piece of memory.

use super::{Column, Look, Row};

/// Bytes of the values of one column, and of all columns that are held together.
const BYTES_MAX: usize = 24 << 20;
pub const TOGETHER_MAX: usize = 64 << 20;

/// Values by their number.
#[derive(Debug, Default)]
pub struct Values {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// There was no room for more.
    pub cut: bool,
}

impl Values {
    pub fn push(&mut self, value: &[u8]) {
        let end = self.bytes.len().saturating_add(value.len());
        // Places of values take room as well.
        if end.saturating_add(self.ends.len().saturating_mul(4)) > BYTES_MAX {
            self.cut = true;
            return;
        }
        self.bytes.extend_from_slice(value);
        self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
    }

    /// Adds to the value that was pushed last.
    pub fn extend(&mut self, value: &[u8]) {
        let room = self.bytes.len().saturating_add(value.len()).saturating_add(self.ends.len().saturating_mul(4));
        if room > BYTES_MAX {
            self.cut = true;
            return;
        }
        self.bytes.extend_from_slice(value);
        if let Some(last) = self.ends.last_mut() {
            *last = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        }
    }

    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let end = usize::try_from(*self.ends.get(at)?).ok()?;
        let start = match at.checked_sub(1) {
            Some(before) => usize::try_from(*self.ends.get(before)?).ok()?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn room(&self) -> usize {
        self.bytes.len().saturating_add(self.ends.len().saturating_mul(4))
    }
}

/// Hands out the rows of columns that belong together. False when nobody wants more.
pub fn rows(columns: &[Column], values: &[Values], count: usize, look: Look<'_>) -> bool {
    let mut row: Vec<Vec<u8>> = vec![Vec::new(); columns.len()];
    for at in 0..count {
        for (slot, column) in row.iter_mut().zip(values) {
            slot.clear();
            slot.extend_from_slice(column.get(at).unwrap_or_default());
        }
        if !look(&Row { columns, values: &row }) {
            return false;
        }
    }
    true
}

/// The lowest byte first.
pub fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// A number of a table as text: whole ones with their sign, and floating ones.
pub fn shown(bytes: &[u8], floating: bool, signed: bool) -> String {
    match (floating, bytes) {
        (true, [a, b, c, d]) => f32::from_le_bytes([*a, *b, *c, *d]).to_string(),
        (true, _) => {
            bytes.try_into().map_or_else(|_| number(bytes).to_string(), |eight| f64::from_le_bytes(eight).to_string())
        }
        (false, _) if signed && bytes.len() <= 8 && !bytes.is_empty() => {
            let shift = 64_usize.saturating_sub(bytes.len().saturating_mul(8));
            ((number(bytes) << shift).cast_signed() >> shift).to_string()
        }
        (false, _) => number(bytes).to_string(),
    }
}
