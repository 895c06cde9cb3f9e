//! `PyTorch` for mobile devices as a flat buffer: functions with the operators that they call, types of
//! objects, the code beside them, files that are kept with the model, and weights.

use super::flatbuffer::Table;
use super::zip::{self, torch};
use super::{Head, midst, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Values, types and files of one model.
const ITEMS_MAX: u64 = 100_000;
/// Numbers of the kinds of values that are looked at.
const TEXT: u64 = 6;
const ENUM: u64 = 15;
const FUNCTION: u64 = 16;
/// A type that the runtime brings, or a library of somebody's.
const CUSTOM_CLASS: u64 = 2;
/// Classes that come with `PyTorch`, below the root of all of them.
const CLASSES: &str = "__torch__.torch.classes.";
const OWN: &[&str] = &[
    "quantized.",
    "sparse.",
    "rnn.",
    "xnnpack.",
    "vulkan.",
    "metal.",
    "_nnapi.",
    "c10d.",
    "dist_",
    "profiling.",
    "__backends__.",
];

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.get(4..8) == Some(b"PTMF")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let looked = Table::root(input).ok_or(()).and_then(|root| module(inspection, input, root));
    if looked.is_err() {
        inspection.list("artifact.tensors.anomalies", "out_of_bounds");
        inspection.issue("malformed", "an offset reaches beyond the end, or what it points to is none");
    }
    "torch-mobile"
}

/// Each part is looked at whatever is wrong with the others.
fn module(inspection: &mut Inspection<'_>, input: Input<'_>, root: Table<'_>) -> Result<(), ()> {
    let values = values(inspection, input, root);
    let types = types(inspection, root);
    let files = files(inspection, root);
    let storages = root.tables(6, ITEMS_MAX);
    let mut total = 0_u64;
    let mut broken = Ok(());
    for storage in storages.iter().flatten() {
        match storage.vector(0, 1) {
            Ok(Some(data)) => {
                total = total.saturating_add(data.count);
                let window = data.window(1);
                probe::data(inspection, window, data.start);
                midst::low_bits(inspection, window, None);
            }
            Ok(None) => {}
            Err(()) => broken = Err(()),
        }
    }
    inspection.set("artifact.tensors.count", storages.as_ref().map_or(0, Vec::len));
    inspection.set("artifact.tensors.bytes", total);
    values.and(types).and(files).and(storages.map(drop)).and(broken)
}

/// Functions and texts among the values of the model.
fn values(inspection: &mut Inspection<'_>, input: Input<'_>, root: Table<'_>) -> Result<(), ()> {
    let mut broken = Ok(());
    for value in root.tables(4, ITEMS_MAX)? {
        let kind = value.number(0, 1);
        if !matches!(kind, TEXT | ENUM | FUNCTION) {
            continue;
        }
        let looked = match value.child(1) {
            Ok(Some(function)) if kind == FUNCTION => self::function(inspection, function),
            Ok(Some(text)) => text.text(0).map(|text| {
                if text.len() >= 8 {
                    probe::text(inspection, "constant", &text, input);
                }
            }),
            Ok(None) => Ok(()),
            Err(()) => Err(()),
        };
        broken = broken.and(looked);
    }
    broken
}

fn function(inspection: &mut Inspection<'_>, function: Table<'_>) -> Result<(), ()> {
    inspection.list("artifact.torch.functions", function.text(0)?);
    for operator in function.tables(2, ITEMS_MAX)? {
        torch::operator(inspection, &operator.text(0)?);
    }
    Ok(())
}

fn types(inspection: &mut Inspection<'_>, root: Table<'_>) -> Result<(), ()> {
    for kind in root.tables(7, ITEMS_MAX)? {
        let name = kind.text(0)?;
        if name.is_empty() {
            continue;
        }
        let class = name.strip_prefix(CLASSES);
        let own = class.is_some_and(|class| OWN.iter().any(|own| class.starts_with(own)));
        if !own && (class.is_some() || kind.number(1, 1) == CUSTOM_CLASS) {
            inspection.list("artifact.torch.foreign", format!("class:{name}"));
        }
        inspection.list("artifact.torch.types", &name);
    }
    Ok(())
}

/// Files that travel with the model, and the sources from which it was made: readers run those where the
/// bytecode is not what they want.
fn files(inspection: &mut Inspection<'_>, root: Table<'_>) -> Result<(), ()> {
    for (list, sources) in [(1, false), (8, true)] {
        for file in root.tables(list, ITEMS_MAX)? {
            let name = file.text(0)?;
            inspection.list("artifact.members", &name);
            zip::escapes(inspection, &name);
            let Some(content) = file.bytes(1)? else { continue };
            inspection.member(&name, |inspection| {
                if sources {
                    torch::code(inspection, content);
                } else {
                    super::inspect_member(inspection, content, &name);
                }
            });
        }
    }
    Ok(())
}
