//! Logged models of some experiments as records: what runs left, whether or not it was registered. Their bytes are looked
//! at when a version names them, or where they lie in a store that the agent reads itself.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{LoggedInfo, Space};
use super::engine::{Engine, Stop};
use super::logged_bytes;
use super::records::{Maker, tags};
use super::spaces::part;
use crate::base::http::Failure;
use crate::base::text::shorten;
use crate::base::uri::encode;
use crate::event::subject::SubjectKind;
use crate::event::{Fields, Subject, Value};
use crate::sources::models::changes::{change, differ, text};
use crate::sources::models::source_uri;
use crate::sources::models::{TEXT_CHARS_MAX, put};
use crate::sources::{Change, Hint, Record, RecordKind};

/// Experiments in one question.
const EXPERIMENTS: usize = 100;
/// Logged models that are watched.
const LOGGED_MAX: usize = 100_000;
/// Experiments that are not there, named in one sentence.
const MISSING_SHOWN: usize = 10;
/// What their states begin with.
const STATUS: &str = "LOGGED_MODEL_";
const TAGS: &str = "ml.logged_model.tags.";

/// What the keys of all logged models of a workspace begin with.
pub fn prefix(space: Space<'_>) -> String {
    format!("logged_model/{}", part(space))
}

impl Engine<'_> {
    /// Lists them where experiments are configured; gives the beginnings of keys of which nothing can be said.
    pub(super) async fn look_at_logged(&mut self) -> Result<Vec<String>, Stop> {
        if self.shared.config.experiments.is_empty() {
            return Ok(Vec::new());
        }
        let mut unseen = Vec::new();
        let (mut note, mut found) = (None, BTreeSet::new());
        for space in self.spaces.seen() {
            let prefix = prefix(space.as_deref());
            match self.list_logged(space.as_deref(), &prefix, &mut found).await {
                Ok(true) => {}
                Ok(false) => {
                    note = Some(format!("there are more than {LOGGED_MAX} logged models; name fewer `experiments`"));
                    unseen.extend([prefix, logged_bytes::prefix(space.as_deref())]);
                }
                Err(Stop::Failed(failure)) if !matches!(failure, Failure::Unreachable(_) | Failure::Timeout) => {
                    note = Some(format!("logged models are not listed: {failure}; they came with MLflow 3"));
                    unseen.extend([prefix, logged_bytes::prefix(space.as_deref())]);
                }
                Err(stop) => return Err(stop),
            }
        }
        let missing = if note.is_none() { self.missing(&found) } else { None };
        super::holdings::set(&mut self.notes, "missing", missing);
        super::holdings::set(&mut self.notes, "logged_models_unseen", note);
        self.look_into_logged().await?;
        unseen.extend(self.logged_unlisted());
        Ok(unseen)
    }

    /// Experiments that are named, and that no workspace has.
    fn missing(&self, found: &BTreeSet<String>) -> Option<String> {
        let wanted = &self.shared.config.experiments;
        let missing = wanted.iter().filter(|name| *name != "*" && !found.contains(*name));
        let shown: Vec<String> = missing.map(|name| format!("`{}`", shorten(name, 100))).take(MISSING_SHOWN).collect();
        let sentence = || {
            let server = self.shared.api.registry();
            let shown = shown.join(", ");
            format!("`{server}` has no experiment {shown}, or the agent's user may not see it; correct `experiments`")
        };
        (!shown.is_empty()).then(sentence)
    }

    /// False if there are too many to tell what is gone. What experiments are called is added to `found`.
    async fn list_logged(
        &mut self,
        space: Space<'_>,
        prefix: &str,
        found: &mut BTreeSet<String>,
    ) -> Result<bool, Stop> {
        let wanted = &self.shared.config.experiments;
        let wants = |name: &String| wanted.iter().any(|one| one == "*" || one == name);
        let experiments = self.shared.api.experiments(space).await?;
        let called = experiments.iter().flat_map(|experiment| [&experiment.name, &experiment.experiment_id]);
        found.extend(called.filter(|name| wanted.contains(name)).cloned());
        let names: BTreeMap<String, String> = experiments
            .into_iter()
            .filter(|experiment| wants(&experiment.name) || wants(&experiment.experiment_id))
            .map(|experiment| (experiment.experiment_id, experiment.name))
            .collect();
        let ids: Vec<String> = names.keys().cloned().collect();
        let mut seen = BTreeSet::new();
        for of in ids.chunks(EXPERIMENTS) {
            let (mut token, mut tokens) = (String::new(), BTreeSet::new());
            loop {
                let page = self.shared.api.logged_models(space, of, &token).await?;
                for model in page.models {
                    if seen.len() >= LOGGED_MAX {
                        return Ok(false);
                    }
                    let record = self.maker(Hint::Sweep).logged(prefix, &model.info, &names);
                    seen.insert(record.key.clone());
                    self.note_logged(space, &record.key, model.info);
                    self.tell(record).await?;
                }
                match super::api::next(page.next_page_token, &mut tokens)? {
                    Some(more) => token = more,
                    None => break,
                }
            }
        }
        for key in self.registry.told_below(prefix) {
            if !seen.contains(&key) && self.registry.miss(&key) {
                self.logged_gone(&key).await?;
                self.delete(key).await?;
            }
        }
        Ok(true)
    }
}

impl Maker<'_> {
    fn logged(&self, prefix: &str, info: &LoggedInfo, experiments: &BTreeMap<String, String>) -> Record {
        let mut fields = Fields::new();
        let run = info.source_run_id.as_deref().unwrap_or_default();
        put(&mut fields, "ml.model.registry", self.registry);
        put(&mut fields, "ml.logged_model.id", shorten(&info.model_id, TEXT_CHARS_MAX));
        put(&mut fields, "ml.logged_model.name", shorten(&info.name, TEXT_CHARS_MAX));
        put(&mut fields, "ml.logged_model.status", info.status.strip_prefix(STATUS).unwrap_or(&info.status));
        put(
            &mut fields,
            "ml.logged_model.type",
            shorten(info.model_type.as_deref().unwrap_or_default(), TEXT_CHARS_MAX),
        );
        put(&mut fields, "ml.run.id", shorten(run, TEXT_CHARS_MAX));
        put(&mut fields, "ml.experiment.id", shorten(&info.experiment_id, TEXT_CHARS_MAX));
        if let Some(name) = experiments.get(&info.experiment_id) {
            put(&mut fields, "ml.experiment.name", shorten(name, TEXT_CHARS_MAX));
        }
        put(&mut fields, "ml.model.artifact.location", shorten(&info.artifact_uri, TEXT_CHARS_MAX));
        let list = &self.config.allowed_sources;
        put(&mut fields, "ml.model.source.allowed", source_uri::allowed(&info.artifact_uri, run, list));
        put(&mut fields, "ml.model.source.traversal", source_uri::traversal(&info.artifact_uri));
        tags(&mut fields, TAGS, &info.tags);
        let subject = Subject::new(SubjectKind::LoggedModel, format!("{}/{}", info.name, info.model_id));
        let key = format!("{prefix}{}", encode(&info.model_id));
        self.record(key, RecordKind::LoggedModel, subject, info.last_updated_timestamp_ms, fields)
    }
}

/// How a change of a logged model is told.
pub fn changes(old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
    match (old, new) {
        (None, Some(_)) => vec![change("logged_model.created", [])],
        (Some(_), None) => vec![change("logged_model.deleted", [])],
        (Some(old), Some(new)) => {
            let differs = |path| text(old, path) != text(new, path);
            let what = [
                ("status", differs("ml.logged_model.status")),
                ("location", differs("ml.model.artifact.location")),
                ("run", differs("ml.run.id")),
                ("tags", differ(old, new, TAGS)),
            ];
            let what: Vec<&str> = what.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
            if what.is_empty() {
                return Vec::new();
            }
            vec![change("logged_model.changed", [("ml.logged_model.changed", Value::from(what))])]
        }
        (None, None) => Vec::new(),
    }
}
