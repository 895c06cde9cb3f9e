//! Torch 7, binary and text: tables, tensors and objects one after another. Functions in it are
//! Lua's bytecode or source, which the reader compiles and hands on.

use std::collections::HashSet;

use super::cursor::{Cursor, Cut, Fault, Read, tell};
use super::{Head, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Objects of one file, and objects that wait for others.
const OBJECTS_MAX: usize = 2_000_000;
const WAITING_MAX: usize = 100_000;
/// Longest text that is looked at, and longest line of the text format.
const TEXT_MAX: usize = 1 << 20;
const LINE_MAX: usize = 512;
/// Words in a function that say what it reaches.
const WORDS: &[&str] =
    &["execute", "popen", "loadlib", "loadstring", "loadfile", "dofile", "ffi", "os.remove", "socket", "http", "curl"];

pub fn identify(head: &Head<'_>) -> bool {
    let named = matches!(super::extension(head.name).as_str(), "t7" | "th" | "net" | "t7b");
    let lua = |bytes: &[u8]| memchr::memmem::find(bytes.get(..96).unwrap_or(bytes), b"\x1bL").is_some();
    match head.bytes {
        [4, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, b'V', b' ', ..] => true,
        [6..=8, 0, 0, 0, rest @ ..] => named || lua(rest),
        // A table, its number and its size, and a key that is a text or a number.
        [3, 0, 0, 0, 1, 0, 0, 0, _, _, _, 0, 2, 0, 0, 0, length, 0, 0, 0, text @ ..] => {
            named || text.iter().take((*length).into()).all(|byte| (32..127).contains(byte))
        }
        [3, 0, 0, 0, 1, 0, 0, 0, _, _, _, 0, 1, 0, 0, 0, rest @ ..] => named || is_count(rest),
        [0..=5, 0, 0, 0, ..] => named && head.input.len() >= 4,
        [b'0'..=b'8', b'\n', ..] => named || head.bytes.starts_with(b"4\n1\n3\nV 1\n"),
        _ => false,
    }
}

/// True for a text that is Lua and executes, or loads more.
fn is_lua(text: &str) -> bool {
    let calls = ["os.execute", "io.popen", "loadstring", "package.loadlib", "dofile", "os.remove"];
    calls
        .iter()
        .filter_map(|call| text.split_once(call))
        .any(|(_, rest)| rest.trim_start().starts_with(['(', '"', '\'']))
}

/// The first key of a list: a number, as a rule the one.
fn is_count(bytes: &[u8]) -> bool {
    let number = bytes.get(..8).and_then(|bytes| bytes.try_into().ok()).map_or(0.0, f64::from_le_bytes);
    (1.0..=1e9).contains(&number) && number.fract() == 0.0
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let ascii = matches!(input.read(0, 2).as_slice(), [b'0'..=b'8', b'\n']);
    let mut reader =
        Reader { cursor: Cursor::new(input), input, ascii, seen: HashSet::new(), tensors: (0, 0), unknown: false };
    let result = reader.walk(inspection);
    inspection.set("artifact.tensors.count", reader.tensors.0);
    inspection.set("artifact.tensors.bytes", reader.tensors.1);
    let end = reader.cursor.position;
    match result {
        Ok(()) if reader.unknown => inspection
            .issue("not_inspected", "an object of a class that writes itself; what follows it was not looked at"),
        // A text ends with the end of a line.
        Ok(()) if input.len().saturating_sub(end) <= 64 && input.read(end, 64).iter().all(u8::is_ascii_whitespace) => {}
        result => tell(inspection, input, result.map(|()| end)),
    }
    "torch7"
}

/// What is still to be read: one object, or the pairs of a table.
enum Task {
    Object,
    Pairs(u64),
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    input: Input<'a>,
    ascii: bool,
    /// Objects that were read already, by their number.
    seen: HashSet<u64>,
    tensors: (u64, u64),
    /// A class was met that does not write a table.
    unknown: bool,
}

impl Reader<'_> {
    fn walk(&mut self, inspection: &mut Inspection<'_>) -> Result<(), Fault> {
        let mut tasks = vec![Task::Object];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Object => self.object(inspection, &mut tasks)?,
                Task::Pairs(0) => {}
                Task::Pairs(left) => {
                    tasks.extend([Task::Pairs(left.saturating_sub(1)), Task::Object, Task::Object]);
                }
            }
            if tasks.len() > WAITING_MAX || self.seen.len() > OBJECTS_MAX {
                return Err(Fault::Count);
            }
            if self.unknown {
                return Ok(());
            }
        }
        Ok(())
    }

    fn object(&mut self, inspection: &mut Inspection<'_>, tasks: &mut Vec<Task>) -> Read<()> {
        match self.int()? {
            0 => {}
            1 => self.double()?,
            2 => {
                let text = self.text()?;
                if text.len() >= 8 && !probe::text(inspection, "text", &text, self.input) && is_lua(&text) {
                    inspection.list("artifact.metadata.suspicious", "text");
                }
            }
            3 => {
                if self.is_new()? {
                    let size = self.count()?;
                    tasks.push(Task::Pairs(size));
                }
            }
            4 => {
                if self.is_new()? {
                    self.torch(inspection, tasks)?;
                }
            }
            5 => {
                self.int()?;
            }
            6 => {
                self.function(inspection)?;
                tasks.push(Task::Object);
            }
            7 | 8 => {
                if self.is_new()? {
                    self.function(inspection)?;
                    tasks.push(Task::Object);
                }
            }
            _ => return Err(Cut),
        }
        Ok(())
    }

    /// An object of a class: a tensor, its storage, or a table of fields.
    fn torch(&mut self, inspection: &mut Inspection<'_>, tasks: &mut Vec<Task>) -> Read<()> {
        let mut class = self.text()?;
        if class.starts_with("V ") {
            class = self.text()?;
        }
        inspection.list("artifact.torch7.classes", &class);
        let kind = class.strip_prefix("torch.");
        if kind.is_some_and(|kind| kind.ends_with("Tensor")) {
            let dimensions = self.count()?;
            for _ in 0..dimensions.saturating_mul(2) {
                self.long()?;
            }
            self.long()?;
            self.tensors.0 = self.tensors.0.saturating_add(1);
            tasks.push(Task::Object);
        } else if let Some(kind) = kind.and_then(|kind| kind.strip_suffix("Storage")) {
            self.storage(inspection, kind)?;
        } else if class.starts_with("tds.") {
            self.unknown = true;
        } else {
            tasks.push(Task::Object);
        }
        Ok(())
    }

    fn storage(&mut self, inspection: &mut Inspection<'_>, kind: &str) -> Read<()> {
        let count = self.long()?;
        let width = match kind.trim_start_matches("Cuda") {
            "Byte" | "Char" => 1,
            "Short" | "Half" => 2,
            "Long" | "Double" => 8,
            _ => 4,
        };
        if self.ascii {
            // All numbers stand in one line.
            if count > self.cursor.left() {
                return Err(Cut);
            }
            if count > 0 {
                self.row()?;
            }
            return Ok(());
        }
        let position = self.cursor.position;
        let size = count.checked_mul(width).ok_or(Cut)?;
        let data = self.cursor.span(size)?;
        self.tensors.1 = self.tensors.1.saturating_add(size);
        probe::data(inspection, data, position);
        Ok(())
    }

    /// The rest of a line, however long.
    fn row(&mut self) -> Read<()> {
        loop {
            let piece = self.cursor.peek(64 << 10);
            let end = memchr::memchr(b'\n', piece);
            let length = end.map_or(piece.len(), |end| end.saturating_add(1));
            if length == 0 {
                return Err(Cut);
            }
            self.cursor.skip(length as u64)?;
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// A function: bytecode of one of the interpreters, or source; its upvalues follow.
    fn function(&mut self, inspection: &mut Inspection<'_>) -> Read<()> {
        let length = self.count()?;
        let position = self.cursor.position;
        let body = self.cursor.span(length)?;
        if self.ascii {
            self.cursor.skip(1.min(self.cursor.left()))?;
        }
        let bytes = body.read(0, TEXT_MAX);
        let kind = match bytes.as_slice() {
            [0x1b, b'L', b'J', ..] => "luajit",
            [0x1b, b'L', b'u', b'a', ..] => "lua",
            _ => "source",
        };
        inspection.list("artifact.torch7.functions", kind);
        for word in WORDS {
            if memchr::memmem::find(&bytes, word.as_bytes()).is_some() {
                inspection.list("artifact.torch7.functions", format!("{kind}:{word}"));
            }
        }
        probe::data(inspection, body, position);
        Ok(())
    }

    /// False for an object that stands elsewhere in the file already.
    fn is_new(&mut self) -> Read<bool> {
        let index = self.int()?;
        Ok(self.seen.insert(index))
    }

    /// A number that counts things of a byte at least.
    fn count(&mut self) -> Read<u64> {
        let count = self.int()?;
        if count > self.cursor.left() { Err(Cut) } else { Ok(count) }
    }

    fn int(&mut self) -> Read<u64> {
        if self.ascii { self.token() } else { self.cursor.number(4) }
    }

    fn long(&mut self) -> Read<u64> {
        if self.ascii { self.token() } else { self.cursor.number(8) }
    }

    fn double(&mut self) -> Read<()> {
        if self.ascii { self.word().map(drop) } else { self.cursor.skip(8) }
    }

    fn text(&mut self) -> Read<String> {
        let length = self.count()?;
        let text = self.cursor.text(length, TEXT_MAX)?;
        if self.ascii {
            self.cursor.skip(1.min(self.cursor.left()))?;
        }
        Ok(text)
    }

    /// A number of the text format; numbers of one object stand in one line or in several.
    fn token(&mut self) -> Read<u64> {
        self.word()?.parse().map_err(|_| Cut)
    }

    fn word(&mut self) -> Read<String> {
        while self.cursor.peek(1).first().is_some_and(u8::is_ascii_whitespace) {
            self.cursor.skip(1)?;
        }
        let bytes = self.cursor.peek(LINE_MAX);
        let end = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len());
        let word = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
        self.cursor.skip(end as u64)?;
        // One blank ends a number; a text begins right behind it.
        if self.cursor.left() > 0 {
            self.cursor.skip(1)?;
        }
        Ok(word)
    }
}
