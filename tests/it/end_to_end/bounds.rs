//! Files made to take all memory: each is looked at within 512 MiB of address space, and with no more
//! than 64 MiB beyond what a file of a few bytes takes.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::support::program::LANNER;

/// Address space of the scan.
const SPACE: u64 = 512 << 20;
/// Resident memory beyond that of a tiny file.
const BEYOND_KIB: u64 = 64 << 10;

/// One hostile file: its name, and how it is made.
type Made = (&'static str, fn() -> Vec<u8>);

fn again(before: &str, part: &str, times: usize, after: &str) -> Vec<u8> {
    [before.as_bytes(), part.repeat(times).as_bytes(), after.as_bytes()].concat()
}

fn numbered(before: &str, count: usize, part: impl Fn(usize) -> String, after: &str) -> Vec<u8> {
    let parts: Vec<String> = (0..count).map(part).collect();
    [before, &parts.concat(), after].concat().into_bytes()
}

fn opcodes(part: &[u8], times: usize) -> Vec<u8> {
    [b"\x80\x04".as_slice(), &part.repeat(times), b"."].concat()
}

fn gzip_of_zeros(mebibytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![0; 1 << 20];
    (0..mebibytes).for_each(|_| encoder.write_all(&block).expect("memory can be written"));
    encoder.finish().expect("memory can be written")
}

fn headed(header: &[u8]) -> Vec<u8> {
    [(header.len() as u64).to_le_bytes().as_slice(), header].concat()
}

fn tensors() -> Vec<u8> {
    let tensor = |number| format!(r#","t{number}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    headed(&numbered(r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#, 230_000, tensor, "}"))
}

const FILES: &[Made] = &[
    ("numbers.json", || again("[", "1,", 7_500_000, "1]")),
    ("objects.json", || again("[", "{\"\":1},", 2_000_000, "1]")),
    ("keys.json", || numbered("{\"a\":1", 900_000, |number| format!(",\"{number}\":1"), "}")),
    ("deep.json", || again("", "[", 5_000_000, "")),
    ("flow.yaml", || again("[", "a,", 7_000_000, "]")),
    ("flow-lines.yaml", || again("[\n", "a,\n", 4_000_000, "]")),
    ("items.yaml", || again("", "- a\n", 1_000_000, "")),
    ("calls.py", || again("import os\n", "x = os.getcwd('a')\n", 300_000, "")),
    ("line.py", || again("x = [", "a(1),", 2_000_000, "]\n")),
    ("deep.py", || again("x = ", "(", 2_000_000, "")),
    ("chain.py", || again("x = ", "-", 2_000_000, "1\n")),
    ("attributes.pmml", || numbered("<PMML ", 600_000, |number| format!("a{number}='x' "), "/>")),
    ("memo.pkl", || opcodes(b"N\x94", 6_000_000)),
    ("stack.pkl", || opcodes(b"K\x01", 6_000_000)),
    ("marks.pkl", || opcodes(b"(", 10_000_000)),
    ("copies.pkl", || opcodes(b"N2", 6_000_000)),
    ("texts.pkl", || opcodes(b"\x8c\x04a  b\x94", 2_500_000)),
    ("tensors.safetensors", tensors),
    ("bomb.pkl.gz", || gzip_of_zeros(300)),
    ("fields.onnx", || again("\u{8}\u{8}", ":\u{2}\n\u{0}", 1_500_000, "")),
];

#[test]
fn no_file_takes_more_memory_than_it_may() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let tiny = directory.path().join("tiny.pkl");
    std::fs::write(&tiny, b"\x80\x04K\x01.").expect("there is space");
    let (baseline, _) = peak(&tiny);
    assert!(baseline > 1000, "the peak could not be read: {baseline} KiB");
    let mut over = Vec::new();
    for (name, make) in FILES {
        let path = directory.path().join(name);
        std::fs::write(&path, make()).expect("there is space");
        let (kib, told) = peak(&path);
        let beyond = kib.saturating_sub(baseline);
        println!("{name:24} {:6.1} MiB  {told}", f64::from(u32::try_from(beyond).unwrap_or(u32::MAX)) / 1024.0);
        if beyond > BEYOND_KIB {
            over.push(format!("{name}: {beyond} KiB"));
        }
        std::fs::remove_file(&path).expect("it was there");
    }
    assert!(over.is_empty(), "{over:?}");
}

/// The most memory that a scan of a file held, in KiB, and the status that it told.
fn peak(path: &Path) -> (u64, String) {
    let mut child = Command::new("prlimit")
        .arg(format!("--as={SPACE}"))
        .arg(LANNER)
        .args(["scan", "--format", "json"])
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("prlimit is a part of util-linux");
    let (kib, status) = highest(&mut child);
    let output = child.wait_with_output().expect("it has ended");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let file = serde_json::from_str::<serde_json::Value>(told.lines().next().unwrap_or_default());
    let code = status.code();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let file = file.unwrap_or_else(|_| panic!("{}: {code:?} {errors}", path.display()));
    assert!(matches!(code, Some(0 | 1 | 4)), "{}: {code:?} {errors}", path.display());
    (kib, file["status"].to_string())
}

/// The most memory that a process held until it ended, in KiB, and how it ended.
pub fn highest(child: &mut Child) -> (u64, ExitStatus) {
    let mut kib = 0;
    loop {
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        kib = kib.max(line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0));
        match child.try_wait().expect("it can be waited for") {
            Some(status) => return (kib, status),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
