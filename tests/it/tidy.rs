//! The house stays in order: floors, sizes, words.

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Lines of one file of code.
const LINES_MAX: usize = 500;
/// Floors from the ground up; rooms on one floor do not use each other.
const FLOORS: [&[&str]; 7] = [
    &["base"],
    &["event"],
    &["artifact", "detect", "state", "alert", "provenance"],
    &["sources", "sinks"],
    &["config"],
    &["agent"],
    &["cli"],
];
/// What one room may use beside the floors under it, each with its reason.
const NEIGHBOURS: [(&str, &str, &str); 1] = [("base", "base", "a floor uses itself")];

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir(&Path::new(ROOT).join(folder));
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found
}

fn walkdir(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walkdir(&path)) } else { found.push(path) }
    }
    found
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn floors_use_only_what_is_under_them() {
    let mut wrong = Vec::new();
    for path in files("src", "rs") {
        let below = path.strip_prefix(Path::new(ROOT).join("src")).expect("it is under src");
        let room = below.components().next().expect("it has a name").as_os_str().to_string_lossy().into_owned();
        let Some(own) = floor(&room) else { continue };
        for (number, line) in text(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let Some(other) = floor(&used) else { continue };
                let neighbour = NEIGHBOURS.iter().any(|(from, to, _)| *from == room && *to == used);
                if used != room && other >= own && !neighbour {
                    wrong.push(format!("{}:{}: {room} uses {used}", below.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a floor uses the floors under it only:\n{}", wrong.join("\n"));
}

#[test]
fn files_can_be_known() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for path in files(folder, "rs") {
            let lines = text(&path).lines().count();
            if lines > LINES_MAX {
                wrong.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "a file has one subject and at most {LINES_MAX} lines:\n{}", wrong.join("\n"));
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Written in pieces, so that this file does not name what it looks for.
    let words = [
        ["/wo", "rk/"].concat(),
        ["/fa", "rm/"].concat(),
        ["bash_", "jobs"].concat(),
        ["todo", "!("].concat(),
        ["unimple", "mented!("].concat(),
    ];
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches", "docs", "deploy", "detections"] {
        for path in walkdir(&Path::new(ROOT).join(folder)) {
            let text = text(&path);
            for word in &words {
                if text.contains(word.as_str()) {
                    wrong.push(format!("{}: `{word}`", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "words that do not belong here:\n{}", wrong.join("\n"));
}

#[test]
fn every_suite_is_part_of_the_build() {
    let main = text(&Path::new(ROOT).join("tests/it/main.rs"));
    for entry in std::fs::read_dir(Path::new(ROOT).join("tests/it")).expect("the suites are there").flatten() {
        let name = entry.path().file_stem().expect("it has a name").to_string_lossy().into_owned();
        if name != "main" {
            assert!(main.contains(&format!("mod {name};")), "tests/it/main.rs does not name `{name}`");
        }
    }
}
