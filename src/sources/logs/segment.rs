//! One file of a log: the current one, an older part, or an older part that was compressed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::chain::Age;
use super::join::Partial;
use super::position::{GUARD_BYTES, HEAD_BYTES, Position, Print, head, read_at};

pub struct Segment {
    pub dev: u64,
    pub inode: u64,
    bytes: Source,
    /// Bytes read so far.
    pub offset: u64,
    head: Print,
    /// The last bytes before `offset`.
    recent: Vec<u8>,
    /// Time of the last write before the last look.
    modified: (i64, i64),
}

enum Source {
    Raw(File),
    /// Inflates as it goes; there is no way back.
    Gzip(Box<MultiGzDecoder<File>>),
}

/// What a look at a file shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// This many bytes were read.
    Read(usize),
    End,
    /// The file is shorter, or other, than what was read of it.
    Truncated,
}

/// Opens without waiting for anything.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file =
        std::fs::OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0)).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, metadata))
}

impl Segment {
    /// A file from an offset on.
    pub fn raw(file: File, offset: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let recent = guard_before(&file, offset)?;
        let head = Print::of(&head(&file)?);
        Ok(Self {
            dev: metadata.dev(),
            inode: metadata.ino(),
            bytes: Source::Raw(file),
            offset,
            head,
            recent,
            modified: (0, 0),
        })
    }

    /// A compressed file, whole.
    pub fn gzip(file: File, metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            inode: metadata.ino(),
            bytes: Source::Gzip(Box::new(MultiGzDecoder::new(file))),
            offset: 0,
            head: Print::of(&[]),
            recent: Vec::new(),
            modified: (0, 0),
        }
    }

    /// Whether this compressed file begins like the one of a position.
    pub fn gzip_begins_like(file: File, position: &Position) -> bool {
        let mut start = vec![0; usize::try_from(position.head.length).unwrap_or(usize::MAX).min(HEAD_BYTES)];
        let read = fill(&mut MultiGzDecoder::new(file), &mut start).unwrap_or(0);
        start.truncate(read);
        position.head.length > 0 && position.head_fits(&start)
    }

    /// Reads up to a position in the compressed form of the file that it speaks of. False if it is
    /// another file.
    pub fn catch_up(&mut self, position: &Position) -> bool {
        let mut chunk = vec![0; 64 << 10];
        while self.offset < position.offset {
            let want = usize::try_from(position.offset - self.offset).unwrap_or(usize::MAX).min(chunk.len());
            match self.read(chunk.get_mut(..want).unwrap_or_default()) {
                Ok(Look::Read(read)) => self.advance(chunk.get(..read).unwrap_or_default()),
                Ok(Look::End | Look::Truncated) | Err(_) => return false,
            }
        }
        // What is committed from now on is to be found again by the name of the raw file.
        (self.dev, self.inode, self.head) = (position.dev, position.inode, position.head);
        position.guard == Print::of(&self.recent)
    }

    /// Reads on. A file that was cut and grew again is noticed by the bytes before.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Look> {
        let read = match &mut self.bytes {
            Source::Gzip(inflated) => fill(inflated, buffer)?,
            Source::Raw(file) => {
                let metadata = file.metadata()?;
                let size = metadata.len();
                if size < self.offset {
                    return Ok(Look::Truncated);
                }
                let modified = (metadata.mtime(), metadata.mtime_nsec());
                if size == self.offset && self.modified == modified {
                    return Ok(Look::End);
                }
                if guard_before(file, self.offset)? != self.recent {
                    return Ok(Look::Truncated);
                }
                self.modified = modified;
                if size == self.offset {
                    return Ok(Look::End);
                }
                if self.head.length < HEAD_BYTES as u64 {
                    self.head = Print::of(&head(file)?);
                }
                file.read_at(buffer, self.offset)?
            }
        };
        Ok(if read == 0 { Look::End } else { Look::Read(read) })
    }

    /// Counts bytes as read.
    pub fn advance(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        keep_recent(&mut self.recent, bytes);
        trim(&mut self.recent);
    }

    /// Begins anew, after the file was cut to nothing.
    pub fn rewind(&mut self) {
        self.offset = 0;
        self.recent.clear();
        if let Source::Raw(file) = &self.bytes {
            self.head = head(file).map(|bytes| Print::of(&bytes)).unwrap_or_default();
        }
    }

    /// Bytes that are there and not read.
    pub fn lag(&self) -> u64 {
        match &self.bytes {
            Source::Raw(file) => file.metadata().map_or(0, |metadata| metadata.len().saturating_sub(self.offset)),
            Source::Gzip(_) => 0,
        }
    }

    /// `None` for what is compressed, or cannot be told.
    pub fn age(&self) -> Option<Age> {
        match &self.bytes {
            Source::Raw(file) => file.metadata().ok().map(|metadata| Age::of(&metadata, false)),
            Source::Gzip(_) => None,
        }
    }

    pub fn position(&self, partials: &[Partial]) -> Position {
        Position {
            dev: self.dev,
            inode: self.inode,
            offset: self.offset,
            head: self.head,
            guard: Print::of(&self.recent),
            partials: partials.to_vec(),
        }
    }
}

fn guard_before(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(offset).unwrap_or(usize::MAX).min(GUARD_BYTES);
    read_at(file, offset - length as u64, length)
}

fn keep_recent(recent: &mut Vec<u8>, bytes: &[u8]) {
    let tail = bytes.get(bytes.len().saturating_sub(GUARD_BYTES)..).unwrap_or_default();
    trim(recent);
    recent.extend_from_slice(tail);
}

fn trim(recent: &mut Vec<u8>) {
    recent.drain(..recent.len().saturating_sub(GUARD_BYTES));
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What is not there yet is no text.
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
