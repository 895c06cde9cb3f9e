//! Lists of values in files, from the configuration and for the verbs.

use std::path::{Path, PathBuf};

use lanner::agent::rules::{self, RulesError};
use lanner::config::raw;
use lanner::detect::Schema;
use lanner::event::value;
use serde_json::json;

use super::rule_of;
use crate::support::program::{lanner_in, stderr, stdout};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file for the test");
    }
    folder
}

fn failure(paths: &[&Path]) -> String {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    rules::loader(Schema::open(), &paths).expect_err("this is no list").to_string()
}

#[test]
fn lists_are_files_of_a_folder() {
    let lines = "# who may\n\nalice\n  bob  \n";
    let lists =
        folder(&[("admins.txt", lines), ("ports.yml", "[22, '80']"), ("none.yaml", ""), ("README.md", "no list")]);
    let more = folder(&[("more.txt", "x")]);
    let paths = [lists.path().to_owned(), more.path().join("more.txt")];
    let loader = rules::loader(Schema::open(), &paths).unwrap();
    assert_eq!(loader.values.names().collect::<Vec<_>>(), ["admins", "more", "none", "ports"]);
    let detection = json!({
        "s": {"user|expand": "%admins%", "port|expand": "%ports%"},
        "t": {"user|expand": "%none%"},
        "condition": "s and not t",
    });
    let set = loader.load(&[rule_of("t", &detection)]).unwrap();
    for (event, hits) in [
        (json!({"user": "bob", "port": 22}), 1),
        (json!({"user": "alice", "port": 80}), 1),
        (json!({"user": "# who may", "port": 22}), 0),
        (json!({"user": "bob", "port": 2222}), 0),
    ] {
        assert_eq!(set.matches_open(&value::from_json(event.clone())).len(), hits, "{event}");
    }
}

#[test]
fn other_values_are_another_set_of_rules() {
    let digest = |text: &str| {
        let lists = folder(&[("a.txt", text)]);
        let loader = rules::loader(Schema::open(), &[lists.path().to_owned()]).unwrap();
        let detection = json!({"s": {"f|expand": "%a%"}, "condition": "s"});
        loader.load(&[rule_of("t", &detection)]).unwrap().digest()
    };
    assert_eq!(digest("x\ny\n"), digest("x\n# the same\ny\n"));
    assert_ne!(digest("x\n"), digest("y\n"));
}

#[test]
fn what_is_no_list_is_refused_with_its_name() {
    let broken = folder(&[("a.yml", "- x\n- [y]\n")]);
    assert!(failure(&[broken.path()]).contains("a.yml` is no list of values: line 2"), "{}", failure(&[broken.path()]));
    let mapping = folder(&[("a.yml", "x: y\n")]);
    assert!(failure(&[mapping.path()]).contains("a file of values is one list"));
    let twice = folder(&[("a.txt", "x"), ("a.yml", "[x]")]);
    assert!(failure(&[twice.path()]).contains("`a` is there twice"));
    let named = folder(&[("a b.txt", "x")]);
    assert!(failure(&[named.path()]).contains("`a b` is no name"));
    let empty = folder(&[("README.md", "x")]);
    assert!(failure(&[empty.path()]).contains("there is no list of values"));
    assert!(failure(&[&empty.path().join("README.md")]).contains("there is no list of values"));
    assert!(failure(&[&empty.path().join("gone")]).contains("cannot be read"));
    let long = folder(&[("a.txt", &"x\n".repeat(20_001))]);
    assert!(failure(&[long.path()]).contains("more than 20000 values"));
}

#[test]
fn the_configuration_names_them() {
    let lists = folder(&[("formats.txt", "gguf\n")]);
    let rule = super::read(&super::cases("diagnostics").join("sound/rule.yml"))
        .replace("artifact.pickle.calls|contains: system", "artifact.format|expand: '%formats%'")
        .replace("{artifact.pickle.calls: [os.system]}", "{artifact.format: gguf}");
    let files = folder(&[("rule.yml", &rule)]);
    let paths = vec![files.path().to_owned()];
    let config = raw::Rules { shipped: false, paths, values: vec![lists.path().to_owned()], ..raw::Rules::default() };
    assert!(rules::load(&config).unwrap().test().is_empty());
    let without = raw::Rules { values: Vec::new(), ..config };
    let error = rules::load(&without).unwrap_err();
    let RulesError::Invalid(found) = &error else { panic!("{error}") };
    assert_eq!(found[0].code, "R019", "{}", error.explain());
}

#[test]
fn the_verbs_take_them() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let rule = "title: By list\nlogsource: {category: test}\ndetection:\n  s:\n    f|expand: '%wanted%'\n  condition: s\nlevel: low\n";
    for (name, text) in [
        ("rule.yml", rule),
        ("wanted.txt", "# a list\none\ntwo\n"),
        ("events.jsonl", "{\"f\": \"two\"}\n{\"f\": \"three\"}\n"),
    ] {
        std::fs::write(root.join(name), text).expect("there is space");
    }
    let replay = ["replay", "--rules", "rule.yml", "--open-schema", "--format", "json", "events.jsonl"];
    let without = lanner_in(root, &replay);
    assert_eq!(without.status.code(), Some(3));
    assert!(stderr(&without).contains("R019") && stderr(&without).contains("wanted"), "{}", stderr(&without));
    let with = lanner_in(root, &[&replay[..], &["--values", "wanted.txt"]].concat());
    assert!(with.status.success(), "{}", stderr(&with));
    let alerts: Vec<serde_json::Value> =
        stdout(&with).lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!(alerts.iter().map(|alert| &alert["event_index"]).collect::<Vec<_>>(), [0]);

    let ours = std::fs::read_to_string(super::cases("diagnostics").join("sound/rule.yml")).expect("it is there");
    let ours =
        ours.replace("artifact.pickle.calls|contains: system", "artifact.pickle.calls|contains|expand: '%wanted%'");
    assert!(ours.contains("%wanted%"), "{ours}");
    std::fs::write(root.join("rule.yml"), ours).expect("there is space");
    std::fs::write(root.join("wanted.txt"), "system\n").expect("there is space");
    for verb in ["check", "test", "list"] {
        assert_eq!(lanner_in(root, &["rules", verb, "--rules", "rule.yml"]).status.code(), Some(3), "{verb}");
        let done = lanner_in(root, &["rules", verb, "--rules", "rule.yml", "--values", "wanted.txt"]);
        assert!(done.status.success(), "{verb}: {}", stderr(&done));
    }
}
