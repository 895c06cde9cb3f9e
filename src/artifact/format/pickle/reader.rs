//! Buffered reading of a pickle by position; memory does not grow with the file.

use crate::artifact::input::Input;

/// Bytes read at first, as most streams are short, and at most.
const FIRST: usize = 4 << 10;
const BUFFER: usize = 64 << 10;

/// Bytes that were read, and where they begin: what one stream has read the next one goes on with.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Vec<u8>,
    start: u64,
}

/// Reads forward, remembers where it is, and can jump.
pub struct Reader<'a> {
    input: Input<'a>,
    held: Held,
    /// Bytes to read next time.
    next: usize,
    position: u64,
}

impl<'a> Reader<'a> {
    pub fn new(input: Input<'a>, position: u64) -> Self {
        Self::resume(input, position, Held::default())
    }

    /// Goes on with what another reader of the same input has read.
    pub fn resume(input: Input<'a>, position: u64, held: Held) -> Self {
        Self { input, held, next: FIRST, position }
    }

    pub fn into_held(self) -> Held {
        self.held
    }

    pub fn input(&self) -> Input<'a> {
        self.input
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn jump(&mut self, position: u64) {
        self.position = position.min(self.input.len());
    }

    pub fn remaining(&self) -> u64 {
        self.input.len().saturating_sub(self.position)
    }

    pub fn byte(&mut self) -> Option<u8> {
        if let Some(byte) = self.buffered().first().copied() {
            self.position = self.position.saturating_add(1);
            return Some(byte);
        }
        self.fill(1);
        let byte = self.buffered().first().copied()?;
        self.position = self.position.saturating_add(1);
        Some(byte)
    }

    /// Exactly `count` bytes, or `None` with the position unchanged. For small things only.
    pub fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        if self.buffered().len() < count {
            self.fill(count);
        }
        let bytes = self.buffered().get(..count)?.to_vec();
        self.position = self.position.saturating_add(count as u64);
        Some(bytes)
    }

    /// A little-endian number of `width` bytes, at most 8.
    pub fn number(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(width)?;
        Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// Goes on by `count` bytes; false when there are fewer.
    pub fn skip(&mut self, count: u64) -> bool {
        if self.remaining() < count {
            return false;
        }
        self.position = self.position.saturating_add(count);
        true
    }

    /// A line without its newline, at most `max` bytes long.
    pub fn line(&mut self, max: usize) -> Option<Vec<u8>> {
        let found = memchr::memchr(b'\n', self.buffered());
        let end = if let Some(end) = found {
            end
        } else {
            self.fill(max.saturating_add(1).max(BUFFER));
            memchr::memchr(b'\n', self.buffered())?
        };
        let line = self.buffered().get(..end)?.to_vec();
        self.position = self.position.saturating_add(end as u64).saturating_add(1);
        Some(line)
    }

    fn buffered(&self) -> &[u8] {
        let offset = self.position.checked_sub(self.held.start).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| self.held.bytes.get(offset..)).unwrap_or_default()
    }

    fn fill(&mut self, count: usize) {
        self.held = Held { bytes: self.input.read(self.position, count.max(self.next)), start: self.position };
        self.next = self.next.saturating_mul(2).min(BUFFER);
    }
}
