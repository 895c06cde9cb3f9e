//! Long texts, line by line and in pieces: secrets, characters that nobody sees, pickles as text.

use super::{hidden, probe, shipped};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Bytes that are looked through, and held at once.
const BYTES_MAX: u64 = 64 << 20;
const PIECE: usize = 256 << 10;
/// Texts that may be pickles, of one file.
const TRIES_MAX: usize = 256;

/// Hands pieces of whole lines to `look`, with the number of the first; returns false when not all
/// of the text was looked at.
pub fn pieces(input: Input<'_>, look: &mut dyn FnMut(&str, u32)) -> bool {
    let end = input.len().min(BYTES_MAX);
    let (mut position, mut line) = (0_u64, 1_u32);
    while position < end {
        let bytes = input.read(position, PIECE);
        if bytes.is_empty() {
            return false;
        }
        let last = position.saturating_add(bytes.len() as u64) >= input.len();
        // A line that is longer than a piece is cut.
        let cut = memchr::memrchr(b'\n', &bytes).map_or(bytes.len(), |at| at.saturating_add(1));
        let piece = if last { bytes.as_slice() } else { bytes.get(..cut).unwrap_or(&bytes) };
        look(&String::from_utf8_lossy(piece), line);
        let newlines = memchr::memchr_iter(b'\n', piece).count();
        line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        position = position.saturating_add(piece.len().max(1) as u64);
    }
    end == input.len()
}

/// Looks for what no text of data needs; for `hidden` characters as well, unless the text is one of
/// every character that there is. `key` says where a pickle was found.
pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, key: &str, hidden: bool) {
    let mut tries = 0;
    let whole = pieces(input, &mut |text, line| {
        shipped::find_secrets_from(inspection, text, line);
        if hidden {
            hidden::in_data(inspection, text, line);
        }
        for found in probe::pickles_in_text(text) {
            tries += 1;
            if tries <= TRIES_MAX && probe::encoded(inspection, found.as_str(), input) {
                let before = text.get(..found.start()).unwrap_or_default();
                let newlines = memchr::memchr_iter(b'\n', before.as_bytes()).count();
                let line = line.saturating_add(u32::try_from(newlines).unwrap_or(0));
                inspection.list("artifact.metadata.suspicious", format!("{key}@line {line}"));
            }
        }
    });
    if !whole {
        inspection.issue("budget_exceeded", "the text is longer than is looked at; only its beginning was");
    }
}
