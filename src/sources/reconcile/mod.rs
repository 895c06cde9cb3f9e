//! A place that is listed again and again: what differs from the last time is told.
//!
//! Registries and stores give hints, if any, that get lost; only a listing is the truth. Whoever knows how to list a
//! place implements [`Place`]; the rest is the same for all and is done here: the first listing is told as such, later
//! ones are compared with what is known, what is gone is told once it is certain, failures are told as blindness and
//! waited out, and hints are followed between two listings.

mod failing;
mod known;
mod sink;
mod stretch;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Context, Hint, Observation, SourceError, State, Status};
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::base::http::{self, Failure, Meter};

pub use super::hints::{Hinted, Hints};
pub use failing::{Failing, denied};
pub use sink::Sink;
pub use stretch::{Spoken, Stretch, note as stretched};

/// Longest wait that a server may ask for.
const ASKED_MOST: Duration = Duration::from_hours(1);
/// How often it is told during a look what the place knows beside it.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Longest wait after failures in a row.
const WAIT_MOST: Duration = Duration::from_mins(1);
/// Hints that are followed before a listing that is due; more are answered by it.
const FOLLOWED_FIRST: usize = 16;
/// For so long a listing that is due waits for them.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(10);

/// Why a look ended early.
#[derive(Debug)]
pub enum Stop {
    /// Nobody listens any more.
    Unheard,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A registry or store that can be listed.
pub trait Place: Send + Sync {
    /// Tells every record there is, and what could not be looked at.
    fn list(&self, sink: &mut Sink) -> impl Future<Output = Result<(), Stop>> + Send;

    /// Looks with few calls at what changed lately, between two listings.
    fn glance(&self, _sink: &mut Sink) -> impl Future<Output = Result<(), Stop>> + Send {
        async { Ok(()) }
    }

    /// Looks at what a hint speaks of; false if only a listing can tell.
    fn follow(&self, _hint: &Hinted, _sink: &mut Sink) -> impl Future<Output = Result<bool, Stop>> + Send {
        async { Ok(false) }
    }

    /// Adds what is known beside the looks, or takes it out again: of whatever else the place listens to, or what holds a
    /// look up.
    fn report(&self, _state: &mut State) {}

    /// What a failure means for a person: a reason from a closed set, and a sentence with a remedy.
    fn explain(&self, failure: &Failure) -> (&'static str, String);
}

/// How often is looked, and how much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two listings.
    pub sweep: Duration,
    /// Between two looks at what changed lately; `None` where a place has no cheap way.
    pub glance: Option<Duration>,
    /// Records that are kept.
    pub records_max: usize,
    /// Listings in a row that must miss a record before it is gone: 2 where pages are counted by position, since a
    /// deletion then makes the next page skip one.
    pub misses: u8,
    /// While hints prove to arrive, of so many listings one is made; 1 where there are no hints that could.
    pub stretch: u64,
}

/// Looks at a place until nobody listens any more; failures are told and survived.
pub async fn run<P: Place>(place: &P, name: &str, pace: Pace, context: Context) -> Result<(), SourceError> {
    let stop = context.stop.clone();
    let engine = Engine::new(place, name, pace, context);
    let meter = Arc::clone(&engine.meter);
    tokio::select! {
        () = http::metered(meter, engine.run()) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// Tells what the place knows beside its look while that goes on: it may be held up for minutes.
async fn reporting<T>(place: &impl Place, status: &Status, mut look: impl Future<Output = T> + Unpin) -> T {
    loop {
        tokio::select! {
            done = &mut look => return done,
            () = tokio::time::sleep(REPORT_EVERY) => status.change(|state| place.report(state)),
        }
    }
}

struct Engine<'p, P> {
    place: &'p P,
    name: &'p str,
    pace: Pace,
    hints: Hints,
    sink: Sink,
    failing: Failing,
    backoff: Backoff,
    meter: Arc<Meter>,
    stretch: Stretch,
    status: Arc<Status>,
    listed: bool,
}

impl<'p, P: Place> Engine<'p, P> {
    fn new(place: &'p P, name: &'p str, pace: Pace, context: Context) -> Self {
        let seed = u64::from(std::process::id());
        Self {
            place,
            name,
            pace,
            hints: context.hints.clone(),
            status: Arc::clone(&context.status),
            sink: Sink::new(context, pace.records_max, pace.misses),
            failing: Failing::default(),
            backoff: Backoff::new(Duration::from_secs(1), WAIT_MOST, seed),
            meter: Arc::default(),
            stretch: Stretch::new(true),
            listed: false,
        }
    }

    async fn run(mut self) {
        let (mut next_sweep, mut next_glance) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let (what, result) = if now >= next_sweep && !self.waits_for_hints(next_sweep, now) {
                next_sweep = now + self.pace.sweep;
                let blind = !self.sink.status().read().blind.is_empty();
                if !blind && !self.stretch.is_due(now, self.pace.stretch) {
                    self.sink.metrics().listing_left_out();
                    continue;
                }
                ("list", self.list().await)
            } else if let Some(every) = self.pace.glance.filter(|_| now >= next_glance) {
                next_glance = now + every;
                self.sink.begin_look(Hint::Poll);
                ("glance", reporting(self.place, &self.status, Box::pin(self.place.glance(&mut self.sink))).await)
            } else {
                let until = self.pace.glance.map_or(next_sweep, |_| next_glance.min(next_sweep));
                tokio::select! {
                    biased;
                    hint = self.hints.next() => match self.follow(&hint).await {
                        Ok(true) => {
                            self.hints.done(hint.id);
                            ("hint", Ok(()))
                        }
                        Ok(false) => {
                            next_sweep = self.list_at_once();
                            continue;
                        }
                        Err(stop) => {
                            // Whatever it spoke of is found by the next listing.
                            next_sweep = self.list_at_once();
                            ("hint", Err(stop))
                        }
                    },
                    () = tokio::time::sleep_until(until) => continue,
                }
            };
            match result {
                Ok(()) => self.worked(what),
                Err(Stop::Unheard) => return,
                Err(Stop::Failed(failure)) => {
                    let wait = self.failed(what, &failure);
                    tokio::time::sleep(wait).await;
                    if what == "list" {
                        next_sweep = Instant::now();
                    }
                }
            }
        }
    }

    /// Whether a listing that is due lets a few hints go first: what they tell is then not found by it.
    fn waits_for_hints(&self, due: Instant, now: Instant) -> bool {
        self.listed
            && now.saturating_duration_since(due) < FOLLOWED_WITHIN
            && (1..=FOLLOWED_FIRST).contains(&self.hints.count())
    }

    fn list_at_once(&mut self) -> Instant {
        self.stretch.insist();
        Instant::now()
    }

    async fn list(&mut self) -> Result<(), Stop> {
        // Hints that came before are answered by this listing, if it works.
        let answered = self.hints.waiting();
        self.sink.metrics().rescan(if self.listed { "sweep" } else { "start" });
        self.sink.begin_listing(!self.listed);
        if !self.listed {
            self.sink.send(Observation::Init).await?;
        }
        reporting(self.place, &self.status, Box::pin(self.place.list(&mut self.sink))).await?;
        self.sink.end_listing(!self.listed).await?;
        if !self.listed {
            self.listed = true;
            self.report();
            self.sink.status().change(|state| state.synced = true);
            self.sink.send(Observation::InitDone).await?;
        }
        let look = self.sink.outcome();
        // What hints spoke of that were not followed is not known.
        let found = if answered.is_empty() { look.spoken } else { Spoken::default() };
        self.stretch.listed(Instant::now(), found, look.missing);
        if look.unfinished {
            self.stretch.go_on();
        }
        for hint in answered {
            self.hints.done(hint);
        }
        Ok(())
    }

    async fn follow(&mut self, hint: &Hinted) -> Result<bool, Stop> {
        self.sink.begin_look(Hint::Webhook);
        let followed = reporting(self.place, &self.status, Box::pin(self.place.follow(hint, &mut self.sink))).await?;
        if followed {
            let look = self.sink.outcome();
            self.stretch.heard(Instant::now(), &look.spoken, look.news);
        }
        Ok(followed)
    }

    fn worked(&mut self, what: &'static str) {
        if what == "list" {
            self.failing.all_worked();
        }
        self.failing.worked(what);
        self.backoff.reset();
        self.sink.status().change(|state| state.last_success = Some(clock::now()));
        self.report();
    }

    fn failed(&mut self, what: &'static str, failure: &Failure) -> Duration {
        self.failing.failed(what, self.place.explain(failure));
        self.sink.metrics().error(if failing::denied(failure) { "denied" } else { "transient" });
        tracing::warn!(source = %self.name, error = %failure, "{what} failed");
        self.report();
        let wait = self.backoff.next_wait();
        match failure {
            Failure::Throttled { after: Some(seconds) } => wait.max(Duration::from_secs(*seconds).min(ASKED_MOST)),
            _ => wait,
        }
    }

    fn report(&self) {
        self.sink.metrics().cost(&self.meter);
        let mut blind = self.failing.blindness();
        blind.extend(self.sink.blindness());
        self.sink.status().change(|state| {
            state.blind = blind;
            state.notes.clone_from(self.sink.notes());
            state.watched = self.sink.len() as u64;
            if self.pace.stretch > 1 && state.blind.is_empty() && self.stretch.is_proved(Instant::now()) {
                state.notes.insert("listing_stretched".to_owned(), stretched(self.pace.sweep, self.pace.stretch));
            }
            self.place.report(state);
        });
    }
}
