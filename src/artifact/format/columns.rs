//! Columns of texts and bytes in tables, once they are unpacked: programs and pickles in them, pickles and
//! programs as base64, formulas that a spreadsheet would run.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::Regex;

use super::{compressed, dataset, executable, midst, probe};
use crate::artifact::Memory;
use crate::artifact::inflate::{self, Block, Codec};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;
use crate::artifact::search::Search;

/// Bytes of values of one file, and of texts that are looked through at once.
const BYTES_MAX: u64 = 64 << 20;
const PIECE: usize = 256 << 10;
/// Texts that may be pickles or programs, and formulas, of one file.
const TRIES_MAX: usize = 256;
const FORMULAS_MAX: usize = 64;
/// Bytes of a program that are decoded: a multiple of three, so that no padding is needed.
const PROGRAM: usize = 768;

/// Base64 of what programs begin with.
static PROGRAMS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?:^|[^A-Za-z0-9+/])((?:f0VMR|TVqQ|TVpQ|TVo|z/rt/|zvrt/)[A-Za-z0-9+/]{84,})").ok());

/// How a column was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    Not,
    As(Codec),
    /// A block without a frame, of so many bytes.
    Block(Block, u64),
}

/// What of a file's columns was looked at.
pub struct Columns<'a> {
    file: Input<'a>,
    left: u64,
    tries: usize,
    formulas: usize,
    /// Texts that are still to be looked through, with the column that they are of.
    texts: String,
    column: String,
    cut: bool,
}

impl<'a> Columns<'a> {
    pub fn new(file: Input<'a>) -> Self {
        let (texts, column) = (String::new(), String::new());
        Self { file, left: BYTES_MAX, tries: 0, formulas: 0, texts, column, cut: false }
    }

    /// False once no more is looked at.
    pub fn goes_on(&mut self) -> bool {
        self.cut |= self.left == 0;
        !self.cut
    }

    /// The bytes of a page or buffer, with programs and pickles in them told, unless they stand in the file as
    /// they are, where they have been found already.
    pub fn unpack(&mut self, inspection: &mut Inspection<'_>, packed: Input<'_>, how: Packed) -> Option<Vec<u8>> {
        if !self.goes_on() {
            return None;
        }
        let budget = packed.budget;
        let bytes = match how {
            Packed::Not => packed.read(0, usize::try_from(packed.len()).ok()?),
            Packed::As(codec) => {
                let unpacked = inflate::unpack(packed, codec);
                compressed::tell(inspection, &unpacked, packed.len());
                let input = unpacked.input(budget);
                midst::weights(inspection, input);
                input.read(0, usize::try_from(input.len()).ok()?)
            }
            Packed::Block(kind, size) => {
                let Some(bytes) = inflate::block(packed, kind, size) else {
                    inspection.issue("malformed", "a compressed page is broken, or larger than one item may be");
                    return None;
                };
                let mut search = Search::default();
                search.update(&bytes);
                let found = search.finish();
                let memory = Memory(bytes);
                midst::weights(inspection, Input::new(&memory, budget).with_hits(&found.hits));
                memory.0
            }
        };
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Some(bytes)
    }

    /// One value of a column.
    pub fn value(&mut self, inspection: &mut Inspection<'_>, column: &str, value: &[u8]) {
        let Ok(text) = std::str::from_utf8(value) else { return };
        if self.column != column || self.texts.len().saturating_add(text.len()) > PIECE {
            self.flush(inspection);
            column.clone_into(&mut self.column);
        }
        self.texts.push_str(text);
        self.texts.push('\n');
    }

    /// Says what was left out.
    pub fn finish(mut self, inspection: &mut Inspection<'_>) {
        self.flush(inspection);
        if self.cut {
            inspection.issue("budget_exceeded", "the columns hold more than is looked at; only their beginning was");
        }
    }

    fn flush(&mut self, inspection: &mut Inspection<'_>) {
        let texts = std::mem::take(&mut self.texts);
        for found in probe::pickles_in_text(&texts) {
            self.tries = self.tries.saturating_add(1);
            if self.tries <= TRIES_MAX && probe::encoded(inspection, found.as_str(), self.file) {
                inspection.list("artifact.metadata.suspicious", &self.column);
            }
        }
        let programs = PROGRAMS.iter().flat_map(|pattern| pattern.captures_iter(&texts));
        for found in programs.filter_map(|found| found.get(1)) {
            self.tries = self.tries.saturating_add(1);
            // Whole groups of four characters, which need no padding.
            let len = (found.len() / 4).saturating_mul(4).min(PROGRAM / 3 * 4);
            let bytes =
                found.as_str().get(..len).and_then(|text| STANDARD_NO_PAD.decode(text).ok()).unwrap_or_default();
            let kind = executable::kind(&bytes).filter(|kind| *kind != "script");
            if let Some(kind) = kind.filter(|_| self.tries <= TRIES_MAX) {
                inspection.list("artifact.embedded_executables", format!("{kind} in base64@{}", self.column));
            }
        }
        for formula in dataset::formulas_of(&texts).take(FORMULAS_MAX.saturating_sub(self.formulas)) {
            self.formulas = self.formulas.saturating_add(1);
            inspection.list("artifact.dataset.formulas", format!("{formula}@{}", self.column));
        }
    }
}

/// Values one after another, each behind its length in four bytes, up to the very end.
pub fn plain(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        let (value, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        values.push(value);
        rest = after;
    }
    rest.is_empty().then_some(values)
}

/// Where the values of a buffer begin and end, if another buffer lists them: `rows` is how many there are.
pub fn bounds(offsets: &[u8], rows: u64, length: u64) -> Option<Vec<usize>> {
    let rows = usize::try_from(rows).ok()?.checked_add(1)?;
    [4_usize, 8].into_iter().find_map(|width| {
        [rows, offsets.len() / width].into_iter().filter(|count| *count > 1).find_map(|count| {
            let bytes = offsets.get(..count.checked_mul(width)?)?;
            let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
            let all: Vec<u64> = bytes.chunks_exact(width).map(number).collect();
            let last = all.last().copied().filter(|last| (1..=length).contains(last))?;
            // Lengths are padded to whole groups of 64 bytes.
            let whole = length.saturating_sub(last) < 64 && all.is_sorted();
            whole.then(|| all.into_iter().filter_map(|at| usize::try_from(at).ok()).collect())
        })
    })
}
