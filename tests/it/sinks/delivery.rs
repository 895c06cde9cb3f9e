//! What every sink promises: order, retries, refusals, waits, and an end.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanner::event::{Alert, Severity};
use lanner::sinks::{BoxFuture, Reason, Resend, Sink, SinkError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outbox::{Memory, deliver_until, deliverer};
use super::{HTTP_KINDS, alert, alerts, numbers, sink};
use crate::support::receiver::Receiver;
use crate::support::{free_port, runtime};

const WITHIN: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(5);

fn taken(receiver: &Receiver) -> Vec<u64> {
    receiver.taken().iter().flat_map(|delivery| numbers(&delivery.bytes)).collect()
}

#[test]
fn alerts_arrive_once_and_in_order() {
    for kind in HTTP_KINDS {
        let (receiver, memory) = (Receiver::start(), Memory::with(alerts(150)));
        runtime()
            .block_on(deliver_until(sink(kind, receiver.port, TIMEOUT), &memory, WITHIN, |kept| kept.cursor == 150));
        assert_eq!(taken(&receiver), (1..=150).collect::<Vec<_>>(), "{kind}");
        assert!(memory.kept().buried.is_empty() && memory.kept().failed.is_empty(), "{kind}");
    }
}

#[test]
fn only_what_is_refused_is_buried() {
    for kind in HTTP_KINDS {
        let bad = |body: &[u8]| numbers(body).contains(&4);
        let receiver =
            Receiver::on(free_port(), move |delivery| (if bad(&delivery.bytes) { 422 } else { 200 }, Vec::new()));
        let memory = Memory::with(alerts(7));
        runtime().block_on(deliver_until(sink(kind, receiver.port, TIMEOUT), &memory, WITHIN, |kept| kept.cursor == 7));
        assert_eq!(taken(&receiver), [1, 2, 3, 5, 6, 7], "{kind}");
        let kept = memory.kept();
        assert_eq!(kept.buried.keys().copied().collect::<Vec<_>>(), [4], "{kind}");
        assert!(kept.buried[&4].contains("422"), "{kind}: {}", kept.buried[&4]);
    }
}

#[test]
fn failures_are_tried_again_with_the_same_content() {
    for kind in HTTP_KINDS {
        for status in [500, 503, 401, 404, 429] {
            let seen = AtomicUsize::new(0);
            let receiver = Receiver::on(free_port(), move |_| {
                (if seen.fetch_add(1, Ordering::Relaxed) < 1 { status } else { 200 }, Vec::new())
            });
            let memory = Memory::with(alerts(1));
            let deliver = deliver_until(sink(kind, receiver.port, TIMEOUT), &memory, WITHIN, |kept| kept.cursor == 1);
            runtime().block_on(deliver);
            let deliveries = receiver.deliveries();
            assert_eq!(deliveries.len(), 2, "{kind} {status}");
            assert_eq!(numbers(&deliveries[0].bytes), numbers(&deliveries[1].bytes), "{kind} {status}");
            assert_eq!(deliveries[0].header("webhook-id"), deliveries[1].header("webhook-id"), "{kind} {status}");
            assert!(memory.kept().buried.is_empty(), "{kind} {status}");
            assert_eq!(memory.kept().failed.len(), 1, "{kind} {status}");
        }
    }
}

#[test]
fn retry_after_is_honoured() {
    for kind in HTTP_KINDS {
        let times = Arc::new(Mutex::new(Vec::new()));
        let clock = Arc::clone(&times);
        let receiver = Receiver::on(free_port(), move |_| {
            let mut times = clock.lock().expect("nobody panics while holding it");
            times.push(std::time::Instant::now());
            if times.len() == 1 { (429, vec![("retry-after", "2".to_owned())]) } else { (200, Vec::new()) }
        });
        let memory = Memory::with(alerts(1));
        runtime().block_on(deliver_until(sink(kind, receiver.port, TIMEOUT), &memory, WITHIN, |kept| kept.cursor == 1));
        let times = times.lock().expect("nobody panics while holding it");
        assert!(times[1] - times[0] >= Duration::from_secs(2), "{kind}: {:?}", times[1] - times[0]);
        assert_eq!(memory.kept().failed, ["throttled"], "{kind}");
    }
}

#[test]
fn a_receiver_that_is_gone_is_left_alone() {
    for kind in HTTP_KINDS {
        let receiver = Receiver::on(free_port(), |_| (410, Vec::new()));
        let memory = Memory::with(alerts(3));
        let running = deliverer(sink(kind, receiver.port, TIMEOUT), &memory, &CancellationToken::new());
        runtime().block_on(async { tokio::time::timeout(WITHIN, running).await }).expect("it ends by itself");
        assert_eq!(receiver.deliveries().len(), 1, "{kind}");
        let kept = memory.kept();
        assert!(kept.gone && kept.cursor == 0 && kept.buried.is_empty(), "{kind}");
    }
}

#[test]
fn what_is_not_severe_enough_is_passed_over() {
    for kind in HTTP_KINDS {
        let receiver = Receiver::start();
        let severities = [
            Severity::Informational,
            Severity::Low,
            Severity::Informational,
            Severity::Critical,
            Severity::Informational,
        ];
        let memory = Memory::with((1..).zip(severities).map(|(number, severity)| alert(number, severity)).collect());
        runtime().block_on(deliver_until(sink(kind, receiver.port, TIMEOUT), &memory, WITHIN, |kept| kept.cursor == 5));
        assert_eq!(taken(&receiver), [2, 4], "{kind}");
        assert_eq!(memory.kept().skipped, 3, "{kind}: what is passed over is counted");
    }
}

#[test]
fn what_is_passed_over_in_a_refused_batch_is_counted_once() {
    let bad = |body: &[u8]| numbers(body).contains(&4);
    let receiver =
        Receiver::on(free_port(), move |delivery| (if bad(&delivery.bytes) { 422 } else { 200 }, Vec::new()));
    let severity = |number| if number % 3 == 0 { Severity::Informational } else { Severity::High };
    let memory = Memory::with((1..=9).map(|number| alert(number, severity(number))).collect());
    let sink = sink("otlp", receiver.port, TIMEOUT);
    runtime().block_on(deliver_until(sink, &memory, WITHIN, |kept| kept.cursor == 9));
    assert_eq!(taken(&receiver), [1, 2, 5, 7, 8]);
    let kept = memory.kept();
    assert_eq!((kept.skipped, kept.buried.len()), (3, 1));
}

/// Answers the first connection in some way of its own, and then is gone; the port.
fn odd_receiver(first: impl FnOnce(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut buffer = [0; 1 << 13];
        let read = stream.read(&mut buffer);
        if read.is_ok() {
            first(stream);
        }
    });
    port
}

#[test]
fn a_receiver_that_hangs_is_given_up() {
    for kind in HTTP_KINDS {
        let port = odd_receiver(|mut stream| {
            // Until the client hangs up.
            let mut rest = [0; 64];
            while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
        });
        let memory = Memory::with(alerts(1));
        let short = sink(kind, port, Duration::from_millis(300));
        runtime().block_on(deliver_until(short, &memory, WITHIN, |kept| !kept.failed.is_empty()));
        let kept = memory.kept();
        assert_eq!((kept.failed[0], kept.cursor), ("timeout", 0), "{kind}");
        assert!(kept.buried.is_empty(), "{kind}");
    }
}

#[test]
fn a_receiver_that_closes_in_the_middle_of_its_answer_gets_it_again() {
    for kind in HTTP_KINDS {
        let port = odd_receiver(|mut stream| drop(stream.write_all(b"HTTP/1.1 200 O")));
        let memory = Memory::with(alerts(1));
        let deliver = deliver_until(sink(kind, port, TIMEOUT), &memory, WITHIN, |kept| !kept.failed.is_empty());
        runtime().block_on(deliver);
        let kept = memory.kept();
        assert_eq!((kept.cursor, kept.buried.len()), (0, 0), "{kind}");
    }
}

#[test]
fn of_a_long_answer_only_the_beginning_is_read() {
    for (kind, status) in HTTP_KINDS.into_iter().flat_map(|kind| [(kind, 200), (kind, 400)]) {
        let port = odd_receiver(move |mut stream| {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 1048576\r\n\r\n");
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; 1 << 20])));
        });
        let memory = Memory::with(alerts(1));
        runtime().block_on(deliver_until(sink(kind, port, TIMEOUT), &memory, WITHIN, |kept| kept.cursor == 1));
        let kept = memory.kept();
        assert_eq!(kept.buried.len(), usize::from(status == 400), "{kind} {status}");
        assert!(kept.buried.values().all(|reason| reason.len() < 400), "{kind}: the reason is short");
    }
}

#[test]
fn what_is_left_at_a_stop_stays_in_the_outbox() {
    for kind in HTTP_KINDS {
        let receiver = Receiver::on(free_port(), |_| (503, Vec::new()));
        let memory = Memory::with(alerts(3));
        let deliver = deliver_until(sink(kind, receiver.port, TIMEOUT), &memory, WITHIN, |kept| kept.failed.len() == 2);
        runtime().block_on(deliver);
        assert_eq!(memory.kept().cursor, 0, "{kind}");
    }
}

/// Answers by a script, and remembers when it was asked.
struct Script {
    answers: Mutex<Vec<Result<(), SinkError>>>,
    asked: Mutex<Vec<(Instant, Vec<String>)>>,
    resend: Option<Resend>,
}

impl Script {
    fn new(mut answers: Vec<Result<(), SinkError>>, resend: Option<Resend>) -> Arc<Self> {
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default(), resend })
    }

    fn asked(&self) -> Vec<(Instant, Vec<String>)> {
        self.asked.lock().expect("nobody panics while holding it").clone()
    }
}

impl Sink for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn minimum_severity(&self) -> Severity {
        Severity::Informational
    }

    fn batch_max(&self) -> usize {
        8
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        let ids = alerts.iter().map(|alert| alert.id.clone()).collect();
        self.asked.lock().expect("nobody panics while holding it").push((Instant::now(), ids));
        let answer = self.answers.lock().expect("nobody panics while holding it").pop().unwrap_or(Ok(()));
        Box::pin(async move { answer })
    }

    fn resend(&self) -> Option<Resend> {
        self.resend
    }
}

fn down() -> Result<(), SinkError> {
    Err(SinkError::Transient { what: "down".to_owned(), reason: Reason::Server })
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_a_stop_is_finished_and_no_more_begun() {
    let script = Script::new(Vec::new(), None);
    let (memory, stop) = (Memory::with(alerts(20)), CancellationToken::new());
    let slow = Arc::new(Slow(Arc::clone(&script)));
    let cancel = async {
        while script.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    tokio::join!(deliverer(slow, &memory, &stop), cancel);
    assert_eq!((script.asked().len(), memory.kept().cursor), (1, 8), "one batch, and it counts");
}

/// Takes ten seconds for everything.
struct Slow(Arc<Script>);

impl Sink for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn minimum_severity(&self) -> Severity {
        Severity::Informational
    }

    fn batch_max(&self) -> usize {
        8
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let answer = self.0.deliver(alerts).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
            answer
        })
    }
}

#[tokio::test(start_paused = true)]
async fn waits_grow_to_a_minute_and_no_further() {
    let script = Script::new((0..12).map(|_| down()).collect(), None);
    let memory = Memory::with(alerts(2));
    deliver_until(script.clone(), &memory, Duration::from_secs(3600), |kept| kept.cursor == 2).await;
    let asked = script.asked();
    assert_eq!(asked.len(), 13);
    assert!(asked.iter().all(|(_, ids)| *ids == asked[0].1), "the same batch each time");
    for (index, pair) in asked.windows(2).enumerate() {
        let whole = Duration::from_millis(500 << index.min(20)).min(Duration::from_secs(60));
        let waited = pair[1].0 - pair[0].0;
        let most = whole + Duration::from_millis(50);
        assert!(waited >= whole / 2 && waited <= most, "try {index} waited {waited:?} of {whole:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn alerts_that_hold_are_told_again_while_they_hold() {
    let resend = Resend { every: Duration::from_secs(60), expire_after: Duration::from_secs(3600) };
    let script = Script::new(Vec::new(), Some(resend));
    let memory = Memory::with(alerts(2));
    // Seen long ago: it does not hold any more.
    memory.kept().queued[0].committed = super::epoch();
    let told =
        |script: &Script, id: &str| script.asked().iter().filter(|(_, ids)| ids.iter().any(|told| told == id)).count();
    let watched = Arc::clone(&script);
    deliver_until(script.clone(), &memory, Duration::from_secs(600), |_| told(&watched, "id-2") == 4).await;
    assert_eq!(told(&script, "id-1"), 1, "what does not hold is told once");
    let asked = script.asked();
    for pair in asked[1..].windows(2) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_secs(60), "{:?}", pair[1].0 - pair[0].0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_for_which_a_person_asked_outlives_an_outage() {
    let script = Script::new(vec![Err(SinkError::Refused("no".to_owned()))], None);
    let memory = Memory::with(alerts(1));
    deliver_until(script, &memory, Duration::from_secs(60), |kept| kept.buried.contains_key(&1)).await;
    memory.kept().retry.insert(1);
    let script = Script::new(vec![down(), Err(SinkError::Throttled(Duration::from_secs(30)))], None);
    deliver_until(script.clone(), &memory, Duration::from_secs(600), |kept| kept.buried.is_empty()).await;
    assert_eq!(script.asked().len(), 3);
    assert_eq!(memory.kept().failed, ["server", "throttled"]);
}
