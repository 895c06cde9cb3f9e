//! How fast `lanner scan` is: on weights, as a ratio to `sha2` itself on the same file, and on small
//! files, as a ratio to other scanners on the same files, each in the same run.
//!
//! `cargo bench --bench scan [-- BYTES]`; the weights are 2 GiB of safetensors unless told otherwise. The
//! small files are the corpus of the tests, so `make peers` and `tests/corpus/setup.sh` come first.
//! CPU seconds are the kernel's own account, in ticks of 10 ms.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark prints ratios, and reads what the kernel says of its own child"
)]

mod account;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use account::{peak_mib, ticks};
use sha2::Digest as _;

const ROUNDS: usize = 5;
/// The bar for weights, digest, structure and search together: so many GB a CPU second where sha2
/// alone does 2.0, so the share of sha2's speed stands for it on slower machines.
const RATIO_MIN: f64 = 0.65;
/// The bar for small files: so many times as many a CPU second as the fastest of the others, which does
/// 1,400 on a quiet machine.
const SMALL_RATIO_MIN: f64 = 1.43;
const RSS_MIB_MAX: f64 = 64.0;

/// One run.
struct Run {
    cpu_secs: f64,
    wall_secs: f64,
    rss_mib: f64,
}

fn main() {
    let bytes = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(2_u64 << 30);
    let weights = weights(bytes);
    let small = small();
    std::process::exit(i32::from(!(weights && small)));
}

fn weights(bytes: u64) -> bool {
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
    holds
}

/// Other scanners in one process, file after file: what they raise is theirs, and does not end the run.
const OTHERS: [(&str, &str); 2] = [
    ("picklescan", "from picklescan.scanner import scan_file_path as look"),
    (
        "hayward",
        "import pathlib\nfrom hayward import ModelFileScanner\nlook = lambda path: ModelFileScanner().scan_file(pathlib.Path(path))",
    ),
];
const LOOP: &str = r"
import logging, os, sys, time
logging.disable()
paths = sys.stdin.read().splitlines()
began = time.process_time()
for path in paths:
    try:
        look(path)
    except Exception:
        pass
print(time.process_time() - began)
";

/// Every file of the corpus but those that are bombs, several times over.
fn small() -> bool {
    const TIMES: usize = 3;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for (script, name) in [("tests/corpus/make.py", "hostile"), ("tests/corpus/benign.py", "benign")] {
        let mut command = Command::new(root.join(".peers/venv/bin/python"));
        command.arg(root.join(script)).arg(directory.path().join(name)).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("run `make peers` first").success(), "{script} failed");
    }
    let found: Vec<_> = walkdir::WalkDir::new(directory.path())
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.metadata().is_ok_and(|file| file.is_file() && file.len() < 256 << 10))
        .map(walkdir::DirEntry::into_path)
        .filter(|path| !path.to_string_lossy().contains("bomb") && !path.to_string_lossy().contains('\n'))
        .collect();
    // Under a path of its own each time: what a list names twice is scanned once.
    let mut files = Vec::new();
    for time in 0..TIMES {
        for path in &found {
            let below = path.strip_prefix(directory.path()).expect("it is in there");
            let link = directory.path().join(format!("time-{time}")).join(below);
            std::fs::create_dir_all(link.parent().expect("it is in a folder")).expect("the folder can be made");
            std::fs::hard_link(path, &link).expect("a link to it can be made");
            files.push(link.display().to_string());
        }
    }
    let list = files.join("\n");
    let count = files.len() as f64;
    println!("\nsmall files: {count} ({} of the corpus, {TIMES} times), one job", found.len());
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        let before = ticks(true);
        let mut child = Command::new(env!("CARGO_BIN_EXE_lanner"))
            .args(["scan", "--jobs", "1", "--format", "json", "--files-from", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be run");
        child.stdin.take().expect("it is a pipe").write_all(list.as_bytes()).expect("it is read");
        let output = child.wait_with_output().expect("it can be waited for");
        let lines = String::from_utf8_lossy(&output.stdout).lines().count();
        assert_eq!(lines, files.len(), "a line for each file");
        ours.push(ticks(true) - before);
    }
    ours.sort_by(f64::total_cmp);
    let ours = count / ours[ROUNDS / 2];
    println!("{:<12} {ours:.0} files/CPU-s, the start of the program included", "lanner scan");
    let mut best: f64 = 0.0;
    for (name, import) in OTHERS {
        let mut child = Command::new(root.join(".peers/scanners/bin/python"))
            .args(["-c", &format!("{import}\n{LOOP}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("run `tests/corpus/setup.sh` first");
        child.stdin.take().expect("it is a pipe").write_all(list.as_bytes()).expect("it is read");
        let output = child.wait_with_output().expect("it can be waited for");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let secs: f64 = text.lines().last().and_then(|line| line.parse().ok()).expect("it printed its seconds");
        println!("{name:<12} {:.0} files/CPU-s, without its start", count / secs);
        best = best.max(count / secs);
    }
    let ratio = ours / best;
    println!("ratio        {ratio:.2} to the fastest of the others (bar: {SMALL_RATIO_MIN})");
    let holds = ratio >= SMALL_RATIO_MIN;
    println!("{}", if holds { "the bar holds" } else { "the bar does not hold" });
    holds
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
        rss_mib = rss_mib.max(peak_mib(&child.id().to_string()));
        match child.try_wait().expect("it can be waited for") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "a harmless file is clean");
    Run { cpu_secs: ticks(true) - before, wall_secs: began.elapsed().as_secs_f64(), rss_mib }
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
