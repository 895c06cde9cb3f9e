//! Follows one log through its rotations.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::chain;
use super::formats::{detect, unwrap};
use super::join::Join;
use super::lines::{Builder, Raw, clean};
use super::position::Position;
use super::segment::{Look, Segment, open};
use super::{Config, Format, place};
use crate::event::json;
use crate::event::subject::SubjectKind;
use crate::event::{Fields, Place, Subject, Value};
use crate::sources::emit::{Emitter, Stopped};
use crate::sources::filesystem::paths;
use crate::sources::{Checkpoint, Line, Observation};

/// Bytes read at once, and how often in one turn: no log may keep the others waiting.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS_MAX: usize = 16;
/// Members of a JSON line that are kept.
const MEMBERS_MAX: usize = 64;

pub struct Tail {
    path: PathBuf,
    key: String,
    place: Place,
    subject: Subject,
    format: Format,
    /// Parts to be read, oldest first; the last is the one to which is written.
    parts: VecDeque<Segment>,
    builder: Builder,
    join: Join,
    /// Since when the path leads to another file, or to none.
    moved: Option<Instant>,
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// There may be more.
    Busy,
    Idle,
    /// The file is gone and was read to its end.
    Gone(Option<Position>),
}

impl Tail {
    pub fn new(path: &Path, config: &Config, parts: VecDeque<Segment>, position: Option<Position>) -> Self {
        let key = paths::escape(path);
        let (place, job) = place::of(path, &key);
        Self {
            path: path.to_owned(),
            key,
            place,
            subject: Subject::new(SubjectKind::Job, job),
            format: config.format,
            parts,
            builder: Builder::default(),
            join: Join::resume(position.map(|position| position.partials).unwrap_or_default()),
            moved: None,
        }
    }

    pub fn holds(&self, inode: (u64, u64)) -> bool {
        self.parts.iter().any(|part| (part.dev, part.inode) == inode)
    }

    pub fn lag(&self) -> u64 {
        self.parts.iter().map(Segment::lag).sum()
    }

    /// The position, if nothing is begun that it would not hold.
    pub fn rest(&self) -> Option<Position> {
        let whole = self.builder.is_empty() && self.parts.len() == 1 && self.moved.is_none();
        self.position().filter(|_| whole)
    }

    fn position(&self) -> Option<Position> {
        self.parts.front().map(|part| part.position(self.join.partials()))
    }

    /// Commits the position without a line.
    pub fn commit(&self, emitter: &Emitter) -> Result<(), Stopped> {
        let Some(position) = self.position() else { return Ok(()) };
        emitter.send(Observation::Checkpoint(self.checkpoint(&position)))
    }

    /// Reads what there is, up to a bound.
    pub fn turn(&mut self, config: &Config, emitter: &Emitter, buffer: &mut Vec<u8>) -> Result<Turn, Stopped> {
        buffer.resize(CHUNK_BYTES, 0);
        for _ in 0..CHUNKS_MAX {
            let Some(part) = self.parts.front_mut() else { return Ok(Turn::Gone(None)) };
            match part.read(buffer) {
                Ok(Look::Read(read)) => {
                    let chunk = std::mem::take(buffer);
                    let told = self.split(chunk.get(..read).unwrap_or_default(), config, emitter);
                    *buffer = chunk;
                    told?;
                }
                Ok(Look::Truncated) => self.truncated(config, emitter)?,
                Ok(Look::End) if self.parts.len() > 1 => self.next_part(config, emitter)?,
                Ok(Look::End) => return self.at_end(config, emitter),
                Err(_) => {
                    emitter.metrics.error("transient");
                    if self.parts.len() == 1 {
                        return self.at_end(config, emitter);
                    }
                    // A broken older part: what is left of it cannot be read.
                    emitter.metrics.possible_loss("rotated");
                    self.next_part(config, emitter)?;
                }
            }
        }
        Ok(Turn::Busy)
    }

    fn split(&mut self, mut chunk: &[u8], config: &Config, emitter: &Emitter) -> Result<(), Stopped> {
        let mut lines = 0;
        while !chunk.is_empty() {
            let (taken, line) = self.builder.take(chunk, config.line_bytes_max);
            let (used, rest) = chunk.split_at(taken);
            if let Some(part) = self.parts.front_mut() {
                part.advance(used);
            }
            chunk = rest;
            if let Some(raw) = line {
                lines += 1;
                self.tell(&raw, config, emitter)?;
            }
        }
        emitter.metrics.lines(lines);
        Ok(())
    }

    fn tell(&mut self, raw: &Raw, config: &Config, emitter: &Emitter) -> Result<(), Stopped> {
        if raw.hole {
            emitter.metrics.dropped("decode");
        }
        if raw.bytes.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&raw.bytes);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        if self.format == Format::Auto {
            self.format = detect(text);
        }
        let message = unwrap(self.format, text);
        let stream = message.stream.unwrap_or_default();
        let Some((whole, cut)) = self.join.add(stream, &message.text, message.partial, config.line_bytes_max) else {
            return Ok(());
        };
        self.send(&whole, message.time, message.stream, cut || raw.shortened, emitter)
    }

    fn send(
        &self,
        text: &str,
        time: Option<jiff::Timestamp>,
        stream: Option<&'static str>,
        shortened: bool,
        emitter: &Emitter,
    ) -> Result<(), Stopped> {
        let text = clean(text).into_owned();
        let Some(position) = self.position().filter(|_| !text.is_empty()) else { return Ok(()) };
        if shortened {
            emitter.metrics.line_shortened();
        }
        let mut attributes = Fields::from([("log.file.path".to_owned(), Value::from(self.key.as_str()))]);
        if let Some(stream) = stream {
            attributes.insert("log.iostream".to_owned(), stream.into());
        }
        if shortened {
            attributes.insert("log.shortened".to_owned(), true.into());
        }
        members(&text, &mut attributes);
        emitter.send(Observation::Line(Line {
            text,
            time,
            subject: self.subject.clone(),
            place: self.place.clone(),
            product: match self.format {
                Format::Cri => "kubernetes",
                Format::Docker => "docker",
                Format::Auto | Format::Plain => "file",
            },
            attributes,
            checkpoint: self.checkpoint(&position),
        }))
    }

    fn checkpoint(&self, position: &Position) -> Checkpoint {
        let position = serde_json::to_value(position).expect("numbers and texts are always JSON");
        Checkpoint { key: self.key.clone(), position }
    }

    /// What is begun will never be ended: it is told as it is.
    fn flush(&mut self, config: &Config, emitter: &Emitter) -> Result<(), Stopped> {
        if !self.builder.is_empty() {
            let raw = self.builder.finish();
            emitter.metrics.lines(1);
            self.tell(&raw, config, emitter)?;
        }
        Ok(())
    }

    fn flush_partials(&mut self, emitter: &Emitter) -> Result<(), Stopped> {
        for partial in self.join.take_all() {
            let stream = ["stdout", "stderr"].into_iter().find(|name| *name == partial.stream);
            self.send(&partial.text, None, stream, partial.shortened, emitter)?;
        }
        Ok(())
    }

    /// The file is shorter than what was read of it, or other: it was copied and cut.
    fn truncated(&mut self, config: &Config, emitter: &Emitter) -> Result<(), Stopped> {
        // Whatever was written between the copy and the cut is nowhere.
        emitter.metrics.possible_loss("truncated");
        let copy = self.position().and_then(|position| chain::older(&self.path, &position));
        if copy.is_none() {
            self.flush(config, emitter)?;
            self.flush_partials(emitter)?;
        }
        if let Some(part) = self.parts.front_mut() {
            part.rewind();
        }
        if let Some((copy, _)) = copy {
            self.parts.push_front(copy);
            return Ok(());
        }
        self.commit(emitter)
    }

    /// The part is read to its end, and another follows.
    fn next_part(&mut self, config: &Config, emitter: &Emitter) -> Result<(), Stopped> {
        // A piece of a line in the container runtime's format may go on in the next part.
        self.flush(config, emitter)?;
        self.parts.pop_front();
        self.commit(emitter)
    }

    fn at_end(&mut self, config: &Config, emitter: &Emitter) -> Result<Turn, Stopped> {
        let Some(part) = self.parts.front() else { return Ok(Turn::Gone(None)) };
        let inode = (part.dev, part.inode);
        let found = self.path.metadata().ok().filter(std::fs::Metadata::is_file);
        if found.as_ref().is_some_and(|found| (found.dev(), found.ino()) == inode) {
            self.moved = None;
            return Ok(Turn::Idle);
        }
        // The writer may hold the old file open for a while. Once it writes to the new one, a last
        // look at the old one finds all that there will be.
        let Some(since) = self.moved else {
            self.moved = Some(Instant::now());
            return Ok(Turn::Idle);
        };
        let lingered = since.elapsed() >= Duration::from_millis(config.linger_millis);
        match found {
            Some(found) if found.len() > 0 || lingered => self.switch(),
            None if lingered => {
                self.flush(config, emitter)?;
                self.flush_partials(emitter)?;
                let last = self.position();
                emitter.send(Observation::Checkpoint(Checkpoint {
                    key: self.key.clone(),
                    position: serde_json::Value::Null,
                }))?;
                return Ok(Turn::Gone(last));
            }
            Some(_) | None => return Ok(Turn::Idle),
        }
        Ok(Turn::Busy)
    }

    /// Puts what came after the part that was moved behind it.
    fn switch(&mut self) {
        let (Some(part), Some(position)) = (self.parts.front(), self.position()) else { return };
        let Ok((file, metadata)) = open(&self.path) else { return };
        let mut newer =
            part.age().map_or_else(Vec::new, |age| chain::newer(&self.path, age, (part.dev, part.inode), &position));
        newer.retain(|part| (part.dev, part.inode) != (metadata.dev(), metadata.ino()));
        self.parts.extend(newer);
        self.parts.extend(Segment::raw(file, 0).ok());
        self.moved = None;
    }
}

/// Top-level members of a JSON line.
fn members(text: &str, attributes: &mut Fields) {
    if !text.starts_with('{') {
        return;
    }
    let Ok(members) = json::fields(text.as_bytes()) else { return };
    let level = ["level", "severity", "levelname", "lvl"].iter().find_map(|name| members.get(*name)?.as_text());
    if let Some(level) = level {
        attributes.insert("log.level".to_owned(), level.to_lowercase().into());
    }
    for (name, value) in members.into_iter().take(MEMBERS_MAX) {
        attributes.insert(format!("log.json.{name}"), value);
    }
}
