//! Looks at the artifacts of versions, one version at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::artifacts;
use super::engine::{Engine, Stop};
use super::location::Location;
use super::prompts;
use super::records::{Maker, artifact_prefix};
use super::registry::{Holding, VersionId};
use crate::base::http::Failure;
use crate::sources::reconcile::denied;
use crate::sources::{Hint, Record};

/// What fails where a bucket is not seen.
const BUCKET: &str = "bucket";

impl Engine<'_> {
    /// Looks at the artifacts of one version.
    pub(super) async fn look(&mut self, id: &VersionId, hint: Hint) -> Result<(), Stop> {
        let Some(version) = self.registry.versions.get(id) else { return Ok(()) };
        if self.budget.is_spent() && hint == Hint::Sweep {
            self.queue.clear();
            return Ok(());
        }
        if prompts::is_prompt(version) {
            let (holding, listing) = prompts::look(version);
            self.registry.holdings.insert(id.clone(), holding);
            return self.compare(id, listing, hint).await;
        }
        let shared = Arc::clone(self.shared);
        let source = version.source.clone();
        if self.registry.holdings.get(id).is_none_or(|holding| holding.source != source) {
            self.budget.spend();
            match artifacts::locate(&shared, &id.0, &id.1, source.as_deref()).await {
                Ok(holding) => drop(self.registry.holdings.insert(id.clone(), holding)),
                Err(Failure::Gone) => return Ok(()),
                Err(failure @ (Failure::Unreachable(_) | Failure::Timeout)) => return Err(failure.into()),
                Err(failure) => {
                    self.refuse(id, &failure);
                    return Ok(());
                }
            }
            self.tell_version(id, hint).await?;
        }
        let Some(location) = self.registry.holdings.get(id).map(|holding| holding.location.clone()) else {
            return Ok(());
        };
        if let Location::Bucket(bucket, _) = location {
            return self.look_into_bucket(id, bucket, &location, hint).await;
        }
        match artifacts::list(&shared, &location, &mut self.budget).await {
            Ok(listing) => self.compare(id, listing, hint).await,
            Err(failure @ (Failure::Unreachable(_) | Failure::Timeout)) => Err(failure.into()),
            Err(failure) => {
                self.refuse(id, &failure);
                Ok(())
            }
        }
    }

    /// What lies in a bucket that does not answer is not asked for again before the next sweep: each question would
    /// wait as long as the last.
    async fn look_into_bucket(&mut self, id: &VersionId, bucket: usize, at: &Location, hint: Hint) -> Result<(), Stop> {
        if self.buckets_down.contains(&bucket) {
            return Ok(());
        }
        let shared = Arc::clone(self.shared);
        match artifacts::list(&shared, at, &mut self.budget).await {
            Ok(listing) => {
                self.failing.worked(BUCKET);
                self.compare(id, listing, hint).await
            }
            Err(failure) => {
                self.bucket_fails(Some(bucket), &failure);
                self.refuse(id, &failure);
                Ok(())
            }
        }
    }

    pub(super) fn bucket_fails(&mut self, bucket: Option<usize>, failure: &Failure) {
        let Some(bucket) = bucket else { return };
        if let Some(mapped) = self.shared.buckets.get(bucket) {
            self.failing.failed(BUCKET, mapped.bucket.explain(failure));
        }
        self.buckets_down.insert(bucket);
    }

    /// One version that cannot be listed keeps nobody from looking at the others.
    fn refuse(&mut self, id: &VersionId, failure: &Failure) {
        self.context.metrics.error(if denied(failure) { "denied" } else { "transient" });
        let why = Some(failure.to_string());
        if let Some(holding) = self.registry.holdings.get_mut(id) {
            holding.refused = why;
        } else {
            let holding = Holding {
                // Not the source of any version, so that the place is asked for again.
                source: Some("\0".to_owned()),
                uri: String::new(),
                location: Location::Elsewhere,
                files: BTreeMap::new(),
                listed: 0,
                refused: why,
            };
            self.registry.holdings.insert(id.clone(), holding);
        }
        self.note_holdings();
    }

    async fn compare(&mut self, id: &VersionId, listing: artifacts::Listing, hint: Hint) -> Result<(), Stop> {
        let aliases = self.registry.aliases(id);
        let (Some(version), Some(holding)) = (self.registry.versions.get(id), self.registry.holdings.get_mut(id))
        else {
            return Ok(());
        };
        (holding.listed, holding.refused) = (self.sweeps, None);
        holding.files = listing.files;
        if listing.left_out > 0 {
            holding.refused = Some(format!("{} files were left out", listing.left_out));
        }
        let maker = Maker { config: &self.shared.config, registry: self.shared.api.registry(), hint };
        let records: Vec<Record> = holding
            .files
            .iter()
            .map(|(path, held)| maker.artifact(version, &aliases, path, &format!("{}/{path}", holding.uri), held))
            .collect();
        let seen: BTreeSet<String> = records.iter().map(|record| record.key.clone()).collect();
        for record in records {
            self.tell(record).await?;
        }
        for key in self.registry.told_below(&artifact_prefix(&id.0, &id.1)) {
            if !seen.contains(&key) && self.registry.miss(&key) {
                self.delete(key).await?;
            }
        }
        if listing.untold > 0 {
            let text = format!(
                "the store of `{}` version {} tells no change of {} files; they are read again every {} s",
                id.0, id.1, listing.untold, self.shared.config.reread_secs
            );
            self.notes.insert("reread".to_owned(), text);
        }
        self.note_holdings();
        Ok(())
    }

    fn note_holdings(&mut self) {
        let holdings = &self.registry.holdings;
        let elsewhere = holdings.iter().filter(|(_, held)| held.listed > 0 && held.location == Location::Elsewhere);
        let note = elsewhere.clone().next().map(|(id, held)| {
            format!(
                "the bytes of {} versions are out of reach, for example `{}` version {} at `{}`; map the store in `artifact_roots` or `artifact_buckets`, or let the server serve artifacts",
                elsewhere.count(), id.0, id.1, held.uri
            )
        });
        set(&mut self.notes, "artifacts_elsewhere", note);
        let refused = holdings.iter().filter_map(|(id, held)| held.refused.as_ref().map(|why| (id, why)));
        let note = refused.clone().next().map(|(id, why)| {
            format!(
                "artifacts of {} versions were not all listed, for example `{}` version {}: {why}",
                refused.count(),
                id.0,
                id.1
            )
        });
        set(&mut self.notes, "artifacts_refused", note);
    }
}

pub fn set(notes: &mut BTreeMap<String, String>, name: &str, note: Option<String>) {
    match note {
        Some(note) => drop(notes.insert(name.to_owned(), note)),
        None => drop(notes.remove(name)),
    }
}
