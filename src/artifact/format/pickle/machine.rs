//! The abstract machine: executes the opcodes of one stream on symbols, with the semantics of C's
//! unpickler, and calls nothing.

use std::collections::{HashMap, HashSet};

use super::findings::{Findings, Nested};
use super::opcodes::{Argument, Op, decode};
use super::reader::{Held, Reader};
use super::value::{Arena, Collection, Node, Slot};
use super::{arrays, nested, tensors};
use crate::artifact::input::Input;
use crate::artifact::vetted::Vetted;

/// Longest line of protocol 0.
const LINE_MAX: usize = 4 << 20;
/// Streams within streams: object arrays of joblib.
const INLINE_DEPTH_MAX: u32 = 16;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Stop,
    Broken,
    Budget,
}

/// What one run of the machine says about its stream.
#[derive(Debug)]
pub struct Run {
    pub ending: Ending,
    /// Position after the last opcode read.
    pub end: u64,
    pub opcodes: u64,
    /// Starts of what a frame hides from a linear reader.
    pub detours: Vec<u64>,
    pub result: Outcome,
    /// For the stream that follows.
    pub held: Held,
}

/// The value that a stream yields, as far as containers ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Nothing,
    Int(i64),
    /// An integer of more than 63 bits: its little-endian bytes.
    Long(Vec<u8>),
    Texts(Vec<String>),
    Call,
    Other,
}

pub struct Machine<'a, 'f> {
    pub(super) reader: Reader<'a>,
    pub(super) arena: Arena,
    pub(super) stack: Vec<Slot>,
    marks: Vec<usize>,
    pub(super) findings: &'f mut Findings,
    pub(super) protocol: u8,
    pub(super) frame_end: Option<u64>,
    detours: Vec<u64>,
    pub(super) opcodes: u64,
    depth: u32,
    /// The last two texts: operands of `STACK_GLOBAL` beyond the bounds of the arena.
    pub(super) recent: [String; 2],
    /// Texts that were made while loading.
    pub(super) computed: HashSet<String>,
    pub(super) long: Vec<u8>,
    /// Class and key of the storage that was named last; nodes that are tensors, with their index.
    pub(super) storage: Option<(String, String)>,
    pub(super) tensors: HashMap<u32, usize>,
    pushed: u64,
    /// The most that lay on the stack, marks included, and whether there was memory for it.
    deepest: usize,
    overflow: bool,
}

/// Why the current opcode ends the stream.
pub(super) enum Halt {
    Stop,
    Broken(&'static str),
    Budget,
}

pub(super) type Step = Result<(), Halt>;

impl<'a, 'f> Machine<'a, 'f> {
    pub fn new(input: Input<'a>, position: u64, findings: &'f mut Findings) -> Self {
        Self::read(Reader::new(input, position), findings)
    }

    /// A machine that goes on with what a reader has read.
    pub fn read(reader: Reader<'a>, findings: &'f mut Findings) -> Self {
        Self {
            reader,
            arena: Arena::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            findings,
            protocol: 0,
            frame_end: None,
            detours: Vec::new(),
            opcodes: 0,
            depth: 0,
            recent: [String::new(), String::new()],
            computed: HashSet::new(),
            long: Vec::new(),
            storage: None,
            tensors: HashMap::new(),
            pushed: 0,
            deepest: 0,
            overflow: false,
        }
    }

    /// Runs to the end of the stream.
    pub fn run(mut self) -> Run {
        self.findings.streams = self.findings.streams.saturating_add(1);
        let ending = loop {
            let start = self.reader.position();
            match self.step(start) {
                Ok(()) => {}
                Err(Halt::Stop) => break Ending::Stop,
                Err(Halt::Broken(why)) => {
                    self.findings.fail(start, why);
                    break Ending::Broken;
                }
                Err(Halt::Budget) => {
                    self.findings.cut = true;
                    break Ending::Budget;
                }
            }
        };
        self.findings.cut |= self.arena.full;
        let result = self.outcome();
        let (end, held) = (self.reader.position(), self.reader.into_held());
        Run { ending, end, opcodes: self.opcodes, detours: self.detours, result, held }
    }

    /// What the site vouches for.
    pub(super) fn vetted(&self) -> &'a Vetted {
        &self.reader.input().budget.limits.vetted
    }

    fn step(&mut self, start: u64) -> Step {
        let budget = self.reader.input().budget;
        if !budget.spend(&budget.opcodes, budget.limits.opcodes_max, 1, "opcodes_max") {
            return Err(Halt::Budget);
        }
        let Some(byte) = self.reader.byte() else {
            return Err(if budget.is_cut_off() { Halt::Budget } else { Halt::Broken("the stream ends without STOP") });
        };
        let Some((op, argument)) = decode(byte) else {
            return Err(Halt::Broken("a byte that is no opcode"));
        };
        self.opcodes = self.opcodes.saturating_add(1);
        let done = self.execute(op, argument, byte);
        if self.overflow {
            return Err(Halt::Budget);
        }
        self.check_frame(start, op);
        done
    }

    /// An opcode or argument across the end of its frame is read otherwise by C's unpickler, which
    /// takes the argument from behind the frame; what follows there is looked at as well.
    fn check_frame(&mut self, start: u64, op: Op) {
        let Some(end) = self.frame_end else { return };
        let now = self.reader.position();
        let nested = op == Op::Frame && start < end && self.opcodes > 1;
        if start < end && now > end && op != Op::Frame {
            self.findings.anomalies.insert("frame_boundary");
            if self.detours.len() < 16 {
                self.detours.extend([end, end.saturating_add(now.saturating_sub(start).saturating_sub(1))]);
                self.detours.extend(
                    [2, 3, 5, 9].map(|header| end.saturating_add(now.saturating_sub(start).saturating_sub(header))),
                );
            }
        }
        if !nested && now >= end {
            self.frame_end = None;
        }
    }

    fn execute(&mut self, op: Op, argument: Argument, byte: u8) -> Step {
        match argument {
            Argument::None => self.plain(op),
            Argument::Fixed(width) => {
                let number = self.reader.number(width).ok_or(Halt::Broken("an argument is cut off"))?;
                self.fixed(op, number, byte)
            }
            Argument::Line => {
                let line = self.reader.line(LINE_MAX).ok_or(Halt::Broken("a line is cut off"))?;
                self.line(op, &line)
            }
            Argument::TwoLines => {
                let module = self.reader.line(LINE_MAX).ok_or(Halt::Broken("a line is cut off"))?;
                let name = self.reader.line(LINE_MAX).ok_or(Halt::Broken("a line is cut off"))?;
                self.two_lines(op, &module, &name)
            }
            Argument::Counted(width) => {
                let count = self.reader.number(width).ok_or(Halt::Broken("a length is cut off"))?;
                self.counted(op, count)
            }
        }
    }

    fn plain(&mut self, op: Op) -> Step {
        match op {
            Op::Mark => {
                self.marks.push(self.stack.len());
                if self.marks.len() > self.deepest {
                    self.deepest = self.marks.len();
                    self.overflow |= !self.arena.deeper();
                }
            }
            Op::Stop => {
                if self.stack.is_empty() {
                    return Err(Halt::Broken("STOP without a value"));
                }
                return Err(Halt::Stop);
            }
            Op::Pop => {
                // With nothing above it, POP takes the mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            Op::PopMark => drop(self.pop_mark()?),
            Op::Dup => {
                let top = *self.stack.last().ok_or(Halt::Broken("DUP without a value"))?;
                self.push(top);
            }
            Op::None => self.push(Slot::None),
            Op::Bool(flag) => self.push(Slot::Bool(flag)),
            Op::EmptyDict => self.collection(Collection::Dict, Vec::new()),
            Op::EmptyList => self.collection(Collection::List, Vec::new()),
            Op::EmptyTuple => self.collection(Collection::Tuple, Vec::new()),
            Op::EmptySet => self.collection(Collection::Set, Vec::new()),
            Op::List => self.collect(Collection::List)?,
            Op::Dict => self.collect(Collection::Dict)?,
            Op::Tuple => self.collect(Collection::Tuple)?,
            Op::FrozenSet => self.collect(Collection::Set)?,
            Op::TupleOf(count) => {
                let from = self.stack.len().checked_sub(count).ok_or(Halt::Broken("a tuple without its items"))?;
                let items = self.stack.split_off(from);
                self.collection(Collection::Tuple, items);
            }
            Op::Append => {
                let item = self.pop()?;
                self.grow(&[item])?;
            }
            Op::SetItem => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.grow(&[key, value])?;
            }
            Op::Appends | Op::AddItems | Op::SetItems => {
                let items = self.pop_mark()?;
                self.grow(&items)?;
            }
            Op::Memoize => self.store(self.arena.memo_len()),
            Op::NextBuffer => self.push(Slot::Unknown),
            Op::ReadonlyBuffer => {}
            Op::Persistent => self.persistent()?,
            _ => self.calling(op)?,
        }
        Ok(())
    }

    /// Opcodes that import or call.
    fn calling(&mut self, op: Op) -> Step {
        match op {
            Op::StackGlobal => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = self.stack_global(module, name);
                self.push(global);
            }
            Op::Reduce | Op::NewObj => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let object = self.call(callable, arguments, op == Op::NewObj);
                self.push(object);
            }
            Op::NewObjEx => {
                let (keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                let both = self.arena.add(Node::Items(Collection::Tuple, vec![arguments, keywords]));
                let object = self.call(class, both, true);
                self.push(object);
            }
            Op::Obj => {
                let mut items = self.pop_mark()?;
                if items.is_empty() {
                    return Err(Halt::Broken("OBJ without a class"));
                }
                let class = items.remove(0);
                let arguments = self.arena.add(Node::Items(Collection::Tuple, items));
                let object = self.call(class, arguments, false);
                self.push(object);
            }
            Op::Build => {
                let state = self.pop()?;
                let object = *self.stack.last().ok_or(Halt::Broken("BUILD without an object"))?;
                self.build(object, state);
                if let Some(skip) = arrays::inline(self, object, state) {
                    self.inline(skip)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Goes over an array that joblib wrote between the opcodes.
    fn inline(&mut self, array: arrays::Inline) -> Step {
        self.findings.joblib = true;
        // joblib ends its frame before it writes the array.
        if self.frame_end.is_some_and(|end| self.reader.position() >= end) {
            self.frame_end = None;
        }
        match array {
            arrays::Inline::Raw { bytes, padded } => {
                let padding =
                    if padded { self.reader.number(1).ok_or(Halt::Broken("an array is cut off"))? } else { 0 };
                let whole = self.reader.skip(padding) && self.reader.skip(bytes);
                if whole { Ok(()) } else { Err(Halt::Broken("an array reaches beyond the end")) }
            }
            arrays::Inline::Objects if self.depth >= INLINE_DEPTH_MAX => Err(Halt::Budget),
            arrays::Inline::Objects => {
                let mut inner = Machine::new(self.reader.input(), self.reader.position(), self.findings);
                inner.depth = self.depth.saturating_add(1);
                let run = inner.run();
                self.reader.jump(run.end);
                match run.ending {
                    Ending::Stop => Ok(()),
                    Ending::Broken => Err(Halt::Broken("a stream inside the stream is broken")),
                    Ending::Budget => Err(Halt::Budget),
                }
            }
        }
    }

    /// A persistent id: PyTorch names a storage by it.
    fn persistent(&mut self) -> Step {
        let id = self.pop()?;
        self.reduce_package(id);
        let parts: Vec<Slot> = self.arena.as_items(id).unwrap_or_default().iter().take(8).copied().collect();
        let name = parts.get(1).and_then(|kind| self.arena.as_global(*kind)).and_then(|index| self.findings.get(index));
        let class = name.map(|import| import.name.clone());
        let size = class.as_deref().map(arrays::storage_size);
        let key = parts.get(2).and_then(|key| self.arena.as_text(*key)).map(str::to_owned);
        self.storage = class.zip(key.clone());
        if let (Some(size), Some(key)) = (size, key)
            && self.findings.storages.len() < 100_000
        {
            self.findings.storages.insert(key, size);
        }
        self.push(Slot::Unknown);
        Ok(())
    }

    /// `torch.package` calls what such an id names: a function and its arguments come last.
    fn reduce_package(&mut self, id: Slot) {
        let parts: Vec<Slot> = self.arena.as_items(id).unwrap_or_default().iter().take(8).copied().collect();
        let names = parts.first().and_then(|kind| self.arena.as_text(*kind)) == Some("reduce_package");
        if let (true, [.., function, arguments]) = (names, parts.as_slice()) {
            self.call(*function, *arguments, false);
        }
    }

    pub(super) fn push_text(&mut self, text: &str) {
        if let Some(decoded) = nested::decode_text(text) {
            self.findings.nest(Nested::Decoded(decoded), false);
        }
        self.recent.swap(0, 1);
        let [_, last] = &mut self.recent;
        last.clear();
        last.push_str(text.get(..text.len().min(256)).unwrap_or_default());
        let slot = self.arena.text(text);
        self.push(slot);
    }

    pub(super) fn push(&mut self, slot: Slot) {
        self.pushed = self.pushed.saturating_add(1);
        self.stack.push(slot);
        if self.stack.len() > self.deepest {
            self.deepest = self.stack.len();
            self.overflow |= !self.arena.deeper();
        }
    }

    fn pop(&mut self) -> Result<Slot, Halt> {
        // The items below a mark are out of reach.
        if self.marks.last().is_some_and(|mark| *mark >= self.stack.len()) {
            return Err(Halt::Broken("a value is taken from below a mark"));
        }
        self.stack.pop().ok_or(Halt::Broken("a value is taken from an empty stack"))
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Slot>, Halt> {
        let mark = self.marks.pop().ok_or(Halt::Broken("a mark is missing"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn collection(&mut self, kind: Collection, items: Vec<Slot>) {
        let slot = self.arena.add(Node::Items(kind, items));
        self.push(slot);
    }

    fn collect(&mut self, kind: Collection) -> Step {
        let items = self.pop_mark()?;
        self.collection(kind, items);
        Ok(())
    }

    fn grow(&mut self, items: &[Slot]) -> Step {
        let target = *self.stack.last().ok_or(Halt::Broken("items without a collection"))?;
        self.arena.extend(target, items);
        tensors::name(self, items);
        Ok(())
    }

    pub(super) fn recall(&mut self, index: u64) -> Step {
        match self.arena.memo(index) {
            Some(slot) => {
                self.push(slot);
                self.expansion();
                Ok(())
            }
            // It may have been made, and not been kept.
            None if self.arena.full => {
                self.push(Slot::Unknown);
                Ok(())
            }
            None => Err(Halt::Broken("a memo entry that was never made")),
        }
    }

    pub(super) fn store(&mut self, index: u64) {
        if let Some(top) = self.stack.last().copied() {
            self.arena.memoize(index, top);
        }
    }

    /// Collections that hold one another twice, again and again, unfold without bound when they
    /// are walked: a short stream that mostly duplicates is one.
    fn expansion(&mut self) {
        let doubled = self.stack.len().checked_sub(2).and_then(|from| self.stack.get(from..));
        if let Some([Slot::Node(a), Slot::Node(b)]) = doubled
            && a == b
            && matches!(self.arena.get(Slot::Node(*a)), Some(Node::Items(_, items)) if doubling(items, &self.arena, 0))
        {
            self.findings.anomalies.insert("expansion");
        }
    }

    fn outcome(&self) -> Outcome {
        let Some(top) = self.stack.last().copied() else { return Outcome::Nothing };
        match (top, self.arena.get(top)) {
            (Slot::Int(number), _) => Outcome::Int(number),
            (Slot::Unknown, _) if !self.long.is_empty() && self.pushed == 1 => Outcome::Long(self.long.clone()),
            (_, Some(Node::Object { .. } | Node::Global(_))) => Outcome::Call,
            (_, Some(Node::Items(_, items))) => {
                let texts = items.iter().map(|item| self.arena.as_text(*item).map(str::to_owned));
                texts.collect::<Option<Vec<_>>>().map_or(Outcome::Other, Outcome::Texts)
            }
            (_, Some(Node::Text(_) | Node::Bytes { .. }) | None) => Outcome::Other,
        }
    }
}

/// Ten levels of pairs of the same collection.
fn doubling(items: &[Slot], arena: &Arena, level: u32) -> bool {
    match items {
        [first @ Slot::Node(_), second, ..] if first == second => {
            level >= 10 || arena.as_items(*first).is_some_and(|inner| doubling(inner, arena, level.saturating_add(1)))
        }
        _ => false,
    }
}
