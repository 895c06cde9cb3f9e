//! What lies in the midst of bytes that are stepped over otherwise: weights.
//!
//! The pass that hashes a file has found the places already; here they are looked at. The lowest bits
//! of numbers are read as well, since a payload spread over them changes no weight that anybody would
//! notice.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::{executable, pickle};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;
use crate::artifact::search::HitKind;

/// Bytes of a pickle in the midst of weights that are followed, and how many that act are told.
const PICKLE_BYTES: u64 = 256 << 10;
const ACTING_MAX: usize = 8;
/// Opcodes that pickles which do not act may take before the others are followed for fewer bytes.
const OPCODES_MAX: u64 = 1_000_000;
const PICKLE_START: u64 = 2 << 10;
/// Bytes of a payload that are put together from the lowest bits.
const PAYLOAD: usize = 96;
/// Widths of elements where their type is not known.
const WIDTHS: [usize; 3] = [4, 2, 8];
/// Length of printable text that no weights spell.
const TEXT_MIN: usize = 40;
/// Bytes of a number by which values are told apart; the type may be narrower than the step that is tried.
const GRID_BYTES: usize = 4;

/// Looks at every find in a stretch of weights.
pub fn weights(inspection: &mut Inspection<'_>, data: Input<'_>) {
    look(inspection, data, data.hits());
}

/// Looks at finds in some bytes, by their offsets.
pub fn look(inspection: &mut Inspection<'_>, data: Input<'_>, hits: impl Iterator<Item = (u64, HitKind)>) {
    let opcodes = &inspection.budget.opcodes;
    let before = opcodes.get();
    let mut acting = 0_usize;
    for (offset, kind) in hits {
        match kind {
            HitKind::Program(kind) => program(inspection, kind, data.position().saturating_add(offset)),
            // A few that act say all there is to say.
            HitKind::Pickle if acting >= ACTING_MAX => {}
            HitKind::Pickle => {
                let brief = opcodes.get().saturating_sub(before) > OPCODES_MAX;
                let len = if brief { PICKLE_START } else { PICKLE_BYTES };
                let mut acts = false;
                inspection.member("weights", |inspection| {
                    acts = pickle::astray(inspection, data.window(offset, len));
                });
                if brief && !acts {
                    let why = "so much looks like pickles that only the beginnings of the others were followed";
                    inspection.issue("budget_exceeded", why);
                }
                if acts {
                    acting = acting.saturating_add(1);
                    inspection.add("artifact.pickle.nested", 1);
                }
            }
            HitKind::Script => {}
        }
    }
}

/// Looks at every find in numbers, where not even the beginning of a script has a place.
pub fn numbers(inspection: &mut Inspection<'_>, data: Input<'_>) {
    weights(inspection, data);
    for (offset, _) in data.hits().filter(|(_, kind)| *kind == HitKind::Script) {
        program(inspection, "script", data.position().saturating_add(offset));
    }
}

/// Programs alone: for files that are pickles anyway.
pub fn programs(inspection: &mut Inspection<'_>, data: Input<'_>) {
    for (offset, kind) in data.hits() {
        if let HitKind::Program(kind) = kind {
            program(inspection, kind, data.position().saturating_add(offset));
        }
    }
}

fn program(inspection: &mut Inspection<'_>, kind: &str, position: u64) {
    inspection.list("artifact.embedded_executables", format!("{kind}@{position}"));
}

/// Bytes of one number of a type whose lowest bits nobody would miss.
pub fn width(dtype: &str) -> Option<usize> {
    match dtype {
        "U8" | "I8" => Some(1),
        "F16" | "BF16" => Some(2),
        "F32" => Some(4),
        "F64" => Some(8),
        _ => None,
    }
}

/// Reads the lowest bits of the first numbers of a tensor. `width` is the bytes of one element.
pub fn low_bits(inspection: &mut Inspection<'_>, data: Input<'_>, width: Option<usize>) {
    // Every number, or every second one.
    let widths = width.map_or(WIDTHS.to_vec(), |width| vec![width, width.saturating_mul(2)]);
    let single = width == Some(1);
    let widest = widths.iter().copied().max().unwrap_or(1);
    // Nothing as short as a header would hide in so few numbers.
    let bytes = data.read(0, PAYLOAD.saturating_mul(8).saturating_mul(widest));
    for width in widths.into_iter().filter(|width| matches!(width, 1 | 2 | 4 | 8 | 16)) {
        let lowest: Vec<u8> = bytes.chunks_exact(width).filter_map(|number| number.first().copied()).collect();
        // Codes of characters, labels and other small whole numbers spell texts by themselves.
        let wholes = bytes.chunks_exact(width).filter(|number| matches!(number.last(), Some(0 | 255))).count();
        let texts = !single && wholes.saturating_mul(2) < lowest.len();
        // All bits of a byte are the byte itself, and are looked at elsewhere.
        let most = if width == 1 { 4 } else { 8 };
        for bits in [1_usize, 2, 4, 8].into_iter().filter(|bits| *bits <= most) {
            for high_first in [true, false] {
                let payload = gather(&lowest, bits, high_first);
                if let Some(kind) = payload_kind(&payload, texts && !on_grid(&bytes, width, bits)) {
                    let item = format!("{kind} in the lowest {bits} of each {} bits", width.saturating_mul(8));
                    inspection.list("artifact.tensors.hidden_payloads", item);
                    return;
                }
                // With all eight bits the order says nothing.
                if bits == 8 {
                    break;
                }
            }
        }
    }
}

/// True where the numbers in which a text would lie are a few values over and over, as quantised weights are in a wider
/// type: their lowest bits come with the upper ones, and may well be printable. What was written into low bits differs
/// where the upper bits are the same.
fn on_grid(bytes: &[u8], width: usize, bits: usize) -> bool {
    let mask = if bits >= 8 { 0xff } else { (1_u8 << bits) - 1 };
    let count = TEXT_MIN.saturating_mul(8) / bits.max(1);
    let mut known: HashMap<[u8; GRID_BYTES], u8> = HashMap::new();
    let (mut again, mut same) = (0_usize, 0_usize);
    for number in bytes.chunks_exact(width).take(count) {
        let mut upper = [0; GRID_BYTES];
        upper.iter_mut().zip(number).for_each(|(to, from)| *to = *from);
        let [lowest, ..] = &mut upper;
        let low = *lowest & mask;
        *lowest &= !mask;
        match known.entry(upper) {
            Entry::Vacant(entry) => {
                entry.insert(low);
            }
            Entry::Occupied(entry) => {
                again = again.saturating_add(1);
                same = same.saturating_add(usize::from(*entry.get() == low));
            }
        }
    }
    again.saturating_mul(16) >= count && same.saturating_mul(20) >= again.saturating_mul(19)
}

/// Bytes made of the lowest `bits` of each number, beginning with the highest or the lowest of a byte.
fn gather(lowest: &[u8], bits: usize, high_first: bool) -> Vec<u8> {
    let mask = if bits >= 8 { 0xff } else { (1_u8 << bits) - 1 };
    let each = 8 / bits.max(1);
    let byte = |numbers: &[u8]| {
        numbers.iter().enumerate().fold(0_u8, |byte, (index, number)| {
            let place = if high_first { each.saturating_sub(index).saturating_sub(1) } else { index };
            let shift = u32::try_from(place.saturating_mul(bits)).unwrap_or(0);
            byte | (number & mask).checked_shl(shift).unwrap_or(0)
        })
    };
    lowest.chunks_exact(each).map(byte).take(PAYLOAD).collect()
}

/// What a payload is, at its beginning or behind a length of four or eight bytes.
fn payload_kind(payload: &[u8], texts: bool) -> Option<&'static str> {
    [0, 4, 8].into_iter().find_map(|start| {
        let bytes = payload.get(start..)?;
        let kind = match bytes {
            [b'M', b'Z', ..] | [0x7f, b'E', b'L', b'F', ..] => executable::kind(bytes).or(executable::embedded(bytes)),
            [b'P', b'K', 3, 4, _, 0, ..] => Some("zip"),
            [0x1f, 0x8b, 8, 0 | 8, ..]
                if bytes.get(8..10).is_some_and(|end| matches!(end, [0 | 2 | 4, 0..=13 | 255])) =>
            {
                Some("gzip")
            }
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Some("7z"),
            [0x80, 2..=5, ..] | [b'c', ..] => pickle::imports_at(bytes).then_some("pickle"),
            _ => None,
        };
        kind.or_else(|| (texts && is_text(bytes)).then_some("text"))
    })
}

/// Text of many different characters: a run of one value is no text, whatever it spells.
fn is_text(bytes: &[u8]) -> bool {
    let text = bytes.get(..TEXT_MIN.min(bytes.len())).unwrap_or_default();
    let different: HashSet<u8> = text.iter().copied().collect();
    text.len() == TEXT_MIN
        && text.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\t'))
        && different.len() >= 8
}
