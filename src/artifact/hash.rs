//! One pass over all bytes: the digest of the whole and of each segment, and what lies in their midst.

use std::io;

use sha2::Digest as _;

use super::search::{Found, Search};
use super::weights::{self, Measurer};
use super::{Bytes, Hashed, Segment};
use crate::event::Sha256;

/// Bytes read at once: large enough for full speed, small enough to stay in the cache.
const CHUNK: usize = 256 << 10;

/// Reads everything once, in order: SHA-256 of the whole, BLAKE3 of each segment, programs and
/// pickles anywhere. `None` when
/// `stop` said so in between. Segments may overlap; one that lies outside gets no digest.
pub fn hash(bytes: &dyn Bytes, segments: Vec<Segment>, stop: &dyn Fn() -> bool) -> io::Result<Option<Hashed>> {
    hash_with(bytes, segments, None, stop)
}

/// The same; with options, tensors are measured as well, for about a fifth more time.
pub fn hash_with(
    bytes: &dyn Bytes,
    segments: Vec<Segment>,
    measure: Option<&weights::Options>,
    stop: &dyn Fn() -> bool,
) -> io::Result<Option<Hashed>> {
    let mut sha256 = sha2::Sha256::new();
    let mut search = Search::default();
    let mut parts = match measure {
        Some(options) => Tensors::Measured(Box::new(Measurer::new(segments, options))),
        None => Tensors::Digested(Parts::new(segments)),
    };
    let mut buffer = vec![0; CHUNK];
    let mut position = 0_u64;
    loop {
        if stop() {
            return Ok(None);
        }
        let count = match bytes.read_at(position, &mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let chunk = buffer.get(..count).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        sha256.update(chunk);
        search.update(chunk);
        match &mut parts {
            Tensors::Digested(parts) => parts.update(position, chunk),
            Tensors::Measured(measurer) => measurer.update(position, chunk),
        }
        position = position.saturating_add(count as u64);
    }
    let (segments, measured) = match parts {
        Tensors::Measured(measurer) => {
            let (segments, measured) = measurer.finish(position);
            (segments, Some(measured))
        }
        Tensors::Digested(parts) => (parts.finish(position), None),
    };
    let sha256 = Sha256::from_bytes(sha256.finalize().into());
    let found = Found { sha256: Some(sha256), ..search.finish() };
    Ok(Some(Hashed { sha256, size: position, segments, found, measured }))
}

/// Where the bytes of tensors go.
enum Tensors {
    Digested(Parts),
    Measured(Box<Measurer>),
}

/// SHA-256 of everything, and nothing else; `None` when `stop` said so in between.
pub fn digest_of(bytes: &dyn Bytes, stop: &dyn Fn() -> bool) -> io::Result<Option<Sha256>> {
    let mut sha256 = sha2::Sha256::new();
    let length = bytes.len();
    // One byte more than there should be: a small file and its end are read in one go.
    let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK).saturating_add(1))];
    let mut position = 0_u64;
    loop {
        if stop() {
            return Ok(None);
        }
        match bytes.read_at(position, &mut buffer) {
            Ok(0) => return Ok(Some(Sha256::from_bytes(sha256.finalize().into()))),
            Ok(count) => {
                sha256.update(buffer.get(..count).unwrap_or_default());
                position = position.saturating_add(count as u64);
                if position == length && count < buffer.len() {
                    return Ok(Some(Sha256::from_bytes(sha256.finalize().into())));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The segments with those of their hashers that are under way.
struct Parts {
    segments: Vec<Segment>,
    /// Indices in order of start, not begun yet, the next one last.
    waiting: Vec<usize>,
    open: Vec<(usize, blake3::Hasher)>,
}

impl Parts {
    fn new(segments: Vec<Segment>) -> Self {
        let mut waiting: Vec<usize> = (0..segments.len()).collect();
        waiting.sort_by_key(|index| segments.get(*index).map(|segment| std::cmp::Reverse(segment.start)));
        Self { segments, waiting, open: Vec::new() }
    }

    fn update(&mut self, position: u64, chunk: &[u8]) {
        let end = position.saturating_add(chunk.len() as u64);
        while let Some(next) = self.waiting.last().copied() {
            if self.segments.get(next).is_none_or(|segment| segment.start >= end) {
                break;
            }
            self.waiting.pop();
            self.open.push((next, blake3::Hasher::new()));
        }
        let segments = &mut self.segments;
        self.open.retain_mut(|(index, hasher)| {
            let Some(segment) = segments.get_mut(*index) else { return false };
            let from = usize::try_from(segment.start.saturating_sub(position)).unwrap_or(usize::MAX);
            let to = usize::try_from(segment.end.saturating_sub(position)).unwrap_or(usize::MAX).min(chunk.len());
            hasher.update(chunk.get(from..to).unwrap_or_default());
            if segment.end <= end {
                segment.digest = Some(hasher.finalize().to_hex().to_string());
            }
            segment.end > end
        });
    }

    /// Empty segments need no bytes, so they are digested here.
    fn finish(mut self, size: u64) -> Vec<Segment> {
        for segment in &mut self.segments {
            if segment.digest.is_none() && segment.start == segment.end && segment.end <= size {
                segment.digest = Some(blake3::hash(b"").to_hex().to_string());
            }
        }
        self.segments
    }
}
