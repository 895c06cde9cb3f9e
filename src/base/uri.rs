//! Texts as parts of URI references (RFC 3986): everything unusual is percent-encoded, byte by byte.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const WITH_SLASH: AsciiSet = UNRESERVED.remove(b'/');

/// One part of a path or key.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, &UNRESERVED).to_string()
}

/// A path whose slashes stay.
pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, &WITH_SLASH).to_string()
}

/// A path that need not be text; slashes stay.
pub fn encode_path_bytes(path: &[u8]) -> String {
    percent_encode(path, &WITH_SLASH).to_string()
}
