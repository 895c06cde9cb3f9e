//! What is said of a wrong rule: `tests/cases/rules/diagnostics/<name>/{rule.yml,expected.txt}`.
//! Cases with an `overrides.yml` put it in force on the rule. `UPDATE=1` rewrites what is expected.

use std::path::Path;

use lanner::detect::diagnostic::CODES;
use lanner::detect::{self, Diagnostic, Schema, Source};

use super::{cases, declared, read};

#[test]
fn messages_are_those_that_users_need() {
    let mut folders: Vec<_> =
        std::fs::read_dir(cases("diagnostics")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
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
