//! R's serialised objects, `.rds` and `.RData`: walked without building anything. Data is passed
//! over; promises, calls and functions are told by what they call.

mod reader;

use reader::{Encoding, Reader};

use super::Head;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Objects in objects.
const DEPTH_MAX: u32 = 500;
/// Names kept, so that references to them can be followed.
const SYMBOLS_MAX: usize = 200_000;

/// Functions that start programs, load libraries or reach the network.
const EXECUTING: &[&str] = &[
    "system",
    "system2",
    "shell",
    "shell.exec",
    "pipe",
    "socketConnection",
    "download.file",
    "install.packages",
    "dyn.load",
    "browseURL",
    "sys.source",
    "source",
    "run_process",
];
/// Functions that call what they are given, or lead to it.
const CALLERS: &[&str] =
    &["::", ":::", "do.call", "match.fun", "get", "Reduce", "Map", "lapply", "sapply", "vapply", "mapply", "Recall"];
/// Objects of a workspace that R itself runs when it starts or ends.
const STARTUP: &[&str] = &[".First", ".First.sys", ".Last", ".Last.sys"];

pub fn identify(head: &Head<'_>) -> bool {
    start(head.bytes).is_some()
}

/// How the object is written, where it begins, and whether names stand before its parts.
fn start(head: &[u8]) -> Option<(Encoding, u64, bool)> {
    let (rest, skip, workspace) = match head {
        [b'R', b'D', b'X' | b'A' | b'B', b'2' | b'3', b'\n', rest @ ..] => (rest, 5, true),
        rest => (rest, 0, false),
    };
    let encoding = match rest {
        [b'X', b'\n', 0, 0, 0, 2 | 3, ..] => Encoding::Big,
        [b'B', b'\n', 2 | 3, 0, 0, 0, ..] => Encoding::Little,
        [b'A', b'\n', b'2' | b'3', b'\n', b'0'..=b'9', ..] => Encoding::Text,
        _ => return None,
    };
    Some((encoding, skip + 2, workspace))
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let head = input.read(0, 16);
    let Some((encoding, at, workspace)) = start(&head) else { return "r-data" };
    let mut walk = Walk { reader: Reader::new(input, at, encoding), symbols: Vec::new(), workspace };
    match walk.header().and_then(|()| walk.item(inspection, Context::default(), 0)) {
        Ok(_) | Err(Stop::Budget) => {}
        Err(Stop::Broken) => inspection.issue("malformed", "the R object is broken or cut off"),
        Err(Stop::Depth) => inspection.issue("budget_exceeded", "the R object is nested more deeply than is looked at"),
    }
    "r-data"
}

/// Why the walk ended early.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    Broken,
    Depth,
    Budget,
}

/// What an object lies in.
#[derive(Debug, Clone, Copy, Default)]
struct Context {
    /// The innermost thing that is code.
    code: Option<&'static str>,
    /// Inside of an environment, where R itself keeps promises of arguments.
    environment: bool,
}

struct Walk<'a> {
    reader: Reader<'a>,
    /// Everything that can be referred to, with the name of those that are symbols.
    symbols: Vec<Option<String>>,
    workspace: bool,
}

impl Walk<'_> {
    fn header(&mut self) -> Result<(), Stop> {
        let version = self.reader.int()?;
        self.reader.int()?;
        self.reader.int()?;
        if version == 3 {
            let length = self.reader.int()?;
            self.reader.text(length)?;
        }
        Ok(())
    }

    /// One object; the name, if it is a symbol.
    fn item(&mut self, inspection: &mut Inspection<'_>, context: Context, depth: u32) -> Result<Option<String>, Stop> {
        let flags = self.reader.int()?;
        self.flagged(inspection, flags, context, depth)
    }

    fn flagged(
        &mut self,
        inspection: &mut Inspection<'_>,
        flags: i32,
        context: Context,
        depth: u32,
    ) -> Result<Option<String>, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Depth);
        }
        self.reader.spend()?;
        let next = depth.saturating_add(1);
        let attributes = flags & 0x200 != 0;
        match flags & 0xff {
            // Nothing, and the environments that every session has.
            241 | 242 | 250..=254 => return Ok(None),
            255 => {
                let packed = flags >> 8;
                let index = if packed == 0 { self.reader.int()? } else { packed };
                let index = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
                return Ok(index.and_then(|index| self.symbols.get(index).cloned()).flatten());
            }
            1 => {
                let name = self.item(inspection, context, next)?;
                self.remember(name.clone())?;
                return Ok(name);
            }
            247..=249 => {
                self.reader.int()?;
                let count = self.reader.length()?;
                self.items(inspection, count, context, next)?;
                self.remember(None)?;
                return Ok(None);
            }
            4 => {
                self.reader.int()?;
                self.remember(None)?;
                let inside = Context { environment: true, ..context };
                self.items(inspection, 4, inside, next)?;
                return Ok(None);
            }
            2 | 3 | 5 | 6 | 17 | 239 | 240 => return self.pairs(inspection, flags, context, depth),
            7 | 8 => {
                let length = self.reader.int()?;
                let name = self.reader.text(length)?;
                Self::calls(inspection, &name, context);
                return Ok(None);
            }
            9 => {
                let length = self.reader.int()?;
                return self.reader.text(length).map(Some);
            }
            10 | 13 => self.numbers(4)?,
            14 => self.numbers(8)?,
            15 => self.numbers(16)?,
            24 => self.numbers(1)?,
            16 => {
                let count = self.reader.length()?;
                let mut only = None;
                for _ in 0..count {
                    only = self.item(inspection, context, next)?;
                }
                if attributes {
                    self.item(inspection, context, next)?;
                }
                return Ok(only.filter(|_| count == 1));
            }
            kind @ (19 | 20) => {
                let count = self.reader.length()?;
                let code = if kind == 20 { Some("expression") } else { context.code };
                self.items(inspection, count, Context { code, ..context }, next)?;
            }
            21 => {
                self.reader.int()?;
                self.bytecode(inspection, Context { code: Some("closure"), ..context }, next)?;
            }
            22 => {
                self.remember(None)?;
                self.items(inspection, 2, context, next)?;
            }
            23 => self.remember(None)?,
            25 => {}
            238 => {
                self.items(inspection, 3, context, next)?;
                return Ok(None);
            }
            _ => return Err(Stop::Broken),
        }
        if attributes {
            self.item(inspection, context, next)?;
        }
        Ok(None)
    }

    fn items(&mut self, inspection: &mut Inspection<'_>, count: u64, context: Context, depth: u32) -> Result<(), Stop> {
        for _ in 0..count {
            self.item(inspection, context, depth)?;
        }
        Ok(())
    }

    fn numbers(&mut self, width: u64) -> Result<(), Stop> {
        let count = self.reader.length()?;
        self.reader.skip(count, width)
    }

    fn remember(&mut self, name: Option<String>) -> Result<(), Stop> {
        self.symbols.push(name);
        if self.symbols.len() > SYMBOLS_MAX { Err(Stop::Broken) } else { Ok(()) }
    }

    /// Lists, calls, functions and promises: attributes, a tag, a head, and the rest, which is
    /// walked without going deeper.
    fn pairs(
        &mut self,
        inspection: &mut Inspection<'_>,
        mut flags: i32,
        context: Context,
        depth: u32,
    ) -> Result<Option<String>, Stop> {
        let next = depth.saturating_add(1);
        let mut first = true;
        // What a function that calls others is given.
        let mut operands = false;
        loop {
            let kind = flags & 0xff;
            let inside = match kind {
                3 => Context { code: Some("closure"), ..context },
                5 => Context { code: Some("promise"), ..context },
                6 | 240 => Context { code: context.code.or(Some("language")), ..context },
                _ => context,
            };
            // R keeps the promises of arguments in environments; elsewhere one waits for its reader.
            if kind == 5 && !context.environment {
                inspection.list("artifact.r.active", "promise");
            }
            if matches!(kind, 3 | 5) {
                inspection.list("artifact.r.code", inside.code.unwrap_or_default());
            }
            if flags & 0x200 != 0 {
                self.item(inspection, context, next)?;
            }
            if flags & 0x400 != 0 {
                // The tag of a function or a promise is its environment.
                let around = if matches!(kind, 3 | 5) { Context { code: None, ..context } } else { context };
                let tag = self.item(inspection, around, next)?;
                if let Some(tag) = tag.filter(|_| depth == 0 && self.workspace) {
                    inspection.list("artifact.r.objects", &tag);
                    if STARTUP.contains(&tag.as_str()) {
                        inspection.list("artifact.r.active", format!("startup:{tag}"));
                    }
                }
            }
            let head = self.item(inspection, inside, next)?;
            let calls = first && matches!(kind, 6 | 240);
            if let Some(name) = head.filter(|_| calls || operands) {
                let code = context.code.or(Some("language"));
                Self::calls(inspection, &name, Context { code, ..context });
                operands |= calls && CALLERS.contains(&name.as_str());
            }
            flags = self.reader.int()?;
            if !matches!(flags & 0xff, 2 | 6) {
                self.flagged(inspection, flags, inside, next)?;
                return Ok(None);
            }
            self.reader.spend()?;
            // The body of a function or a promise may be a call of its own.
            if kind == 3 || kind == 5 || flags & 0xff == 6 {
                return self.flagged(inspection, flags, inside, next).map(|_| None);
            }
            first = false;
        }
    }

    /// Compiled code: its constants hold the calls that it was compiled from.
    fn bytecode(&mut self, inspection: &mut Inspection<'_>, context: Context, depth: u32) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Depth);
        }
        let next = depth.saturating_add(1);
        inspection.list("artifact.r.code", "bytecode");
        self.item(inspection, context, next)?;
        let count = self.reader.length()?;
        for _ in 0..count {
            match self.reader.int()? {
                21 => self.bytecode(inspection, context, next)?,
                kind @ (2 | 6 | 239 | 240 | 243 | 244) => {
                    self.compiled(inspection, kind, context, next)?;
                }
                _ => {
                    self.item(inspection, context, next)?;
                }
            }
        }
        Ok(())
    }

    /// A call as compiled code keeps it; the name, if it is a symbol.
    fn compiled(
        &mut self,
        inspection: &mut Inspection<'_>,
        kind: i32,
        context: Context,
        depth: u32,
    ) -> Result<Option<String>, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Depth);
        }
        self.reader.spend()?;
        let next = depth.saturating_add(1);
        let mut kind = kind;
        match kind {
            243 => {
                self.reader.int()?;
                return Ok(None);
            }
            244 => {
                self.reader.int()?;
                kind = self.reader.int()?;
            }
            2 | 6 | 239 | 240 => {}
            _ => return self.item(inspection, context, next),
        }
        if matches!(kind, 239 | 240) {
            self.item(inspection, context, next)?;
        }
        self.item(inspection, context, next)?;
        let head = self.reader.int()?;
        let head = self.compiled(inspection, head, context, next)?;
        if let Some(name) = head.filter(|_| matches!(kind, 6 | 240)) {
            Self::calls(inspection, &name, context);
        }
        let rest = self.reader.int()?;
        self.compiled(inspection, rest, context, next)?;
        Ok(None)
    }

    /// Tells a name in code that executes.
    fn calls(inspection: &mut Inspection<'_>, name: &str, context: Context) {
        if let Some(code) = context.code.filter(|_| EXECUTING.contains(&name)) {
            inspection.list("artifact.r.active", format!("{code}:{name}"));
        }
    }
}
