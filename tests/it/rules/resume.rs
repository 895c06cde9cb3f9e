//! `lanner replay --state`: killed and gone on with, it gives what it gives in one go.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::program::{LANNER, lanner_in, stderr};
use crate::support::{Numbers, traffic, wait_for};

/// Events, unless `LANNER_REPLAY_EVENTS` says how many.
const EVENTS: u64 = 60_000;
/// Users, and the most groups that may be remembered; of a million events more.
const FEW: (u64, &str) = (3_000, "4500");
const MANY: (u64, &str) = (70_000, "100000");
const KILLS: usize = 20;

fn events_wanted() -> u64 {
    std::env::var("LANNER_REPLAY_EVENTS").ok().and_then(|count| count.parse().ok()).unwrap_or(EVENTS)
}

fn size() -> (u64, &'static str) {
    if events_wanted() >= 1_000_000 { MANY } else { FEW }
}

fn arguments<'a>(output: &'a str, state: Option<&'a str>) -> Vec<&'a str> {
    // Narrow bounds, so that evictions are part of what must be the same.
    let mut line = vec![
        "replay",
        "--open-schema",
        "--format",
        "json",
        "--rules",
        "rules.yml",
        "--output",
        output,
        "--groups-max",
        size().1,
    ];
    if let Some(state) = state {
        line.extend(["--state", state, "--note-every", "500"]);
    }
    line.push("events.jsonl");
    line
}

#[test]
fn twenty_kills_change_no_alert() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::write(root.join("rules.yml"), traffic::rules()).expect("there is space");
    let events = events_wanted();
    traffic::events(&root.join("events.jsonl"), events, size().0).expect("there is space");
    let whole = lanner_in(root, &arguments("whole.jsonl", None));
    assert!(whole.status.success(), "{}", stderr(&whole));
    let said = stderr(&whole);
    println!("{said}");
    assert!(
        said.contains(&format!("{events} events, "))
            && said.contains(" events/s")
            && said.contains("evictions: groups "),
        "{said}"
    );
    assert!(!said.contains("groups 0,"), "the bounds are not narrow enough: {said}");

    let bytes = std::fs::metadata(root.join("whole.jsonl")).expect("it is there").len();
    let killed = kills(root, bytes / KILLS as u64 / 2);
    let last = lanner_in(root, &arguments("resumed.jsonl", Some("notes")));
    assert!(last.status.success(), "{}", stderr(&last));
    let [whole, resumed] =
        ["whole.jsonl", "resumed.jsonl"].map(|name| std::fs::read(root.join(name)).expect("it is there"));
    assert!(whole.split(|byte| *byte == b'\n').count() > 1000, "too few alerts to tell");
    assert!(whole == resumed, "{killed} kills changed the alerts");
    assert!(killed >= KILLS, "only {killed} kills");

    // Everything is done: once more changes nothing.
    assert!(lanner_in(root, &arguments("resumed.jsonl", Some("notes"))).status.success());
    assert!(std::fs::read(root.join("resumed.jsonl")).expect("it is there") == whole);
}

/// Begins again and again, and kills it after a random time in which it got on by about a twentieth.
fn kills(root: &Path, step: u64) -> usize {
    let mut numbers = Numbers(7);
    for killed in 0..KILLS {
        let before = length(root);
        let aim = before + step;
        let mut child = Command::new(LANNER)
            .args(arguments("resumed.jsonl", Some("notes")))
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be run");
        wait_for("it to get on", Duration::from_secs(120), || {
            let ended = child.try_wait().expect("it can be asked").is_some();
            (ended || length(root) >= aim).then_some(())
        });
        std::thread::sleep(Duration::from_micros(numbers.below(60_000)));
        if child.try_wait().expect("it can be asked").is_some() {
            return killed;
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
    }
    KILLS
}

/// Bytes of the alerts so far.
fn length(root: &Path) -> u64 {
    std::fs::metadata(root.join("resumed.jsonl")).map_or(0, |metadata| metadata.len())
}

#[test]
fn notes_go_with_their_rules_their_events_and_their_output() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::write(root.join("rules.yml"), traffic::rules()).expect("there is space");
    traffic::events(&root.join("events.jsonl"), 500, 10).expect("there is space");
    assert!(lanner_in(root, &arguments("out.jsonl", Some("notes"))).status.success());
    let refused = |output: &str, state: &str, why: &str| {
        let refused = lanner_in(root, &arguments(output, Some(state)));
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(why), "{}", stderr(&refused));
    };
    refused("out.jsonl", "other-notes", "knows nothing of it");
    refused("other.jsonl", "notes", "shorter than");
    refused("new.jsonl", "rules.yml", "would write over --rules");
    std::fs::write(root.join("letter"), "no notes at all").expect("there is space");
    refused("new.jsonl", "letter", "cannot be opened");
    let rules = traffic::rules().replace("gte: 6", "gte: 7");
    std::fs::write(root.join("rules.yml"), rules).expect("there is space");
    refused("out.jsonl", "notes", "with other rules");
    std::fs::write(root.join("rules.yml"), traffic::rules()).expect("there is space");
    let alerts = std::fs::read(root.join("out.jsonl")).expect("it is there");
    // A file that has grown is the same file.
    let events = std::fs::read_to_string(root.join("events.jsonl")).expect("it is there");
    std::fs::write(root.join("events.jsonl"), format!("{events}{{}}\n")).expect("there is space");
    let grown = lanner_in(root, &arguments("out.jsonl", Some("notes")));
    assert!(stderr(&grown).contains("501 events"), "{}", stderr(&grown));
    assert!(std::fs::read(root.join("out.jsonl")).expect("it is there") == alerts);
    std::fs::write(root.join("events.jsonl"), "{}\n".repeat(9000)).expect("there is space");
    refused("out.jsonl", "notes", "of other events");
}

#[test]
fn help_lists_the_exit_codes() {
    let help = lanner_in(Path::new("."), &["replay", "--help"]);
    let text = crate::support::program::stdout(&help);
    for code in ["0 the events were replayed", "1 there were lines", "2 the command line", "3 a rule"] {
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(code), "{code} in\n{text}");
    }
}
