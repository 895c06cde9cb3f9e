//! Any bytes under any name: inspection ends, within its bounds, with facts that are declared.

#![no_main]

use lanner::artifact::outline::{BYTES_MAX, Outline, TABLE_BYTES_MAX, compare, outline};
use lanner::artifact::weights::{Comparison, Measured, Options, Seed};
use lanner::artifact::{Limits, Memory, Segment, facts::FORMATS, fields, hash, hash_with, inspect, segments};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

mod parts;

/// The first byte of an input chooses the name; what follows is the file. `run.sh` writes the same
/// number in front of the files that it begins with.
const NAMES: &str = include_str!("../names.txt");

/// Levels of parts in parts at which something is changed.
const DEPTH: u32 = 5;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut chance = parts::Chance::new(seed);
    let Some((number, bytes)) = data[..size].split_first() else {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    };
    let changed = parts::change(bytes, max_size - 1, &mut chance, DEPTH);
    let count = changed.len().min(max_size - 1);
    let number = *number;
    data[0] = number;
    data[1..=count].copy_from_slice(&changed[..count]);
    count + 1
});

fuzz_target!(|input: &[u8]| {
    let Some((number, bytes)) = input.split_first() else { return };
    let names: Vec<&str> = NAMES.lines().collect();
    let name = names[usize::from(*number) % names.len()];
    let limits = Limits::default();
    let memory = Memory(bytes.to_vec());
    let report = inspect(&memory, name, &limits);
    assert!(FORMATS.contains(&report.format.as_str()), "format `{}` is not declared", report.format);
    for path in report.facts.keys() {
        assert!(fields().iter().any(|field| field.path == path), "fact `{path}` is not declared");
    }
    // The same bytes give the same report.
    assert_eq!(format!("{report:?}"), format!("{:?}", inspect(&memory, name, &limits)));
    let parts = segments(&memory, &limits);
    weights(&memory, parts);
    outlines(bytes, name, &report.format, &limits);
});

/// Tensors are digested as by the plain pass, what is kept of them comes back, and a part can be compared with all.
fn weights(whole: &Memory, parts: Vec<Segment>) {
    let options = Options::new(Seed([7; 32]));
    let measured = |bytes: &Memory, parts: Vec<Segment>| {
        let hashed = hash_with(bytes, parts, Some(&options), &|| false).expect("memory can be read");
        hashed.expect("nobody stops it")
    };
    let plain = hash(whole, parts.clone(), &|| false).expect("memory can be read").expect("nobody stops it");
    let found = measured(whole, parts.clone());
    assert_eq!(plain.segments, found.segments);
    let new = found.measured.expect("it was asked for");
    assert_eq!(Measured::from_bytes(&new.to_bytes()).map(|kept| kept.tensors.len()), Ok(new.tensors.len()));
    let half = Memory(whole.0.get(..whole.0.len() / 2).unwrap_or_default().to_vec());
    let old = measured(&half, parts).measured.expect("it was asked for");
    drop(Comparison::of(&old, &new, Some((&half, whole)), &|| false));
    drop(Comparison::of(&new, &old, None, &|| false));
}

/// An outline stays within its bounds, survives being stored, equals itself, and can be compared with that of a part.
fn outlines(bytes: &[u8], name: &str, format: &str, limits: &Limits) {
    let whole = Memory(bytes.to_vec());
    let Some(made) = outline(&whole, name, format, limits) else { return };
    let text = serde_json::to_vec(&made).expect("it is data");
    assert!(text.len() <= TABLE_BYTES_MAX.max(BYTES_MAX));
    assert_eq!(Outline::from_json(&text).as_ref(), Some(&made));
    assert!(compare(&made, &made.clone(), Some(&whole), limits).is_empty());
    let half = Memory(bytes.get(..bytes.len() / 2).unwrap_or_default().to_vec());
    if let Some(other) = outline(&half, name, format, limits) {
        compare(&made, &other, Some(&half), limits);
        compare(&other, &made, Some(&whole), limits);
    }
}
