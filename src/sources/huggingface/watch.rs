//! A hub that is watched: what each repository is, where its branches and tags point, and which files they have.
//!
//! The hub tells the digest of every large file, so nothing is fetched to learn that it changed. A repository whose
//! commit is the one of the last listing is not asked for its files again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use globset::GlobSet;

use super::address::{Address, Kind};
use super::api::{About, Api, File, References};
use super::config::Config;
use super::records::{self, Maker};
use super::{Repository, changes};
use crate::base::http::Failure;
use crate::event::{ArtifactRef, Fields};
use crate::sources::reconcile::{self, Hinted, Pace, Place, Sink, Stop};
use crate::sources::remote::{Entry, Fetched, Locate, Remote};
use crate::sources::{BoxFuture, Change, Context, RecordKind, Source, SourceError, Store, StoreError};

/// Repositories of one author.
const AUTHOR_MAX: usize = 10_000;

pub struct Hub {
    shared: Arc<Shared>,
    pace: Pace,
}

struct Shared {
    config: Config,
    addresses: Vec<Address>,
    fetch: Option<GlobSet>,
    api: Arc<Api>,
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// A revision as the last listing found it; by its name with the revision.
#[derive(Clone)]
struct Seen {
    commit: String,
    address: Address,
    files: Arc<Vec<File>>,
    references: References,
}

impl Hub {
    pub fn new(config: Config, addresses: Vec<Address>, fetch: Option<GlobSet>, api: Api, sweep: Duration) -> Self {
        let pace = Pace { sweep, glance: None, records_max: config.records_max, misses: 2 };
        let shared = Shared { config, addresses, fetch, api: Arc::new(api), seen: Mutex::default() };
        Self { shared: Arc::new(shared), pace }
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a repository, and the files of the revision that is watched.
    async fn tell(&self, address: &Address, sink: &mut Sink) -> Result<(), Stop> {
        let about = self.api.about(address).await?;
        self.tell_known(address, &about, sink).await
    }

    async fn tell_known(&self, address: &Address, about: &About, sink: &mut Sink) -> Result<(), Stop> {
        let name = records::name(address);
        let seen = self.seen().get(&place(address)).cloned();
        let references = match self.api.references(address).await {
            Ok(references) => references,
            // Mirrors do not know them all; that the repository is there was said before.
            Err(Failure::Gone | Failure::Rejected { .. }) => References::default(),
            Err(failure) => return Err(failure.into()),
        };
        let rewritten = self.rewritten(address, seen.as_ref(), &references).await?;
        let maker = Maker { source: &self.config.name, endpoint: self.api.endpoint(), hint: sink.hint() };
        sink.tell(maker.repository(&name, about, &references, &rewritten)).await?;
        let commit = match references.commit_of(&address.revision) {
            Some(commit) => commit.to_owned(),
            None => self.api.commit(address).await?,
        };
        let files = match seen.filter(|seen| seen.commit == commit) {
            Some(seen) => seen.files,
            None => Arc::new(self.api.tree(address, &commit).await?),
        };
        // Before anybody is told: whoever opens a file does so at this commit.
        let (files, commit) = {
            let seen = Seen { commit, address: address.clone(), files, references: references.clone() };
            let kept = (Arc::clone(&seen.files), seen.commit.clone());
            self.seen().insert(place(address), seen);
            kept
        };
        let fixed = references.branches.iter().all(|branch| branch.name != address.revision);
        for file in files.iter().filter(|file| address.covers(&file.path)) {
            sink.tell(maker.file(address, &commit, file, fixed, self.fetches(file))).await?;
        }
        Ok(())
    }

    /// References whose commit before is no part of their history any more.
    async fn rewritten(
        &self,
        address: &Address,
        seen: Option<&Seen>,
        references: &References,
    ) -> Result<Vec<String>, Stop> {
        let Some(seen) = seen else { return Ok(Vec::new()) };
        let before: BTreeMap<&str, &str> =
            seen.references.branches.iter().map(|one| (&*one.name, &*one.commit)).collect();
        let mut rewritten = Vec::new();
        for branch in &references.branches {
            let Some(old) = before.get(&*branch.name).filter(|old| **old != branch.commit) else { continue };
            // Only of the branch that is watched, for the sake of the hub's limits.
            if branch.name == address.revision
                && self.api.is_ancestor(address, old, &branch.commit).await? == Some(false)
            {
                rewritten.push(branch.name.clone());
            }
        }
        Ok(rewritten)
    }

    fn fetches(&self, file: &File) -> bool {
        !file.cut
            && crate::sources::remote::is_plain(&file.path)
            && file.size().is_some_and(|size| size <= self.config.artifact_bytes_max)
            && self.fetch.as_ref().is_none_or(|globs| globs.is_match(&file.path))
    }

    /// Tells one of several repositories; one that cannot be read keeps nobody from looking at the others, and is
    /// given back with the reason.
    async fn tell_one(
        &self,
        address: &Address,
        about: Option<&About>,
        sink: &mut Sink,
    ) -> Result<Option<Failure>, Stop> {
        let asked = match about {
            Some(_) => None,
            None => match self.api.about(address).await {
                Ok(about) => Some(about),
                // It is gone, and so is what was told of it.
                Err(Failure::Gone) => return Ok(None),
                Err(failure) => return self.refused(address, failure, sink),
            },
        };
        let Some(about) = about.or(asked.as_ref()) else { return Ok(None) };
        match self.tell_known(address, about, sink).await {
            Err(Stop::Failed(failure)) => self.refused(address, failure, sink),
            told => told.map(|()| None),
        }
    }

    /// One repository that cannot be read keeps nobody from looking at the others; a hub that fails does.
    fn refused(&self, address: &Address, failure: Failure, sink: &mut Sink) -> Result<Option<Failure>, Stop> {
        match failure {
            Failure::Denied { .. } | Failure::Rejected { .. } | Failure::Garbage(_) | Failure::Gone => {
                // The hub answers 401 also for what does not exist.
                let (name, revision) = (records::name(address), &address.revision);
                let (reason, sentence) = match &failure {
                    Failure::Gone => ("no_revision", format!("it has no revision `{revision}` any more")),
                    failure => self.explain(failure),
                };
                sink.unseen(records::repository_key(&name), reason, || format!("`{name}`: {sentence}"));
                sink.unseen_too(records::files_prefix(&name, revision));
                Ok(Some(failure))
            }
            failure => Err(failure.into()),
        }
    }

    fn explain(&self, failure: &Failure) -> (&'static str, String) {
        let hub = self.api.endpoint();
        match failure {
            Failure::Denied { status: 401 } => (
                "unauthorized",
                format!("{hub} answers 401; name a `token_file`, or set HF_TOKEN, with the permission to read"),
            ),
            Failure::Denied { status } => {
                ("forbidden", format!("{hub} answers {status}; ask for access, or for a token that may read it"))
            }
            Failure::Throttled { .. } => (
                "throttled",
                format!("{hub} takes no more calls for now; raise `sweep_interval_secs`, watch less, or give a token"),
            ),
            Failure::Gone | Failure::Rejected { .. } | Failure::Garbage(_) => {
                ("not_a_hub", format!("{hub} does not answer as a hub ({failure}); is the address right?"))
            }
            Failure::Unreachable(_) => ("unreachable", format!("{hub} cannot be reached; is the address right?")),
            Failure::Timeout => ("timeout", format!("{hub} takes too long")),
            Failure::Server { .. } => ("server_error", format!("{hub}: {failure}")),
            Failure::TooLarge { .. } => ("too_large", format!("{hub}: {failure}")),
        }
    }
}

impl References {
    fn commit_of(&self, revision: &str) -> Option<&str> {
        let all = self.branches.iter().chain(&self.tags);
        all.filter(|one| one.name == revision && !one.commit.is_empty()).map(|one| &*one.commit).next()
    }
}

fn place(address: &Address) -> String {
    format!("{}@{}", records::name(address), address.revision)
}

impl Place for Hub {
    async fn list(&self, sink: &mut Sink) -> Result<(), Stop> {
        let shared = &self.shared;
        let (mut told, mut refused, mut failed) = (0_usize, None, None);
        for author in &shared.config.authors {
            for about in shared.api.of_author(Kind::Model, author, AUTHOR_MAX).await? {
                // The list is of this author, whatever an entry says.
                let Ok(address) = Address::parse(&format!("hf://{}", about.id)) else {
                    sink.blind("garbage", || {
                        format!("the hub lists a repository of {author} with a name that is none")
                    });
                    continue;
                };
                match shared.tell_one(&address, Some(&about), sink).await? {
                    None => told += 1,
                    Some(failure) => refused = Some(failure),
                }
            }
        }
        for address in &shared.addresses {
            match shared.tell_one(address, None, sink).await {
                Ok(None) => told += 1,
                Ok(Some(failure)) => refused = Some(failure),
                Err(Stop::Failed(failure)) => failed = Some(failure),
                Err(Stop::Unheard) => return Err(Stop::Unheard),
            }
        }
        // Who is let in nowhere sees nothing, and has listed nothing.
        match failed.or(refused.filter(|_| told == 0)) {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    /// The hub's webhooks name the repository.
    async fn follow(&self, hint: &Hinted, sink: &mut Sink) -> Result<bool, Stop> {
        let repository = hint.body.get("repo");
        let text = |name: &str| repository.and_then(|repository| repository.get(name)?.as_str());
        let (Some(kind), Some(id)) = (text("type"), text("name")) else { return Ok(false) };
        let watched: Vec<Address> = {
            let kind = match kind {
                "dataset" => Kind::Dataset,
                "space" => Kind::Space,
                _ => Kind::Model,
            };
            let seen = self.shared.seen();
            seen.values().map(|seen| &seen.address).filter(|one| one.kind == kind && one.id == id).cloned().collect()
        };
        // Not one that was known: a new one of an author, or nothing to us.
        if watched.is_empty() {
            return Ok(false);
        }
        for address in &watched {
            match self.shared.tell(address, sink).await {
                Ok(()) => {}
                // Whether it is gone, a listing decides.
                Err(Stop::Failed(Failure::Gone | Failure::Denied { .. })) => return Ok(false),
                Err(stop) => return Err(stop),
            }
            sink.complete(&records::files_prefix(&records::name(address), &address.revision)).await?;
        }
        Ok(true)
    }

    fn explain(&self, failure: &Failure) -> (&'static str, String) {
        self.shared.explain(failure)
    }
}

impl Locate for Shared {
    fn locate<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<(Arc<dyn Remote>, Entry), StoreError>> {
        Box::pin(async move {
            let refused = |why: String| StoreError::Refused(why);
            let mut address = Address::parse(&artifact.path).map_err(refused)?;
            let path = std::mem::take(&mut address.path);
            let seen = self.seen().get(&place(&address)).cloned();
            // At the commit of the listing that told of it, or at the one that is there now.
            let (commit, files) = if let Some(seen) = seen {
                (seen.commit, seen.files)
            } else {
                let commit = self.api.commit(&address).await?;
                let files = self.api.tree(&address, &commit).await?;
                (commit, Arc::new(files))
            };
            let file = files.iter().find(|file| file.path == path).ok_or(StoreError::Gone)?;
            let repository = Repository { api: Arc::clone(&self.api), address };
            let entry = repository.entry(file.clone(), &commit);
            Ok((Arc::new(repository) as Arc<dyn Remote>, entry))
        })
    }
}

impl Source for Hub {
    fn name(&self) -> &str {
        &self.shared.config.name
    }

    fn product(&self) -> &'static str {
        "huggingface"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        Box::pin(reconcile::run(self, &self.shared.config.name, self.pace, context))
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(Fetched::new(Arc::clone(&self.shared), self.shared.config.artifact_bytes_max)))
    }

    fn server(&self) -> Option<String> {
        Some(self.shared.api.endpoint().to_owned())
    }

    fn hears(&self) -> bool {
        true
    }

    fn changes(&self, kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
        changes::changes(kind, old, new)
    }
}
