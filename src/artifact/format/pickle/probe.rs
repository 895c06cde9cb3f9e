//! Whether bytes in the middle of others look like a pickle that imports: a walk over its opcodes,
//! without a stack, cheap enough for every place of a large file that begins like one.

use super::opcodes::{Argument, Op, decode};

/// Opcodes that have to make sense where the import has not been met.
const OPCODES_MIN: usize = 12;

/// True when the opcodes make sense up to an import, by names that are names.
///
/// By chance that is one place in 2^40 of random bytes, so that weights of any size hold none.
pub fn imports(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut texts = 0_usize;
    let mut count = 0_usize;
    while let Some((code, after)) = rest.split_first() {
        let Some((op, argument)) = decode(*code) else { return false };
        count = count.saturating_add(1);
        let Some((argument, after)) = take(argument, after) else {
            // What is cut off by the end of the window has made sense so far.
            return count > OPCODES_MIN && texts > 1;
        };
        match op {
            Op::Proto if !matches!(argument, [2..=5]) => return false,
            Op::Frame if !matches!(argument, [_, _, _, _, 0, 0, 0, 0]) => return false,
            Op::Global | Op::Inst => return argument.split(|byte| *byte == b'\n').take(2).all(is_name),
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

fn is_name(line: &[u8]) -> bool {
    !line.is_empty() && line.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

/// The argument, with its length where it is counted, and what follows.
fn take(argument: Argument, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = |bytes: &[u8]| memchr::memchr(b'\n', bytes).map(|at| at.saturating_add(1));
    let length = match argument {
        Argument::None => 0,
        Argument::Fixed(count) => count,
        Argument::Line => line(bytes)?,
        Argument::TwoLines => {
            let first = line(bytes)?;
            first.saturating_add(line(bytes.get(first..)?)?)
        }
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
