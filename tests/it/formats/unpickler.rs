//! The pickle machine against `CPython`'s own unpickler: on random pickles, some of them damaged, what
//! `CPython` would import and call is told, and on those that it loads nothing else is.
//!
//! `CPython` is told to find a stand-in for every class, so nothing is imported
//! (`tests/peers/unpickle.py`). `LANNER_DIFFERENTIAL_CASES` sets the number of pickles.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{list, report};
use crate::support::python;

const CASES: usize = 20_000;

#[derive(Deserialize)]
struct Case {
    pickle: String,
    protocol: u8,
    globals: Vec<String>,
    calls: Vec<String>,
    /// It loads without an error.
    ended: bool,
    /// Names in opcodes that carry one, as `pickletools` reads them.
    parsed: Vec<String>,
}

#[test]
fn what_cpython_would_call_is_told() {
    let count = std::env::var("LANNER_DIFFERENTIAL_CASES").map_or(CASES, |text| text.parse().expect("it is a number"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/unpickle.py");
    let mut child = Command::new(python())
        .arg(script)
        .args([count.to_string(), "20261128".to_owned()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the peers' Python starts");
    let lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
    let (mut seen, mut calls, mut differences) = (0, 0, Vec::new());
    for line in lines {
        let case: Case = serde_json::from_str(&line.expect("it is text")).expect("it is a case");
        seen += 1;
        calls += case.calls.len();
        if let Some(difference) = compare(&case)
            && differences.len() < 20
        {
            differences.push(format!("{difference}: {} (protocol {})", case.pickle, case.protocol));
        }
    }
    assert!(child.wait().expect("it can be waited for").success());
    assert_eq!(seen, count);
    assert!(calls > count, "hardly anything is called: {calls}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn compare(case: &Case) -> Option<String> {
    let bytes = unhex(&case.pickle);
    // A name that claims a pickle: the machine runs whatever the bytes begin with.
    let report = report(&bytes, "model.pkl");
    let (globals, told) = (list(&report, "artifact.pickle.globals"), list(&report, "artifact.pickle.calls"));
    let missing = |wanted: &[String], found: &[String]| -> Vec<String> {
        wanted.iter().map(|name| told_as(name)).filter(|name| !found.contains(name)).collect()
    };
    let unseen = missing(&case.globals, &globals);
    if !unseen.is_empty() {
        return Some(format!("CPython imports {unseen:?}"));
    }
    let unseen = missing(&case.calls, &told);
    if !unseen.is_empty() {
        return Some(format!("CPython calls {unseen:?}, told {told:?}"));
    }
    if case.ended {
        // The list holds names that are called as they are, and those handed to something that calls.
        // A name that `getattr` puts together is told as what it is.
        let imported: Vec<_> = case.globals.iter().map(|name| told_as(name)).collect();
        let followed = |name: &String| imported.iter().any(|known| name.starts_with(&format!("{known}.")));
        let invented: Vec<_> = globals.iter().filter(|name| !imported.contains(name) && !followed(name)).collect();
        if !invented.is_empty() {
            return Some(format!("CPython does not import {invented:?}"));
        }
        if report.facts.contains_key("artifact.pickle.broken") {
            return Some(format!("CPython loads it: {:?}", report.issues));
        }
        // `pickletools` knows no old names.
        let unseen = missing(&case.parsed, &globals);
        if case.protocol >= 3 && !unseen.is_empty() {
            return Some(format!("pickletools reads {unseen:?}"));
        }
    }
    None
}

/// Control characters are told as escapes.
fn told_as(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("it is hexadecimal"))
        .collect()
}
