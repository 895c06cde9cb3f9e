//! Overrides: rules changed without being edited.

use jiff::Timestamp;
use lanner::detect::overrides::Action;
use lanner::detect::{self, Diagnostic, Level, RuleSet, Source, shipped};
use lanner::event::Severity;
use serde_json::Value;

use super::declared;
use crate::support::program::{lanner_in, stderr, stdout};

fn shipped_set() -> RuleSet {
    detect::load(&shipped::sources(), &declared()).expect("shipped rules load")
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("it is a time")
}

fn overridden(text: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    shipped_set().overridden(&[Source::new("overrides.yml", text)], now())
}

fn sound(text: &str) -> RuleSet {
    overridden(text).unwrap_or_else(|found| panic!("{}", found[0]))
}

fn number(set: &RuleSet, id: &str) -> Option<usize> {
    set.rules().iter().position(|rule| rule.display_id() == id)
}

#[test]
fn each_way_of_naming_finds_its_rules() {
    let by_uuid = "b9f8d3c4-1653-5a2a-a994-D8ABE8ECA51B";
    for (target, ids) in [
        ("id: SCN-002".to_owned(), vec!["SCN-002"]),
        ("id: scn-002".to_owned(), vec!["SCN-002"]),
        (format!("id: {by_uuid}"), vec!["SCN-002"]),
        ("name: scn_002".to_owned(), vec!["SCN-002"]),
        ("title: Pickle calls a known *primitive".to_owned(), vec!["SCN-002"]),
        ("tag: atlas.aml.t0072".to_owned(), vec!["SCN-002"]),
        ("id: [SCN-002, REG-001]".to_owned(), vec!["REG-001", "SCN-002"]),
        ("id: 'HLT-*'".to_owned(), vec!["HLT-001", "HLT-002", "HLT-003"]),
        ("id: 'TRN-*'\n    title: '*miner*'".to_owned(), vec!["TRN-005"]),
    ] {
        let before = shipped_set();
        let set = sound(&format!("overrides:\n  - {target}\n    disable: true\n    reason: why not\n"));
        let mut off: Vec<_> = set.disabled().iter().map(|off| off.rule.display_id().to_owned()).collect();
        off.sort();
        if target.starts_with("tag") {
            assert!(off.contains(&"SCN-002".to_owned()), "{target}: {off:?}");
        } else {
            assert_eq!(off, ids, "{target}");
        }
        assert_eq!(set.rules().len() + off.len(), before.rules().len(), "{target}");
        assert!(off.iter().all(|id| set.find(id).is_none()), "{target}");
        assert_ne!(set.digest(), before.digest(), "other rules in force, another digest");
    }
}

#[test]
fn what_is_left_still_matches() {
    let set = sound("overrides:\n  - {id: AGENT-*, disable: true, reason: x}\n".replace("AGENT", "DIF").as_str());
    assert!(set.rules().iter().all(|rule| !rule.display_id().starts_with("DIF-")));
    let failures = set.test();
    assert!(failures.is_empty(), "rules keep their matchers when others go: {}", failures[0]);
}

#[test]
fn level_and_tags_change_and_are_told() {
    let set = sound(
        "overrides:\n  - id: SCN-002\n    level: low\n    tags: {add: [atlas.aml.t0010, team.research], remove: [atlas.aml.t0072]}\n    \
         reason: reviewed\n    until: 2026-12-31\n",
    );
    let number = number(&set, "SCN-002").expect("it is in force");
    let rule = set.rule(number).expect("it has a number");
    assert_eq!(rule.severity, Severity::Low);
    let atlas: Vec<_> = rule.atlas.iter().map(ToString::to_string).collect();
    assert!(atlas.contains(&"AML.T0010".to_owned()) && !atlas.contains(&"AML.T0072".to_owned()), "{atlas:?}");
    assert!(rule.tags.contains(&"team.research".to_owned()));
    let changes = set.changes(number);
    let actions: Vec<_> = changes.iter().map(|change| change.action).collect();
    assert_eq!(actions, [Action::Level, Action::TagRemoved, Action::TagAdded, Action::TagAdded]);
    assert_eq!(changes[0].to_string(), "level critical → low by overrides.yml:2 until 2027-01-01T00:00:00Z: reviewed");
    assert_eq!(set.ends(), Some("2027-01-01T00:00:00Z".parse().expect("it is a time")), "the day itself counts");
    assert!(set.warnings().is_empty());
}

#[test]
fn the_last_word_has_the_later_entry() {
    let set = sound(
        "overrides:\n  - {id: 'SCN-*', level: low, reason: all}\n  - {id: SCN-002, level: high, reason: but this}\n",
    );
    assert_eq!(set.find("SCN-002").map(|rule| rule.severity), Some(Severity::High));
    assert_eq!(set.find("SCN-001").map(|rule| rule.severity), Some(Severity::Low));
    assert_eq!(set.changes(number(&set, "SCN-002").expect("it is there")).len(), 2);
}

#[test]
fn an_expired_entry_warns_and_changes_nothing() {
    let text = |until: &str| format!("overrides:\n  - {{id: SCN-002, disable: true, reason: x, until: '{until}'}}\n");
    for until in ["2026-05-31", "2026-06-01T12:00:00Z", "2026-06-01T13:59:59+02:00"] {
        let set = sound(&text(until));
        assert!(set.find("SCN-002").is_some(), "{until}");
        assert_eq!(set.digest(), shipped_set().digest(), "{until}: what is in force is the same");
        let warnings: Vec<_> = set.warnings().iter().map(|found| (found.code, found.severity)).collect();
        assert_eq!(warnings, [("R051", Level::Warning)], "{until}");
        assert_eq!(set.ends(), None);
    }
    for until in ["2026-06-01", "2026-06-01T12:00:01Z"] {
        assert!(sound(&text(until)).find("SCN-002").is_none(), "{until}");
    }
}

#[test]
fn files_that_make_no_sense_are_refused_and_nothing_panics() {
    let deep = format!("overrides: {}", "[".repeat(500));
    let many = format!("overrides: [{}]", "{},".repeat(10_001));
    for (text, code) in [
        ("", ""),
        ("# nothing yet\n", ""),
        ("overrides:\n", ""),
        ("overrides: []", ""),
        ("[]", "R004"),
        ("rules: []", "R003"),
        ("overrides: {id: x}", "R004"),
        ("overrides: [7]", "R004"),
        ("overrides: [{id: SCN-002, disable: maybe, reason: x}]", "R004"),
        ("overrides: [{id: SCN-002, disable: true}]", "R003"),
        ("overrides: [{id: [], disable: true, reason: x}]", "R050"),
        ("overrides: [{id: SCN-002, disable: true, reason: x, until: soon}]", "R006"),
        ("overrides: [{id: SCN-002, disable: true, reason: x, until: 9999-12-31}]", "R006"),
        ("overrides: [{id: SCN-002, tags: {add: [atlas.aml.t9999]}, reason: x}]", "R030"),
        ("overrides: [{id: SCN-002, tags: [a.b], reason: x}]", "R004"),
        (deep.as_str(), "R001"),
        (many.as_str(), "R001"),
        ("overrides: [{id: 'no*such', disable: true, reason: x}]", "R050"),
        ("overrides: [{id: SCN-002, name: reg_001, disable: true, reason: x}]", "R050"),
    ] {
        match overridden(text) {
            Ok(_) => assert_eq!(code, "", "{text}"),
            Err(found) => assert!(found.iter().any(|found| found.code == code), "{text}: {}", found[0]),
        }
    }
}

#[test]
fn a_configuration_that_lists_a_rule_as_disabled_is_told_of_like_an_override() {
    let set = shipped_set().without(&["TRN-004".to_owned()]);
    assert!(set.find("TRN-004").is_none());
    assert_eq!(set.disabled().len(), 1);
    assert_ne!(set.digest(), shipped_set().digest());
    assert_eq!(shipped_set().without(&[]).digest(), shipped_set().digest());
}

#[test]
fn list_and_show_say_what_was_changed_where_and_why() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let text = "overrides:\n  - {id: SCN-002, disable: true, reason: sandboxed loader}\n  - id: REG-001\n    level: low\n    reason: drill\n";
    std::fs::write(directory.path().join("o.yml"), text).expect("there is space");
    let call = |arguments: &[&str]| lanner_in(directory.path(), arguments);
    let listed = stdout(&call(&["rules", "list", "--overrides", "o.yml"]));
    assert!(listed.contains("disabled by o.yml:2: sandboxed loader"), "{listed}");
    assert!(listed.contains("level critical → low by o.yml:3: drill"), "{listed}");
    let json = stdout(&call(&["rules", "list", "--overrides", "o.yml", "--format", "json"]));
    let rules: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |id: &str| rules.iter().find(|rule| rule["id"] == id).expect("it is listed");
    assert_eq!(of("SCN-002")["enabled"], false);
    assert_eq!(of("SCN-002")["overrides"][0]["reason"], "sandboxed loader");
    assert_eq!((&of("REG-001")["severity"], &of("REG-001")["enabled"]), (&"low".into(), &true.into()));
    let change = &of("REG-001")["overrides"][0];
    assert_eq!((&change["action"], &change["from"], &change["line"]), (&"level".into(), &"critical".into(), &3.into()));
    assert_eq!(of("SCN-001")["overrides"], serde_json::json!([]));
    let shown = stdout(&call(&["rules", "show", "scn-002", "--overrides", "o.yml"]));
    assert!(shown.contains("disabled by o.yml:2"), "{shown}");
    assert_eq!(rules.len(), shipped_set().rules().len(), "each rule once");
}

#[test]
fn check_speaks_to_machines_and_can_be_strict() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::write(
        root.join("old.yml"),
        "overrides:\n  - {id: SCN-002, disable: true, reason: x, until: 2020-01-01}\n",
    )
    .expect("there is space");
    std::fs::write(root.join("bad.yml"), "overrides:\n  - {id: SCN-0O2, disable: true, reason: x}\n").expect("space");
    let call = |arguments: &[&str]| lanner_in(root, &[&["rules", "check", "--overrides"], arguments].concat());
    assert_eq!(call(&["old.yml"]).status.code(), Some(0), "{}", stderr(&call(&["old.yml"])));
    assert_eq!(call(&["old.yml", "--strict"]).status.code(), Some(3));
    assert_eq!(call(&["bad.yml"]).status.code(), Some(3));
    assert_eq!(call(&["missing.yml"]).status.code(), Some(2));
    let github = stdout(&call(&["bad.yml", "--format", "github"]));
    assert_eq!(
        github,
        "::error file=bad.yml,line=2,col=10,title=R050::the override fits no rule%0Ahelp: did you mean `SCN-002`?\n"
    );
    let log: Value = serde_json::from_str(&stdout(&call(&["old.yml", "--format", "sarif"]))).expect("one document");
    let result = &log["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"R051".into(), &"warning".into()));
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 2);
    let line: Value = serde_json::from_str(stdout(&call(&["bad.yml", "--format", "json"])).trim()).expect("JSON");
    assert_eq!((&line["code"], &line["line"]), (&"R050".into(), &2.into()));
}

/// A rule, a correlation that counts it, and a correlation that counts another one.
const COUNTED: &str = "title: Counted\nname: counted\nid: 6f3c2a5e-0000-4000-8000-000000000001\nlevel: low\n\
    logsource: {category: c}\ndetection: {s: {f: 1}, condition: s}\n---\n\
    title: Other\nname: other\nlevel: low\nlogsource: {category: c}\ndetection: {s: {f: 2}, condition: s}\n---\n\
    title: Twice\nlevel: high\ncorrelation: {type: event_count, rules: [counted], timespan: 1m, \
    condition: {gte: 2}, generate: true}\n";

#[test]
fn a_disabled_rule_that_a_correlation_counts_is_silent_and_goes_on_being_counted() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let put = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("there is space");
    put("r.yml", COUNTED);
    put("part.yml", "overrides: [{name: counted, disable: true, reason: noisy}]\n");
    put(
        "both.yml",
        "overrides: [{name: counted, disable: true, reason: noisy}, {title: Twice, disable: true, reason: x}]\n",
    );
    let load = || detect::load(&[Source::new("r.yml", COUNTED)], &lanner::detect::Schema::open()).expect("it loads");
    let with = |name: &str| {
        let text = std::fs::read_to_string(root.join(name)).expect("it is there");
        load().overridden(&[Source::new(name, text)], now()).unwrap_or_else(|found| panic!("{}", found[0]))
    };
    let fired = |set: &RuleSet| {
        use lanner::detect::correlation::{Correlator, Limits, Sight, View};
        let mut correlator = Correlator::new(set, Limits::default(), false);
        let fields = lanner::event::value::from_json(serde_json::json!({"f": 1}));
        let mut told = Vec::new();
        for (id, time_millis) in [("a", 1000), ("b", 2000)] {
            told.extend(set.matches_open(&fields).iter().map(|rule| rule.title.clone()));
            let view = View { fields: &fields, nested: true };
            let sight = Sight { id, time_millis, arrival_millis: None, source: "", view };
            let fired = correlator.observe(set, &set.open_hits(&fields), &sight);
            told.extend(fired.iter().filter_map(|fired| set.rule(fired.rule)).map(|rule| rule.title.clone()));
        }
        told
    };
    assert_eq!(fired(&load()), ["Counted", "Counted", "Twice"], "with `generate` both tell");
    let set = with("part.yml");
    assert_eq!(fired(&set), ["Twice"], "the rule is silent and the correlation is not blind");
    assert_eq!(set.disabled()[0].counted_by, ["Twice"]);
    assert_eq!(set.rules().len(), 3);
    // With the last correlation that counts it, the rule goes for good.
    let set = with("both.yml");
    assert_eq!(fired(&set), [""; 0]);
    assert!(set.disabled().iter().all(|off| off.counted_by.is_empty()));
    assert_eq!(set.rules().iter().map(|rule| rule.title.as_str()).collect::<Vec<_>>(), ["Other"]);
}

#[test]
fn explain_asks_the_rules_that_are_in_force() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let put = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("there is space");
    put("o.yml", "overrides: [{id: SCN-002, disable: true, reason: sandboxed loader}]\n");
    put("expired.yml", "overrides: [{id: SCN-002, disable: true, reason: x, until: 2020-01-01}]\n");
    put("wrong.yml", "overrides: [{id: NO-SUCH, disable: true, reason: x}]\n");
    let event = r#"{"event.category": "artifact_scan", "artifact.pickle.dangerous_calls": ["os.system"]}"#;
    put("e.json", event);
    let call = |file: &str| {
        lanner_in(directory.path(), &["explain", "--rule", "SCN-002", "--event", "e.json", "--overrides", file])
    };
    let off = call("o.yml");
    assert_eq!(off.status.code(), Some(3));
    assert!(stderr(&off).contains("is disabled by o.yml:1: sandboxed loader"), "{}", stderr(&off));
    assert_eq!(call("expired.yml").status.code(), Some(0));
    let wrong = call("wrong.yml");
    assert!(wrong.status.code() == Some(3) && stderr(&wrong).contains("R050"), "{}", stderr(&wrong));
    assert_eq!(call("missing.yml").status.code(), Some(2));
}

/// A rule, a correlation that counts it, and one that counts the correlation.
const CHAIN: &str = "\
title: One
id: 00000000-0000-4000-8000-000000000001
name: one
logsource: {category: test}
detection: {s: {f: x}, condition: s}
---
title: Many
id: 00000000-0000-4000-8000-000000000002
name: many
correlation: {type: event_count, rules: [one], group-by: [g], timespan: 1m, condition: {gte: 3}}
---
title: Too many
id: 00000000-0000-4000-8000-000000000003
name: toomany
correlation: {type: event_count, rules: [many], group-by: [g], timespan: 1h, condition: {gte: 3}}
";

#[test]
fn what_only_disabled_correlations_counted_speaks_again() {
    let load = || {
        detect::load(&[Source::new("chain.yml", CHAIN)], &detect::Schema::open())
            .unwrap_or_else(|all| panic!("{}", all[0]))
    };
    let off = |set: RuleSet, names: &[&str]| {
        let entries = names.iter().map(|name| format!("  - name: {name}\n    disable: true\n    reason: why not\n"));
        let text = format!("overrides:\n{}", entries.collect::<String>());
        set.overridden(&[Source::new("o.yml", text)], now()).unwrap_or_else(|all| panic!("{}", all[0]))
    };
    let listed = |set: RuleSet, ids: &[u8]| {
        set.without(&ids.iter().map(|id| format!("00000000-0000-4000-8000-{id:012}")).collect::<Vec<_>>())
    };
    let loud = |set: &RuleSet| -> Vec<(String, bool)> {
        set.rules().iter().map(|rule| (rule.title.clone(), !rule.silent)).collect()
    };
    let told = |pairs: &[(&str, bool)]| -> Vec<(String, bool)> {
        pairs.iter().map(|(title, loud)| ((*title).to_owned(), *loud)).collect()
    };
    assert_eq!(loud(&load()), told(&[("One", false), ("Many", false), ("Too many", true)]));
    for set in [off(load(), &["toomany"]), listed(load(), &[3])] {
        assert_eq!(loud(&set), told(&[("One", false), ("Many", true)]));
    }
    for set in [off(load(), &["many", "toomany"]), listed(load(), &[2, 3]), off(listed(load(), &[3]), &["many"])] {
        assert_eq!(loud(&set), told(&[("One", true)]));
    }
    // In the middle it goes on counting for the one above it, and says nothing itself.
    let set = off(load(), &["many"]);
    assert_eq!(loud(&set), told(&[("One", false), ("Many", false), ("Too many", true)]));
    assert_eq!(set.disabled()[0].counted_by, ["00000000-0000-4000-8000-000000000003"]);
    // Kept to be counted only, it goes when nothing counts it any more, and what it counted speaks.
    let set = off(set, &["toomany"]);
    assert_eq!(loud(&set), told(&[("One", true)]));
    assert!(set.disabled().iter().all(|off| off.counted_by.is_empty()), "{:?}", set.disabled());
    let set = off(off(load(), &["one"]), &["many", "toomany"]);
    assert_eq!(loud(&set), told(&[]));
}
