//! The loop of the source: looks up the globs, and gives each file its turn.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::chain;
use super::find::Globs;
use super::position::Position;
use super::segment::{Segment, open};
use super::tail::{Tail, Turn};
use super::{Config, StartAt};
use crate::base::clock;
use crate::sources::emit::{Emitter, Stopped};
use crate::sources::filesystem::paths;
use crate::sources::{Checkpoint, Observation};

/// Checkpoint that tells that this is not the first start ever.
const STARTED: &str = "started";
/// How long the loop sleeps at most, so that it hears that it shall stop.
const NAP: Duration = Duration::from_millis(50);
/// Ends of files remembered, in case they come back under another name.
const ENDS_MAX: usize = 10_000;

pub struct Engine<'a> {
    config: &'a Config,
    globs: &'a Globs,
    emitter: &'a Emitter,
    checkpoints: BTreeMap<String, Value>,
    tails: BTreeMap<PathBuf, Tail>,
    /// Files whose turn to be open has not come.
    waiting: VecDeque<(PathBuf, Option<Position>)>,
    ends: BTreeMap<(u64, u64), Position>,
    unreadable: Option<PathBuf>,
    buffer: Vec<u8>,
}

impl<'a> Engine<'a> {
    pub fn new(
        config: &'a Config,
        globs: &'a Globs,
        emitter: &'a Emitter,
        checkpoints: BTreeMap<String, Value>,
    ) -> Self {
        Self {
            config,
            globs,
            emitter,
            checkpoints,
            tails: BTreeMap::new(),
            waiting: VecDeque::new(),
            ends: BTreeMap::new(),
            unreadable: None,
            buffer: Vec::new(),
        }
    }

    pub fn run(&mut self) -> Result<(), Stopped> {
        // Logs have no records; whoever waits for a listing need not wait.
        self.emitter.send(Observation::Init)?;
        self.start()?;
        self.report();
        self.emitter.status.change(|state| state.synced = true);
        self.emitter.send(Observation::InitDone)?;
        let rescan = Duration::from_millis(self.config.rescan_millis);
        let mut next_rescan = Instant::now() + rescan;
        while !self.emitter.stopped() {
            if Instant::now() >= next_rescan {
                self.rescan(StartAt::Beginning)?;
                self.take_turns()?;
                self.report();
                next_rescan = Instant::now() + rescan;
            }
            if !self.read()? {
                self.sleep();
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Stopped> {
        let first = self.checkpoints.remove(STARTED).is_none();
        self.rescan(if first { self.config.start_at } else { StartAt::Beginning })?;
        // Files that were followed and are not there now may have been rotated away.
        let missing: Vec<(PathBuf, Value)> = std::mem::take(&mut self.checkpoints)
            .into_iter()
            .filter_map(|(key, value)| Some((paths::unescape(&key)?, value)))
            .filter(|(path, _)| self.globs.matches(path) && !self.tails.contains_key(path))
            .filter(|(path, _)| !self.waiting.iter().any(|(waiting, _)| waiting == path))
            .collect();
        for (path, value) in missing {
            if let Ok(position) = serde_json::from_value::<Position>(value) {
                self.follow(path, Some(position))?;
            }
        }
        let started = Checkpoint { key: STARTED.to_owned(), position: Value::Bool(true) };
        self.emitter.send(Observation::Checkpoint(started))
    }

    fn rescan(&mut self, start_at: StartAt) -> Result<(), Stopped> {
        for path in self.globs.find() {
            let known = self.tails.contains_key(&path) || self.waiting.iter().any(|(waiting, _)| *waiting == path);
            if known || self.tails.len() + self.waiting.len() >= self.config.files_max {
                continue;
            }
            let position = self
                .checkpoints
                .remove(&paths::escape(&path))
                .and_then(|value| serde_json::from_value::<Position>(value).ok());
            self.found(path, position, start_at)?;
        }
        Ok(())
    }

    fn found(&mut self, path: PathBuf, position: Option<Position>, start_at: StartAt) -> Result<(), Stopped> {
        if position.is_some() {
            return self.follow(path, position);
        }
        let (file, metadata) = match open(&path) {
            Ok(opened) => opened,
            Err(error) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    self.unreadable = Some(path);
                }
                return Ok(());
            }
        };
        if self.unreadable.as_ref() == Some(&path) {
            self.unreadable = None;
        }
        let inode = (metadata.dev(), metadata.ino());
        if self.tails.values().any(|tail| tail.holds(inode)) {
            return Ok(());
        }
        let end = self.ends.get(&inode).filter(|end| end.fits(&file).unwrap_or(false)).cloned();
        let offset = match (end, start_at) {
            (Some(end), _) => end.offset,
            (None, StartAt::End) => metadata.len(),
            (None, StartAt::Beginning) => 0,
        };
        let Ok(segment) = Segment::raw(file, offset) else { return Ok(()) };
        let position = segment.position(&[]);
        if self.tails.len() >= self.config.open_files_max {
            self.waiting.push_back((path, Some(position)));
            return Ok(());
        }
        let tail = Tail::new(&path, self.config, VecDeque::from([segment]), None);
        // Known from now on, so that a restart goes on from here.
        tail.commit(self.emitter)?;
        self.tails.insert(path, tail);
        Ok(())
    }

    /// Goes on where a position says.
    fn follow(&mut self, path: PathBuf, position: Option<Position>) -> Result<(), Stopped> {
        let Some(position) = position else { return Ok(()) };
        if self.tails.len() >= self.config.open_files_max {
            self.waiting.push_back((path, Some(position)));
            return Ok(());
        }
        let chain = chain::resume(&path, &position);
        if chain.lost {
            self.emitter.metrics.possible_loss("gone");
        }
        if chain.parts.is_empty() {
            let key = paths::escape(&path);
            return self.emitter.send(Observation::Checkpoint(Checkpoint { key, position: Value::Null }));
        }
        let begun = (!chain.lost).then_some(position);
        self.tails.insert(path.clone(), Tail::new(&path, self.config, chain.parts, begun));
        Ok(())
    }

    /// Files that have nothing to tell make room for others.
    fn take_turns(&mut self) -> Result<(), Stopped> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let room = self.config.open_files_max.saturating_sub(self.tails.len());
        let idle: Vec<(PathBuf, Position)> = self
            .tails
            .iter()
            .filter(|(_, tail)| tail.lag() == 0)
            .filter_map(|(path, tail)| Some((path.clone(), tail.rest()?)))
            .take(self.waiting.len().saturating_sub(room))
            .collect();
        let turns = (room + idle.len()).min(self.waiting.len());
        for (path, position) in idle {
            self.tails.remove(&path);
            self.waiting.push_back((path, Some(position)));
        }
        for _ in 0..turns {
            if let Some((path, position)) = self.waiting.pop_front() {
                self.follow(path, position)?;
            }
        }
        Ok(())
    }

    /// Gives each file its turn; false if none had anything to tell.
    fn read(&mut self) -> Result<bool, Stopped> {
        let mut busy = false;
        let mut gone = Vec::new();
        for (path, tail) in &mut self.tails {
            match tail.turn(self.config, self.emitter, &mut self.buffer)? {
                Turn::Busy => busy = true,
                Turn::Idle => {}
                Turn::Gone(last) => gone.push((path.clone(), last)),
            }
        }
        for (path, last) in gone {
            self.tails.remove(&path);
            if let Some(last) = last {
                if self.ends.len() >= ENDS_MAX {
                    self.ends.pop_first();
                }
                self.ends.insert((last.dev, last.inode), last);
            }
        }
        Ok(busy)
    }

    fn sleep(&self) {
        let until = Instant::now() + Duration::from_millis(self.config.poll_millis);
        while !self.emitter.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    fn report(&self) {
        self.emitter.metrics.lag_bytes(self.tails.values().map(Tail::lag).sum());
        let files = self.tails.len() + self.waiting.len();
        self.emitter.status.change(|state| {
            state.watched = files as u64;
            state.last_success = Some(clock::now());
            state.notes.clear();
            state.blind.clear();
            if !self.waiting.is_empty() {
                let text = format!(
                    "{files} files take turns at {} places; raise `open_files_max`",
                    self.config.open_files_max
                );
                state.notes.insert("open_files_max".to_owned(), text);
            }
            if files == 0 {
                state.notes.insert("no_files".to_owned(), "no file matches `paths` yet".to_owned());
            }
            if files >= self.config.files_max {
                let text =
                    format!("more than {} files match; raise `files_max` or narrow `paths`", self.config.files_max);
                state.blind.insert("files_max".to_owned(), text);
            }
            if let Some(path) = self.unreadable.as_deref().filter(|path| Path::exists(path)) {
                let text = format!("`{}` cannot be read; give the agent permission, or exclude it", path.display());
                state.blind.insert("unreadable".to_owned(), text);
            }
        });
    }
}
