//! Pairs of versions that the real libraries write: every attack is named, nothing benign is called hostile.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use lanner::artifact::outline::{CLASSES, classes};
use lanner::event::difference::Grade;

use super::differences;
use crate::support::python;

/// Fewest attacks and benign pairs of a family for the test to mean anything.
const PAIRS_MIN: usize = 3;

fn only_file(folder: &Path) -> (String, Vec<u8>) {
    let entry = std::fs::read_dir(folder).expect("it was written").flatten().next().expect("it holds a file");
    (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("it can be read"))
}

#[test]
fn attacks_are_named_and_benign_twins_are_not_hostile() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/versions.py");
    let status = Command::new(python()).arg(script).arg(folder.path()).status().expect("the peers' Python starts");
    assert!(status.success(), "the pairs could not be written");
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut cases: Vec<_> = walkdir::WalkDir::new(folder.path())
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_name() == "expect")
        .map(|entry| entry.path().parent().expect("it lies in a folder").to_owned())
        .collect();
    cases.sort();
    for case in cases {
        let below = case.strip_prefix(folder.path()).expect("it lies there").to_string_lossy().into_owned();
        let expect = std::fs::read_to_string(case.join("expect")).expect("it was written");
        let (_, old) = only_file(&case.join("old"));
        let (name, new) = only_file(&case.join("new"));
        let found = differences(&old, &new, &name);
        for difference in &found {
            let class = classes::find(&difference.class);
            let graded = class.is_some_and(|class| difference.grade <= class.grade);
            assert!(graded, "{below}: {difference:?} is graded worse than its class says, or has none");
        }
        let hostile: Vec<_> = found.iter().filter(|difference| difference.grade == Grade::Hostile).collect();
        let (family, kind) = below.split_once('/').expect("family and name");
        let count = counts.entry(family.to_owned()).or_default();
        let fine = if kind.starts_with("attack") {
            count.0 += 1;
            hostile.iter().any(|difference| difference.class == expect)
        } else {
            count.1 += 1;
            hostile.is_empty() && (expect.is_empty() || found.iter().any(|difference| difference.class == expect))
        };
        if !fine {
            let told: Vec<String> = found
                .iter()
                .map(|found| format!("    {} {} {}: {}", found.grade, found.class, found.place, found.words))
                .collect();
            wrong.push(format!("{below} (expected {expect}):\n{}", told.join("\n")));
        }
    }
    println!("attacks and benign pairs by family: {counts:?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts.len() >= 9, "{counts:?}");
    assert!(counts.values().all(|(attacks, benign)| *attacks >= PAIRS_MIN && *benign >= PAIRS_MIN), "{counts:?}");
}

#[test]
fn classes_are_told_apart() {
    let mut ids: Vec<&str> = CLASSES.iter().map(|class| class.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CLASSES.len());
    assert!(
        ids.iter().all(|id| id.split_once('.').is_some_and(|(family, class)| !family.is_empty() && !class.is_empty()))
    );
}

#[test]
fn the_manual_explains_every_class() {
    let manual = include_str!("../../../docs/diff.md");
    let explained: Vec<(String, String)> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| {
            let (id, rest) = line.split_once("` | ")?;
            let (grade, _) = rest.split_once(" | ")?;
            Some((id.to_owned(), grade.to_owned()))
        })
        .collect();
    let known: Vec<(String, String)> =
        CLASSES.iter().map(|class| (class.id.to_owned(), class.grade.to_string())).collect();
    let (mut explained, mut sorted) = (explained, known);
    explained.sort();
    sorted.sort();
    assert_eq!(explained, sorted, "docs/diff.md explains the classes that there are, each once");
}

#[test]
fn the_figures_are_those_of_their_script() {
    let figures = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/figures");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(figures.join("make.py"), folder.path().join("make.py")).expect("the script is there");
    let status = Command::new(python()).arg(folder.path().join("make.py")).status().expect("the peers' Python starts");
    assert!(status.success());
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("it can be listed").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.rsplit('.').next() == Some("svg")).collect();
        names.sort();
        names
    };
    assert_eq!(names(folder.path()), names(&figures));
    for name in names(&figures) {
        let (made, kept) = (std::fs::read(folder.path().join(&name)), std::fs::read(figures.join(&name)));
        assert_eq!(made.expect("it was made"), kept.expect("it is there"), "{name}: run docs/figures/make.py");
    }
}
