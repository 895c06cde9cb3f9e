//! What has no place in data, wherever it lies: programs and pickles among numbers, code and
//! pickles among texts.

use std::sync::LazyLock;

use regex::{Match, Regex};

use super::{executable, hidden, midst, pickle, shipped};
use crate::artifact::Memory;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;
use crate::artifact::search::Search;

/// Longest text that is looked through.
const TEXT_MAX: usize = 1 << 20;

/// Bytes that are searched where the layout of a file is not known.
const SEARCH_MAX: u64 = 4 << 20;
const PIECE: usize = 256 << 10;
/// Parts of one text that are tried.
const TRIES_MAX: usize = 16;

/// What protocols 2 to 5 look like in base64 and in hexadecimal, old protocols that import, and what begins
/// as gzip and zlib do; base64 may be broken into lines.
static PICKLED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^A-Za-z0-9+/])((?:gA[I-X]|Y2J1aWx0|Y19fYnVp|Y29zC|Y3Bvc2l4|Y3N1YnBy|H4sI|eJ[w-z]|eN[o-r]|eAE|eF4)[A-Za-z0-9+/_-]{17,}(?:\r?\n[ \t]*[A-Za-z0-9+/_-]{20,})*(?:\r?\n[ \t]*[A-Za-z0-9+/_-]{2,19})?={0,2}|(?:80(?:02|03|04|05)|1f8b08|78(?:01|5e|9c|da))[0-9a-fA-F]{32,})")
        .ok()
});

/// Parts of a text that may be pickles.
pub fn pickles_in_text(text: &str) -> impl Iterator<Item = Match<'_>> {
    PICKLED.iter().flat_map(|pattern| pattern.captures_iter(text)).filter_map(|found| found.get(1))
}

/// Searches bytes of which nothing is known, or whose layout lies, for programs and pickles.
pub fn search(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let mut search = Search::default();
    let mut position = 0_u64;
    while position < SEARCH_MAX {
        let piece = input.window(position, SEARCH_MAX.saturating_sub(position)).read(0, PIECE);
        if piece.is_empty() {
            break;
        }
        search.update(&piece);
        position = position.saturating_add(piece.len() as u64);
    }
    let found = search.finish();
    midst::look(inspection, input.window(0, SEARCH_MAX), found.hits.iter().map(|hit| (hit.offset, hit.kind)));
    if found.more > 0 {
        inspection.issue("budget_exceeded", "more places look like programs and pickles than are tried");
    }
}

/// Looks at the beginning of bytes that should be numbers, `position` bytes into the file.
pub fn data(inspection: &mut Inspection<'_>, data: Input<'_>, position: u64) {
    if program(inspection, data, position) {
        inspection.add("artifact.pickle.nested", 1);
    }
}

/// The same where a dataset may keep objects of its own: a pickle is told by what it does, and its
/// being there is no finding.
pub fn values(inspection: &mut Inspection<'_>, data: Input<'_>, position: u64) {
    program(inspection, data, position);
}

/// Pickles alone, where programs are at home.
pub fn pickles(inspection: &mut Inspection<'_>, data: Input<'_>) {
    let head = data.read(0, 512);
    if head.starts_with(&[0x80]) && pickle::may_be_pickle(&head, data.len()) && pickle::attempt(inspection, data) {
        inspection.add("artifact.pickle.nested", 1);
    }
}

fn program(inspection: &mut Inspection<'_>, data: Input<'_>, position: u64) -> bool {
    let head = data.read(0, 512);
    if executable::kind(&head).is_some_and(|kind| kind != "script") || head.starts_with(b"#!/") {
        executable::look(inspection, &head, position);
    }
    head.starts_with(&[0x80]) && pickle::may_be_pickle(&head, data.len()) && pickle::attempt(inspection, data)
}

/// A value of metadata: text, or bytes that are none. True when it is a pickle that acts, or code.
pub fn value(inspection: &mut Inspection<'_>, key: &str, bytes: &[u8], input: Input<'_>) -> bool {
    if pickled(inspection, bytes, input) {
        inspection.list("artifact.metadata.suspicious", key);
        return true;
    }
    std::str::from_utf8(bytes).is_ok_and(|value| text(inspection, key, value, input))
}

/// A text under a name: code, a pickle as text, characters that nobody sees, secrets.
pub fn text(inspection: &mut Inspection<'_>, key: &str, text: &str, input: Input<'_>) -> bool {
    let text = text.get(..TEXT_MAX).unwrap_or(text);
    hidden::inspect(inspection, text, false);
    shipped::find_secrets(inspection, text);
    let mut found = shipped::holds_code(text) || encoded(inspection, text, input);
    for part in pickles_in_text(text).take(TRIES_MAX) {
        found |= part.len() < text.len() && encoded(inspection, part.as_str(), input);
    }
    if found {
        inspection.list("artifact.metadata.suspicious", key);
    }
    found
}

/// True for a text that holds code or the address of a bare host.
pub fn code(text: &str) -> bool {
    shipped::holds_code(text)
}

/// True, and told, when a text is a pickle: as it stands, in base64 or in hexadecimal.
pub fn encoded(inspection: &mut Inspection<'_>, text: &str, input: Input<'_>) -> bool {
    pickle::decode_text(text).is_some_and(|bytes| pickled(inspection, &bytes, input))
}

/// True, and told, when bytes are a pickle that acts, or one that was compressed.
pub fn pickled(inspection: &mut Inspection<'_>, bytes: &[u8], input: Input<'_>) -> bool {
    if !pickle::may_be_pickle(bytes, bytes.len() as u64) {
        return false;
    }
    let bytes = Memory(bytes.to_vec());
    let whole = Input::new(&bytes, input.budget);
    if matches!(bytes.0.as_slice(), [0x78, ..] | [0x1f, 0x8b, ..]) {
        let unpacked = crate::artifact::inflate::small(whole).map(Memory);
        return unpacked.is_some_and(|bytes| pickle::attempt(inspection, Input::new(&bytes, input.budget)));
    }
    pickle::attempt(inspection, whole)
}
