//! Edits and ordinary successors of real small models: every one is given its class, and nothing ordinary a hostile
//! one.
//!
//! A small model that NumPy trains in seconds is part of every run. `LANNER_WEIGHTS=1` (`make weights`) has JAX make
//! the full suite, and holds docs/weights.md to what is measured; `LANNER_WEIGHTS_WRITE=1` writes it there.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lanner::artifact::weights::{Comparison, Measured};
use lanner::artifact::{FileBytes, Limits, hash_with, segments};
use lanner::event::Grade;
use serde::Deserialize;

use super::model::options;
use crate::support;

/// Of 100 edits, those that must be named.
const NAMED_MIN: usize = 85;
const BEGIN: &str = "<!-- what `make weights` measured begins here -->\n";
const END: &str = "<!-- and ends here -->";

/// A line of the manifest.
#[derive(Deserialize)]
struct Line {
    model: String,
    name: String,
    label: String,
    class: String,
    old: PathBuf,
    new: PathBuf,
}

/// How often what was said: by the bytes of both versions, and by what was kept.
#[derive(Default, Clone)]
struct Score {
    all: usize,
    /// Given the class that it has; given another hostile class.
    named: [usize; 2],
    other: [usize; 2],
}

#[derive(Default)]
struct Scores {
    benign: BTreeMap<String, Score>,
    hostile: BTreeMap<String, Score>,
    classes: BTreeMap<String, Score>,
    /// Benign ones with a hostile class, and hostile ones without their own, by the bytes and by what was kept.
    wrong: [Vec<String>; 2],
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn make(python: &Path, arguments: &[&str], out: &Path) -> PathBuf {
    let mut command = Command::new(python);
    command.current_dir(root().join("tests/weights")).env("PYTHONDONTWRITEBYTECODE", "1");
    let script = root().join("tests/weights").join(arguments[0]);
    let status = command.arg(script).arg(out).args(&arguments[1..]).status().expect("Python can be run");
    assert!(status.success(), "{arguments:?} could not write its files");
    out.to_owned()
}

fn measure(path: &Path) -> (FileBytes, Measured) {
    let bytes = FileBytes::open(path).expect("it was just written");
    let found = segments(&bytes, &Limits::default());
    let hashed = hash_with(&bytes, found, Some(&options()), &|| false).expect("it can be read").expect("nobody stops");
    let measured = hashed.measured.expect("it was asked for");
    // What is compared has been kept in between.
    (bytes, Measured::from_bytes(&measured.to_bytes()).expect("it was just written"))
}

fn score(folder: &Path) -> Scores {
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).expect("the generator writes it");
    let mut scores = Scores::default();
    let mut olds: HashMap<PathBuf, (FileBytes, Measured)> = HashMap::new();
    for line in manifest.lines() {
        let line: Line = serde_json::from_str(line).expect("the generator writes JSON");
        let (old_bytes, old) = olds.entry(line.old.clone()).or_insert_with(|| measure(&folder.join(&line.old)));
        let (new_bytes, new) = measure(&folder.join(&line.new));
        let both = Comparison::of(old, &new, Some((old_bytes, &new_bytes)), &|| false);
        let kept = Comparison::of(old, &new, None, &|| false);
        let hostile = line.label == "hostile";
        let rows = if hostile { &mut scores.hostile } else { &mut scores.benign };
        let mut told = [false; 2];
        let wanted = format!("weights.{}", line.class);
        let row = rows.entry(line.model.clone()).or_default();
        let class = scores.classes.entry(if hostile { line.class.clone() } else { "benign".to_owned() }).or_default();
        row.all += 1;
        class.all += 1;
        for (how, found) in [both, kept].iter().enumerate() {
            let marks: Vec<&str> = found
                .differences
                .iter()
                .filter(|difference| difference.grade == Grade::Hostile)
                .map(|difference| difference.class.as_str())
                .collect();
            let named = marks.contains(&wanted.as_str());
            for score in [&mut *row, &mut *class] {
                score.named[how] += usize::from(named);
                score.other[how] += usize::from(!named && !marks.is_empty());
            }
            told[how] = if hostile { named } else { marks.is_empty() };
            if !told[how] {
                let classes: Vec<&str> = found.differences.iter().map(|found| found.class.as_str()).collect();
                let classes = if classes.is_empty() { "nothing".to_owned() } else { classes.join(", ") };
                scores.wrong[how].push(format!("`{}/{}`: {classes}", line.model, line.name));
            }
        }
    }
    scores
}

fn total(rows: &BTreeMap<String, Score>) -> Score {
    rows.values().fold(Score::default(), |mut sum, row| {
        sum.all += row.all;
        for how in 0..2 {
            sum.named[how] += row.named[how];
            sum.other[how] += row.other[how];
        }
        sum
    })
}

fn check(scores: &Scores, what: &str) {
    let (benign, hostile) = (total(&scores.benign), total(&scores.hostile));
    println!(
        "{what}: {} of {} edits named, {} of {} benign given a hostile class",
        hostile.named[0], hostile.all, benign.other[0], benign.all
    );
    for (how, wrong) in ["by the bytes", "by what was kept"].iter().zip(&scores.wrong) {
        println!("{what}, {how}:\n  {}", wrong.join("\n  "));
    }
    assert_eq!(benign.other, [0, 0], "{what}: something ordinary is given a hostile class");
    assert!(hostile.named[0] * 100 >= hostile.all * NAMED_MIN, "{what}: {} of {} named", hostile.named[0], hostile.all);
}

#[test]
fn edits_of_a_small_network_are_named_and_nothing_ordinary_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = make(&support::python(), &["tiny.py"], &folder.path().join("tiny"));
    let scores = score(&made);
    assert!(total(&scores.benign).all >= 24 && total(&scores.hostile).all >= 24);
    check(&scores, "digits");
}

fn written(sets: &[(&str, Scores)]) -> String {
    let mut out = String::from(
        "\n| set | model | benign | given a hostile class | edits | named by the bytes | another hostile class | named by what was kept |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (set, scores) in sets {
        for (model, hostile) in &scores.hostile {
            let benign = scores.benign.get(model).cloned().unwrap_or_default();
            let wrong = benign.other[0].max(benign.other[1]);
            writeln!(
                out,
                "| {set} | {model} | {} | {wrong} | {} | {} | {} | {} |",
                benign.all, hostile.all, hostile.named[0], hostile.other[0], hostile.named[1]
            )
            .expect("a string takes text");
        }
    }
    out.push_str("\n| class | edits of the drawn set | named by the bytes | named by what was kept |\n| --- | --- | --- | --- |\n");
    for (class, score) in sets.last().map(|(_, scores)| &scores.classes).into_iter().flatten() {
        if class != "benign" {
            writeln!(out, "| `weights.{class}` | {} | {} | {} |", score.all, score.named[0], score.named[1])
                .expect("a string takes text");
        }
    }
    for (set, scores) in sets {
        for (how, wrong) in ["by the bytes", "by what was kept"].iter().zip(&scores.wrong) {
            writeln!(out, "\nMissed or wrong in the {set} set {how}:\n").expect("a string takes text");
            for line in wrong {
                writeln!(out, "- {line}").expect("a string takes text");
            }
            if wrong.is_empty() {
                out.push_str("- none\n");
            }
        }
    }
    out.push('\n');
    out
}

#[test]
fn the_full_suite_is_what_the_docs_say() {
    let wanted = |variable: &str| std::env::var_os(variable).is_some_and(|value| value == "1");
    if !wanted("LANNER_WEIGHTS") {
        return;
    }
    let python = support::peers().join("weights/bin/python");
    assert!(python.exists(), "{} is missing: run `tests/weights/setup.sh`", python.display());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut sets = Vec::new();
    for set in ["design", "fresh", "drawn"] {
        // Whoever has made a set already may name the folder that it is in.
        let made = std::env::var_os("LANNER_WEIGHTS_MADE").map(|made| PathBuf::from(made).join(set));
        let made = made.unwrap_or_else(|| make(&python, &["make.py", set], &folder.path().join(set)));
        sets.push((set, score(&made)));
    }
    let measured = written(&sets);
    let path = root().join("docs/weights.md");
    let docs = std::fs::read_to_string(&path).expect("docs/weights.md is there");
    let (before, rest) = docs.split_once(BEGIN).expect("the docs have the mark");
    let (stands, after) = rest.split_once(END).expect("the docs have the other mark");
    if wanted("LANNER_WEIGHTS_WRITE") {
        std::fs::write(&path, format!("{before}{BEGIN}{measured}{END}{after}")).expect("the docs can be written");
    } else {
        assert_eq!(stands, measured, "docs/weights.md is not what was measured; `make weights` writes it");
    }
    for (set, scores) in &sets {
        check(scores, set);
    }
}
