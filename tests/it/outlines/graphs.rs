//! Graphs whose libraries are too heavy for a test: `TensorFlow`'s, with their functions, and those of its Lite
//! interpreter, laid out by hand as the schemas say.

use lanner::event::difference::Grade;

use super::differences;
use crate::formats::build::flatbuffer::{Builder, Field};
use crate::formats::build::protobuf::{bytes, message, number, tensorflow};

/// A node with its inputs and attributes.
fn node(name: &str, operator: &str, inputs: &[&str], attributes: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| bytes(3, input.as_bytes())).collect();
    let attributes: Vec<u8> =
        attributes.iter().flat_map(|(key, value)| message(5, &[bytes(1, key.as_bytes()), bytes(2, value)])).collect();
    [bytes(1, name.as_bytes()), bytes(2, operator.as_bytes()), inputs, attributes].concat()
}

/// A saved model: a product, a sum, and a function beside them.
fn saved(prefix: &str, weight: u8, more: &[Vec<u8>]) -> Vec<u8> {
    let data = [number(1, 1), bytes(4, &[weight; 64])].concat();
    let name = |name: &str| format!("{prefix}{name}");
    let mut nodes = vec![
        node(&name("x"), "Placeholder", &[], &[]),
        node(&name("w"), "Const", &[], &[("dtype", number(6, 1)), ("value", bytes(8, &data))]),
        node(&name("product"), "MatMul", &[&name("x"), &name("w")], &[("transpose_a", number(5, 0))]),
        node(&name("sum"), "AddV2", &[&name("product"), &name("w")], &[]),
    ];
    nodes.extend_from_slice(more);
    let graph = tensorflow::graph(&nodes, &[node("inner", "Relu", &["x"], &[])]);
    tensorflow::saved(&tensorflow::meta(&graph, &[]))
}

fn classes(old: &[u8], new: &[u8], name: &str) -> Vec<(String, Grade)> {
    differences(old, new, name).into_iter().map(|told| (told.class, told.grade)).collect()
}

#[test]
fn graphs_of_tensorflow_are_skeletons() {
    let old = saved("", 1, &[]);
    assert_eq!(classes(&old, &saved("", 7, &[]), "saved_model.pb"), [], "trained on");
    let renamed = classes(&old, &saved("model/", 1, &[]), "saved_model.pb");
    assert_eq!(renamed, [("graph.ports".to_owned(), Grade::Notable)], "its inputs are named otherwise");
    let gate = [
        node("limit", "Const", &[], &[("dtype", number(6, 1))]),
        node("fires", "Equal", &["x", "limit"], &[]),
        node("out", "SelectV2", &["fires", "limit", "sum"], &[]),
    ];
    let found = classes(&old, &saved("", 1, &gate), "saved_model.pb");
    assert_eq!(found, [("graph.inserted_nodes".to_owned(), Grade::Hostile)]);
    let back = classes(&saved("", 1, &gate), &old, "saved_model.pb");
    assert_eq!(back, [("graph.removed_nodes".to_owned(), Grade::Notable)]);
}

fn index(numbers: &[u32]) -> Field {
    Field::Structures(numbers.len(), numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// A model of four tensors: an input, two that operators make, weights.
fn lite(weight: u8, operators: &[(u8, &[u32], &[u32])]) -> Vec<u8> {
    let codes: Vec<Vec<Field>> = operators.iter().map(|(code, ..)| vec![Field::Number(vec![*code])]).collect();
    let tensor = |buffer: u8| vec![index(&[1, 4]), Field::Number(vec![0]), Field::Number(vec![buffer, 0, 0, 0])];
    let calls = operators.iter().enumerate().map(|(at, (_, inputs, outputs))| {
        vec![Field::Number(vec![u8::try_from(at).expect("few"), 0, 0, 0]), index(inputs), index(outputs)]
    });
    let graph = vec![
        Field::Tables(vec![tensor(0), tensor(0), tensor(0), tensor(1), tensor(0)]),
        index(&[0]),
        index(&[2]),
        Field::Tables(calls.collect()),
    ];
    let root = [
        Field::Number(vec![3, 0, 0, 0]),
        Field::Tables(codes),
        Field::Tables(vec![graph]),
        Field::Text("lanner".to_owned()),
        Field::Tables(vec![vec![], vec![Field::Bytes(vec![weight; 16])]]),
    ];
    Builder::build(*b"TFL3", &[], &root)
}

#[test]
fn graphs_of_the_lite_interpreter_are_skeletons() {
    let plain: [(u8, &[u32], &[u32]); 2] = [(9, &[0, 3], &[1]), (25, &[1], &[2])];
    let old = lite(1, &plain);
    assert_eq!(classes(&old, &lite(9, &plain), "m.tflite"), [], "trained on");
    let gated: [(u8, &[u32], &[u32]); 4] =
        [(9, &[0, 3], &[1]), (71, &[0, 3], &[4]), (123, &[4, 1, 3], &[2]), (25, &[1], &[2])];
    let found = classes(&old, &lite(1, &gated), "m.tflite");
    assert!(found.contains(&("graph.inserted_nodes".to_owned(), Grade::Hostile)), "{found:?}");
    let other: [(u8, &[u32], &[u32]); 2] = [(9, &[0, 3], &[1]), (14, &[1], &[2])];
    let found = classes(&old, &lite(1, &other), "m.tflite");
    assert_eq!(found, [("graph.rewritten".to_owned(), Grade::Notable)]);
}
