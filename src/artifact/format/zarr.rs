//! Zarr: codecs that unpickle, and the chunks of arrays, alone or in shards.

use super::json::Json;
use super::{Head, checkpoint, compressed, midst, probe};
use crate::artifact::inflate::{Codec, unpack};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Deepest object looked at.
const DEPTH_MAX: u32 = 32;

/// Longest index of a shard that is looked for, in chunks.
const CHUNKS_MAX: u64 = 16_384;
/// Bytes of a chunk's place in the index of its shard, and of the checksum behind it.
const PLACE: u64 = 16;
const CHECKSUM: u64 = 4;

/// A piece of an array, which only its name tells: `c/0/1` of the third version of Zarr, `0.1` beside `.zarray`
/// of the second. Only such as are packed or cut into chunks are of interest: others are numbers.
pub fn identify(head: &Head<'_>) -> bool {
    is_chunk(head.name) && (is_packed(head.bytes) || shard(head.input).is_some())
}

fn is_chunk(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.len() <= 8 && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.rsplit('/');
    let file = parts.next().unwrap_or(name);
    let dotted = file.contains('.') && file.split('.').all(digits);
    dotted || digits(file) && parts.find(|part| !digits(part)) == Some("c")
}

fn is_packed(head: &[u8]) -> bool {
    matches!(head, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x1f, 0x8b, 8, ..])
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    value(inspection, input, name);
    "zarr"
}

/// What a store keeps under a key: the description of an array, a chunk, or a shard of chunks.
pub fn value(inspection: &mut Inspection<'_>, input: Input<'_>, key: &str) {
    let head = input.read(0, 8);
    if !is_chunk(key) {
        let file = key.rsplit('/').next().unwrap_or(key);
        if matches!(file, ".zarray" | ".zattrs" | ".zgroup" | "zarr.json") || head.starts_with(b"{") {
            super::inspect_member(inspection, input, key);
        } else {
            probe::data(inspection, input, input.position());
        }
        return;
    }
    match shard(input) {
        Some(places) => {
            for (start, length) in places {
                chunk(inspection, input.window(start, length));
            }
        }
        None => chunk(inspection, input),
    }
}

/// One chunk: numbers, as they are or packed.
pub fn chunk(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let codec = match input.read(0, 4).as_slice() {
        [0x28, 0xb5, 0x2f, 0xfd] => Codec::Zstd,
        [0x1f, 0x8b, 8, _] => Codec::Gzip,
        _ => {
            // Blosc, as a rule, or whatever else a codec made of the numbers.
            probe::data(inspection, input, input.position());
            return;
        }
    };
    let unpacked = unpack(input, codec);
    compressed::tell(inspection, &unpacked, input.len());
    let numbers = unpacked.input(input.budget);
    // Whoever calls a file so need not mean an array.
    if super::is_known(numbers) {
        super::inspect_member(inspection, numbers, "chunk");
        return;
    }
    midst::weights(inspection, numbers);
}

/// The places of the chunks in a shard: its index stands at its end, and accounts for every byte.
fn shard(input: Input<'_>) -> Option<Vec<(u64, u64)>> {
    let longest = CHUNKS_MAX.saturating_mul(PLACE).saturating_add(CHECKSUM).min(input.len());
    let tail = input.from(input.len().saturating_sub(longest));
    let bytes = tail.read(0, usize::try_from(longest).ok()?);
    let index = bytes.get(..bytes.len().checked_sub(usize::try_from(CHECKSUM).ok()?)?)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let mut places = Vec::new();
    let mut total = 0_u64;
    for (count, place) in (1_u64..).zip(index.rchunks_exact(usize::try_from(PLACE).ok()?)) {
        let (start, length) = place.split_at_checked(8).map(|(start, length)| (number(start), number(length)))?;
        // A chunk that is not there has a mark in its place.
        if (start, length) != (u64::MAX, u64::MAX) {
            total = total.checked_add(length).filter(|total| *total <= input.len() && start <= input.len())?;
            places.push((start, length));
        }
        let indexed = total.checked_add(count.checked_mul(PLACE)?)?.checked_add(CHECKSUM)?;
        if indexed == input.len() && !places.is_empty() {
            places.reverse();
            return Some(places);
        }
    }
    None
}

/// The description of an array: one whose values are pickles is loaded when it is read.
pub fn describe(inspection: &mut Inspection<'_>, json: &Json, file: &str, input: Input<'_>) {
    if matches!(file, "_metadata" | "_checkpoint_metadata" | "array_metadatas" | "_sharding") {
        texts(inspection, file, json, input, 0);
    }
    if matches!(file, ".zarray" | ".zmetadata" | "zarr.json" | ".zgroup" | ".zattrs") {
        codecs(inspection, json, 0);
    }
}

/// What Orbax says of a checkpoint: names of classes and numbers, and no code.
fn texts(inspection: &mut Inspection<'_>, key: &str, json: &Json, input: Input<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = json.as_text().filter(|text| text.len() >= 4) {
        if matches!(key, "path" | "base" | "url") && checkpoint::leaves(text) {
            inspection.list("artifact.container.escapes", text);
        }
        probe::text(inspection, key, text, input);
    }
    for (key, value) in json.members() {
        texts(inspection, key, value, input, depth.saturating_add(1));
    }
    json.items().iter().for_each(|item| texts(inspection, key, item, input, depth.saturating_add(1)));
}

fn codecs(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in json.members() {
        let name = value.as_text().unwrap_or_default();
        if matches!(key.as_str(), "id" | "name") && matches!(name, "pickle" | "numcodecs.pickle") {
            inspection.list("artifact.pickle.nested_loaders", "numcodecs.pickles.Pickle");
        }
        codecs(inspection, value, depth.saturating_add(1));
    }
    json.items().iter().for_each(|item| codecs(inspection, item, depth.saturating_add(1)));
}
