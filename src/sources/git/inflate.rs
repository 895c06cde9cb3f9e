//! Objects on their way: unpacked into memory while they are small, into a file without a name else.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use flate2::bufread::ZlibDecoder;

use super::files::{Fault, Patience};

/// Larger objects are kept in files.
const MEMORY_MAX: u64 = 4 << 20;
const BLOCK: usize = 64 << 10;

/// Bytes of one object.
pub enum Held {
    Memory(Vec<u8>),
    File(File, u64),
}

impl Held {
    /// Room for so many bytes.
    pub fn of(size: u64) -> Result<Self, Fault> {
        if size <= MEMORY_MAX {
            return Ok(Self::Memory(Vec::new()));
        }
        tempfile::tempfile().map(|file| Self::File(file, 0)).map_err(|error| no_room(&error))
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Memory(held) => held.extend_from_slice(bytes),
            Self::File(file, size) => {
                file.write_all(bytes).map_err(|error| no_room(&error))?;
                *size += bytes.len() as u64;
            }
        }
        Ok(())
    }

    pub const fn len(&self) -> u64 {
        match self {
            Self::Memory(held) => held.len() as u64,
            Self::File(_, size) => *size,
        }
    }

    /// Hands on a stretch; false if it is not all there.
    pub fn copy(
        &self,
        offset: u64,
        length: u64,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        let Some(end) = offset.checked_add(length).filter(|end| *end <= self.len()) else { return Ok(false) };
        match self {
            Self::Memory(held) => {
                let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
                let Some(bytes) = range.and_then(|(start, end)| held.get(start..end)) else { return Ok(false) };
                take(bytes)?;
            }
            Self::File(file, _) => {
                let mut buffer = vec![0; BLOCK.min(usize::try_from(length).unwrap_or(BLOCK))];
                let mut at = offset;
                while at < end {
                    let wanted = usize::try_from(end - at).unwrap_or(BLOCK).min(buffer.len());
                    let Some(window) = buffer.get_mut(..wanted) else { return Ok(false) };
                    file.read_exact_at(window, at).map_err(|error| no_room(&error))?;
                    take(window)?;
                    at += wanted as u64;
                }
            }
        }
        Ok(true)
    }

    /// All bytes as a file.
    pub fn into_file(self) -> Result<File, Fault> {
        let mut file = match self {
            Self::File(file, _) => file,
            Self::Memory(held) => {
                let mut file = tempfile::tempfile().map_err(|error| no_room(&error))?;
                file.write_all(&held).map_err(|error| no_room(&error))?;
                file
            }
        };
        file.seek(SeekFrom::Start(0)).map_err(|error| no_room(&error))?;
        Ok(file)
    }

    /// All bytes; for what was bounded before.
    pub fn into_memory(self) -> Result<Vec<u8>, Fault> {
        if let Self::Memory(held) = self {
            return Ok(held);
        }
        let mut bytes = Vec::new();
        self.copy(0, self.len(), &mut |block| {
            bytes.extend_from_slice(block);
            Ok(())
        })?;
        Ok(bytes)
    }
}

fn no_room(error: &io::Error) -> Fault {
    Fault::Failed { path: std::env::temp_dir(), why: error.to_string() }
}

/// A file from a place on, read without a position of its own.
struct From<'f> {
    file: &'f File,
    at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A stream of zlib in a file.
pub struct Stream<'f>(ZlibDecoder<BufReader<From<'f>>>);

impl<'f> Stream<'f> {
    pub fn new(file: &'f File, offset: u64) -> Self {
        Self(ZlibDecoder::new(BufReader::with_capacity(8 << 10, From { file, at: offset })))
    }

    /// As many bytes as there are, up to the length of the buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(filled)
    }

    pub fn byte(&mut self) -> Result<u8, Fault> {
        let mut byte = [0];
        if self.fill(&mut byte)? == 1 { Ok(byte[0]) } else { Err(cut_off()) }
    }

    /// Hands on exactly so many bytes.
    pub fn copy(
        &mut self,
        mut left: u64,
        patience: &Patience,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut buffer = vec![0; BLOCK.min(usize::try_from(left).unwrap_or(BLOCK))];
        while left > 0 {
            patience.check()?;
            let wanted = usize::try_from(left).unwrap_or(BLOCK).min(buffer.len());
            let window = buffer.get_mut(..wanted).unwrap_or_default();
            if self.fill(window)? < wanted {
                return Err(cut_off());
            }
            take(window)?;
            left -= wanted as u64;
        }
        Ok(())
    }

    /// Nothing may follow: an object has the size that it says.
    pub fn end(&mut self) -> Result<(), Fault> {
        if self.fill(&mut [0])? == 0 {
            return Ok(());
        }
        Err(Fault::Corrupt("an object is larger than it says".to_owned()))
    }
}

fn broken(error: &io::Error) -> Fault {
    Fault::Corrupt(format!("an object cannot be unpacked ({error})"))
}

pub fn cut_off() -> Fault {
    Fault::Corrupt("an object breaks off".to_owned())
}
