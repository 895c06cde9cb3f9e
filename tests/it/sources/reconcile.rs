//! The loop that lists a place again and again, with a place that does as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanner::base::http::Failure;
use lanner::event::subject::SubjectKind;
use lanner::event::{Fields, Place as Where, Subject};
use lanner::sources::reconcile::{self, Hinted, Pace, Sink, Spoken, Stop, Stretch};
use lanner::sources::{BoxFuture, Context, Record, RecordKind, Source, SourceError, Store};

use super::harness::{Running, start_with};

/// What the place holds, and how it behaves.
#[derive(Default)]
struct Script {
    records: BTreeMap<String, String>,
    fails: Option<u16>,
    /// Beginning of keys that cannot be looked at.
    hidden: Option<String>,
    listings: usize,
}

struct Scripted {
    script: Arc<Mutex<Script>>,
    pace: Pace,
}

impl reconcile::Place for Scripted {
    async fn list(&self, sink: &mut Sink) -> Result<(), Stop> {
        let (records, fails, hidden) = {
            let mut script = self.script.lock().unwrap();
            script.listings += 1;
            (script.records.clone(), script.fails, script.hidden.clone())
        };
        for (key, value) in records {
            if hidden.as_ref().is_none_or(|hidden| !key.starts_with(hidden)) {
                sink.tell(record(&key, &value, sink)).await?;
            }
        }
        if let Some(hidden) = hidden {
            sink.unseen(hidden, "unreadable", || "a part is hidden".to_owned());
        }
        match fails {
            Some(status @ 401) => Err(Failure::Denied { status }.into()),
            Some(status) => Err(Failure::Server { status }.into()),
            None => Ok(()),
        }
    }

    async fn follow(&self, hint: &Hinted, sink: &mut Sink) -> Result<bool, Stop> {
        if hint.body == "fail" {
            return Err(Failure::Server { status: 503 }.into());
        }
        let Some(key) = hint.body.as_str() else { return Ok(false) };
        let value = self.script.lock().unwrap().records.get(key).cloned();
        match value {
            Some(value) => sink.tell(record(key, &value, sink)).await?,
            None => sink.gone(key).await?,
        }
        Ok(true)
    }

    fn explain(&self, failure: &Failure) -> (&'static str, String) {
        match failure {
            Failure::Denied { .. } => ("unauthorized", "give it a token".to_owned()),
            _ => ("server_error", "look into its log".to_owned()),
        }
    }
}

fn record(key: &str, value: &str, sink: &Sink) -> Record {
    Record {
        key: key.to_owned(),
        kind: RecordKind::Artifact,
        signature: value.to_owned(),
        subject: Subject::new(SubjectKind::Artifact, key),
        artifact: None,
        time: None,
        place: Where::default(),
        attributes: Fields::new(),
        hint: sink.hint(),
    }
}

impl Source for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn product(&self) -> &'static str {
        "test"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        Box::pin(reconcile::run(self, "scripted", self.pace, context))
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        None
    }
}

const QUICK: Pace = Pace { sweep: Duration::from_millis(50), glance: None, records_max: 100, misses: 2, stretch: 1 };
const SLOW: Pace = Pace { sweep: Duration::from_hours(1), ..QUICK };

fn begin(pace: Pace, records: &[(&str, &str)]) -> (Running, Arc<Mutex<Script>>) {
    begin_with(pace, records, Script::default())
}

fn begin_with(pace: Pace, records: &[(&str, &str)], script: Script) -> (Running, Arc<Mutex<Script>>) {
    let records = records.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let script = Arc::new(Mutex::new(Script { records, ..script }));
    let source = Arc::new(Scripted { script: Arc::clone(&script), pace });
    (start_with(source, BTreeMap::new(), 16), script)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn differences_are_told_and_nothing_else() {
    let (mut running, script) = begin(QUICK, &[("a", "1"), ("b", "1")]);
    running.listed().await;
    assert_eq!(running.records.len(), 2);
    script.lock().unwrap().records.extend([("b".to_owned(), "2".to_owned()), ("c".to_owned(), "1".to_owned())]);
    running.until("two changes", |running| running.log == ["+b", "+c"]).await;
    script.lock().unwrap().records.remove("a");
    running.until("a deletion", |running| running.log == ["+b", "+c", "-a"]).await;
    let listings = script.lock().unwrap().listings;
    running.until("two more listings", |_| script.lock().unwrap().listings > listings + 2).await;
    assert_eq!(running.log.len(), 3);
    assert!(running.metric("lanner_reconcile_found_total") >= 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_looked_at_is_neither_there_nor_gone() {
    let hidden = Script { hidden: Some("c/".to_owned()), ..Script::default() };
    let (mut running, script) = begin_with(QUICK, &[("a/1", "1"), ("b/1", "1")], hidden);
    running.listed().await;
    assert_eq!(running.kept, ["c/"]);
    script.lock().unwrap().hidden = Some("b/".to_owned());
    running.until("blindness", |running| running.state().blind.contains_key("unreadable")).await;
    let listings = script.lock().unwrap().listings;
    running.until("more listings", |_| script.lock().unwrap().listings > listings + 3).await;
    assert!(running.log.is_empty(), "{:?}", running.log);
    script.lock().unwrap().hidden = None;
    running.until("sight", |running| running.state().blind.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_fails_half_way_says_what_it_saw_and_deletes_nothing() {
    let (mut running, script) = begin(QUICK, &[("a", "1"), ("b", "1")]);
    running.listed().await;
    {
        let mut script = script.lock().unwrap();
        script.fails = Some(503);
        script.records.remove("b");
    }
    running.until("blindness", |running| running.state().blind.contains_key("server_error")).await;
    running.during(Duration::from_millis(300)).await;
    assert!(running.log.is_empty(), "{:?}", running.log);
    script.lock().unwrap().fails = None;
    running.until("the deletion", |running| running.log == ["-b"]).await;
    running.until("sight", |running| running.state().blind.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_listing_that_fails_is_no_listing() {
    let denied = Script { fails: Some(401), ..Script::default() };
    let (mut running, script) = begin_with(QUICK, &[("a", "1")], denied);
    running.until("blindness", |running| running.state().blind.contains_key("unauthorized")).await;
    assert!(!running.listed && !running.state().synced);
    script.lock().unwrap().fails = None;
    running.listed().await;
    assert!(running.state().synced);
    assert!(running.records.contains_key("a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_is_followed_at_once_and_one_that_says_nothing_leads_to_a_listing() {
    let (mut running, script) = begin(SLOW, &[("a", "1")]);
    running.listed().await;
    script.lock().unwrap().records.insert("b".to_owned(), "1".to_owned());
    running.hints.push(1, "b".into());
    running.until("what the hint spoke of", |running| running.log == ["+b"]).await;
    assert_eq!(running.applied[0].hint.as_str(), "webhook");
    script.lock().unwrap().records.remove("a");
    running.hints.push(2, "a".into());
    running.until("its deletion", |running| running.log == ["+b", "-a"]).await;
    script.lock().unwrap().records.insert("c".to_owned(), "1".to_owned());
    running.hints.push(3, 17.into());
    running.until("a listing", |running| running.log == ["+b", "-a", "+c"]).await;
    let hints = running.hints.clone();
    running.until("all hints to be answered", |_| hints.waiting().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_records_than_are_kept_are_told_of() {
    let records: Vec<(String, String)> = (0..150).map(|number| (format!("{number:03}"), "1".to_owned())).collect();
    let records: Vec<(&str, &str)> = records.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let (mut running, _script) = begin(QUICK, &records);
    running.listed().await;
    assert_eq!(running.records.len(), 100);
    running.until("blindness", |running| running.state().blind.contains_key("records_max")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_that_could_not_be_followed_blinds_nobody_for_long() {
    let (mut running, _script) = begin(SLOW, &[("a", "1")]);
    running.listed().await;
    running.hints.push(1, "fail".into());
    running.until("blindness", |running| !running.state().blind.is_empty()).await;
    running.until("sight, by the listing that follows", |running| running.state().blind.is_empty()).await;
}

/// Listings that are left out: of five one is made.
const STRETCHED: Pace = Pace { sweep: Duration::from_millis(200), stretch: 5, misses: 1, ..QUICK };

fn is_stretched(running: &Running) -> bool {
    running.state().notes.contains_key("listing_stretched")
}

async fn listings_during(running: &mut Running, script: &Arc<Mutex<Script>>, time: Duration) -> usize {
    let begun = script.lock().unwrap().listings;
    running.during(time).await;
    script.lock().unwrap().listings - begun
}

fn set(script: &Arc<Mutex<Script>>, key: &str, value: &str) {
    script.lock().unwrap().records.insert(key.to_owned(), value.to_owned());
}

/// Changes a record and tells of it until that was a proof: a listing may be faster by a moment.
async fn prove(running: &mut Running, script: &Arc<Mutex<Script>>, hint: i64) {
    set(script, "proof", &hint.to_string());
    running.hints.push(hint, "proof".into());
    running.until("fewer listings", is_stretched).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_are_left_out_while_hints_prove_to_arrive() {
    let (mut running, script) = begin(STRETCHED, &[("a", "1"), ("proof", "0")]);
    running.listed().await;
    let each = listings_during(&mut running, &script, Duration::from_secs(4)).await;
    assert!(each >= 8 && !is_stretched(&running), "nothing shows that hints arrive: {each} listings");
    prove(&mut running, &script, 1).await;
    let fewer = listings_during(&mut running, &script, Duration::from_secs(4)).await;
    assert!((1..=each / 2).contains(&fewer), "{fewer} listings where there were {each}");
    // What a listing finds and no hint told of ends that.
    set(&script, "a", "2");
    running.until("the change", |running| running.log.contains(&"+a".to_owned())).await;
    running.until("all listings", |running| !is_stretched(running)).await;
    // Hints of another part say nothing of this one.
    for hint in 2..=20 {
        set(&script, "proof", &hint.to_string());
        running.hints.push(hint, "proof".into());
        let hints = running.hints.clone();
        running.until("the hint to be followed", |_| hints.waiting().is_empty()).await;
    }
    running.during(Duration::from_secs(1)).await;
    assert!(!is_stretched(&running), "of that part no hint came");
    // Those that did come before a listing: one may be faster by a moment, and the next is not.
    for hint in 21..=30 {
        set(&script, "a", &hint.to_string());
        running.hints.push(hint, "a".into());
        let hints = running.hints.clone();
        running.until("the hint to be followed", |_| hints.waiting().is_empty()).await;
    }
    running.until("fewer listings again", is_stretched).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_that_is_slower_than_a_listing_proves_as_much() {
    let (mut running, script) = begin(STRETCHED, &[("a", "1"), ("b", "1"), ("proof", "0")]);
    running.listed().await;
    set(&script, "a", "2");
    script.lock().unwrap().records.remove("b");
    running.until("the listing", |running| running.log.iter().filter(|line| *line != "+proof").count() == 2).await;
    running.hints.push(1, "a".into());
    running.during(Duration::from_millis(500)).await;
    assert!(!is_stretched(&running), "nobody told of the deletion yet");
    running.hints.push(2, "b".into());
    running.until("fewer listings", is_stretched).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_listing_is_left_out_while_something_is_not_seen() {
    let (mut running, script) = begin(STRETCHED, &[("a", "1"), ("c/1", "1"), ("proof", "0")]);
    running.listed().await;
    prove(&mut running, &script, 1).await;
    script.lock().unwrap().hidden = Some("c/".to_owned());
    running.until("blindness", |running| running.state().blind.contains_key("unreadable")).await;
    let listings = listings_during(&mut running, &script, Duration::from_secs(2)).await;
    assert!(listings >= 4, "{listings} listings");
    script.lock().unwrap().hidden = None;
    running.until("sight", |running| running.state().blind.is_empty()).await;
    assert!(is_stretched(&running));
}

#[test]
fn a_hint_explains_what_a_listing_found_however_much_that_was() {
    let now = tokio::time::Instant::now();
    let names: Vec<String> = (0..3_000).map(|number| format!("file/a/{number:05}")).collect();
    let found = || names.iter().map(String::as_str).collect::<Spoken>();
    for in_part in [true, false] {
        for (below, proved) in [("file/", true), ("file/a/", true), ("file/b/", false), ("file/a/0", true)] {
            let mut stretch = Stretch::new(in_part);
            stretch.listed(now, found(), false);
            let mut spoken = Spoken::default();
            spoken.add_below(below);
            stretch.heard(now, &spoken, false);
            assert_eq!(stretch.is_proved(now), proved, "{below}, {in_part}");
        }
        let mut stretch = Stretch::new(in_part);
        stretch.listed(now, found(), false);
        stretch.heard(now, &names.iter().take(1_000).map(String::as_str).collect(), false);
        assert!(!stretch.is_proved(now), "nobody told of the others");
    }
}

#[test]
fn what_no_hint_told_of_is_in_doubt_for_a_day_or_until_ten_hints_where_they_come_of_all() {
    let now = tokio::time::Instant::now();
    let other: Spoken = std::iter::once("other").collect();
    for (in_part, missing) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut stretch = Stretch::new(in_part);
        let found = if missing { Spoken::default() } else { std::iter::once("one").collect() };
        stretch.listed(now, found, missing);
        let later = now + Duration::from_mins(5);
        for count in 1..=10 {
            assert!(!stretch.is_proved(later), "{count} hints of another, {in_part}, {missing}");
            stretch.heard(later, &other, true);
        }
        assert_eq!(stretch.is_proved(later), !in_part, "{missing}");
        // As long as hints go on to come.
        let next_day = now + Duration::from_hours(25);
        stretch.heard(next_day, &other, true);
        assert!(stretch.is_proved(next_day), "{in_part}, {missing}");
    }
}
