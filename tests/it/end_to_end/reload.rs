//! Rules swapped while lines flow: none missed, none matched by half a set, the old set kept on errors.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lanner::agent::rules::declared_fields;
use lanner::detect::{self, Schema, Source};

use crate::support::program::Agent;
use crate::support::{get, wait_for};

/// Swaps that must have taken effect while lines were written.
const SWAPS: usize = 24;

/// A rule that matches every line of the writer.
fn rule(short_id: &str, uuid: &str) -> String {
    format!(
        "title: Line seen by {short_id}\nid: {uuid}\nstatus: test\ndescription: Matches every line of the writer.\n\
         tags: [atlas.aml.t0050]\nlogsource: {{category: training_log}}\ndetection:\n  line: {{log.line|startswith: 'sequence '}}\n  \
         condition: line\nlevel: low\nfalsepositives: [none]\nfields: [log.line]\nlanner:\n  short_id: {short_id}\n  \
         atlas_version: \"2026.09\"\n  phase: model-development\n  mitigations: [AML.M0024]\n  tests:\n    \
         - {{name: a line, event: {{log.line: sequence 7}}, match: true}}\n    - {{name: another, event: {{log.line: epoch}}, match: false}}\n"
    )
}

/// Two rules that only make sense together.
fn set(letter: char) -> String {
    let family = format!("TS{}", letter.to_ascii_uppercase());
    let uuid = |number: u8| format!("5b0ea6d2-53a2-4c6f-8a43-0d9f6d1c{letter}{letter}1{number}");
    format!("{}---\n{}", rule(&format!("{family}-001"), &uuid(1)), rule(&format!("{family}-002"), &uuid(2)))
}

fn digest(text: &str) -> String {
    let schema = Schema::declared(declared_fields());
    let set = detect::load(&[Source::new("rules.yml", text)], &schema).unwrap_or_else(|found| panic!("{}", found[0]));
    assert!(set.test().is_empty());
    set.digest().to_string()
}

fn put(root: &Path, text: &str) {
    std::fs::write(root.join("next"), text).expect("there is space");
    std::fs::rename(root.join("next"), root.join("rules.yml")).expect("it can be renamed");
}

/// The digest that the metric tells.
fn in_force(agent: &Agent) -> Option<String> {
    let (_, text) = get(&agent.url("/metrics"))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("lanner_ruleset_info{sha256=\""));
    let digest = lines.next()?.split('"').next()?.to_owned();
    assert_eq!(lines.next(), None, "one set is in force");
    Some(digest)
}

fn reload_failures(agent: &Agent) -> f64 {
    agent.metric("lanner_config_reloads_total", "result=\"failure\"")
}

#[test]
fn no_line_is_missed_or_matched_by_half_a_set() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let sets = [set('a'), set('b')];
    let digests = [digest(&sets[0]), digest(&sets[1])];
    // Half of a set loads on its own, and its first rule would match: it must be the whole or nothing.
    let broken = format!("{}---\ntitle: cut off\n", sets[0].split("---\n").next().expect("there are two"));
    put(root, &sets[0]);
    std::fs::create_dir(root.join("logs")).expect("it is empty");
    let config = format!(
        "rules: {{shipped: false, paths: [rules.yml], watch: false}}\nalerts: {{repeat_after_secs: 0}}\n\
         sources: {{logs: [{{name: jobs, paths: [\"{}/logs/*.log\"], start_at: beginning}}]}}\n\
         sinks: {{file: [{{name: file, path: alerts.jsonl}}]}}\n",
        root.display()
    );
    let agent = Agent::start(root, &config).ready();
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = std::fs::File::create(root.join("logs/train.log")).expect("it can be made");
            while !done.load(Ordering::Relaxed) {
                for _ in 0..10 {
                    writeln!(log, "sequence {}", written.fetch_add(1, Ordering::Relaxed)).expect("there is space");
                }
                // As fast as a slow machine can follow.
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        let stop = Stop(&done);
        swap(&agent, root, &sets, &digests, &broken);
        drop(stop);
    });
    let lines = written.load(Ordering::Relaxed);
    let told = wait_for("both alerts of every line", Duration::from_secs(120), || {
        let told = told(root);
        (told.len() as u64 >= lines && told.values().all(|alerts| alerts.len() >= 2)).then_some(told)
    });
    assert_eq!(told.len() as u64, lines);
    let mut used = BTreeSet::new();
    for (line, alerts) in told {
        let which = usize::from(!alerts.contains(&("TSA-001".to_owned(), digests[0].clone())));
        let family = ["TSA", "TSB"][which];
        let whole: BTreeSet<_> =
            (1..=2).map(|number| (format!("{family}-00{number}"), digests[which].clone())).collect();
        assert_eq!(alerts, whole, "line {line} was matched by one whole set");
        used.insert(which);
    }
    assert_eq!(used.len(), 2, "both sets matched lines");
    assert_eq!(agent.stop(), Some(0));
}

/// Ends the writer also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn swap(agent: &Agent, root: &Path, sets: &[String; 2], digests: &[String; 2], broken: &str) {
    for number in 1..=SWAPS {
        let next = number % 2;
        let before = alerts_by(root, &digests[next]);
        if number % 3 == 0 {
            let failures = reload_failures(agent);
            put(root, broken);
            agent.signal("HUP");
            wait_for("the broken set to be refused", Duration::from_secs(20), || {
                (reload_failures(agent) > failures).then_some(())
            });
            assert_eq!(in_force(agent).as_deref(), Some(digests[1 - next].as_str()), "the old set stays");
            assert!(agent.metric("lanner_config_last_reload_successful", "") < 0.5);
        }
        put(root, &sets[next]);
        agent.signal("HUP");
        wait_for("the other set to be in force", Duration::from_secs(20), || {
            (in_force(agent)? == digests[next]).then_some(())
        });
        wait_for("lines that it matched", Duration::from_secs(60), || {
            (alerts_by(root, &digests[next]) > before).then_some(())
        });
    }
}

fn alerts_by(root: &Path, digest: &str) -> usize {
    std::fs::read_to_string(root.join("alerts.jsonl")).unwrap_or_default().matches(digest).count()
}

/// Rule and rule set of the alerts about each line.
fn told(root: &Path) -> BTreeMap<u64, BTreeSet<(String, String)>> {
    let text = std::fs::read_to_string(root.join("alerts.jsonl")).unwrap_or_default();
    let mut told: BTreeMap<u64, BTreeSet<(String, String)>> = BTreeMap::new();
    // The last line may be half written.
    for alert in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let line = alert["evidence"]["log.line"].as_str().unwrap_or_default();
        let Some(number) = line.strip_prefix("sequence ").and_then(|number| number.parse().ok()) else { continue };
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        told.entry(number).or_default().insert((text(&alert["rule"]["id"]), text(&alert["ruleset"])));
    }
    told
}
