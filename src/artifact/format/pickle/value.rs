//! The symbolic values of the pickle machine, in an arena of bounded size.
//!
//! An arena instead of pointers: a pickle can nest two hundred thousand tuples, and dropping such
//! a chain must not recurse.

use std::collections::HashMap;

/// Memory of all that one stream keeps: nodes, texts, items, memo and stack.
const MEMORY_MAX: usize = 50 << 20;
/// What is left of it for names alone: those of classes must not be lost because of much data.
const NAMES_RESERVE: usize = 8 << 20;
/// Memory of a node, and of one thing that is allocated beside its content.
const NODE_SIZE: usize = size_of::<Node>();
const ALLOCATION: usize = 16;
/// Memory of an item, of an entry of the memo, and of a place on the stack.
const SLOT_SIZE: usize = size_of::<Slot>();
/// Entries of the memo with numbers out of order.
const SPARSE_MAX: usize = 1 << 17;

/// A place on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slot {
    /// Not followed: the result of something that was not understood, or beyond a bound.
    #[default]
    Unknown,
    None,
    Bool(bool),
    Int(i64),
    Node(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    Tuple,
    List,
    Dict,
    Set,
}

#[derive(Debug)]
pub enum Node {
    /// A text, whole.
    Text(Box<str>),
    /// Bytes: where they lie in the file, and their beginning; `None` for computed ones, whole.
    Bytes {
        at: Option<(u64, u64)>,
        head: Box<[u8]>,
    },
    Items(Collection, Vec<Slot>),
    /// Index into the imports.
    Global(u32),
    /// What a call returned.
    Object {
        callable: Slot,
        arguments: Slot,
    },
}

/// Nodes and memo of one stream.
#[derive(Default)]
pub struct Arena {
    nodes: Vec<Node>,
    dense: Vec<Slot>,
    sparse: HashMap<u64, Slot>,
    memory: usize,
    /// Something was not kept.
    pub full: bool,
}

impl Arena {
    pub fn add(&mut self, node: Node) -> Slot {
        let (content, name) = match &node {
            Node::Text(text) => (text.len().saturating_add(ALLOCATION), is_name(text)),
            Node::Bytes { head, .. } => (head.len().saturating_add(ALLOCATION), false),
            Node::Items(_, items) => (items.len().saturating_mul(SLOT_SIZE).saturating_add(ALLOCATION), false),
            Node::Global(_) | Node::Object { .. } => (0, true),
        };
        if !self.charge(content.saturating_add(NODE_SIZE), name) {
            return Slot::Unknown;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len().saturating_sub(1)).map_or(Slot::Unknown, Slot::Node)
    }

    /// Takes memory for something; false, and remembered, when there is none left.
    fn charge(&mut self, bytes: usize, name: bool) -> bool {
        let max = if name { MEMORY_MAX } else { MEMORY_MAX - NAMES_RESERVE };
        let memory = self.memory.saturating_add(bytes);
        let fits = memory <= max;
        if fits {
            self.memory = memory;
        } else {
            self.full = true;
        }
        fits
    }

    /// Takes memory for a stack that grows beyond what it was; false when there is none left.
    pub fn deeper(&mut self) -> bool {
        self.charge(SLOT_SIZE, true)
    }

    pub fn text(&mut self, text: &str) -> Slot {
        self.add(Node::Text(text.into()))
    }

    pub fn get(&self, slot: Slot) -> Option<&Node> {
        match slot {
            Slot::Node(index) => self.nodes.get(index as usize),
            Slot::Unknown | Slot::None | Slot::Bool(_) | Slot::Int(_) => None,
        }
    }

    pub fn as_text(&self, slot: Slot) -> Option<&str> {
        match self.get(slot)? {
            Node::Text(text) => Some(text),
            Node::Bytes { .. } | Node::Items(..) | Node::Global(_) | Node::Object { .. } => None,
        }
    }

    pub fn as_items(&self, slot: Slot) -> Option<&[Slot]> {
        match self.get(slot)? {
            Node::Items(_, items) => Some(items),
            Node::Text(_) | Node::Bytes { .. } | Node::Global(_) | Node::Object { .. } => None,
        }
    }

    pub fn as_global(&self, slot: Slot) -> Option<u32> {
        match self.get(slot)? {
            Node::Global(index) => Some(*index),
            Node::Text(_) | Node::Bytes { .. } | Node::Items(..) | Node::Object { .. } => None,
        }
    }

    pub fn as_call(&self, slot: Slot) -> Option<(Slot, Slot)> {
        match self.get(slot)? {
            Node::Object { callable, arguments } => Some((*callable, *arguments)),
            Node::Text(_) | Node::Bytes { .. } | Node::Items(..) | Node::Global(_) => None,
        }
    }

    /// Adds to a collection; anything else is left as it is.
    pub fn extend(&mut self, slot: Slot, more: &[Slot]) {
        let Slot::Node(index) = slot else { return };
        let room = (MEMORY_MAX - NAMES_RESERVE).saturating_sub(self.memory) / SLOT_SIZE;
        if let Some(Node::Items(_, items)) = self.nodes.get_mut(index as usize) {
            let count = more.len().min(room);
            self.full |= count < more.len();
            self.memory = self.memory.saturating_add(count.saturating_mul(SLOT_SIZE));
            items.extend(more.iter().take(count));
        }
    }

    pub fn memo(&self, index: u64) -> Option<Slot> {
        match usize::try_from(index).ok().and_then(|index| self.dense.get(index)) {
            Some(slot) => Some(*slot),
            None => self.sparse.get(&index).copied(),
        }
    }

    /// Entries of the memo: what `MEMOIZE` uses as its index.
    pub fn memo_len(&self) -> u64 {
        (self.dense.len() as u64).saturating_add(self.sparse.len() as u64)
    }

    pub fn memoize(&mut self, index: u64, slot: Slot) {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(known) = self.dense.get_mut(at) {
            *known = slot;
        } else if at == self.dense.len() && !self.sparse.contains_key(&index) {
            if self.charge(SLOT_SIZE, true) {
                self.dense.push(slot);
            }
        } else if self.sparse.len() < SPARSE_MAX || self.sparse.contains_key(&index) {
            self.sparse.insert(index, slot);
        } else {
            self.full = true;
        }
    }

    /// Nodes reachable from a slot, itself first, at most `max` of them.
    pub fn reach(&self, slot: Slot, max: usize) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![slot];
        while let Some(slot) = open.pop() {
            let Slot::Node(index) = slot else { continue };
            if found.len() >= max || found.contains(&index) {
                continue;
            }
            found.push(index);
            match self.nodes.get(index as usize) {
                Some(Node::Items(_, items)) => open.extend(items.iter().take(max)),
                Some(Node::Object { callable, arguments }) => open.extend([*arguments, *callable]),
                Some(Node::Text(_) | Node::Bytes { .. } | Node::Global(_)) | None => {}
            }
        }
        found
    }
}

/// Text that may well be the name of a module or class.
fn is_name(text: &str) -> bool {
    text.len() <= 80 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}
