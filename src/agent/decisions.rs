//! The stage that judges again what lies there already when something was decided about its model: rules see bytes
//! when they come, and these came before.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::announced;
use super::committer::{Closed, Desk};
use super::judge::{Judge, Verdict};
use super::tell::{self, Origin};
use crate::base::clock;
use crate::event::Checkpoint;
use crate::state::decisions::Decision;
use crate::state::{Commit, Placed, State, StateError, Worth};

/// How often decisions are asked for. Verbs write them into the same database.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Decisions taken at once.
const DECISIONS_MAX: usize = 1000;
/// Records judged in one transaction.
const PAGE: usize = 256;
/// Under which the stage remembers how far it is.
const SOURCE: &str = "decisions";

/// One way in which decisions are followed.
struct Pass {
    /// Key of its checkpoint.
    key: &'static str,
    /// Decisions are left alone for so long.
    age: Duration,
    /// Whether a later decision about the same model takes the place of an earlier one: it has its own while.
    last_only: bool,
    /// Whether it tells of bytes that are worth so much.
    tells: fn(Worth) -> bool,
}

const PASSES: [Pass; 2] = [
    // What is on its way into the inventory meanwhile was judged by what was decided before.
    Pass { key: "judged", age: Duration::from_secs(2), last_only: false, tells: |worth| worth != Worth::Superseded },
    // Whoever approves a version has a while to put it there: until then the one before is no rollback.
    Pass {
        key: "rolled_out",
        age: Duration::from_secs(3600),
        last_only: true,
        tells: |worth| worth == Worth::Superseded,
    },
];

/// The stage.
pub struct Decisions {
    pub state: State,
    pub judge: Judge,
    pub desk: Desk,
    pub host: Option<String>,
    pub stop: CancellationToken,
}

impl Decisions {
    pub async fn run(self) {
        loop {
            for pass in &PASSES {
                match self.follow(pass).await {
                    Ok(()) => {}
                    Err(Fault::Closed) => return,
                    Err(Fault::State(error)) => {
                        tracing::error!(%error, "what was decided cannot be read from the state; trying again");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Judges what the decisions since the last time concern.
    async fn follow(&self, pass: &Pass) -> Result<(), Fault> {
        let age = i64::try_from(pass.age.as_millis()).unwrap_or(i64::MAX);
        let key = pass.key;
        let decisions = self
            .ask(move |state| {
                let position = state.checkpoints(SOURCE)?.get(key).and_then(serde_json::Value::as_i64);
                state.decisions(position.unwrap_or(0), age, DECISIONS_MAX)
            })
            .await?;
        let Some(last) = decisions.last().map(|decision| decision.id) else { return Ok(()) };
        let mut models: BTreeSet<String> = decisions.into_iter().map(|Decision { model, .. }| model).collect();
        if pass.last_only {
            let later = self.ask(move |state| state.decided_after(last)).await?;
            models.retain(|model| !later.contains(model));
        }
        let mark = last.to_string();
        for model in models {
            self.judge_again(pass, &model, &mark).await?;
        }
        let checkpoints = vec![Checkpoint { key: pass.key.to_owned(), position: last.into() }];
        self.commit(Commit { checkpoints, ..Commit::default() }).await
    }

    /// Judges every file from which a model is served.
    async fn judge_again(&self, pass: &Pass, model: &str, decision: &str) -> Result<(), Fault> {
        let mut after: Option<Placed> = None;
        loop {
            let (named, from) = (model.to_owned(), after.take());
            let page = self
                .ask(move |state| {
                    let page = state.served(Some(&named), from.as_ref(), PAGE)?;
                    let stands = page.iter().map(|placed| {
                        placed.digest.map(|digest| state.stand(Some(&named), &placed.key, &digest)).transpose()
                    });
                    let stands = stands.collect::<Result<Vec<_>, _>>()?;
                    Ok(page.into_iter().zip(stands).collect::<Vec<_>>())
                })
                .await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let seen = clock::now();
            let (mut events, mut settled) = (Vec::new(), Vec::new());
            for (placed, stand) in &page {
                let Some(stand) = stand.as_ref().filter(|stand| (pass.tells)(stand.worth)) else { continue };
                if stand.worth == Worth::Approved {
                    settled.push(placed.subject.clone());
                    continue;
                }
                let standing = announced::standing_fields(stand.worth.as_str(), Some(stand), None);
                let origin =
                    Origin { source: placed.source.clone(), product: "filesystem".to_owned(), host: self.host.clone() };
                events.push(tell::decided(&origin, placed, decision, &standing, seen));
            }
            let Verdict { alerts, memos } = self.judge.judge(&events, seen);
            self.commit(Commit { seen, settled, alerts, memos, ..Commit::default() }).await?;
        }
    }

    async fn commit(&self, commit: Commit) -> Result<(), Fault> {
        let commit = Commit { source: SOURCE.to_owned(), ..commit };
        self.desk.commit(commit).await.map_err(|Closed| Fault::Closed)
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&State) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Fault> {
        let state = self.state.clone();
        let asked = tokio::task::spawn_blocking(move || question(&state)).await;
        asked.unwrap_or_else(|error| Err(StateError::Unreadable(error.to_string()))).map_err(Fault::State)
    }
}

/// Why decisions cannot be followed now.
enum Fault {
    /// The agent is stopping.
    Closed,
    State(StateError),
}
