//! BLAKE3 of a tensor, and of its parts at no further cost: they are subtrees of the same tree.

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of one part: a power of two, so that each is a whole subtree.
pub const PART: u64 = 4 << 20;
/// Tensors up to this many bytes have no parts.
const WHOLE_MAX: u64 = 16 << 20;

/// The digest of one tensor under way.
pub struct Digests {
    /// Bytes so far.
    position: u64,
    in_parts: bool,
    hasher: blake3::Hasher,
    parts: Vec<ChainingValue>,
}

impl Digests {
    /// For a tensor of `len` bytes.
    pub fn new(len: u64) -> Self {
        Self { position: 0, in_parts: len > WHOLE_MAX, hasher: blake3::Hasher::new(), parts: Vec::new() }
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        if !self.in_parts {
            self.hasher.update(bytes);
            return;
        }
        while !bytes.is_empty() {
            let room = usize::try_from(PART.saturating_sub(self.position % PART)).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hasher.update(now);
            self.position = self.position.saturating_add(now.len() as u64);
            if self.position.is_multiple_of(PART) {
                self.end_part();
            }
            bytes = later;
        }
    }

    fn end_part(&mut self) {
        self.parts.push(self.hasher.finalize_non_root());
        self.hasher = blake3::Hasher::new();
        // Only the last part may be shorter, and nothing follows it.
        if self.position.is_multiple_of(PART) {
            self.hasher.set_input_offset(self.position);
        }
    }

    /// The digest of the whole, and the beginnings of those of the parts.
    pub fn finish(mut self) -> ([u8; 32], Vec<[u8; 16]>) {
        if !self.in_parts {
            return (*self.hasher.finalize().as_bytes(), Vec::new());
        }
        if !self.position.is_multiple_of(PART) {
            self.end_part();
        }
        let parts = self.parts.iter().map(|part| part.first_chunk().copied().unwrap_or_default()).collect();
        let (left, right) = halves(&self.parts);
        let whole = match (merged(left), merged(right)) {
            (Some(left), Some(right)) => *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes(),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => *blake3::hash(b"").as_bytes(),
        };
        (whole, parts)
    }
}

/// The left part of a tree of BLAKE3 has the largest power of two of leaves that leaves some for the right.
fn halves(parts: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    let left = parts.len().div_ceil(2).next_power_of_two();
    parts.split_at(left.min(parts.len()))
}

fn merged(parts: &[ChainingValue]) -> Option<ChainingValue> {
    match parts {
        [] => None,
        [only] => Some(*only),
        _ => {
            let (left, right) = halves(parts);
            Some(merge_subtrees_non_root(&merged(left)?, &merged(right)?, Mode::Hash))
        }
    }
}
