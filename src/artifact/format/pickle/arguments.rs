//! Opcodes that carry an argument: literals, memo indices, frames, and globals by name.

use super::findings::Nested;
use super::machine::{Halt, Machine, Step};
use super::opcodes::Op;
use super::value::{Collection, Node, Slot};
use super::{literal, nested};

/// Bytes of a text that are kept; longer ones are kept by their beginning.
const TEXT_KEPT: usize = 64 << 10;
/// Bytes of a byte string that are kept: enough to know what it is, and for names.
const HEAD_KEPT: usize = 256;

impl Machine<'_, '_> {
    pub(super) fn fixed(&mut self, op: Op, number: u64, byte: u8) -> Step {
        match op {
            Op::Number => {
                let value = i64::try_from(number).unwrap_or_default();
                // Only the four-byte form has a sign.
                let signed = if byte == b'J' { value.wrapping_shl(32) >> 32 } else { value };
                self.push(Slot::Int(signed));
            }
            Op::Float => self.push(Slot::Unknown),
            Op::Extension => {
                self.findings.anomalies.insert("extension_registry");
                self.push(Slot::Unknown);
            }
            Op::Get => self.recall(number)?,
            Op::Put => self.store(number),
            Op::Proto => self.proto(number)?,
            Op::Frame => self.frame(number),
            _ => {}
        }
        Ok(())
    }

    fn proto(&mut self, number: u64) -> Step {
        let first = self.opcodes == 1;
        if !first {
            self.findings.anomalies.insert("misplaced_proto");
        }
        let version = u8::try_from(number).unwrap_or(u8::MAX);
        if version > 5 {
            return Err(Halt::Broken("a protocol that does not exist"));
        }
        self.protocol = version;
        self.findings.protocol = self.findings.protocol.max(version);
        Ok(())
    }

    fn frame(&mut self, length: u64) {
        let end = self.reader.position().saturating_add(length);
        if self.frame_end.is_some_and(|open| self.reader.position().saturating_sub(9) < open) {
            self.findings.anomalies.insert("frame_boundary");
        }
        if length > self.reader.remaining() {
            self.findings.anomalies.insert("frame_boundary");
            // Loading would end here; what follows is still looked at.
            self.findings.fail(self.reader.position(), "a frame reaches beyond the end");
            self.frame_end = None;
            return;
        }
        self.frame_end = Some(end);
    }

    pub(super) fn line(&mut self, op: Op, line: &[u8]) -> Step {
        match op {
            Op::Int | Op::Long => match (line, literal::integer(line)) {
                (b"00", _) => self.push(Slot::Bool(false)),
                (b"01", _) => self.push(Slot::Bool(true)),
                (_, Some(number)) => self.push(Slot::Int(number)),
                (_, None) if literal::is_integer(line) => self.push(Slot::Unknown),
                (_, None) => return Err(Halt::Broken("a number that is none")),
            },
            Op::UnicodeLine => self.push_text(&literal::raw_unicode(line)),
            Op::StringLine => match literal::quoted(line) {
                Some(text) => self.push_text(&text),
                None => return Err(Halt::Broken("a string without its quotes")),
            },
            Op::GetLine => {
                let index = literal::integer(line).and_then(|index| u64::try_from(index).ok());
                self.recall(index.ok_or(Halt::Broken("a memo index that is none"))?)?;
            }
            Op::PutLine => {
                let index = literal::integer(line).and_then(|index| u64::try_from(index).ok());
                self.store(index.ok_or(Halt::Broken("a memo index that is none"))?);
            }
            // Floats and persistent ids.
            _ => self.push(Slot::Unknown),
        }
        Ok(())
    }

    pub(super) fn two_lines(&mut self, op: Op, module: &[u8], name: &[u8]) -> Step {
        let (Ok(module), Ok(name)) = (std::str::from_utf8(module), std::str::from_utf8(name)) else {
            return Err(Halt::Broken("a global's name is no text"));
        };
        let (module, name) = (module.to_owned(), name.to_owned());
        if op == Op::Inst {
            let arguments = self.pop_mark()?;
            let arguments = self.arena.add(Node::Items(Collection::Tuple, arguments));
            let class = self.import(&module, &name);
            let object = self.call(class, arguments, false);
            self.push(object);
        } else {
            let global = self.import(&module, &name);
            self.push(global);
        }
        Ok(())
    }

    pub(super) fn counted(&mut self, op: Op, count: u64) -> Step {
        let at = self.reader.position();
        if self.reader.remaining() < count {
            return Err(Halt::Broken("an argument reaches beyond the end"));
        }
        match op {
            Op::Text => {
                let kept = usize::try_from(count).unwrap_or(usize::MAX).min(TEXT_KEPT);
                let bytes = self.reader.take(kept).ok_or(Halt::Budget)?;
                self.reader.skip(count.saturating_sub(kept as u64));
                if kept as u64 == count && std::str::from_utf8(&bytes).is_err() && !surrogates(&bytes) {
                    self.push(Slot::Unknown);
                    return Err(Halt::Broken("a text that is no UTF-8"));
                }
                let text = String::from_utf8_lossy(&bytes);
                self.push_text(&text);
            }
            Op::Long => {
                let kept = usize::try_from(count).unwrap_or(usize::MAX).min(64);
                self.long = self.reader.take(kept).ok_or(Halt::Budget)?;
                self.reader.skip(count.saturating_sub(kept as u64));
                let small = if kept <= 7 { little_endian(&self.long) } else { None };
                self.push(small.map_or(Slot::Unknown, Slot::Int));
            }
            _ => {
                let kept = usize::try_from(count).unwrap_or(usize::MAX).min(HEAD_KEPT);
                let head = self.reader.take(kept).ok_or(Halt::Budget)?;
                self.reader.skip(count.saturating_sub(kept as u64));
                if nested::may_be_pickle(&head, count) {
                    self.findings.nest(Nested::Range(at, count), false);
                }
                // Python 2 wrote its texts as byte strings, so they are texts here where they can be.
                let text = (kept as u64 == count).then(|| std::str::from_utf8(&head).ok()).flatten();
                if let Some(text) =
                    text.filter(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.is_empty())
                {
                    self.push_text(text);
                } else {
                    let slot = self.arena.add(Node::Bytes { at: Some((at, count)), head: head.into() });
                    self.push(slot);
                }
            }
        }
        Ok(())
    }
}

/// Python's `surrogatepass`: lone surrogates are legal in a pickle's text.
fn surrogates(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        rest = rest.get(error.valid_up_to()..).unwrap_or_default();
        match rest {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..] => rest = after,
            _ => return false,
        }
    }
    true
}

fn little_endian(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(whole))
}
