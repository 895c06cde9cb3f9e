//! Pickles: what loading imports and calls, and which instructions the streams use.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::take::Taking;
use super::{Body, Told};
use crate::artifact::format::pickle::opcodes::{Argument, Op, decode};
use crate::artifact::format::pickle::reader::Reader;
use crate::artifact::format::{Tier, judge, pickle};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;
use crate::event::difference::Grade;

/// Names kept of one artifact.
const NAMES_MAX: usize = 2000;
/// Instructions of one stream that are counted.
const OPCODES_MAX: u64 = 5_000_000;
/// Instructions that import, call or change what was made; all others are data.
const ACTING: &[(Op, &str)] = &[
    (Op::Global, "GLOBAL"),
    (Op::StackGlobal, "STACK_GLOBAL"),
    (Op::Inst, "INST"),
    (Op::Obj, "OBJ"),
    (Op::NewObj, "NEWOBJ"),
    (Op::NewObjEx, "NEWOBJ_EX"),
    (Op::Reduce, "REDUCE"),
    (Op::Build, "BUILD"),
    (Op::Extension, "EXT"),
    (Op::Persistent, "BINPERSID"),
    (Op::PersistentLine, "PERSID"),
];

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Imports {
    names: BTreeSet<String>,
    calls: BTreeSet<String>,
    /// How often each acting instruction stands in the first stream.
    opcodes: BTreeMap<String, u64>,
}

pub fn take(taking: &mut Taking, input: Input<'_>, place: &str) {
    let mut inspection = Inspection::new(input.budget);
    pickle::inspect(&mut inspection, input);
    let items = |path: &str| inspection.items(path).iter().take(NAMES_MAX).cloned().collect::<BTreeSet<_>>();
    let max = input.budget.limits.list_items_max;
    let (names, calls) = (items("artifact.pickle.globals"), items("artifact.pickle.calls"));
    if names.len() >= max || calls.len() >= max {
        taking.cut("the pickle imports more than is kept");
    }
    let found = Imports { names, calls, opcodes: opcodes(input) };
    if found != Imports::default() {
        taking.add(place, Body::Imports(found));
    }
}

fn opcodes(input: Input<'_>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut reader = Reader::new(input, 0);
    for _ in 0..OPCODES_MAX {
        let Some((op, argument)) = reader.byte().and_then(decode) else { break };
        let read = match argument {
            Argument::None => true,
            Argument::Fixed(count) => reader.skip(count as u64),
            Argument::Line => reader.line(64 << 10).is_some(),
            Argument::TwoLines => reader.line(64 << 10).is_some() && reader.line(64 << 10).is_some(),
            Argument::Counted(width) => reader.number(width).is_some_and(|length| reader.skip(length)),
        };
        if let Some((_, name)) = ACTING.iter().find(|(acting, _)| *acting == op) {
            let count: &mut u64 = counts.entry((*name).to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        if op == Op::Stop || !read || input.budget.exhausted.get().is_some() {
            break;
        }
    }
    counts
}

fn tier(name: &str) -> Tier {
    let (module, name) = name.rsplit_once('.').unwrap_or(("", name));
    judge(module, name)
}

pub fn compare(told: &mut Told, place: &str, old: &Imports, new: &Imports) {
    let fresh: Vec<&String> = new.names.iter().filter(|name| !old.names.contains(*name)).collect();
    let dangerous: Vec<String> =
        fresh.iter().filter(|name| tier(name) == Tier::Dangerous).map(|name| format!("`{name}`")).collect();
    let other: Vec<String> =
        fresh.iter().filter(|name| tier(name) != Tier::Dangerous).map(|name| format!("`{name}`")).collect();
    if !dangerous.is_empty() {
        let words = format!("loading imports {}, which it did not", dangerous.join(", "));
        told.say("imports.dangerous", Grade::Hostile, place, words);
    }
    if !other.is_empty() {
        // What is vetted builds tensors and containers: frameworks add some from one version to the next.
        let vetted = fresh.iter().all(|name| tier(name) == Tier::Allowed);
        let grade = if vetted { Grade::Routine } else { Grade::Notable };
        told.say("imports.added", grade, place, format!("loading imports {}, which it did not", other.join(", ")));
    }
    let called: Vec<String> = new
        .calls
        .iter()
        .filter(|name| !old.calls.contains(*name) && old.names.contains(*name))
        .map(|name| format!("`{name}`"))
        .collect();
    if !called.is_empty() {
        told.say(
            "imports.added",
            Grade::Notable,
            place,
            format!("loading calls {}, which it only imported", called.join(", ")),
        );
    }
    let gone: Vec<String> = old.names.difference(&new.names).map(|name| format!("`{name}`")).collect();
    if !gone.is_empty() {
        told.say("imports.removed", Grade::Routine, place, format!("loading no longer imports {}", gone.join(", ")));
    }
    let ops: Vec<&str> =
        new.opcodes.keys().filter(|name| !old.opcodes.contains_key(*name)).map(String::as_str).collect();
    if !ops.is_empty() && !old.opcodes.is_empty() {
        // Another protocol says the same with other instructions.
        let protocol = old.names == new.names;
        let grade = if protocol { Grade::Routine } else { Grade::Notable };
        told.say("imports.opcodes", grade, place, format!("the stream uses {}, which it did not", ops.join(", ")));
    }
}
