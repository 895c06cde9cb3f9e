//! Integers, texts and numbers of a serialised R object, in each of the three ways to write them.

use super::Stop;
use crate::artifact::input::Input;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// Longest text that is kept; longer ones are passed over.
const TEXT_MAX: u64 = 4096;
/// Longest number in text.
const WORD_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Big,
    Little,
    Text,
}

pub struct Reader<'a> {
    input: Input<'a>,
    encoding: Encoding,
    buffer: Vec<u8>,
    /// Place of the buffer, and what of it was taken.
    start: u64,
    taken: usize,
}

impl<'a> Reader<'a> {
    pub fn new(input: Input<'a>, at: u64, encoding: Encoding) -> Self {
        Self { input, encoding, buffer: Vec::new(), start: at, taken: 0 }
    }

    /// Counts one object.
    pub fn spend(&self) -> Result<(), Stop> {
        let budget = self.input.budget;
        if budget.spend(&budget.opcodes, budget.limits.opcodes_max, 1, "opcodes_max") {
            Ok(())
        } else {
            Err(Stop::Budget)
        }
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        if self.taken >= self.buffer.len() {
            self.start = self.start.saturating_add(self.buffer.len() as u64);
            self.buffer = self.input.read(self.start, CHUNK);
            self.taken = 0;
        }
        let byte = self.buffer.get(self.taken).copied().ok_or(Stop::Broken)?;
        self.taken = self.taken.saturating_add(1);
        Ok(byte)
    }

    fn word(&mut self) -> Result<String, Stop> {
        let mut word = String::new();
        loop {
            match self.byte() {
                Ok(byte) if byte.is_ascii_whitespace() && word.is_empty() => {}
                Ok(byte) if byte.is_ascii_whitespace() => return Ok(word),
                Ok(byte) if word.len() < WORD_MAX => word.push(char::from(byte)),
                Err(_) if !word.is_empty() => return Ok(word),
                Ok(_) | Err(_) => return Err(Stop::Broken),
            }
        }
    }

    pub fn int(&mut self) -> Result<i32, Stop> {
        if self.encoding == Encoding::Text {
            let word = self.word()?;
            return if word == "NA" { Ok(i32::MIN) } else { word.parse().map_err(|_| Stop::Broken) };
        }
        let mut bytes = [0; 4];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(if self.encoding == Encoding::Big { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) })
    }

    /// A length, which may need two integers.
    pub fn length(&mut self) -> Result<u64, Stop> {
        let length = self.int()?;
        if length == -1 {
            let (high, low) = (self.int()?, self.int()?);
            let part = |part: i32| u64::from(part.cast_unsigned());
            return Ok(part(high) << 32 | part(low));
        }
        u64::try_from(length).map_err(|_| Stop::Broken)
    }

    /// Passes over numbers of a width.
    pub fn skip(&mut self, count: u64, width: u64) -> Result<(), Stop> {
        if self.encoding == Encoding::Text {
            // A complex number is two words.
            let words = count.saturating_mul(if width == 16 { 2 } else { 1 });
            for _ in 0..words {
                self.word()?;
                self.spend()?;
            }
            return Ok(());
        }
        self.pass(count.checked_mul(width).ok_or(Stop::Broken)?)
    }

    fn pass(&mut self, bytes: u64) -> Result<(), Stop> {
        let at = self.start.saturating_add(self.taken as u64);
        let to = at.checked_add(bytes).filter(|to| *to <= self.input.len()).ok_or(Stop::Broken)?;
        let left = self.buffer.len().saturating_sub(self.taken) as u64;
        if bytes <= left {
            self.taken = self.taken.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        } else {
            (self.buffer, self.start, self.taken) = (Vec::new(), to, 0);
        }
        Ok(())
    }

    /// A text of so many bytes; empty when it is longer than is kept, or none.
    pub fn text(&mut self, length: i32) -> Result<String, Stop> {
        let Ok(length) = u64::try_from(length) else { return Ok(String::new()) };
        if self.encoding == Encoding::Text {
            return self.escaped(length);
        }
        if length > TEXT_MAX {
            self.pass(length)?;
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        for _ in 0..length {
            bytes.push(self.byte()?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A text with escapes, on a line of its own.
    fn escaped(&mut self, length: u64) -> Result<String, Stop> {
        let mut bytes = Vec::new();
        for index in 0..length {
            let mut byte = self.byte()?;
            while index == 0 && byte.is_ascii_whitespace() {
                byte = self.byte()?;
            }
            if byte == b'\\' {
                byte = self.escape()?;
            }
            if (bytes.len() as u64) < TEXT_MAX {
                bytes.push(byte);
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn escape(&mut self) -> Result<u8, Stop> {
        Ok(match self.byte()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 11,
            b'b' => 8,
            b'a' => 7,
            b'f' => 12,
            digit @ b'0'..=b'7' => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let next = self.buffer.get(self.taken).copied();
                    let Some(next @ b'0'..=b'7') = next else { break };
                    self.byte()?;
                    value = value << 3 | u32::from(next - b'0');
                }
                u8::try_from(value & 0xff).unwrap_or(0)
            }
            other => other,
        })
    }
}
