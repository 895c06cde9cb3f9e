//! Programs and pickles in the middle of other bytes, found in the pass that hashes them: weights are
//! read whole for their digest anyway, and something that lies behind their beginning is seen then or
//! never.
//!
//! A few literals are looked for with SIMD (Teddy); whatever begins like something is looked at
//! closely enough that random weights of any size hold none of it by chance.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use aho_corasick::packed::{Config, MatchKind, Searcher};

use super::format::{executable, pickle};
use crate::event::Sha256;

/// Bytes that are looked at behind the beginning of a find.
const LOOK: usize = 512;
/// Finds that are kept.
const HITS_MAX: usize = 1024;
/// Places that are looked at closely for pickles: some, and one more for each so many bytes. Whoever plants more of
/// them in numbers hides something, and is told of. What makes no sense after a few opcodes is not one of them: where
/// numbers are few values over and over, as quantised ones are, the same chance is met a million times.
const TRIES: u64 = 4096;
const BYTES_A_TRY: u64 = 64 << 10;
const CHANCE_OPCODES: usize = 8;

/// What lies in the middle of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Bytes from the beginning of the file.
    pub offset: u64,
    pub kind: HitKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitKind {
    /// A program, by the name of its format: `elf`, `pe`, `mach-o`.
    Program(&'static str),
    /// A pickle that imports.
    Pickle,
    /// The first line of a script: in numbers it is one, in texts it may well be a word.
    Script,
}

/// What a search has found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// In the order of their offsets.
    pub hits: Vec<Hit>,
    /// How many more there are than are kept or were looked at.
    pub more: u64,
    /// The digest of all bytes, where the same pass has made it.
    pub sha256: Option<Sha256>,
}

/// How a program or a pickle begins. Three bytes at least: shorter ones would be met at every turn.
const LITERALS: &[&[u8]] = &[
    b"\x7fELF",
    b"PE\0\0",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    // Pickles with a header: a frame, a global, a text, an empty container.
    b"\x80\x04\x95",
    b"\x80\x05\x95",
    b"\x80\x04\x8c",
    b"\x80\x05\x8c",
    b"\x80\x02c",
    b"\x80\x03c",
    b"\x80\x04c",
    b"\x80\x02(",
    b"\x80\x03(",
    b"\x80\x02}",
    b"\x80\x03}",
    b"\x80\x02]",
    b"\x80\x03]",
    // Those without: what nearly all that run something import.
    b"cos\n",
    b"cnt\n",
    b"cposix\n",
    b"csubprocess\n",
    b"cbuiltins\n",
    b"c__builtin__\n",
    b"(ios\n",
    b"(iposix\n",
    b"#!/bin/",
    b"#!/usr/",
];

static SEARCHER: LazyLock<Option<Searcher>> =
    LazyLock::new(|| Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(LITERALS).build());
/// For processors without the instructions that Teddy needs: ten times slower, and finds the same.
static AUTOMATON: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(LITERALS).ok());

/// Offsets at which a literal stands.
fn places(bytes: &[u8]) -> Box<dyn Iterator<Item = usize> + '_> {
    if let Some(searcher) = &*SEARCHER {
        return Box::new(searcher.find_iter(bytes).map(|found| found.start()));
    }
    let automaton = AUTOMATON.iter();
    Box::new(automaton.flat_map(move |automaton| automaton.find_iter(bytes)).map(|found| found.start()))
}

/// A search over bytes that come in pieces, in order.
#[derive(Default)]
pub struct Search {
    /// The last bytes, whose finds could not be looked at closely yet.
    held: Vec<u8>,
    /// Offset of the first byte that is held.
    position: u64,
    hits: Vec<Hit>,
    tries: u64,
    /// Finds beyond [`HITS_MAX`], and places beyond what is looked at.
    more: u64,
}

impl Search {
    pub fn update(&mut self, piece: &[u8]) {
        // The seam between the pieces, then the piece itself but for its end.
        let before = self.held.len();
        let seam = piece.len().min(LOOK);
        self.held.extend_from_slice(piece.get(..seam).unwrap_or_default());
        if piece.len() <= LOOK {
            let done = self.held.len().saturating_sub(LOOK);
            self.look(None, done);
            self.held.drain(..done);
            self.position = self.position.saturating_add(done as u64);
            return;
        }
        self.look(None, before);
        self.position = self.position.saturating_add(before as u64);
        let done = piece.len().saturating_sub(LOOK);
        self.look(Some(piece), done);
        self.position = self.position.saturating_add(done as u64);
        self.held.clear();
        self.held.extend_from_slice(piece.get(done..).unwrap_or_default());
    }

    pub fn finish(mut self) -> Found {
        self.look(None, self.held.len());
        Found { hits: self.hits, more: self.more, sha256: None }
    }

    /// Looks for what begins in the first `end` bytes of a piece, or of what is held.
    fn look(&mut self, piece: Option<&[u8]>, end: usize) {
        let bytes = piece.unwrap_or(&self.held);
        let allowed = TRIES.saturating_add(self.position / BYTES_A_TRY);
        let mut found = Vec::new();
        for at in places(bytes).take_while(|at| *at < end) {
            let rest = bytes.get(at..bytes.len().min(at.saturating_add(LOOK))).unwrap_or_default();
            // Whether it is a program is told by a few bytes; only pickles cost a walk.
            let kind = match rest {
                [0x7f | b'P' | 0xcf | 0xce, ..] => executable::embedded(rest).map(HitKind::Program),
                [b'#', ..] => Some(HitKind::Script),
                _ if self.tries >= allowed => {
                    self.more = self.more.saturating_add(1);
                    None
                }
                // The mark in front of an INST belongs to it.
                _ => {
                    let mut opcodes = 0;
                    let imports = pickle::walk_at(rest, &mut opcodes);
                    self.tries = self.tries.saturating_add(u64::from(imports || opcodes > CHANCE_OPCODES));
                    imports.then_some(HitKind::Pickle)
                }
            };
            if let Some(kind) = kind {
                found.push(Hit { offset: self.position.saturating_add(at as u64), kind });
            }
        }
        for hit in found {
            if self.hits.len() < HITS_MAX {
                self.hits.push(hit);
            } else {
                self.more = self.more.saturating_add(1);
            }
        }
    }
}
