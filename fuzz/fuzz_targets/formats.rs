//! Any bytes under any name: inspection ends, within its bounds, with facts that are declared.

#![no_main]

use lanner::artifact::{Limits, Memory, facts::FORMATS, fields, hash, inspect, segments};
use libfuzzer_sys::fuzz_target;

/// The first byte of an input chooses the name; what follows is the file. `run.sh` writes the same
/// number in front of the files that it begins with.
const NAMES: &str = include_str!("../names.txt");

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
    hash(&memory, parts, &|| false).expect("memory can be read").expect("nobody stops it");
});
