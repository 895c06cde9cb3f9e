//! Pickles of every protocol, also with arrays between the opcodes, garbage after them, and
//! further streams: found, executed on symbols, and told as facts.

mod arguments;
mod arrays;
mod by_value;
mod calls;
mod findings;
mod globals;
mod literal;
mod machine;
mod names;
mod nested;
pub mod opcodes;
mod probe;
pub mod reader;
mod tensors;
mod value;

use findings::{Findings, Nested};
use machine::{Ending, Machine, Outcome, Run};
use reader::{Held, Reader};

use super::Head;
use crate::artifact::input::{Budget, Input, Memory};
use crate::artifact::inspection::Inspection;

pub use globals::{Tier, judge};
pub use names::acts;
pub use nested::{decode_text, may_be_pickle};
pub use probe::{imports as imports_at, walk as walk_at};
pub use tensors::Rebuilt;

/// Bytes looked through for a further stream after garbage.
const SEARCH_BYTES_MAX: u64 = 64 << 20;
/// Places tried in them.
const TRIES_MAX: usize = 256;
/// Pickles within pickles.
const NESTED_DEPTH_MAX: usize = 4;
/// First integer of a file of `torch.save` before the ZIP format.
const TORCH_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Second integer of it.
const TORCH_PROTOCOL: i64 = 1001;

/// True for a pickle: by its magic, or because the machine can make sense of the beginning.
pub fn identify(head: &Head<'_>) -> bool {
    match head.bytes {
        [0x80, 0..=5, next, ..] => opcodes::decode(*next).is_some(),
        [0x80, 6..=255, ..] | [] => false,
        [first, ..] => opcodes::decode(*first).is_some() && trial(head.input).is_one(head.name),
    }
}

/// Tensors that the first stream of a PyTorch file makes, in order.
pub fn tensors(input: Input<'_>) -> Vec<Rebuilt> {
    let mut findings = Findings::default();
    Machine::new(input, 0, &mut findings).run();
    findings.tensors
}

/// True for text that is a pickle all the same, whatever its name: it imports, by plausible names.
/// Where the name claims a pickle, it need not end well: the import has been made by then.
pub fn imports(head: &Head<'_>) -> bool {
    let begins = head.bytes.first().is_some_and(|first| opcodes::decode(*first).is_some());
    let trial = if begins { trial(head.input) } else { Trial::default() };
    trial.imports && trial.is_one(head.name)
}

/// Protocol 0 and 1 have no magic: a stream must end well, or call what it imports.
fn makes_sense(input: Input<'_>) -> bool {
    trial(input).makes_sense
}

/// What the first bytes are, run as a pickle.
#[derive(Default)]
struct Trial {
    /// They end well, or call what they import.
    makes_sense: bool,
    imports: bool,
    /// What they import first has names that are names.
    first: bool,
}

impl Trial {
    fn is_one(&self, name: &str) -> bool {
        self.makes_sense || (self.imports && self.first && super::claims_pickle(name))
    }
}

/// Runs the first bytes at the cost of a small budget.
fn trial(input: Input<'_>) -> Trial {
    let budget = Budget::new(&input.budget.limits);
    budget.opcodes.set(input.budget.limits.opcodes_max.saturating_sub(20_000));
    let start = input.window(0, 1 << 20).charged_to(&budget);
    let mut findings = Findings::default();
    let run = Machine::new(start, 0, &mut findings).run();
    let mut names = findings.imports.iter().map(|import| {
        import.module.split('.').all(is_identifier) && (import.name == "*" || import.name.split('.').all(is_identifier))
    });
    // The first one is made whatever comes behind it.
    let first = names.next().unwrap_or(true);
    let plausible = first && names.all(|name| name);
    let whole = run.ending == Ending::Stop && run.opcodes > 1 && (run.opcodes > 2 || run.end == input.len());
    let acts = findings.imports.iter().any(|import| import.called);
    let over = run.ending == Ending::Budget && run.opcodes > 1000;
    Trial { makes_sense: plausible && (whole || acts || over), imports: !findings.imports.is_empty(), first }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Inspects all streams; returns the name of the format.
pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>) -> &'static str {
    let mut findings = Findings::default();
    let format = streams(&mut findings, input, inspection);
    publish(inspection, findings, input, 0);
    format
}

/// True when a text is a pickle that imports something, in base64 or hexadecimal.
pub fn in_text(inspection: &mut Inspection<'_>, text: &str, file: Input<'_>) -> bool {
    let Some(bytes) = nested::decode_text(text) else { return false };
    let bytes = crate::artifact::Memory(bytes);
    let found = attempt(inspection, Input::new(&bytes, file.budget));
    if found {
        inspection.add("artifact.pickle.nested", 1);
    }
    found
}

/// Tries bytes that may or may not be a pickle, and tells only if they are one that acts.
pub fn attempt(inspection: &mut Inspection<'_>, input: Input<'_>) -> bool {
    let mut findings = Findings::default();
    let run = Machine::new(input, 0, &mut findings).run();
    let is_one =
        (run.ending == Ending::Stop && run.opcodes > 2 && !findings.imports.is_empty()) || findings.would_act();
    if is_one {
        publish(inspection, findings, input, 0);
    }
    is_one
}

/// Bytes that look like a pickle in the middle of others: told only if they would act.
pub fn astray(inspection: &mut Inspection<'_>, input: Input<'_>) -> bool {
    let mut findings = Findings::default();
    Machine::new(input, 0, &mut findings).run();
    let acts = findings.would_act();
    if acts {
        publish(inspection, findings, input, 0);
    }
    acts
}

fn streams(findings: &mut Findings, input: Input<'_>, inspection: &mut Inspection<'_>) -> &'static str {
    let mut position = 0;
    let mut outcomes = Vec::new();
    let mut held = Held::default();
    // Every stream takes opcodes: their budget is the bound.
    loop {
        let run = stream(findings, Reader::resume(input, position, held));
        position = run.end;
        held = run.held;
        let ending = run.ending;
        if outcomes.len() < 8 {
            outcomes.push(run.result);
        }
        if ending == Ending::Budget || position >= input.len() {
            return name_of(findings, &outcomes, inspection);
        }
        if ending == Ending::Broken {
            search(findings, input, position);
            return name_of(findings, &outcomes, inspection);
        }
        if outcomes.len() == 5 && is_torch(&outcomes) {
            position = after_storages(findings, input, position, outcomes.last());
            if position >= input.len() {
                return name_of(findings, &outcomes, inspection);
            }
        }
        let next = input.read(position, 64);
        if !may_be_pickle(&next, u64::MAX) && !text_stream(&next, input.from(position)) {
            trailing(findings, input, position, inspection);
            return name_of(findings, &outcomes, inspection);
        }
    }
}

/// One stream, and what its frames hide.
fn stream(findings: &mut Findings, reader: Reader<'_>) -> Run {
    let input = reader.input();
    let run = Machine::read(reader, findings).run();
    for detour in &run.detours {
        let mut hidden = Findings::default();
        Machine::new(input, *detour, &mut hidden).run();
        if hidden
            .imports
            .iter()
            .any(|import| import.tier != Tier::Allowed && import.module.split('.').all(is_identifier))
        {
            findings.merge(hidden);
        }
    }
    run
}

fn text_stream(head: &[u8], input: Input<'_>) -> bool {
    head.first().is_some_and(|first| opcodes::decode(*first).is_some()) && makes_sense(input)
}

fn is_torch(outcomes: &[Outcome]) -> bool {
    outcomes.get(1) == Some(&Outcome::Int(TORCH_PROTOCOL))
}

fn name_of(findings: &Findings, outcomes: &[Outcome], inspection: &mut Inspection<'_>) -> &'static str {
    if is_torch(outcomes) {
        if !matches!(outcomes.first(), Some(Outcome::Long(magic)) if magic == &TORCH_MAGIC) {
            inspection.list("artifact.container.anomalies", "legacy_magic");
        }
        return "pytorch-legacy";
    }
    if findings.joblib { "joblib" } else { "pickle" }
}

/// Behind the fifth stream of a PyTorch file lie the storages: a count of elements, then those.
fn after_storages(findings: &Findings, input: Input<'_>, start: u64, keys: Option<&Outcome>) -> u64 {
    let Some(Outcome::Texts(keys)) = keys else { return start };
    let mut position = start;
    for key in keys {
        let count = input.read(position, 8);
        let Ok(count) = <[u8; 8]>::try_from(count.as_slice()).map(u64::from_le_bytes) else { return start };
        let size = findings.storages.get(key).copied().unwrap_or(1);
        let Some(end) = count.checked_mul(size).and_then(|bytes| position.checked_add(8)?.checked_add(bytes)) else {
            return start;
        };
        if end > input.len() {
            return start;
        }
        position = end;
    }
    position
}

/// Bytes after the last stream that are none: padding, or something to look at.
fn trailing(findings: &mut Findings, input: Input<'_>, position: u64, inspection: &mut Inspection<'_>) {
    let head = input.read(position, 4096);
    if head.iter().all(|byte| *byte == 0) && input.len().saturating_sub(position) <= head.len() as u64 {
        return;
    }
    super::executable::look(inspection, &head, position);
    search(findings, input, position);
}

/// Looks for further streams after garbage: by magic, by a global, by a name on the stack.
fn search(findings: &mut Findings, input: Input<'_>, start: u64) {
    let mut position = start;
    let mut tries = 0;
    let end = input.len().min(start.saturating_add(SEARCH_BYTES_MAX));
    findings.cut |= end < input.len();
    while position < end {
        let chunk = input.read(position, 256 << 10);
        if chunk.len() < 4 {
            return;
        }
        let mut skip_to = 0;
        for (offset, at) in starts(&chunk).into_iter().map(|offset| (offset, position.saturating_add(offset as u64))) {
            if offset < skip_to {
                continue;
            }
            tries += 1;
            if tries > TRIES_MAX {
                findings.cut = true;
                return;
            }
            let mut more = Findings::default();
            let run = stream(&mut more, Reader::new(input, at));
            let is_stream = run.ending == Ending::Stop && run.opcodes > 3 && !more.imports.is_empty();
            if is_stream || more.would_act() || (more.any_dangerous() && run.opcodes > 3) {
                findings.merge(more);
                skip_to = usize::try_from(run.end.saturating_sub(position)).unwrap_or(usize::MAX);
            }
        }
        // A start may lie across two chunks.
        position = position.saturating_add((chunk.len().saturating_sub(3)) as u64);
    }
}

/// Offsets at which a stream, or the middle of one, can begin.
fn starts(chunk: &[u8]) -> Vec<usize> {
    let magic = memchr::memchr_iter(0x80, chunk).filter(|at| {
        matches!(chunk.get(*at..), Some([0x80, 2..=5, next, ..]) if matches!(next, 0x95 | b'c' | b'(' | b']' | b'}' | 0x8c | b'X' | 0x8a | b'K' | b'M'))
    });
    let mut lines = nested::Lines::new(chunk);
    let globals = memchr::memchr2_iter(b'c', 0x8c, chunk).filter(|at| {
        let rest = chunk.get(*at..chunk.len().min(at.saturating_add(160))).unwrap_or_default();
        match rest {
            [b'c', ..] => lines.follow(*at),
            [0x8c, count, after @ ..] => {
                let name = after.get(..usize::from(*count)).unwrap_or_default();
                let next = after.get(usize::from(*count)..).unwrap_or_default();
                let next = next.strip_prefix(&[0x94]).unwrap_or(next);
                let identifier = |name: &[u8]| {
                    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(b))
                };
                identifier(name) && matches!(next, [0x8c, ..])
            }
            _ => false,
        }
    });
    let mut all: Vec<usize> = magic.chain(globals).collect();
    all.sort_unstable();
    all
}

/// Nested pickles first, then everything as facts.
fn publish(inspection: &mut Inspection<'_>, mut findings: Findings, input: Input<'_>, depth: usize) {
    for (nested, expected) in take(&mut findings) {
        if depth >= NESTED_DEPTH_MAX {
            inspection.issue("budget_exceeded", "pickles are nested too deeply; the inner ones were not looked at");
            break;
        }
        match nested {
            Nested::Range(start, len) => inner(inspection, input.window(start, len), expected, depth),
            Nested::Decoded(bytes) => {
                let bytes = Memory(bytes);
                inner(inspection, Input::new(&bytes, input.budget), expected, depth);
            }
        }
    }
    tell(inspection, &findings);
}

fn take(findings: &mut Findings) -> Vec<(Nested, bool)> {
    let unexpected = std::mem::take(&mut findings.nested).into_iter().map(|nested| (nested, false));
    unexpected.chain(std::mem::take(&mut findings.expected).into_iter().map(|nested| (nested, true))).collect()
}

fn inner(inspection: &mut Inspection<'_>, input: Input<'_>, expected: bool, depth: usize) {
    if depth > NESTED_DEPTH_MAX {
        inspection.issue("budget_exceeded", "pickles are nested too deeply; the inner ones were not looked at");
        return;
    }
    let head = input.read(0, 4);
    if matches!(head.as_slice(), [0x78, _, ..] | [0x1f, 0x8b, ..]) {
        if let Some(bytes) = crate::artifact::inflate::small(input) {
            let bytes = Memory(bytes);
            inner(inspection, Input::new(&bytes, input.budget), expected, depth.saturating_add(1));
        }
        return;
    }
    if head.starts_with(b"PK\x03\x04") && expected {
        inspection.member("storage", |inspection| {
            super::inspect_member(inspection, input, "storage");
        });
        return;
    }
    let mut findings = Findings::default();
    let run = if expected {
        streams(&mut findings, input, inspection);
        None
    } else {
        Some(Machine::new(input, 0, &mut findings).run())
    };
    let is_one =
        run.is_none_or(|run| run.ending == Ending::Stop && run.end.saturating_add(8) >= input.len() && run.opcodes > 2);
    let telling = !findings.imports.is_empty() || !findings.nested.is_empty() || head.starts_with(&[0x80]);
    if (is_one && (telling || expected)) || findings.would_act() {
        // Plain data in a pickle within a pickle is a cache.
        let plain = findings.imports.iter().all(|import| import.tier == Tier::Allowed) && findings.anomalies.is_empty();
        if !expected && !plain {
            inspection.add("artifact.pickle.nested", 1);
        }
        publish(inspection, findings, input, depth.saturating_add(1));
    }
}

fn tell(inspection: &mut Inspection<'_>, findings: &Findings) {
    inspection.raise("artifact.pickle.protocol", findings.protocol.into());
    inspection.add("artifact.pickle.streams", findings.streams);
    // What matters most first, so that the bound of a list cuts off the least.
    for import in &findings.imports {
        let tier = if !findings.by_value_astray && by_value::is_builder(import) { Tier::Unlisted } else { import.tier };
        let (list, calls) = match tier {
            Tier::Dangerous => ("artifact.pickle.dangerous", "artifact.pickle.dangerous_calls"),
            Tier::Unlisted => ("artifact.pickle.unlisted", "artifact.pickle.unlisted_calls"),
            Tier::Allowed => continue,
        };
        inspection.list(list, &import.full);
        if import.called || import.handed {
            inspection.list(calls, &import.full);
        }
    }
    for import in &findings.imports {
        inspection.list("artifact.pickle.globals", &import.full);
        if import.called || import.handed {
            inspection.list("artifact.pickle.calls", &import.full);
        }
    }
    let none = Vec::new();
    for (list, items) in [
        ("artifact.pickle.arguments", &findings.arguments),
        ("artifact.pickle.suspicious_arguments", &findings.suspicious),
        ("artifact.pickle.suspicious_state", &findings.suspicious_state),
        ("artifact.pickle.nested_loaders", &findings.loaders),
        ("artifact.pickle.code_by_value", &findings.by_value),
        ("artifact.pickle.arguments", if findings.by_value_astray { &findings.by_value_arguments } else { &none }),
    ] {
        for item in items {
            inspection.list(list, item);
        }
    }
    findings.anomalies.iter().for_each(|anomaly| inspection.list("artifact.pickle.anomalies", anomaly));
    if findings.broken {
        inspection.set("artifact.pickle.broken", true);
        for error in &findings.errors {
            inspection.issue("malformed", &format!("the pickle breaks off: {error}"));
        }
    }
    if findings.broken_after_call {
        inspection.set("artifact.pickle.broken_after_call", true);
    }
    if findings.cut {
        inspection.issue("budget_exceeded", "the pickle is larger or deeper than it could be followed");
    }
}
