//! ZIP archives: what the directory says, what lies in the file, and every difference between the
//! two. Members are looked at whatever their flags, sizes and checksums say.

pub mod entries;
mod model;
mod notes;
mod shards;
mod storages;
pub mod torch;

use std::collections::{BTreeMap, HashSet};

use entries::{Archive, Entry, Source};

use super::Head;
use crate::artifact::Segment;
use crate::artifact::inflate::{Codec, Fault, unpack};
use crate::artifact::input::{Budget, Input, Memory};
use crate::artifact::inspection::Inspection;

/// Longest target of a link that is read.
const LINK_MAX: usize = 4096;

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.starts_with(b"PK\x03\x04") || head.bytes.starts_with(b"PK\x05\x06")
}

/// True when a directory ends the file: data may lie in front of an archive.
pub fn has_members(input: Input<'_>) -> bool {
    let tail = input.len().saturating_sub(66_000);
    let bytes = input.read(tail, 66_000);
    let Some(at) = memchr::memmem::rfind(&bytes, b"PK\x05\x06") else { return false };
    bytes.get(at..).is_some_and(|end| end.len() >= 22 && end.get(10..12) != Some(&[0, 0]))
}

/// Names of the members of an archive, at no cost to whoever asks.
pub fn names(input: Input<'_>) -> Vec<String> {
    let budget = Budget::new(&input.budget.limits);
    let archive = entries::read(&mut Inspection::new(&budget), input.charged_to(&budget));
    archive.entries.into_iter().map(|entry| entry.name).collect()
}

/// Tensors that lie in an archive as they are: storages of PyTorch, arrays of NumPy.
pub fn segments(input: Input<'_>) -> Vec<Segment> {
    let budget = Budget::new(&input.budget.limits);
    let archive = entries::read(&mut Inspection::new(&budget), input.charged_to(&budget));
    storages::segments(input, &archive.entries)
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    if super::extension(name) != "distcp" {
        return archive(inspection, input, name);
    }
    let mut format = "zip";
    for (start, len) in shards::parts(input) {
        let part = input.window(start, len);
        if part.read(0, 4).starts_with(b"PK\x03\x04") {
            format = archive(inspection, part, name);
        } else {
            super::inspect_member(inspection, part, "part");
        }
    }
    format
}

fn archive(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let archive = entries::read(inspection, input);
    compare(inspection, &archive);
    notes::look(inspection, input, &archive);
    let format = model::format(&archive.entries);
    members(inspection, input, &archive, format);
    model::finish(inspection, &archive.entries, format, name);
    format
}

/// The archive behind a program, whose tools write it in a way of their own.
pub fn inspect_behind(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let archive = entries::read(inspection, input);
    members(inspection, input, &archive, "llamafile");
}

fn members(inspection: &mut Inspection<'_>, input: Input<'_>, archive: &Archive, format: &'static str) {
    let mut seen: HashSet<(u64, bool)> = HashSet::new();
    for entry in &archive.entries {
        escapes(inspection, &entry.name);
        inspection.list("artifact.members", &entry.name);
        if !input.budget.member() {
            inspection.issue("budget_exceeded", "the archive has more members than `members_max`");
            break;
        }
        // The same bytes named twice are looked at once, unless the two headers see them otherwise.
        if entry.is_directory() || !seen.insert((entry.data, entry.stored)) {
            continue;
        }
        if entry.link {
            link(inspection, input, entry);
        }
        inspection.member(&entry.name, |inspection| member(inspection, input, entry, format));
    }
    overlaps(inspection, &archive.entries);
}

/// Disagreements between the directory and the local headers, told once each.
fn compare(inspection: &mut Inspection<'_>, archive: &Archive) {
    let mut anomaly = |code: &str| inspection.list("artifact.container.anomalies", code);
    let mut directory: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in &archive.entries {
        if entry.source == Source::Local {
            if archive.directories > 0 {
                anomaly("hidden_entry");
            }
        } else {
            let count = directory.entry(entry.name.as_str()).or_default();
            *count = count.saturating_add(1);
        }
        if entry.name_differs {
            anomaly("name_mismatch");
        }
        if entry.size_differs {
            anomaly("size_mismatch");
        }
        // Bit 0 encrypts, 5 patches, 6 and 13 encrypt more: no writer of models sets them.
        if entry.flags & 0x2061 != 0 {
            anomaly("flag_bits");
        }
    }
    if directory.values().any(|count| *count > 1) {
        anomaly("duplicate_entry");
    }
    for (present, code) in [
        (archive.directories == 0, "no_directory"),
        (archive.directories > 1, "several_directories"),
        (archive.prefix, "prefix_data"),
        (archive.trailing, "trailing_data"),
    ] {
        if present {
            anomaly(code);
        }
    }
}

fn member(inspection: &mut Inspection<'_>, input: Input<'_>, entry: &Entry, format: &'static str) {
    let packed = input.window(entry.data, entry.packed);
    if packed.len() < entry.packed {
        inspection.issue("truncated", "a member reaches beyond the end of the archive");
    }
    let codec = match entry.method {
        0 => {
            stored_checksum(inspection, packed, entry);
            model::member(inspection, packed, &entry.name, format);
            return;
        }
        8 => Codec::Deflate,
        12 => Codec::Bzip2,
        93 => Codec::Zstd,
        95 => Codec::Xz,
        14 if packed.len() <= input.budget.item_max() as u64 => {
            let alone = lzma(packed, entry);
            inflated(inspection, Input::new(&alone, input.budget), Codec::Lzma, entry, format);
            return;
        }
        method => {
            inspection.issue(
                "not_inspected",
                &format!("the member uses compression method {method}, which is not supported"),
            );
            // A lie about the method must not hide a pickle that was stored.
            model::member(inspection, packed, &entry.name, format);
            return;
        }
    };
    inflated(inspection, packed, codec, entry, format);
}

/// LZMA in a ZIP has a header of its own (APPNOTE.TXT 5.8); this is the one of files.
fn lzma(packed: Input<'_>, entry: &Entry) -> Memory {
    let bytes = packed.whole().unwrap_or_default();
    let properties = bytes.get(4..9).unwrap_or_default();
    // Bit 1: the stream ends with a mark, and need not say how long it is.
    let size = if entry.flags & 2 == 0 { entry.size } else { u64::MAX };
    Memory([properties, &size.to_le_bytes(), bytes.get(9..).unwrap_or_default()].concat())
}

fn inflated(inspection: &mut Inspection<'_>, packed: Input<'_>, codec: Codec, entry: &Entry, format: &'static str) {
    let unpacked = unpack(packed, codec);
    if unpacked.fault == Some(Fault::Corrupt) && unpacked.total == 0 {
        model::member(inspection, packed, &entry.name, format);
    }
    super::compressed::tell(inspection, &unpacked, packed.len());
    if unpacked.fault.is_none() {
        if unpacked.crc != entry.crc {
            inspection.list("artifact.container.anomalies", "crc_mismatch");
        }
        if entry.size != u64::from(u32::MAX) && unpacked.total != entry.size {
            inspection.list("artifact.container.anomalies", "size_mismatch");
        }
    }
    model::member(inspection, unpacked.input(packed.budget), &entry.name, format);
    super::crowded(inspection, format, &entry.name, unpacked.found.more);
}

/// A link whose target lies outside of the directory into which it is unpacked.
fn link(inspection: &mut Inspection<'_>, input: Input<'_>, entry: &Entry) {
    let packed = input.window(entry.data, entry.packed);
    let target = if entry.method == 8 {
        Input::new(&*unpack(packed, Codec::Deflate).bytes, input.budget).read(0, LINK_MAX)
    } else {
        packed.read(0, LINK_MAX)
    };
    let target = String::from_utf8_lossy(&target).into_owned();
    if leaves(&entry.name, &target) {
        inspection.list("artifact.container.escapes", format!("{} -> {target}", entry.name));
    }
}

/// True when a link that is called `name` leads out of the directory in which it is unpacked.
pub fn leaves(name: &str, target: &str) -> bool {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let depth = folder.split('/').filter(|part| !matches!(*part, "" | ".")).count();
    let below = target.split(['/', '\\']).try_fold(depth, |depth, part| match part {
        ".." => depth.checked_sub(1),
        "" | "." => Some(depth),
        _ => Some(depth.saturating_add(1)),
    });
    below.is_none() || target.starts_with(['/', '\\']) || target.get(1..2) == Some(":")
}

/// The checksum of what is stored, where it is small; that of weights would cost a second pass.
fn stored_checksum(inspection: &mut Inspection<'_>, data: Input<'_>, entry: &Entry) {
    if data.len() > (1 << 20) || entry.crc == 0 {
        return;
    }
    let Some(bytes) = data.whole() else { return };
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    if crc.sum() != entry.crc {
        inspection.list("artifact.container.anomalies", "crc_mismatch");
    }
}

/// Several members over the same bytes multiply what an archive unfolds to.
fn overlaps(inspection: &mut Inspection<'_>, entries: &[Entry]) {
    let mut spans: Vec<(u64, u64)> = entries
        .iter()
        .filter(|entry| entry.packed > 0)
        .map(|entry| (entry.header, entry.data.saturating_add(entry.packed)))
        .collect();
    spans.sort_unstable();
    spans.dedup();
    let mut end = 0;
    let mut overlapping = 0_u32;
    for (start, stop) in spans {
        if start < end {
            overlapping = overlapping.saturating_add(1);
        }
        end = end.max(stop);
    }
    if overlapping > 0 {
        inspection.list("artifact.container.bomb", "overlap");
    }
}

/// A name that would leave the directory into which it is unpacked.
pub fn escapes(inspection: &mut Inspection<'_>, name: &str) {
    let slashes = name.replace('\\', "/");
    let drive = matches!(slashes.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if slashes.starts_with('/') || drive || slashes.split('/').any(|part| part == "..") || name.contains('\0') {
        inspection.list("artifact.container.escapes", name);
    }
}

/// Looks at a member of an archive that is no ZIP the way a plain ZIP's would be.
pub fn member_of(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str, format: &'static str) {
    model::member(inspection, input, name, format);
}
