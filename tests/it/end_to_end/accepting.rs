//! Findings that were accepted: by a baseline, or by entries with reasons. Never silently gone.

use std::path::Path;

use serde_json::Value;

use super::calls_os_system;
use crate::support::program::{lanner_in, stderr, stdout};

fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("models")).expect("it is empty");
    std::fs::write(root.join("models/a.pkl"), calls_os_system("a")).expect("there is space");
    std::fs::write(root.join("models/b.pkl"), calls_os_system("b")).expect("there is space");
    directory
}

fn lines(root: &Path, arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["scan", "--format", "json", "models"].iter().chain(arguments).copied().collect();
    let output = lanner_in(root, &all);
    stdout(&output).lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

#[test]
fn a_baseline_accepts_what_is_there_and_nothing_else() {
    let directory = tree();
    let root = directory.path();
    let output = lanner_in(root, &["scan", "models", "--write-baseline", "base.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let first = std::fs::read(root.join("base.json")).expect("it was written");
    lanner_in(root, &["scan", "models", "--write-baseline", "base.json", "--jobs", "3"]);
    assert_eq!(std::fs::read(root.join("base.json")).expect("it was written"), first, "the same in every run");
    let with = ["--baseline", "base.json"];
    for line in lines(root, &with) {
        assert_eq!((&line["status"], &line["findings"]), (&"suppressed".into(), &Value::Array(Vec::new())), "{line}");
        assert_eq!(line["suppressed"][0]["suppression"]["kind"], "baseline");
        assert_eq!(line["suppressed"][0]["rule"], "SCN-002");
    }
    let output = lanner_in(root, &["scan", "models", "--baseline", "base.json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("findings suppressed: 2"), "{}", stdout(&output));
    // Other bytes, another place, another file: told again.
    std::fs::write(root.join("models/a.pkl"), calls_os_system("changed")).expect("there is space");
    std::fs::copy(root.join("models/b.pkl"), root.join("models/c.pkl")).expect("there is space");
    let told: Vec<String> = lines(root, &with).iter().map(|line| line["status"].to_string()).collect();
    assert_eq!(told, ["\"findings\"", "\"suppressed\"", "\"findings\""]);
    let output = lanner_in(root, &["scan", "models", "--baseline", "base.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("1 of the findings in `base.json`"), "{}", stderr(&output));
}

#[test]
fn classes_that_a_site_vouches_for_are_clean_and_dangerous_ones_are_not_taken() {
    let directory = tree();
    let root = directory.path();
    std::fs::write(root.join("models/own.pkl"), b"\x80\x02cacme.models\nRanker\n)R.").expect("there is space");
    let of = |arguments: &[&str]| {
        let found = lines(root, arguments);
        let own = found.iter().find(|line| line["path"] == "models/own.pkl").expect("it was looked at").clone();
        (own["status"].to_string(), found[0]["findings"][0]["rule"].to_string())
    };
    assert_eq!(of(&[]).0, "\"findings\"");
    std::fs::write(root.join("vetted.txt"), "# ours\nacme.models.^  # read\n").expect("there is space");
    assert_eq!(of(&["--vetted", "vetted.txt"]), ("\"clean\"".to_owned(), "\"SCN-002\"".to_owned()));
    std::fs::write(root.join("vetted.txt"), "acme.models.Ranker\nos.*\n").expect("there is space");
    let output = lanner_in(root, &["scan", "models", "--vetted", "vetted.txt"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("vetted.txt: `os.*` is dangerous"), "{}", stderr(&output));
}

#[test]
fn a_baseline_that_is_none_is_refused() {
    let directory = tree();
    let root = directory.path();
    let code = |text: &str| {
        std::fs::write(root.join("base.json"), text).expect("there is space");
        lanner_in(root, &["scan", "models", "--baseline", "base.json"]).status.code()
    };
    assert_eq!(code("{\"version\": 1, \"findings\": []}"), Some(1));
    for wrong in [
        "",
        "[]",
        "{\"version\": 2, \"findings\": []}",
        "{\"version\": 1, \"findings\": [], \"more\": 1}",
        "{\"version\": 1, \"findings\": [{\"rule\": \"SCN-002\", \"path\": \"models/a.pkl\"}]}",
        "{\"version\": 1, \"findings\": [{\"rule\": \"x\", \"path\": \"y\", \"sha256\": \"z\"}]}",
    ] {
        assert_eq!(code(wrong), Some(3), "{wrong}");
    }
    assert_eq!(lanner_in(root, &["scan", "models", "--baseline", "missing.json"]).status.code(), Some(2));
    let both = ["scan", "models", "--baseline", "base.json", "--write-baseline", "base.json"];
    assert_eq!(lanner_in(root, &both).status.code(), Some(2));
    let output = lanner_in(root, &["scan", "models", "--write-baseline", "missing/base.json"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn what_is_allowed_is_suppressed_with_its_reason() {
    let directory = tree();
    let root = directory.path();
    let digest = lines(root, &[])[1]["sha256"].as_str().expect("a digest").to_owned();
    let allow = |entry: &str| {
        std::fs::write(root.join("allow.yml"), format!("allow:\n  - {entry}\n")).expect("there is space");
        lanner_in(root, &["scan", "models", "--allow", "allow.yml"])
    };
    let fits = [
        "{rule: SCN-002, path: [a.pkl, b.pkl], reason: ours}",
        "{rule: SCN-002, path: 'models/*.pkl', reason: ours}",
        "{rule: 'scn-*', path: './models/**', reason: ours, until: 2999-01-01}",
        "{rule: [SCN-002, SCN-001], path: '*.pkl', reason: ours}",
    ];
    for entry in fits {
        let output = allow(entry);
        assert_eq!(output.status.code(), Some(0), "{entry}: {}", stdout(&output));
        assert!(stdout(&output).contains("findings suppressed: 2"), "{entry}");
        assert_eq!(stderr(&output), "", "{entry}");
    }
    let one = [
        format!("{{rule: SCN-002, sha256: {digest}, reason: ours}}"),
        format!("{{rule: SCN-002, sha256: 'sha256:{digest}', path: 'models/*', reason: ours}}"),
        "{rule: SCN-002, path: b.pkl, reason: ours}".to_owned(),
    ];
    for entry in one {
        let output = allow(&entry);
        assert_eq!(output.status.code(), Some(1), "{entry}");
        assert!(stdout(&output).contains("findings suppressed: 1"), "{entry}");
    }
    let told = lines(root, &["--allow", "allow.yml"]);
    let why = &told[1]["suppressed"][0]["suppression"];
    assert_eq!((&why["kind"], &why["reason"], &why["by"]), (&"allow".into(), &"ours".into(), &"allow.yml:2".into()));
    let output = lanner_in(root, &["scan", "--format", "sarif", "models", "--allow", "allow.yml"]);
    let log: Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
    let results = log["runs"][0]["results"].as_array().expect("a list");
    let suppressed: Vec<&Value> = results.iter().filter_map(|result| result.get("suppressions")).collect();
    assert_eq!(suppressed.len(), 1, "the other has none");
    assert_eq!(suppressed[0][0]["kind"], "external");
    assert_eq!(suppressed[0][0]["justification"], "ours");
    // An entry comes before a baseline, and a new baseline does not take what is allowed already.
    let output = lanner_in(root, &["scan", "models", "--allow", "allow.yml", "--write-baseline", "base.json"]);
    assert!(stderr(&output).contains("findings written to `base.json`: 1"), "{}", stderr(&output));
}

#[test]
fn entries_that_do_nothing_or_are_wrong_are_told() {
    let directory = tree();
    let root = directory.path();
    let allow = |text: &str| {
        std::fs::write(root.join("allow.yml"), text).expect("there is space");
        let output = lanner_in(root, &["scan", "models", "--allow", "allow.yml"]);
        (output.status.code(), stderr(&output))
    };
    let (code, said) = allow("allow:\n  - {rule: SCN-002, path: gone.pkl, reason: ours}\n");
    assert_eq!(code, Some(1));
    assert!(said.contains("allow.yml:2: the entry fits nothing that was found"), "{said}");
    let (code, said) = allow("allow:\n  - {rule: SCN-002, path: '*.pkl', reason: ours, until: 2020-01-31}\n");
    assert_eq!(code, Some(1), "it is over: {said}");
    assert!(said.contains("R051"), "{said}");
    assert_eq!(allow("").0, Some(1), "nothing is allowed");
    for (entry, part) in [
        ("{rule: SCN-002, path: x}", "`reason` is missing"),
        ("{rule: SCN-002, path: x, reason: ''}", "`reason`"),
        ("{path: x, reason: ours}", "`rule` is missing"),
        ("{rule: SCN-002, reason: ours}", "names no file"),
        ("{rule: SCN-02, path: x, reason: ours}", "did you mean"),
        ("{rule: SCN-002, path: x, reason: ours, untill: 2027-01-01}", "did you mean `until`"),
        ("{rule: SCN-002, path: x, reason: ours, until: soon}", "no date"),
        ("{rule: SCN-002, path: '[', reason: ours}", "no glob"),
        ("{rule: SCN-002, path: [], reason: ours}", "`path`"),
        ("{rule: SCN-002, sha256: abc, reason: ours}", "64 hexadecimal digits"),
        ("{rule: SCN-002, path: {}, reason: ours}", "`path` is a text"),
        ("SCN-002", "a mapping"),
    ] {
        let (code, said) = allow(&format!("allow:\n  - {entry}\n"));
        assert_eq!(code, Some(3), "{entry}: {said}");
        assert!(said.contains(part), "{entry}: {said}");
    }
    for whole in ["- x\n", "allowed: []\n", "allow: {}\n", "allow: [\n"] {
        assert_eq!(allow(whole).0, Some(3), "{whole}");
    }
    assert_eq!(lanner_in(root, &["scan", "models", "--allow", "missing.yml"]).status.code(), Some(2));
}
