//! tar archives, and PyTorch's oldest format, which is one.

use std::io::Read as _;

use ::tar::{Archive, EntryType};

use super::Head;
use crate::artifact::Memory;
use crate::artifact::input::{Input, Stream};
use crate::artifact::inspection::Inspection;

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.get(257..262) == Some(b"ustar") || has_checksum(head.bytes)
}

/// Old archives have no magic; their header's checksum tells.
fn has_checksum(head: &[u8]) -> bool {
    let (Some(header), Some(field)) = (head.get(..512), head.get(148..156)) else { return false };
    let digits: String = field.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_digit).collect();
    let sum: u32 =
        header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    !digits.is_empty() && header.first() != Some(&0) && u32::from_str_radix(&digits, 8) == Ok(sum)
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let mut archive = Archive::new(Stream::new(input));
    let Ok(entries) = archive.entries() else {
        inspection.issue("malformed", "the tar archive cannot be read");
        return "tar";
    };
    let mut names = Vec::new();
    for entry in entries {
        let Ok(mut entry) = entry else {
            inspection.issue("malformed", "the tar archive is broken or cut off");
            break;
        };
        if !input.budget.member() {
            inspection.issue("budget_exceeded", "the archive has more members than `members_max`");
            break;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let header = entry.header().clone();
        let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        escapes(inspection, &name, header.entry_type(), target.as_deref(), header.mode().unwrap_or(0));
        inspection.list("artifact.members", &name);
        if names.len() < 4096 {
            names.push(name.clone());
        }
        if !matches!(header.entry_type(), EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse) {
            continue;
        }
        let size = entry.size();
        if entry.header().entry_type() == EntryType::GNUSparse {
            sparse(inspection, input, &mut entry, &name);
            continue;
        }
        let data = input.window(entry.raw_file_position(), size);
        inspection.member(&name, |inspection| {
            super::zip::member_of(inspection, data, &name);
        });
    }
    let torch = ["storages", "tensors", "pickle"]
        .iter()
        .all(|part| names.iter().any(|name| name.rsplit('/').next() == Some(part)));
    if torch { "pytorch-tar" } else { "tar" }
}

/// A sparse member lies in pieces: it is read through the archive's reader, within one item.
fn sparse(inspection: &mut Inspection<'_>, input: Input<'_>, entry: &mut ::tar::Entry<'_, Stream<'_>>, name: &str) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = entry.read(&mut buffer) {
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let spent = input.budget.spend(
            &input.budget.inflated,
            input.budget.limits.inflate_bytes_max,
            count as u64,
            "inflate_bytes_max",
        );
        if !spent || bytes.len() > input.budget.item_max() {
            inspection.issue("budget_exceeded", "a sparse member is larger than one item may be");
            break;
        }
    }
    let bytes = Memory(bytes);
    inspection.member(name, |inspection| {
        super::inspect_member(inspection, Input::new(&bytes, input.budget), name);
    });
}

fn escapes(inspection: &mut Inspection<'_>, name: &str, kind: EntryType, target: Option<&str>, mode: u32) {
    super::zip::escapes(inspection, name);
    let what = match kind {
        EntryType::Symlink | EntryType::Link => {
            let target = target.unwrap_or_default();
            let outside =
                target.starts_with('/') || target.split('/').any(|part| part == "..") || target.contains('\\');
            if outside { format!("{name} -> {target}") } else { return }
        }
        EntryType::Char | EntryType::Block => format!("{name} (device)"),
        EntryType::Fifo => format!("{name} (fifo)"),
        _ if mode & 0o6000 != 0 => format!("{name} (setuid)"),
        _ => return,
    };
    inspection.list("artifact.container.escapes", what);
}
