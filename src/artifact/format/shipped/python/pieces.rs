//! A source in pieces that can be parsed with bounded memory and depth.
//!
//! The parser grows with its input, and a tree is walked and dropped by recursion. `CPython` runs
//! statements that are longer and deeper than is bounded here: a table of a million numbers, or two
//! thousand sums in a row. Such a statement is cut out, so that it hides nothing of what stands beside it.

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
    let mut cut = Cut::default();
    let mut expression = Expression::default();
    let mut continued = false;
    for line in code.split_inclusive('\n') {
        // Texts are blanked in the code, but a statement or an indentation ends where one begins.
        let rest = text.as_bytes().get(cut.end..).unwrap_or_default();
        let left = rest.first().is_some_and(|byte| !byte.is_ascii_whitespace() && *byte != b'#');
        if left && !continued && expression.open.is_empty() {
            cut.statement();
        }
        let indent = rest.iter().take(line.len()).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        cut.sound &= indent <= INDENT_MAX || line.trim().is_empty();
        cut.sound &= expression.line(line);
        cut.dense = cut.dense.saturating_add(line.bytes().filter(|byte| !byte.is_ascii_whitespace()).count());
        cut.end = cut.end.saturating_add(line.len());
        continued = is_continued(line);
    }
    cut.finish()
}

/// The pieces so far, the one that grows, and the statement at its end that is being read.
struct Cut {
    pieces: Vec<(Range<usize>, bool)>,
    /// Where the piece begins, and its bytes of code.
    start: usize,
    kept: usize,
    /// Where the statement begins, its bytes of code, and whether it nests no deeper than can be walked.
    begin: usize,
    dense: usize,
    sound: bool,
    end: usize,
}

impl Default for Cut {
    fn default() -> Self {
        Self { pieces: Vec::new(), start: 0, kept: 0, begin: 0, dense: 0, sound: true, end: 0 }
    }
}

impl Cut {
    /// Ends the statement: it joins the piece, begins another, or is set aside.
    fn statement(&mut self) {
        let sound = self.sound && self.dense <= PIECE && self.end - self.begin <= PIECE_BYTES;
        let fits = self.kept.saturating_add(self.dense) <= PIECE && self.end - self.start <= PIECE_BYTES;
        if !(sound && fits) {
            self.piece();
        }
        if sound {
            self.kept = self.kept.saturating_add(self.dense);
        } else {
            self.pieces.push((self.begin..self.end, false));
            self.start = self.end;
        }
        (self.begin, self.dense, self.sound) = (self.end, 0, true);
    }

    /// Ends the piece before the statement.
    fn piece(&mut self) {
        if self.start < self.begin {
            self.pieces.push((self.start..self.begin, true));
        }
        (self.start, self.kept) = (self.begin, 0);
    }

    fn finish(mut self) -> Vec<(Range<usize>, bool)> {
        self.statement();
        self.piece();
        self.pieces
    }
}

/// The line of code goes on in the next one.
fn is_continued(line: &str) -> bool {
    line.trim_end_matches(['\r', '\n']).ends_with('\\')
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
    /// What was counted before each bracket, and the functions among it.
    open: Vec<(u32, u32)>,
    /// The sum of what is counted outside of the innermost bracket.
    outer: u32,
    own: u32,
    /// `lambda a, b: lambda c, d:` nests across its commas.
    lambdas: u32,
}

impl Expression {
    /// Reads a line; false when it nests too deeply.
    fn line(&mut self, line: &str) -> bool {
        let mut sound = true;
        let mut word = false;
        for (at, byte) in line.bytes().enumerate() {
            let was_word = std::mem::replace(&mut word, byte.is_ascii_alphanumeric() || byte == b'_');
            match byte {
                b'l' if !was_word && line.get(at..).is_some_and(|rest| rest.starts_with("lambda")) => {
                    self.lambdas = self.lambdas.saturating_add(1);
                }
                b'(' | b'[' | b'{' => {
                    let count = self.own.saturating_add(1);
                    self.open.push((count, self.lambdas));
                    self.outer = self.outer.saturating_add(count);
                    (self.own, self.lambdas) = (0, 0);
                }
                b')' | b']' | b'}' => {
                    if let Some((count, lambdas)) = self.open.pop() {
                        self.outer = self.outer.saturating_sub(count);
                        (self.own, self.lambdas) = (count, lambdas);
                    }
                }
                b',' => self.own = self.lambdas,
                b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'@' | b'&' | b'|' | b'^' | b'~' | b'<' | b'>' | b'=' => {
                    self.own = self.own.saturating_add(1);
                }
                // `not not`, `a if b else c`, `lambda: lambda:`, `await await` nest by words.
                b' ' | b'\t' | b'\x0c' | b'\r' | b'\n' | b'\\' | b':' if was_word => {
                    self.own = self.own.saturating_add(1);
                }
                _ => {}
            }
            sound &= self.open.len() <= BRACKETS_MAX && self.outer.saturating_add(self.own) <= NESTING_MAX;
            if self.open.len() > BRACKETS_MAX * 8 {
                // The count alone would take memory; the piece is lost anyway.
                *self = Self::default();
            }
        }
        if self.open.is_empty() && !is_continued(line) {
            (self.own, self.lambdas) = (0, 0);
        }
        sound
    }
}

/// The source with comments and texts blanked, byte for byte as long; a text of many lines is part of one.
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
        out.extend(rest.iter().take(end).map(|_| b' '));
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
