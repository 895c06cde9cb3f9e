//! Types of numbers as formats name them, and their bytes as `f32`.
//!
//! Loops go over whole arrays without a branch, so that the compiler makes SIMD of them.

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

    /// Appends the numbers of whole blocks; what is left of a block at the end is not read.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::F32 => {
                out.extend(words(bytes).map(f32::from_le_bytes));
            }
            Self::Bf16 => {
                out.extend(words(bytes).map(|word| f32::from_bits(u32::from(u16::from_le_bytes(word)) << 16)));
            }
            Self::F16 => {
                out.extend(words(bytes).map(|word| half(u16::from_le_bytes(word))));
            }
            Self::F64 => {
                out.extend(words(bytes).map(|word| narrow(f64::from_le_bytes(word))));
            }
            Self::F8E4m3 => {
                out.extend(bytes.iter().map(|byte| e4m3(*byte)));
            }
            Self::F8E5m2 => {
                out.extend(bytes.iter().map(|byte| half(u16::from(*byte) << 8)));
            }
            Self::I8 => {
                out.extend(words(bytes).map(|word| f32::from(i8::from_le_bytes(word))));
            }
            Self::U8 => {
                out.extend(bytes.iter().map(|byte| f32::from(*byte)));
            }
            Self::I16 => {
                out.extend(words(bytes).map(|word| f32::from(i16::from_le_bytes(word))));
            }
            Self::I32 => {
                out.extend(words(bytes).map(|word| narrow(f64::from(i32::from_le_bytes(word)))));
            }
            Self::I64 => {
                out.extend(words(bytes).map(|word| wide(i64::from_le_bytes(word))));
            }
            Self::Q8Zero => {
                for [low, high, numbers @ ..] in words::<34>(bytes) {
                    let scale = half(u16::from_le_bytes([low, high]));
                    out.extend(numbers.map(|byte| scale * f32::from(i8::from_le_bytes([byte]))));
                }
            }
            Self::Q4Zero => {
                for [low, high, pairs @ ..] in words::<18>(bytes) {
                    let scale = half(u16::from_le_bytes([low, high]));
                    out.extend(pairs.map(|byte| scale * (f32::from(byte & 15) - 8.0)));
                    out.extend(pairs.map(|byte| scale * (f32::from(byte >> 4) - 8.0)));
                }
            }
            Self::Q4One => {
                for [low, high, least, least_high, pairs @ ..] in words::<20>(bytes) {
                    let scale = half(u16::from_le_bytes([low, high]));
                    let least = half(u16::from_le_bytes([least, least_high]));
                    out.extend(pairs.map(|byte| scale * f32::from(byte & 15) + least));
                    out.extend(pairs.map(|byte| scale * f32::from(byte >> 4) + least));
                }
            }
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// IEEE 754 binary16 without a branch: the exponent is moved by a multiplication, which also makes
/// subnormal numbers right; infinities and NaN get their exponent back.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7fff) << 13;
    let number = f32::from_bits(rest) * f32::from_bits(0x7780_0000);
    let special = if rest >= 0x0f80_0000 { 0x7f80_0000 } else { 0 };
    f32::from_bits(number.to_bits() | special | sign)
}

/// E4M3 of OCP's 8-bit floating point: no infinities, NaN is all ones.
fn e4m3(bits: u8) -> f32 {
    let sign = u32::from(bits & 0x80) << 24;
    let rest = u32::from(bits & 0x7f) << 20;
    let number = f32::from_bits(rest) * f32::from_bits(0x7b80_0000);
    let special = if bits & 0x7f == 0x7f { 0x7fc0_0000 } else { 0 };
    f32::from_bits(number.to_bits() | special | sign)
}

#[expect(clippy::cast_possible_truncation, reason = "what is compared is compared as f32")]
fn narrow(number: f64) -> f32 {
    number as f32
}

#[expect(clippy::cast_precision_loss, reason = "what is compared is compared as f32")]
fn wide(number: i64) -> f32 {
    number as f32
}
