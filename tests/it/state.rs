//! The embedded database: one transaction, cursors, repeats, corruption.

use std::path::Path;

use jiff::Timestamp;
use lanner::artifact::Report;
use lanner::event::alert::AlertRule;
use lanner::event::correlation::{Counted, GroupKey, Memo};
use lanner::event::subject::SubjectKind;
use lanner::event::{Alert, Difference, Grade, Place, Portrait, Severity, Sha256, Subject};
use lanner::sources::{Checkpoint, RecordKind};
use lanner::state::commit::{Raised, Seen};
use lanner::state::portraits::Edge;
use lanner::state::{Approval, ApprovedFile, Blob, Commit, Mode, Origin, RecordChange, State, StateError, Status};

fn open(path: &Path) -> State {
    State::open(path, Mode::Agent).expect("it can be opened").state
}

fn blob(bytes: &[u8]) -> Blob {
    let report = Report { format: "pickle".into(), ..Report::default() };
    Blob { sha256: Sha256::of(bytes), size: bytes.len() as u64, hint: String::new(), report, segments: Vec::new() }
}

fn seen(key: &str, bytes: &[u8]) -> RecordChange {
    RecordChange::Put(Box::new(Seen {
        key: key.to_owned(),
        kind: RecordKind::Artifact,
        signature: "s".to_owned(),
        subject: key.to_owned(),
        lineage: Some(key.to_owned()),
        path: Some(key.to_owned()),
        version: None,
        blob: Some(blob(bytes)),
        portrait: Portrait::default(),
        read: true,
        attributes: lanner::event::Fields::new(),
    }))
}

fn raised(id: &str, key: &str) -> Raised {
    let rule = AlertRule {
        id: "SCN-002".to_owned(),
        uuid: String::new(),
        title: "title".to_owned(),
        description: String::new(),
        atlas: Vec::new(),
        atlas_version: String::new(),
        phase: String::new(),
        mitigations: Vec::new(),
    };
    let alert = Alert {
        schema_version: "1.0".to_owned(),
        id: id.to_owned(),
        fingerprint: key.to_owned(),
        time: Timestamp::UNIX_EPOCH,
        severity: Severity::High,
        rule,
        subject: Subject::new(SubjectKind::Artifact, key),
        source: "models".to_owned(),
        product: "filesystem".to_owned(),
        artifact: None,
        digest: None,
        place: Place::default(),
        evidence: serde_json::Map::new(),
        event_id: String::new(),
        ruleset: String::new(),
    };
    Raised { alert, repeat_key: key.to_owned(), repeat_after_millis: 1000 }
}

fn at(millis: i64) -> Commit {
    let seen = Timestamp::from_millisecond(millis).expect("it is a time");
    Commit { source: "models".to_owned(), seen, ..Commit::default() }
}

#[test]
fn records_history_and_checkpoints_come_back() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let position = serde_json::json!({"offset": 7});
    let checkpoints = vec![Checkpoint { key: "log".to_owned(), position: position.clone() }];
    state.commit(&[Commit { records: vec![seen("a", b"1")], checkpoints, ..at(1) }]).expect("it commits");
    state.commit(&[Commit { records: vec![seen("a", b"2")], listed: true, ..at(2) }]).expect("it commits");
    let record = state.record("models", "a").expect("it answers").expect("it is there");
    assert_eq!((record.digest, record.first_digest), (Some(Sha256::of(b"2")), Some(Sha256::of(b"1"))));
    assert_eq!(record.generation, 2);
    assert_eq!(state.history("a", 10).expect("it answers").len(), 2);
    assert_eq!(state.checkpoints("models").expect("it answers").get("log"), Some(&position));
    assert!(state.is_listed("models").expect("it answers"));
    assert_eq!(state.previous("models", "a", None).expect("it answers"), Some(Sha256::of(b"2")));
    assert!(state.blob(&Sha256::of(b"1")).expect("it answers").is_some(), "bytes seen before are remembered");
    state
        .commit(&[Commit { records: vec![RecordChange::Remove { key: "a".to_owned() }], ..at(3) }])
        .expect("it commits");
    assert!(state.record("models", "a").expect("it answers").is_none());
    assert_eq!(state.previous("models", "a", None).expect("it answers"), Some(Sha256::of(b"2")), "history stays");
    let forget = vec![Checkpoint { key: "log".to_owned(), position: serde_json::Value::Null }];
    state.commit(&[Commit { checkpoints: forget, ..at(4) }]).expect("it commits");
    assert!(state.checkpoints("models").expect("it answers").is_empty());
}

#[test]
fn the_same_finding_is_told_again_only_after_a_while() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let told = |id: &str, millis| {
        state.commit(&[Commit { alerts: vec![raised(id, "k")], ..at(millis) }]).expect("it commits").raised.len()
    };
    assert_eq!((told("1", 0), told("2", 500), told("3", 900)), (1, 0, 0));
    assert_eq!(told("4", 1400), 1, "what goes on is told again, however often it came in between");
    assert_eq!(told("4", 9000), 0, "one id is one alert");
    assert_eq!(told("5", 100), 1, "a clock that was set back silences nothing");
    let newest = state.alerts_newest(10).expect("it answers");
    assert_eq!(newest.len(), 3);
    assert_eq!(state.alert("1").expect("it answers").map(|stored| stored.alert.id), Some("1".to_owned()));
}

#[test]
fn a_finding_about_what_was_put_right_in_between_is_told_at_once() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let told = |id: &str, key: &str, millis: i64| {
        let committed = state.commit(&[Commit { alerts: vec![raised(id, key)], ..at(millis) }]).expect("it commits");
        committed.raised.len()
    };
    assert_eq!((told("1", "a", 1), told("2", "a", 2), told("3", "b", 3)), (1, 0, 1));
    state.commit(&[Commit { settled: vec!["a".to_owned()], ..at(5) }]).expect("it commits");
    assert_eq!((told("4", "a", 6), told("5", "a", 7), told("6", "b", 8)), (1, 0, 0), "only what was settled");
}

#[test]
fn what_goes_on_holds_and_what_is_old_is_forgotten() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let raise = |id: &str, millis| {
        let mut raised = raised(id, "k");
        raised.repeat_after_millis = 1_000_000;
        state.commit(&[Commit { alerts: vec![raised], ..at(millis) }]).expect("it commits");
    };
    raise("1", 0);
    raise("2", 900_000);
    let since = |millis| Timestamp::from_millisecond(millis).expect("it is a time");
    assert_eq!(state.active_alerts(since(800_000), 100, 10).expect("it answers").len(), 1, "it was seen again");
    assert!(state.active_alerts(since(950_000), 100, 10).expect("it answers").is_empty());
    for number in 0..50 {
        state.commit(&[Commit { records: vec![seen("a", &[number])], ..at(number.into()) }]).expect("it commits");
    }
    state.prune(Timestamp::MAX, &[]).expect("it commits");
    assert_eq!(state.history("a", 100).expect("it answers").len(), 10, "the newest steps stay");
    assert!(state.blob(&Sha256::of(&[49])).expect("it answers").is_some());
    assert!(state.blob(&Sha256::of(&[0])).expect("it answers").is_some(), "what was first there stays");
    assert!(state.blob(&Sha256::of(&[20])).expect("it answers").is_none(), "what nothing names is forgotten");
}

#[test]
fn a_sink_has_its_own_cursor_and_a_new_one_begins_now() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    assert_eq!(state.sink_cursor("first").expect("it answers"), 0);
    for number in 0..5 {
        let alerts = vec![raised(&number.to_string(), &number.to_string())];
        state.commit(&[Commit { alerts, ..at(number) }]).expect("it commits");
    }
    assert_eq!(state.sink_cursor("second").expect("it answers"), 5);
    assert_eq!(state.alerts_after(0, 100).expect("it answers").len(), 5);
    state.advance("first", 3).expect("it commits");
    state.advance("first", 2).expect("it commits");
    assert_eq!(state.sink_cursor("first").expect("it answers"), 3, "a cursor never goes back");
    state.bury("first", 4, "400", Timestamp::UNIX_EPOCH).expect("it commits");
    assert_eq!(state.sink_cursor("first").expect("it answers"), 4);
    assert_eq!(state.dead_letters().expect("it answers").len(), 1);
    assert!(state.alerts_to_retry("first", 10).expect("it answers").is_empty());
    assert_eq!(state.retry(None).expect("it commits"), 1);
    assert_eq!(state.alerts_to_retry("first", 10).expect("it answers").len(), 1);
    state.unbury("first", 4).expect("it commits");
    assert_eq!(
        state.prune(Timestamp::MAX, &["first".to_owned()]).expect("it commits"),
        4,
        "what a sink still waits for stays"
    );
}

#[test]
fn corruption_anywhere_is_set_aside_or_survived() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("one");
    let state = open(&path);
    for number in 0..50 {
        let alerts = vec![raised(&number.to_string(), &number.to_string())];
        state
            .commit(&[Commit { records: vec![seen(&number.to_string(), &[7; 10])], alerts, ..at(number) }])
            .expect("it commits");
    }
    drop(state);
    let good = std::fs::read(path.join("lanner.db")).expect("it is there");
    for step in 0..64 {
        let offset = step * good.len() / 64;
        let damaged = directory.path().join(format!("damaged-{step}"));
        std::fs::create_dir(&damaged).expect("it is empty");
        let mut bytes = good.clone();
        for byte in bytes.iter_mut().skip(offset).take(200) {
            *byte = !*byte;
        }
        std::fs::write(damaged.join("lanner.db"), bytes).expect("there is space");
        let opened = State::open(&damaged, Mode::Agent).unwrap_or_else(|error| panic!("at {offset}: {error}"));
        if let Some(aside) = &opened.set_aside {
            assert!(aside.exists(), "what was corrupt is kept for a person");
        }
        opened.state.commit(&[Commit { records: vec![seen("new", b"1")], ..at(1) }]).expect("it can be used");
    }
    let garbage = directory.path().join("garbage");
    std::fs::create_dir(&garbage).expect("it is empty");
    std::fs::write(garbage.join("lanner.db"), b"this is no database, whatever it says it is").expect("there is space");
    assert!(State::open(&garbage, Mode::Agent).expect("a new one is begun").set_aside.is_some());
}

#[test]
fn a_newer_state_and_a_second_agent_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let opened = State::open(directory.path(), Mode::Agent).expect("it can be opened");
    assert!(matches!(State::open(directory.path(), Mode::Agent), Err(StateError::Locked { .. })));
    assert!(State::open(directory.path(), Mode::Visitor).is_ok(), "a visitor may look");
    drop(opened);
    let database = rusqlite::Connection::open(directory.path().join("lanner.db")).expect("it can be opened");
    database.pragma_update(None, "user_version", 99).expect("it can be written");
    drop(database);
    assert!(matches!(State::open(directory.path(), Mode::Agent), Err(StateError::Newer { found: 99, .. })));
    assert!(State::open(&directory.path().join("missing"), Mode::Visitor).is_err());
}

#[test]
fn the_states_of_versions_before_are_brought_up_to_date() {
    for version in [1, 2, 3, 4, 5, 6] {
        brought_up_to_date(version);
    }
}

/// What version 6 did not have.
const WITHOUT_PROMISES: &str = "DROP TABLE promise;";

/// What version 5 did not have.
const WITHOUT_IDENTITIES: &str = "DROP TABLE identity;";

/// What version 4 did not have, taken away from a new state.
const WITHOUT_HINTS: &str = "DROP TABLE hint; DROP TABLE delivery;";

/// What version 3 did not have.
const WITHOUT_DECISIONS: &str = "
    DROP TABLE decision; DROP INDEX alert_subject; DROP INDEX repeat_alert; DROP INDEX record_served;";

/// What version 2 did not have.
const WITHOUT_APPROVALS: &str = "
    DROP INDEX record_verified;
    ALTER TABLE record DROP COLUMN verified;
    DROP TABLE approved_file; DROP TABLE approval; DROP TABLE portrait; DROP TABLE edge; DROP TABLE signature;
    DROP TABLE secret;";

fn brought_up_to_date(version: i64) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let position = serde_json::json!({"offset": 7});
    let checkpoints = vec![Checkpoint { key: "log".to_owned(), position: position.clone() }];
    let alerts = vec![raised("1", "k")];
    state.commit(&[Commit { records: vec![seen("a", b"1")], checkpoints, alerts, ..at(1) }]).expect("it commits");
    drop(state);
    let database = rusqlite::Connection::open(directory.path().join("lanner.db")).expect("it can be opened");
    database.execute_batch(WITHOUT_PROMISES).expect("it is all there");
    if version < 6 {
        database.execute_batch(WITHOUT_IDENTITIES).expect("it is all there");
    }
    if version < 5 {
        database.execute_batch(WITHOUT_HINTS).expect("it is all there");
    }
    if version < 4 {
        database.execute_batch(WITHOUT_DECISIONS).expect("it is all there");
    }
    if version < 3 {
        database.execute_batch(WITHOUT_APPROVALS).expect("it is all there");
    }
    if version == 1 {
        for table in ["correlation", "correlation_group", "correlation_entry", "correlation_fired", "correlation_clock"]
        {
            database.execute_batch(&format!("DROP TABLE {table}")).expect("it is there");
        }
    }
    database.pragma_update(None, "user_version", version).expect("it can be written");
    drop(database);
    let state = open(directory.path());
    assert_eq!(state.checkpoints("models").expect("it answers").get("log"), Some(&position));
    assert_eq!(state.alerts_newest(10).expect("it answers").len(), 1);
    assert!(state.record("models", "a").expect("it answers").is_some());
    let since = state.verified_since("models", "").expect("it answers");
    assert_eq!(since, Some(Timestamp::from_millisecond(1).expect("it is a time")), "read when it was last changed");
    assert_ne!(state.secret("sketch").expect("it answers"), [0; 32]);
    let memo = Memo::Watermark { source: "models".to_owned(), time: 9 };
    state.commit(&[Commit { memos: vec![memo.clone()], ..at(2) }]).expect("it commits");
    let mut remembered = Vec::new();
    state.remembered(&mut |memo| remembered.push(memo)).expect("it answers");
    assert_eq!(remembered, [memo]);
    let database = rusqlite::Connection::open(directory.path().join("lanner.db")).expect("it can be opened");
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("it answers");
    assert_eq!(version, lanner::state::VERSION);
}

fn approval(version: &str, files: &[(&str, &[u8])], millis: i64) -> Approval {
    let files: Vec<ApprovedFile> = files
        .iter()
        .map(|(path, bytes)| ApprovedFile {
            path: (*path).to_owned(),
            sha256: Sha256::of(bytes),
            size: bytes.len() as u64,
        })
        .collect();
    Approval {
        model: "fraud".to_owned(),
        version: version.to_owned(),
        root: lanner::state::approval::root(&files),
        status: Status::Approved,
        origin: Origin::Person,
        approver: "reviewer".to_owned(),
        reason: "reviewed".to_owned(),
        time: Timestamp::from_millisecond(millis).expect("it is a time"),
        files,
    }
}

fn status_of(state: &State, bytes: &[u8]) -> Option<Status> {
    state.standings(&Sha256::of(bytes), None).expect("it answers").first().map(|standing| standing.status)
}

#[test]
fn a_newer_approval_supersedes_and_a_revoked_one_holds_no_more() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    assert!(!state.has_approvals().expect("it answers"));
    state.approve(&approval("1", &[("model.bin", b"one"), ("config.json", b"{}")], 1), false).expect("it is kept");
    assert_eq!(status_of(&state, b"one"), Some(Status::Approved));
    assert_eq!(status_of(&state, b"other"), None);
    let wanted = Some(("1".to_owned(), Sha256::of(b"one")));
    assert_eq!(state.expected("fraud", "model.bin").expect("it answers"), wanted);
    assert_eq!(
        state.expected("fraud", "/serve/fraud/model.bin").expect("it answers"),
        wanted,
        "by the end of the path"
    );
    assert_eq!(state.expected("fraud", "xmodel.bin").expect("it answers"), None, "a name is no end of another");
    assert_eq!(state.expected("fraud", "model_bin").expect("it answers"), None);
    state.approve(&approval("2", &[("model.bin", b"two")], 2), false).expect("it is kept");
    assert_eq!(
        (status_of(&state, b"one"), status_of(&state, b"two")),
        (Some(Status::Superseded), Some(Status::Approved))
    );
    state.approve(&approval("3", &[("model.bin", b"three")], 3), true).expect("it is kept");
    assert_eq!(status_of(&state, b"two"), Some(Status::Approved), "both are in force");
    let revoked = Approval { status: Status::Revoked, ..approval("3", &[("model.bin", b"three")], 4) };
    state.approve(&revoked, false).expect("it is kept");
    assert_eq!(
        (status_of(&state, b"two"), status_of(&state, b"three")),
        (Some(Status::Approved), Some(Status::Revoked))
    );
    assert_eq!(state.approvals(Some("fraud")).expect("it answers").len(), 3);
    assert!(state.approvals(Some("other")).expect("it answers").is_empty());
}

#[test]
fn approvals_outlive_a_database_that_is_lost() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    state.approve(&approval("1", &[("model.bin", b"one")], 1), false).expect("it is kept");
    state.approve(&approval("2", &[("model.bin", b"two")], 2), false).expect("it is kept");
    drop(state);
    std::fs::write(directory.path().join("lanner.db"), b"no database any more, whatever it was")
        .expect("there is space");
    // A machine that stopped half-way through a line.
    let mut journal =
        std::fs::OpenOptions::new().append(true).open(directory.path().join("approvals.jsonl")).expect("it is there");
    std::io::Write::write_all(&mut journal, b"{\"approval\": {\"mod").expect("there is space");
    drop(journal);
    let opened = State::open(directory.path(), Mode::Agent).expect("a new one is begun");
    assert!(opened.set_aside.is_some());
    assert_eq!(opened.replayed, (2, 1));
    // What comes after the torn line is not torn with it.
    opened.state.approve(&approval("3", &[("model.bin", b"three")], 3), false).expect("it is kept");
    drop(opened);
    std::fs::remove_file(directory.path().join("lanner.db")).expect("it is there");
    let opened = State::open(directory.path(), Mode::Agent).expect("a new one is begun");
    assert_eq!(opened.replayed, (3, 1));
    assert_eq!(status_of(&opened.state, b"three"), Some(Status::Approved));
    assert_eq!(status_of(&opened.state, b"one"), Some(Status::Superseded));
    assert_eq!(status_of(&opened.state, b"two"), Some(Status::Superseded));
}

#[test]
fn what_was_read_longest_ago_is_due_first() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    for (millis, key) in [(10, "/a/x"), (20, "/a/y"), (30, "/b/z")] {
        state.commit(&[Commit { records: vec![seen(key, key.as_bytes())], ..at(millis) }]).expect("it commits");
    }
    let due = |before: i64| -> Vec<String> {
        let before = Timestamp::from_millisecond(before).expect("it is a time");
        state.due("models", before, 10).expect("it answers").into_iter().map(|due| due.key).collect()
    };
    assert_eq!(due(30), ["/a/x", "/a/y"]);
    let verified = vec![RecordChange::Verified { key: "/a/x".to_owned() }];
    state.commit(&[Commit { records: verified, ..at(40) }]).expect("it commits");
    assert_eq!(due(100), ["/a/y", "/b/z", "/a/x"]);
    let since =
        |prefix: &str| state.verified_since("models", prefix).expect("it answers").map(jiff::Timestamp::as_millisecond);
    assert_eq!((since(""), since("/b"), since("/c")), (Some(20), Some(30), None));
}

#[test]
fn portraits_stay_as_long_as_somebody_may_ask_for_them() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let with = |key: &str, bytes: &[u8]| {
        let RecordChange::Put(mut put) = seen(key, bytes) else { unreachable!("it is one") };
        put.portrait = Portrait { outline: Some(bytes.to_vec()), measured: None };
        RecordChange::Put(put)
    };
    state.commit(&[Commit { records: vec![with("a", b"1")], ..at(1) }]).expect("it commits");
    let edges = vec![Edge {
        parent: Sha256::of(b"1"),
        child: Sha256::of(b"2"),
        differences: vec![Difference::new("weights.swap", Grade::Hostile, "layer", "two layers were exchanged")],
    }];
    state.commit(&[Commit { records: vec![with("a", b"2")], edges: edges.clone(), ..at(2) }]).expect("it commits");
    let kept = |bytes: &[u8]| state.portrait(&Sha256::of(bytes)).expect("it answers").is_some();
    assert!(kept(b"1") && kept(b"2"));
    let edge = state.edge(&Sha256::of(b"1"), &Sha256::of(b"2")).expect("it answers");
    assert_eq!(edge, Some(edges[0].differences.clone()));
    let now = Timestamp::from_millisecond(1_000).expect("it is a time");
    state.approve(&approval("1", &[("a", b"1")], 1), false).expect("it is kept");
    assert_eq!(state.prune_portraits(now).expect("it answers"), 0, "one is there, the other approved");
    state.commit(&[Commit { records: vec![with("a", b"3")], ..at(3) }]).expect("it commits");
    assert_eq!(state.prune_portraits(now).expect("it answers"), 1);
    assert!(kept(b"1") && !kept(b"2") && kept(b"3"));
}

#[test]
fn what_correlations_remember_is_committed_and_let_go() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let correlation: std::sync::Arc<str> = "rule:1".into();
    let group = GroupKey([7; 16]);
    let count = |time: i64, seq: i64| Memo::Count {
        correlation: correlation.clone(),
        group,
        counted: Counted { time, seq, event: -5, part: 1, value: "7".to_owned(), evidence: Some("{}".to_owned()) },
    };
    let begin =
        Memo::Group { correlation: correlation.clone(), group, values: vec!["a".to_owned()], source: "s".to_owned() };
    let fired = Memo::Fired { correlation: correlation.clone(), group, time: 20 };
    let trim = Memo::Trim { correlation: correlation.clone(), group, time: 20, seq: 2, fired_before: 15 };
    let strip = Memo::Strip { correlation: correlation.clone(), group, time: 20, seq: 2, part: 1 };
    let remembered = || {
        let mut remembered = Vec::new();
        state.remembered(&mut |memo| remembered.push(memo)).expect("it answers");
        remembered
    };
    let commit = |memos: Vec<Memo>| state.commit(&[Commit { memos, ..at(1) }]).expect("it commits");
    // Whatever the order in which entries are stored, they come back in that of time and arrival.
    commit(vec![begin.clone(), count(20, 3), count(20, 2), count(10, 1), fired.clone()]);
    assert_eq!(remembered(), [begin.clone(), count(10, 1), count(20, 2), count(20, 3), fired.clone()]);
    commit(vec![count(20, 3), trim, strip]);
    let stripped = match count(20, 2) {
        Memo::Count { correlation, group, counted } => {
            Memo::Count { correlation, group, counted: Counted { evidence: None, ..counted } }
        }
        other => other,
    };
    assert_eq!(remembered(), [begin, stripped, count(20, 3), fired], "the same entry twice is one");
    commit(vec![
        Memo::Next { seq: 9 },
        Memo::Next { seq: 4 },
        Memo::Forget { correlation: correlation.clone(), group },
    ]);
    assert_eq!(remembered(), [Memo::Next { seq: 9 }], "the order of arrival never goes back");
    commit(vec![count(1, 1), Memo::Drop { correlation }]);
    assert_eq!(remembered(), [Memo::Next { seq: 9 }]);
}
