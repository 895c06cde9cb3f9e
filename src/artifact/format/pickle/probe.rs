//! Whether bytes in the middle of others look like a pickle that imports: a walk over its opcodes,
//! without a stack, cheap enough for every place of a large file that begins like one.

use super::opcodes::{Argument, Op, decode};

/// Opcodes that have to make sense where the import has not been met.
const OPCODES_MIN: usize = 12;

/// True when the opcodes make sense up to an import, by names that are names.
///
/// By chance that is one place in 2^40 of random bytes, so that weights of any size hold none.
pub fn imports(bytes: &[u8]) -> bool {
    let mut count = 0;
    walk(bytes, &mut count)
}

/// The same, and how many opcodes were looked at.
pub fn walk(bytes: &[u8], count: &mut usize) -> bool {
    let mut rest = bytes;
    let mut texts = 0_usize;
    while let Some((code, after)) = rest.split_first() {
        let Some((op, argument)) = decode(*code) else { return false };
        *count = count.saturating_add(1);
        // What is cut off by the end of the window has made sense so far.
        let cut_off = *count > OPCODES_MIN && texts > 1;
        if matches!(op, Op::Global | Op::Inst) {
            return names(after).unwrap_or(cut_off);
        }
        let Some((argument, after)) = take(argument, after) else { return cut_off };
        match op {
            Op::Proto if !matches!(argument, [2..=5]) => return false,
            Op::Frame if !matches!(argument, [_, _, _, _, 0, 0, 0, 0]) => return false,
            Op::StackGlobal => return texts >= 2,
            Op::Text => {
                let (_, text) = argument.split_at_checked(usize::from(*code == b'X') * 3 + 1).unwrap_or_default();
                if !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
                    texts = texts.saturating_add(1);
                }
            }
            Op::Stop | Op::Reduce | Op::Build => return false,
            _ => {}
        }
        rest = after;
    }
    false
}

/// Whether two lines are names; `None` where they are cut off. No byte is looked at behind the first that belongs to
/// no name, so that many beginnings in a row cost no more than one.
fn names(bytes: &[u8]) -> Option<bool> {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let mut rest = bytes;
    for _ in 0..2 {
        let end = rest.iter().position(|byte| !is_of_name(byte))?;
        let (name, line_end) = rest.split_at_checked(end)?;
        match line_end {
            [b'\n', after @ ..] if !name.is_empty() => rest = after,
            _ => return Some(false),
        }
    }
    Some(true)
}

/// The argument, with its length where it is counted, and what follows.
fn take(argument: Argument, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = |bytes: &[u8]| memchr::memchr(b'\n', bytes).map(|at| at.saturating_add(1));
    let length = match argument {
        Argument::None => 0,
        Argument::Fixed(count) => count,
        Argument::Line => line(bytes)?,
        // Names, which are looked at by themselves.
        Argument::TwoLines => return None,
        Argument::Counted(width) => {
            let number =
                bytes.get(..width)?.iter().rev().try_fold(0_usize, |number, byte| {
                    number.checked_mul(256).map(|number| number | usize::from(*byte))
                })?;
            number.checked_add(width)?
        }
    };
    bytes.split_at_checked(length)
}
