//! Native and script programs, recognised where weights or data should be.

use super::Head;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// True for a file that is a program.
pub fn identify(head: &Head<'_>) -> bool {
    matches!(kind(head.bytes), Some("elf" | "pe" | "mach-o"))
}

/// A program that is called like one, alone in its file, hides nothing; in a model, or under another name, it does.
pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let head = input.read(0, 4096);
    let kind = kind(&head).unwrap_or("unknown");
    if !inspection.is_member() && is_called_one(name) {
        inspection.list("artifact.programs", kind);
    } else {
        look(inspection, &head, 0);
    }
    kind
}

/// `libmodel.so.1.2`, `kernel.dll`, `bin/protoc`: names that no model has.
fn is_called_one(name: &str) -> bool {
    let mut parts = name.rsplit('/');
    let file = parts.next().unwrap_or(name).to_ascii_lowercase();
    let programs = matches!(parts.next(), Some("bin" | "sbin"));
    let endings = [".so", ".dylib", ".dll", ".pyd", ".exe", ".node", ".ko"];
    let versioned = file.split_once(".so.").is_some_and(|(_, version)| {
        !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    programs || versioned || endings.iter().any(|ending| file.ends_with(ending))
}

/// Notes a program that begins at `position`, if there is one.
pub fn look(inspection: &mut Inspection<'_>, head: &[u8], position: u64) {
    if let Some(kind) = kind(head) {
        inspection.list("artifact.embedded_executables", format!("{kind}@{position}"));
    }
}

/// What kind of program begins here. Each magic is checked further, as four bytes are met by
/// chance in weights.
pub fn kind(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x7f, b'E', b'L', b'F', 1 | 2, 1 | 2, 1, ..] => Some("elf"),
        [b'M', b'Z', ..] if is_pe(head) => Some("pe"),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..]
            if head.get(12..16).is_some_and(|kind| matches!(kind, [1..=12, 0, 0, 0])) =>
        {
            Some("mach-o")
        }
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
            if head.get(12..16).is_some_and(|kind| matches!(kind, [0, 0, 0, 1..=12])) =>
        {
            Some("mach-o")
        }
        // A fat binary has few architectures; a Java class has a version of 45 and more there.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=20, ..] => Some("mach-o"),
        [b'#', b'!', b'/' | b' ', ..] => Some("script"),
        _ => None,
    }
}

/// What kind of program begins in the middle of other bytes: its header has to make sense in more
/// places than [`kind`] asks for, so that weights hold none by chance.
pub fn embedded(bytes: &[u8]) -> Option<&'static str> {
    let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?));
    match bytes {
        // Code for the processors of NVIDIA (190) and AMD (224) cards is part of compiled models.
        [0x7f, b'E', b'L', b'F', 1 | 2, 1, 1, ..] => {
            let program = matches!(short(16)?, 1..=4) && !matches!(short(18)?, 0 | 190 | 224) && word(20)? == 1;
            program.then_some("elf")
        }
        [0x7f, b'E', b'L', b'F', 1 | 2, 2, 1, ..] => (word(20)? == 1_u32.swap_bytes()).then_some("elf"),
        [b'P', b'E', 0, 0, ..] => {
            let processor = matches!(short(4)?, 0x14c | 0x8664 | 0xaa64 | 0x1c0 | 0x1c4);
            (processor && matches!(short(6)?, 1..=96) && matches!(short(24)?, 0x10b | 0x20b)).then_some("pe")
        }
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => {
            let processor = matches!(word(4)?, 7 | 12 | 0x0100_0007 | 0x0100_000c);
            (processor && matches!(word(12)?, 1..=12)).then_some("mach-o")
        }
        _ => None,
    }
}

fn is_pe(head: &[u8]) -> bool {
    let offset = head.get(60..64).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let Some(offset) = offset.and_then(|offset| usize::try_from(offset).ok()) else { return false };
    match head.get(offset..) {
        Some(rest) if rest.len() >= 4 => rest.starts_with(b"PE\0\0"),
        // Its header lies beyond what was read: the DOS header's own text tells.
        Some(_) | None => memchr::memmem::find(head, b"DOS mode").is_some(),
    }
}
