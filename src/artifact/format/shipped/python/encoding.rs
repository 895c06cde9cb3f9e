//! Sources whose first lines say that they are written in an encoding in which nobody reads them.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::Regex;

/// Encodings that hide a program from whoever reads its source as text.
const ODD: &[&str] = &[
    "utf7",
    "unicodeescape",
    "rawunicodeescape",
    "stringescape",
    "rot13",
    "hex",
    "hexcodec",
    "base64",
    "base64codec",
    "zlib",
    "zip",
    "bz2",
    "uu",
    "quopri",
    "quotedprintable",
    "punycode",
    "idna",
];

static DECLARED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[ \t\x0c]*#.*?coding[:=][ \t]*([-\w.]+)").ok());
/// Runs of UTF-7 end anywhere, so that bits may be left over.
static LOOSE: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, config)
});

/// The source as Python reads it, and the encoding when it is an odd one.
pub fn decode(text: &str) -> (Cow<'_, str>, Option<String>) {
    let mut lines = text.lines().take(2);
    let declared =
        lines.find_map(|line| DECLARED.as_ref()?.captures(line)?.get(1).map(|name| name.as_str().to_owned()));
    let Some(name) = declared else { return (Cow::Borrowed(text), None) };
    let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
    if !ODD.contains(&plain.as_str()) {
        return (Cow::Borrowed(text), None);
    }
    let decoded = match plain.as_str() {
        "utf7" => Some(utf7(text)),
        "unicodeescape" | "rawunicodeescape" | "stringescape" => Some(escapes(text)),
        // The line that declares it is written as it stands.
        _ => text.split_once('\n').and_then(|(_, rest)| super::constants::decoded(rest, &plain)),
    };
    (decoded.map_or(Cow::Borrowed(text), Cow::Owned), Some(name))
}

/// `+AGE-` is `a`.
fn utf7(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('+') {
        out.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/').unwrap_or(after.len());
        let (run, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        let units = LOOSE.decode(run).unwrap_or_default();
        if run.is_empty() {
            out.push('+');
        } else {
            let units =
                units.chunks_exact(2).map(|pair| pair.iter().fold(0_u16, |unit, byte| unit << 8 | u16::from(*byte)));
            out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
        rest = tail.strip_prefix('-').unwrap_or(tail);
    }
    out.push_str(rest);
    out
}

/// `\n`, `\x61`, `\u0061`: also in a comment, which ends there.
fn escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let Some(kind) = after.chars().next() else { break };
        rest = after.get(kind.len_utf8()..).unwrap_or_default();
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'n' | 'r' => {
                out.push('\n');
                continue;
            }
            't' => {
                out.push('\t');
                continue;
            }
            other => {
                out.push(other);
                continue;
            }
        };
        let code = rest.get(..digits).and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        if let Some(c) = code {
            out.push(c);
            rest = rest.get(digits..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}
