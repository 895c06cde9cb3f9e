//! Pickles that are nearly right: opcodes with arguments of their own kind, in any order, so that the
//! machine gets further than random bytes would bring it.

#![no_main]

use lanner::artifact::{Limits, Memory, inspect};
use libfuzzer_sys::{arbitrary::{self, Arbitrary}, fuzz_target};

const MODULES: &[&str] = &["os", "builtins", "numpy._core.multiarray", "collections", "functools", "operator", "__main__", "torch._utils"];
const NAMES: &[&str] = &["system", "eval", "_reconstruct", "OrderedDict", "partial", "attrgetter", "getattr", "_rebuild_tensor_v2", "a.b.c"];

/// One or a few opcodes with their arguments.
#[derive(Debug, Arbitrary)]
enum Op<'t> {
    /// Opcodes without an argument, chosen by number.
    Bare(u8),
    Byte { code: u8, argument: u8 },
    Short { code: u8, argument: u16 },
    Long { code: u8, argument: u32 },
    /// A length of four bytes, true or a lie, and data.
    Counted { code: u8, data: &'t [u8], lie: Option<u32> },
    /// A length of eight bytes.
    Counted8 { code: u8, data: &'t [u8], lie: Option<u64> },
    Text(&'t str),
    Line { code: u8, text: &'t str },
    Global { module: u8, name: u8 },
    Stacked { module: u8, name: u8 },
    Frame { length: u64 },
    Memo { put: bool, slot: u8 },
    Raw(&'t [u8]),
    /// A call of what lies on the stack with one text.
    Call(&'t str),
}

const BARE: &[u8] = b"0123(.)]}eaosutbRQN\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98ld";

fn write(op: &Op<'_>, out: &mut Vec<u8>) {
    let pick = |list: &[u8], number: u8| list[usize::from(number) % list.len()];
    let word = |list: &[&'static str], number: u8| list[usize::from(number) % list.len()];
    match op {
        Op::Bare(code) => out.push(pick(BARE, *code)),
        Op::Byte { code, argument } => out.extend([pick(b"Khq\x80\x82", *code), *argument]),
        Op::Short { code, argument } => {
            out.push(pick(b"M\x83", *code));
            out.extend(argument.to_le_bytes());
        }
        Op::Long { code, argument } => {
            out.push(pick(b"Jjr\x84", *code));
            out.extend(argument.to_le_bytes());
        }
        Op::Counted { code, data, lie } => {
            out.push(pick(b"TBX\x8b", *code));
            out.extend(lie.unwrap_or(data.len() as u32).to_le_bytes());
            out.extend_from_slice(data);
        }
        Op::Counted8 { code, data, lie } => {
            out.push(pick(b"\x8d\x8e\x96", *code));
            out.extend(lie.unwrap_or(data.len() as u64).to_le_bytes());
            out.extend_from_slice(data);
        }
        Op::Text(text) => {
            let text = &text.as_bytes()[..text.len().min(255)];
            out.extend([0x8c, text.len() as u8]);
            out.extend_from_slice(text);
        }
        Op::Line { code, text } => {
            out.push(pick(b"ISVLFPgpSi", *code));
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
        }
        Op::Global { module, name } => {
            out.push(b'c');
            out.extend_from_slice(format!("{}\n{}\n", word(MODULES, *module), word(NAMES, *name)).as_bytes());
        }
        Op::Stacked { module, name } => {
            write(&Op::Text(word(MODULES, *module)), out);
            write(&Op::Text(word(NAMES, *name)), out);
            out.push(0x93);
        }
        Op::Frame { length } => {
            out.push(0x95);
            out.extend(length.to_le_bytes());
        }
        Op::Memo { put, slot } => out.extend([if *put { b'q' } else { b'h' }, *slot]),
        Op::Raw(bytes) => out.extend_from_slice(bytes),
        Op::Call(text) => {
            write(&Op::Text(text), out);
            out.extend([0x85, b'R']);
        }
    }
}

#[derive(Debug, Arbitrary)]
struct Written<'t> {
    protocol: Option<u8>,
    ops: Vec<Op<'t>>,
    /// Bytes between the stream and a second one.
    rest: &'t [u8],
}

fuzz_target!(|written: Written<'_>| {
    let mut bytes = Vec::new();
    bytes.extend(written.protocol.into_iter().flat_map(|protocol| [0x80, protocol]));
    written.ops.iter().for_each(|op| write(op, &mut bytes));
    bytes.push(b'.');
    bytes.extend_from_slice(written.rest);
    let report = inspect(&Memory(bytes.clone()), "model.pkl", &Limits::default());
    // The same under a name that claims nothing, and cut off: no panic, no hang.
    inspect(&Memory(bytes.clone()), "model", &Limits::default());
    bytes.truncate(bytes.len() / 2);
    inspect(&Memory(bytes), "model.joblib", &Limits::default());
    assert!(!report.format.is_empty());
});
