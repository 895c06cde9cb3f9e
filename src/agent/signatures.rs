//! The stage that asks models for their signatures: those that a policy names, again whenever something in them
//! changed, and every so often though nothing did.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::committer::Desk;
use super::judge::{Judge, Verdict};
use super::tell;
use crate::artifact::Stop;
use crate::base::{clock, files};
use crate::event::{Event, Field, FieldType, Fields, Value, digest, field::field};
use crate::provenance::policy::{Enforcement, Judgement, Policy, judge};
use crate::provenance::{self, BUNDLE_BYTES_MAX, Failure, Kind, Outcome, Reason};
use crate::sources::folder::Local;
use crate::sources::signatures;
use crate::state::signatures::Checked;
use crate::state::{Commit, State};

/// How often the models that a policy names are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Models of one policy; more are told in the log.
const MODELS_MAX: usize = 10_000;
/// Files of one model whose names and times are looked at for changes.
const FILES_MAX: usize = 100_000;
/// Names in one list of an event.
const NAMES_MAX: usize = 32;

/// The stage.
pub struct Signatures {
    pub policy: Arc<Policy>,
    /// A model is verified again after this time, whatever its times say.
    pub every: Duration,
    pub state: State,
    pub judge: Judge,
    pub desk: Desk,
    pub host: Option<String>,
    pub stop: CancellationToken,
}

impl Signatures {
    pub async fn run(self) {
        let me = Arc::new(self);
        let mut verified: std::collections::HashMap<PathBuf, tokio::time::Instant> = std::collections::HashMap::new();
        loop {
            let policy = Arc::clone(&me.policy);
            let models = tokio::task::spawn_blocking(move || signatures::places(policy.globs(), MODELS_MAX))
                .await
                .unwrap_or_default();
            if models.len() >= MODELS_MAX {
                tracing::warn!(most = MODELS_MAX, "the globs of `signatures` name more models than are looked at");
            }
            for place in models {
                if me.stop.is_cancelled() {
                    return;
                }
                let due = verified.get(&place).is_none_or(|when| when.elapsed() >= me.every);
                let (looker, path) = (Arc::clone(&me), place.clone());
                let looked = tokio::task::spawn_blocking(move || looker.look(&path, due)).await;
                let Ok(Some((checked, event))) = looked else { continue };
                verified.insert(place, tokio::time::Instant::now());
                let seen = clock::now();
                let events: Vec<Event> = event.into_iter().collect();
                let Verdict { alerts, memos } = me.judge.judge(&events, seen);
                let commit = Commit {
                    source: "signatures".to_owned(),
                    seen,
                    signatures: vec![checked],
                    alerts,
                    memos,
                    ..Commit::default()
                };
                if me.desk.commit(commit).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = me.stop.cancelled() => return,
            }
        }
    }

    /// Verifies one model, unless nothing of it changed and it is not due. An event only when the answer is new.
    fn look(&self, place: &Path, due: bool) -> Option<(Checked, Option<Event>)> {
        let name = place.display().to_string();
        let before = self.state.checked(&name).ok().flatten();
        let fingerprint = fingerprint(place);
        if !due && before.as_ref().is_some_and(|before| before.fingerprint == fingerprint) {
            return None;
        }
        let stop = self.stop.clone();
        let outcome = verify(place, &self.policy, &name, &Stop::when(move || stop.is_cancelled()))?;
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

/// A digest over the files that differ, and those that nobody signed: another one is another finding.
fn names(outcome: &Outcome) -> String {
    let more = [outcome.files.more.to_string(), outcome.unsigned.more.to_string()];
    let lists = [&outcome.files.names, &outcome.unsigned.names];
    let all: Vec<&str> =
        more.iter().chain(lists.into_iter().flat_map(|list| list.iter())).map(String::as_str).collect();
    digest::of_parts(&all).short()
}

/// Verifies what lies at a place, with each trust of the rule that counts for it until one fits.
fn verify(place: &Path, policy: &Policy, name: &str, stop: &Stop) -> Option<Outcome> {
    let rule = policy.rule(name)?;
    let failed = |reason, detail: String| Some(Outcome::failed(Failure::new(reason, detail)));
    let content = match Local::open(place, stop.clone()) {
        Ok(content) => content,
        Err(error) => return failed(Reason::Unreadable, format!("`{name}` cannot be opened: {error}")),
    };
    let path = match signatures::beside(place, Kind::Model) {
        Ok(Some(path)) => path,
        Ok(None) => return failed(Reason::Unsigned, format!("there is no signature in or beside `{name}`")),
        Err(why) => return failed(Reason::BadBundle, why),
    };
    let signature = match files::read(&path, BUNDLE_BYTES_MAX) {
        Ok(signature) => signature,
        Err(error) => return failed(Reason::Unreadable, format!("`{}` cannot be read: {error}", path.display())),
    };
    let outcome = rule.verify(&signature, content.name_of(&path).as_deref(), &content, clock::now());
    // What was broken off says nothing.
    (!stop.now()).then_some(outcome)
}

/// Names, sizes and times of everything in a model.
fn fingerprint(place: &Path) -> String {
    let mut hash = String::new();
    // A signature beside the model counts as well.
    let beside = signatures::beside(place, Kind::Model).ok().flatten();
    let all = walkdir::WalkDir::new(place).sort_by_file_name().into_iter().take(FILES_MAX).flatten();
    let paths = all.map(walkdir::DirEntry::into_path).chain(beside);
    for path in paths {
        let signature = path.symlink_metadata().map(|metadata| crate::sources::filesystem::signature(&metadata));
        hash = digest::of_parts(&[&hash, &path.to_string_lossy(), &signature.unwrap_or_default()]).short();
    }
    hash
}

/// Fields of the events of this stage.
pub const FIELDS: &[Field] = &[
    field(
        "artifact.signature.verdict",
        FieldType::Text,
        "Whether the signature is as the policy asks: verified or failed.",
    ),
    field("artifact.signature.enforced", FieldType::Bool, "The policy says `require`, not `warn`."),
    field("artifact.signature.reason", FieldType::Text, "Why it failed, from the closed set of `lanner verify`."),
    field("artifact.signature.detail", FieldType::Text, "The same in a sentence."),
    field("artifact.signature.signer", FieldType::Text, "Who signed, as the verification found it."),
    field("artifact.signature.root_digest", FieldType::Text, "Identity of the signed model."),
    field("artifact.signature.files", FieldType::TextList, "Signed files that differ, are missing or cannot be read."),
    field("artifact.signature.unsigned", FieldType::TextList, "Files that the signature does not cover."),
];
