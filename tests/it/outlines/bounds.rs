//! Files made to take all memory while they are compared: each pair within 512 MiB of address space.

use std::process::{Command, Stdio};

use crate::end_to_end::bounds::highest;
use crate::support::program::LANNER;

/// Address space of the comparison.
const SPACE: u64 = 512 << 20;
/// Resident memory beyond that of two files of a few bytes.
const BEYOND_KIB: u64 = 160 << 10;

/// A hostile file: its name, and how it is made.
type Made = (&'static str, fn() -> Vec<u8>);

fn numbered(before: &str, count: usize, part: impl Fn(usize) -> String, after: &str) -> Vec<u8> {
    let parts: Vec<String> = (0..count).map(part).collect();
    [before, &parts.concat(), after].concat().into_bytes()
}

const FILES: &[Made] = &[
    ("tokenizer.json", || numbered("{\"model\":{\"vocab\":{\"a\":0", 700_000, |n| format!(",\"{n:x}\":{n}"), "}}}")),
    ("vocab.json", || numbered("{\"a\":0", 700_000, |n| format!(",\"{n:x}\":7"), "}")),
    ("vocab.txt", || numbered("", 700_000, |n| format!("{}\n", n % 10), "")),
    ("config.json", || numbered("{\"a\":1", 400_000, |n| format!(",\"{n}\":1"), "}")),
    ("rows.csv", || numbered("text,label\n", 250_000, |n| format!("w{n} a b c,{}\n", n % 300), "")),
    ("columns.csv", || numbered("a", 500_000, |n| format!(",c{n}"), "\n")),
    ("rows.jsonl", || numbered("", 20_000, |n| format!("{{\"k{n}\":\"a b c\"}}\n"), "")),
    ("list.json", || numbered("[{\"a\":1}", 150_000, |n| format!(",{{\"a\":{n}}}"), "]")),
    ("quote.csv", || [b"a,b\n\"".as_slice(), &vec![b'x'; 40 << 20]].concat()),
    ("lines.md", || b"a\n".repeat(2_000_000)),
    ("lines.jinja", || numbered("", 200_000, |n| format!("{n}\n"), "")),
    ("functions.py", || numbered("", 40_000, |n| format!("def f{n}():\n    return {n}\n"), "")),
    ("requirements.txt", || numbered("", 100_000, |n| format!("p{n}==1\n"), "")),
];

#[test]
fn no_comparison_takes_more_memory_than_it_may() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |side: &str, name: &str| {
        let folder = directory.path().join(side);
        std::fs::create_dir_all(&folder).expect("it can be made");
        folder.join(name)
    };
    std::fs::write(path("old", "tiny.md"), "a\n").expect("there is space");
    std::fs::write(path("new", "tiny.md"), "b\n").expect("there is space");
    let baseline = peak(&path("old", "tiny.md"), &path("new", "tiny.md"));
    let mut over = Vec::new();
    for (name, make) in FILES {
        let bytes = make();
        let (old, new) = (path("old", name), path("new", name));
        std::fs::write(&old, &bytes).expect("there is space");
        std::fs::write(&new, bytes.get(..bytes.len() - bytes.len() / 5).unwrap_or_default()).expect("there is space");
        let beyond = peak(&old, &new).saturating_sub(baseline);
        println!("{name:20} {:6.1} MiB", f64::from(u32::try_from(beyond).unwrap_or(u32::MAX)) / 1024.0);
        if beyond > BEYOND_KIB {
            over.push(format!("{name}: {beyond} KiB"));
        }
        std::fs::remove_file(&old).expect("it was there");
        std::fs::remove_file(&new).expect("it was there");
    }
    assert!(over.is_empty(), "{over:?}");
}

/// The most memory that a comparison of two files held, in KiB.
fn peak(old: &std::path::Path, new: &std::path::Path) -> u64 {
    let mut child = Command::new("prlimit")
        .arg(format!("--as={SPACE}"))
        .arg(LANNER)
        .args(["diff", "--format", "json"])
        .args([old, new])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prlimit is a part of util-linux");
    let (kib, status) = highest(&mut child);
    assert_eq!(status.code(), Some(1), "{}", new.display());
    kib
}
