//! The stage that asks models for their signatures: those that a policy names, again whenever something in them
//! changed, and every so often though nothing did.

mod look;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::look::{fingerprint, names, verify};
use super::committer::{Closed, Desk};
use super::health::Voice;
use super::judge::{Judge, Verdict};
use super::tell::{self, Notice};
use crate::artifact::Stop;
use crate::base::clock;
use crate::base::metrics::Metrics;
use crate::event::{Event, Field, FieldType, Fields, Value, digest, field::field};
use crate::provenance::policy::{Enforcement, Judgement, Policy, judge};
use crate::provenance::{self, Failure, Outcome, Reason};
use crate::sources::signatures::{Places, Watch};
use crate::state::signatures::Checked;
use crate::state::{Commit, State};

/// How often models are looked for though no notification came; and where there are none.
const WALK_EVERY: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two rounds at least, however much happens.
const PAUSE: Duration = Duration::from_millis(500);
/// Rounds one after the other because there are new folders.
const AGAIN_MAX: u32 = 4;
/// Models of one policy; more are told.
const MODELS_MAX: usize = 10_000;
/// Models verified at the same time.
const VERIFIED_AT_ONCE: usize = 4;
/// Names in one list of an event.
const NAMES_MAX: usize = 32;

/// The stage.
pub struct Signatures {
    pub policy: Arc<Policy>,
    /// A model is verified again after this time, whatever its times say.
    pub every: Duration,
    /// A verification that takes longer is given up, and told.
    pub timeout: Duration,
    pub state: State,
    pub judge: Judge,
    pub desk: Desk,
    pub voice: Voice,
    pub metrics: Metrics,
    pub host: Option<String>,
    pub stop: CancellationToken,
}

/// What one round gives.
struct Round {
    places: Places,
    /// Folders in which something may happen.
    folders: Vec<PathBuf>,
    /// Some models have to wait until others are verified.
    left: bool,
}

/// What is known of one verification when it ends: nothing when the agent stops.
type Verified = (PathBuf, Option<(Checked, Option<Event>)>);

/// Models that are verified now, and when others were.
#[derive(Default)]
struct Rounds {
    verified: HashMap<PathBuf, Instant>,
    busy: HashSet<PathBuf>,
    jobs: JoinSet<Verified>,
}

impl Signatures {
    pub async fn run(self) {
        let me = Arc::new(self);
        let mut rounds = Rounds::default();
        let mut watch = Watch::default();
        let (mut told, mut again) = (None, 0_u32);
        while !me.stop.is_cancelled() {
            let begun = Instant::now();
            let Ok(Round { places, folders, left }) = me.round(&mut rounds).await else { return };
            me.tell_unseen(&places, &mut told);
            let missing = !places.unreadable.is_empty();
            let all = places.folders.into_iter().chain(folders);
            let followed = tokio::task::spawn_blocking(move || {
                let all: Vec<PathBuf> = all.collect();
                let grown = watch.follow(all.iter().map(PathBuf::as_path));
                (watch, grown)
            });
            let Ok((followed, grown)) = followed.await else { return };
            watch = followed;
            // What happened in new folders before they were watched; not for ever, where folders come all the time.
            again = if grown { again + 1 } else { 0 };
            if (1..AGAIN_MAX).contains(&again) {
                continue;
            }
            let slow = if watch.is_blind() || missing { LOOK_EVERY } else { WALK_EVERY };
            let idle = rounds.verified.iter().filter(|(place, _)| !rounds.busy.contains(*place));
            let due = idle.map(|(_, when)| *when + me.every).min();
            let until = due.map_or(slow, |due| due.saturating_duration_since(Instant::now()).min(slow));
            // A folder in which something happens all the time must not keep the disks busy.
            let pause = begun.elapsed().saturating_mul(4).clamp(PAUSE, LOOK_EVERY);
            let until = Instant::now() + until;
            let mut next = Instant::now() + pause;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    Some(job) = rounds.jobs.join_next() => {
                        if me.keep(&mut rounds, job).await.is_err() {
                            return;
                        }
                        if left {
                            break;
                        }
                        continue;
                    }
                    () = me.stop.cancelled() => return,
                }
                if again > 0 || watch.moved() || Instant::now() >= until {
                    break;
                }
                next = Instant::now() + pause;
            }
        }
    }

    /// Looks at every model once, and begins to verify those that changed or are due. One that takes long holds up
    /// none of the others, as long as there are few of its kind.
    async fn round(self: &Arc<Self>, rounds: &mut Rounds) -> Result<Round, Closed> {
        let policy = Arc::clone(&self.policy);
        let places = tokio::task::spawn_blocking(move || Places::find(policy.globs(), MODELS_MAX)).await;
        let places = places.map_err(|_| Closed)?;
        let (mut folders, mut left) = (Vec::new(), false);
        for place in &places.models {
            let due = rounds.verified.get(place).is_none_or(|when| when.elapsed() >= self.every);
            let (looker, path) = (Arc::clone(self), place.clone());
            let looked = tokio::task::spawn_blocking(move || looker.look(&path, due)).await;
            let Ok((changed, inside)) = looked else { continue };
            folders.extend(inside);
            let Some(fingerprint) = changed.filter(|_| !rounds.busy.contains(place)) else { continue };
            if rounds.busy.len() >= VERIFIED_AT_ONCE {
                left = true;
                continue;
            }
            rounds.busy.insert(place.clone());
            let (verifier, path) = (Arc::clone(self), place.clone());
            rounds.jobs.spawn_blocking(move || {
                let answer = verifier.answer(&path, fingerprint);
                (path, answer)
            });
        }
        rounds.verified.retain(|place, _| places.models.contains(place));
        self.miss(&places).await?;
        Ok(Round { places, folders, left })
    }

    /// Keeps what a verification found.
    async fn keep(&self, rounds: &mut Rounds, job: Result<Verified, JoinError>) -> Result<(), Closed> {
        let (place, answer) = job.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        rounds.busy.remove(&place);
        let Some((checked, event)) = answer else { return Ok(()) };
        rounds.verified.insert(place, Instant::now());
        self.commit(event, Commit { signatures: vec![checked], ..Commit::default() }).await
    }

    /// Tells of models that are gone; what cannot be seen is not gone.
    async fn miss(&self, places: &Places) -> Result<(), Closed> {
        let state = self.state.clone();
        let known = tokio::task::spawn_blocking(move || state.checked_places()).await;
        let Ok(Ok(known)) = known else { return Ok(()) };
        // Names that are no text are not what they are remembered by.
        let there: HashSet<String> = places.models.iter().map(|place| place.display().to_string()).collect();
        for name in known {
            let place = Path::new(&name);
            let unseen = places.cut || places.unreadable.iter().any(|folder| place.starts_with(folder));
            // A mount that went away while it was walked takes no model with it.
            let unseen = unseen || places.starts.iter().any(|start| place.starts_with(start) && !start.is_dir());
            let looked = place.symlink_metadata().map_err(|error| error.kind());
            let denied = !matches!(looked, Ok(_) | Err(ErrorKind::NotFound | ErrorKind::NotADirectory));
            if there.contains(&name) || unseen || denied {
                continue;
            }
            let rule = self.policy.rule(&name).filter(|rule| rule.enforcement != Enforcement::Off);
            // What a policy asks for no more, or what lies in another model now, is forgotten without a word.
            let event = rule.filter(|_| looked.is_err()).map(|rule| {
                let fields = Fields::from([
                    ("file.path".to_owned(), name.as_str().into()),
                    ("artifact.signature.verdict".to_owned(), "gone".into()),
                    ("artifact.signature.enforced".to_owned(), (rule.enforcement == Enforcement::Require).into()),
                ]);
                let now = clock::now();
                let id = digest::of_parts(&["signatures", &name, "gone", &now.to_string()]);
                tell::signature(self.host.as_deref(), &name, id.short(), &fields, now)
            });
            self.commit(event, Commit { unsigned: vec![name], ..Commit::default() }).await?;
        }
        Ok(())
    }

    async fn commit(&self, event: Option<Event>, commit: Commit) -> Result<(), Closed> {
        let seen = clock::now();
        let events: Vec<Event> = event.into_iter().collect();
        let Verdict { alerts, memos } = self.judge.judge(&events, seen);
        self.desk.commit(Commit { source: "signatures".to_owned(), seen, alerts, memos, ..commit }).await
    }

    /// Tells of what cannot be looked at, once as long as it stays the same.
    fn tell_unseen(&self, places: &Places, told: &mut Option<(BTreeSet<PathBuf>, bool)>) {
        let unseen = (places.unreadable.clone(), places.cut);
        if told.as_ref().is_some_and(|told| *told == unseen) {
            return;
        }
        let say = |reason: &'static str, detail: String| {
            tracing::error!(reason, detail, "models that must be signed cannot all be looked for");
            self.voice.say(Notice { action: "source.blind", component: "signatures".to_owned(), reason, detail });
        };
        if let Some(first) = unseen.0.first() {
            self.metrics.source_errors.with_label_values(&["signatures", "denied"]).inc();
            let (first, count) = (first.display(), unseen.0.len());
            say(
                "unreadable",
                format!(
                    "{count} folders that `signatures` names cannot be read or are not there, the first of them `{first}`; let the agent read them, or correct `match`"
                ),
            );
        }
        if unseen.1 {
            say(
                "limit",
                format!(
                    "the globs of `signatures` name more than is looked at ({MODELS_MAX} models, and folders in folders only so deep); name them more closely"
                ),
            );
        }
        *told = Some(unseen);
    }

    /// The fingerprint of a model that has to be verified, and its folders.
    fn look(&self, place: &Path, due: bool) -> (Option<String>, Vec<PathBuf>) {
        let (fingerprint, folders) = fingerprint(place);
        let before = self.state.checked(&place.display().to_string()).ok().flatten();
        let same = before.is_some_and(|before| before.fingerprint == fingerprint);
        ((due || !same).then_some(fingerprint), folders)
    }

    /// Verifies one model. An event only when the answer is new; nothing when the agent stops.
    fn answer(&self, place: &Path, fingerprint: String) -> Option<(Checked, Option<Event>)> {
        let name = place.display().to_string();
        let before = self.state.checked(&name).ok().flatten();
        let (stop, begun, timeout) = (self.stop.clone(), std::time::Instant::now(), self.timeout);
        let over = Stop::when(move || stop.is_cancelled() || begun.elapsed() > timeout);
        let mut outcome = verify(place, &self.policy, &name, &over)?;
        if self.stop.is_cancelled() {
            return None;
        }
        if over.now() {
            let why = format!("verifying `{name}` took longer than {timeout:?}");
            outcome = Outcome::failed(Failure::new(Reason::Unreadable, why));
        }
        let judgement = judge(&self.policy, &name, &outcome);
        let failure = match &judgement {
            Judgement::NotAsked | Judgement::Fits => None,
            Judgement::Warned(failure) | Judgement::Refused(failure) => Some(failure),
        };
        let checked = Checked {
            place: name,
            root: outcome.root_digest,
            signer: outcome.signer.as_ref().map(provenance::Signer::text).unwrap_or_default(),
            verdict: if failure.is_none() { "verified" } else { "failed" }.to_owned(),
            reason: failure.map(|failure| failure.reason.to_string()).unwrap_or_default(),
            names: names(&outcome),
            fingerprint,
        };
        let answer = |checked: &Checked| {
            (
                checked.root,
                checked.signer.clone(),
                checked.verdict.clone(),
                checked.reason.clone(),
                checked.names.clone(),
            )
        };
        let news = before.as_ref().is_none_or(|before| answer(before) != answer(&checked));
        let enforcement = self.policy.rule(&checked.place).map_or(Enforcement::Off, |rule| rule.enforcement);
        let event = news.then(|| self.event(&checked, &outcome, failure, enforcement));
        Some((checked, event))
    }

    fn event(
        &self,
        checked: &Checked,
        outcome: &Outcome,
        failure: Option<&Failure>,
        enforcement: Enforcement,
    ) -> Event {
        let mut fields = Fields::new();
        let mut put = |path: &str, value: Value| fields.insert(path.to_owned(), value);
        put("file.path", checked.place.as_str().into());
        put("artifact.signature.verdict", checked.verdict.as_str().into());
        put("artifact.signature.enforced", (enforcement == Enforcement::Require).into());
        if let Some(failure) = failure {
            put("artifact.signature.reason", failure.reason.as_str().into());
            put("artifact.signature.detail", failure.detail.as_str().into());
        }
        if !checked.signer.is_empty() {
            put("artifact.signature.signer", checked.signer.as_str().into());
        }
        if let Some(root) = checked.root {
            put("artifact.signature.root_digest", format!("sha256:{root}").into());
        }
        for (path, names) in
            [("artifact.signature.files", &outcome.files), ("artifact.signature.unsigned", &outcome.unsigned)]
        {
            let names: Vec<String> = names.names.iter().take(NAMES_MAX).cloned().collect();
            if !names.is_empty() {
                put(path, names.into());
            }
        }
        let id = digest::of_parts(&[
            "signatures",
            &checked.place,
            &checked.verdict,
            &checked.reason,
            &checked.signer,
            &checked.fingerprint,
        ]);
        tell::signature(self.host.as_deref(), &checked.place, id.short(), &fields, clock::now())
    }
}

/// Fields of the events of this stage.
pub const FIELDS: &[Field] = &[
    field(
        "artifact.signature.verdict",
        FieldType::Text,
        "Whether the signature is as the policy asks: verified or failed; gone where a model is no longer there.",
    ),
    field("artifact.signature.enforced", FieldType::Bool, "The policy says `require`, not `warn`."),
    field("artifact.signature.reason", FieldType::Text, "Why it failed, from the closed set of `lanner verify`."),
    field("artifact.signature.detail", FieldType::Text, "The same in a sentence."),
    field("artifact.signature.signer", FieldType::Text, "Who signed, as the verification found it."),
    field("artifact.signature.root_digest", FieldType::Text, "Identity of the signed model."),
    field("artifact.signature.files", FieldType::TextList, "Signed files that differ, are missing or cannot be read."),
    field("artifact.signature.unsigned", FieldType::TextList, "Files that the signature does not cover."),
];
