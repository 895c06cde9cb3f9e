//! From a match to an alert: ids that repeat themselves, and mutes.

use jiff::Timestamp;
use lanner::alert::{Mute, compose};
use lanner::event::alert::AlertRule;
use lanner::event::subject::SubjectKind;
use lanner::event::{Alert, Event, EventKind, Fields, Place, Severity, Subject};

fn event(subject: &str, time: i64) -> Event {
    Event {
        id: String::new(),
        kind: EventKind::ArtifactScan,
        time: Timestamp::from_second(time).expect("it is a time"),
        source: "models".to_owned(),
        product: "filesystem".to_owned(),
        service: None,
        subject: Subject::new(SubjectKind::Artifact, subject),
        artifact: None,
        digest: None,
        place: Place::default(),
        fields: Fields::new(),
    }
    .sealed()
}

fn alert(rule: &str, subject: &str, time: i64) -> Alert {
    let rule = AlertRule {
        id: rule.to_owned(),
        uuid: String::new(),
        title: String::new(),
        description: String::new(),
        atlas: Vec::new(),
        atlas_version: String::new(),
        phase: String::new(),
        mitigations: Vec::new(),
    };
    compose(rule, Severity::High, &event(subject, time), serde_json::Map::new(), "rules")
}

#[test]
fn the_same_finding_has_the_same_id() {
    let first = alert("SCN-002", "a.pkl", 1);
    assert_eq!(first, alert("SCN-002", "a.pkl", 1));
    let later = alert("SCN-002", "a.pkl", 2);
    assert_eq!(first.fingerprint, later.fingerprint, "one rule about one subject stays one alert");
    assert_ne!(first.id, later.id);
    for other in [alert("SCN-001", "a.pkl", 1), alert("SCN-002", "b.pkl", 1)] {
        assert_ne!(first.fingerprint, other.fingerprint);
        assert_ne!(first.id, other.id);
    }
}

#[test]
fn parts_do_not_run_into_each_other() {
    assert_ne!(alert("SCN-1", "1a", 1).fingerprint, alert("SCN-11", "a", 1).fingerprint);
}

#[test]
fn a_mute_covers_what_it_names_until_it_ends() {
    let time = |second| Timestamp::from_second(second).expect("it is a time");
    let mute = |rule: Option<&str>, glob| Mute::new(rule.map(str::to_owned), glob, time(100)).expect("it is a glob");
    let found = alert("SCN-002", "fraud-clf/3/model.pkl", 1);
    let cases = [
        (Some("SCN-002"), "fraud-clf/*", 99, true),
        (None, "fraud-clf/*", 99, true),
        (Some("SCN-002"), "*", 99, true),
        (Some("SCN-002"), "fraud-clf/*", 100, false),
        (Some("SCN-001"), "fraud-clf/*", 99, false),
        (Some("SCN-002"), "fraud-clf", 99, false),
        (Some("SCN-002"), "other/*", 99, false),
    ];
    for (rule, glob, now, covered) in cases {
        assert_eq!(mute(rule, glob).covers(&found, time(now)), covered, "{rule:?} {glob} at {now}");
    }
    assert!(Mute::new(None, "[", time(1)).is_err());
}
