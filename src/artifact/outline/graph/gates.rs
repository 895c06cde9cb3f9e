//! Whether a graph chooses what it gives out: operators that compare or choose, a few steps before an output.

use std::collections::{HashMap, HashSet};

use super::Builder;

/// Steps back from an output, and operators that are looked at on the way.
const STEPS: usize = 6;
const NODES_MAX: usize = 1024;
/// Operators that compare or choose, in small letters without anything between them.
const CHOOSE: &[&str] = &[
    "and",
    "case",
    "equal",
    "greater",
    "greaterequal",
    "greaterorequal",
    "if",
    "less",
    "lessequal",
    "lessorequal",
    "logicaland",
    "logicalnot",
    "logicalor",
    "merge",
    "not",
    "notequal",
    "or",
    "select",
    "selectv2",
    "statelesscase",
    "statelessif",
    "switch",
    "where",
    "xor",
];

/// True where an output is near to such an operator.
pub fn chooses(graph: &Builder) -> bool {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (number, node) in graph.nodes.iter().enumerate() {
        makers.extend(node.outputs.iter().map(|output| (output.as_str(), number)));
    }
    let mut seen: HashSet<usize> = HashSet::new();
    let mut next: Vec<usize> =
        graph.outputs.iter().filter_map(|port| makers.get(port.name.as_str())).copied().collect();
    for _ in 0..STEPS {
        let mut before = Vec::new();
        for number in next {
            if seen.len() >= NODES_MAX || !seen.insert(number) {
                continue;
            }
            let Some(node) = graph.nodes.get(number) else { continue };
            if is_choice(&node.operator) {
                return true;
            }
            before.extend(node.inputs.iter().filter_map(|input| makers.get(input.as_str())));
        }
        next = before;
    }
    false
}

fn is_choice(operator: &str) -> bool {
    let plain: String = operator.chars().filter(|c| *c != '_').collect();
    CHOOSE.contains(&plain.to_ascii_lowercase().as_str())
}
