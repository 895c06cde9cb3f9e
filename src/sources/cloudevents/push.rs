//! The source that is told: nobody can be asked, so what is said is kept until what it led to is.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::data;
use super::envelope::{self, Envelope};
use super::fetch::{self, Allowed, Finder, Web};
use super::order::Order;
use super::records::{self, Maker};
use crate::base::clock;
use crate::base::http::Options;
use crate::base::text::shorten;
use crate::event::Fields;
use crate::sources::remote::Fetched;
use crate::sources::verify::Verify;
use crate::sources::{
    BoxFuture, Built, Change, Context, Hint, Observation, RecordKind, Sent, Settings, Source, SourceError, Statement,
    Status, Store, Sweep, Told, Unfit,
};

/// An event may be so much younger than we are: clocks differ.
const AHEAD_MAX: Duration = Duration::from_mins(5);
/// How often what is gone for long is forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// A source that is told by others what is where, as `CloudEvents`: for registries and stores that have no source of
/// their own. It needs an entry in `receivers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics, the status page and the path that is sent to: `POST /api/v1/events/NAME`.
    pub name: String,
    /// Beginnings of addresses from which bytes are fetched that an event names by `url`; nothing is asked of any
    /// other. None means that digests are believed and nothing is fetched.
    pub fetch: Vec<String>,
    /// File that holds a bearer token for the web servers among them.
    pub token_file: Option<PathBuf>,
    /// Models, versions and artifacts that are kept; more are not taken.
    pub records_max: usize,
    /// Size of one artifact that is fetched whole; larger ones are looked into by parts.
    pub artifact_bytes_max: u64,
    /// Fetch bytes again, since nobody may tell of files that are overwritten.
    pub verify: Verify,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "cloudevents".to_owned(),
            fetch: Vec::new(),
            token_file: None,
            records_max: 200_000,
            artifact_bytes_max: 16 << 30,
            verify: Verify::default(),
        }
    }
}

impl Settings for Config {
    fn build(self) -> Built {
        let numbers = [("records_max", self.records_max as u64), ("artifact_bytes_max", self.artifact_bytes_max)];
        let checked = fetch::Settings::check(&numbers, &self.verify, None, &self.fetch, self.token_file.as_deref());
        let fetch::Settings { allowed, token, mut problems } = checked;
        let web = Web::new(&Options { timeout: None, ..Options::default() }, token);
        match web {
            Ok(web) if problems.is_empty() => {
                let fetches = !self.fetch.is_empty();
                let finder = fetches.then(|| Arc::new(Fetched::new(Arc::new(Finder { web }), self.artifact_bytes_max)));
                Ok(Arc::new(Pushed { config: self, allowed, finder, order: Mutex::default() }))
            }
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }
}

struct Pushed {
    config: Config,
    allowed: Allowed,
    finder: Option<Arc<Fetched<Finder>>>,
    order: Mutex<Order>,
}

impl Pushed {
    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an event says, that made sense when it was taken.
    fn told(&self, hint: i64, body: serde_json::Value, status: &Status) -> Result<Told, String> {
        let Envelope { source, kind, time, data, .. } =
            Envelope::deserialize(body).map_err(|error| error.to_string())?;
        let data = data::parse(&kind, data)?;
        let key = records::key(&data);
        let gone = matches!(data, data::Data::Gone(_)).then(clock::now);
        let Some(checkpoint) = self.order().take(&key, time, gone) else {
            return Ok(Told { hint, checkpoint: None, statement: Statement::Outdated(key) });
        };
        let maker = Maker { source: &self.config.name, allowed: &self.allowed, hint: Hint::Webhook };
        if let Some(url) = maker.refuses(&data) {
            let note = format!("bytes are not looked into where `fetch` does not allow it: {}", shorten(url, 200));
            status.change(|state| drop(state.notes.insert("not_fetched".to_owned(), note)));
        }
        let statement = maker.statement(data, &source, time);
        Ok(Told { hint, checkpoint: Some(checkpoint), statement })
    }

    async fn listen(&self, context: &Context) {
        let mut forget = Instant::now() + FORGET_EVERY;
        loop {
            let hint = tokio::select! {
                hint = context.hints.next() => hint,
                () = tokio::time::sleep_until(forget) => {
                    forget = Instant::now() + FORGET_EVERY;
                    let old = self.order().forget(clock::now());
                    for checkpoint in old {
                        if context.out.send(Observation::Checkpoint(checkpoint)).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
            };
            let observation = match self.told(hint.id, hint.body, &context.status) {
                Ok(told) => Observation::Told(told),
                // Another version of the agent took it: this one does not know what it means.
                Err(problem) => {
                    tracing::error!(source = %self.config.name, problem, "an event that was taken is not understood; it stays on the disk for the version that took it");
                    context.metrics.error("denied");
                    continue;
                }
            };
            if context.out.send(observation).await.is_err() {
                return;
            }
            let watched = self.order().len() as u64;
            context.status.change(|state| {
                state.watched = watched;
                state.last_success = Some(clock::now());
            });
        }
    }
}

impl Source for Pushed {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn product(&self) -> &'static str {
        "cloudevents"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        Box::pin(async move {
            *self.order() = Order::restored(context.checkpoints.clone());
            // What an earlier run was told, and what became of it nobody knows.
            context.hints.give_again();
            // There is nothing to list: all that is known stays.
            for observation in [Observation::Init, Observation::InitKeep(String::new()), Observation::InitDone] {
                if context.out.send(observation).await.is_err() {
                    return Ok(());
                }
            }
            let watched = self.order().len() as u64;
            context.status.change(|state| (state.synced, state.watched) = (true, watched));
            tokio::select! {
                () = self.listen(&context) => {}
                () = context.stop.cancelled() => {}
            }
            Ok(())
        })
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        self.finder.clone().map(|finder| finder as Arc<dyn Store>)
    }

    fn hears(&self) -> bool {
        true
    }

    fn reuses_addresses(&self) -> bool {
        true
    }

    fn sweep(&self) -> Option<Sweep> {
        self.config.verify.sweep(&["artifact/", "file/"])
    }

    fn receive(&self, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Sent>, Unfit> {
        let now = clock::now();
        let events = envelope::of_request(headers, body, now).map_err(Unfit::Malformed)?;
        let several = events.len() > 1;
        let sent = events.into_iter().enumerate().map(|(index, event)| {
            self.check(&event, now).map_err(|unfit| match unfit {
                Unfit::Malformed(problem) if several => Unfit::Malformed(format!("event {index}: {problem}")),
                unfit => unfit,
            })?;
            // No other pair gives the same text.
            let delivery = Some(json!([event.source, event.id]).to_string());
            let body = serde_json::to_value(event).map_err(|error| Unfit::Malformed(error.to_string()))?;
            Ok(Sent { delivery, body })
        });
        sent.collect()
    }

    fn lasting(&self, kind: RecordKind) -> &'static [&'static str] {
        records::lasting(kind)
    }

    fn changes(&self, kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
        records::changes(kind, old, new)
    }
}

impl Pushed {
    fn check(&self, event: &Envelope, now: Timestamp) -> Result<(), Unfit> {
        let data = data::parse(&event.kind, event.data.clone()).map_err(Unfit::Malformed)?;
        let ahead = event.time.as_second().saturating_sub(now.as_second());
        if u64::try_from(ahead).is_ok_and(|ahead| ahead > AHEAD_MAX.as_secs()) {
            return Err(Unfit::Malformed(format!(
                "`time` is {}, which has not come: set the sender's clock",
                event.time
            )));
        }
        if !self.order().has_room(&records::key(&data), self.config.records_max) {
            let most = self.config.records_max;
            return Err(Unfit::Full(format!("{most} records are kept; raise `records_max`, or tell what is gone")));
        }
        Ok(())
    }
}
