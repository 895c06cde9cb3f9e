//! The loop of the source: hints are looked into, files settle, and every so often all is walked.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use rustix::fs::FileType;

use super::cache::{Again, Cache};
use super::roots::{self, Change, Root};
use super::settle::Settle;
use super::stat::{Look, Stat, look};
use super::tree::{Tree, split};
use super::walk::{Found, Id, Walk, kept_aside, may_be_kept_aside};
use super::watch::{Failure, Watcher};
use super::{Config, paths, served};
use crate::base::clock;
use crate::sources::emit::{Emitter, Stopped};
use crate::sources::filter::Filter;
use crate::sources::{Hint, Observation, Record};

/// How long the loop sleeps at most, so that it hears that it shall stop.
const NAP: Duration = Duration::from_millis(100);
const ROOT_CHECK: Duration = Duration::from_secs(1);
/// Hints handled before settled files are told: neither may starve the other.
const HINTS_AT_ONCE: usize = 4096;

pub struct Engine<'a> {
    config: &'a Config,
    filter: &'a Filter,
    emitter: &'a Emitter,
    roots: Vec<Root>,
    tree: Tree,
    settle: Settle,
    watcher: Option<Watcher>,
    cache: Cache,
    again: Again,
}

/// What a walk is for.
#[derive(Clone, Copy)]
enum Purpose {
    /// The first listing.
    List,
    /// Look for differences, and tell them with this hint.
    Compare(Hint),
}

impl<'a> Engine<'a> {
    pub fn new(config: &'a Config, filter: &'a Filter, cache: Cache, emitter: &'a Emitter) -> Self {
        let settle =
            Settle::new(Duration::from_millis(config.settle_millis), Duration::from_secs(config.settle_max_secs));
        let roots = config.paths.iter().map(|path| Root::new(path, config)).collect();
        let (tree, again) = (Tree::default(), Again::default());
        Self { config, filter, emitter, roots, tree, settle, watcher: None, cache, again }
    }

    pub fn run(&mut self) -> Result<(), Stopped> {
        self.list()?;
        let (sweep, poll) =
            (Duration::from_secs(self.config.sweep_interval_secs), Duration::from_secs(self.config.poll_interval_secs));
        let start = Instant::now();
        let (mut next_sweep, mut next_poll, mut next_check) = (start + sweep, start + poll, start + ROOT_CHECK);
        let mut next_overflow = start;
        while !self.emitter.stopped() {
            self.take_hints()?;
            let now = Instant::now();
            // Rebuilding all watches once a second is enough, however fast hints are lost.
            if now >= next_overflow && self.watcher.as_ref().is_some_and(Watcher::take_lost) {
                self.recover()?;
                next_overflow = Instant::now() + ROOT_CHECK;
            }
            if now >= next_check {
                self.check_roots()?;
                next_check = Instant::now() + ROOT_CHECK;
            }
            if now >= next_sweep {
                self.look_again()?;
                self.sweep("sweep", |_| true)?;
                next_sweep = Instant::now() + sweep;
                next_poll = Instant::now() + poll;
            } else if now >= next_poll {
                self.sweep("poll", |root| root.polled.is_some())?;
                next_poll = Instant::now() + poll;
            }
            self.tell_settled()?;
        }
        Ok(())
    }

    /// The first listing.
    fn list(&mut self) -> Result<(), Stopped> {
        self.emitter.metrics.rescan("start");
        self.emitter.send(Observation::Init)?;
        self.start_watcher();
        for index in 0..self.roots.len() {
            self.roots[index].check();
            self.walk_root(index, Purpose::List)?;
            let root = &self.roots[index];
            let unseen = if root.id.is_none() || root.full {
                BTreeSet::from([root.path.clone()])
            } else {
                root.unreadable.clone()
            };
            for path in unseen {
                self.emitter.send(Observation::InitKeep(paths::escape(&path)))?;
            }
        }
        self.report();
        self.emitter.status.change(|state| state.synced = true);
        self.emitter.send(Observation::InitDone)
    }

    fn start_watcher(&mut self) {
        self.tree.forget_all_directories();
        self.watcher = None;
        if self.roots.iter().all(|root| root.polled.is_some()) {
            return;
        }
        match Watcher::new(self.config.hint_queue_max, self.config.hint_hold_path.clone()) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(failure) => {
                self.emitter.metrics.error("transient");
                for root in &mut self.roots {
                    root.polled.get_or_insert_with(|| why_polled(failure));
                }
            }
        }
    }

    fn take_hints(&mut self) -> Result<(), Stopped> {
        let now = Instant::now();
        let nap = self.settle.next().map_or(NAP, |due| due.saturating_duration_since(now).min(NAP));
        let Some(watcher) = &self.watcher else {
            std::thread::sleep(nap);
            return Ok(());
        };
        let mut hints = BTreeSet::new();
        match watcher.hints.recv_timeout(nap) {
            Ok(path) => drop(hints.insert(path)),
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            // The thread of the watcher is gone: build another.
            Err(RecvTimeoutError::Disconnected) => return self.recover(),
        }
        hints.extend(watcher.hints.try_iter().take(HINTS_AT_ONCE));
        for real in hints {
            for path in self.tree.names(&real) {
                self.touch(path)?;
            }
        }
        Ok(())
    }

    /// A notification says that something happened at a path.
    fn touch(&mut self, path: PathBuf) -> Result<(), Stopped> {
        let Some(index) = self.roots.iter().position(|root| path.starts_with(&root.path)) else { return Ok(()) };
        let relative = path.strip_prefix(&self.roots[index].path).unwrap_or(&path);
        if self.filter.leaves_out_any(relative) {
            return Ok(());
        }
        let now = Instant::now();
        let directory = path.parent().unwrap_or(&path);
        let aside = path.symlink_metadata().ok().map(|metadata| {
            kept_aside(directory, path.file_name().unwrap_or_default(), FileType::from_raw_mode(metadata.mode()))
        });
        // Links lead through it, and it may have been swapped: what is said to be removed may still be there by the
        // new way. What is gone may have been such a one.
        if aside.unwrap_or_else(|| may_be_kept_aside(&path)) {
            for link in self.tree.links_below(directory) {
                let seen = look(&link, self.config.follow_symlinks);
                self.settle.touch(link, seen, Hint::Inotify, now);
            }
        }
        if aside == Some(true) {
            return Ok(());
        }
        match look(&path, self.config.follow_symlinks) {
            Look::Directory => {
                if self.tree.stat(&path).is_some() {
                    self.settle.touch(path.clone(), Look::Directory, Hint::Inotify, now);
                }
                // It may be another directory than before, even with the same inode number.
                self.forget(&path);
                self.walk(index, &path, Purpose::Compare(Hint::Inotify))?;
            }
            Look::File(stat) if self.filter.takes(relative) => self.offer(path, stat, Hint::Inotify, now),
            seen @ (Look::Gone | Look::Other | Look::File(_)) => {
                self.forget(&path);
                for known in self.tree.below(&path) {
                    self.settle.touch(known, seen, Hint::Inotify, now);
                }
            }
            Look::Unknown => {
                self.roots[index].unreadable.insert(path);
            }
        }
        Ok(())
    }

    /// A file looks like this; it is told once it stands still.
    fn offer(&mut self, path: PathBuf, stat: Stat, hint: Hint, now: Instant) {
        if self.tree.len() + self.settle.len() >= self.config.files_max && self.tree.stat(&path).is_none() {
            if let Some(root) = self.roots.iter_mut().find(|root| path.starts_with(&root.path)) {
                root.full = true;
            }
            return;
        }
        self.settle.touch(path, Look::File(stat), hint, now);
    }

    fn forget(&mut self, path: &Path) {
        for real in self.tree.forget_directories(path) {
            if let Some(watcher) = &mut self.watcher {
                watcher.unwatch(&real);
            }
        }
    }

    /// Hints were lost: nothing that is watched is certain any more.
    fn recover(&mut self) -> Result<(), Stopped> {
        self.emitter.metrics.overflow();
        // What did arrive is worth having: it was not found by the walk that follows.
        let arrived: BTreeSet<PathBuf> =
            self.watcher.iter().flat_map(|watcher| watcher.hints.try_iter().take(self.config.hint_queue_max)).collect();
        for path in arrived.iter().flat_map(|real| self.tree.names(real)).collect::<BTreeSet<_>>() {
            if let Look::File(stat) = look(&path, self.config.follow_symlinks)
                && self.takes(&path)
            {
                self.offer(path, stat, Hint::Inotify, Instant::now());
            }
        }
        self.start_watcher();
        self.sweep("overflow", |_| true)
    }

    fn takes(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| {
            path.strip_prefix(&root.path)
                .is_ok_and(|relative| self.filter.takes(relative) && !self.filter.leaves_out_any(relative))
        })
    }

    fn check_roots(&mut self) -> Result<(), Stopped> {
        for index in 0..self.roots.len() {
            match self.roots[index].check() {
                Change::Same => {}
                Change::Appeared => {
                    let path = self.roots[index].path.clone();
                    self.forget(&path);
                    self.walk_root(index, Purpose::Compare(Hint::Poll))?;
                }
                // A mount that went away takes no file with it: they stay known until it is back.
                Change::Vanished => {
                    let path = self.roots[index].path.clone();
                    self.forget(&path);
                }
            }
        }
        self.report();
        Ok(())
    }

    /// Walks the chosen roots and compares.
    fn sweep(&mut self, reason: &'static str, chosen: impl Fn(&Root) -> bool) -> Result<(), Stopped> {
        let mut walked = false;
        for index in 0..self.roots.len() {
            let root = &self.roots[index];
            if root.id.is_some() && chosen(root) {
                let hint = if root.polled.is_some() { Hint::Poll } else { Hint::Sweep };
                self.walk_root(index, Purpose::Compare(hint))?;
                walked = true;
            }
        }
        if walked {
            self.emitter.metrics.rescan(reason);
        }
        self.report();
        Ok(())
    }

    fn walk_root(&mut self, index: usize, purpose: Purpose) -> Result<(), Stopped> {
        let root = &mut self.roots[index];
        if root.id.is_none() {
            return Ok(());
        }
        root.unreadable.clear();
        root.full = false;
        let path = root.path.clone();
        self.walk(index, &path, purpose)
    }

    fn walk(&mut self, index: usize, start: &Path, purpose: Purpose) -> Result<(), Stopped> {
        self.tree.begin_walk();
        let mut unseen = BTreeSet::new();
        let (config, filter) = (self.config, self.filter);
        let root = self.roots[index].path.clone();
        let mut stopped = false;
        let ended = Walk::new(config, filter, &root).run(start, &mut |found| {
            let next = match found {
                Found::Directory { path, real, id } => {
                    self.watch(index, &path, real, id);
                    if self.emitter.stopped() { Err(Stopped) } else { Ok(()) }
                }
                Found::File { directory, name, stat, target } => {
                    self.found(index, (directory, name), stat, target, purpose)
                }
                Found::Unreadable { path } => {
                    unseen.insert(path);
                    Ok(())
                }
            };
            stopped = next.is_err();
            if stopped || self.roots[index].full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if stopped {
            return Err(Stopped);
        }
        let now = Instant::now();
        if let (ControlFlow::Continue(()), Purpose::Compare(hint)) = (ended, purpose) {
            for path in self.tree.missing(start) {
                if !path.ancestors().any(|place| unseen.contains(place)) {
                    let seen = look(&path, config.follow_symlinks);
                    self.settle.touch(path, seen, hint, now);
                }
            }
        }
        self.roots[index].unreadable.extend(unseen);
        Ok(())
    }

    fn found(
        &mut self,
        index: usize,
        (directory, name): (&Path, &OsStr),
        stat: Stat,
        target: Option<PathBuf>,
        purpose: Purpose,
    ) -> Result<(), Stopped> {
        if let Some(place) = target.as_deref().and_then(Path::parent) {
            self.watch_target(index, place);
        }
        match purpose {
            Purpose::List if self.tree.len() >= self.config.files_max => self.roots[index].full = true,
            Purpose::List => {
                let path = directory.join(name);
                let record = self.record(&stat, &path, target.as_ref(), Hint::Sweep);
                self.tree.put(&path, stat, target);
                self.send(Observation::InitApply(record))?;
            }
            Purpose::Compare(hint) => {
                if !self.tree.see((directory.as_os_str(), name), &stat, target.as_ref()) {
                    self.offer(directory.join(name), stat, hint, Instant::now());
                }
            }
        }
        Ok(())
    }

    /// Where a link leads is watched too, or a write to its target would only be swept up.
    fn watch_target(&mut self, index: usize, place: &Path) {
        if !self.tree.has_watched(place)
            && let Ok(metadata) = place.metadata()
        {
            self.add_watch(index, None, place.to_owned(), (metadata.dev(), metadata.ino()));
        }
    }

    fn watch(&mut self, index: usize, path: &Path, real: PathBuf, id: Id) {
        if self.roots[index].id.is_some_and(|root| root.0 != id.0) {
            self.roots[index].note_file_system(path);
        }
        if !self.tree.is_watched(&real, id, path) {
            self.add_watch(index, Some(path.to_owned()), real, id);
        }
    }

    fn add_watch(&mut self, index: usize, path: Option<PathBuf>, real: PathBuf, id: Id) {
        let root = &mut self.roots[index];
        let Some(watcher) = self.watcher.as_mut().filter(|_| root.polled.is_none()) else { return };
        if self.tree.has_watched(&real) {
            watcher.unwatch(&real);
        }
        match watcher.watch(&real) {
            Ok(()) => self.tree.put_watched(real, id, path),
            Err(Failure::Gone) => {}
            Err(Failure::Denied) => drop(root.unreadable.insert(real)),
            Err(failure @ (Failure::Limit | Failure::Other)) => {
                root.polled = Some(why_polled(failure));
                self.emitter.metrics.error("transient");
            }
        }
    }

    fn tell_settled(&mut self) -> Result<(), Stopped> {
        let now = Instant::now();
        for path in self.settle.due(now) {
            let seen = look(&path, self.config.follow_symlinks);
            if let Some(wait) = self.settle.ready(&path, seen, now) {
                self.tell(&path, seen, wait.hint)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, path: &Path, seen: Look, hint: Hint) -> Result<(), Stopped> {
        match seen {
            Look::File(stat) => {
                let target = target_of(path);
                if self.tree.see(split(path), &stat, target.as_ref()) {
                    return Ok(());
                }
                let record = self.record(&stat, path, target.as_ref(), hint);
                self.tree.put(path, stat, target);
                self.again.note(path);
                self.count_found(hint);
                self.send(Observation::Apply(record))
            }
            Look::Gone | Look::Directory | Look::Other => {
                if self.tree.stat(path).is_none() || self.root_is_missing(path) {
                    return Ok(());
                }
                self.tree.remove(path);
                self.again.note(path);
                self.count_found(hint);
                self.emitter.send(Observation::Delete(paths::escape(path)))
            }
            Look::Unknown => Ok(()),
        }
    }

    /// Tells files of caches anew that are as they were, while what they are held against is not.
    fn look_again(&mut self) -> Result<(), Stopped> {
        for path in self.again.next(&self.tree) {
            let Look::File(stat) = look(&path, self.config.follow_symlinks) else { continue };
            let target = target_of(&path);
            // One that changed itself is on its way.
            if self.tree.see(split(&path), &stat, target.as_ref()) {
                let record = self.record(&stat, &path, target.as_ref(), Hint::Sweep);
                self.send(Observation::Apply(record))?;
            }
        }
        Ok(())
    }

    /// Tells a record, and what is to be kept of it.
    fn send(&mut self, told: Observation) -> Result<(), Stopped> {
        self.emitter.send(told)?;
        for checkpoint in self.cache.news() {
            self.emitter.send(Observation::Checkpoint(checkpoint))?;
        }
        Ok(())
    }

    fn record(&mut self, stat: &Stat, path: &Path, target: Option<&PathBuf>, hint: Hint) -> Record {
        let mut record = stat.record(&self.config.name, path, target, hint);
        self.cache.note(&mut record.attributes, path, target.map(PathBuf::as_path));
        if let Some(serves) = &self.config.serves {
            served::note(&mut record.attributes, serves, path, &self.config.paths);
        }
        if self.config.exclusive {
            record.attributes.insert("file.exclusive".to_owned(), true.into());
        }
        record
    }

    fn root_is_missing(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(&root.path) && !root.path.is_dir())
    }

    fn count_found(&self, hint: Hint) {
        if hint == Hint::Sweep {
            self.emitter.metrics.reconcile_found(1);
        }
    }

    fn report(&self) {
        self.emitter.status.change(|state| {
            state.blind = roots::blindness(&self.roots, self.config.files_max);
            state.notes = roots::notes(&self.roots);
            state.watched = self.tree.len() as u64;
            state.last_success = Some(clock::now());
        });
    }
}

/// Where a link leads.
fn target_of(path: &Path) -> Option<PathBuf> {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()).then(|| path.canonicalize().ok()).flatten()
}

fn why_polled(failure: Failure) -> String {
    match failure {
        Failure::Limit => "the kernel's limit of watches is reached; raise fs.inotify.max_user_watches".to_owned(),
        Failure::Gone | Failure::Denied | Failure::Other => "the kernel gives no notifications here".to_owned(),
    }
}
