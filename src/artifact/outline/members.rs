//! Archives: names, lengths and checksums of their members, and the outlines of those that say something themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tar::{Archive, EntryType};

use super::packed::{digits, finish, hasher};
use super::take::{Taking, ending};
use super::{Body, Told, imports, layers};
use crate::artifact::format::json::Json;
use crate::artifact::format::zip::entries::{self, Entry, Source};
use crate::artifact::inflate::{Codec, unpack};
use crate::artifact::input::{Input, Stream};
use crate::artifact::inspection::Inspection;
use crate::base::text::shorten;
use crate::event::difference::Grade;

/// Members of one archive that are kept, and of which outlines are taken.
const MEMBERS_MAX: usize = 6000;
const TAKEN_MAX: usize = 200;
/// Bytes of a member of which an outline is taken.
const MEMBER_MAX: u64 = 16 << 20;
/// Names in one sentence.
const NAMED_MAX: usize = 10;
/// How sources, programs and pickles are called.
const CODE: [&[&str]; 3] =
    [&["py", "pyc", "sh", "bat", "ps1", "pth"], &["so", "dll", "dylib", "pyd", "exe", "jar"], &["pkl", "pickle"]];

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Members {
    /// Length and checksum by name.
    members: BTreeMap<String, (u64, String)>,
    /// All of them, those that were not kept included.
    count: u64,
}

/// How often each of some texts is there.
pub fn counted(items: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        let count: &mut u64 = counts.entry(item).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// The format of a member by its name; of one of numbers only, none.
fn format_of(name: &str) -> Option<&'static str> {
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    Some(match extension {
        "json" => "json",
        "yaml" | "yml" => "yaml",
        "jinja" | "jinja2" | "j2" => "jinja",
        "py" => "python",
        "ipynb" => "notebook",
        "txt" if file.contains("requirements") => "requirements",
        "txt" | "md" | "prompt" | "toml" | "lock" => "text",
        "csv" | "tsv" => "csv",
        "jsonl" | "ndjson" => "jsonl",
        "pkl" | "pickle" => "pickle",
        "onnx" => "onnx",
        "tflite" => "tflite",
        "parquet" => "parquet",
        _ => return None,
    })
}

/// The format of a member whose bytes say more than its name.
fn take_member(taking: &mut Taking, input: Input<'_>, name: &str, container: &str, depth: u32) {
    if container == "keras" && name == "config.json" {
        if let Some(json) = input.whole().and_then(|bytes| Json::parse_python(&bytes)) {
            layers::take(taking, &json);
        }
        return;
    }
    let Some(format) = format_of(name) else { return };
    if format == "pickle" && matches!(container, "pytorch" | "torchscript" | "pytorch-tar") {
        // Its folder is called like the file was when it was written.
        let short = name.rsplit('/').next().unwrap_or(name);
        imports::take(taking, input, short);
        return;
    }
    taking.member(input, name, format, depth.saturating_add(1));
}

pub fn zip(taking: &mut Taking, input: Input<'_>, format: &str, depth: u32) {
    let mut scratch = Inspection::new(input.budget);
    let archive = entries::read(&mut scratch, input);
    let mut members = Members::default();
    let mut taken = 0_usize;
    // PyTorch and others put all into one folder that is called like the file.
    let root = root(&archive.entries);
    for entry in archive.entries.iter().filter(|entry| !entry.is_directory()) {
        let name = entry.name.strip_prefix(&root).unwrap_or(&entry.name);
        let name = if entry.source == Source::Local && archive.directories > 0 {
            format!("{name} (not in the directory)")
        } else {
            name.to_owned()
        };
        // Tensors are compared as weights.
        let weights = matches!(format, "pytorch" | "torchscript" | "npz")
            && (name.starts_with("data/") || ending(&name) == "npy");
        members.add(&name, entry.size, format!("{:08x}", entry.crc), weights);
        if taken < TAKEN_MAX && !weights && entry.size <= MEMBER_MAX && input.budget.member() {
            let packed = input.window(entry.data, entry.packed);
            match entry.method {
                0 => take_member(taking, packed, &name, format, depth),
                8 => {
                    if format_of(&name).is_none() {
                        continue;
                    }
                    let unpacked = unpack(packed, Codec::Deflate);
                    take_member(taking, unpacked.input(input.budget), &name, format, depth);
                }
                _ => continue,
            }
            taken = taken.saturating_add(usize::from(format_of(&name).is_some()));
        }
    }
    finish_members(taking, members, taken);
}

/// The folder that all members lie in, with its slash.
fn root(entries: &[Entry]) -> String {
    let first = entries.first().and_then(|entry| entry.name.split_once('/')).map(|(folder, _)| format!("{folder}/"));
    first.filter(|folder| entries.iter().all(|entry| entry.name.starts_with(folder.as_str()))).unwrap_or_default()
}

fn finish_members(taking: &mut Taking, members: Members, taken: usize) {
    if members.members.len() >= MEMBERS_MAX || taken >= TAKEN_MAX {
        taking.cut("the archive has more members than are kept");
    }
    if members.count > 0 {
        taking.add("", Body::Members(members));
    }
}

pub fn tar(taking: &mut Taking, input: Input<'_>, depth: u32) {
    let mut archive = Archive::new(Stream::new(input));
    let Ok(entries) = archive.entries_with_seek() else {
        taking.cut("the archive cannot be read");
        return;
    };
    let mut members = Members::default();
    let mut taken = 0_usize;
    for entry in entries {
        let Ok(entry) = entry else {
            taking.cut("the archive is broken or cut off");
            break;
        };
        let kind = entry.header().entry_type();
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let (start, size) = (entry.raw_file_position(), entry.size());
        match kind {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Symlink | EntryType::Link => {
                let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
                members.add(&name, 0, format!("link to {}", shorten(&target.unwrap_or_default(), 200)), false);
                continue;
            }
            _ => continue,
        }
        if !input.budget.member() {
            taking.cut("the archive has more members than `members_max`");
            break;
        }
        let data = input.window(start, size);
        members.add(&name, size, digest(data), false);
        if taken < TAKEN_MAX && size <= MEMBER_MAX && format_of(&name).is_some() {
            taken = taken.saturating_add(1);
            take_member(taking, data, &name, "tar", depth);
        }
    }
    finish_members(taking, members, taken);
}

/// Digest of all bytes, as far as they may be read.
fn digest(data: Input<'_>) -> String {
    let mut hash = hasher();
    let mut position = 0_u64;
    while position < data.len() {
        let bytes = data.read(position, 1 << 20);
        if bytes.is_empty() {
            return "unread".to_owned();
        }
        hash.update(&bytes);
        position = position.saturating_add(bytes.len() as u64);
    }
    digits(finish(&hash))
}

impl Members {
    fn add(&mut self, name: &str, size: u64, checksum: String, weights: bool) {
        self.count = self.count.saturating_add(1);
        if weights || self.members.len() >= MEMBERS_MAX {
            return;
        }
        let mut name = shorten(name, 240);
        if self.members.contains_key(&name) {
            name.push_str(" (again)");
        }
        self.members.insert(name, (size, checksum));
    }
}

pub fn compare(told: &mut Told, place: &str, old: &Members, new: &Members) {
    let fresh: Vec<&String> = new.members.keys().filter(|name| !old.members.contains_key(*name)).collect();
    let gone: Vec<&String> = old.members.keys().filter(|name| !new.members.contains_key(*name)).collect();
    // The same bytes under another name have moved.
    let moved: Vec<(&String, &String)> = fresh
        .iter()
        .filter_map(|name| {
            let content = new.members.get(*name)?;
            gone.iter().find(|other| old.members.get(**other) == Some(content)).map(|other| (*other, *name))
        })
        .collect();
    let named =
        |names: &[&String]| names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let kind = |name: &str| {
        let extension = name.split(' ').next().unwrap_or(name).rsplit_once('.').map_or("", |(_, extension)| extension);
        let extension = extension.to_ascii_lowercase();
        let hidden = name.ends_with("(not in the directory)");
        CODE.iter().position(|kind| kind.contains(&extension.as_str())).or(hidden.then_some(CODE.len()))
    };
    let (code, other): (Vec<&String>, Vec<&String>) = fresh
        .iter()
        .copied()
        .filter(|name| !moved.iter().any(|(_, to)| to == name))
        .partition(|name| kind(name).is_some());
    if !code.is_empty() {
        // Of an archive that ships such code already, more of it is nothing new.
        let known = |name: &&String| old.members.keys().any(|other| kind(other) == kind(name));
        let grade = if code.iter().all(known) { Grade::Notable } else { Grade::Hostile };
        told.say("members.code", grade, place, format!("code or pickles were added: {}", named(&code)));
    }
    if !other.is_empty() {
        told.say(
            "members.added",
            Grade::Notable,
            place,
            format!("{} members were added: {}", other.len(), named(&other)),
        );
    }
    let gone: Vec<&String> = gone.into_iter().filter(|name| !moved.iter().any(|(from, _)| from == name)).collect();
    if !gone.is_empty() {
        told.say(
            "members.removed",
            Grade::Notable,
            place,
            format!("{} members are gone: {}", gone.len(), named(&gone)),
        );
    }
    let changed: Vec<&String> = new
        .members
        .iter()
        .filter(|(name, content)| old.members.get(*name).is_some_and(|known| known != *content))
        .map(|(name, _)| name)
        .collect();
    if !changed.is_empty() {
        told.say(
            "members.changed",
            Grade::Routine,
            place,
            format!("{} members have other bytes: {}", changed.len(), named(&changed)),
        );
    }
    if !moved.is_empty() {
        let named: Vec<String> = moved.iter().take(NAMED_MAX).map(|(from, to)| format!("`{from}` to `{to}`")).collect();
        told.say("members.changed", Grade::Routine, place, format!("members were renamed: {}", named.join(", ")));
    }
}
