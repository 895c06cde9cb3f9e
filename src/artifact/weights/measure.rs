//! Measuring while hashing: bytes come in order, once, and go to the tensors that they belong to.

use std::collections::HashMap;

use super::digests::Digests;
use super::numbers::Number;
use super::plan::{Plan, Wanted, matrix, plan};
use super::sketch::{Signs, Sketcher, rounded};
use super::stats::{Running, tame};
use super::{Measured, Options, TensorMeasure};
use crate::artifact::Segment;

/// Numbers decoded at once: they stay in the first cache.
const PIECE: usize = 4096;
/// Names of tensors that lie under another name as well.
const TWINS_MAX: usize = 64;

/// The tensors of one artifact while its bytes go by.
pub struct Measurer {
    segments: Vec<Segment>,
    signs: Signs,
    seed_tag: [u8; 8],
    plan: Plan,
    /// What was measured of each segment, in their order.
    done: Vec<Option<TensorMeasure>>,
    /// Segments whose bytes another one has as well: numbers of those are not measured twice.
    shared: Vec<bool>,
    /// Indices in order of start, not begun yet, the next one last.
    waiting: Vec<usize>,
    open: Vec<Open>,
    scratch: Vec<f32>,
}

/// A tensor whose bytes are going by.
struct Open {
    index: usize,
    digests: Digests,
    numbers: Option<Numbers>,
}

/// Numbers of a tensor.
struct Numbers {
    number: Number,
    /// Beginning of a block whose end comes later.
    cut: Vec<u8>,
    running: Running,
    sketcher: Option<Sketcher>,
}

impl Measurer {
    pub fn new(segments: Vec<Segment>, options: &Options) -> Self {
        let mut waiting: Vec<usize> = (0..segments.len()).collect();
        waiting.sort_by_key(|index| segments.get(*index).map(|segment| (segment.start, segment.end)));
        let mut shared = vec![false; segments.len()];
        let mut end = 0;
        for index in &waiting {
            let (Some(segment), Some(shared)) = (segments.get(*index), shared.get_mut(*index)) else { continue };
            *shared = segment.start < end;
            end = end.max(segment.end);
        }
        waiting.reverse();
        let wanted = segments.iter().zip(&shared).map(|(segment, shared)| wanted(segment, *shared));
        let wanted: Vec<Wanted> = wanted.collect();
        let plan = plan(&wanted, options.sketch_bytes_max);
        Self {
            done: segments.iter().map(|_| None).collect(),
            segments,
            signs: Signs::new(&options.seed),
            seed_tag: options.seed.tag(),
            plan,
            shared,
            waiting,
            open: Vec::new(),
            scratch: Vec::with_capacity(PIECE),
        }
    }

    /// Takes the bytes at `position`, which is where the bytes before have ended.
    pub fn update(&mut self, position: u64, chunk: &[u8]) {
        let end = position.saturating_add(chunk.len() as u64);
        while let Some(next) = self.waiting.last().copied() {
            if self.segments.get(next).is_none_or(|segment| segment.start >= end) {
                break;
            }
            self.waiting.pop();
            self.begin(next);
        }
        for mut tensor in std::mem::take(&mut self.open) {
            let Some(segment) = self.segments.get(tensor.index) else { continue };
            let from = usize::try_from(segment.start.saturating_sub(position)).unwrap_or(usize::MAX);
            let to = usize::try_from(segment.end.saturating_sub(position)).unwrap_or(usize::MAX).min(chunk.len());
            let bytes = chunk.get(from..to).unwrap_or_default();
            tensor.digests.update(bytes);
            if let Some(numbers) = &mut tensor.numbers {
                numbers.update(bytes, &mut self.scratch);
            }
            if segment.end > end {
                self.open.push(tensor);
            } else if let Some(done) = self.done.get_mut(tensor.index) {
                *done = Some(tensor.finish(segment));
            }
        }
    }

    fn begin(&mut self, index: usize) {
        let Some(segment) = self.segments.get(index) else { return };
        let shared = self.shared.get(index).copied().unwrap_or(true);
        let number = Number::of(&segment.dtype).filter(|_| !shared && fits(segment));
        let shape = self.plan.shapes.get(index).copied().flatten();
        let numbers = number.map(|number| Numbers {
            number,
            cut: Vec::new(),
            running: Running::default(),
            sketcher: shape.map(|shape| Sketcher::new(shape, &self.signs)),
        });
        let digests = Digests::new(segment.end.saturating_sub(segment.start));
        self.open.push(Open { index, digests, numbers });
    }

    /// All that was measured, and the segments with their digests; `size` bytes were given.
    pub fn finish(mut self, size: u64) -> (Vec<Segment>, Measured) {
        for index in 0..self.segments.len() {
            let empty = self.segments.get(index).filter(|segment| segment.start == segment.end && segment.end <= size);
            let Some(segment) = empty else { continue };
            let nothing = Open { index, digests: Digests::new(0), numbers: None };
            let measure = nothing.finish(segment);
            if let Some(done) = self.done.get_mut(index).filter(|done| done.is_none()) {
                *done = Some(measure);
            }
        }
        for (segment, done) in self.segments.iter_mut().zip(&self.done) {
            segment.digest = done.as_ref().map(|done| blake3::Hash::from_bytes(done.digest).to_hex().to_string());
        }
        self.share();
        let measured = Measured {
            seed_tag: self.seed_tag,
            width: self.plan.width,
            left_out: self.plan.left_out,
            tensors: self.done.into_iter().flatten().collect(),
        };
        (self.segments, measured)
    }

    /// A tensor under two names (tied weights) is measured once, and told of both.
    fn share(&mut self) {
        let place = |tensor: &TensorMeasure| (tensor.start, tensor.end, tensor.dtype.clone(), tensor.shape.clone());
        let known: HashMap<_, _> = self
            .done
            .iter()
            .flatten()
            .filter(|tensor| tensor.stats.is_some())
            .map(|tensor| (place(tensor), (tensor.stats, tensor.sketch.clone())))
            .take(if self.shared.contains(&true) { usize::MAX } else { 0 })
            .collect();
        let twins = self.done.iter_mut().zip(&self.shared).filter(|(_, shared)| **shared);
        // Each copy costs as much as a sketch: a header may name one tensor two hundred thousand times.
        for tensor in twins.filter_map(|(done, _)| done.as_mut()).take(TWINS_MAX) {
            if let Some((stats, sketch)) = known.get(&place(tensor)) {
                (tensor.stats, tensor.sketch) = (*stats, sketch.clone());
            }
        }
    }
}

impl Open {
    fn finish(self, segment: &Segment) -> TensorMeasure {
        let (digest, blocks) = self.digests.finish();
        let (stats, sketch) = match self.numbers {
            Some(numbers) => (Some(numbers.running.finish()), numbers.sketcher.and_then(Sketcher::finish)),
            None => (None, None),
        };
        let sketch = sketch.map(|mut sketch| {
            sketch.right.iter_mut().chain(&mut sketch.left).for_each(|number| *number = rounded(*number));
            sketch
        });
        TensorMeasure {
            name: segment.name.clone(),
            dtype: segment.dtype.clone(),
            shape: segment.shape.clone(),
            start: segment.start,
            end: segment.end,
            digest,
            blocks,
            stats,
            sketch,
        }
    }
}

impl Numbers {
    fn update(&mut self, bytes: &[u8], scratch: &mut Vec<f32>) {
        let (block, in_block) = self.number.block();
        let mut bytes = bytes;
        if !self.cut.is_empty() {
            let (end, rest) = bytes.split_at(block.saturating_sub(self.cut.len()).min(bytes.len()));
            self.cut.extend_from_slice(end);
            bytes = rest;
            if self.cut.len() == block {
                let cut = std::mem::take(&mut self.cut);
                self.piece(&cut, scratch);
            }
        }
        let (whole, rest) = bytes.split_at(bytes.len() / block.max(1) * block);
        for piece in whole.chunks(PIECE / in_block.max(1) * block) {
            self.piece(piece, scratch);
        }
        self.cut.extend_from_slice(rest);
    }

    fn piece(&mut self, bytes: &[u8], scratch: &mut Vec<f32>) {
        self.number.decode(bytes, scratch);
        let plain = self.running.update(scratch);
        if let Some(sketcher) = &mut self.sketcher {
            if !plain {
                for number in scratch.iter_mut() {
                    *number = tame(*number);
                }
            }
            sketcher.update(scratch);
        }
    }
}

/// Whether the bytes are as many as type and lengths say.
fn fits(segment: &Segment) -> bool {
    let Some(number) = Number::of(&segment.dtype) else { return false };
    let (block, in_block) = number.block();
    let count = segment.shape.iter().try_fold(1_u64, |product, length| product.checked_mul(*length));
    let blocks = count.filter(|count| count.is_multiple_of(in_block as u64)).map(|count| count / in_block as u64);
    let bytes = blocks.and_then(|blocks| blocks.checked_mul(block as u64));
    bytes.is_some() && bytes == segment.end.checked_sub(segment.start)
}

fn wanted(segment: &Segment, shared: bool) -> Wanted {
    let number = Number::of(&segment.dtype).unwrap_or(Number::U8);
    let matrix = (!shared && fits(segment)).then(|| matrix(&segment.shape)).flatten();
    Wanted { number, matrix }
}
