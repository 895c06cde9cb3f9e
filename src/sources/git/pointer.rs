//! What stands for a file that Git does not keep: <https://git-lfs.com/spec/v1>, as Git LFS itself reads it.

use gix_object::bstr::ByteSlice as _;

use crate::event::Sha256;

/// Git LFS reads so many bytes and takes what they say, whatever follows. A pointer should have less.
pub const BYTES: usize = 1024;

/// Values of `version`: that of the specification, and of what came before it.
const VERSIONS: [&str; 3] =
    ["https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"];
const MEANT: [&[u8]; 3] = [b"version https://git-lfs", b"version https://hawser", b"version http://git-media"];
/// Keys in their order; those of extensions may stand between them.
const KEYS: [&str; 3] = ["version", "oid", "size"];

/// Digest and size of a file that lies elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer {
    pub sha256: Sha256,
    pub size: u64,
    /// Some programs take it for a pointer, others for a file.
    pub too_long: bool,
}

/// Whether a file begins as a pointer does.
pub fn is_meant(head: &[u8]) -> bool {
    let head = head.trim();
    MEANT.iter().any(|beginning| head.starts_with(beginning))
}

/// Reads a pointer from the first bytes of a file; `None` for what is none, and a reason for what is one but for that.
pub fn read(head: &[u8]) -> Option<Result<Pointer, &'static str>> {
    let too_long = head.len() >= BYTES;
    is_meant(head).then(|| parse(head.trim(), too_long))
}

fn parse(bytes: &[u8], too_long: bool) -> Result<Pointer, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
    let mut values = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(' ').ok_or("a line is no key with a value")?;
        match KEYS.get(values.len()) {
            Some(expected) if key == *expected => values.push(value),
            Some(_) if is_extension(key) => {}
            Some(_) | None => return Err("it has a key that is unknown, twice there or not in its place"),
        }
    }
    let [version, oid, size] = values.as_slice() else { return Err("it lacks a digest or a size") };
    if !VERSIONS.contains(version) {
        return Err("its version is unknown");
    }
    Ok(Pointer { sha256: digest(oid)?, size: bytes_of(size)?, too_long })
}

fn is_extension(key: &str) -> bool {
    let name = key.strip_prefix("ext-").and_then(|rest| rest.strip_prefix(|digit: char| digit.is_ascii_digit()));
    let first = name.and_then(|rest| rest.strip_prefix('-')).and_then(|name| name.chars().next());
    first.is_some_and(|first| first.is_ascii_alphanumeric() || first == '_')
}

fn digest(value: &str) -> Result<Sha256, &'static str> {
    let hex = value.strip_prefix("sha256:").ok_or("its digest is no SHA-256")?;
    let lower = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hex.parse().ok().filter(|_| lower).ok_or("its digest is none")
}

/// As Go reads a number: with a sign, if it likes.
fn bytes_of(value: &str) -> Result<u64, &'static str> {
    value.parse::<i64>().ok().and_then(|size| u64::try_from(size).ok()).ok_or("its size is none")
}
