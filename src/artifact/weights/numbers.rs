//! Types of numbers as formats name them, and their bytes as `f32`.
//!
//! Loops go over whole arrays without a branch, so that the compiler makes SIMD of them.

use pulp::NullaryFnOnce;

use super::wide::wide;

/// A type whose bytes can be read as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    F64,
    F32,
    F16,
    Bf16,
    F8E4m3,
    F8E5m2,
    I8,
    U8,
    I16,
    I32,
    I64,
    /// GGUF: 32 numbers that share a scale of 16 bits, in 8 bits each.
    Q8Zero,
    /// GGUF: the same in 4 bits each.
    Q4Zero,
    /// GGUF: 4 bits each with a scale and a least value.
    Q4One,
}

impl Number {
    /// By the name that safetensors or GGUF gives; `None` for what is only compared byte by byte.
    pub fn of(dtype: &str) -> Option<Self> {
        Some(match dtype {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "F8_E4M3" => Self::F8E4m3,
            "F8_E5M2" => Self::F8E5m2,
            "I8" => Self::I8,
            "U8" | "BOOL" => Self::U8,
            "I16" => Self::I16,
            "I32" => Self::I32,
            "I64" => Self::I64,
            "Q8_0" => Self::Q8Zero,
            "Q4_0" => Self::Q4Zero,
            "Q4_1" => Self::Q4One,
            _ => return None,
        })
    }

    /// Bytes of one block, and numbers in it.
    pub const fn block(self) -> (usize, usize) {
        match self {
            Self::F64 | Self::I64 => (8, 1),
            Self::F32 | Self::I32 => (4, 1),
            Self::F16 | Self::Bf16 | Self::I16 => (2, 1),
            Self::F8E4m3 | Self::F8E5m2 | Self::I8 | Self::U8 => (1, 1),
            Self::Q8Zero => (34, 32),
            Self::Q4Zero => (18, 32),
            Self::Q4One => (20, 32),
        }
    }

    /// True for floating point, where the lowest bits carry next to nothing.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16 | Self::F8E4m3 | Self::F8E5m2)
    }

    /// Bits of the mantissa; of an integer all.
    pub const fn mantissa_bits(self) -> u32 {
        match self {
            Self::F64 => 52,
            Self::F32 => 23,
            Self::F16 => 10,
            Self::Bf16 => 7,
            Self::F8E4m3 => 3,
            Self::F8E5m2 => 2,
            Self::I8 | Self::U8 | Self::Q8Zero => 8,
            Self::I16 => 16,
            Self::I32 => 32,
            Self::I64 => 64,
            Self::Q4Zero | Self::Q4One => 4,
        }
    }

    /// What rounding to this type adds, as a share of the length of what is rounded (root mean square over
    /// values of every size; for types with a shared scale measured on normally distributed weights).
    pub const fn rounding(self) -> f64 {
        match self {
            Self::F64 => 1e-16,
            Self::F32 | Self::I32 | Self::I64 => 3e-8,
            Self::F16 => 2.1e-4,
            Self::Bf16 => 1.7e-3,
            Self::F8E4m3 => 2.7e-2,
            Self::F8E5m2 => 5.4e-2,
            Self::I8 | Self::U8 | Self::I16 | Self::Q8Zero => 8e-3,
            Self::Q4Zero | Self::Q4One => 9e-2,
        }
    }

    /// Numbers of whole blocks, in place of what `out` has; what is left of a block at the end is not read.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        let (block, in_block) = self.block();
        // What is there already needs no zeros.
        out.resize(bytes.len() / block * in_block, 0.0);
        wide(Decode { number: self, bytes, out });
    }
}

struct Decode<'n> {
    number: Number,
    bytes: &'n [u8],
    out: &'n mut [f32],
}

impl NullaryFnOnce for Decode<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { number, bytes, out } = self;
        match number {
            Number::F32 => each(bytes, out, f32::from_le_bytes),
            Number::Bf16 => each(bytes, out, |word| f32::from_bits(u32::from(u16::from_le_bytes(word)) << 16)),
            Number::F16 => each(bytes, out, |word| half(u16::from_le_bytes(word))),
            Number::F64 => each(bytes, out, |word| narrow(f64::from_le_bytes(word))),
            Number::F8E4m3 => each(bytes, out, |[byte]| e4m3(byte)),
            Number::F8E5m2 => each(bytes, out, |[byte]| half(u16::from(byte) << 8)),
            Number::I8 => each(bytes, out, |word| f32::from(i8::from_le_bytes(word))),
            Number::U8 => each(bytes, out, |[byte]| f32::from(byte)),
            Number::I16 => each(bytes, out, |word| f32::from(i16::from_le_bytes(word))),
            Number::I32 => each(bytes, out, |word| narrow(f64::from(i32::from_le_bytes(word)))),
            Number::I64 => each(bytes, out, |word| wide_integer(i64::from_le_bytes(word))),
            Number::Q8Zero => blocks(bytes, out, |[low, high, numbers @ ..]: [u8; 34], out| {
                let scale = half(u16::from_le_bytes([low, high]));
                for (out, byte) in out.iter_mut().zip(numbers) {
                    *out = scale * f32::from(i8::from_le_bytes([byte]));
                }
            }),
            Number::Q4Zero => blocks(bytes, out, |[low, high, pairs @ ..]: [u8; 18], out| {
                let scale = half(u16::from_le_bytes([low, high]));
                nibbles(pairs, out, |nibble| scale * (f32::from(nibble) - 8.0));
            }),
            Number::Q4One => blocks(bytes, out, |[low, high, least, least_high, pairs @ ..]: [u8; 20], out| {
                let scale = half(u16::from_le_bytes([low, high]));
                let least = half(u16::from_le_bytes([least, least_high]));
                nibbles(pairs, out, |nibble| scale * f32::from(nibble) + least);
            }),
        }
    }
}

/// One number from each word.
#[inline(always)]
fn each<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    for (out, word) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = number(*word);
    }
}

/// Thirty-two numbers from each block.
#[inline(always)]
fn blocks<const N: usize>(bytes: &[u8], out: &mut [f32], numbers: impl Fn([u8; N], &mut [f32; 32])) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(bytes.as_chunks::<N>().0) {
        numbers(*block, out);
    }
}

/// Low halves of the bytes first, then the high ones.
#[inline(always)]
fn nibbles(pairs: [u8; 16], out: &mut [f32; 32], number: impl Fn(u8) -> f32) {
    let (low, high) = out.split_at_mut(16);
    for ((low, high), pair) in low.iter_mut().zip(high).zip(pairs) {
        (*low, *high) = (number(pair & 15), number(pair >> 4));
    }
}

/// IEEE 754 binary16 without a branch: the exponent is moved by a multiplication, which also makes
/// subnormal numbers right; infinities and NaN get their exponent back.
#[inline(always)]
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7fff) << 13;
    let number = f32::from_bits(rest) * f32::from_bits(0x7780_0000);
    let special = if rest >= 0x0f80_0000 { 0x7f80_0000 } else { 0 };
    f32::from_bits(number.to_bits() | special | sign)
}

/// E4M3 of OCP's 8-bit floating point: no infinities, NaN is all ones.
#[inline(always)]
fn e4m3(bits: u8) -> f32 {
    let sign = u32::from(bits & 0x80) << 24;
    let rest = u32::from(bits & 0x7f) << 20;
    let number = f32::from_bits(rest) * f32::from_bits(0x7b80_0000);
    let special = if bits & 0x7f == 0x7f { 0x7fc0_0000 } else { 0 };
    f32::from_bits(number.to_bits() | special | sign)
}

#[expect(clippy::cast_possible_truncation, reason = "what is compared is compared as f32")]
#[inline(always)]
fn narrow(number: f64) -> f32 {
    number as f32
}

#[expect(clippy::cast_precision_loss, reason = "what is compared is compared as f32")]
#[inline(always)]
fn wide_integer(number: i64) -> f32 {
    number as f32
}
