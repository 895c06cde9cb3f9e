//! The bytes of logged models that lie where the agent reads itself: in a bucket that is mapped, or on a mounted store.
//! Those that a version names are looked at with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::api::{LoggedInfo, Space};
use super::artifacts::{self, Budget, Listing};
use super::engine::{Engine, Stop};
use super::location::{Location, resolve};
use super::records::Maker;
use super::registry::Held;
use super::spaces::part;
use crate::base::uri::{encode, encode_path};
use crate::event::subject::SubjectKind;
use crate::event::{ArtifactRef, Fields, Place, Subject};
use crate::sources::models::{file, put};
use crate::sources::{Hint, Record, RecordKind};

/// Of the requests about artifacts of one sweep this part goes to logged models, beside those to versions.
const SHARE: u64 = 4;
/// A model whose bytes are all there; others are still being written.
const READY: &str = "LOGGED_MODEL_READY";

/// A logged model whose bytes can be looked at, by the key of its record.
#[derive(Debug, Default)]
pub struct LoggedBytes(BTreeMap<String, Logged>);

#[derive(Debug)]
struct Logged {
    info: LoggedInfo,
    location: Location,
    /// What the keys of its artifacts begin with.
    prefix: String,
    /// Sweep in which they were listed; 0 for never.
    listed: u64,
}

/// What the keys of all artifacts of logged models of a workspace begin with.
pub fn prefix(space: Space<'_>) -> String {
    format!("logged_artifact/{}", part(space))
}

impl Engine<'_> {
    /// Takes note of a logged model.
    pub(super) fn note_logged(&mut self, space: Space<'_>, key: &str, info: LoggedInfo) {
        let location = resolve(&info.artifact_uri, self.shared);
        let reachable = matches!(location, Location::Local(_) | Location::Bucket(..));
        if !reachable || info.status != READY {
            self.logged.0.remove(key);
            return;
        }
        let listed = self.logged.0.get(key).map_or(0, |logged| logged.listed);
        let prefix = format!("{}{}/", prefix(space), encode(&info.model_id));
        self.logged.0.insert(key.to_owned(), Logged { info, location, prefix, listed });
    }

    /// Tells that a logged model is gone with its artifacts.
    pub(super) async fn logged_gone(&mut self, key: &str) -> Result<(), Stop> {
        let Some(logged) = self.logged.0.remove(key) else { return Ok(()) };
        for key in self.registry.told_below(&logged.prefix) {
            self.delete(key).await?;
        }
        Ok(())
    }

    /// Looks at those that were looked at longest ago.
    pub(super) async fn look_into_logged(&mut self) -> Result<(), Stop> {
        let held: BTreeSet<&str> = self.registry.holdings.values().map(|holding| &*holding.uri).collect();
        let uri = |logged: &Logged| logged.info.artifact_uri.trim_end_matches('/').to_owned();
        let mut due: Vec<(u64, String)> = self
            .logged
            .0
            .iter()
            .filter(|(_, logged)| !held.contains(&*uri(logged)))
            .map(|(key, logged)| (logged.listed, key.clone()))
            .collect();
        due.sort();
        self.notes.remove("logged_models_refused");
        let mut budget = Budget::new((self.shared.config.artifact_requests_max / SHARE).max(1));
        for (_, key) in due {
            if budget.is_spent() {
                break;
            }
            self.look_into_one(&key, &mut budget).await?;
        }
        Ok(())
    }

    async fn look_into_one(&mut self, key: &str, budget: &mut Budget) -> Result<(), Stop> {
        let Some(logged) = self.logged.0.get(key) else { return Ok(()) };
        let (shared, location) = (Arc::clone(self.shared), logged.location.clone());
        let bucket = if let Location::Bucket(bucket, _) = location { Some(bucket) } else { None };
        if bucket.is_some_and(|bucket| self.buckets_down.contains(&bucket)) {
            return Ok(());
        }
        budget.spend();
        match artifacts::list(&shared, &location, budget).await {
            Ok(listing) => self.compare_logged(key, &listing).await,
            Err(failure) => {
                self.bucket_fails(bucket, &failure);
                let note = format!("bytes of `{key}` cannot be listed: {failure}");
                self.notes.insert("logged_models_refused".to_owned(), note);
                Ok(())
            }
        }
    }

    async fn compare_logged(&mut self, key: &str, listing: &Listing) -> Result<(), Stop> {
        let sweeps = self.sweeps;
        let Some(logged) = self.logged.0.get_mut(key) else { return Ok(()) };
        logged.listed = sweeps;
        let (info, below) = (logged.info.clone(), logged.prefix.clone());
        let maker = self.maker(Hint::Sweep);
        let records: Vec<Record> =
            listing.files.iter().map(|(path, held)| maker.logged_artifact(&info, &below, path, held)).collect();
        let seen: BTreeSet<String> = records.iter().map(|record| record.key.clone()).collect();
        for record in records {
            self.tell(record).await?;
        }
        for key in self.registry.told_below(&below) {
            if listing.left_out == 0 && !seen.contains(&key) && self.registry.miss(&key) {
                self.delete(key).await?;
            }
        }
        Ok(())
    }

    /// Beginnings of keys of artifacts that were never listed.
    pub(super) fn logged_unlisted(&self) -> Vec<String> {
        self.logged.0.values().filter(|logged| logged.listed == 0).map(|logged| logged.prefix.clone()).collect()
    }
}

impl Maker<'_> {
    fn logged_artifact(&self, info: &LoggedInfo, below: &str, path: &str, held: &Held) -> Record {
        let mut fields = Fields::new();
        put(&mut fields, "ml.model.registry", self.registry);
        put(&mut fields, "ml.logged_model.id", &*info.model_id);
        put(&mut fields, "ml.logged_model.name", &*info.name);
        put(&mut fields, "ml.experiment.id", &*info.experiment_id);
        put(&mut fields, "ml.run.id", info.source_run_id.as_deref().unwrap_or_default());
        file(&mut fields, path);
        if let Some(size) = held.size {
            put(&mut fields, "file.size", size);
        }
        let address = format!("{}/{path}", info.artifact_uri.trim_end_matches('/'));
        Record {
            key: format!("{below}{}", encode_path(path)),
            // As those of a version: what a run left does not change.
            kind: RecordKind::VersionArtifact,
            signature: held.signature.clone(),
            subject: Subject::new(SubjectKind::LoggedModel, format!("{}/{}", info.name, info.model_id)),
            artifact: Some(ArtifactRef {
                store: self.config.name.clone(),
                path: address.replace('\\', "\\\\"),
                version: Some(info.model_id.clone()),
                lineage: format!("models:/{}/{path}", info.model_id),
            }),
            time: None,
            place: Place::default(),
            attributes: fields,
            hint: self.hint,
        }
    }
}
