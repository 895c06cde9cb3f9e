//! Cuts bytes into lines, with a bound, and cleans what terminals leave in them.

use std::borrow::Cow;

use memchr::memchr;

/// Collects the bytes of one line.
#[derive(Debug, Default)]
pub struct Builder {
    bytes: Vec<u8>,
    shortened: bool,
    hole: bool,
}

/// A line as written, without its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw {
    pub bytes: Vec<u8>,
    /// It was longer than the bound.
    pub shortened: bool,
    /// It began with NUL bytes, which were left out.
    pub hole: bool,
}

impl Builder {
    /// Takes bytes up to and with the next newline; gives how many, and the line if it is complete.
    pub fn take(&mut self, bytes: &[u8], bytes_max: usize) -> (usize, Option<Raw>) {
        let end = memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        self.push(part, bytes_max);
        match end {
            Some(end) => (end + 1, Some(self.finish())),
            None => (part.len(), None),
        }
    }

    fn push(&mut self, mut part: &[u8], bytes_max: usize) {
        if self.bytes.is_empty() {
            // What a writer leaves that goes on at its old place after its file was cut to nothing.
            let nul = part.iter().position(|byte| *byte != 0).unwrap_or(part.len());
            self.hole |= nul > 0;
            part = part.get(nul..).unwrap_or_default();
        }
        let room = bytes_max.saturating_sub(self.bytes.len());
        if part.len() > room {
            self.shortened = true;
            part = part.get(..room).unwrap_or_default();
        }
        self.bytes.extend_from_slice(part);
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The line so far: its end will not come any more.
    pub fn finish(&mut self) -> Raw {
        Raw {
            bytes: std::mem::take(&mut self.bytes),
            shortened: std::mem::take(&mut self.shortened),
            hole: std::mem::take(&mut self.hole),
        }
    }
}

/// Text without colours and cursor movements; of a progress bar the last state.
pub fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim_end_matches(['\r', '\n']);
    // Only the last state is on the screen; an empty one is a bar that was wiped.
    let last = text.rsplit('\r').find(|part| !part.is_empty()).unwrap_or(text);
    if memchr(0x1b, last.as_bytes()).is_none() { Cow::Borrowed(last) } else { Cow::Owned(strip(last)) }
}

/// Leaves out escape sequences of ECMA-48.
fn strip(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\x1b' {
            clean.push(character);
            continue;
        }
        match rest.next() {
            // Control sequence: parameters, then one final byte.
            Some('[') => drop(rest.find(|end| matches!(end, '\x40'..='\x7e'))),
            // Operating system command: up to BEL, or ESC and a backslash.
            Some(']') => {
                let mut before = ' ';
                for end in rest.by_ref() {
                    if end == '\x07' || before == '\x1b' && end == '\\' {
                        break;
                    }
                    before = end;
                }
            }
            // Choice of a character set has one more byte.
            Some('(' | ')') => drop(rest.next()),
            Some(_) | None => {}
        }
    }
    clean
}
