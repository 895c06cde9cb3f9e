//! The loop of the source: a small look often, a full one sometimes, artifacts in between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::api::{Model, Version};
use super::artifacts::Budget;
use super::fates::{self, Fates};
use super::health;
use super::logged_bytes::LoggedBytes;
use super::records::{Maker, artifact_prefix, model_key, version_key};
use super::registry::{Registry, VersionId};
use super::spaces::{Listed, Spaces};
use super::traces::Reader;
use super::webhooks::Webhooks;
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::base::http::{Failure, Meter};
use crate::sources::hints::Hinted;
use crate::sources::reconcile::{Failing, Spoken, Stretch, denied, stretched};
use crate::sources::{Context, Hint, Observation, Record};

pub struct Engine<'a> {
    pub(super) shared: &'a Arc<Shared>,
    fates: &'a Mutex<Fates>,
    pub(super) context: Context,
    pub(super) registry: Registry,
    pub(super) failing: Failing,
    /// Versions whose artifacts are to be looked at before the next sweep.
    pub(super) queue: VecDeque<VersionId>,
    pub(super) budget: Budget,
    pub(super) sweeps: u64,
    listed: bool,
    /// The next sweep begins at once.
    pub(super) sweep_soon: bool,
    pub(super) meter: Arc<Meter>,
    pub(super) notes: BTreeMap<String, String>,
    pub(super) webhooks: Webhooks,
    pub(super) spaces: Spaces,
    pub(super) stretch: Stretch,
    pub(super) logged: LoggedBytes,
    pub(super) traces: Reader,
    /// Mapped buckets that did not answer in this sweep.
    pub(super) buckets_down: BTreeSet<usize>,
}

/// Why a step ended early.
pub(super) enum Stop {
    /// Nobody listens any more.
    Unheard,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'a> Engine<'a> {
    pub fn new(shared: &'a Arc<Shared>, fates: &'a Mutex<Fates>, context: Context) -> Self {
        Self {
            shared,
            fates,
            context,
            registry: Registry::default(),
            failing: Failing::default(),
            queue: VecDeque::new(),
            budget: Budget::new(0),
            sweeps: 0,
            listed: false,
            sweep_soon: false,
            meter: Arc::default(),
            notes: BTreeMap::new(),
            webhooks: Webhooks::default(),
            spaces: Spaces::default(),
            stretch: Stretch::new(false),
            logged: LoggedBytes::default(),
            traces: Reader::default(),
            buckets_down: BTreeSet::new(),
        }
    }

    /// Ends when nobody listens any more; failures are told and survived.
    pub async fn run(mut self) {
        let hot = Duration::from_secs(self.shared.config.hot_poll_interval_secs);
        let sweep = Duration::from_secs(self.shared.config.sweep_interval_secs);
        let seed = u64::from(std::process::id());
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1), seed);
        let hints = self.context.hints.clone();
        let (mut next_hot, mut next_sweep) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let soon = std::mem::take(&mut self.sweep_soon);
            if soon || !self.failing.blindness().is_empty() {
                // Until a listing was complete, and while not all is seen.
                self.stretch.go_on();
            }
            let (what, result) = if now >= next_sweep || soon {
                next_sweep = now + sweep;
                if soon || !self.listed || self.stretch.is_due(now, self.shared.config.sweep_stretch_max) {
                    next_hot = now + hot;
                    ("sweep", self.sweep().await)
                } else {
                    self.context.metrics.listing_left_out();
                    ("bytes", self.look_again().await)
                }
            } else if now >= next_hot && self.listed {
                next_hot = now + hot;
                ("hot", self.hot_poll().await)
            } else if self.listed
                && let Some(hint) = hints.try_next()
            {
                // What somebody speaks of goes before the artifacts that wait for their turn.
                let followed = self.follow(&hint).await;
                // Whatever was not found by it is found by a sweep, which comes at once.
                if !matches!(followed, Ok(true)) {
                    next_sweep = Instant::now();
                    self.stretch.insist();
                }
                hints.done(hint.id);
                ("hint", followed.map(drop))
            } else if let Some(id) = self.queue.pop_front() {
                ("artifacts", self.look(&id, Hint::Sweep).await)
            } else {
                let until = if self.listed { next_hot.min(next_sweep) } else { next_sweep };
                tokio::select! {
                    () = hints.wait(), if self.listed => {}
                    () = tokio::time::sleep_until(until) => {}
                }
                continue;
            };
            match result {
                Ok(()) => {
                    if what == "sweep" {
                        self.failing.worked("hint");
                        self.failing.worked("bytes");
                    }
                    self.failing.worked(what);
                    backoff.reset();
                    self.context.status.change(|state| state.last_success = Some(clock::now()));
                }
                Err(Stop::Unheard) => return,
                Err(Stop::Failed(failure)) => {
                    self.fail(what, &failure);
                    let wait = backoff.next_wait();
                    self.report();
                    tokio::time::sleep(wait).await;
                    if !self.listed {
                        next_sweep = Instant::now();
                    }
                    continue;
                }
            }
            self.report();
        }
    }

    fn fail(&mut self, what: &'static str, failure: &Failure) {
        self.failing.failed(what, health::explain(failure, self.shared.api.registry()));
        self.context.metrics.error(if denied(failure) { "denied" } else { "transient" });
        tracing::warn!(source = %self.shared.config.name, error = %failure, "{what} failed");
    }

    fn report(&self) {
        self.context.metrics.cost(&self.meter);
        self.context.status.change(|state| {
            state.blind = self.failing.blindness();
            state.notes.clone_from(&self.notes);
            state.watched = self.registry.len() as u64;
        });
    }

    pub(super) async fn send(&self, observation: Observation) -> Result<(), Stop> {
        self.context.out.send(observation).await.map_err(|_| Stop::Unheard)
    }

    async fn sweep(&mut self) -> Result<(), Stop> {
        self.context.metrics.rescan(if self.listed { "sweep" } else { "start" });
        let Listed { models, versions } = self.list_all().await?;
        self.sweeps += 1;
        self.buckets_down.clear();
        self.fates().forget(clock::now() - fates::memory(self.shared.config.sweep_interval_secs));
        let seen_models: BTreeSet<String> = models.keys().cloned().collect();
        let seen_versions: BTreeSet<VersionId> = versions.keys().cloned().collect();
        let found = if self.listed { self.untold(&models, &versions) } else { Spoken::default() };
        self.registry.models.extend(models);
        self.registry.versions.extend(versions);
        self.look_at_runs().await?;
        self.plan_artifacts();
        if !self.listed {
            self.send(Observation::Init).await?;
        }
        let maker = Hint::Sweep;
        for name in &seen_models {
            self.tell_model(name, maker).await?;
        }
        for id in &seen_versions {
            self.tell_version(id, maker).await?;
        }
        let mut unseen = self.look_at_webhooks().await?;
        unseen.extend(self.look_at_logged().await?);
        if self.listed {
            let missing = self.tell_missing(&seen_models, &seen_versions).await?;
            self.stretch.listed(Instant::now(), found, missing);
            self.note_pace();
            return self.look_at_traces().await;
        }
        self.keep_unseen().await?;
        for prefix in unseen {
            self.send(Observation::InitKeep(prefix)).await?;
        }
        while let Some(id) = self.queue.pop_front() {
            self.look(&id, Hint::Sweep).await?;
        }
        for (name, version) in seen_versions.iter().filter(|id| !self.has_listed(id)) {
            self.send(Observation::InitKeep(artifact_prefix(name, version))).await?;
        }
        self.look_at_traces().await?;
        self.listed = true;
        self.stretch.listed(Instant::now(), found, false);
        self.report();
        self.context.status.change(|state| state.synced = true);
        self.send(Observation::InitDone).await
    }

    /// A sweep without a listing: bytes and webhooks, of which no webhook tells.
    async fn look_again(&mut self) -> Result<(), Stop> {
        self.sweeps += 1;
        self.buckets_down.clear();
        self.plan_artifacts();
        self.look_at_webhooks().await?;
        self.look_into_logged().await?;
        self.look_at_traces().await
    }

    /// Models of which a listing says something that is not known.
    fn untold(&self, models: &BTreeMap<String, Model>, versions: &BTreeMap<VersionId, Version>) -> Spoken {
        let new_models = models.iter().filter(|(name, model)| self.registry.models.get(*name) != Some(model));
        let new_versions = versions.values().filter(|version| self.registry.is_news(version));
        let names: BTreeSet<&str> =
            new_models.map(|(name, _)| &**name).chain(new_versions.map(|version| &*version.name)).collect();
        names.into_iter().collect()
    }

    fn note_pace(&mut self) {
        let most = self.shared.config.sweep_stretch_max;
        let every = Duration::from_secs(self.shared.config.sweep_interval_secs);
        let note = (most > 1 && self.failing.blindness().is_empty() && self.stretch.is_proved(Instant::now()))
            .then(|| stretched(every, most));
        super::holdings::set(&mut self.notes, "listing_stretched", note);
    }

    /// Whether the first listing is over.
    pub(super) const fn is_listed(&self) -> bool {
        self.listed
    }

    fn has_listed(&self, id: &VersionId) -> bool {
        self.registry.holdings.get(id).is_some_and(|holding| holding.listed > 0)
    }

    /// Half of the requests go to versions with an alias, the rest to whoever waited longest.
    fn plan_artifacts(&mut self) {
        self.budget = Budget::new(self.shared.config.artifact_requests_max);
        let age = |id: &VersionId| self.registry.holdings.get(id).map_or(0, |holding| holding.listed);
        let mut ids: Vec<(bool, u64, VersionId)> = self
            .registry
            .versions
            .keys()
            .map(|id| (self.registry.aliases(id).is_empty(), age(id), id.clone()))
            .collect();
        ids.sort();
        let (named, others): (Vec<_>, Vec<_>) = ids.into_iter().partition(|(nameless, ..)| !nameless);
        let (mut named, mut others) = (named.into_iter(), others.into_iter());
        self.queue.clear();
        loop {
            let (one, other) = (named.next(), others.next());
            if one.is_none() && other.is_none() {
                break;
            }
            self.queue.extend([one, other].into_iter().flatten().map(|(.., id)| id));
        }
    }

    /// Looks at the model that a webhook speaks of; false if only a sweep can tell.
    async fn follow(&mut self, hint: &Hinted) -> Result<bool, Stop> {
        let text = |name: &str| hint.body.get("data").and_then(|data| data.get(name)).and_then(|value| value.as_str());
        let Some(name) = text("name") else { return Ok(false) };
        let space = hint.body.get("workspace").and_then(|value| value.as_str());
        let name = &*self.shared.api.scope().join(space, name.to_owned());
        let model = match self.shared.api.model(name).await {
            Ok(model) => model,
            // Deletions are told by a sweep, which looks twice.
            Err(Failure::Gone | Failure::Rejected { .. }) => return Ok(false),
            Err(failure) => return Err(failure.into()),
        };
        let version = match text("version") {
            Some(version) => match self.shared.api.version(name, version).await {
                Ok(version) => Some(version),
                Err(Failure::Gone | Failure::Rejected { .. }) => return Ok(false),
                Err(failure) => return Err(failure.into()),
            },
            None => None,
        };
        let version = version.filter(|version| self.registry.is_news(version));
        let news = version.is_some() || self.registry.models.get(name) != Some(&model);
        if self.is_unexplained(&model, version.as_slice()) {
            self.stretch.insist();
        }
        self.stretch.heard(Instant::now(), &std::iter::once(name).collect(), news);
        self.note_pace();
        self.compare_some(vec![model], version.into_iter().collect(), Hint::Webhook).await?;
        Ok(true)
    }

    /// Compares some models and versions with what is known of them.
    pub(super) async fn compare_some(
        &mut self,
        models: Vec<Model>,
        versions: Vec<Version>,
        hint: Hint,
    ) -> Result<(), Stop> {
        let mut news = Vec::new();
        for version in versions {
            let id = (version.name.clone(), version.version.clone());
            let before = self.registry.versions.insert(id.clone(), version);
            if before.as_ref() != self.registry.versions.get(&id) {
                news.push(id);
            }
        }
        for model in models {
            let name = model.name.clone();
            let before = self.registry.models.insert(name.clone(), model);
            let moved = self.moved(&name, before.as_ref());
            for version in &moved {
                // Tags do not move the time by which versions are sorted: ask for them.
                match self.shared.api.version(&name, version).await {
                    Ok(found) => drop(self.registry.versions.insert((name.clone(), version.clone()), found)),
                    Err(Failure::Gone) => {}
                    Err(failure) => {
                        // Next time the alias is still to be told.
                        match before {
                            Some(before) => drop(self.registry.models.insert(name, before)),
                            None => drop(self.registry.models.remove(&name)),
                        }
                        return Err(failure.into());
                    }
                }
            }
            self.tell_model(&name, hint).await?;
            news.extend(moved.into_iter().map(|version| (name.clone(), version)));
            let left = before.iter().flat_map(|model| &model.aliases);
            let left: BTreeSet<VersionId> = left.map(|alias| (name.clone(), alias.version.clone())).collect();
            for id in left {
                self.tell_version(&id, hint).await?;
            }
        }
        news.sort();
        news.dedup();
        for id in news {
            self.learn_run(&id).await?;
            self.tell_version(&id, hint).await?;
            self.look(&id, hint).await?;
        }
        Ok(())
    }

    /// Versions to which an alias of the model points that did not before.
    fn moved(&self, name: &str, before: Option<&Model>) -> BTreeSet<String> {
        let old = before.map(|model| &*model.aliases).unwrap_or_default();
        let new = self.registry.models.get(name).map(|model| &*model.aliases).unwrap_or_default();
        new.iter().filter(|alias| !old.contains(alias)).map(|alias| alias.version.clone()).collect()
    }

    async fn tell_model(&mut self, name: &str, hint: Hint) -> Result<(), Stop> {
        let Some(model) = self.registry.models.get(name) else { return Ok(()) };
        self.fates().model(model, clock::now());
        let gate = &self.shared.config.gate;
        let record = self.maker(hint).model(model, |alias, version| {
            if gate.aliases.iter().any(|gated| gated == alias) {
                self.registry.lacking(name, version, &gate.required_tags)
            } else {
                Vec::new()
            }
        });
        self.tell(record).await
    }

    pub(super) async fn tell_version(&mut self, id: &VersionId, hint: Hint) -> Result<(), Stop> {
        let Some(version) = self.registry.versions.get(id) else { return Ok(()) };
        let place = self.registry.holdings.get(id).map(|holding| &*holding.uri);
        let record = self.maker(hint).version(version, &self.registry, place);
        self.tell(record).await
    }

    fn fates(&self) -> MutexGuard<'_, Fates> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn maker(&self, hint: Hint) -> Maker<'_> {
        Maker { config: &self.shared.config, registry: self.shared.api.registry(), hint }
    }

    pub(super) async fn tell(&mut self, record: Record) -> Result<(), Stop> {
        let news = self.registry.tell(&record);
        if !self.listed {
            return self.send(Observation::InitApply(record)).await;
        }
        if !news {
            return Ok(());
        }
        if record.hint == Hint::Sweep {
            self.context.metrics.reconcile_found(1);
        }
        self.send(Observation::Apply(record)).await
    }

    /// Tells what was missed twice; true if something was missed once.
    async fn tell_missing(&mut self, models: &BTreeSet<String>, versions: &BTreeSet<VersionId>) -> Result<bool, Stop> {
        let hidden = |name: &str| self.spaces.hides(self.shared.api.scope(), name);
        let lost: Vec<VersionId> =
            self.registry.versions.keys().filter(|id| !versions.contains(*id) && !hidden(&id.0)).cloned().collect();
        let mut missing = lost.len();
        let gone: Vec<VersionId> =
            lost.into_iter().filter(|id| self.registry.miss(&version_key(&id.0, &id.1))).collect();
        let keys: Vec<String> = gone.iter().map(|(name, version)| version_key(name, version)).collect();
        self.fates().deleted(&keys);
        for (id, key) in gone.iter().zip(keys) {
            // The version before its artifacts: they go because it goes.
            self.delete(key).await?;
            for key in self.registry.told_below(&artifact_prefix(&id.0, &id.1)) {
                self.delete(key).await?;
            }
            self.registry.versions.remove(id);
            self.registry.holdings.remove(id);
        }
        let hidden = |name: &str| self.spaces.hides(self.shared.api.scope(), name);
        let lost: Vec<String> =
            self.registry.models.keys().filter(|name| !models.contains(*name) && !hidden(name)).cloned().collect();
        missing = missing.saturating_sub(gone.len()) + lost.len();
        for name in lost {
            let key = model_key(&name);
            if self.registry.miss(&key) {
                missing -= 1;
                self.fates().model_gone(&name);
                self.delete(key).await?;
                self.registry.models.remove(&name);
            }
        }
        Ok(missing > 0)
    }

    pub(super) async fn delete(&mut self, key: String) -> Result<(), Stop> {
        self.registry.forget(&key);
        self.context.metrics.reconcile_found(1);
        self.send(Observation::Delete(key)).await
    }
}
