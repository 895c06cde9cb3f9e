//! The source: repositories on this host, looked at when a ref moves, when somebody says so, and again and again.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gix_hash::ObjectId;

use super::changes::{self, Ancestry, Histories};
use super::config::Checked;
use super::discover::{self, Found};
use super::files::{Fault, Patience};
use super::history::{self, Claims};
use super::layout::Layout;
use super::look::{self, Known, Look, Memory};
use super::objects::Objects;
use super::open::{Artifacts, GiveUp};
use super::records::{self, Maker};
use super::refs::{self, Refs};
use super::tree::Listing;
use crate::base::http::{self, Failure};
use crate::base::text::shorten;
use crate::event::Fields;
use crate::sources::filesystem::escape;
use crate::sources::filesystem::paths::unescape;
use crate::sources::reconcile::{self, Hinted, Pace, Place, Sink, Stop};
use crate::sources::{BoxFuture, Change, Context, RecordKind, Source, SourceError, Store};

/// Time for one look at one repository.
const LOOK: Duration = Duration::from_mins(20);
/// Time to answer questions about histories that no look has answered.
const QUESTIONS: Duration = Duration::from_secs(5);
/// Repositories that a hint may speak of.
const HINTED_MAX: usize = 100;
/// Repositories of which it is remembered where refs led.
const REMEMBERED_MAX: usize = 10_000;

pub struct Repositories {
    shared: Arc<Shared>,
}

struct Shared {
    checked: Arc<Checked>,
    /// What is remembered, by the names of repositories.
    seen: Mutex<BTreeMap<String, Seen>>,
    /// Why the last listing saw nothing.
    fault: Mutex<Option<(&'static str, String)>>,
}

/// A repository that was found.
#[derive(Clone)]
struct Seen {
    path: PathBuf,
    memory: Arc<Mutex<Memory>>,
    known: Arc<Mutex<Known>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Repositories {
    pub fn new(checked: Checked) -> Self {
        let shared = Shared { checked: Arc::new(checked), seen: Mutex::default(), fault: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    /// Does what blocks on a thread for it, which ends when nobody waits any more.
    async fn on_thread<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &Patience) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let given_up = Arc::new(AtomicBool::new(false));
        let _guard = GiveUp(Arc::clone(&given_up));
        let (shared, patience) = (Arc::clone(self), Patience::new(LOOK, given_up));
        let done = tokio::task::spawn_blocking(move || work(&shared, &patience));
        done.await.unwrap_or_else(|error| Err(Fault::Corrupt(format!("a defect in the source met it ({error})"))))
    }

    /// What is remembered of a repository.
    fn seen(&self, name: &str, path: &Path) -> Seen {
        let mut seen = locked(&self.seen);
        let known = seen.get(name).filter(|seen| seen.path == path).cloned();
        known.unwrap_or_else(|| {
            let known = Arc::default();
            let memory = Arc::new(Mutex::new(Memory::new(Arc::clone(&known))));
            let new = Seen { path: path.to_owned(), memory, known };
            seen.insert(name.to_owned(), new.clone());
            new
        })
    }

    async fn look(self: &Arc<Self>, name: &str, path: &Path) -> Result<Look, Fault> {
        let (name, seen) = (name.to_owned(), self.seen(name, path));
        let look = self
            .on_thread(move |shared, patience| {
                look::look(&shared.checked, &name, &seen.path, &mut locked(&seen.memory), patience)
            })
            .await?;
        http::measured(look.cost.0, look.cost.1);
        Ok(look)
    }

    /// Looks at a repository and tells it; one that cannot be looked at keeps nobody from looking at the others.
    async fn tell(self: &Arc<Self>, name: &str, path: &Path, sink: &mut Sink) -> Result<Option<Fault>, Stop> {
        self.recall(name, path, sink);
        let look = match self.look(name, path).await {
            Ok(look) => look,
            Err(fault) => {
                sink.unseen(records::repository_key(name), fault.reason(), || format!("`{}`: {fault}", escape(path)));
                for prefix in records::all_prefixes(name) {
                    sink.unseen_too(prefix);
                }
                return Ok(Some(fault));
            }
        };
        self.tell_look(&look, sink).await?;
        Ok(None)
    }

    async fn tell_look(&self, look: &Look, sink: &mut Sink) -> Result<(), Stop> {
        let maker = Maker { source: &self.checked.config.name, look, hint: sink.hint() };
        let place = &look.place;
        for fault in &look.problems {
            sink.blind(fault.reason(), || format!("`{place}`: {fault}"));
        }
        if look.cut {
            sink.blind("too_many_refs", || {
                format!("`{place}` has more than {} refs; name those to watch in `refs`", refs::REFS_MAX)
            });
            // What was left out is not gone.
            for prefix in records::all_prefixes(&look.name) {
                sink.unseen_too(prefix);
            }
        }
        for (reference, fault) in &look.unread {
            let [file, dvc] = records::prefixes(&look.name, reference);
            sink.unseen(file, fault.reason(), || format!("`{place}`, {}: {fault}", shorten(reference, 200)));
            sink.unseen_too(dvc);
        }
        sink.tell(maker.repository()).await?;
        self.remember(look, sink).await?;
        for branch in &look.branches {
            self.tell_files(&maker, branch, sink).await?;
        }
        Ok(())
    }

    /// What an earlier run told of a repository that this one has not seen yet.
    fn recall(&self, name: &str, path: &Path, sink: &Sink) {
        let seen = self.seen(name, path);
        let mut known = locked(&seen.known);
        if known.told.is_empty() && known.glanced == Refs::default() {
            let told = sink.recalled(&records::memory_key(name)).and_then(serde_json::Value::as_object);
            let parsed = |(name, commit): (&String, &serde_json::Value)| {
                Some((name.clone(), ObjectId::from_hex(commit.as_str()?.as_bytes()).ok()?))
            };
            known.recall(told.into_iter().flatten().filter_map(parsed).collect());
        }
    }

    /// Keeps where refs led for the next run. Those that people make and drop every day only where there are more than
    /// are watched: a flood may hide them.
    async fn remember(&self, look: &Look, sink: &mut Sink) -> Result<(), Stop> {
        let key = records::memory_key(&look.name);
        if sink.recalled(&key).is_none() && sink.remembered() >= REMEMBERED_MAX {
            sink.note("names", format!("of {REMEMBERED_MAX} repositories refs are remembered, and of no more"));
            return Ok(());
        }
        let default = look.default.as_ref().map(|(name, _)| &**name);
        let kept = look.tips.iter().filter(|(name, _)| look.cut || self.checked.remembers(name, default));
        let kept = kept.map(|(name, commit)| (name.clone(), commit.to_string().into())).collect();
        sink.remember(&key, serde_json::Value::Object(kept)).await
    }

    async fn tell_files(&self, maker: &Maker<'_>, branch: &look::Branch, sink: &mut Sink) -> Result<(), Stop> {
        let (place, reference, files) = (&maker.look.place, &branch.name, &branch.files);
        let prefixes = records::prefixes(&maker.look.name, reference);
        if let Some(fault) = &files.unread {
            let sentence = || format!("`{place}`, {}: {fault}", shorten(reference, 200));
            sink.unseen(prefixes[0].as_str(), fault.reason(), sentence);
            sink.unseen_too(prefixes[1].as_str());
        }
        for problem in &files.hidden {
            sink.blind("malformed", || format!("`{place}`, {}: {problem}", shorten(reference, 200)));
        }
        note(place, reference, files, sink);
        for file in &files.told {
            let (items, problem) = maker.look.items(file);
            if let Some(problem) = problem {
                sink.blind("malformed", || format!("`{place}`, {}: {problem}", shorten(reference, 200)));
                sink.unseen_too(prefixes[1].as_str());
            }
            for item in items {
                sink.tell(maker.file(branch, &item)).await?;
            }
        }
        // A tree is read whole: what it does not name is gone at once.
        for prefix in &prefixes {
            sink.complete(prefix).await?;
        }
        Ok(())
    }

    /// Where it could not be looked for repositories, those that were there are neither seen nor gone.
    fn tell_unseen(&self, found: &Found, sink: &mut Sink) {
        let seen = locked(&self.seen).clone();
        for (path, fault) in &found.unseen {
            let sentence = || format!("`{}`: {fault}", escape(path));
            let below: Vec<&String> =
                seen.iter().filter(|(_, seen)| seen.path.starts_with(path)).map(|(name, _)| name).collect();
            if below.is_empty() {
                // Nothing is known of it, perhaps since the agent began anew.
                sink.unseen("", fault.reason(), sentence);
            } else {
                sink.blind(fault.reason(), sentence);
            }
            for name in below {
                sink.unseen_too(records::repository_key(name));
                for prefix in records::all_prefixes(name) {
                    sink.unseen_too(prefix);
                }
            }
        }
        for problem in &found.problems {
            sink.blind("names", || problem.clone());
        }
        if let Some((path, other)) = found.linked.first() {
            let more = found.linked.len() - 1;
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            let said = format!("`{}` is a working tree of `{other}`, which tells its branches and tags", escape(path));
            sink.note("worktrees", said + &more);
        }
    }

    fn failed(&self, path: &Path, fault: &Fault) -> Stop {
        *locked(&self.fault) = Some((fault.reason(), format!("`{}`: {fault}", escape(path))));
        Failure::Garbage(format!("`{}`: {fault}", escape(path))).into()
    }
}

/// What is left out on purpose, and what is odd though nothing is missed by it.
fn note(place: &str, reference: &str, files: &Listing, sink: &mut Sink) {
    let said = |text: String| format!("`{place}`, {}: {text}", shorten(reference, 200));
    if files.submodules > 0 {
        let count = files.submodules;
        sink.note("submodules", said(format!("{count} submodules are not looked into; watch their repositories")));
    }
    if files.links > 0 {
        sink.note("links", said(format!("{} symbolic links are not followed", files.links)));
    }
    if let Some(odd) = files.odd.first() {
        let more = files.odd.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        sink.note("odd", said(format!("{odd}{more}")));
    }
}

impl Place for Repositories {
    async fn list(&self, sink: &mut Sink) -> Result<(), Stop> {
        let shared = &self.shared;
        let found = shared.on_thread(|shared, patience| discover::find(&shared.checked, patience)).await;
        let found = found.map_err(|fault| shared.failed(Path::new("repositories"), &fault))?;
        // What is gone for certain is forgotten.
        let mut gone = Vec::new();
        locked(&shared.seen).retain(|name, seen| {
            let kept = found.repositories.contains_key(name)
                || found.unseen.iter().any(|(place, _)| seen.path.starts_with(place));
            if !kept {
                gone.push(records::memory_key(name));
            }
            kept
        });
        for key in gone.iter().filter(|key| sink.recalled(key).is_some()).cloned().collect::<Vec<_>>() {
            sink.remember(&key, serde_json::Value::Null).await?;
        }
        let mut failed = found.unseen.first().cloned();
        let mut told = 0_usize;
        for (name, path) in &found.repositories {
            match shared.tell(name, path, sink).await? {
                None => told += 1,
                Some(fault) => failed = Some((path.clone(), fault)),
            }
        }
        shared.tell_unseen(&found, sink);
        // Who can look nowhere has listed nothing.
        match failed.filter(|_| told == 0) {
            Some((path, fault)) => Err(shared.failed(&path, &fault)),
            None => Ok(()),
        }
    }

    /// Whether refs lead where they did: no object is read for that.
    async fn glance(&self, sink: &mut Sink) -> Result<(), Stop> {
        let moved = self.shared.on_thread(|shared, patience| Ok(shared.moved(patience))).await.unwrap_or_default();
        for (name, path) in moved {
            // What cannot be looked at now is told by the next listing.
            if let Ok(look) = self.shared.look(&name, &path).await {
                self.shared.tell_look(&look, sink).await?;
            }
        }
        Ok(())
    }

    /// The webhooks of servers name the repository, as its owner with its name.
    async fn follow(&self, hint: &Hinted, sink: &mut Sink) -> Result<bool, Stop> {
        let text = |name: &str| hint.body.get("repository").and_then(|repository| repository.get(name)?.as_str());
        let Some(name) = text("full_name").or_else(|| text("name")) else { return Ok(false) };
        let last = name.rsplit('/').next().unwrap_or(name);
        let watched: Vec<(String, PathBuf)> = locked(&self.shared.seen)
            .iter()
            .filter(|(watched, _)| *watched == name || watched.rsplit('/').next() == Some(last))
            .map(|(watched, seen)| (watched.clone(), seen.path.clone()))
            .take(HINTED_MAX)
            .collect();
        for (name, path) in &watched {
            if self.shared.tell(name, path, sink).await?.is_some() {
                return Ok(false);
            }
        }
        // Not one that was known: a new one, or nothing to us.
        Ok(!watched.is_empty())
    }

    fn explain(&self, failure: &Failure) -> (&'static str, String) {
        locked(&self.shared.fault).clone().unwrap_or_else(|| ("unreadable", failure.to_string()))
    }
}

impl Shared {
    /// Repositories whose refs are not those of the last look.
    fn moved(&self, patience: &Patience) -> Vec<(String, PathBuf)> {
        let seen = locked(&self.seen).clone();
        let mut moved = Vec::new();
        for (name, Seen { path, known, .. }) in seen {
            if patience.check().is_err() {
                break;
            }
            let (glanced, told) = {
                let known = locked(&known);
                (known.glanced.clone(), known.told.clone())
            };
            let refs = Layout::find(&path, &self.checked).and_then(|layout| Refs::read(&layout, &self.checked, &told));
            if refs.is_ok_and(|refs| refs != glanced) {
                moved.push((name, path));
            }
        }
        moved
    }

    fn known<T>(&self, place: &str, read: impl FnOnce(&Known) -> Option<T>) -> Option<T> {
        let seen = locked(&self.seen).values().find(|seen| escape(&seen.path) == place).cloned()?;
        let known = locked(&seen.known);
        read(&known)
    }
}

impl Histories for Shared {
    fn is_fixed(&self, reference: &str) -> bool {
        self.checked.fixes(reference)
    }

    fn is_rebased(&self, reference: &str) -> bool {
        !self.checked.protects(reference)
    }

    fn left(&self, repository: &str, reference: &str) -> Option<ObjectId> {
        self.known(repository, |known| known.left.get(&refs::full(reference)).copied())
    }

    fn default_left(&self, repository: &str) -> Option<(String, ObjectId)> {
        let (name, commit) = self.known(repository, |known| known.default_left.clone())?;
        Some((refs::short(&name).to_owned(), commit))
    }

    fn ancestry<'h>(&'h self, repository: &'h str) -> Ancestry<'h> {
        let layout: OnceCell<Option<Layout>> = OnceCell::new();
        let find = || Layout::find(&unescape(repository)?, &self.checked).ok();
        let patience: OnceCell<Patience> = OnceCell::new();
        Box::new(move |old, new| {
            if let Some(answer) = self.known(repository, |known| known.judged.get(&(*old, *new)).copied()) {
                return answer;
            }
            // No look saw it move: the agent was away. All such questions share one time.
            let patience = patience.get_or_init(|| Patience::new(QUESTIONS, Arc::default()));
            let layout = layout.get_or_init(find).as_ref()?;
            let answer = history::is_ancestor(&Objects::new(layout, patience.clone()), old, new);
            answer.unwrap_or_else(|fault| {
                tracing::warn!(repository, %fault, "whether a history was rewritten cannot be told");
                None
            })
        })
    }

    fn claims(&self, repository: &str, commit: &ObjectId) -> Option<Claims> {
        self.known(repository, |known| known.claims.get(commit).cloned())
    }
}

impl Source for Repositories {
    fn name(&self) -> &str {
        &self.shared.checked.config.name
    }

    fn product(&self) -> &'static str {
        "git"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        let config = &self.shared.checked.config;
        let pace = Pace {
            sweep: Duration::from_secs(config.sweep_interval_secs),
            glance: Some(Duration::from_secs(config.poll_interval_secs)),
            records_max: config.records_max,
            // A folder that is renamed while it is listed may be missed once.
            misses: 2,
            stretch: 1,
        };
        Box::pin(reconcile::run(self, &config.name, pace, context))
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(Artifacts::new(Arc::clone(&self.shared.checked))))
    }

    fn hears(&self) -> bool {
        true
    }

    fn changes(&self, kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
        changes::changes(kind, old, new, &*self.shared)
    }
}
