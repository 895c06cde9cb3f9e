//! Rules of others, made into rules over our own events.

use std::path::Path;

use lanner::detect::import::{Mapping, import};
use lanner::detect::{self, Schema, Source};

use super::declared;
use crate::support::program::{lanner_in, stderr, stdout};

/// In the manner of public rules: comments, quotes, lists, a filter, a reference between fields.
const RULE: &str = "\
# A comment at the top
title: Shell fed by a download
id: 3f1c8a8e-2b44-4a5e-9d0b-6f1f4c1f0a11
status: test
description: |
    Something is fetched

    and run at once
author: Some Body
date: 2024-05-01
tags:
    - attack.execution
    - attack.t1059.004
logsource:
    product: linux   # whatever writes it
    category: process_creation
    definition: 'auditd'
detection:
    selection_get:
        CommandLine|contains:   # a comment
            - 'curl '
            - \"wget \"
    selection_run:
        - 'CommandLine|endswith': '| sh'
        - CommandLine|re: '\\|\\s*bash$'
    filter:
        message|fieldref: CommandLine
    condition: all of selection_* and not filter
fields:
    - CommandLine
falsepositives:
    - Installers
level: medium
";

fn imported(text: &str) -> Result<String, Vec<String>> {
    import(text, &Mapping::built_in(&declared()), &declared())
        .map_err(|found| found.into_iter().map(|one| format!("{}: {}", one.line, one.message)).collect())
}

#[test]
fn everything_but_names_stays_as_it_was_written() {
    let text = imported(RULE).expect("every field is mapped");
    let wanted = RULE
        .replace(
            "    product: linux   # whatever writes it\n    category: process_creation\n",
            "    category: training_log\n",
        )
        .replace("CommandLine", "log.line")
        .replace("message|", "log.line|")
        + "lanner:\n    imported: true\n";
    assert_eq!(text, wanted);
    let set =
        detect::load(&[Source::new("rule.yml", text)], &declared()).unwrap_or_else(|found| panic!("{}", found[0]));
    assert!(set.rules()[0].imported);
    assert_eq!(set.rules()[0].author.as_deref(), Some("Some Body"));
}

#[test]
fn documents_and_correlations_of_one_file_go_together() {
    let one = RULE.replace("title: ", "name: download\ntitle: ").replace("# A comment at the top\n", "");
    let text = format!(
        "{one}---\ntitle: Often\ncorrelation:\n  type: value_count\n  rules: download\n  group-by: [who, CommandLine]\n  \
         timespan: 5m\n  condition: {{field: message, gte: 3}}\n  aliases:\n    who:\n      download: CommandLine\nlevel: high\n...\n"
    );
    let changed = imported(&text).expect("every field is mapped");
    assert!(changed.contains("group-by: [who, log.line]\n"), "{changed}");
    assert!(changed.contains("condition: {field: log.line, gte: 3}"), "{changed}");
    assert!(changed.contains("download: log.line\n"), "{changed}");
    assert_eq!(changed.matches("imported: true").count(), 2);
    let set =
        detect::load(&[Source::new("rule.yml", changed)], &declared()).unwrap_or_else(|found| panic!("{}", found[0]));
    assert_eq!(set.rules().len(), 2);
}

#[test]
fn what_is_not_mapped_is_named_with_its_line() {
    let text = RULE.replace("        message|fieldref", "        ParentImage|fieldref");
    assert_eq!(imported(&text), Err(vec!["27: the field `ParentImage` is not mapped".to_owned()]));
    let text = RULE.replace("product: linux", "product: windows");
    let found = imported(&text).expect_err("Lanner sees no such events");
    assert!(found[0].starts_with("15: no mapping for the logsource {"), "{found:?}");
    let text = RULE
        .replace("        - 'CommandLine|endswith'", "        - message|endswith: x\n          'CommandLine|endswith'");
    assert_eq!(
        imported(&text),
        Err(vec!["25: two fields of one selection would become `log.line|endswith`".to_owned()])
    );
    let alone = "title: Often\ncorrelation: {type: event_count, rules: [x], timespan: 1m, condition: {gte: 2}}\n";
    assert!(imported(alone).expect_err("its rules are elsewhere")[0].contains("in one file with the rules"));
}

#[test]
fn text_that_cannot_be_changed_safely_is_refused() {
    for (from, to) in [
        // A name with an escape, an alias, a logsource in several lines of a flow mapping.
        ("'CommandLine|endswith'", "\"Command\\u004Cine|endswith\""),
        (
            "    product: linux   # whatever writes it\n    category: process_creation\n    definition: 'auditd'\n",
            "  {product: linux,\n   category: x}\n",
        ),
    ] {
        let text = RULE.replace(from, to);
        assert_ne!(text, RULE, "{from}");
        match imported(&text) {
            Err(found) => assert!(!found.is_empty()),
            Ok(changed) => {
                // It was changed, and still says the same.
                detect::load(&[Source::new("rule.yml", changed)], &declared())
                    .map_or_else(|found| panic!("{}", found[0]), drop);
            }
        }
    }
    let flow = RULE.replace("logsource:\n    product: linux   # whatever writes it\n    category: process_creation\n    definition: 'auditd'\n", "logsource: {product: linux, category: process_creation}\n");
    assert!(imported(&flow).expect("one line is well").contains("logsource: {category: training_log}\n"));
    for cut in (0..RULE.len()).step_by(7) {
        drop(imported(&RULE[..cut]));
    }
    assert!(imported(&format!("a: &x [{}]\n", "*x,".repeat(10))).is_err());
    assert!(imported(&"[".repeat(100_000)).is_err());
}

#[test]
fn a_mapping_names_what_there_is() {
    let read = |text: &str| {
        Mapping::read(&Source::new("mapping.yml", text), &declared()).map(drop).map_err(|found| {
            found.iter().map(|one| format!("{}:{} {}", one.code, one.line, one.message)).collect::<Vec<_>>()
        })
    };
    assert_eq!(
        read("mappings:\n- {logsource: {product: x}, becomes: {category: training_log}, fields: {a: log.line}}\n"),
        Ok(())
    );
    let wrong =
        "mappings:\n- logsource: {}\n  becomes: {category: traning_log}\n  fields: {a: log.lin}\n  feilds: {}\n";
    let found = read(wrong).expect_err("everything is wrong");
    for wanted in ["R054:2", "R010:3", "R012:4 there is no field `log.lin`", "`feilds`"] {
        assert!(found.iter().any(|one| one.contains(wanted)), "{wanted}: {found:?}");
    }
    assert!(read("- 1").expect_err("it is no mapping file")[0].starts_with("R054"));
    assert!(read("mappings: [").is_err());
}

fn stage(root: &Path) {
    std::fs::create_dir_all(root.join("theirs/sub")).expect("there is space");
    std::fs::write(root.join("theirs/good.yml"), RULE).expect("there is space");
    let other = RULE.replace("product: linux", "product: windows").replace("3f1c8a8e", "3f1c8a8f");
    std::fs::write(root.join("theirs/sub/other.yml"), other).expect("there is space");
    // Its fields are mapped, but Lanner cannot load it.
    let bad = RULE.replace("all of selection_*", "all of sel_*").replace("3f1c8a8e", "3f1c8a90");
    std::fs::write(root.join("theirs/sub/bad.yml"), bad).expect("there is space");
}

#[test]
fn the_verb_writes_what_loads_and_lists_the_rest() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    stage(root);
    let run = |more: &[&str]| lanner_in(root, &[&["rules", "import", "theirs", "--output", "ours"], more].concat());
    let done = run(&[]);
    assert_eq!(done.status.code(), Some(1), "{}", stderr(&done));
    let said = stdout(&done);
    assert!(said.contains("3 files: 1 imported into ours, 2 skipped, 0 broken"), "{said}");
    assert!(said.contains("theirs/sub/other.yml:15: no mapping"), "{said}");
    assert!(said.contains("theirs/sub/bad.yml:") && said.contains("sel_*"), "{said}");
    assert!(root.join("ours/good.yml").exists() && !root.join("ours/sub").exists());
    assert!(lanner_in(root, &["rules", "check", "--rules", "ours"]).status.success());
    let shown = stdout(&lanner_in(root, &["rules", "show", "Shell fed by a download", "--rules", "ours"]));
    assert!(shown.contains("imported         by Some Body"), "{shown}");

    // Nothing is written over what is there, unless it is asked for.
    let again = run(&[]);
    assert!(!again.status.success() && stderr(&again).contains("--force"), "{}", stderr(&again));
    assert_eq!(run(&["--force"]).status.code(), Some(1));
    let inside = lanner_in(root, &["rules", "import", "theirs", "--output", "theirs/ours"]);
    assert!(stderr(&inside).contains("inside"), "{}", stderr(&inside));

    // As they are, for replay; what is no rule is told apart.
    std::fs::write(root.join("theirs/none.yml"), "a: [").expect("there is space");
    let open = lanner_in(root, &["rules", "import", "theirs", "-o", "open", "--open-schema", "--format", "json"]);
    assert_eq!(open.status.code(), Some(3), "{}", stdout(&open));
    let lines: Vec<serde_json::Value> =
        stdout(&open).lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let status: Vec<_> = lines.iter().map(|line| line["status"].as_str().unwrap_or_default()).collect();
    assert_eq!(status, ["imported", "broken", "skipped", "imported"]);
    assert_eq!(std::fs::read_to_string(root.join("open/good.yml")).expect("it is there"), RULE);
}

#[test]
fn a_mapping_of_ones_own_is_followed() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    stage(root);
    std::fs::write(
        root.join("mapping.yml"),
        "mappings:\n  - logsource: {product: Windows}\n    becomes: {category: artifact_change, product: mlflow}\n    \
         fields: {CommandLine: artifact.format, message: artifact.format}\n",
    )
    .expect("there is space");
    let done = lanner_in(root, &["rules", "import", "theirs/sub/other.yml", "-o", "ours", "--mapping", "mapping.yml"]);
    assert!(done.status.success(), "{}{}", stdout(&done), stderr(&done));
    let text = std::fs::read_to_string(root.join("ours/other.yml")).expect("it is there");
    assert!(text.contains("    category: artifact_change\n    product: mlflow\n    definition: 'auditd'\n"), "{text}");
    let set =
        detect::load(&[Source::new("other.yml", text)], &Schema::open()).unwrap_or_else(|found| panic!("{}", found[0]));
    assert_eq!(set.rules()[0].referenced_fields, ["artifact.format"]);
}

#[test]
fn filters_come_along_without_the_mark_of_a_rule() {
    let filter = "---\ntitle: Not the mirror\nlogsource: {product: linux, category: process_creation}\n\
                  filter:\n    rules: [3f1c8a8e-2b44-4a5e-9d0b-6f1f4c1f0a11]\n    selection: {CommandLine|contains: mirror}\n\
                  \u{20}   condition: not selection\n";
    let text = imported(&format!("{RULE}{filter}")).expect("every field is mapped");
    assert_eq!(text.matches("imported: true").count(), 1, "{text}");
    let set =
        detect::load(&[Source::new("imported.yml", text)], &declared()).unwrap_or_else(|all| panic!("{}", all[0]));
    assert_eq!(set.rules()[0].filters, ["Not the mirror"]);
}

#[test]
fn rules_in_flow_style_are_told_what_to_do() {
    let flow = "{title: T, logsource: {product: linux, category: process_creation}, \
                detection: {s: {CommandLine: x}, condition: s}, level: low}\n";
    assert_eq!(
        imported(flow).unwrap_err(),
        ["1: the file is written in a way that cannot be changed safely; write it in block style"]
    );
}
