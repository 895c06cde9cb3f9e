//! Runs one source and keeps what it tells, as the agent would.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanner::base::metrics::Metrics;
use lanner::sources::hints::Offered;
use lanner::sources::reconcile::Hints;
use lanner::sources::{
    Checkpoint, Context, Inference, Line, Observation, Record, Settings, Source, SourceError, State, Statement, Status,
    Told,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Long enough for a loaded machine; a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A source at work, and all that it told so far.
pub struct Running {
    pub source: Arc<dyn Source>,
    pub status: Arc<Status>,
    pub metrics: Metrics,
    pub records: BTreeMap<String, Record>,
    /// Everything after the first listing, in order: `+key` and `-key`.
    pub log: Vec<String>,
    pub applied: Vec<Record>,
    pub kept: Vec<String>,
    pub lines: Vec<Line>,
    pub inferences: Vec<Inference>,
    pub checkpoints: BTreeMap<String, serde_json::Value>,
    pub listed: bool,
    /// What the source is told from outside.
    pub hints: Hints,
    /// What the source had kept of what it came by itself: the name of the delivery, and the body.
    pub kept_hints: Kept,
    stop: CancellationToken,
    out: mpsc::Receiver<Observation>,
    task: JoinSet<Result<(), SourceError>>,
}

/// Builds a source that must be buildable, and starts it.
pub fn start(config: impl Settings) -> Running {
    start_with(config.build().expect("the configuration is right"), BTreeMap::new(), 1024)
}

pub fn start_with(source: Arc<dyn Source>, checkpoints: BTreeMap<String, serde_json::Value>, queue: usize) -> Running {
    let (sender, out) = mpsc::channel(queue);
    let (status, stop, metrics) = (Arc::new(Status::default()), CancellationToken::new(), Metrics::new("test"));
    let kept = Kept::default();
    let hints = hints(&kept);
    let context = Context {
        out: sender,
        stop: stop.clone(),
        checkpoints: checkpoints.clone(),
        status: Arc::clone(&status),
        metrics: metrics.source(source.name()),
        hints: hints.clone(),
    };
    let mut task = JoinSet::new();
    let worker = Arc::clone(&source);
    task.spawn(async move { worker.run(context).await });
    Running {
        source,
        status,
        metrics,
        records: BTreeMap::new(),
        log: Vec::new(),
        applied: Vec::new(),
        kept: Vec::new(),
        lines: Vec::new(),
        inferences: Vec::new(),
        checkpoints,
        listed: false,
        hints,
        kept_hints: kept,
        stop,
        out,
        task,
    }
}

/// What was kept, by the names of the deliveries.
#[derive(Clone, Default)]
pub struct Kept {
    pub all: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
    /// There is no room.
    pub full: Arc<AtomicBool>,
}

/// Keeps in memory what the agent keeps on the disk.
fn hints(kept: &Kept) -> Hints {
    let Kept { all: kept, full } = kept.clone();
    Hints::new(
        |_| {},
        move |delivery, body| {
            if full.load(Ordering::Relaxed) {
                return Box::pin(std::future::ready(Offered::Full));
            }
            let mut kept = kept.lock().unwrap();
            let known = kept.iter().any(|(name, _)| *name == delivery);
            kept.push((delivery, body));
            // Beside those that tests number by themselves.
            let id = 1_000_000 + i64::try_from(kept.len()).unwrap();
            Box::pin(std::future::ready(if known { Offered::Known } else { Offered::New(id) }))
        },
    )
}

impl Running {
    /// Takes in observations until the condition holds.
    pub async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        self.until_within(PATIENCE, what, condition).await;
    }

    pub async fn until_within(&mut self, time: Duration, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + time;
        while !condition(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never came: {what}; told so far: {:?}; {:?}", self.tail(), self.state());
            self.take(left.min(Duration::from_millis(50))).await;
        }
    }

    /// Takes in whatever comes within a time: for saying that something does not come.
    pub async fn during(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.take(Duration::from_millis(20)).await;
        }
    }

    pub async fn listed(&mut self) {
        self.until("the first listing", |running| running.listed).await;
    }

    pub fn state(&self) -> State {
        self.status.read()
    }

    /// The value of a metric, 0 if there is none: `name{source="x"}`.
    pub fn metric(&self, start: &str) -> f64 {
        let text = String::from_utf8(self.metrics.render()).expect("metrics are text");
        text.lines()
            .filter(|line| line.starts_with(start))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Stops it and waits until it has stopped.
    pub async fn stop(mut self) -> Self {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, async {
            // Nobody may hang on a full channel while stopping.
            while let Some(observation) = self.out.recv().await {
                self.note(observation);
            }
            self.task.join_next().await
        });
        let result = ended.await.expect("it stops soon").expect("it was running").expect("it does not panic");
        assert!(result.is_ok(), "it ends well: {result:?}");
        self
    }

    /// Drops the future in the middle of its work, as a crash would.
    pub fn abort(mut self) -> (BTreeMap<String, serde_json::Value>, Vec<Line>) {
        self.task.abort_all();
        (std::mem::take(&mut self.checkpoints), std::mem::take(&mut self.lines))
    }

    async fn take(&mut self, time: Duration) {
        match tokio::time::timeout(time, self.out.recv()).await {
            Ok(Some(observation)) => {
                self.note(observation);
                while let Ok(observation) = self.out.try_recv() {
                    self.note(observation);
                }
            }
            Ok(None) => {
                let result = self.task.join_next().await;
                panic!("the source ended by itself: {result:?}");
            }
            Err(_) => {}
        }
    }

    /// As the agent does: what was said is settled once it is kept.
    fn told(&mut self, told: Told) {
        self.hints.settled(told.hint);
        if let Some(checkpoint) = told.checkpoint {
            self.note(Observation::Checkpoint(checkpoint));
        }
        match told.statement {
            Statement::Stands(record) | Statement::Stood(record) => self.note(Observation::Apply(record)),
            Statement::Gone(key) => self.note(Observation::Delete(key)),
            Statement::Outdated(key) => self.log.push(format!("={key}")),
        }
    }

    fn note(&mut self, observation: Observation) {
        match observation {
            Observation::Init => self.listed = false,
            Observation::InitApply(record) => {
                assert!(!self.listed, "a listing is over when it is over");
                self.records.insert(record.key.clone(), record);
            }
            Observation::InitKeep(prefix) => self.kept.push(prefix),
            Observation::InitDone => self.listed = true,
            Observation::Apply(record) => {
                assert!(self.listed, "changes come after the first listing");
                self.log.push(format!("+{}", record.key));
                self.applied.push(record.clone());
                self.records.insert(record.key.clone(), record);
            }
            Observation::Delete(key) => {
                self.log.push(format!("-{key}"));
                self.records.remove(&key);
            }
            Observation::Told(told) => self.told(told),
            Observation::Line(line) => {
                self.checkpoints.insert(line.checkpoint.key.clone(), line.checkpoint.position.clone());
                self.lines.push(line);
            }
            Observation::Inference(inference) => {
                self.note(Observation::Checkpoint(inference.checkpoint.clone()));
                self.inferences.push(*inference);
            }
            Observation::Checkpoint(Checkpoint { key, position }) => {
                if position.is_null() {
                    self.checkpoints.remove(&key);
                } else {
                    self.checkpoints.insert(key, position);
                }
            }
        }
    }

    fn tail(&self) -> &[String] {
        &self.log[self.log.len().saturating_sub(20)..]
    }
}
