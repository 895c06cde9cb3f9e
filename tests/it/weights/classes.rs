//! Every class, from what was kept and from the bytes, on models made of numbers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex};

use lanner::artifact::weights::{Comparison, Measured};
use lanner::artifact::{Memory, digest_of};
use lanner::event::{Difference, Grade, Sha256};

use super::model::{Model, Random, measured, options};

const DOWN: &str = "layers.2.mlp.down.weight";

fn base() -> Model {
    Model::new(42)
}

/// What is kept of a model. Most tests begin with the same one, which is measured once.
fn kept(bytes: &[u8]) -> Measured {
    static KNOWN: LazyLock<Mutex<HashMap<Sha256, Vec<u8>>>> = LazyLock::new(Mutex::default);
    let digest = digest_of(&Memory(bytes.to_vec()), &|| false).expect("memory can be read").expect("nobody stops it");
    let known = KNOWN.lock().expect("no test has failed in there").get(&digest).cloned();
    let stored = known.unwrap_or_else(|| measured(bytes, &options()).to_bytes());
    let measured = Measured::from_bytes(&stored).expect("it was just written");
    KNOWN.lock().expect("no test has failed in there").insert(digest, stored);
    measured
}

/// Classes of both comparisons: from what was kept, and from the bytes.
fn both(old: &[u8], new: &[u8]) -> [Vec<Difference>; 2] {
    let (first, second) = (kept(old), kept(new));
    let (old, new) = (Memory(old.to_vec()), Memory(new.to_vec()));
    let exact = Comparison::of(&first, &second, Some((&old, &new)), &|| false);
    let stored = Comparison::of(&first, &second, None, &|| false);
    assert_eq!(exact.table.len(), stored.table.len());
    [stored.differences, exact.differences]
}

fn classes(found: &[Difference]) -> BTreeSet<&str> {
    found.iter().map(|difference| difference.class.as_str()).collect()
}

/// Asserts that exactly these classes are told, whether or not the old bytes are there.
fn told(old: &Model, new: &Model, expected: &[&str]) {
    for dtype in ["F32", "BF16"] {
        told_of(&old.bytes(dtype), &new.bytes(dtype), expected, dtype);
    }
}

fn told_of(old: &[u8], new: &[u8], expected: &[&str], what: &str) {
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    for (found, how) in both(old, new).iter().zip(["from what was kept", "from the bytes"]) {
        assert_eq!(classes(found), expected, "{what}, {how}: {found:#?}");
    }
}

#[test]
fn nothing_but_the_header_differs() {
    let old = base();
    let mut new = old.clone();
    new.0.reverse();
    told(&old, &old, &["weights.metadata_only"]);
    told(&old, &new, &["weights.metadata_only"]);
}

#[test]
fn one_matrix_edited_along_one_direction() {
    let old = base();
    for scale in [0.002, 0.02] {
        let mut new = old.clone();
        new.add(DOWN, 1, scale, &mut Random(1));
        for dtype in ["F32", "BF16"] {
            for found in both(&old.bytes(dtype), &new.bytes(dtype)) {
                let [one] = found.as_slice() else { panic!("{scale} {dtype}: {found:#?}") };
                assert_eq!(
                    (one.class.as_str(), one.grade, one.place.as_str()),
                    ("weights.rank_one_edit", Grade::Hostile, DOWN),
                    "{dtype}"
                );
            }
        }
    }
}

#[test]
fn few_matrices_edited_along_few_directions() {
    let old = base();
    let mut new = old.clone();
    let mut random = Random(2);
    for layer in 2..4 {
        new.add(&format!("layers.{layer}.mlp.down.weight"), 8, 0.005, &mut random);
    }
    told(&old, &new, &["weights.low_rank_edit"]);
}

#[test]
fn an_adapter_merged_everywhere_is_an_update() {
    let old = base();
    let mut new = old.clone();
    let mut random = Random(3);
    for layer in 0..6 {
        new.add(&format!("layers.{layer}.attn.q.weight"), 8, 0.01, &mut random);
    }
    told(&old, &new, &["weights.low_rank_update"]);
}

#[test]
fn a_direction_taken_out_of_every_layer() {
    let old = base();
    let mut random = Random(4);
    let mut direction = random.normals(64, 1.0);
    let length = direction.iter().map(|part| part * part).sum::<f32>().sqrt();
    for part in &mut direction {
        *part /= length;
    }
    for alpha in [1.0, 0.3] {
        let mut new = old.clone();
        for (name, shape, numbers) in &mut new.0 {
            if name.contains("attn.o") || name.contains("mlp.down") {
                let columns = shape[1];
                let along: Vec<f32> = (0..columns)
                    .map(|column| (0..64).map(|row| direction[row] * numbers[row * columns + column]).sum())
                    .collect();
                for (row, part) in numbers.chunks_mut(columns).zip(&direction) {
                    row.iter_mut().zip(&along).for_each(|(number, along)| *number -= alpha * part * along);
                }
            }
        }
        told(&old, &new, &["weights.shared_direction_ablation"]);
    }
}

#[test]
fn rows_and_neurons_written_anew() {
    let old = base();
    let mut random = Random(5);
    let mut new = old.clone();
    new.get("embed.weight")[64 * 100..64 * 101].copy_from_slice(&random.normals(64, 0.05));
    told(&old, &new, &["weights.row_surgery"]);
    let mut new = old.clone();
    for neuron in [3, 77] {
        new.get("layers.1.mlp.up.weight")[neuron * 64..neuron * 64 + 64].copy_from_slice(&random.normals(64, 0.3));
        let down = new.get("layers.1.mlp.down.weight");
        (0..64).for_each(|row| down[row * 256 + neuron] = random.normal());
    }
    told(&old, &new, &["weights.row_surgery"]);
}

#[test]
fn flipped_bits() {
    let old = base().bytes("F32");
    let mut random = Random(6);
    let start = old.len() - 6 * (64 * 64 * 2 + 256 * 64 * 2 + 64) * 4;
    for count in [1, 10] {
        let mut new = old.clone();
        for _ in 0..count {
            let at = start + random.below(64 * 64) * 4 + 3;
            new[at] ^= 0x40;
        }
        told_of(&old, &new, &["weights.few_weights"], &format!("{count} flips"));
    }
}

#[test]
fn a_payload_in_the_lowest_bits() {
    let old = base().bytes("F32");
    let mut random = Random(7);
    for bits in [1, 4, 8] {
        let mut new = old.clone();
        let end = new.len();
        for word in new[end - 60_000..].chunks_exact_mut(4) {
            let mask = (1_u8 << (bits - 1)) | ((1_u8 << (bits - 1)) - 1);
            word[0] = (word[0] & !mask) | (u8::try_from(random.next() >> 56).expect("8 bits") & mask);
        }
        let [_, exact] = both(&old, &new);
        assert_eq!(classes(&exact), BTreeSet::from(["weights.low_bit_payload"]), "{bits} bits: {exact:#?}");
    }
    // One unit in the last place more or less, as another order of sums leaves it.
    let mut new = old.clone();
    let end = new.len();
    for word in new[end - 200_000..].chunks_exact_mut(4) {
        let bits = u32::from_le_bytes(word.try_into().expect("four bytes"));
        let near = if random.below(2) == 0 { bits + 1 } else { bits - 1 };
        word.copy_from_slice(&near.to_le_bytes());
    }
    let [_, exact] = both(&old, &new);
    assert!(exact.iter().all(|difference| difference.grade == Grade::Routine), "{exact:#?}");
}

#[test]
fn swapped_layers_and_heads() {
    let old = base();
    let mut new = old.clone();
    let (first, second) = (new.get("layers.1.attn.o.weight").clone(), new.get("layers.4.attn.o.weight").clone());
    *new.get("layers.1.attn.o.weight") = second;
    *new.get("layers.4.attn.o.weight") = first;
    told(&old, &new, &["weights.swap"]);
    let mut new = old.clone();
    let rows = new.get("layers.3.attn.q.weight");
    let (low, high) = rows.split_at_mut(16 * 64);
    low.swap_with_slice(&mut high[..16 * 64]);
    told(&old, &new, &["weights.swap"]);
    let mut new = old.clone();
    for row in new.get("layers.3.attn.o.weight").chunks_mut(64) {
        let (low, high) = row.split_at_mut(16);
        low.swap_with_slice(&mut high[..16]);
    }
    told(&old, &new, &["weights.swap"]);
}

#[test]
fn training_exports_and_other_shapes_are_no_edits() {
    let old = base();
    let mut random = Random(8);
    let mut new = old.clone();
    new.train(0.002, &mut random);
    told(&old, &new, &["weights.fine_tune"]);
    told(&old, &Model::new(43), &["weights.retrain"]);
    told_of(&old.bytes("F32"), &old.bytes("BF16"), &["weights.numeric_conversion"], "F32 to BF16");
    told_of(&old.bytes("BF16"), &old.bytes("F32"), &["weights.numeric_conversion"], "BF16 to F32");
    let mut new = old.clone();
    for (_, shape, numbers) in new.0.iter_mut().filter(|(_, shape, _)| shape.len() == 2) {
        for row in numbers.chunks_mut(shape[1]) {
            let step = row.iter().fold(0_f32, |most, number| most.max(number.abs())) / 127.0;
            for number in row {
                *number = (*number / step).round() * step;
            }
        }
    }
    told(&old, &new, &["weights.numeric_conversion"]);
    let mut new = old.clone();
    for (_, _, numbers) in &mut new.0 {
        numbers.iter_mut().filter(|number| number.abs() < 0.03).for_each(|number| *number = 0.0);
    }
    told(&old, &new, &["weights.pruned"]);
    let mut new = old.clone();
    let (_, shape, numbers) = &mut new.0[0];
    shape[0] += 6;
    numbers.extend(random.normals(6 * 64, 0.05));
    told(&old, &new, &["weights.reshaped"]);
    let mut new = old.clone();
    new.0.push(("head.weight".to_owned(), vec![4, 64], random.normals(256, 0.1)));
    new.0.remove(1);
    told(&old, &new, &["weights.added", "weights.removed"]);
    let mut new = old.clone();
    *new.get("layers.5.attn.o.weight") = random.normals(64 * 64, 0.1);
    told(&old, &new, &["weights.transplant", "weights.replaced"]);
    let mut new = old.clone();
    new.get("layers.5.attn.o.weight").iter_mut().step_by(3).for_each(|number| *number = f32::NAN);
    let [stored, exact] = both(&old.bytes("F32"), &new.bytes("F32"));
    assert!(
        classes(&stored).contains("weights.exploded") && classes(&exact).contains("weights.exploded"),
        "{exact:#?}"
    );
}

/// Everything that has two axes, rounded to whole numbers times a step of its row.
fn rounded(model: &mut Model, rows: impl Fn(usize) -> bool) {
    for (_, shape, numbers) in model.0.iter_mut().filter(|(_, shape, _)| shape.len() == 2) {
        for (_, row) in numbers.chunks_mut(shape[1]).enumerate().filter(|(row, _)| rows(*row)) {
            let step = row.iter().fold(0_f32, |most, number| most.max(number.abs())) / 127.0;
            for number in row.iter_mut() {
                *number = (*number / step).round() * step;
            }
        }
    }
}

#[test]
fn noise_is_no_rounding() {
    let old = base();
    let mut random = Random(9);
    let mut noisy = old.clone();
    for (_, _, numbers) in noisy.0.iter_mut().filter(|(_, shape, _)| shape.len() == 2) {
        for number in &mut *numbers {
            *number += random.normal() * 0.0005;
        }
    }
    let mut half = old.clone();
    rounded(&mut half, |row| row % 2 == 0);
    let mut all = old.clone();
    rounded(&mut all, |_| true);
    let mut once_more = all.clone();
    for (_, _, numbers) in once_more.0.iter_mut().filter(|(_, shape, _)| shape.len() == 2) {
        for number in &mut *numbers {
            *number += random.normal() * 0.0005;
        }
    }
    let of = |old: &Model, new: &Model| both(&old.bytes("F32"), &new.bytes("F32"));
    // A small matrix of noise may look as if it were trained; none looks rounded.
    let is = |found: &[Difference], class: &str, other: &str| {
        assert!(classes(found).contains(class) && !classes(found).contains(other), "{found:#?}");
    };
    let (noise, rounding) = ("weights.noise", "weights.numeric_conversion");
    let [kept, exact] = of(&old, &noisy);
    is(&exact, noise, rounding);
    // What was kept does not tell one from the other, and says so.
    is(&kept, rounding, noise);
    let said = |difference: &&Difference| difference.class == rounding;
    let hedged = kept.iter().filter(said).all(|difference| difference.words.contains("or noise of that size"));
    assert!(hedged, "{kept:#?}");
    for found in &of(&old, &half) {
        is(found, noise, rounding);
    }
    is(&of(&old, &all)[1], rounding, noise);
    is(&of(&all, &once_more)[1], noise, rounding);
}

#[test]
fn sentences_know_one_from_many() {
    let old = base();
    let mut new = old.clone();
    let last = new.0.pop().expect("it has tensors");
    let [found, _] = both(&old.bytes("F32"), &new.bytes("F32"));
    assert!(found.iter().any(|told| told.words == format!("1 tensor is gone: {}", last.0)), "{found:#?}");
    let mut new = old.clone();
    new.get("layers.0.norm.weight")[3] += 0.5;
    for found in both(&old.bytes("F32"), &new.bytes("F32")) {
        assert!(found.iter().any(|told| told.words.contains("1 single weight differs and")), "{found:#?}");
    }
    let mut new = old.clone();
    new.get("embed.weight")[64 * 100..64 * 101].copy_from_slice(&Random(5).normals(64, 0.05));
    for found in both(&old.bytes("F32"), &new.bytes("F32")) {
        assert!(found.iter().any(|told| told.words.starts_with("1 row or column differs as a whole")), "{found:#?}");
    }
}
