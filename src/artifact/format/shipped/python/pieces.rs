//! A source in pieces that can be parsed with bounded memory and depth.
//!
//! The parser grows with its input, and a tree is walked and dropped by recursion. `CPython` refuses
//! brackets nested deeper than 200; whatever nests deeper here is no code that anybody would run.

use std::ops::Range;

/// Bytes of code in one piece, without texts, comments and spaces; a statement of more is not parsed.
const PIECE: usize = 256 << 10;
/// Bytes of one piece with them.
const PIECE_BYTES: usize = 4 << 20;
/// Brackets in brackets.
const BRACKETS_MAX: usize = 200;
/// Operators, calls and brackets that can nest in one expression.
const NESTING_MAX: u32 = 800;
/// Columns of indentation, a hundred levels of eight.
const INDENT_MAX: usize = 800;

/// Parts of a source that begin and end with statements, and whether each can be parsed.
pub fn pieces(text: &str) -> Vec<(Range<usize>, bool)> {
    let code = strip(text);
    let mut pieces = Vec::new();
    let (mut start, mut end, mut dense) = (0_usize, 0_usize, 0_usize);
    let mut sound = true;
    let mut expression = Expression::default();
    for line in code.split_inclusive('\n') {
        // A statement begins here, at the left and outside of all brackets.
        let begins = expression.open.is_empty() && line.bytes().next().is_some_and(|byte| !byte.is_ascii_whitespace());
        if begins && (dense >= PIECE / 2 || end - start >= PIECE_BYTES / 2) {
            pieces.push((start..end, sound && dense <= PIECE && end - start <= PIECE_BYTES));
            (start, sound, dense) = (end, true, 0);
        }
        dense = dense.saturating_add(line.bytes().filter(|byte| !byte.is_ascii_whitespace()).count());
        let indent = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        sound &= expression.line(line) && (indent <= INDENT_MAX || line.trim().is_empty());
        end = end.saturating_add(line.len());
    }
    pieces.push((start..end, sound && dense <= PIECE && end - start <= PIECE_BYTES));
    pieces
}

/// True for code without texts that nests no deeper than a parser can walk.
pub fn is_shallow(code: &str) -> bool {
    let mut expression = Expression::default();
    code.split_inclusive('\n').all(|line| expression.line(line))
}

/// How deep the expression that is being read can nest: counted per open bracket, begun anew at
/// every comma.
#[derive(Default)]
struct Expression {
    open: Vec<u32>,
    /// The sum of what is counted outside of the innermost bracket.
    outer: u32,
    own: u32,
}

impl Expression {
    /// Reads a line; false when it nests too deeply.
    fn line(&mut self, line: &str) -> bool {
        let mut sound = true;
        let mut word = false;
        for byte in line.bytes() {
            let was_word = std::mem::replace(&mut word, byte.is_ascii_alphanumeric() || byte == b'_');
            match byte {
                b'(' | b'[' | b'{' => {
                    let count = self.own.saturating_add(1);
                    self.open.push(count);
                    self.outer = self.outer.saturating_add(count);
                    self.own = 0;
                }
                b')' | b']' | b'}' => {
                    if let Some(count) = self.open.pop() {
                        self.outer = self.outer.saturating_sub(count);
                        self.own = count;
                    }
                }
                b',' => self.own = 0,
                b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'@' | b'&' | b'|' | b'^' | b'~' | b'<' | b'>' | b'=' => {
                    self.own = self.own.saturating_add(1);
                }
                // `not not`, `a if b else c`, `lambda: lambda:`, `await await` nest by words.
                b' ' | b'\t' | b':' if was_word => self.own = self.own.saturating_add(1),
                _ => {}
            }
            sound &= self.open.len() <= BRACKETS_MAX && self.outer.saturating_add(self.own) <= NESTING_MAX;
            if self.open.len() > BRACKETS_MAX * 8 {
                // The count alone would take memory; the piece is lost anyway.
                *self = Self::default();
            }
        }
        if self.open.is_empty() {
            self.own = 0;
        }
        sound
    }
}

/// The source with comments and texts blanked, byte for byte as long and with the same lines.
pub fn strip(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let rest = bytes.get(at..).unwrap_or_default();
        let skip = match byte {
            b'#' => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            b'"' | b'\'' => literal(rest),
            _ => {
                out.push(if byte.is_ascii() { byte } else { b'_' });
                at = at.saturating_add(1);
                continue;
            }
        };
        // As long as before, so that places in the code are places in the text.
        let end = skip.max(1).min(rest.len());
        let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
        out.extend(rest.iter().take(end).map(blank));
        at = at.saturating_add(skip.max(1));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Length of the text literal that begins here.
fn literal(rest: &[u8]) -> usize {
    let Some(quote) = rest.first().copied() else { return 0 };
    let triple = [quote; 3];
    let (open, end): (usize, &[u8]) =
        if rest.starts_with(&triple) { (3, &triple) } else { (1, rest.get(..1).unwrap_or_default()) };
    let mut at = open;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with(end) {
            return at.saturating_add(end.len());
        }
        if open == 1 && tail.starts_with(b"\n") {
            return at;
        }
        at = at.saturating_add(if tail.starts_with(b"\\") { 2 } else { 1 });
    }
    rest.len()
}
