//! MNN: flat buffers without a mark. Operators that a plugin has to bring, code for graphics cards, texts, and
//! what hides in weights.

use super::flatbuffer::Table;
use super::{Head, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Operators and graphs of one model.
const ITEMS_MAX: u64 = 100_000;
/// Kinds of operators that are not the runtime's: of a plugin, and of what a converter left as it was.
const PLUGIN: u64 = 256;
const EXTRA: u64 = 512;
/// Whose operators a converter leaves, which the runtime then refuses or knows.
const CONVERTED: &[&str] = &["MNN", "Tensorflow", "TensorFlow", "ONNX", "Onnx", "Caffe", "TFLite", "Torch"];

/// Nothing but the name tells, and that operators are where they belong.
pub fn identify(head: &Head<'_>) -> bool {
    super::extension(head.name) == "mnn" && operators(head.input).is_some()
}

fn operators(input: Input<'_>) -> Option<Table<'_>> {
    let root = Table::root(input)?;
    let known = root.vector(3, 4).ok()??.count > 0;
    known.then_some(root)
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let looked = operators(input).ok_or(()).and_then(|root| net(inspection, input, root));
    if looked.is_err() {
        inspection.list("artifact.tensors.anomalies", "out_of_bounds");
        inspection.issue("malformed", "an offset reaches beyond the end, or what it points to is none");
    }
    "mnn"
}

fn net(inspection: &mut Inspection<'_>, input: Input<'_>, root: Table<'_>) -> Result<(), ()> {
    let mut graphs = vec![root.tables(3, ITEMS_MAX)];
    match root.tables(10, ITEMS_MAX) {
        Ok(inner) => graphs.extend(inner.iter().map(|graph| graph.tables(4, ITEMS_MAX))),
        Err(()) => graphs.push(Err(())),
    }
    let mut broken = Ok(());
    for operators in graphs {
        let Ok(operators) = operators else {
            broken = Err(());
            continue;
        };
        for operator in operators {
            broken = broken.and(self::operator(inspection, input, operator));
        }
    }
    for index in [0, 11] {
        let text = root.text(index)?;
        if text.len() >= 8 {
            probe::text(inspection, "description", &text, input);
        }
    }
    broken
}

fn operator(inspection: &mut Inspection<'_>, input: Input<'_>, operator: Table<'_>) -> Result<(), ()> {
    let name = operator.text(3)?;
    if name.len() >= 8 {
        probe::text(inspection, "name", &name, input);
    }
    let kind = operator.number(5, 4);
    if !matches!(kind, PLUGIN | EXTRA) {
        return Ok(());
    }
    let Some(main) = operator.child(2)? else { return Ok(()) };
    let own = main.text(0)?;
    if kind == PLUGIN {
        inspection.list("artifact.mnn.custom", format!("plugin:{own}"));
        return Ok(());
    }
    let engine = main.text(1)?;
    if !CONVERTED.contains(&engine.as_str()) {
        inspection.list("artifact.mnn.custom", format!("extra:{engine}:{own}"));
    }
    if let Some(bytes) = main.vector(2, 1)? {
        probe::data(inspection, bytes.window(1), bytes.start);
    }
    Ok(())
}
