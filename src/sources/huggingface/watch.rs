//! A hub that is watched: what each repository is, where its branches and tags point, and which files they have.
//!
//! The hub tells the digest of every large file, so nothing is fetched to learn that it changed. A repository whose
//! commit is the one of the last listing is not asked for its files again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use globset::GlobSet;

use super::address::{Address, Kind};
use super::api::{About, Api, File, References, Scans};
use super::config::Config;
use super::records::{self, Held, Look, Maker, Owner};
use super::{Repository, changes};
use crate::base::http::Failure;
use crate::base::text::shorten;
use crate::event::{ArtifactRef, Fields};
use crate::sources::reconcile::{self, Hinted, Pace, Place, Sink, Stop};
use crate::sources::remote::{Entry, Fetched, Locate, Remote};
use crate::sources::{BoxFuture, Change, Context, RecordKind, Source, SourceError, State, Store, StoreError};

/// Repositories of one author.
const AUTHOR_MAX: usize = 10_000;
/// Listings of files kept beside the last one.
const EARLIER_MAX: usize = 2;
/// Names of which it is remembered who had them, also after a restart.
const REMEMBERED_MAX: usize = 100_000;

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
    /// Who had each name last; kept when the repository goes.
    owners: Mutex<BTreeMap<String, Held>>,
}

/// A revision as the last listing found it; by its name with the revision.
#[derive(Clone)]
struct Seen {
    commit: String,
    address: Address,
    files: Arc<Vec<File>>,
    /// The files of commits shortly before: some of them may still be fetched.
    earlier: Vec<(String, Arc<Vec<File>>)>,
    references: References,
    /// It was a tag or a commit when it was first seen, also by an earlier run: what it is called then must never change.
    fixed: bool,
}

impl Hub {
    pub fn new(config: Config, addresses: Vec<Address>, fetch: Option<GlobSet>, api: Api, sweep: Duration) -> Self {
        let pace =
            Pace { sweep, glance: None, records_max: config.records_max, misses: 2, stretch: config.sweep_stretch_max };
        let shared =
            Shared { config, addresses, fetch, api: Arc::new(api), seen: Mutex::default(), owners: Mutex::default() };
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
        let rewritten = self.rewritten(address, seen.as_ref(), &references).await;
        let before = self.previous_owner(&name, about, sink).await?;
        let maker = Maker { source: &self.config.name, endpoint: self.api.endpoint(), hint: sink.hint() };
        sink.tell(maker.repository(&name, about, &references, &rewritten, before.as_ref())).await?;
        let commit = match references.commit_of(&address.revision) {
            Some(commit) => commit.to_owned(),
            None => self.api.commit(address).await?,
        };
        let mut earlier = seen.as_ref().map(|seen| seen.earlier.clone()).unwrap_or_default();
        let newest = about.sha.as_deref() == Some(&*commit);
        let hidden = |files: &[File]| newest && about.siblings.len() > files.len();
        let known = seen.as_ref().filter(|seen| seen.commit == commit && !hidden(&seen.files));
        let known = known.map(|seen| Arc::clone(&seen.files));
        let files = match (known, &seen) {
            (Some(files), _) => files,
            (None, seen) => {
                let files = Arc::new(self.api.tree(address, &commit).await?);
                earlier.extend(seen.iter().map(|seen| (seen.commit.clone(), Arc::clone(&seen.files))));
                earlier.drain(..earlier.len().saturating_sub(EARLIER_MAX));
                files
            }
        };
        let fixed = self.is_fixed(address, seen.as_ref(), &references, sink).await?;
        // Before anybody is told: whoever opens a file looks here.
        let kept = Seen {
            commit: commit.clone(),
            address: address.clone(),
            files: Arc::clone(&files),
            earlier,
            references,
            fixed,
        };
        self.keep(kept);
        if hidden(&files) {
            let (told, all) = (files.len(), about.siblings.len());
            sink.unseen(records::files_prefix(&name, &address.revision), "truncated", || {
                format!(
                    "`{name}`: {told} of {all} files are listed; a mirror that gives one page only hides the others"
                )
            });
        }
        // They say it of the newest commit.
        let scans = about.scans.as_ref().filter(|_| newest);
        let issues: BTreeMap<&str, &str> = scans.map_or_else(BTreeMap::new, Scans::levels);
        for file in files.iter().filter(|file| address.covers(&file.path)) {
            let look = Look { fixed, fetched: self.fetches(file), level: issues.get(&*file.path).copied() };
            sink.tell(maker.file(address, &commit, file, &look)).await?;
        }
        Ok(())
    }

    /// References whose commit before is no part of their history any more.
    async fn rewritten(&self, address: &Address, seen: Option<&Seen>, references: &References) -> Vec<String> {
        let Some(seen) = seen else { return Vec::new() };
        let before: BTreeMap<&str, &str> =
            seen.references.branches.iter().map(|one| (&*one.name, &*one.commit)).collect();
        let mut rewritten = Vec::new();
        for branch in &references.branches {
            let Some(old) = before.get(&*branch.name).filter(|old| **old != branch.commit) else { continue };
            // Only of the branch that is watched, for the sake of the hub's limits.
            if branch.name == address.revision
                // What a mirror does not know, or cannot tell now, is no proof.
                && let Ok(Some(false)) = self.api.is_ancestor(address, old, &branch.commit).await
            {
                rewritten.push(format!("{}={old}", branch.name));
            }
        }
        rewritten
    }

    /// Who had this name before, in this run or one before, where that was another repository.
    async fn previous_owner(&self, name: &str, about: &About, sink: &mut Sink) -> Result<Option<Owner>, Stop> {
        let (now, key) = (Owner::of(about), format!("owner/{name}"));
        let durable = sink.recalled(&key).and_then(|known| serde_json::from_value::<Owner>(known.clone()).ok());
        if durable.is_none() && sink.remembered() >= REMEMBERED_MAX {
            sink.note("names", format!("it is remembered of {REMEMBERED_MAX} names who had them, and of no more"));
            return Ok(None);
        }
        let told = sink.knows(&records::repository_key(name));
        let (held, taken) = {
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            let known = owners.remove(name).or_else(|| durable.map(|owner| Held { owner, before: None }));
            let (held, taken) = Held::next(known, now, told);
            owners.insert(name.to_owned(), held.clone());
            (held, taken)
        };
        // Who took a name is remembered by the look after the one that tells of it: what is told is durable by then.
        if !taken {
            sink.remember(&key, serde_json::to_value(&held.owner).unwrap_or_default()).await?;
        }
        Ok(held.before)
    }

    /// Whether a revision must never change: it is a tag or a commit, or was one when it was first seen.
    async fn is_fixed(
        &self,
        address: &Address,
        seen: Option<&Seen>,
        references: &References,
        sink: &mut Sink,
    ) -> Result<bool, Stop> {
        let key = format!("fixed/{}", place(address));
        if references.is_fixed(&address.revision) && sink.remembered() < REMEMBERED_MAX {
            sink.remember(&key, true.into()).await?;
        }
        let known = seen.is_some_and(|seen| seen.fixed) || sink.recalled(&key).is_some();
        Ok(known || references.is_fixed(&address.revision))
    }

    /// Keeps what was seen of a revision, as far as there is room for its files.
    fn keep(&self, kept: Seen) {
        let mut seen = self.seen();
        let place = place(&kept.address);
        let size = |seen: &Seen| seen.files.len() + seen.earlier.iter().map(|(_, files)| files.len()).sum::<usize>();
        let others: usize = seen.iter().filter(|(other, _)| **other != place).map(|(_, seen)| size(seen)).sum();
        if others + size(&kept) <= self.config.records_max.saturating_mul(2) {
            seen.insert(place, kept);
        } else {
            // Asked for anew each time: it is too much to be kept.
            seen.remove(&place);
        }
    }

    /// Whether a repository is one of those to be watched, by its name or its author's.
    fn is_meant(&self, kind: Kind, id: &str) -> bool {
        let author = id.split_once('/').map_or(id, |(author, _)| author);
        self.addresses.iter().any(|one| one.kind == kind && one.id == id)
            || self.config.authors.iter().any(|one| Kind::split(one) == (kind, author))
    }

    fn fetches(&self, file: &File) -> bool {
        !file.cut
            && crate::sources::remote::is_plain(&file.path)
            && file.size().is_some()
            && self.fetch.as_ref().is_none_or(|globs| globs.is_match(&file.path))
    }

    /// Tells one of several repositories; one that cannot be read keeps nobody from looking at the others, and is
    /// given back with the reason.
    async fn tell_one(&self, address: &Address, sink: &mut Sink) -> Result<Option<Failure>, Stop> {
        let about = match self.api.about(address).await {
            Ok(about) => about,
            // It is gone, and so is what was told of it.
            Err(Failure::Gone) => {
                let name = records::name(address);
                if !sink.knows(&records::repository_key(&name)) {
                    let sentence = format!(
                        "there is no repository `{}`, or the token may not see it; correct its name",
                        shorten(&name, 200)
                    );
                    sink.note_also("missing", &sentence);
                }
                return Ok(None);
            }
            Err(failure) => return self.refused(address, failure, sink),
        };
        match self.tell_known(address, &about, sink).await {
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

impl Scans {
    /// How each flagged file is flagged.
    fn levels(&self) -> BTreeMap<&str, &str> {
        self.files_with_issues.iter().map(|issue| (&*issue.path, &*issue.level)).collect()
    }
}

impl References {
    /// Whether a revision is a tag, or a commit itself.
    fn is_fixed(&self, revision: &str) -> bool {
        let commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        commit || self.tags.iter().any(|tag| tag.name == revision)
    }

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
            let (kind, name) = Kind::split(author);
            let all = shared.api.of_author(kind, name, AUTHOR_MAX).await?;
            if all.is_empty() {
                let sentence =
                    format!("`{author}` has no repositories, or none that the token may see; is the name right?");
                sink.note_also("missing", &sentence);
            }
            for about in all {
                // The list is of this author, whatever an entry says.
                let Ok(address) = Address::parse(&format!("hf://{}{}", kind.prefix(), about.id)) else {
                    sink.blind("garbage", || {
                        format!("the hub lists a repository of {author} with a name that is none")
                    });
                    continue;
                };
                // The list does not tell what the hub's scanners say.
                match shared.tell_one(&address, sink).await? {
                    None => told += 1,
                    Some(failure) => refused = Some(failure),
                }
            }
        }
        for address in &shared.addresses {
            match shared.tell_one(address, sink).await {
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
        let kind = match kind {
            "dataset" => Kind::Dataset,
            "space" => Kind::Space,
            _ => Kind::Model,
        };
        let watched: Vec<Address> = {
            let seen = self.shared.seen();
            seen.values().map(|seen| &seen.address).filter(|one| one.kind == kind && one.id == id).cloned().collect()
        };
        if watched.is_empty() {
            // A new one of an author, or nothing to us: webhooks of a namespace tell of all that is in it.
            return Ok(!self.shared.is_meant(kind, id));
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

    fn report(&self, state: &mut State) {
        match self.shared.api.pace() {
            Some(sentence) => drop(state.notes.insert("paced".to_owned(), sentence)),
            None => drop(state.notes.remove("paced")),
        }
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
            // At the commit of the listing that told of it.
            let commit = match &artifact.version {
                Some(commit) => commit.clone(),
                None => self.api.commit(&address).await?,
            };
            let known = seen.and_then(|seen| {
                let mut all = std::iter::once((seen.commit, seen.files)).chain(seen.earlier);
                all.find(|(known, _)| *known == commit).map(|(_, files)| files)
            });
            let files = match known {
                Some(files) => files,
                None => Arc::new(self.api.tree(&address, &commit).await?),
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
