//! Mistakes in configuration files: every one is told, at its place, and none of them is fatal to us.

mod hostile;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use lanner::config::{self, Problem};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/config");

/// What is said about a configuration; empty when it is sound.
pub fn problems(text: &str) -> Vec<Problem> {
    match config::load("lanner.yaml", text) {
        Err(problems) => problems,
        Ok((config, places)) => config::check(config, &places).err().unwrap_or_default(),
    }
}

fn told(problems: &[Problem]) -> String {
    let mut told = String::new();
    for problem in problems {
        writeln!(told, "{problem}").expect("a text takes all");
    }
    told
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(CASES).expect("the cases are there").flatten().map(|entry| entry.path()).collect();
    cases.sort();
    assert!(cases.len() > 20, "the cases are there: {}", cases.len());
    cases
}

#[test]
fn every_mistake_is_told_as_expected() {
    let mut wrong = Vec::new();
    for case in cases() {
        let text = std::fs::read_to_string(case.join("lanner.yaml")).expect("a case has a configuration");
        let found = told(&problems(&text));
        let path = case.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &found).expect("the cases are writable");
        }
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&found) {
            wrong.push(format!("{}:\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}

#[test]
fn every_mistake_has_a_place() {
    for case in cases() {
        let text = std::fs::read_to_string(case.join("lanner.yaml")).expect("a case has a configuration");
        for problem in problems(&text) {
            let lines = text.lines().count().max(1);
            assert!((1..=lines).contains(&problem.line), "{}: {problem}", case.display());
        }
    }
}

#[test]
fn the_example_is_sound_and_fits_the_schema() {
    let text = config::example();
    assert_eq!(told(&problems(text)), "");
    let schema = serde_json::to_value(schemars::schema_for!(config::Config)).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let node = lanner::base::yaml::parse(text).expect("it is YAML").remove(0);
    let errors: Vec<String> = validator.iter_errors(&node.to_json()).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!validator.is_valid(&serde_json::json!({"sinks": {"webhok": []}})), "the schema knows all settings");
}

#[test]
fn secrets_are_never_shown() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("secret");
    std::fs::write(&path, "hush-hush").expect("it is writable");
    let secret = lanner::base::secret::Secret::new("hush-hush");
    assert!(!format!("{secret:?}").contains("hush"));
    // One mistake, so that everything around it might be printed.
    let text = format!(
        "http: {{listen: nowhere}}\nsinks:\n  webhook:\n    - {{name: w, url: 'ftp://user:hush-hush@host/', secret_file: {}}}\n",
        Path::new(&path).display()
    );
    let problems = problems(&text);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(!format!("{problems:?}{}", told(&problems)).contains("hush"), "{problems:?}");
}
