//! How fast `lanner scan` is, as a ratio to `sha2` itself on the same file in the same run.
//!
//! `cargo bench --bench scan [-- BYTES]`; the file is 2 GiB of safetensors unless told otherwise.
//! CPU seconds are the kernel's own account, in ticks of 10 ms.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark prints ratios, and reads what the kernel says of its own child"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::Digest as _;

const ROUNDS: usize = 5;
/// The bar: at least so much of sha2's speed, with no more memory.
const RATIO_MIN: f64 = 0.85;
const RSS_MIB_MAX: f64 = 64.0;

/// One run.
struct Run {
    cpu_secs: f64,
    wall_secs: f64,
    rss_mib: f64,
}

fn main() {
    let bytes = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(2_u64 << 30);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("model.safetensors");
    make(&path, bytes).expect("there is space for the file");
    println!(
        "file: {:.2} GiB of safetensors, in the page cache; {ROUNDS} rounds in turn, medians",
        bytes as f64 / f64::from(1 << 30)
    );
    let (mut hash, mut scan) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        hash.push(sha2_alone(&path));
        scan.push(lanner_scan(&path));
    }
    let gb = bytes as f64 / 1e9;
    let show = |name: &str, runs: &[Run]| {
        let (cpu, wall) = (median(runs, |run| run.cpu_secs), median(runs, |run| run.wall_secs));
        println!("{name:<12} {:.2} GB/CPU-s   {:.2} GB/s   {:.2} CPU-s   {:.2} s", gb / cpu, gb / wall, cpu, wall);
        (cpu, wall)
    };
    let (hash_cpu, hash_wall) = show("sha2", &hash);
    let (scan_cpu, scan_wall) = show("lanner scan", &scan);
    let rss = scan.iter().map(|run| run.rss_mib).fold(0.0, f64::max);
    let (cpu_ratio, wall_ratio) = (hash_cpu / scan_cpu, hash_wall / scan_wall);
    println!("ratio        {cpu_ratio:.2} by CPU time, {wall_ratio:.2} by wall clock (bar: {RATIO_MIN})");
    println!("peak RSS     {rss:.1} MiB (bar: {RSS_MIB_MAX})");
    let holds = cpu_ratio >= RATIO_MIN && rss <= RSS_MIB_MAX;
    println!("{}", if holds { "the bar holds" } else { "the bar does not hold" });
    std::process::exit(i32::from(!holds));
}

/// Several tensors of pseudo-random bytes behind a valid header.
fn make(path: &Path, bytes: u64) -> std::io::Result<()> {
    const TENSORS: u64 = 64;
    let each = bytes / TENSORS / 4 * 4;
    let entry = |index: u64| {
        let (start, end) = (index * each, (index + 1) * each);
        format!(r#""layer.{index}.weight":{{"dtype":"F32","shape":[{}],"data_offsets":[{start},{end}]}}"#, each / 4)
    };
    let header = format!("{{{}}}", (0..TENSORS).map(entry).collect::<Vec<_>>().join(","));
    let mut file = File::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0; 1 << 20];
    let mut left = each * TENSORS;
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let part = block.len().min(usize::try_from(left).unwrap_or(block.len()));
        file.write_all(&block[..part])?;
        left -= part as u64;
    }
    Ok(())
}

/// The file read in pieces of 256 KiB and hashed: nothing that hashes a file does less.
fn sha2_alone(path: &Path) -> Run {
    let (before, began) = (ticks(false), Instant::now());
    let mut file = File::open(path).expect("it was just made");
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).expect("it can be read") {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    std::hint::black_box(hasher.finalize());
    Run { cpu_secs: ticks(false) - before, wall_secs: began.elapsed().as_secs_f64(), rss_mib: 0.0 }
}

fn lanner_scan(path: &Path) -> Run {
    let (before, began) = (ticks(true), Instant::now());
    let mut child = Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(["scan", "--format", "json"])
        .arg(path)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program can be run");
    let mut rss_mib: f64 = 0.0;
    let status = loop {
        rss_mib = rss_mib.max(peak_mib(child.id()));
        match child.try_wait().expect("it can be waited for") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "a harmless file is clean");
    Run { cpu_secs: ticks(true) - before, wall_secs: began.elapsed().as_secs_f64(), rss_mib }
}

/// CPU seconds of this process, or of its children that have ended (proc(5), `stat`).
fn ticks(children: bool) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let first = if children { 13 } else { 11 };
    let sum: f64 = fields[first..first + 2].iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    sum / 100.0
}

/// The most memory that a process has held so far.
fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
