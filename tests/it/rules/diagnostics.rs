//! What is said of a wrong rule: `tests/cases/rules/diagnostics/<name>/{rule.yml,expected.txt}`.
//! Cases with an `overrides.yml` put it in force on the rule. `UPDATE=1` rewrites what is expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lanner::detect::diagnostic::CODES;
use lanner::detect::import::Mapping;
use lanner::detect::{self, Diagnostic, Schema, Source};

use super::{cases, declared, manual, read};
use crate::support::program::{lanner, stderr, stdout};

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cases("diagnostics")).expect("there are cases");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    folders.sort();
    folders
}

#[test]
fn messages_are_those_that_users_need() {
    let folders = folders();
    assert!(folders.len() >= 20, "only {} cases", folders.len());
    let mut wrong = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for folder in folders {
        let found = diagnostics(&folder);
        seen.extend(found.iter().map(|diagnostic| diagnostic.code));
        let shown = found.iter().map(|diagnostic| format!("{diagnostic}\n")).collect::<Vec<_>>().join("\n");
        let expected = folder.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            lanner::base::files::replace(&expected, shown.as_bytes()).unwrap();
        } else if read(&expected) != shown {
            wrong.push(format!("{}:\n{shown}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unseen: Vec<_> = CODES.iter().map(|(code, _)| *code).filter(|code| !seen.contains(code)).collect();
    assert!(unseen.is_empty(), "no case shows {unseen:?}");
}

/// Cases named `open-…` are loaded as foreign rules.
fn diagnostics(folder: &Path) -> Vec<Diagnostic> {
    let open = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("open-"));
    let schema = if open { Schema::open() } else { declared() };
    let mapping = folder.join("mapping.yml");
    if mapping.exists() {
        let read = Mapping::read(&Source::new("mapping.yml", read(&mapping)), &schema);
        return read.map(drop).expect_err("the case is about what is wrong with it");
    }
    let source = Source::new("rule.yml", read(&folder.join("rule.yml")));
    let set = match detect::load(&[source], &schema) {
        Ok(set) => set,
        Err(found) => return found,
    };
    let overrides = folder.join("overrides.yml");
    let sources = if overrides.exists() { vec![Source::new("overrides.yml", read(&overrides))] } else { Vec::new() };
    let now = "2026-06-01T12:00:00Z".parse().expect("it is a time");
    match set.overridden(&sources, now) {
        Ok(set) => set.warnings().to_vec(),
        Err(found) => found,
    }
}

#[test]
fn all_problems_of_all_files_are_reported() {
    let rule = "title: x\nlogsource: {category: a}\ndetection: {s: {f|contain: a}, condition: t}\n";
    let sources = ["a.yml", "b.yml"].map(|path| Source::new(path, rule));
    let found = detect::load(&sources, &Schema::open()).unwrap_err();
    let mut shown: Vec<_> = found.iter().map(|found| (found.path.as_str(), found.code)).collect();
    shown.sort_unstable();
    assert_eq!(shown, [("a.yml", "R014"), ("a.yml", "R021"), ("b.yml", "R014"), ("b.yml", "R021")]);
}

#[test]
fn diagnostics_are_json_too() {
    let found = detect::load(&[Source::new("a.yml", "[]")], &Schema::open()).unwrap_err();
    let json = serde_json::to_value(&found[0]).unwrap();
    assert_eq!(json["code"], "R002");
    assert_eq!(json["severity"], "error");
    assert_eq!(json["line"], 1);
}

/// The first message with each code among the cases.
fn examples() -> BTreeMap<&'static str, String> {
    let folders = folders();
    let mut examples = BTreeMap::new();
    for diagnostic in folders.iter().flat_map(|folder| diagnostics(folder)) {
        examples.entry(diagnostic.code).or_insert_with(|| diagnostic.to_string());
    }
    examples
}

#[test]
fn every_code_has_its_section() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    let heads: Vec<String> =
        read(&page).lines().filter_map(|line| line.strip_prefix("## ").map(str::to_owned)).collect();
    let wanted: Vec<String> = CODES.iter().map(|(code, meaning)| format!("{code}: {meaning}")).collect();
    assert_eq!(heads, wanted);
    let examples = examples();
    for (code, _) in CODES {
        let example = examples.get(code).unwrap_or_else(|| panic!("no case shows {code}"));
        manual::holds_in(&page, code, &format!("```text\n{}\n```\n", example.trim_end()));
    }
}

#[test]
fn check_explains_a_code() {
    let shown = lanner(&["rules", "check", "--explain", "r017"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    let text = stdout(&shown);
    assert!(text.starts_with("R017: invalid regular expression\n\n") && text.contains("look-around"), "{text}");
    assert!(!text.contains("<!--") && !text.contains("R018"), "{text}");
    let unknown = lanner(&["rules", "check", "--explain", "R999"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
    assert!(stderr(&unknown).contains("R001"), "{}", stderr(&unknown));
}
