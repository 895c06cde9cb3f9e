//! tar archives, and PyTorch's oldest format, which is one.

use std::collections::HashSet;
use std::io::Read as _;

use ::tar::{Archive, EntryType, Header};

use super::oci::{archive, layer};
use super::{Head, zip};
use crate::artifact::digest;
use crate::artifact::input::{Input, Memory, Stream};
use crate::artifact::inspection::Inspection;

/// Names kept to tell what an archive is, and where its links lead.
const NAMES_MAX: usize = 4096;
/// Bytes of a block, and of the zeros that may fill the last record.
const BLOCK: u64 = 512;
const FILLING: usize = 64 << 10;
/// Parts of one path that are followed.
const PARTS_MAX: usize = 256;

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.get(257..262) == Some(b"ustar") || has_checksum(head.bytes) || is_empty(head)
}

/// Two blocks of zeros end an archive; one without members is called so and holds nothing else.
fn is_empty(head: &Head<'_>) -> bool {
    let length = head.input.len();
    super::extension(head.name) == "tar"
        && head.bytes.iter().all(|byte| *byte == 0)
        && (2 * BLOCK..=FILLING as u64).contains(&length)
        && length.is_multiple_of(BLOCK)
        && head.input.read(0, FILLING).iter().all(|byte| *byte == 0)
}

/// Old archives have no magic; their header's checksum tells.
fn has_checksum(head: &[u8]) -> bool {
    let (Some(header), Some(field)) = (head.get(..512), head.get(148..156)) else { return false };
    let digits: String = field.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_digit).collect();
    let sum: u32 =
        header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    !digits.is_empty() && header.first() != Some(&0) && u32::from_str_radix(&digits, 8) == Ok(sum)
}

/// What follows the blocks of zeros that end the archive; a record may be filled with them.
fn behind(inspection: &mut Inspection<'_>, input: Input<'_>, end: u64) {
    let zeros = input.read(end, FILLING);
    let Some(start) = zeros.iter().position(|byte| *byte != 0).filter(|start| *start >= 512) else { return };
    let position = end.saturating_add(start as u64);
    super::trailing(inspection, input.from(position), position);
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let plan = archive::plan(input);
    let root = layer::is_layer(name);
    let mut archive = Archive::new(Stream::new(input));
    let Ok(entries) = archive.entries_with_seek() else {
        inspection.issue("malformed", "the tar archive cannot be read");
        return "tar";
    };
    // What it is called is what there is to tell a model by before its members were seen.
    let called = match super::extension(name).as_str() {
        "nemo" => "nemo",
        "pt" | "pth" | "bin" | "ckpt" => "pytorch-tar",
        _ => "zip",
    };
    let mut names = Vec::new();
    let mut links = HashSet::new();
    let mut end = 0;
    for entry in entries {
        let Ok(mut entry) = entry else {
            inspection.issue("malformed", "the tar archive is broken or cut off");
            break;
        };
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let header = entry.header().clone();
        let kind = header.entry_type();
        let size = entry.size();
        // A sparse member unfolds to more than is written of it.
        let written = if kind == EntryType::GNUSparse { header.entry_size().unwrap_or(size) } else { size };
        end = entry.raw_file_position().saturating_add(written).next_multiple_of(BLOCK);
        let data = input.window(entry.raw_file_position(), size);
        let file = matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        let target = target.as_deref().unwrap_or_default();
        inspection.list("artifact.members", &member);
        if root {
            layer::escapes(inspection, &member, kind, header.mode().unwrap_or(0), target);
            // Systems have more files than archives of models: those that are only listed cost their header.
            let budget = input.budget;
            if !budget.spend(&budget.read, budget.limits.read_bytes_max, BLOCK, "read_bytes_max") {
                break;
            }
            layer::note(inspection, &member, file);
            if file && (layer::whiteout(inspection, &member, size) || !layer::is_looked_at(&member, &data.read(0, 4))) {
                continue;
            }
        } else {
            escapes(inspection, &member, &header, target, &links);
        }
        if !input.budget.member() {
            inspection.issue("budget_exceeded", "the archive has more members than `members_max`");
            break;
        }
        if names.len() < NAMES_MAX {
            names.push(member.clone());
        }
        if kind == EntryType::Symlink && links.len() < NAMES_MAX {
            links.insert(member.trim_start_matches("./").trim_end_matches('/').to_owned());
        }
        if !file {
            continue;
        }
        if kind == EntryType::GNUSparse {
            sparse(inspection, input, &mut entry, &member);
            continue;
        }
        let part = plan.as_ref().and_then(|plan| plan.part(&member));
        if let Some(said) = digest::claimed(&member).or(part.and_then(|part| part.digest)) {
            let actual = match &plan {
                Some(plan) => plan.digest(&member),
                None => digest::sha256(data),
            };
            digest::compare(inspection, &member, said, actual);
        }
        inspection.member(part.map_or(&member, |part| archive::shown(&member, part)), |inspection| match part {
            Some(part) => archive::look(inspection, data, &member, part),
            None => zip::member_of(inspection, data, &member, called),
        });
    }
    if end >= input.len() {
        inspection.issue("truncated", "the archive has no end: members may be missing");
    }
    behind(inspection, input, end);
    if let Some(plan) = plan {
        plan.finish(inspection);
        return "oci-archive";
    }
    let torch = ["storages", "tensors", "pickle"]
        .iter()
        .all(|part| names.iter().any(|name| name.rsplit('/').next() == Some(part)));
    let file = |wanted: &str| names.iter().any(|name| name.rsplit('/').next() == Some(wanted));
    if torch {
        "pytorch-tar"
    } else if file("model_config.yaml") && (file("model_weights.ckpt") || super::extension(name) == "nemo") {
        "nemo"
    } else {
        "tar"
    }
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

/// What would be written outside of the folder, or as something that no model needs.
fn escapes(inspection: &mut Inspection<'_>, name: &str, header: &Header, target: &str, links: &HashSet<String>) {
    zip::escapes(inspection, name);
    let climbs = target.split('/').any(|part| part == "..");
    let what = match header.entry_type() {
        // One link after another leaves the folder in steps that each stay inside.
        EntryType::Symlink if zip::leaves(name, target) || climbs && passes(name, target, links) => {
            format!("{name} -> {target}")
        }
        // A hard link's target is a member, seen from the archive's root.
        EntryType::Link if climbs || zip::leaves("", target) => format!("{name} -> {target}"),
        EntryType::Char | EntryType::Block => format!("{name} (device)"),
        EntryType::Fifo => format!("{name} (fifo)"),
        EntryType::Symlink | EntryType::Link | EntryType::Directory => return,
        _ if header.mode().unwrap_or(0) & 0o6000 != 0 => format!("{name} (setuid)"),
        _ => return,
    };
    inspection.list("artifact.container.escapes", what);
}

/// True when the way from a link to its target leads through another link.
fn passes(name: &str, target: &str, links: &HashSet<String>) -> bool {
    let folder = name.trim_start_matches("./").rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut path: Vec<&str> = Vec::new();
    folder.split('/').chain(target.split('/')).take(PARTS_MAX).any(|part| {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
        links.contains(&path.join("/"))
    })
}
