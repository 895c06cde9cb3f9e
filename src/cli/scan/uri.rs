//! Paths as URI references (RFC 3986): everything unusual is percent-encoded, byte by byte.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

/// The path with `/` as it is.
pub fn encoded(path: &Path) -> String {
    path.as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(*byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A SARIF `artifactLocation`: relative to the current directory, which is the checkout in CI, for
/// whatever lies in it.
pub fn location(path: &Path) -> Value {
    let here = std::env::current_dir().unwrap_or_default();
    let relative = if path.is_absolute() { path.strip_prefix(&here).ok() } else { Some(path) };
    match relative {
        Some(path) => json!({ "uri": encoded(path), "uriBaseId": "%SRCROOT%" }),
        None => json!({ "uri": format!("file://{}", encoded(path)) }),
    }
}
