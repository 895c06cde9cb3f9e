//! How bytes stand where they lie, and decisions as the state keeps them.

use std::path::Path;

use jiff::Timestamp;
use lanner::event::Sha256;
use lanner::state::baseline::Baseline;
use lanner::state::inventory::served_sql;
use lanner::state::{Approval, ApprovedFile, Mode, Origin, State, Status, Worth, approval, standing};

use crate::support::program::{lanner_in, stdout};

fn open(path: &Path) -> State {
    State::open(path, Mode::Agent).expect("it can be opened").state
}

fn approved(model: &str, version: &str, files: &[(&str, &str)]) -> Approval {
    let file = |(path, bytes): &(&str, &str)| ApprovedFile {
        path: (*path).to_owned(),
        sha256: Sha256::of(bytes.as_bytes()),
        size: bytes.len() as u64,
    };
    let files: Vec<ApprovedFile> = files.iter().map(file).collect();
    Approval {
        model: model.to_owned(),
        version: version.to_owned(),
        root: approval::root(&files),
        status: Status::Approved,
        origin: Origin::Person,
        approver: "reviewer".to_owned(),
        reason: "reviewed".to_owned(),
        time: Timestamp::from_millisecond(1).expect("it is a time"),
        files,
    }
}

#[test]
fn approved_bytes_are_approved_where_they_belong_only() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let files = [("weights.bin", "w"), ("sub/weights.bin", "sub"), ("config.json", "c")];
    state.approve(&approved("fraud", "1", &files), false).expect("it is kept");
    state.approve(&approved("ranker", "7", &[("weights.bin", "r")]), false).expect("it is kept");
    let worth = |model: Option<&str>, place: &str, bytes: &str| {
        state.stand(model, place, &Sha256::of(bytes.as_bytes())).expect("it answers").worth
    };
    let fraud = Some("fraud");
    for (place, bytes, wanted) in [
        ("/serve/weights.bin", "w", Worth::Approved),
        ("/serve/sub/weights.bin", "sub", Worth::Approved),
        ("/serve/weights.bin", "c", Worth::Exchanged),
        ("/serve/weights.bin", "sub", Worth::Exchanged),
        ("/serve/sub/weights.bin", "w", Worth::Exchanged),
        ("/serve/weights.bin", "r", Worth::Exchanged),
        ("/serve/renamed.bin", "w", Worth::Approved),
        ("/serve/weights.bin", "x", Worth::Unapproved),
    ] {
        assert_eq!(worth(fraud, place, bytes), wanted, "{bytes} at {place}");
    }
    assert_eq!(worth(None, "/anywhere/weights.bin", "r"), Worth::Approved, "where no model is known any will do");
    let stand = state.stand(fraud, "/serve/weights.bin", &Sha256::of(b"c")).expect("it answers");
    assert_eq!(stand.expected, Some(("1".to_owned(), Sha256::of(b"w"))));

    state.approve(&approved("fraud", "2", &[("weights.bin", "w2")]), false).expect("it is kept");
    assert_eq!(worth(fraud, "/serve/weights.bin", "w"), Worth::Superseded);
    let revoked = Approval { status: Status::Revoked, ..approved("fraud", "2", &[("weights.bin", "w2")]) };
    state.approve(&revoked, false).expect("it is kept");
    assert_eq!(worth(fraud, "/serve/weights.bin", "w2"), Worth::Revoked);
}

#[test]
fn where_no_model_is_named_the_name_of_a_file_must_be_that_of_what_was_approved() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    state.approve(&approved("a", "1", &[("__init__.py", ""), ("model.bin", "weights")]), false).expect("it commits");
    let worth =
        |place: &str, bytes: &str| state.stand(None, place, &Sha256::of(bytes.as_bytes())).expect("it answers").worth;
    assert_eq!(worth("/store/notes.txt", ""), Worth::Unapproved, "an empty file is not that of a model");
    assert_eq!(worth("/store/other/__init__.py", ""), Worth::Approved);
    assert_eq!(worth("/store/model.bin", "weights"), Worth::Approved);
}

#[test]
fn bytes_that_many_models_share_are_approved_for_each_of_them() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    for number in 0..300 {
        state.approve(&approved(&format!("model-{number}"), "1", &[("config.json", "{}")]), false).expect("it is kept");
    }
    for (number, place) in [(0, "/serve/renamed.json"), (299, "/serve/renamed.json"), (0, "/serve/config.json")] {
        let stand = state.stand(Some(&format!("model-{number}")), place, &Sha256::of(b"{}")).expect("it answers");
        assert_eq!(stand.worth, Worth::Approved, "{number} at {place}");
    }
    let again = approved("model-0", "2", &[("config.json", "{2}")]);
    state.approve(&again, false).expect("it is kept");
    for place in ["/serve/config.json", "config.json", "a/config.json"] {
        let expected = state.expected("model-0", place).expect("it answers");
        assert_eq!(expected, Some(("2".to_owned(), Sha256::of(b"{2}"))), "{place}");
    }
    assert_eq!(state.expected("model-0", "/serve/xconfig.json").expect("it answers"), None);
}

#[test]
fn what_is_missing_is_of_the_version_that_is_there_for_the_most_part() {
    let one = approved("fraud", "1", &[("a", "1"), ("b", "2"), ("c", "3")]);
    let two = approved("fraud", "2", &[("a", "1"), ("d", "4")]);
    let all = [one, two, approved("absent", "1", &[("z", "9")])];
    let missing = |named: bool, there: &[&str]| -> Vec<String> {
        let there: Vec<Sha256> = there.iter().map(|bytes| Sha256::of(bytes.as_bytes())).collect();
        let found = standing::missing(&all, named, |_, file| there.contains(&file.sha256));
        found.iter().map(|(approval, file)| format!("{} {}", approval.version, file.path)).collect()
    };
    assert_eq!(missing(false, &["1", "2"]), ["1 c"]);
    assert_eq!(missing(false, &["1", "4"]), [""; 0]);
    assert_eq!(missing(false, &[]), [""; 0], "what is not there at all is not missed");
    assert_eq!(missing(true, &["1", "2"]), ["1 z", "1 c"], "unless it was asked for");
}

#[test]
fn decisions_are_told_in_order_once_they_are_old_enough() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    for model in ["fraud", "ranker"] {
        state.approve(&approved(model, "1", &[("a", "1")]), false).expect("it is kept");
    }
    let models = |after: i64, age: i64| -> Vec<String> {
        let decisions = state.decisions(after, age, 10).expect("it answers");
        decisions.into_iter().map(|decision| decision.model).collect()
    };
    assert_eq!(models(0, 0), ["fraud", "ranker"]);
    assert_eq!(models(1, 0), ["ranker"]);
    assert!(models(0, 3_600_000).is_empty(), "they are new");
}

#[test]
fn a_baseline_that_the_database_refuses_leaves_nothing_in_the_journal() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = open(directory.path());
    let database = rusqlite::Connection::open(directory.path().join("lanner.db")).expect("it can be opened");
    let trigger =
        "CREATE TRIGGER no BEFORE INSERT ON approval WHEN NEW.model = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END";
    database.execute_batch(trigger).expect("it is allowed");
    let approvals = vec![approved("bad", "1", &[("a", "1")]), approved("good", "1", &[("a", "1")])];
    let baseline = Baseline { approvals, artifacts: Vec::new() };
    assert!(state.import(&baseline).is_err());
    let journal = std::fs::read_to_string(directory.path().join("approvals.jsonl")).unwrap_or_default();
    assert_eq!((state.approvals(None).expect("it answers"), journal.as_str()), (Vec::new(), ""));

    database.execute_batch("DROP TRIGGER no").expect("it is there");
    assert_eq!(state.import(&baseline).expect("it is kept"), 2);
    let journal = std::fs::read_to_string(directory.path().join("approvals.jsonl")).expect("it was written");
    assert_eq!(journal.lines().count(), 2);
}

#[test]
fn all_that_is_served_is_checked_however_much_it_is() {
    const FILES: usize = 100_500;
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    drop(open(&directory.path().join("state")));
    let database = rusqlite::Connection::open(directory.path().join("state/lanner.db")).expect("it can be opened");
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FILES})
         INSERT INTO record (source, key, kind, signature, subject, attributes, generation, first_seen, last_changed)
         SELECT 'node', '/serve/' || i, 'artifact', '', '/serve/' || i,
             '{{\"file.served\":true,\"ml.model.name\":\"fraud\"}}', 1, 0, 0 FROM n"
    );
    database.execute_batch(&fill).expect("there is space");
    drop(database);
    let output = lanner_in(directory.path(), &["inventory", "--state", "state", "check"]);
    assert_eq!(stdout(&output).lines().count(), FILES);
}

#[test]
fn what_is_served_of_a_model_is_found_without_looking_at_every_record() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    drop(open(directory.path()));
    let database = rusqlite::Connection::open(directory.path().join("lanner.db")).expect("it can be opened");
    let config = rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
    database.set_db_config(config, true).expect("as the state has it");
    let plan = |of_one_model: bool| -> String {
        let ask = format!("EXPLAIN QUERY PLAN {}", served_sql(of_one_model));
        let mut statement = database.prepare(&ask).expect("it is sound");
        let count = statement.parameter_count();
        let steps = statement.query_map(rusqlite::params_from_iter(vec!["1"; count]), |row| row.get::<_, String>(3));
        steps.expect("it answers").collect::<Result<Vec<_>, _>>().expect("it is text").join("; ")
    };
    let one = plan(true);
    assert!(one.contains("SEARCH r USING INDEX record_served (<expr>=? AND (source,key)>(?,?))"), "{one}");
    let all = plan(false);
    assert!(all.contains("SEARCH r USING INDEX sqlite_autoindex_record_1"), "{all}");
    assert!(!one.contains("TEMP B-TREE") && !all.contains("TEMP B-TREE"), "{one}; {all}");

    let fill = |number: usize, model: &str, more: &str| {
        let attributes = format!("{{\"ml.model.name\":\"{model}\"{more}}}");
        database
            .execute(
                "INSERT INTO record (source, key, kind, signature, subject, attributes, generation, first_seen, last_changed)
                 VALUES ('node', ?1, 'artifact', '', ?1, ?2, 1, 0, 0)",
                [format!("/serve/{number}"), attributes],
            )
            .expect("there is space");
    };
    for number in 0..6 {
        fill(number, if number % 2 == 0 { "fraud" } else { "ranker" }, ",\"file.served\":true");
    }
    fill(6, "fraud", ",\"file.served\":false");
    fill(7, "fraud", "");
    let state = open(directory.path());
    let keys = |model: Option<&str>| -> Vec<String> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = state.served(model, after.as_ref(), 2).expect("it answers");
            keys.extend(page.iter().map(|placed| placed.key.clone()));
            match page.into_iter().last() {
                Some(last) => after = Some(last),
                None => return keys,
            }
        }
    };
    assert_eq!(keys(Some("fraud")), ["/serve/0", "/serve/2", "/serve/4"]);
    assert_eq!(keys(None).len(), 6);
}
