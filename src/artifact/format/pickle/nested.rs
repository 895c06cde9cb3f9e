//! Pickles inside the byte strings and texts of a pickle.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::opcodes::{Op, decode};

/// Shortest text that is worth decoding.
const TEXT_MIN: usize = 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Cheap and generous: whether the machine should try these bytes.
pub fn may_be_pickle(head: &[u8], len: u64) -> bool {
    match head {
        [0x80, protocol @ 0..=5, next, ..] if len > 4 => {
            let _ = protocol;
            decode(*next).is_some_and(|(op, _)| op != Op::Stop)
        }
        [b'c' | b'i', rest @ ..] | [b'(', b'c' | b'i', rest @ ..] => imports(rest),
        [b'(' | b']' | b'}', b'l' | b'd' | b'p' | b'q' | b't', ..] => true,
        // zlib and gzip: tried by whoever looks at the candidate.
        [0x78, flag, ..] => len > 16 && (0x7800_u32 + u32::from(*flag)).is_multiple_of(31),
        [0x1f, 0x8b, 8, ..] => len > 16,
        _ => false,
    }
}

/// Two lines that can be a module and a name.
fn imports(rest: &[u8]) -> bool {
    let mut lines = rest.split(|byte| *byte == b'\n');
    let dotted = |line: Option<&[u8]>| {
        line.is_some_and(|line| {
            line.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
                && line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte))
        })
    };
    dotted(lines.next()) && dotted(lines.next())
}

/// Most bytes of two lines that are looked at for a module and a name.
const LINES_MAX: usize = 160;

/// Finds two lines that can be a module and a name. Places are asked in rising order, so that a run of letters is read
/// once, and not again for each letter of it.
pub struct Lines<'c> {
    chunk: &'c [u8],
    /// Where the first line that was met last ends, and the second one, if it begins like a name.
    end: usize,
    second: Option<usize>,
}

impl<'c> Lines<'c> {
    pub fn new(chunk: &'c [u8]) -> Self {
        Self { chunk, end: 0, second: None }
    }

    /// Whether the opcode at `at` is followed by such lines.
    pub fn follow(&mut self, at: usize) -> bool {
        let start = at.saturating_add(1);
        let Some(first) = self.name(start) else { return false };
        if start >= self.end {
            self.end = first;
            let breaks = self.chunk.get(first) == Some(&b'\n');
            self.second = breaks.then(|| self.name(first.saturating_add(1))).flatten();
        }
        let window = self.chunk.len().min(at.saturating_add(LINES_MAX));
        let within = self.end.saturating_add(1) < window;
        within && self.second.is_some_and(|end| end >= window || self.chunk.get(end) == Some(&b'\n'))
    }

    /// The end of what begins like a name; the one that is known where it is the same.
    fn name(&self, start: usize) -> Option<usize> {
        let rest = self.chunk.get(start..)?;
        rest.first().filter(|first| first.is_ascii_alphabetic() || **first == b'_')?;
        if start < self.end {
            return Some(self.end);
        }
        let ends = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        Some(rest.iter().position(ends).map_or(self.chunk.len(), |count| start.saturating_add(count)))
    }
}

/// The bytes that a text encodes, when they may be a pickle: base64 or hexadecimal.
pub fn decode_text(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.len() < TEXT_MIN {
        return None;
    }
    let bytes = text.as_bytes();
    let sample = bytes.get(..TEXT_MIN)?;
    if !sample.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte)) {
        // Latin-1 is how protocol 2 writes bytes.
        let raw = bytes.starts_with(&[0xc2, 0x80]) || imports_after_mark(bytes);
        return raw.then(|| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect());
    }
    let even = |bytes: &[u8]| bytes.len() & 1 == 0;
    if sample.iter().all(u8::is_ascii_hexdigit) && even(bytes) {
        let head = hexadecimal(sample)?;
        if may_be_pickle(&head, bytes.len() as u64 / 2) {
            return hexadecimal(bytes);
        }
    }
    let head = BASE64.decode(sample.iter().copied().map(standard).collect::<Vec<u8>>()).ok()?;
    if !may_be_pickle(&head, bytes.len() as u64) && !matches!(head.as_slice(), [b'c', ..]) {
        return None;
    }
    let kept = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    let mut clean: Vec<u8> = kept.map(standard).collect();
    // One character too many is a word that happens to follow.
    if clean.len() % 4 == 1 {
        clean.pop();
    }
    let whole = BASE64.decode(clean).ok()?;
    may_be_pickle(&whole, whole.len() as u64).then_some(whole)
}

/// The alphabet for addresses and file names in the usual one.
const fn standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

fn imports_after_mark(bytes: &[u8]) -> bool {
    matches!(bytes, [b'c', rest @ ..] | [b'(', b'c' | b'i', rest @ ..] if imports(rest))
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair.first()?)? << 4 | value(pair.get(1)?)?)).collect()
}
