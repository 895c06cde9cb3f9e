//! Bytes within a budget: the only way in which a format reads.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::search::{Hit, HitKind};
use super::{Bytes, Limits};

/// Bytes held in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory(pub Vec<u8>);

impl Bytes for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }
}

/// A local file, read by position.
#[derive(Debug)]
pub struct FileBytes {
    file: File,
    len: u64,
}

impl FileBytes {
    pub fn open(path: &Path) -> io::Result<Self> {
        let (file, metadata) = crate::base::files::open_regular(path)?;
        Ok(Self { file, len: metadata.len() })
    }

    /// A file that is open already.
    pub fn of(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }
}

impl Bytes for FileBytes {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

/// Why a store does not give bytes that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// As much was fetched as may be.
    Spent,
    /// The time is over.
    Late,
    /// It failed.
    Unreadable,
}

impl Withheld {
    /// The limit that was reached.
    pub const fn limit(self) -> Option<&'static str> {
        match self {
            Self::Spent => Some("parts_bytes_max"),
            Self::Late => Some("timeout"),
            Self::Unreadable => None,
        }
    }
}

/// The first reason, also where a decoder reads and knows of no budget.
#[derive(Debug, Clone, Default)]
struct Watch(Arc<OnceLock<Withheld>>);

/// Bytes that are fetched as they are read, and what of them did not come.
pub struct Fetched<'b> {
    bytes: &'b dyn Bytes,
    watch: Watch,
}

impl<'b> Fetched<'b> {
    pub fn new(bytes: &'b dyn Bytes, budget: &Budget) -> Self {
        Self { bytes, watch: budget.fetched.clone() }
    }
}

impl Bytes for Fetched<'_> {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read_at(offset, buffer).inspect_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::Interrupted => return,
                io::ErrorKind::QuotaExceeded => Withheld::Spent,
                io::ErrorKind::TimedOut => Withheld::Late,
                _ => Withheld::Unreadable,
            };
            self.watch.0.get_or_init(|| why);
        })
    }
}

/// What one inspection has used so far; shared by everything that reads for it.
#[derive(Debug)]
pub struct Budget {
    pub limits: Limits,
    pub read: Cell<u64>,
    pub inflated: Cell<u64>,
    pub members: Cell<u32>,
    pub opcodes: Cell<u64>,
    /// What ran out, by name of the limit.
    pub exhausted: Cell<Option<&'static str>>,
    /// The store failed to give bytes that it had promised.
    pub unreadable: Cell<bool>,
    /// Why bytes that are fetched as they are read do not come any more.
    fetched: Watch,
    /// The time is over: nothing more is read.
    stopped: Cell<bool>,
    /// How often something was spent: not every time is whoever may stop it asked.
    spent: Cell<u32>,
}

/// Small things spent between two questions whether to stop.
const STOP_EVERY: u32 = 1024;

/// Spending so much at once is always worth the question.
const STOP_BYTES: u64 = 64 << 10;

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            read: Cell::new(0),
            inflated: Cell::new(0),
            members: Cell::new(0),
            opcodes: Cell::new(0),
            exhausted: Cell::new(None),
            unreadable: Cell::new(false),
            fetched: Watch::default(),
            stopped: Cell::new(false),
            spent: Cell::new(0),
        }
    }

    /// What the store did not give of bytes that it has.
    pub fn withheld(&self) -> Option<Withheld> {
        if self.unreadable.get() { Some(Withheld::Unreadable) } else { self.fetched.0.get().copied() }
    }

    /// Whether reading ends before the bytes do.
    pub fn is_cut_off(&self) -> bool {
        self.withheld().is_some() || self.exhausted.get() == Some("read_bytes_max")
    }

    /// Takes `count` from what is left of a limit; false, and remembered, when it is used up.
    pub fn spend(&self, used: &Cell<u64>, max: u64, count: u64, name: &'static str) -> bool {
        let spent = self.spent.get().wrapping_add(1);
        self.spent.set(spent);
        if (count >= STOP_BYTES || spent.is_multiple_of(STOP_EVERY)) && self.limits.stop.now() {
            self.stopped.set(true);
        }
        if self.stopped.get() {
            self.exhausted.set(Some("timeout"));
            return false;
        }
        let total = used.get().saturating_add(count);
        if total > max {
            self.exhausted.set(Some(name));
            return false;
        }
        used.set(total);
        true
    }

    /// Counts one member of a container.
    pub fn member(&self) -> bool {
        let count = self.members.get().saturating_add(1);
        self.members.set(count);
        if count > self.limits.members_max {
            self.exhausted.set(Some("members_max"));
        }
        count <= self.limits.members_max
    }

    /// Largest thing held in memory at once.
    pub fn item_max(&self) -> usize {
        usize::try_from(self.limits.item_bytes_max).unwrap_or(usize::MAX)
    }
}

/// A stretch of bytes that a format may read.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    bytes: &'a dyn Bytes,
    start: u64,
    end: u64,
    /// What the pass over all of the bytes has found in their midst.
    hits: &'a [Hit],
    pub budget: &'a Budget,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a dyn Bytes, budget: &'a Budget) -> Self {
        Self { bytes, start: 0, end: bytes.len(), hits: &[], budget }
    }

    /// The same bytes with what was found in their midst.
    pub fn with_hits(self, hits: &'a [Hit]) -> Self {
        Self { hits, ..self }
    }

    /// Finds that begin in this part, with their offsets into it.
    pub fn hits(&self) -> impl Iterator<Item = (u64, HitKind)> + use<'a> {
        let (start, end) = (self.start, self.end);
        let within = self.hits.iter().filter(move |hit| (start..end).contains(&hit.offset));
        within.map(move |hit| (hit.offset.saturating_sub(start), hit.kind))
    }

    /// Where this part begins in what it is a part of.
    pub fn position(&self) -> u64 {
        self.start
    }

    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The part from `offset`, at most `len` bytes long.
    pub fn window(&self, offset: u64, len: u64) -> Input<'a> {
        let start = self.start.saturating_add(offset).min(self.end);
        Input { start, end: start.saturating_add(len).min(self.end), ..*self }
    }

    /// The same bytes, read at the cost of another budget: for trials.
    pub fn charged_to<'b>(&self, budget: &'b Budget) -> Input<'b>
    where
        'a: 'b,
    {
        Input { bytes: self.bytes, start: self.start, end: self.end, hits: self.hits, budget }
    }

    /// The part from `offset` to the end.
    pub fn from(&self, offset: u64) -> Input<'a> {
        self.window(offset, u64::MAX)
    }

    /// At most `len` bytes; fewer at the end, at the largest item, or when the budget is used up.
    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let available = self.len().saturating_sub(offset);
        let wanted = len.min(usize::try_from(available).unwrap_or(usize::MAX));
        let count = wanted.min(self.budget.item_max());
        if count < wanted {
            self.budget.exhausted.set(Some("item_bytes_max"));
        }
        let budget = self.budget;
        if count == 0 || !budget.spend(&budget.read, budget.limits.read_bytes_max, count as u64, "read_bytes_max") {
            return Vec::new();
        }
        let mut buffer = vec![0; count];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = self.start.saturating_add(offset).saturating_add(filled as u64);
            match self.bytes.read_at(at, rest) {
                Ok(0) => break,
                Ok(more) => filled = filled.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    // Of what is fetched, it is known why.
                    if budget.withheld().is_none() {
                        budget.unreadable.set(true);
                    }
                    break;
                }
            }
        }
        buffer.truncate(filled);
        buffer
    }

    /// Everything, or `None` when it is larger than one item may be.
    pub fn whole(&self) -> Option<Vec<u8>> {
        let len = usize::try_from(self.len()).ok()?;
        if len > self.budget.item_max() {
            self.budget.exhausted.set(Some("item_bytes_max"));
            return None;
        }
        let bytes = self.read(0, len);
        (bytes.len() == len).then_some(bytes)
    }
}

/// Sequential reading of an [`Input`], for decoders that want a stream. Whoever decodes counts
/// what comes out; what goes in can be no more than there is.
#[derive(Clone, Copy)]
pub struct Stream<'a> {
    bytes: &'a dyn Bytes,
    start: u64,
    position: u64,
    end: u64,
}

impl<'a> Stream<'a> {
    pub fn new(input: Input<'a>) -> Self {
        Self { bytes: input.bytes, start: input.start, position: input.start, end: input.end }
    }
}

impl io::Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let count = self.bytes.read_at(self.position, buffer)?;
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

/// Stepping over bytes costs no reading; beyond the end there is nothing.
impl io::Seek for Stream<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let target = match to {
            io::SeekFrom::Start(offset) => self.start.checked_add(offset),
            io::SeekFrom::End(distance) => self.end.checked_add_signed(distance),
            io::SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        match target.filter(|target| (self.start..=self.end).contains(target)) {
            Some(target) => {
                self.position = target;
                Ok(target.saturating_sub(self.start))
            }
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
    }
}
