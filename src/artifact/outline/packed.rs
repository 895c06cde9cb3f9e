//! Numbers packed into one text, and the digests that they are.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Bytes as base64 in JSON: digests of many small things, one behind another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed(pub Vec<u8>);

impl Packed {
    /// The numbers of `width` bytes each, the lowest byte first; nothing for a width that is none.
    pub fn numbers(&self, width: usize) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.0.chunks_exact(width.clamp(1, 8)).map(number)
    }

    /// Adds the lowest `width` bytes of a number.
    pub fn push(&mut self, value: u64, width: usize) {
        self.0.extend(value.to_le_bytes().iter().take(width.clamp(1, 8)));
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD_NO_PAD.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// Eight bytes of a keyed digest. Who knows the key may find two things of the same digest, at 2^32 tries, and a
/// second one to a given one at 2^64: outlines tell versions apart, they prove nothing.
pub fn print(bytes: &[u8]) -> u64 {
    let mut hasher = hasher();
    hasher.update(bytes);
    finish(&hasher)
}

/// The same for what comes in pieces.
pub fn hasher() -> blake3::Hasher {
    static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| blake3::derive_key("lanner artifact outline v1", b"print"));
    blake3::Hasher::new_keyed(&KEY)
}

pub fn finish(hasher: &blake3::Hasher) -> u64 {
    hasher.finalize().as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Sixteen digits: how single digests stand in an outline.
pub fn digits(print: u64) -> String {
    format!("{print:016x}")
}
