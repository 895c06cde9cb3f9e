//! HDF5: the tree of groups and datasets with their attributes. Weights are stepped over; what is
//! told is the configuration that Keras would rebuild, and every way out of the file.

pub mod attribute;
mod heaps;
pub mod object;
pub mod superblock;

use std::cell::Cell;
use std::collections::HashSet;

use super::{Head, executable, keras, pickle};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;
use object::{Object, Place};
use superblock::Root;

/// Groups, datasets and types that are looked at.
const OBJECTS_MAX: usize = 50_000;
/// Places in heaps at which nothing was found.
const TRIES_MAX: u32 = 100_000;
/// Bytes of one attribute that are looked at.
const VALUE_MAX: u64 = 16 << 20;

/// A file that begins with the signature.
pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.starts_with(superblock::SIGNATURE)
}

/// A file with other content in front of the signature, which may stand at 512 bytes and every double of it.
pub fn identify_behind(head: &Head<'_>) -> bool {
    superblock::position(head.input).is_some()
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let Some(position) = superblock::position(input) else { return "hdf5" };
    if position > 0 {
        inspection.list("artifact.hdf5.anomalies", "user_block");
        before(inspection, input.window(0, position));
    }
    let root = match superblock::read(input, position) {
        Ok(root) => root,
        Err(why) => {
            inspection.issue("malformed", why);
            return "hdf5";
        }
    };
    let end = position.saturating_add(root.end);
    if end > input.len() {
        inspection.issue("truncated", "the file is shorter than its superblock says");
    } else if end < input.len() {
        inspection.list("artifact.hdf5.anomalies", "trailing_data");
        super::trailing(inspection, input.from(end), end);
    }
    walk(inspection, input.from(position), &root);
    "hdf5"
}

/// What stands in front of the file itself.
fn before(inspection: &mut Inspection<'_>, block: Input<'_>) {
    let head = block.read(0, 4096);
    executable::look(inspection, &head, 0);
    if pickle::may_be_pickle(&head, block.len()) && pickle::attempt(inspection, block) {
        inspection.add("artifact.pickle.nested", 1);
    }
}

fn walk(inspection: &mut Inspection<'_>, input: Input<'_>, root: &Root) {
    let tries = Cell::new(TRIES_MAX);
    let place = Place { input, offsets: root.offsets, lengths: root.lengths, tries: &tries };
    let mut queue = vec![root.object];
    queue.extend(root.extension);
    let mut seen = HashSet::new();
    while let Some(address) = queue.pop() {
        if !seen.insert(address) {
            continue;
        }
        if seen.len() > OBJECTS_MAX {
            inspection.issue("budget_exceeded", "the file has more objects than are looked at");
            return;
        }
        match object::read(place, address) {
            Ok(object) => tell(inspection, place, &object, &mut queue),
            Err(why) => inspection.issue("malformed", why),
        }
    }
    if tries.get() == 0 {
        inspection.issue("budget_exceeded", "heaps of links and attributes were not looked through to their end");
    }
}

fn tell(inspection: &mut Inspection<'_>, place: Place<'_>, object: &Object, queue: &mut Vec<u64>) {
    queue.extend(&object.children);
    for way in &object.outside {
        inspection.list("artifact.hdf5.external", way);
    }
    for why in &object.broken {
        inspection.issue("malformed", why);
    }
    for attribute in &object.attributes {
        for value in attribute::values(place, attribute, VALUE_MAX) {
            look(inspection, place.input, &attribute.name, &value);
        }
    }
    if let Some((start, size)) = object.data {
        inspection.add("artifact.tensors.count", 1);
        inspection.add("artifact.tensors.bytes", size);
        if start.saturating_add(size) > place.input.len() {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            return;
        }
        let data = place.input.window(start, size);
        let head = data.read(0, 512);
        content(inspection, &head, start, data);
    }
}

/// One value of an attribute.
fn look(inspection: &mut Inspection<'_>, file: Input<'_>, name: &str, value: &[u8]) {
    let trimmed = value.trim_ascii_start();
    let text = match value.iter().rposition(|byte| *byte != 0) {
        Some(last) => value.get(..=last).unwrap_or(value),
        None => return,
    };
    let encoded = matches!(value.get(..4), Some([0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..]));
    if trimmed.starts_with(b"{") || trimmed.starts_with(b"[{") || encoded {
        if !keras::text(inspection, text) && matches!(name, "model_config" | "training_config") {
            inspection.list("artifact.keras.anomalies", "unparsed");
            inspection.issue("malformed", "the configuration in an attribute is no valid JSON");
        }
        return;
    }
    let bytes = crate::artifact::Memory(value.to_vec());
    content(inspection, value, 0, Input::new(&bytes, file.budget));
}

/// Programs and pickles where numbers or names should be.
fn content(inspection: &mut Inspection<'_>, head: &[u8], position: u64, data: Input<'_>) {
    if executable::kind(head).is_some_and(|kind| kind != "script") || head.starts_with(b"#!/") {
        executable::look(inspection, head, position);
    }
    if head.starts_with(&[0x80]) && pickle::may_be_pickle(head, data.len()) && pickle::attempt(inspection, data) {
        inspection.add("artifact.pickle.nested", 1);
    }
}
