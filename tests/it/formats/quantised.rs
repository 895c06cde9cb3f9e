//! Weights that were quantised and written in a wider type again: few values, over and over, whose lowest bits spell
//! what they like. They hide nothing; what was written into them is still seen.

use std::fmt::Write as _;

use lanner::artifact::{Limits, Memory, Report, hash, inspect_with};

use super::build::tensors;
use super::{declared, list};

const HIDDEN: &str = "artifact.tensors.hidden_payloads";
const COLUMNS: usize = 64;
const ROWS: usize = 24;

fn scanned(bytes: Vec<u8>) -> Report {
    let memory = Memory(bytes);
    let hashed = hash(&memory, Vec::new(), &|| false).expect("memory can be read").expect("nobody stops it");
    let report = inspect_with(&memory, "model.safetensors", &Limits::default(), &hashed.found);
    declared(&report);
    report
}

/// Tensors of one type, one behind the other.
fn model(dtype: &str, shape: &str, all: &[Vec<u8>]) -> Vec<u8> {
    let (mut header, mut start) = (String::from("{"), 0);
    for (number, data) in all.iter().enumerate() {
        let (comma, end) = (if number > 0 { "," } else { "" }, start + data.len());
        write!(header, r#"{comma}"w{number}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
            .expect("a text takes it");
        start = end;
    }
    tensors::safetensors(&format!("{header}}}"), &all.concat())
}

/// Numbers between 0 and 1 without any order, the same at every run.
fn uniform(state: &mut u64) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    f32::from(u16::try_from(*state >> 48).expect("sixteen bits")) / 65536.0
}

fn weights(state: &mut u64) -> Vec<f32> {
    let normal = |state: &mut u64| (0..6).map(|_| uniform(state)).sum::<f32>() - 3.0;
    (0..ROWS * COLUMNS).map(|_| normal(state) * 0.03).collect()
}

#[derive(Clone, Copy, Debug)]
enum Grid {
    /// Whole numbers up to this one.
    Whole(f32),
    /// -1, 0 and 1.
    Ternary,
    /// E4M3.
    Float,
}

impl Grid {
    fn nearest(self, number: f32) -> f32 {
        match self {
            Self::Whole(largest) => number.round().clamp(-largest, largest),
            Self::Ternary => number.round().clamp(-1.0, 1.0),
            Self::Float => f32::from_bits((number.to_bits() + (1 << 19)) & !((1 << 20) - 1)),
        }
    }

    fn largest(self) -> f32 {
        match self {
            Self::Whole(largest) => largest,
            // Most numbers are no zeros then.
            Self::Ternary => 4.0,
            Self::Float => 448.0,
        }
    }
}

/// Every `group` numbers have a scale of their own.
fn quantised(weights: &[f32], grid: Grid, group: usize) -> Vec<f32> {
    let each = weights.chunks(group).flat_map(|group| {
        let scale = group.iter().fold(0.0_f32, |most, number| most.max(number.abs())) / grid.largest();
        group.iter().map(move |number| grid.nearest(number / scale) * scale)
    });
    each.collect()
}

const GRIDS: [Grid; 4] = [Grid::Whole(127.0), Grid::Whole(7.0), Grid::Ternary, Grid::Float];

fn wide(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn brain(numbers: &[f32]) -> Vec<u8> {
    let half = |number: &f32| u16::try_from((number.to_bits() + 0x7fff) >> 16).expect("sixteen bits").to_le_bytes();
    numbers.iter().flat_map(half).collect()
}

#[test]
fn quantised_weights_spell_nothing() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let plain: Vec<Vec<f32>> = (0..200).map(|_| weights(&mut state)).collect();
    for grid in GRIDS {
        for group in [ROWS * COLUMNS, COLUMNS, COLUMNS / 2] {
            let all: Vec<Vec<f32>> = plain.iter().map(|weights| quantised(weights, grid, group)).collect();
            for (dtype, write) in [("F32", wide as fn(&[f32]) -> Vec<u8>), ("BF16", brain)] {
                let all: Vec<Vec<u8>> = all.iter().map(|numbers| write(numbers)).collect();
                let found = list(&scanned(model(dtype, &format!("[{ROWS},{COLUMNS}]"), &all)), HIDDEN);
                assert!(found.is_empty(), "{grid:?} by {group} in {dtype}: {found:?}");
            }
        }
    }
}

#[test]
fn one_chance_that_comes_again_is_no_crowd() {
    // A zero below zero ends in the first byte of a pickle; here the next number begins with the rest of a header.
    for rest in [*b"\x02c\x17\x3c", *b"\x04\x8c\x03\xbc", *b"\x02(K\x3d"] {
        let pairs: Vec<u8> = [(-0.0_f32).to_le_bytes(), rest].concat().repeat(40_000);
        let report = scanned(model("F32", "[80000]", &[pairs]));
        assert!(list(&report, HIDDEN).is_empty() && report.issues.is_empty(), "{rest:?}: {report:?}");
    }
}

#[test]
fn what_is_written_into_quantised_weights_is_seen() {
    let text = b"import socket, subprocess  # connect to the host and run what it sends; say nothing of it";
    let mut state = 0x2545_f491_4f6c_dd1d;
    for grid in GRIDS {
        for group in [ROWS * COLUMNS, COLUMNS] {
            for bits in [1_usize, 2, 4, 8] {
                let mut data = wide(&quantised(&weights(&mut state), grid, group));
                let (each, mask) = (8 / bits, u8::try_from((1_u16 << bits) - 1).expect("at most eight bits"));
                for (index, number) in data.chunks_exact_mut(4).enumerate().take(text.len() * each) {
                    let place = (each - 1 - index % each) * bits;
                    number[0] = (number[0] & !mask) | ((text[index / each] >> place) & mask);
                }
                let found = list(&scanned(model("F32", &format!("[{ROWS},{COLUMNS}]"), &[data])), HIDDEN);
                let told = found.iter().any(|found| found.starts_with("text in the lowest"));
                assert!(told, "{grid:?} by {group}, {bits} bits: {found:?}");
            }
        }
    }
}
