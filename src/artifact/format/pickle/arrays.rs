//! Arrays that lie between the opcodes of joblib's files, and sizes of PyTorch's storages.

use super::machine::Machine;
use super::value::{Node, Slot};

/// What follows a `NumpyArrayWrapper` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inline {
    /// Raw bytes; since joblib 1.2 a byte with the length of padding, and the padding, come first.
    Raw { bytes: u64, padded: bool },
    /// Another pickle stream: an array of objects.
    Objects,
}

/// The array that follows, when the object just built is joblib's wrapper.
pub fn inline(machine: &Machine<'_, '_>, object: Slot, state: Slot) -> Option<Inline> {
    let (class, _) = machine.arena.as_call(object)?;
    let class = machine.findings.get(machine.arena.as_global(class)?)?;
    if class.name != "NumpyArrayWrapper" || !class.module.ends_with("numpy_pickle") {
        return None;
    }
    let member = |name: &str| {
        let items = machine.arena.as_items(state)?;
        let found = items.chunks(2).find(|pair| pair.first().and_then(|key| machine.arena.as_text(*key)) == Some(name));
        found.and_then(|pair| pair.get(1)).copied()
    };
    let (kind, item_size) = data_type(machine, member("dtype")?)?;
    if kind == 'O' {
        return Some(Inline::Objects);
    }
    let mut bytes = item_size;
    for length in machine.arena.as_items(member("shape")?)? {
        let Slot::Int(length) = length else { return None };
        bytes = bytes.checked_mul(u64::try_from(*length).ok()?)?;
    }
    let padded = member("numpy_array_alignment_bytes").is_some_and(|slot| slot != Slot::None);
    Some(Inline::Raw { bytes, padded })
}

/// Kind letter and size of a `numpy.dtype('f8', …)`; for structures the size is in its state, which
/// the machine keeps as the object's last argument.
fn data_type(machine: &Machine<'_, '_>, slot: Slot) -> Option<(char, u64)> {
    let (_, arguments) = machine.arena.as_call(slot)?;
    let arguments = machine.arena.as_items(arguments)?;
    let code = machine.arena.as_text(*arguments.first()?)?.trim_start_matches(['<', '>', '|', '=']);
    let kind = code.chars().next()?;
    let size: u64 = code.get(1..)?.parse().ok()?;
    match kind {
        'U' => size.checked_mul(4).map(|size| (kind, size)),
        'V' => {
            let state = arguments.last().and_then(|state| machine.arena.as_items(*state));
            // A structure with objects in it is pickled whole: bit 1 of the flags.
            let flags = state.and_then(|state| state.get(7)).copied();
            let objects = matches!(flags, Some(Slot::Int(flags)) if flags & 1 == 1);
            Some((if objects { 'O' } else { kind }, size))
        }
        _ => Some((kind, size)),
    }
}

/// Keeps the state of a `numpy.dtype` with it: sizes of structures lie there.
pub fn keep_state(machine: &mut Machine<'_, '_>, object: Slot, state: Slot) {
    let Some((class, arguments)) = machine.arena.as_call(object) else { return };
    let is_dtype = machine.arena.as_global(class).and_then(|index| machine.findings.get(index));
    if is_dtype.is_some_and(|class| class.full == "numpy.dtype")
        && matches!(machine.arena.get(arguments), Some(Node::Items(..)))
    {
        machine.arena.extend(arguments, &[state]);
    }
}

/// Bytes of one element of a storage, by the name of its class.
pub fn storage_size(class: &str) -> u64 {
    match class {
        "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => 8,
        "FloatStorage" | "IntStorage" | "QInt32Storage" => 4,
        "HalfStorage" | "ShortStorage" | "BFloat16Storage" => 2,
        "ComplexDoubleStorage" => 16,
        _ => 1,
    }
}
