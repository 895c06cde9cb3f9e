//! `TensorFlow`'s checkpoints: the index, a sorted table of tensors; their bytes; and the text that
//! says which checkpoint is the latest.

use std::collections::BTreeMap;

use super::cursor::{Cursor, Cut, Read, varint};
use super::protobuf::{Reader, Span, Value};
use super::{Head, keras, probe};
use crate::artifact::Memory;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Last eight bytes of every table.
const MAGIC: [u8; 8] = 0xdb47_7524_8b80_fb57_u64.to_le_bytes();
const FOOTER: u64 = 48;
/// Blocks of one index, and bytes of one block.
const BLOCKS_MAX: usize = 100_000;
const BLOCK_MAX: u64 = 16 << 20;
/// Tensors of one index.
const ENTRIES_MAX: u64 = 1_000_000;
/// Folders that no checkpoint is kept in.
const SYSTEM: &[&str] = &["/etc/", "/proc/", "/sys/", "/dev/", "/root/.", "/boot/", "/bin/", "/usr/bin/", "/var/run/"];

/// Without a magic at the beginning: the first entry has no key, and the last bytes tell.
pub fn identify(head: &Head<'_>) -> bool {
    let begins = matches!(head.bytes, [0, 0, _, 8, ..]) || super::extension(head.name) == "index";
    let len = head.input.len();
    begins && len >= FOOTER && head.input.read(len.saturating_sub(8), 8) == MAGIC
}

/// The numbers themselves, which only their name tells: `model.ckpt.data-00000-of-00001`.
pub fn identify_data(head: &Head<'_>) -> bool {
    let file = head.name.rsplit('/').next().unwrap_or(head.name);
    file.rsplit_once(".data-").and_then(|(_, shard)| shard.split_once("-of-")).is_some_and(|(shard, shards)| {
        [shard, shards].iter().all(|digits| digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

pub fn inspect_data(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    probe::search(inspection, input);
    "tf-checkpoint"
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let mut index = Index { shards: u64::MAX, entries: 0, bytes: 0, ends: BTreeMap::new() };
    match index.table(inspection, input) {
        Ok(()) => {}
        Err(Fault::Packed) => {
            inspection.issue("not_inspected", "the index is compressed, which TensorFlow does not do");
        }
        Err(Fault::Cut) => {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            inspection.issue("malformed", "an offset or a length of the index reaches beyond the end");
        }
    }
    index.finish(inspection);
    "tf-checkpoint"
}

/// The text beside checkpoints: paths that lead out of the folder.
pub fn latest(inspection: &mut Inspection<'_>, text: &str) {
    for line in text.lines().take(4096) {
        let Some((key, value)) = line.split_once(':') else { continue };
        if !matches!(key.trim(), "model_checkpoint_path" | "all_model_checkpoint_paths") {
            continue;
        }
        let path = value.trim().trim_matches(['"', '\'']);
        if leaves(path) {
            inspection.list("artifact.container.escapes", path);
        } else if path.starts_with("\\\\") || path.contains("://") && keras::is_outside(path) {
            let own = ["gs://", "s3://", "hdfs://", "abfs"].iter().any(|scheme| path.starts_with(scheme));
            if !own {
                inspection.list("artifact.config.foreign_paths", path);
            }
        }
    }
}

/// True for a path that climbs, or names a folder of the system. An absolute path alone is where a
/// model was trained.
pub fn leaves(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| part == "..")
        || path.starts_with("~/")
        || path.contains("/.ssh/")
        || SYSTEM.iter().any(|folder| path.starts_with(folder))
}

enum Fault {
    Cut,
    Packed,
}

impl From<Cut> for Fault {
    fn from(_: Cut) -> Self {
        Self::Cut
    }
}

struct Index {
    shards: u64,
    entries: u64,
    bytes: u64,
    /// Where the tensors of each shard end, by where they begin.
    ends: BTreeMap<(u64, u64), u64>,
}

impl Index {
    fn table(&mut self, inspection: &mut Inspection<'_>, input: Input<'_>) -> Result<(), Fault> {
        let start = input.len().checked_sub(FOOTER).ok_or(Cut)?;
        let mut footer = Cursor::at(input, start);
        handle(&mut footer)?;
        let (at, size) = handle(&mut footer)?;
        let mut blocks = Vec::new();
        entries(&block(input, at, size)?, &mut |_, value| {
            if blocks.len() < BLOCKS_MAX {
                blocks.push(value.to_vec());
            }
        })?;
        for place in blocks {
            let bytes = Memory(place);
            let (at, size) = handle(&mut Cursor::new(Input::new(&bytes, input.budget)))?;
            entries(&block(input, at, size)?, &mut |key, value| self.entry(inspection, key, value))?;
        }
        Ok(())
    }

    /// One tensor, or the header under the empty key.
    fn entry(&mut self, inspection: &mut Inspection<'_>, key: &[u8], value: &[u8]) {
        self.entries = self.entries.saturating_add(1);
        if self.entries > ENTRIES_MAX {
            return;
        }
        let mut numbers = BTreeMap::new();
        let reader = Reader::brief(4096);
        let read = reader.fields(Span::Held(value), &mut |field, value| {
            if let Value::Number(number) = value {
                numbers.insert(field, number);
            }
        });
        if read.is_err() {
            inspection.issue("malformed", "an entry of the index is no message");
            return;
        }
        let number = |field: u64| numbers.get(&field).copied().unwrap_or(0);
        if key.is_empty() {
            self.shards = number(1).max(1);
            return;
        }
        let name = String::from_utf8_lossy(key).into_owned();
        let (shard, start, size) = (number(3), number(4), number(5));
        let end = start.checked_add(size).filter(|end| *end < 1 << 62);
        match end {
            Some(end) if shard < self.shards => {
                self.bytes = self.bytes.saturating_add(size);
                if size > 0 && self.ends.insert((shard, start), end).is_some() {
                    inspection.list("artifact.tensors.anomalies", "overlap");
                }
            }
            Some(_) | None => inspection.list("artifact.tensors.anomalies", "out_of_bounds"),
        }
        if probe::code(&name) {
            inspection.list("artifact.metadata.suspicious", name);
        }
    }

    fn finish(&self, inspection: &mut Inspection<'_>) {
        if self.entries > ENTRIES_MAX {
            inspection.issue("budget_exceeded", "the index has more entries than are looked at");
        }
        inspection.set("artifact.tensors.count", self.ends.len());
        inspection.set("artifact.tensors.bytes", self.bytes);
        let mut last = (u64::MAX, 0_u64);
        for ((shard, start), end) in &self.ends {
            if *shard == last.0 && *start < last.1 {
                inspection.list("artifact.tensors.anomalies", "overlap");
            }
            last = (*shard, *end);
        }
    }
}

/// Place and size of a block.
fn handle(cursor: &mut Cursor<'_>) -> Read<(u64, u64)> {
    Ok((cursor.varint()?, cursor.varint()?))
}

/// The bytes of a block; its kind of compression and its checksum stand behind it.
fn block(input: Input<'_>, at: u64, size: u64) -> Result<Vec<u8>, Fault> {
    let end = at.checked_add(size).filter(|end| *end < input.len() && size <= BLOCK_MAX).ok_or(Cut)?;
    let bytes = input.window(at, size).whole().ok_or(Cut)?;
    if input.read(end, 1) == [0] { Ok(bytes) } else { Err(Fault::Packed) }
}

/// Entries of a block: each has what its key shares with the key before it.
fn entries(block: &[u8], look: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Fault> {
    let count = block.len().checked_sub(4).ok_or(Cut)?;
    let restarts = block.get(count..).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    let restarts = usize::try_from(restarts).ok().and_then(|restarts| restarts.checked_mul(4)).ok_or(Cut)?;
    let end = count.checked_sub(restarts).ok_or(Cut)?;
    let mut key: Vec<u8> = Vec::new();
    let mut at = 0_usize;
    while at < end {
        let mut number = || {
            let number = varint(|| {
                let byte = block.get(at).filter(|_| at < end).copied();
                at = at.saturating_add(1);
                byte
            })?;
            usize::try_from(number).ok()
        };
        let (shared, more, length) = (number().ok_or(Cut)?, number().ok_or(Cut)?, number().ok_or(Cut)?);
        let rest = block.get(at..end).ok_or(Cut)?;
        let (suffix, rest) = rest.split_at_checked(more).ok_or(Cut)?;
        let value = rest.get(..length).ok_or(Cut)?;
        if shared > key.len() {
            return Err(Fault::Cut);
        }
        key.truncate(shared);
        key.extend_from_slice(suffix);
        look(&key, value);
        at = at.checked_add(more).and_then(|at| at.checked_add(length)).ok_or(Cut)?;
    }
    Ok(())
}
