//! Decompression within bounds: by ratio, by size, and without holding more than one item.

mod frames;

use std::io::{self, BufReader, Read};
use std::sync::{Mutex, PoisonError};

use super::Bytes;
use super::input::{Budget, Input, Stream};
use super::search::{Found, Search};

/// Output at which the ratio is looked at: small files may well be mostly zeros.
const RATIO_FROM: u64 = 32 << 20;
/// Output for each byte of input that no honest weights reach.
const RATIO_MAX: u64 = 200;
/// Memory that xz and LZMA may ask for.
const LZMA_MEMORY_MAX: u64 = 96 << 20;
const CHUNK: usize = 64 << 10;
/// How often decoding may begin again for somebody who reads backwards.
const RESTARTS_MAX: u32 = 8;

/// A compression that stands alone or inside a ZIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Deflate,
    Gzip,
    Zlib,
    Bzip2,
    Xz,
    Lzma,
    Lz4,
    Zstd,
}

/// A decompressed stream.
pub struct Unpacked<'a> {
    pub bytes: Box<dyn Bytes + 'a>,
    pub total: u64,
    /// CRC-32 of all of it.
    pub crc: u32,
    /// Programs and pickles in its midst.
    pub found: Found,
    /// Why it is not complete.
    pub fault: Option<Fault>,
}

impl Unpacked<'_> {
    pub fn input<'b>(&'b self, budget: &'b Budget) -> Input<'b> {
        Input::new(&*self.bytes, budget).with_hits(&self.found.hits)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The compressed bytes are broken or cut off.
    Corrupt,
    /// Far more comes out than goes in.
    Ratio,
    /// More comes out than one inspection may inflate.
    Size,
}

/// Decompresses once to learn the length, and keeps the bytes if they are no more than one item;
/// a longer stream is decoded again by whoever reads it.
pub fn unpack(input: Input<'_>, codec: Codec) -> Unpacked<'_> {
    let budget = input.budget;
    let mut held = Vec::new();
    let mut holding = true;
    let mut total = 0_u64;
    let mut crc = flate2::Crc::new();
    let mut search = Search::default();
    let mut fault = None;
    let mut buffer = vec![0; CHUNK];
    let Ok(mut decoder) = open(Stream::new(input), codec) else {
        let bytes = Box::new(super::Memory(held));
        return Unpacked { bytes, total, crc: 0, found: Found::default(), fault: Some(Fault::Corrupt) };
    };
    loop {
        let chunk = match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                fault = Some(Fault::Corrupt);
                break;
            }
        };
        total = total.saturating_add(chunk.len() as u64);
        crc.update(chunk);
        search.update(chunk);
        let spent =
            budget.spend(&budget.inflated, budget.limits.inflate_bytes_max, chunk.len() as u64, "inflate_bytes_max");
        if total > RATIO_FROM && total / RATIO_MAX > input.len() {
            fault = Some(Fault::Ratio);
            break;
        }
        if !spent {
            fault = Some(Fault::Size);
            break;
        }
        if holding && held.len().saturating_add(chunk.len()) <= budget.item_max() {
            held.extend_from_slice(chunk);
        } else {
            holding = false;
            held = Vec::new();
        }
    }
    drop(decoder);
    let bytes: Box<dyn Bytes> = if holding {
        Box::new(super::Memory(held))
    } else {
        Box::new(Decoded { source: Stream::new(input), codec, len: total, state: Mutex::new(State::default()) })
    };
    Unpacked { bytes, total, crc: crc.sum(), found: search.finish(), fault }
}

/// A short stream of zlib or gzip, whole; for what hides in texts.
pub fn small(input: Input<'_>) -> Option<Vec<u8>> {
    let head = input.read(0, 2);
    let codec = if head.starts_with(&[0x1f]) { Codec::Gzip } else { Codec::Zlib };
    let budget = input.budget;
    let mut bytes = Vec::new();
    let mut decoder = open(Stream::new(input), codec).ok()?;
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = decoder.read(&mut buffer) {
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let spent = budget.spend(&budget.inflated, budget.limits.inflate_bytes_max, count as u64, "inflate_bytes_max");
        if !spent || bytes.len() > budget.item_max() / 4 {
            break;
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// How a block without a frame was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    Lz4,
    Snappy,
}

/// A block without a frame, which is told to have so many bytes; `None` when it is broken, or more than one
/// item may be.
pub fn block(input: Input<'_>, kind: Block, size: u64) -> Option<Vec<u8>> {
    let budget = input.budget;
    let size = usize::try_from(size).ok().filter(|size| *size <= budget.item_max())?;
    let packed = input.whole()?;
    if !budget.spend(&budget.inflated, budget.limits.inflate_bytes_max, size as u64, "inflate_bytes_max") {
        return None;
    }
    match kind {
        Block::Lz4 => lz4_flex::block::decompress(&packed, size).ok(),
        // It says itself how long it is, before anything is made room for.
        Block::Snappy => {
            let length = snap::raw::decompress_len(&packed).ok().filter(|length| *length <= size)?;
            let mut bytes = vec![0; length];
            snap::raw::Decoder::new().decompress(&packed, &mut bytes).ok()?;
            Some(bytes)
        }
    }
}

fn open(source: Stream<'_>, codec: Codec) -> io::Result<Box<dyn Read + Send + '_>> {
    let source = BufReader::with_capacity(CHUNK, source);
    let lzma = |stream: Result<liblzma::stream::Stream, liblzma::stream::Error>| stream.map_err(io::Error::from);
    Ok(match codec {
        Codec::Deflate => Box::new(flate2::bufread::DeflateDecoder::new(source)),
        Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        Codec::Zlib => Box::new(flate2::bufread::ZlibDecoder::new(source)),
        Codec::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
        Codec::Xz => {
            let stream =
                lzma(liblzma::stream::Stream::new_stream_decoder(LZMA_MEMORY_MAX, liblzma::stream::CONCATENATED))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(source, stream))
        }
        Codec::Lzma => {
            let stream = lzma(liblzma::stream::Stream::new_lzma_decoder(LZMA_MEMORY_MAX))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(source, stream))
        }
        Codec::Lz4 => Box::new(frames::Lz4::new(source)?),
        Codec::Zstd => Box::new(frames::Zstd::new(source)?),
    })
}

/// A stream too long to hold: decoded on the way, from the beginning again when read backwards.
struct Decoded<'a> {
    source: Stream<'a>,
    codec: Codec,
    len: u64,
    state: Mutex<State<'a>>,
}

#[derive(Default)]
struct State<'a> {
    decoder: Option<Box<dyn Read + Send + 'a>>,
    /// The last bytes that came out, and the position behind them.
    window: Vec<u8>,
    end: u64,
    restarts: u32,
}

/// Bytes kept for reading back.
const WINDOW: usize = 1 << 20;

impl Bytes for Decoded<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.len || buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.decoder.is_none() || offset < state.end.saturating_sub(state.window.len() as u64) {
            state.restarts = state.restarts.saturating_add(1);
            if state.restarts > RESTARTS_MAX {
                return Err(io::Error::other("a long compressed stream is read backwards too often"));
            }
            state.decoder = Some(open(self.source, self.codec)?);
            state.window.clear();
            state.end = 0;
        }
        while state.end <= offset {
            if !state.advance()? {
                return Ok(0);
            }
        }
        let start = state.end.saturating_sub(state.window.len() as u64);
        let from = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
        let available = state.window.get(from..).unwrap_or_default();
        let count = available.len().min(buffer.len());
        for (to, byte) in buffer.iter_mut().zip(available) {
            *to = *byte;
        }
        Ok(count)
    }
}

impl State<'_> {
    fn advance(&mut self) -> io::Result<bool> {
        let Some(decoder) = &mut self.decoder else { return Ok(false) };
        if self.window.len() >= WINDOW.saturating_mul(2) {
            self.window.drain(..WINDOW);
        }
        let mut chunk = vec![0; CHUNK];
        let count = decoder.read(&mut chunk)?;
        self.window.extend_from_slice(chunk.get(..count).unwrap_or_default());
        self.end = self.end.saturating_add(count as u64);
        Ok(count > 0)
    }
}
