//! What was measured, as bytes to keep: versioned, bounded, and checked when it is read again.

use super::plan::NUMBER_BYTES;
use super::{Measured, Sketch, Stats, TensorMeasure};

const MAGIC: &[u8; 8] = b"lanmeas1";
/// Bytes of the digest at the end.
const CHECK: usize = 8;
/// Tensors of one artifact.
const TENSORS_MAX: usize = 200_000;
/// Longest name that is kept; axes of a tensor.
const NAME_MAX: usize = 1 << 14;
const AXES_MAX: usize = 64;

/// Why kept bytes are not understood: another version wrote them, or they were damaged. Measuring again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("measures of tensors were written by another version of this program; look at the artifact again")]
    Version,
    #[error("measures of tensors are damaged; look at the artifact again")]
    Damaged,
}

impl Measured {
    /// Some 150 bytes for each tensor and what the sketches take.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::from(MAGIC);
        out.extend(self.seed_tag);
        out.push(u8::try_from(self.width).unwrap_or(u8::MAX));
        number(&mut out, self.left_out);
        let tensors = self.tensors.get(..self.tensors.len().min(TENSORS_MAX)).unwrap_or_default();
        number(&mut out, tensors.len());
        for tensor in tensors {
            text(&mut out, &tensor.name);
            text(&mut out, &tensor.dtype);
            let axes = tensor.shape.get(..tensor.shape.len().min(AXES_MAX)).unwrap_or_default();
            number(&mut out, axes.len());
            for value in axes.iter().chain([&tensor.start, &tensor.end]) {
                out.extend(value.to_le_bytes());
            }
            out.extend(tensor.digest);
            number(&mut out, tensor.blocks.len());
            for block in &tensor.blocks {
                out.extend(block);
            }
            out.push(u8::from(tensor.stats.is_some()) | u8::from(tensor.sketch.is_some()) << 1);
            if let Some(stats) = &tensor.stats {
                for value in [stats.count, stats.zeros, stats.nan, stats.infinite] {
                    out.extend(value.to_le_bytes());
                }
                for value in [stats.min, stats.max] {
                    out.extend(value.to_le_bytes());
                }
                for value in [stats.mean, stats.l2] {
                    out.extend(value.to_le_bytes());
                }
            }
            if let Some(sketch) = &tensor.sketch {
                for value in [sketch.rows, sketch.columns, sketch.width, sketch.height] {
                    number(&mut out, value);
                }
                for value in sketch.right.iter().chain(&sketch.left) {
                    out.extend(value.to_bits().to_le_bytes().iter().skip(4 - NUMBER_BYTES));
                }
            }
        }
        let check = blake3::hash(&out);
        out.extend(check.as_bytes().iter().take(CHECK));
        out
    }

    /// Memory is bounded by the length of the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Broken> {
        if bytes.get(..MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err(Broken::Version);
        }
        let (content, check) = bytes.split_at_checked(bytes.len().saturating_sub(CHECK)).ok_or(Broken::Damaged)?;
        if blake3::hash(content).as_bytes().get(..CHECK) != Some(check) {
            return Err(Broken::Damaged);
        }
        let rest = content.get(MAGIC.len()..).ok_or(Broken::Damaged)?;
        let mut reader = Reader(rest);
        let measured = reader.measured().ok_or(Broken::Damaged)?;
        if reader.0.is_empty() { Ok(measured) } else { Err(Broken::Damaged) }
    }
}

fn number(out: &mut Vec<u8>, value: usize) {
    out.extend(u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(out: &mut Vec<u8>, value: &str) {
    let kept = value.get(..value.floor_char_boundary(NAME_MAX)).unwrap_or_default();
    number(out, kept.len());
    out.extend(kept.as_bytes());
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let (now, later) = self.0.split_at_checked(count)?;
        self.0 = later;
        Some(now)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (now, later) = self.0.split_first_chunk::<N>()?;
        self.0 = later;
        Some(*now)
    }

    fn number(&mut self, max: usize) -> Option<usize> {
        let value = u32::from_le_bytes(self.array()?);
        usize::try_from(value).ok().filter(|value| *value <= max)
    }

    fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let len = self.number(NAME_MAX)?;
        String::from_utf8(self.bytes(len)?.to_vec()).ok()
    }

    fn measured(&mut self) -> Option<Measured> {
        let seed_tag = self.array()?;
        let [width] = self.array()?;
        let left_out = self.number(TENSORS_MAX)?;
        let count = self.number(TENSORS_MAX)?;
        let tensors = (0..count).map(|_| self.tensor()).collect::<Option<Vec<_>>>()?;
        Some(Measured { seed_tag, width: width.into(), left_out, tensors })
    }

    fn tensor(&mut self) -> Option<TensorMeasure> {
        let (name, dtype) = (self.text()?, self.text()?);
        let axes = self.number(AXES_MAX)?;
        let shape = (0..axes).map(|_| self.long()).collect::<Option<Vec<_>>>()?;
        let (start, end) = (self.long()?, self.long()?);
        let digest = self.array()?;
        let count = self.number(usize::MAX)?;
        let blocks = self.bytes(count.checked_mul(16)?)?;
        let blocks = blocks.as_chunks::<16>().0.to_vec();
        let [parts] = self.array()?;
        let stats = if parts & 1 == 0 { None } else { Some(self.stats()?) };
        let sketch = if parts & 2 == 0 { None } else { Some(self.sketch()?) };
        (parts <= 3).then_some(TensorMeasure { name, dtype, shape, start, end, digest, blocks, stats, sketch })
    }

    fn stats(&mut self) -> Option<Stats> {
        let (count, zeros, nan, infinite) = (self.long()?, self.long()?, self.long()?, self.long()?);
        let (min, max) = (f32::from_le_bytes(self.array()?), f32::from_le_bytes(self.array()?));
        let (mean, l2) = (f64::from_le_bytes(self.array()?), f64::from_le_bytes(self.array()?));
        Some(Stats { count, min, max, mean, l2, zeros, nan, infinite })
    }

    fn sketch(&mut self) -> Option<Sketch> {
        let max = super::sketch::LENGTH_MAX;
        let (rows, columns) = (self.number(max)?, self.number(max)?);
        let (width, height) = (self.number(super::sketch::WIDTH)?, self.number(super::sketch::WIDTH)?);
        let right = self.numbers(rows.checked_mul(width)?)?;
        let left = self.numbers(columns.checked_mul(height)?)?;
        Some(Sketch { rows, columns, width, height, right, left })
    }

    fn numbers(&mut self, count: usize) -> Option<Vec<f32>> {
        let bytes = self.bytes(count.checked_mul(NUMBER_BYTES)?)?;
        let words = bytes.as_chunks::<NUMBER_BYTES>().0.iter();
        Some(words.map(|[low, middle, high]| f32::from_le_bytes([0, *low, *middle, *high])).collect())
    }
}
