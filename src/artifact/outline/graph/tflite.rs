//! The skeleton of a `TensorFlow` Lite model (schema.fbs): operators with their options, and the types and shapes of
//! the tensors that are data.

use super::{Builder, Node, Port};
use crate::artifact::format::flatbuffer::Table;
use crate::artifact::input::Input;
use crate::artifact::outline::take::Taking;

/// Operators, tensors and the like of one model.
const ITEMS_MAX: u64 = 100_000;
/// Indices of one operator.
const PLACES_MAX: u64 = 4096;

pub fn take(taking: &mut Taking, input: Input<'_>) {
    let mut builder = Builder::default();
    let read = Table::root(input).ok_or(()).and_then(|root| model(&mut builder, root));
    if read.is_err() {
        taking.cut("the model is broken: its graph is not whole");
    }
    builder.finish(taking);
}

fn model(builder: &mut Builder, root: Table<'_>) -> Result<(), ()> {
    let codes: Vec<String> = root
        .tables(1, ITEMS_MAX)?
        .iter()
        .map(|code| {
            let custom = code.text(1)?;
            // The number stands in one byte in older models, in four in newer ones.
            let number = code.number(0, 1).max(code.number(3, 4));
            Ok(if custom.is_empty() { format!("builtin {number}") } else { custom })
        })
        .collect::<Result<_, ()>>()?;
    let filled: Vec<bool> = root
        .tables(4, ITEMS_MAX)?
        .iter()
        .map(|buffer| Ok(buffer.vector(0, 1)?.is_some_and(|vector| vector.count > 0) || buffer.number(2, 8) > 0))
        .collect::<Result<_, ()>>()?;
    for (number, graph) in root.tables(2, 1024)?.iter().enumerate() {
        let name = |at: u64| format!("{number}:{at}");
        for (at, tensor) in graph.tables(0, ITEMS_MAX)?.iter().enumerate() {
            let buffer = usize::try_from(tensor.number(2, 4)).unwrap_or(usize::MAX);
            if filled.get(buffer) == Some(&true) {
                builder.constants.insert(name(at as u64), shape(*tensor)?);
            }
        }
        let places = |index: u64, table: Table<'_>| -> Result<Vec<u64>, ()> {
            let Some(vector) = table.vector(index, 4)? else { return Ok(Vec::new()) };
            let bytes = vector.window(4).read(0, usize::try_from(vector.count.min(PLACES_MAX)).unwrap_or(0) * 4);
            Ok(bytes
                .chunks_exact(4)
                .filter_map(|chunk| chunk.try_into().ok())
                .map(|four| u64::from(u32::from_le_bytes(four)))
                .collect())
        };
        let tensors = graph.tables(0, ITEMS_MAX)?;
        let port = |at: &u64| -> Result<Port, ()> {
            let tensor = usize::try_from(*at).ok().and_then(|at| tensors.get(at));
            Ok(Port {
                name: name(*at),
                shape: tensor.map_or(Ok(String::new()), |tensor| shape(*tensor))?,
                ..Port::default()
            })
        };
        if number == 0 {
            builder.inputs = places(1, *graph)?.iter().map(port).collect::<Result<_, ()>>()?;
            builder.outputs = places(2, *graph)?.iter().map(port).collect::<Result<_, ()>>()?;
        }
        for operator in graph.tables(3, ITEMS_MAX)? {
            let code = usize::try_from(operator.number(0, 4)).ok().and_then(|at| codes.get(at)).ok_or(())?;
            builder.node(Node {
                operator: code.clone(),
                attributes: operator.number(3, 1).to_string(),
                inputs: places(1, operator)?.into_iter().map(name).collect(),
                outputs: places(2, operator)?.into_iter().map(name).collect(),
                ..Node::default()
            });
        }
    }
    Ok(())
}

/// Type and sides of a tensor.
fn shape(tensor: Table<'_>) -> Result<String, ()> {
    let Some(sides) = tensor.vector(0, 4)? else { return Ok(format!("{}[]", tensor.number(1, 1))) };
    let bytes = sides.window(4).read(0, usize::try_from(sides.count.min(64)).unwrap_or(0) * 4);
    let sides: Vec<String> = bytes
        .chunks_exact(4)
        .filter_map(|chunk| chunk.try_into().ok())
        .map(|four| i32::from_le_bytes(four).to_string())
        .collect();
    Ok(format!("{}[{}]", tensor.number(1, 1), sides.join(",")))
}
