//! Which files `lanner scan` looks at: arguments, globs, lists, standard input, links.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::calls_os_system;
use crate::support::program::{LANNER, lanner_in, stderr, stdout};

const GOOD: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.";

pub fn with_input(directory: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(LANNER)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    // It may have seen enough before the end.
    child.stdin.take().expect("it is piped").write_all(input).ok();
    child.wait_with_output().expect("it ends")
}

/// Path and status of every file, as told.
pub fn statuses(output: &Output) -> Vec<(String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is one object"))
        .map(|line| (text(&line, "path"), text(&line, "status")))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(path, status)| ((*path).to_owned(), (*status).to_owned())).collect()
}

fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir_all(root.join("models/old")).expect("it is empty");
    std::fs::write(root.join("models/a.pkl"), GOOD).expect("there is space");
    std::fs::write(root.join("models/old/b.pkl"), calls_os_system("x")).expect("there is space");
    std::fs::write(root.join("models/old/c.txt"), "notes").expect("there is space");
    directory
}

fn scan(root: &Path, arguments: &[&str]) -> Vec<(String, String)> {
    let all: Vec<&str> = ["scan", "--format", "json"].iter().chain(arguments).copied().collect();
    statuses(&lanner_in(root, &all))
}

#[test]
fn quoted_globs_are_expanded() {
    let directory = tree();
    let root = directory.path();
    let both = pairs(&[("models/a.pkl", "clean"), ("models/old/b.pkl", "findings")]);
    assert_eq!(scan(root, &["models/**/*.pkl"]), both);
    assert_eq!(scan(root, &["./models/**/*.pkl"]), both);
    assert_eq!(scan(root, &["models/*.pkl"]), both[..1]);
    assert_eq!(scan(root, &["models/ol?/*.pkl", "models/{a,z}.pkl"]), both);
    let under = pairs(&[("models/old/b.pkl", "findings"), ("models/old/c.txt", "clean")]);
    assert_eq!(scan(root, &["*/old"]), under, "all that lies in a folder that fits");
    let whole = format!("{}/models/*.pkl", root.display());
    assert_eq!(scan(root, &[&whole]).len(), 1);
    let output = lanner_in(root, &["scan", "models/*.bin"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("fits nothing"), "{}", stderr(&output));
    let output = lanner_in(root, &["scan", "models/[.bin"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no glob"), "{}", stderr(&output));
    // A name that looks like a glob is a name where there is such a file.
    std::fs::write(root.join("[ab]*.pkl"), GOOD).expect("there is space");
    std::fs::write(root.join("b-1.pkl"), GOOD).expect("there is space");
    assert_eq!(scan(root, &["[ab]*.pkl"]), pairs(&[("[ab]*.pkl", "clean")]));
}

#[test]
fn what_is_left_out_is_told_as_skipped() {
    let directory = tree();
    let root = directory.path();
    let of_include =
        pairs(&[("models/a.pkl", "clean"), ("models/old/b.pkl", "findings"), ("models/old/c.txt", "skipped")]);
    assert_eq!(scan(root, &["models", "--include", "*.pkl"]), of_include);
    let output = lanner_in(root, &["scan", "models", "--exclude", "models/old/", "--fail-on-incomplete"]);
    assert_eq!(output.status.code(), Some(0), "whoever leaves something out knows: {}", stdout(&output));
    assert!(stdout(&output).contains("1 skipped"), "{}", stdout(&output));
    let of_folder = pairs(&[("models/a.pkl", "clean"), ("models/old", "skipped")]);
    for glob in ["old", "old/", "models/old", "./models/old", "**/old"] {
        assert_eq!(scan(root, &["models", "--exclude", glob]), of_folder, "{glob}");
    }
    let output = lanner_in(root, &["scan", "--format", "json", "models", "--exclude", "*.txt", "--exclude", "b.*"]);
    let last: Value = stdout(&output).lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("a line");
    assert_eq!(last["reason"], "left out by `--exclude *.txt`");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(lanner_in(root, &["scan", "models", "--exclude", "{"]).status.code(), Some(2));
}

#[test]
fn lists_of_files_come_from_a_file_or_standard_input() {
    let directory = tree();
    let root = directory.path();
    std::fs::write(root.join("models/with\nline end.pkl"), GOOD).expect("there is space");
    std::fs::write(root.join("models/*.pkl"), GOOD).expect("there is space");
    std::fs::write(root.join("lines"), "models/old/b.pkl\r\n\nmodels/a.pkl\n").expect("there is space");
    let both = pairs(&[("models/a.pkl", "clean"), ("models/old/b.pkl", "findings")]);
    assert_eq!(scan(root, &["--files-from", "lines"]), both);
    let names = b"models/with\nline end.pkl\0models/a.pkl\0models/*.pkl\0models/a.pkl\0";
    let output = with_input(root, &["scan", "--format", "json", "--files-from", "-"], names);
    let expected =
        pairs(&[("models/*.pkl", "clean"), ("models/a.pkl", "clean"), ("models/with\nline end.pkl", "clean")]);
    assert_eq!(statuses(&output), expected, "names are names, and each is told once");
    let output = with_input(root, &["scan", "--files-from", "-", "-"], b"");
    assert_eq!(output.status.code(), Some(2));
    let output =
        with_input(root, &["scan", "--format", "json", "--files-from", "-"], b"models/gone.pkl\nmodels/a.pkl\n");
    assert_eq!((output.status.code(), statuses(&output).len()), (Some(2), 2), "the rest is scanned");
    assert_eq!(lanner_in(root, &["scan", "--files-from", "missing"]).status.code(), Some(2));
}

#[test]
fn standard_input_is_looked_into_within_its_bound() {
    let directory = tree();
    let root = directory.path();
    let output = with_input(root, &["scan", "--format", "json", "-"], &calls_os_system("x"));
    assert_eq!((output.status.code(), statuses(&output)), (Some(1), pairs(&[("-", "findings")])));
    let output = with_input(root, &["scan", "--format", "json", "-", "models/a.pkl"], GOOD);
    assert_eq!(statuses(&output), pairs(&[("-", "clean"), ("models/a.pkl", "clean")]));
    let exact = with_input(root, &["scan", "-", "--stdin-max", "17"], GOOD);
    assert_eq!(exact.status.code(), Some(0), "{}", stdout(&exact));
    let output = with_input(root, &["scan", "--format", "json", "-", "--stdin-max", "16"], GOOD);
    assert_eq!((output.status.code(), statuses(&output)), (Some(4), pairs(&[("-", "unreadable")])));
    assert!(stdout(&output).contains("larger than 16 bytes"), "{}", stdout(&output));
    // The name is a hint only, but some files are known by theirs.
    let named =
        with_input(root, &["scan", "--format", "json", "-", "--stdin-name", "config.json"], b"{\"auto_map\": {}}");
    assert!(named.status.code() == Some(0) || named.status.code() == Some(1), "{}", stderr(&named));
}

#[test]
fn links_lead_nowhere_outside() {
    let directory = tree();
    let root = directory.path();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, root.join(name)).expect("it can be made");
    };
    std::fs::create_dir(root.join("elsewhere")).expect("it is empty");
    std::fs::write(root.join("elsewhere/evil.pkl"), calls_os_system("x")).expect("there is space");
    link("../elsewhere", "models/out");
    link("../elsewhere/evil.pkl", "models/out.pkl");
    link("old/b.pkl", "models/alias.pkl");
    link("old", "models/older");
    link("nowhere", "models/dangling");
    let expected = pairs(&[
        ("models/a.pkl", "clean"),
        ("models/alias.pkl", "findings"),
        ("models/dangling", "unreadable"),
        ("models/old/b.pkl", "findings"),
        ("models/old/c.txt", "clean"),
        ("models/older", "skipped"),
        ("models/out", "skipped"),
        ("models/out.pkl", "skipped"),
    ]);
    assert_eq!(scan(root, &["models"]), expected);
    let followed = scan(root, &["models", "--follow-links"]);
    assert!(followed.contains(&("models/out/evil.pkl".to_owned(), "findings".to_owned())), "{followed:?}");
    assert!(followed.contains(&("models/out.pkl".to_owned(), "findings".to_owned())), "{followed:?}");
    let both = scan(root, &["models", "elsewhere"]);
    assert!(both.contains(&("models/out.pkl".to_owned(), "findings".to_owned())), "inside of another path: {both:?}");
    // Whoever names a link means what it leads to.
    assert_eq!(scan(root, &["models/out.pkl"]), pairs(&[("models/out.pkl", "findings")]));
    assert_eq!(scan(root, &["models/out"]), pairs(&[("models/out/evil.pkl", "findings")]));
    // What led outside is not looked at: told, and with the flag not clean.
    std::fs::remove_file(root.join("models/dangling")).expect("it is there");
    let arguments = ["scan", "models", "--exclude", "*lias.pkl", "--exclude", "old"];
    let output = lanner_in(root, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("leads outside"), "{}", stdout(&output));
    let strict: Vec<&str> = arguments.into_iter().chain(["--fail-on-incomplete"]).collect();
    assert_eq!(lanner_in(root, &strict).status.code(), Some(4));
}
