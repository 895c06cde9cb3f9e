//! Traces are a stream: each is told once, when it has ended, and none enters the inventory.
//!
//! A server lists them by the time that whoever recorded them wrote down, and they come later than that: after they
//! ended, some much later. So every small look asks for what ended lately, and every sweep for all that may still come.
//! What was told is remembered for as long ([`Known`]); what is told and that it is told become durable together.

mod known;
mod telling;
mod walk;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::engine::{Engine, Stop};
use super::spaces::part;
use super::{Shared, health, holdings};
use crate::base::http::Failure;
use crate::sources::reconcile::denied;
use crate::sources::{Checkpoint, Context, Observation};
use known::Known;
use walk::{Eye, Watch};

/// What fails where traces are not seen.
const TRACES: &str = "traces";
/// Workspaces that are looked at in one small look; the next goes on after them.
const SPACES_MAX: usize = 20;
/// What there may be to say of how traces are seen.
const NOTES: [&str; 6] =
    ["traces_missing", "traces_behind", "traces_left_out", "traces_forgotten", "traces_ahead", "traces_by_start"];
/// How long one look takes at most, beside the answer that it waits for: everything else waits for it.
const LOOK: Duration = Duration::from_secs(2);

/// Which traces of applications are watched, and what of them is told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// Experiments whose traces are watched: names or numbers, or `*` for all; none means that traces are not watched.
    pub experiments: Vec<String>,
    /// Tell what was asked and what was said. Without it events have no texts, only what was found in them.
    pub text: bool,
    /// How long after its end a trace may come and is still seen.
    pub late_secs: u64,
    /// A trace that does not end is told as it is after this time.
    pub unfinished_secs: u64,
}

impl Default for Traces {
    fn default() -> Self {
        Self { experiments: Vec::new(), text: true, late_secs: 600, unfinished_secs: 3600 }
    }
}

/// Reads traces of all workspaces.
#[derive(Default)]
pub struct Reader {
    /// By their part of keys.
    spaces: BTreeMap<String, Watch>,
    turn: usize,
    forgotten: bool,
}

impl Reader {
    /// One look, with few calls; only what keeps everything else from being seen, too, is an error.
    async fn look(&mut self, shared: &Shared, context: &Context, spaces: &[Option<String>]) -> Result<(), Stop> {
        if shared.config.traces.experiments.is_empty() {
            return self.forget(context).await;
        }
        let begun = if self.turn < spaces.len() { self.turn } else { 0 };
        let until = Instant::now() + LOOK;
        self.turn = begun;
        for space in spaces.iter().skip(begun).take(SPACES_MAX) {
            if self.turn > begun && Instant::now() >= until {
                break;
            }
            self.turn += 1;
            let eye = Eye { shared, context, space: space.as_deref(), until };
            let part = part(eye.space);
            let watch = self.spaces.entry(part.clone());
            let watch = watch.or_insert_with(|| Watch::new(Known::recall(part, &context.checkpoints)));
            if watch.rests() {
                continue;
            }
            match watch.look(&eye).await {
                Ok(()) => {}
                Err(Stop::Failed(failure)) if !matches!(failure, Failure::Unreachable(_)) => {
                    context.metrics.error(if denied(&failure) { "denied" } else { "transient" });
                    tracing::warn!(source = %shared.config.name, error = %failure, "traces cannot be listed");
                    watch.fails(&failure, explain(&failure, shared.api.registry()), shared.config.sweep_interval_secs);
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// Whoever does not watch traces any more begins anew when they do again.
    async fn forget(&mut self, context: &Context) -> Result<(), Stop> {
        if std::mem::replace(&mut self.forgotten, true) {
            return Ok(());
        }
        for key in Known::keys(&context.checkpoints) {
            let checkpoint = Checkpoint { key: key.clone(), position: serde_json::Value::Null };
            context.out.send(Observation::Checkpoint(checkpoint)).await.map_err(|_| Stop::Unheard)?;
        }
        Ok(())
    }

    fn watched(&self, spaces: &[Option<String>]) -> impl Iterator<Item = &Watch> {
        spaces.iter().filter_map(|space| self.spaces.get(&part(space.as_deref())))
    }
}

impl Engine<'_> {
    /// The part of a small look that is about traces.
    pub(super) async fn look_at_traces(&mut self) -> Result<(), Stop> {
        let spaces = self.spaces.seen();
        self.traces.look(self.shared, &self.context, &spaces).await?;
        match self.traces.watched(&spaces).find_map(|watch| watch.why.clone()) {
            Some(why) => self.failing.failed(TRACES, why),
            None => self.failing.worked(TRACES),
        }
        for name in NOTES {
            let note = self.traces.watched(&spaces).find_map(|watch| watch.notes.get(name).cloned());
            holdings::set(&mut self.notes, name, note);
        }
        Ok(())
    }
}

fn explain(failure: &Failure, server: &str) -> (&'static str, String) {
    match failure {
        Failure::Gone | Failure::Rejected { .. } => {
            ("no_traces", format!("`{server}` does not know the search of traces ({failure}); it came with MLflow 3"))
        }
        Failure::Denied { status: 403 } => (
            "traces_forbidden",
            format!("`{server}` answers 403; give the agent's user permission to read the experiments of `traces`"),
        ),
        failure => {
            let (reason, sentence) = health::explain(failure, server);
            (reason, format!("traces: {sentence}"))
        }
    }
}

/// When to look at all again.
fn after(secs: u64) -> Instant {
    Instant::now() + Duration::from_secs(secs)
}
