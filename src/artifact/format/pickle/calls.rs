//! What the machine's imports and calls mean: names, operands, and what is handed on.

use super::findings::{Findings, Import, Nested};
use super::globals::{Tier, is_method, is_module_walk, judge, python3_name};
use super::machine::Machine;
use super::names;
use super::value::{Collection, Node, Slot};
use super::{arrays, by_value, tensors};
use crate::base::text::shorten;

/// Nodes looked at below the arguments of one call.
const REACH: usize = 128;
/// Characters of one argument in a fact.
const ARGUMENT_CHARS: usize = 160;

/// Callables that deserialise the bytes they are given.
const LOADERS: &[&str] =
    &["loads", "load", "_load_from_bytes", "read_pickle", "Unpickler", "unsafe_load", "_loads", "_load"];

/// Vetted classes that read a file which their constructor is given.
const READERS: &[&str] = &[
    "lightgbm.basic.Booster",
    "lightgbm.Booster",
    "lightgbm.basic.Dataset",
    "lightgbm.Dataset",
    "xgboost.core.Booster",
    "xgboost.Booster",
    "xgboost.core.DMatrix",
    "xgboost.DMatrix",
    "xgboost.core.QuantileDMatrix",
    "xgboost.QuantileDMatrix",
    "catboost.core.Pool",
    "catboost.Pool",
];

/// How an object gets its texts. State is data: paths and addresses belong there.
#[derive(Debug, Clone, Copy)]
enum Handed {
    Arguments,
    State,
}

impl Machine<'_, '_> {
    /// The global that loading would import here.
    pub(super) fn import(&mut self, module: &str, name: &str) -> Slot {
        let (mut module, mut name) = (module.to_owned(), name.to_owned());
        let mut tier = judge(&module, &name);
        if self.protocol < 3
            && let Some((new_module, new_name)) = python3_name(&module, &name)
        {
            // Python 2 would import the old name, so the worse of the two counts unless the new
            // one is vetted.
            let mapped = judge(&new_module, &new_name);
            tier = if mapped == Tier::Unlisted { tier } else { mapped };
            (module, name) = (new_module, new_name);
        }
        tier = self.vetted().lift(&module, &name, tier);
        if tier != Tier::Allowed && is_module_walk(&name) && !is_method(&module, &name, tier) {
            self.findings.anomalies.insert("dotted_name");
        }
        let full = format!("{module}.{name}");
        if full.len() > 512 {
            self.findings.cut = true;
        }
        let full = shorten(&full, 512);
        match self.findings.import(Import { full, module, name, tier, called: false, handed: false }) {
            Some(index) => self.arena.add(Node::Global(index)),
            None => Slot::Unknown,
        }
    }

    pub(super) fn stack_global(&mut self, module: Slot, name: Slot) -> Slot {
        let texts = (self.arena.as_text(module).map(str::to_owned), self.arena.as_text(name).map(str::to_owned));
        if let (Some(module), Some(name)) = texts {
            let computed = self.computed.contains(&module) || self.computed.contains(&name);
            if computed {
                self.findings.anomalies.insert("computed_name");
            }
            return self.import(&module, &name);
        }
        if self.arena.full && module == Slot::Unknown && name == Slot::Unknown {
            let [module, name] = self.recent.clone();
            return self.import(&module, &name);
        }
        self.findings.anomalies.insert("computed_name");
        Slot::Unknown
    }

    /// Calls `callable` with a tuple of arguments, or its `__new__` where the opcode `constructs`;
    /// gives what can be known of the result.
    pub(super) fn call(&mut self, callable: Slot, arguments: Slot, constructs: bool) -> Slot {
        by_value::note(self, callable, arguments, constructs);
        let target = self.target(callable, 0);
        let import = target.and_then(|index| self.findings.get(index).cloned());
        if let (Some(index), Some(import)) = (target, &import) {
            self.findings.mark_called(index);
            self.judge_arguments(import, arguments, Handed::Arguments);
        }
        self.hand_over(import.as_ref(), callable, arguments);
        let known = match (&import, self.arena.as_global(callable)) {
            (Some(import), Some(_)) => names::evaluate(self, &import.full, arguments),
            _ => names::apply(self, callable, arguments),
        };
        let result = known.unwrap_or_else(|| self.arena.add(Node::Object { callable, arguments }));
        if let Some(import) = import.filter(|import| import.module == "torch._utils") {
            tensors::note(self, &import.full, arguments, result);
        }
        result
    }

    /// The import that a call ends at: a global, or the function inside a `partial`.
    fn target(&self, callable: Slot, depth: u32) -> Option<u32> {
        if let Some(index) = self.arena.as_global(callable) {
            return Some(index);
        }
        let (outer, arguments) = self.arena.as_call(callable)?;
        let outer = self.findings.get(self.arena.as_global(outer)?)?;
        if depth < 8 && outer.full.ends_with("functools.partial") {
            let first = self.arena.as_items(arguments)?.first().copied()?;
            return self.target(first, depth.saturating_add(1));
        }
        None
    }

    /// Texts handed to what is not vetted, and bytes handed to a loader.
    fn judge_arguments(&mut self, import: &Import, arguments: Slot, handed: Handed) {
        let loads = LOADERS.contains(&import.name.as_str())
            && (import.tier == Tier::Dangerous || import.full == "torch.storage._load_from_bytes");
        if loads {
            let expected = import.full == "torch.storage._load_from_bytes";
            if self.nest_bytes(arguments, expected) && expected {
                return;
            }
            Findings::keep(&mut self.findings.loaders, import.full.clone());
        }
        if import.tier == Tier::Allowed {
            if matches!(handed, Handed::Arguments) {
                self.judge_file(import, arguments);
            }
            return;
        }
        let mut texts = Vec::new();
        for index in self.arena.reach(arguments, REACH) {
            match self.arena.get(Slot::Node(index)) {
                Some(Node::Text(text)) => texts.push(text.to_string()),
                Some(Node::Bytes { head, .. }) if head.iter().all(|byte| byte.is_ascii() && *byte != 0) => {
                    texts.push(String::from_utf8_lossy(head).into_owned());
                }
                Some(Node::Bytes { .. } | Node::Items(..) | Node::Global(_) | Node::Object { .. }) | None => {}
            }
        }
        for text in texts {
            let dangerous = import.tier == Tier::Dangerous;
            if dangerous && by_value::is_builder(import) {
                Findings::keep(&mut self.findings.by_value_arguments, shorten(&text, ARGUMENT_CHARS));
            } else if dangerous {
                Findings::keep(&mut self.findings.arguments, shorten(&text, ARGUMENT_CHARS));
            } else if names::is_suspicious(&text) {
                let list = match handed {
                    Handed::Arguments => &mut self.findings.suspicious,
                    Handed::State => &mut self.findings.suspicious_state,
                };
                Findings::keep(list, shorten(&text, ARGUMENT_CHARS));
            }
        }
    }

    /// Vetted classes whose constructor reads a file when it is given one; their own pickles give none.
    fn judge_file(&mut self, import: &Import, arguments: Slot) {
        let all = match import.full.as_str() {
            full if READERS.contains(&full) => true,
            // Its second argument is a name that it only keeps.
            "dateutil.tz.tz.tzfile" | "dateutil.tz.tzfile" | "dateutil.tz.tz.tzical" | "dateutil.tz.tzical" => false,
            // Names of zones are no paths.
            "dateutil.tz.tz.gettz" | "dateutil.tz.gettz" => {
                let name =
                    self.tuple(arguments).first().and_then(|first| self.arena.as_text(*first).map(str::to_owned));
                if let Some(name) = name.filter(|name| name.starts_with(['/', '\\']) || name.contains("..")) {
                    Findings::keep(&mut self.findings.suspicious, shorten(&name, ARGUMENT_CHARS));
                }
                return;
            }
            _ => return,
        };
        let reached = if all { self.arena.reach(arguments, REACH) } else { Vec::new() };
        let mut slots: Vec<Slot> = reached.into_iter().map(Slot::Node).collect();
        slots.extend(self.tuple(arguments).into_iter().take(usize::from(!all)));
        for slot in slots {
            if let Some(text) = self.arena.as_text(slot).map(str::to_owned) {
                Findings::keep(&mut self.findings.suspicious, shorten(&text, ARGUMENT_CHARS));
            }
        }
    }

    /// Bytes among the arguments are a stream of their own; true when there were any.
    fn nest_bytes(&mut self, arguments: Slot, expected: bool) -> bool {
        let mut found = false;
        for index in self.arena.reach(arguments, REACH) {
            let nested = match self.arena.get(Slot::Node(index)) {
                Some(Node::Bytes { at: Some((start, len)), .. }) => Nested::Range(*start, *len),
                Some(Node::Bytes { at: None, head }) => Nested::Decoded(head.to_vec()),
                Some(Node::Text(text)) => {
                    Nested::Decoded(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect())
                }
                Some(Node::Items(..) | Node::Global(_) | Node::Object { .. }) | None => continue,
            };
            if expected {
                self.findings.nested.retain(|known| !same_range(known, &nested));
            }
            self.findings.nest(nested, expected);
            found = true;
        }
        found
    }

    /// Globals among the arguments may be called by the callee: `map`, `partial`, `reduce`, and
    /// anything that is not known.
    fn hand_over(&mut self, import: Option<&Import>, callable: Slot, arguments: Slot) {
        let higher = import.is_none_or(|import| import.tier != Tier::Allowed || is_higher_order(&import.full));
        if let Some(import) = import.filter(|import| is_higher_order(&import.full)) {
            by_value::note_handed(self, &import.full, arguments);
        }
        let mut reached = self.arena.reach(arguments, REACH);
        if self.arena.as_global(callable).is_none() {
            reached.extend(self.arena.reach(callable, REACH));
        }
        for index in reached {
            let Some(Node::Global(global)) = self.arena.get(Slot::Node(index)) else { continue };
            let global = *global;
            // Whoever calls it with texts of its own imports what they name.
            if self.findings.get(global).is_some_and(|import| import.full.ends_with("._ufunc_reconstruct")) {
                self.findings.anomalies.insert("computed_name");
            }
            match self.findings.get(global).map(|import| import.tier) {
                Some(Tier::Dangerous) => self.findings.mark_handed(global),
                Some(Tier::Unlisted) if higher => self.findings.mark_called(global),
                Some(Tier::Allowed | Tier::Unlisted) | None => {}
            }
        }
    }

    /// `BUILD`: `__setstate__`, or attributes written from a dictionary.
    pub(super) fn build(&mut self, object: Slot, state: Slot) {
        // On a module or class this rewires what others use later.
        if let Some(index) = self.arena.as_global(object) {
            self.findings.anomalies.insert("attribute_write");
            self.findings.mark_called(index);
        }
        arrays::keep_state(self, object, state);
        if let Some((class, _)) = self.arena.as_call(object)
            && let Some(import) = self.arena.as_global(class).and_then(|index| self.findings.get(index).cloned())
        {
            self.judge_arguments(&import, state, Handed::State);
            if import.full.ends_with("functools.partial") {
                self.hand_over(Some(&import), class, state);
            }
        }
    }

    pub(super) fn tuple(&self, slot: Slot) -> Vec<Slot> {
        match self.arena.get(slot) {
            Some(Node::Items(Collection::Tuple | Collection::List, items)) => items.iter().take(64).copied().collect(),
            _ => Vec::new(),
        }
    }
}

fn same_range(a: &Nested, b: &Nested) -> bool {
    match (a, b) {
        (Nested::Range(a, n), Nested::Range(b, m)) => (a, n) == (b, m),
        (Nested::Decoded(a), Nested::Decoded(b)) => a == b,
        (Nested::Range(..), Nested::Decoded(_)) | (Nested::Decoded(_), Nested::Range(..)) => false,
    }
}

/// Vetted callables that call what they are given.
fn is_higher_order(full: &str) -> bool {
    let name = full.rsplit('.').next().unwrap_or(full);
    matches!(
        name,
        "map"
            | "filter"
            | "reduce"
            | "partial"
            | "starmap"
            | "accumulate"
            | "sorted"
            | "max"
            | "min"
            | "takewhile"
            | "iter"
            | "defaultdict"
            | "cmp_to_key"
            | "lru_cache"
            | "attrgetter"
            | "getattr"
            | "sub"
            | "callable"
            | "_reconstruct_array"
    )
}
