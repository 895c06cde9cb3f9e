//! Text in UTF-16 and UTF-32, which readers of XML and YAML take as well as UTF-8, and sources of Python in neither.

use std::borrow::Cow;

/// The text, whatever its width; bytes that are none become replacement characters.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let (width, big, skip) = match bytes {
        [0xff, 0xfe, 0, 0, ..] => (4, false, 4),
        [0, 0, 0xfe, 0xff, ..] => (4, true, 4),
        [0xff, 0xfe, ..] => (2, false, 2),
        [0xfe, 0xff, ..] => (2, true, 2),
        [first, 0, 0, 0, ..] if *first != 0 => (4, false, 0),
        [0, 0, 0, last, ..] if *last != 0 => (4, true, 0),
        [first, 0, ..] if *first != 0 => (2, false, 0),
        [0, second, ..] if *second != 0 => (2, true, 0),
        [0xef, 0xbb, 0xbf, rest @ ..] => return String::from_utf8_lossy(rest),
        _ => return String::from_utf8_lossy(bytes),
    };
    let rest = bytes.get(skip..).unwrap_or_default();
    let unit = |chunk: &[u8]| {
        let fold = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        if big { chunk.iter().fold(0, fold) } else { chunk.iter().rev().fold(0, fold) }
    };
    let units = rest.chunks_exact(width).map(unit);
    Cow::Owned(if width == 4 {
        units.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        char::decode_utf16(units.map(|code| u16::try_from(code).unwrap_or(u16::MAX)))
            .map(|code| code.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    })
}

/// A source of Python: it is written in a superset of ASCII. One that is not UTF-8 is read as Latin-1, in which each
/// byte is a character.
pub fn decode_source(bytes: &[u8]) -> Cow<'_, str> {
    if is_narrow(bytes) && std::str::from_utf8(bytes).is_err() {
        return Cow::Owned(bytes.iter().copied().map(char::from).collect());
    }
    decode(bytes)
}

/// True for text of one byte for each character of ASCII: no interpreter takes a source with zeros, and no text
/// begins with the first byte of a binary pickle.
pub fn is_narrow(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && bytes.first().is_some_and(|first| *first != 0x80)
}

/// True for a beginning that is wide text, by its mark.
pub fn has_mark(head: &[u8]) -> bool {
    matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..])
}
