//! What stands for a file that Git does not keep: <https://git-lfs.com/spec/v1>.

use std::collections::BTreeSet;

use crate::event::Sha256;

/// A pointer has less than this; what is larger is a file.
pub const BYTES_MAX: u64 = 1024;

/// Values of `version`: that of the specification, and of what came before it.
const VERSIONS: [&str; 3] =
    ["https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"];

/// Digest and size of a file that lies elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer {
    pub sha256: Sha256,
    pub size: u64,
}

/// Reads a pointer; `None` for what is none, and a reason for what is one but for that.
///
/// Lines are `key value`, `version` first, the others in order, each once; `ext-N-name` are those of extensions.
pub fn read(bytes: &[u8]) -> Option<Result<Pointer, &'static str>> {
    // So does the program that puts the bytes in its place.
    let bytes = bytes.trim_ascii();
    let meant = bytes.starts_with(b"version https://git-lfs")
        || bytes.starts_with(b"version https://hawser")
        || bytes.starts_with(b"version http://git-media");
    meant.then(|| parse(bytes))
}

fn parse(bytes: &[u8]) -> Result<Pointer, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
    let (mut digest, mut size) = (None, None);
    let mut keys = BTreeSet::new();
    for (number, line) in text.split('\n').enumerate() {
        let (key, value) = line.trim_end_matches('\r').split_once(' ').ok_or("a line is no key with a value")?;
        if !keys.insert(key) {
            return Err("a key is there twice");
        }
        match key {
            "version" if number == 0 && VERSIONS.contains(&value) => {}
            "version" => return Err("its version is unknown"),
            "oid" => digest = Some(oid(value)?),
            "size" => size = Some(bytes_of(value)?),
            key if key.starts_with("ext-") => {}
            _ => return Err("it has a key that is unknown"),
        }
    }
    Ok(Pointer { sha256: digest.ok_or("it names no digest")?, size: size.ok_or("it names no size")? })
}

fn oid(value: &str) -> Result<Sha256, &'static str> {
    let hex = value.strip_prefix("sha256:").ok_or("its digest is no SHA-256")?;
    let lower = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hex.parse().ok().filter(|_| lower).ok_or("its digest is none")
}

fn bytes_of(value: &str) -> Result<u64, &'static str> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|size| digits && i64::try_from(*size).is_ok()).ok_or("its size is none")
}
