//! Tensors of an archive whose members are stored as they are: `data/0` of PyTorch with the names that its pickle
//! gives, `weight.npy` of NumPy.

use std::collections::{HashMap, HashSet};

use super::entries::{Entry, Source};
use super::{model, torch};
use crate::artifact::Segment;
use crate::artifact::format::{numpy, pickle};
use crate::artifact::input::Input;

/// Types by the class of a storage: how safetensors calls them, and bytes of one number.
const CLASSES: &[(&str, &str, u64)] = &[
    ("DoubleStorage", "F64", 8),
    ("FloatStorage", "F32", 4),
    ("HalfStorage", "F16", 2),
    ("BFloat16Storage", "BF16", 2),
    ("LongStorage", "I64", 8),
    ("IntStorage", "I32", 4),
    ("ShortStorage", "I16", 2),
    ("CharStorage", "I8", 1),
    ("ByteStorage", "U8", 1),
    ("BoolStorage", "BOOL", 1),
    ("Float8_e4m3fnStorage", "F8_E4M3", 1),
    ("Float8_e5m2Storage", "F8_E5M2", 1),
];

pub fn segments(input: Input<'_>, entries: &[Entry]) -> Vec<Segment> {
    match model::format(entries) {
        "npz" => entries.iter().filter(|entry| is_plain(entry)).filter_map(|entry| array(input, entry)).collect(),
        format @ ("pytorch" | "torchscript") => storages(input, entries, format),
        _ => Vec::new(),
    }
}

fn is_plain(entry: &Entry) -> bool {
    entry.source == Source::Directory && entry.method == 0 && entry.packed == entry.size && !entry.size_differs
}

fn array(input: Input<'_>, entry: &Entry) -> Option<Segment> {
    let name = entry.name.strip_suffix(".npy").unwrap_or(&entry.name);
    numpy::segment(input.window(entry.data, entry.packed), name)
}

fn storages(input: Input<'_>, entries: &[Entry], format: &str) -> Vec<Segment> {
    let is_pickle = |entry: &&Entry| is_plain(entry) && entry.name.rsplit('/').next() == Some("data.pkl");
    let main = entries.iter().find(is_pickle);
    let folder = main.and_then(|entry| entry.name.strip_suffix("data.pkl")).unwrap_or_default();
    let members: HashMap<&str, &Entry> =
        entries.iter().filter(|entry| is_plain(entry)).map(|entry| (entry.name.as_str(), entry)).collect();
    let tensors = main.map(|entry| pickle::tensors(input.window(entry.data, entry.packed))).unwrap_or_default();
    let (mut used, mut names) = (HashSet::new(), HashSet::new());
    let mut found = Vec::new();
    for tensor in tensors.iter().filter(|tensor| tensor.contiguous) {
        let member = format!("{folder}data/{}", tensor.key);
        let Some(entry) = members.get(member.as_str()) else { continue };
        let Some((_, dtype, size)) = CLASSES.iter().find(|(class, ..)| *class == tensor.class) else { continue };
        let count = tensor.shape.iter().try_fold(1_u64, |product, length| product.checked_mul(*length));
        let bytes = count.and_then(|count| count.checked_mul(*size));
        let start = tensor.offset.checked_mul(*size);
        let Some((start, end)) = start.and_then(|start| Some((start, start.checked_add(bytes?)?))) else { continue };
        if end > entry.packed {
            continue;
        }
        // Two dictionaries of one file may have the same keys: the storage tells them apart.
        let fresh = !tensor.name.is_empty() && names.insert(tensor.name.clone());
        let name = if fresh { tensor.name.clone() } else { format!("{}#{}", tensor.name, tensor.key) };
        used.insert(entry.name.as_str());
        let (start, end) = (entry.data.saturating_add(start), entry.data.saturating_add(end));
        found.push(Segment { name, dtype: (*dtype).to_owned(), shape: tensor.shape.clone(), start, end, digest: None });
    }
    for entry in entries.iter().filter(|entry| is_plain(entry) && !used.contains(entry.name.as_str())) {
        let mut parts = entry.name.rsplit('/');
        let (file, parent) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if torch::is_storage(format, file, parent) && entry.data.saturating_add(entry.packed) <= input.len() {
            let end = entry.data.saturating_add(entry.packed);
            let name = format!("{parent}/{file}");
            found.push(Segment {
                name,
                dtype: "U8".to_owned(),
                shape: vec![entry.packed],
                start: entry.data,
                end,
                digest: None,
            });
        }
    }
    found
}
