//! Tensors of a PyTorch pickle: which part of which storage each is, and the name under which it is kept.

use super::machine::Machine;
use super::value::Slot;

/// Tensors of one pickle.
const TENSORS_MAX: usize = 100_000;
/// Axes of one tensor.
const AXES_MAX: usize = 16;

/// A tensor as `torch._utils._rebuild_tensor_v2` would make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// Key under which it is kept; empty until it is known, or where it has none.
    pub name: String,
    /// Class of the storage, for example `FloatStorage`, and its key: the name of its member.
    pub class: String,
    pub key: String,
    /// First element in the storage.
    pub offset: u64,
    pub shape: Vec<u64>,
    /// Elements follow one another as they do in a file.
    pub contiguous: bool,
}

/// Takes note of a call that makes a tensor out of the storage that was named last, or wraps one.
pub fn note(machine: &mut Machine<'_, '_>, function: &str, arguments: Slot, result: Slot) {
    let Slot::Node(result) = result else { return };
    match function {
        "torch._utils._rebuild_tensor_v2" => {
            let Some((class, key)) = machine.storage.take() else { return };
            let items = machine.arena.as_items(arguments).unwrap_or_default();
            let numbers = |slot: Option<&Slot>| -> Option<Vec<u64>> {
                let items = machine.arena.as_items(*slot?)?;
                let number =
                    |slot: &Slot| if let Slot::Int(number) = slot { u64::try_from(*number).ok() } else { None };
                (items.len() <= AXES_MAX).then(|| items.iter().map(number).collect::<Option<Vec<_>>>())?
            };
            let Some(Slot::Int(offset)) = items.get(1).copied() else { return };
            let (Some(shape), Some(strides)) = (numbers(items.get(2)), numbers(items.get(3))) else { return };
            let Ok(offset) = u64::try_from(offset) else { return };
            if machine.findings.tensors.len() >= TENSORS_MAX {
                machine.findings.cut = true;
                return;
            }
            let contiguous = is_contiguous(&shape, &strides);
            machine.tensors.insert(result, machine.findings.tensors.len());
            let tensor = Rebuilt { name: String::new(), class, key, offset, shape, contiguous };
            machine.findings.tensors.push(tensor);
        }
        "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
            let inner = machine.arena.as_items(arguments).and_then(|items| items.first().copied());
            if let Some(Slot::Node(inner)) = inner
                && let Some(index) = machine.tensors.get(&inner).copied()
            {
                machine.tensors.insert(result, index);
            }
        }
        _ => {}
    }
}

/// Takes note of keys whose values are tensors; `items` are keys and values in turn.
pub fn name(machine: &mut Machine<'_, '_>, items: &[Slot]) {
    if machine.tensors.is_empty() {
        return;
    }
    for pair in items.chunks_exact(2) {
        let [key, Slot::Node(value)] = pair else { continue };
        let index = machine.tensors.get(value).copied();
        let tensor = index.and_then(|index| machine.findings.tensors.get_mut(index));
        if let (Some(tensor), Some(key)) = (tensor, machine.arena.as_text(*key))
            && tensor.name.is_empty()
        {
            key.clone_into(&mut tensor.name);
        }
    }
}

fn is_contiguous(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1_u64;
    shape.len() == strides.len()
        && shape.iter().zip(strides).rev().all(|(length, stride)| {
            let fits = *length <= 1 || *stride == expected;
            expected = expected.saturating_mul((*length).max(1));
            fits
        })
}
