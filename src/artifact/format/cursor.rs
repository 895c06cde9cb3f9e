//! Reading forward through a file whose counts and lengths may lie.

use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Bytes read at once where reading goes on, and where it resumes behind something large.
const CHUNK: usize = 64 << 10;
const CHUNK_AFTER_GAP: usize = 2 << 10;

/// What was asked for reaches beyond the end, or beyond what may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut;

pub type Read<T> = Result<T, Cut>;

/// A number in pieces of seven bits, the lowest first, as protocol buffers, Thrift and tables of `LevelDB` write it; `None`
/// where it is cut off or has too many.
pub fn varint(mut byte: impl FnMut() -> Option<u8>) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let next = byte()?;
        number |= u64::from(next & 0x7f).checked_shl(shift).unwrap_or(0);
        if next & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// What is to be said when the walk through a format ends before the file does, or lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A count or a length reaches beyond the end, or a value is none.
    Cut,
    /// There are more values, or deeper ones, than are looked at.
    Count,
}

impl From<Cut> for Fault {
    fn from(_: Cut) -> Self {
        Self::Cut
    }
}

/// Tells how a walk ended: what follows the last value, a lie, or a bound.
pub fn tell(inspection: &mut Inspection<'_>, input: Input<'_>, result: Result<u64, Fault>) {
    match result {
        Ok(end) if end < input.len() => super::trailing_data(inspection, input, end),
        Ok(_) => {}
        Err(Fault::Cut) => {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("malformed", "a count or a length reaches beyond the end, or a value is none");
        }
        Err(Fault::Count) => {
            inspection.issue("budget_exceeded", "the file has more values, or deeper ones, than are looked at");
        }
    }
}

/// A place in an input, and some bytes behind it.
pub struct Cursor<'a> {
    input: Input<'a>,
    buffer: Vec<u8>,
    start: u64,
    pub position: u64,
}

impl<'a> Cursor<'a> {
    pub fn new(input: Input<'a>) -> Self {
        Self::at(input, 0)
    }

    pub fn at(input: Input<'a>, position: u64) -> Self {
        Self { input, buffer: Vec::new(), start: position, position }
    }

    pub fn left(&self) -> u64 {
        self.input.len().saturating_sub(self.position)
    }

    /// Up to `count` bytes that come next, without taking them; fewer at the end.
    pub fn peek(&mut self, count: usize) -> &[u8] {
        let end = self.start.saturating_add(self.buffer.len() as u64);
        let held = self.position >= self.start && self.position.saturating_add(count as u64) <= end;
        if !held {
            let chunk = if self.position == end || self.position == self.start { CHUNK } else { CHUNK_AFTER_GAP };
            self.buffer = self.input.read(self.position, count.max(chunk));
            self.start = self.position;
        }
        let at = usize::try_from(self.position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let rest = self.buffer.get(at..).unwrap_or_default();
        rest.get(..count).unwrap_or(rest)
    }

    pub fn byte(&mut self) -> Read<u8> {
        let byte = self.peek(1).first().copied().ok_or(Cut)?;
        self.position = self.position.saturating_add(1);
        Ok(byte)
    }

    /// A number of up to eight bytes, the lowest first.
    pub fn number(&mut self, width: usize) -> Read<u64> {
        let some = self.peek(width);
        let number = some.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        self.took(width, number)
    }

    /// A number of up to eight bytes, the highest first.
    pub fn big(&mut self, width: usize) -> Read<u64> {
        let some = self.peek(width);
        let number = some.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        self.took(width, number)
    }

    fn took(&mut self, width: usize, number: u64) -> Read<u64> {
        if self.peek(width).len() < width {
            return Err(Cut);
        }
        self.position = self.position.saturating_add(width as u64);
        Ok(number)
    }

    pub fn varint(&mut self) -> Read<u64> {
        varint(|| self.byte().ok()).ok_or(Cut)
    }

    pub fn skip(&mut self, count: u64) -> Read<()> {
        self.span(count).map(drop)
    }

    /// The next bytes, stepped over without being read.
    pub fn span(&mut self, count: u64) -> Read<Input<'a>> {
        if count > self.left() {
            return Err(Cut);
        }
        let span = self.input.window(self.position, count);
        self.position = self.position.saturating_add(count);
        Ok(span)
    }

    /// A text of a length that the file tells; of a long one the beginning.
    pub fn text(&mut self, length: u64, max: usize) -> Read<String> {
        if length > self.left() {
            return Err(Cut);
        }
        let kept = usize::try_from(length).unwrap_or(usize::MAX).min(max);
        let text = String::from_utf8_lossy(self.peek(kept)).into_owned();
        self.skip(length)?;
        Ok(text)
    }
}
