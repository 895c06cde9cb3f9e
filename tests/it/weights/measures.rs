//! What the pass measures, held against slow and plain computation; and that it can be kept.

use lanner::artifact::weights::{Broken, Measured, Number, Options, Seed};
use lanner::artifact::{Memory, Segment, hash, hash_with};

use super::model::{Model, Random, measured, options};

fn segment(name: &str, dtype: &str, shape: &[u64], start: u64, end: u64) -> Segment {
    Segment { name: name.into(), dtype: dtype.into(), shape: shape.to_vec(), start, end, digest: None }
}

#[test]
fn digests_are_those_of_the_plain_pass_and_parts_are_told_apart() {
    let mut random = Random(3);
    let mut data: Vec<u8> = (0..20 << 17).flat_map(|_| random.next().to_le_bytes()).collect();
    let end = data.len() as u64;
    let parts = || {
        vec![
            segment("big", "U8", &[end - 5], 5, end),
            segment("small", "U8", &[5], 0, 5),
            segment("empty", "U8", &[0], end, end),
            segment("outside", "U8", &[9], end - 1, end + 8),
            segment("again", "U8", &[100], 7, 107),
        ]
    };
    let of = |data: &[u8]| {
        let memory = Memory(data.to_vec());
        let plain = hash(&memory, parts(), &|| false).expect("memory reads").expect("nobody stops");
        let full = hash_with(&memory, parts(), Some(&options()), &|| false).expect("reads").expect("nobody stops");
        assert_eq!((plain.sha256, &plain.segments), (full.sha256, &full.segments));
        assert_eq!(plain.measured, None);
        full.measured.expect("it was asked for")
    };
    let before = of(&data);
    assert_eq!(before.tensors.len(), 4, "what lies outside is not measured");
    let big =
        |measured: &Measured| measured.tensors.iter().find(|tensor| tensor.name == "big").expect("it is there").clone();
    assert_eq!(big(&before).blocks.len(), 5);
    data[9 << 20] ^= 1;
    let after = of(&data);
    let differing: Vec<usize> = (0..5).filter(|at| big(&before).blocks[*at] != big(&after).blocks[*at]).collect();
    assert_eq!(differing, [2], "the part from 8 to 12 MiB");
}

#[test]
fn numbers_of_sixteen_and_eight_bits_are_what_the_standards_say() {
    let decoded = |number: Number, bytes: &[u8]| {
        let mut out = Vec::new();
        number.decode(bytes, &mut out);
        out
    };
    for bits in 0..=u16::MAX {
        let half = decoded(Number::F16, &bits.to_le_bytes())[0];
        let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
        let size = match exponent {
            0 => mantissa / 1024.0 * 2_f32.powi(-14),
            31 if mantissa == 0.0 => f32::INFINITY,
            31 => f32::NAN,
            _ => (1.0 + mantissa / 1024.0) * 2_f32.powi(exponent - 15),
        };
        let expected = if bits >> 15 == 1 { -size } else { size };
        assert!(half == expected || (half.is_nan() && expected.is_nan()), "{bits:#x}: {half} instead of {expected}");
    }
    for bits in 0..=u8::MAX {
        let number = decoded(Number::F8E4m3, &[bits])[0];
        let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
        let size = match (exponent, bits & 7) {
            (15, 7) => f32::NAN,
            (0, _) => mantissa / 8.0 * 2_f32.powi(-6),
            _ => (1.0 + mantissa / 8.0) * 2_f32.powi(exponent - 7),
        };
        let expected = if bits >> 7 == 1 { -size } else { size };
        assert!(number == expected || (number.is_nan() && expected.is_nan()), "{bits:#x}: {number}, {expected}");
    }
    assert_eq!(decoded(Number::Bf16, &[0x80, 0x3f, 0x20, 0xc0]), [1.0, -2.5]);
    assert_eq!(decoded(Number::F8E5m2, &[0x3c, 0xc0]), [1.0, -2.0]);
    let block = [&[0x00, 0x38][..], &[2; 16], &[0xfe; 16]].concat();
    assert_eq!(decoded(Number::Q8Zero, &block), [[1.0; 16], [-1.0; 16]].concat());
    let block = [&[0x00, 0x38][..], &[0x9a; 16]].concat();
    assert_eq!(decoded(Number::Q4Zero, &block), [[1.0; 16], [0.5; 16]].concat());
}

#[test]
fn statistics_are_those_of_a_plain_sum() {
    let mut random = Random(11);
    let mut numbers = random.normals(5003, 0.5);
    numbers[7] = 0.0;
    numbers[4999] = -9.5;
    let model = |numbers: &[f32]| {
        let tensors =
            vec![("odd".to_owned(), vec![1], vec![1.0]), ("t".to_owned(), vec![numbers.len()], numbers.to_vec())];
        measured(&Model(tensors).bytes("F32"), &options()).tensors[1].stats.expect("it has numbers")
    };
    let plain = model(&numbers);
    let sum: f64 = numbers.iter().map(|number| f64::from(*number)).sum();
    let squares: f64 = numbers.iter().map(|number| f64::from(*number).powi(2)).sum();
    assert!((plain.mean - sum / 5003.0).abs() < 1e-6, "{plain:?}");
    assert!((plain.l2 / squares.sqrt() - 1.0).abs() < 1e-6, "{plain:?}");
    assert_eq!((plain.count, plain.min, plain.zeros, plain.nan), (5003, -9.5, 1, 0));
    numbers[2000] = f32::NAN;
    numbers[2001] = f32::INFINITY;
    numbers[2002] = 3e38;
    let wild = model(&numbers);
    assert_eq!((wild.nan, wild.infinite, wild.max, wild.count), (1, 1, 3e38, 5003));
    assert!(wild.l2 >= 2.9e38, "{wild:?}");
}

#[test]
fn what_is_kept_comes_back_and_damage_is_seen() {
    // A few tensors are enough, and quick.
    let model = Model(Model::new(5).0.into_iter().skip(1).take(5).collect());
    let measured = measured(&model.bytes("BF16"), &options());
    let bytes = measured.to_bytes();
    assert_eq!(Measured::from_bytes(&bytes), Ok(measured));
    for cut in 0..50 {
        assert!(Measured::from_bytes(&bytes[..bytes.len() * cut / 50]).is_err(), "{cut} of 50 parts");
    }
    let mut random = Random(9);
    for _ in 0..150 {
        let mut damaged = bytes.clone();
        damaged[random.below(bytes.len())] ^= 1 << random.below(8);
        assert!(Measured::from_bytes(&damaged).is_err());
        // With a checksum that fits, anything goes but a panic or memory beyond the length.
        let end = damaged.len() - 8;
        let check = blake3::hash(&damaged[..end]);
        damaged[end..].copy_from_slice(&check.as_bytes()[..8]);
        if let Ok(read) = Measured::from_bytes(&damaged) {
            lanner::artifact::weights::compare(&read, &read.clone(), None, &|| false);
        }
    }
    assert_eq!(Measured::from_bytes(b"lanmeas0"), Err(Broken::Version));
}

#[test]
fn a_small_budget_makes_sketches_narrower_and_then_none() {
    let bytes = Model::new(5).bytes("F32");
    let of = |sketch_bytes_max| measured(&bytes, &Options { sketch_bytes_max, ..options() });
    let full = of(8 << 20);
    assert_eq!((full.width, full.left_out), (32, 0));
    let mut last = usize::MAX;
    for budget in [200_000, 100_000, 50_000, 20_000, 0] {
        let kept = of(budget);
        let size = kept.to_bytes().len();
        assert!(size <= budget + 200 * kept.tensors.len() && size <= last, "{size} bytes of {budget}");
        assert!(kept.width < 32 || kept.left_out == 0);
        last = size;
    }
    assert!(of(0).tensors.iter().all(|tensor| tensor.sketch.is_none()));
    assert_ne!(of(20_000).left_out, 0);
}

#[test]
fn another_secret_gives_another_sketch_and_the_two_are_not_compared() {
    let (old, mut new) = (Model::new(5), Model::new(5));
    new.add("layers.2.mlp.down.weight", 1, 0.01, &mut Random(1));
    let other = Options::new(Seed([8; 32]));
    let (old, new) = (measured(&old.bytes("F32"), &options()), measured(&new.bytes("F32"), &other));
    assert_ne!(old.seed_tag, new.seed_tag);
    let found = lanner::artifact::weights::compare(&old, &new, None, &|| false);
    let classes: Vec<&str> = found.iter().map(|difference| difference.class.as_str()).collect();
    assert_eq!(classes, ["weights.tiny_change"], "{found:?}");
}

#[test]
fn a_header_that_names_one_stretch_again_and_again_costs_no_more() {
    let data = vec![1; 1 << 20];
    let parts: Vec<Segment> =
        (0..3000).map(|index| segment(&format!("t{index}"), "F32", &[512, 512], 0, 1 << 20)).collect();
    let memory = Memory(data);
    let hashed = hash_with(&memory, parts, Some(&options()), &|| false).expect("reads").expect("nobody stops");
    let measured = hashed.measured.expect("it was asked for");
    let sketched = measured.tensors.iter().filter(|tensor| tensor.sketch.is_some()).count();
    assert!(sketched <= 65, "{sketched} sketches of one stretch");
}
