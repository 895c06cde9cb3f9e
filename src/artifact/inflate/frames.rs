//! Frames of Zstandard and LZ4 one behind another, as both formats allow and their tools unpack them: what lies
//! in the second frame is a part of the content as well.

use std::io::{self, BufReader, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::artifact::input::Stream;

/// Frames without content in a row.
const EMPTY_MAX: u32 = 4096;
/// How frames begin; LZ4 has an old one, too.
const ZSTD: [[u8; 4]; 1] = [[0x28, 0xb5, 0x2f, 0xfd]];
const LZ4: [[u8; 4]; 2] = [[0x04, 0x22, 0x4d, 0x18], [0x02, 0x21, 0x4c, 0x18]];

/// Steps over frames that are to be skipped; true when a frame of content follows. Whatever else follows is no part
/// of the stream.
fn follows(source: &mut BufReader<Stream<'_>>, marks: &[[u8; 4]]) -> io::Result<bool> {
    loop {
        let mut head = [0; 8];
        let mut count = 0_usize;
        while let Some(rest) = head.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match source.read(rest)? {
                0 => break,
                more => count = count.saturating_add(more),
            }
        }
        let (mark, length) = head.split_at_checked(4).unwrap_or_default();
        if count < head.len() || !matches!(mark, [0x50..=0x5f, 0x2a, 0x4d, 0x18]) {
            source.seek_relative(-i64::try_from(count).unwrap_or(0))?;
            return Ok(count > 4 && marks.iter().any(|known| known == mark));
        }
        let length = <[u8; 4]>::try_from(length).map_or(0, u32::from_le_bytes);
        source.seek_relative(i64::from(length))?;
    }
}

/// A reader of all frames of Zstandard.
pub struct Zstd<'a> {
    source: BufReader<Stream<'a>>,
    decoder: FrameDecoder,
    open: bool,
}

impl<'a> Zstd<'a> {
    pub fn new(mut source: BufReader<Stream<'a>>) -> io::Result<Self> {
        let mut decoder = FrameDecoder::new();
        follows(&mut source, &ZSTD)?;
        decoder.init(&mut source).map_err(io::Error::other)?;
        Ok(Self { source, decoder, open: true })
    }
}

impl Read for Zstd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..EMPTY_MAX {
            if self.open {
                while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
                }
                let count = self.decoder.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.open = false;
            }
            if !follows(&mut self.source, &ZSTD)? {
                return Ok(0);
            }
            self.decoder.init(&mut self.source).map_err(io::Error::other)?;
            self.open = true;
        }
        Err(io::Error::other("a stream of frames without content"))
    }
}

/// A reader of all frames of LZ4.
pub struct Lz4<'a>(lz4_flex::frame::FrameDecoder<BufReader<Stream<'a>>>);

impl<'a> Lz4<'a> {
    pub fn new(mut source: BufReader<Stream<'a>>) -> io::Result<Self> {
        follows(&mut source, &LZ4)?;
        Ok(Self(lz4_flex::frame::FrameDecoder::new(source)))
    }
}

impl Read for Lz4<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..EMPTY_MAX {
            let count = self.0.read(buffer)?;
            if count > 0 || buffer.is_empty() || !follows(self.0.get_mut(), &LZ4)? {
                return Ok(count);
            }
        }
        Err(io::Error::other("a stream of frames without content"))
    }
}
