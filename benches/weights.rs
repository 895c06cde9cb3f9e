//! How fast tensors are measured, as a ratio to `sha2` alone on the same bytes, and how fast two versions are
//! compared: CPU seconds, in one run.
//!
//! `cargo bench --bench weights`; 512 MiB of `f32` and of `bf16`, in memory. CPU seconds are the scheduler's own
//! account of this thread.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark prints ratios, and reads what the kernel says of it"
)]

use std::hint::black_box;

use lanner::artifact::Segment;
use lanner::artifact::weights::{Delta, Measurer, Number, Options, Seed};
use sha2::Digest as _;

const BYTES: usize = 512 << 20;
const CHUNK: usize = 256 << 10;
const ROUNDS: usize = 5;
const ROWS: u64 = 2048;
const COLUMNS: u64 = 4096;
/// SHA-256, BLAKE3 of each tensor and statistics together, as a share of the speed of SHA-256.
const RATIO_MIN: f64 = 0.70;
/// GB of both versions a CPU second, with the sketch of the difference.
const DELTA_MIN: f64 = 5.0;

fn main() {
    let mut holds = true;
    for (dtype, number, width) in [("F32", Number::F32, 4), ("BF16", Number::Bf16, 2)] {
        let data = weights(width);
        let mut other = data.clone();
        other.iter_mut().step_by(3 * width).for_each(|byte| *byte ^= 1);
        let each = ROWS * COLUMNS * width as u64;
        let segments = || -> Vec<Segment> {
            let part = |index: u64| Segment {
                name: format!("layers.{index}.weight"),
                dtype: dtype.to_owned(),
                shape: vec![ROWS, COLUMNS],
                start: index * each,
                end: (index + 1) * each,
                digest: None,
            };
            (0..BYTES as u64 / each).map(part).collect()
        };
        let pass = |sketch_bytes_max: usize| {
            let mut sha256 = sha2::Sha256::new();
            let options = Options { sketch_bytes_max, ..Options::new(Seed([1; 32])) };
            let mut measurer = Measurer::new(segments(), &options);
            let mut position = 0;
            for chunk in data.chunks(CHUNK) {
                sha256.update(chunk);
                measurer.update(position, chunk);
                position += chunk.len() as u64;
            }
            black_box((sha256.finalize(), measurer.finish(position)));
        };
        let alone = || {
            let mut hasher = sha2::Sha256::new();
            data.chunks(CHUNK).for_each(|chunk| hasher.update(chunk));
            black_box(hasher.finalize());
        };
        let trees = || {
            let mut hasher = blake3::Hasher::new();
            for chunk in data.chunks(CHUNK) {
                hasher.update(chunk);
            }
            black_box(hasher.finalize());
        };
        let delta = || {
            let size = usize::try_from(each).expect("a tensor is small");
            for (old, new) in data.chunks(size).zip(other.chunks(size)) {
                let mut delta = Delta::new((number, number), &[ROWS, COLUMNS], &Seed([1; 32]));
                old.chunks(CHUNK).zip(new.chunks(CHUNK)).for_each(|(old, new)| delta.update(old, new));
                black_box(delta.finish());
            }
        };
        let mut times: [Vec<f64>; 5] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(timed(alone));
            times[1].push(timed(trees));
            times[2].push(timed(|| pass(0)));
            times[3].push(timed(|| pass(64 << 20)));
            times[4].push(timed(delta));
        }
        let gb = BYTES as f64 / 1e9;
        let [sha, tree, stats, sketch, delta] = times.map(median);
        println!("{dtype}, {ROUNDS} rounds in turn, medians of CPU seconds");
        println!("  sha2                                  {:.2} GB/s", gb / sha);
        println!("  blake3                                {:.2} GB/s", gb / tree);
        println!(
            "  sha2 and blake3 alone, the ceiling    {:.2} GB/s, ratio {:.2}",
            gb / (sha + tree),
            sha / (sha + tree)
        );
        println!(
            "  sha2, blake3 of tensors, statistics   {:.2} GB/s, ratio {:.2} (bar: {RATIO_MIN})",
            gb / stats,
            sha / stats
        );
        println!("  the same and sketches                 {:.2} GB/s, ratio {:.2}", gb / sketch, sha / sketch);
        println!("  two versions with their difference    {:.2} GB/s of both (bar: {DELTA_MIN})", 2.0 * gb / delta);
        holds &= sha / stats >= RATIO_MIN && 2.0 * gb / delta >= DELTA_MIN;
    }
    println!("{}", if holds { "the bars hold" } else { "a bar does not hold" });
    std::process::exit(i32::from(!holds));
}

/// Numbers between -0.05 and 0.05.
fn weights(width: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut data = Vec::with_capacity(BYTES);
    while data.len() < BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let number = f32::from(u16::try_from(state >> 48).expect("16 bits")) / 655_360.0 - 0.05;
        let bytes = number.to_le_bytes();
        data.extend(&bytes[4 - width..]);
    }
    data
}

fn timed(work: impl FnOnce()) -> f64 {
    let before = cpu_secs();
    work();
    cpu_secs() - before
}

/// Nanoseconds on a processor (Documentation/scheduler/sched-stats.rst).
fn cpu_secs() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    text.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).expect("it is a number") / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
