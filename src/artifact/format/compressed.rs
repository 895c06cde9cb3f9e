//! Compressed streams, and archives that are recognised only.

use super::{Head, executable, probe};
use crate::artifact::inflate::{Codec, Fault, Unpacked, unpack};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Bytes of a header of gzip that are looked at.
const NOTES_MAX: usize = 256 << 10;

/// The compression that begins here.
fn codec(head: &[u8]) -> Option<(Codec, &'static str)> {
    match head {
        [0x1f, 0x8b, 8, ..] => Some((Codec::Gzip, "gzip")),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Some((Codec::Bzip2, "bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some((Codec::Xz, "xz")),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some((Codec::Lz4, "lz4")),
        // Both have frames that are skipped; those in front of LZ4 are not met.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some((Codec::Zstd, "zstd")),
        // The old LZMA container: properties, a dictionary size, and an unknown or sane length.
        [0x5d, 0, 0, _, _, length @ ..]
            if length.get(..8).is_some_and(|length| length == [0xff; 8] || length.ends_with(&[0, 0])) =>
        {
            Some((Codec::Lzma, "lzma"))
        }
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some((Codec::Zlib, "zlib")),
        _ => None,
    }
}

pub fn identify(head: &Head<'_>) -> bool {
    codec(head.bytes).is_some()
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let head = input.read(0, 16);
    let Some((codec, format)) = codec(&head) else { return "unknown" };
    if format == "gzip" {
        notes(inspection, input);
    }
    let unpacked = unpack(input, codec);
    tell(inspection, &unpacked, input.len());
    if unpacked.total == 0 {
        return format;
    }
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned();
    let inner = unpacked.input(input.budget);
    inspection.member("content", |inspection| {
        // The name of a compressed joblib file is that of the pickle in it.
        let name = if super::claims_pickle(name) || super::oci::layer::is_layer(name) { name } else { &stem };
        let found = super::inspect_member(inspection, inner, name);
        super::crowded(inspection, found, name, unpacked.found.more);
    });
    format
}

/// Names, comments and extra fields in the header of gzip (RFC 1952), which nobody reads.
fn notes(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let head = input.read(0, NOTES_MAX);
    let flags = head.get(3).copied().unwrap_or_default();
    let mut rest = head.get(10..).unwrap_or_default();
    let mut look = |key: &str, bytes: &[u8]| {
        if executable::kind(bytes).is_some() {
            executable::look(inspection, bytes, 0);
        }
        probe::value(inspection, key, bytes, input);
        if key == "gzip_name" {
            super::zip::escapes(inspection, &String::from_utf8_lossy(bytes));
        }
    };
    if flags & 4 != 0
        && let Some(([low, high], tail)) = rest.split_first_chunk::<2>()
    {
        let (extra, tail) =
            tail.split_at_checked(usize::from(u16::from_le_bytes([*low, *high]))).unwrap_or((tail, &[]));
        // Each field has two letters and its length in front.
        look("gzip_extra", extra.get(4..).unwrap_or_default());
        rest = tail;
    }
    for (flag, key) in [(8, "gzip_name"), (16, "gzip_comment")] {
        if flags & flag != 0 {
            let end = memchr::memchr(0, rest).unwrap_or(rest.len());
            look(key, rest.get(..end).unwrap_or_default());
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        }
    }
}

/// Says what was wrong with a compressed stream.
pub fn tell(inspection: &mut Inspection<'_>, unpacked: &Unpacked<'_>, packed: u64) {
    match unpacked.fault {
        None => {}
        Some(Fault::Corrupt) => inspection.issue("malformed", "a compressed stream is broken or cut off"),
        Some(Fault::Ratio) => {
            inspection.list("artifact.container.bomb", "ratio");
            inspection.issue(
                "budget_exceeded",
                "a compressed stream unfolds out of all proportion; the rest was not looked at",
            );
        }
        Some(Fault::Size) => {
            if unpacked.total / 100 > packed {
                inspection.list("artifact.container.bomb", "size");
            }
            inspection.issue(
                "budget_exceeded",
                "a compressed stream is longer than `inflate_bytes_max`; the rest was not looked at",
            );
        }
    }
}

/// Archives whose content is not looked into.
fn archive(head: &Head<'_>) -> Option<&'static str> {
    match head.bytes {
        [b'R', b'a', b'r', b'!', 0x1a, 0x07, ..] => Some("rar"),
        [b'M', b'S', b'C', b'F', 0, 0, 0, 0, ..] => Some("cab"),
        // Nothing, as a rule, or a loader stands in front of an image of a disc.
        bytes if bytes.iter().take(512).all(|byte| *byte == 0) || super::extension(head.name) == "iso" => {
            (head.input.read(0x8001, 5) == b"CD001").then_some("iso")
        }
        _ => None,
    }
}

pub fn is_archive(head: &Head<'_>) -> bool {
    archive(head).is_some()
}

pub fn inspect_archive(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let bytes = input.read(0, super::HEAD_BYTES);
    let Some(kind) = archive(&Head { bytes: &bytes, input, name }) else { return "unknown" };
    // No loader of models opens one: it is there to get past whoever looks.
    if super::claim(name).is_some() {
        inspection.list("artifact.container.anomalies", "unexpected_container");
    }
    let detail = match kind {
        "rar" => "RAR archives are not looked into: unpack it, and scan what was in it",
        "cab" => "CAB archives are not looked into: unpack it, and scan what was in it",
        _ => "images of discs are not looked into: mount or unpack it, and scan what was in it",
    };
    inspection.issue("not_inspected", detail);
    kind
}
