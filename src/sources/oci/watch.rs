//! The source: every repository of a registry, its tags, and what the manifests behind them pack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::api::Api;
use super::config::{Checked, Config, is_repository};
use super::fates::{self, Fates};
use super::records::Maker;
use super::repository::Repository;
use super::store::Blobs;
use super::{explain, notification};
use crate::base::http::Failure;
use crate::base::text::shorten;
use crate::event::Fields;
use crate::sources::reconcile::{self, Hinted, Pace, Place, Sink, Stop};
use crate::sources::remote::Fetched;
use crate::sources::{
    BoxFuture, Built, Change, Context, RecordKind, Settings, Source, SourceError, Store, Sweep, models,
};

/// Repositories looked at at the same time.
const REPOSITORIES_AT_ONCE: usize = 4;
/// Repositories that are not there, named in one sentence.
const ABSENT_SHOWN: usize = 10;
/// Names of the catalog that are read at all.
const NAMES_MAX: usize = 100_000;

impl Settings for Config {
    fn build(self) -> Built {
        let checked = Arc::new(Checked::new(self)?);
        let catalog = checked.catalog();
        Ok(Arc::new(Registry { checked, catalog, known: Mutex::default(), fates: Lock::default() }))
    }
}

struct Registry {
    checked: Arc<Checked>,
    catalog: Api,
    known: Mutex<Known>,
    fates: Lock<Fates>,
}

/// What was seen so far.
#[derive(Default)]
struct Known {
    repositories: BTreeMap<String, Repository>,
    /// The first repository that the last listing did not get to.
    cursor: String,
    listed: bool,
}

impl Source for Registry {
    fn name(&self) -> &str {
        &self.checked.config.name
    }

    fn product(&self) -> &'static str {
        "oci"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        let Config { sweep_interval_secs, sweep_stretch_max: stretch, records_max, .. } = self.checked.config;
        let sweep = Duration::from_secs(sweep_interval_secs);
        // A registry answers 404 also while it is being set up anew: once is no proof.
        let pace = Pace { sweep, glance: None, records_max, misses: 2, stretch };
        Box::pin(async move {
            // Another run tells everything anew.
            *self.known.lock().await = Known::default();
            reconcile::run(self, self.name(), pace, context).await
        })
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        let blobs = Arc::new(Blobs::new(Arc::clone(&self.checked)));
        Some(Arc::new(Fetched::new(blobs, self.checked.config.artifact_bytes_max)))
    }

    fn server(&self) -> Option<String> {
        Some(self.checked.connection.address().to_owned())
    }

    fn hears(&self) -> bool {
        true
    }

    fn sweep(&self) -> Option<Sweep> {
        self.checked.config.verify.sweep(&["artifact/"])
    }

    fn changes(&self, kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
        let fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates::changes(kind, old, new, &|tag| self.checked.gated(tag), &fates)
    }
}

impl Place for Registry {
    async fn list(&self, sink: &mut Sink) -> Result<(), Stop> {
        let mut known = self.known.lock().await;
        let catalog = self.names(sink).await?;
        let mut deleted = Vec::new();
        known.repositories.retain(|name, repository| {
            let still = catalog.contains(name);
            if !still {
                self.note(|fates| fates.tagged(name, &BTreeMap::new()));
                deleted.extend(repository.versions.keys().map(|digest| models::version_key(name, digest)));
            }
            still
        });
        let mut order: Vec<(String, Repository)> = Vec::with_capacity(catalog.len());
        for name in catalog {
            let repository = known.repositories.remove(&name);
            let repository = repository.unwrap_or_else(|| self.repository(&name));
            order.push((name, repository));
        }
        let begin = order.iter().position(|(name, _)| *name >= known.cursor).unwrap_or(0);
        order.rotate_left(begin);
        let listing = self.look(&mut order, known.listed, sink, &mut deleted).await;
        known.repositories.extend(order);
        self.note(|fates| fates.deleted(&deleted));
        known.cursor = listing?;
        known.listed = true;
        Ok(())
    }

    async fn follow(&self, hint: &Hinted, sink: &mut Sink) -> Result<bool, Stop> {
        let Some(names) = notification::repositories(&hint.body) else { return Ok(false) };
        let mut known = self.known.lock().await;
        for name in names.iter().filter(|name| self.checked.watches(name)) {
            let repository = known.repositories.remove(name);
            let mut repository = repository.unwrap_or_else(|| self.repository(name));
            let looked = repository.look(&self.checked).await;
            let told = match looked {
                Ok(left) => {
                    let keys: Vec<String> =
                        left.deleted.iter().map(|digest| models::version_key(name, digest)).collect();
                    self.note(|fates| {
                        fates.untagged(name, &left.untagged, &repository.tags);
                        fates.tagged(name, &repository.tags);
                        fates.deleted(&keys);
                    });
                    self.tell(name, &repository, sink).await
                }
                Err(failure) => Err(failure.into()),
            };
            let (gone, unread) = (repository.tags.is_empty(), !repository.unread.is_empty());
            known.repositories.insert(name.clone(), repository);
            told?;
            if unread {
                // What could not be read is neither there nor gone.
                continue;
            }
            sink.complete(&models::version_prefix(name)).await?;
            sink.complete(&models::artifacts_prefix(name)).await?;
            if gone {
                sink.gone(&models::model_key(name)).await?;
            }
        }
        Ok(true)
    }

    fn explain(&self, failure: &Failure) -> (&'static str, String) {
        explain::explain(failure, &self.checked.config.registry)
    }
}

impl Registry {
    fn repository(&self, name: &str) -> Repository {
        let api = self.checked.repository(name);
        api.greet(&self.catalog);
        Repository::new(api)
    }

    /// Names of the repositories that are watched.
    async fn names(&self, sink: &mut Sink) -> Result<BTreeSet<String>, Failure> {
        if let Some(names) = self.checked.named() {
            return Ok(names.iter().cloned().collect());
        }
        let catalog = self.catalog.repositories(NAMES_MAX).await?;
        if catalog.more {
            sink.blind("catalog", || {
                format!("the registry has more than {NAMES_MAX} repositories; name those to watch")
            });
        }
        let mut names = BTreeSet::new();
        for name in catalog.names {
            if !is_repository(&name) {
                let shown = shorten(&name, 100);
                sink.blind("name", || format!("the catalog names `{shown}`, which no repository is called"));
            } else if self.checked.watches(&name) {
                names.insert(name);
            }
        }
        let wanted = self.checked.config.repositories.iter().map(String::as_str);
        let absent: Vec<&str> = wanted.filter(|name| is_repository(name) && !names.contains(*name)).collect();
        self.note_absent(&absent, sink);
        Ok(names)
    }

    /// Looks at repositories in their order and tells what is there; the name of the first that was not looked at, since
    /// as many requests were made as are allowed.
    async fn look(
        &self,
        order: &mut [(String, Repository)],
        again: bool,
        sink: &mut Sink,
        deleted: &mut Vec<String>,
    ) -> Result<String, Stop> {
        let (mut left, mut cursor, mut kept) = (self.checked.config.requests_max, String::new(), 0_usize);
        let (count, mut denied, mut absent) = (order.len(), 0, Vec::new());
        for chunk in order.chunks_mut(REPOSITORIES_AT_ONCE) {
            if again && left == 0 {
                if cursor.is_empty() {
                    cursor = chunk.first().map(|(name, _)| name.clone()).unwrap_or_default();
                }
                for (name, repository) in chunk {
                    kept += 1;
                    self.keep(name, repository, sink).await?;
                }
                continue;
            }
            let work: Vec<_> = chunk.iter_mut().map(|(_, repository)| repository.look(&self.checked)).collect();
            let looked = join_all(work).await;
            for ((name, repository), looked) in chunk.iter().zip(looked) {
                match looked {
                    Ok(gone) => {
                        left = left.saturating_sub(repository.cost);
                        deleted.extend(gone.deleted.iter().map(|digest| models::version_key(name, digest)));
                        self.note(|fates| {
                            fates.untagged(name, &gone.untagged, &repository.tags);
                            fates.tagged(name, &repository.tags);
                        });
                        self.tell(name, repository, sink).await?;
                        absent.extend(repository.absent.then_some(name.as_str()));
                    }
                    // One repository that cannot be read keeps nobody from looking at the others.
                    Err(failure) if explain::is_of_one(&failure) => {
                        denied += usize::from(matches!(failure, Failure::Denied { .. }));
                        if denied == count {
                            return Err(failure.into());
                        }
                        self.unseen(name, &failure, sink);
                    }
                    Err(failure) => return Err(failure.into()),
                }
            }
        }
        self.note_absent(&absent, sink);
        if kept > 0 {
            let most = self.checked.config.requests_max;
            let text =
                format!("{most} requests do not reach {kept} of {count} repositories; they are looked at next time");
            sink.note("requests_max", text);
            sink.unfinished();
        }
        Ok(cursor)
    }

    /// Says which repositories are named and not there: by the answers of the registry, and by its catalog.
    fn note_absent(&self, absent: &[&str], sink: &mut Sink) {
        let absent = absent.iter().filter(|name| !sink.knows(&models::model_key(name)));
        let shown: Vec<String> = absent.map(|name| format!("`{}`", shorten(name, 100))).take(ABSENT_SHOWN).collect();
        if !shown.is_empty() {
            let (registry, shown) = (&self.checked.config.registry, shown.join(", "));
            let text = format!(
                "`{registry}` has no repository {shown}, or these credentials may not see it; correct `repositories`"
            );
            sink.note("missing", text);
        }
    }

    /// Tells a repository as it was seen last.
    async fn keep(&self, name: &str, repository: &Repository, sink: &mut Sink) -> Result<(), Stop> {
        if repository.seen {
            return self.tell(name, repository, sink).await;
        }
        let most = self.checked.config.requests_max;
        let sentence = || format!("`{name}` was not looked at yet: `requests_max` is {most}");
        unseen(name, "requests_max", sentence, sink);
        Ok(())
    }

    fn unseen(&self, name: &str, failure: &Failure, sink: &mut Sink) {
        let (reason, sentence) = explain::explain(failure, &format!("{}/{name}", self.checked.config.registry));
        unseen(name, reason, || sentence.clone(), sink);
    }

    /// Tells all that is known of a repository, and what of it is not.
    async fn tell(&self, name: &str, repository: &Repository, sink: &mut Sink) -> Result<(), Stop> {
        let maker = Maker { checked: &self.checked, name, repository, hint: sink.hint() };
        // To a repository without tags nothing leads: that it once held something is all there is to say.
        if !repository.tags.is_empty() {
            sink.tell(maker.model()).await?;
        }
        for (digest, tags, contents) in maker.versions() {
            sink.tell(maker.version(digest, &tags, contents)).await?;
            for part in &contents.parts {
                sink.tell(maker.artifact(digest, &tags, contents, part)).await?;
            }
        }
        for (reason, sentence) in &repository.troubles {
            sink.blind(reason, || format!("`{name}`: {sentence}"));
        }
        for digest in &repository.unread {
            let sentence = || format!("`{name}`: the manifest {digest} cannot be read");
            sink.unseen(models::version_key(name, digest), "manifest", sentence);
            sink.unseen(models::artifact_prefix(name, digest), "manifest", sentence);
        }
        for (digest, contents) in &repository.versions {
            for (reason, sentence) in &contents.missing {
                if *reason == "image_layers" {
                    sink.note(reason, format!("`{name}`: {sentence}"));
                } else {
                    sink.blind(reason, || format!("`{name}`, {digest}: {sentence}"));
                }
            }
        }
        Ok(())
    }

    fn note(&self, note: impl FnOnce(&mut Fates)) {
        note(&mut self.fates.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Of a repository nothing can be said this time.
fn unseen(name: &str, reason: &'static str, sentence: impl Fn() -> String, sink: &mut Sink) {
    for prefix in [models::model_key(name), models::version_prefix(name), models::artifacts_prefix(name)] {
        sink.unseen(prefix, reason, &sentence);
    }
}
