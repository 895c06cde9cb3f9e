//! The symbolic values of the pickle machine, in an arena of bounded size.
//!
//! An arena instead of pointers: a pickle can nest two hundred thousand tuples, and dropping such
//! a chain must not recurse.

use std::collections::HashMap;

/// Nodes of one stream.
const NODES_MAX: usize = 1 << 20;
/// Bytes of all texts and byte heads of one stream.
const TEXT_MAX: usize = 16 << 20;
/// Items kept of all collections of one stream.
const ITEMS_MAX: usize = 1 << 21;
/// Entries of the memo.
const MEMO_MAX: usize = 1 << 21;

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
    text: usize,
    items: usize,
    /// Something was not kept.
    pub full: bool,
}

impl Arena {
    pub fn add(&mut self, node: Node) -> Slot {
        let (text, items) = match &node {
            Node::Text(text) => (text.len(), 0),
            Node::Bytes { head, .. } => (head.len(), 0),
            Node::Items(_, items) => (0, items.len()),
            Node::Global(_) | Node::Object { .. } => (0, 0),
        };
        self.text = self.text.saturating_add(text);
        self.items = self.items.saturating_add(items);
        if self.nodes.len() >= NODES_MAX || self.text > TEXT_MAX || self.items > ITEMS_MAX {
            self.full = true;
            self.text = self.text.saturating_sub(text);
            self.items = self.items.saturating_sub(items);
            return Slot::Unknown;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len().saturating_sub(1)).map_or(Slot::Unknown, Slot::Node)
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
        let room = ITEMS_MAX.saturating_sub(self.items);
        let Slot::Node(index) = slot else { return };
        if let Some(Node::Items(_, items)) = self.nodes.get_mut(index as usize) {
            let count = more.len().min(room);
            self.full |= count < more.len();
            self.items = self.items.saturating_add(count);
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
        } else if at == self.dense.len() && at < MEMO_MAX && !self.sparse.contains_key(&index) {
            self.dense.push(slot);
        } else if self.sparse.len() < MEMO_MAX / 8 || self.sparse.contains_key(&index) {
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
