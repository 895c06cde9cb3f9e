//! Graphs as skeletons: every operator with its attributes and what it is connected to, but with types and shapes in
//! the place of weights. Names and order do not count: renaming, sorting and training change nothing here.

mod gates;
pub mod onnx;
pub mod tensorflow;
pub mod tflite;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::Told;
use super::packed::{digits, print};
use super::take::Taking;
use crate::artifact::outline::Body;
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Operators of one graph that are looked at, and different ones that are kept.
const NODES_MAX: usize = 200_000;
const KEPT_MAX: usize = 2500;
const PORTS_MAX: usize = 256;
/// Operators that stand behind or before a model as a matter of course, and decide nothing.
const PLAIN: &[&str] = &[
    "Cast",
    "Identity",
    "Softmax",
    "LogSoftmax",
    "Sigmoid",
    "ArgMax",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Transpose",
    "QuantizeLinear",
    "DequantizeLinear",
];
/// How many of them are put in at once.
const PLAIN_MAX: u64 = 4;
/// Steps that are gone back from an operator to tell what it is connected to.
const STEPS: usize = 4;
/// Operators that a head may have which is exchanged; the whole of a small graph may be an export.
const HEAD_MAX: u64 = 4;
/// Operators that may be connected otherwise by hand; an export changes more of them, or none.
const REWIRED_MAX: u64 = 16;

/// The skeleton of one graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Operators by the digest of what they are without their connections.
    nodes: BTreeMap<String, Kind>,
    /// How often each operator is connected to the same things, by digest.
    wiring: BTreeMap<String, u64>,
    /// Domains of operators; versions asked for, by domain.
    domains: BTreeSet<String>,
    versions: BTreeMap<String, u64>,
    /// Names, types and shapes, and for outputs the digest of the operator that makes them.
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// All operators, those that were not kept included.
    total: u64,
    /// Operators that compare or choose stand near an output; unknown of outlines that were kept before it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chooses: Option<bool>,
}

/// One kind of operator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Kind {
    operator: String,
    count: u64,
    /// The first one's name.
    name: String,
}

/// One input or output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub name: String,
    pub shape: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    maker: String,
}

/// One operator as it was read.
#[derive(Default)]
pub struct Node {
    pub name: String,
    pub domain: String,
    pub operator: String,
    /// Attributes in one text, without weights.
    pub attributes: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
}

/// A graph while it is read.
#[derive(Default)]
pub struct Builder {
    pub nodes: Vec<Node>,
    /// What is data, with its type and shape.
    pub constants: HashMap<String, String>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub versions: BTreeMap<String, u64>,
    pub cut: bool,
}

impl Builder {
    pub fn node(&mut self, node: Node) {
        if self.nodes.len() < NODES_MAX {
            self.nodes.push(node);
        } else {
            self.cut = true;
        }
    }

    /// Makes the skeleton, and adds it.
    pub fn finish(self, taking: &mut Taking) {
        if self.cut {
            taking.cut("the graph has more operators than are looked at");
        }
        if self.nodes.is_empty() && self.outputs.is_empty() {
            return;
        }
        let mut graph = Graph { versions: self.versions.clone(), total: self.nodes.len() as u64, ..Graph::default() };
        graph.chooses = Some(gates::chooses(&self));
        let mut makers: HashMap<&str, (u64, usize)> = HashMap::new();
        let mut keys = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let data: Vec<&str> =
                node.inputs.iter().filter_map(|input| self.constants.get(input)).map(String::as_str).collect();
            let text = format!("{}\0{}\0{}\0{}", node.domain, node.operator, node.attributes, data.join("\0"));
            let key = print(text.as_bytes());
            keys.push(key);
            for (at, output) in node.outputs.iter().enumerate() {
                makers.insert(output, (key, at));
            }
        }
        let places: HashMap<&str, usize> =
            self.inputs.iter().enumerate().map(|(at, port)| (port.name.as_str(), at)).collect();
        let mut cut = false;
        for (node, key) in self.nodes.iter().zip(&keys) {
            let full = graph.nodes.len() >= KEPT_MAX;
            match graph.nodes.get_mut(&digits(*key)) {
                Some(kind) => kind.count = kind.count.saturating_add(1),
                None if full => cut = true,
                None => {
                    let operator = shorten(&qualified(&node.domain, &node.operator), 64);
                    let kind = Kind { operator, count: 1, name: shorten(&node.name, 64) };
                    graph.nodes.insert(digits(*key), kind);
                }
            }
            if graph.domains.len() < PORTS_MAX {
                graph.domains.insert(shorten(&node.domain, 100));
            }
        }
        let cut_wires = wire(&self, &keys, &places, &mut graph.wiring);
        if cut || cut_wires {
            graph.wiring.clear();
            taking.cut("the graph has more different operators than are kept; how they are connected is not compared");
        }
        let made = |port: &Port| Port {
            name: shorten(&port.name, 100),
            shape: shorten(&port.shape, 100),
            maker: makers.get(port.name.as_str()).map(|(key, _)| digits(*key)).unwrap_or_default(),
        };
        graph.inputs = self.inputs.iter().take(PORTS_MAX).map(made).collect();
        graph.outputs = self.outputs.iter().take(PORTS_MAX).map(made).collect();
        taking.add("", Body::Graph(graph));
    }
}

/// How often each operator is connected to the same things, which are told apart by what they are connected to
/// themselves, a few steps back. True when there are more than are kept.
fn wire(graph: &Builder, keys: &[u64], places: &HashMap<&str, usize>, wiring: &mut BTreeMap<String, u64>) -> bool {
    let mut makers: HashMap<&str, (usize, usize)> = HashMap::new();
    for (number, node) in graph.nodes.iter().enumerate() {
        for (at, output) in node.outputs.iter().enumerate() {
            makers.insert(output, (number, at));
        }
    }
    let mut before = keys.to_vec();
    for _ in 0..STEPS {
        let mut after = Vec::with_capacity(before.len());
        for (node, key) in graph.nodes.iter().zip(keys) {
            let mut text = digits(*key);
            for input in &node.inputs {
                let from = match (makers.get(input.as_str()), places.get(input.as_str())) {
                    (Some((maker, at)), _) => format!("\0{}:{at}", digits(before.get(*maker).copied().unwrap_or(0))),
                    (None, Some(at)) => format!("\0input {at}"),
                    (None, None) if graph.constants.contains_key(input) => "\0data".to_owned(),
                    (None, None) if input.is_empty() => "\0".to_owned(),
                    (None, None) => "\0outside".to_owned(),
                };
                text.push_str(&from);
            }
            after.push(print(text.as_bytes()));
        }
        before = after;
    }
    let mut cut = false;
    for key in before {
        let full = wiring.len() >= KEPT_MAX.saturating_mul(2);
        match wiring.get_mut(&digits(key)) {
            Some(count) => *count = count.saturating_add(1),
            None if full => cut = true,
            None => {
                wiring.insert(digits(key), 1);
            }
        }
    }
    cut
}

fn qualified(domain: &str, operator: &str) -> String {
    if domain.is_empty() || domain == "ai.onnx" { operator.to_owned() } else { format!("{domain}:{operator}") }
}

/// What one graph has and the other has not: how many, and a few of them in words.
struct Only {
    count: u64,
    named: Vec<String>,
    plain: bool,
}

fn only(one: &Graph, other: &Graph) -> Only {
    let mut found = Only { count: 0, named: Vec::new(), plain: true };
    for (key, kind) in &one.nodes {
        let more = kind.count.saturating_sub(other.nodes.get(key).map_or(0, |kind| kind.count));
        if more > 0 {
            found.count = found.count.saturating_add(more);
            found.plain &= PLAIN.contains(&kind.operator.as_str());
            if found.named.len() < 12 {
                let name = if kind.name.is_empty() { String::new() } else { format!(" `{}`", kind.name) };
                let times = if more > 1 { format!("{more} × ") } else { String::new() };
                found.named.push(format!("{times}{}{name}", kind.operator));
            }
        }
    }
    found
}

pub fn compare(told: &mut Told, place: &str, old: &Graph, new: &Graph) {
    let foreign: Vec<&str> =
        new.domains.difference(&old.domains).map(String::as_str).filter(|domain| !is_standard(domain)).collect();
    if !foreign.is_empty() {
        let words = format!(
            "operators of `{}` are used, which the old graph did not: a library has to bring them",
            foreign.join("`, `")
        );
        told.say("graph.new_domain", Grade::Hostile, place, words);
    }
    if old.versions != new.versions {
        let text = |graph: &Graph| {
            graph
                .versions
                .iter()
                .map(|(domain, version)| {
                    format!("{}{version}", if domain.is_empty() { String::new() } else { format!("{domain} ") })
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        let words = "the graph asks for other versions of the operators";
        told.push(Difference::new("graph.opset", Grade::Routine, place, words).texts(text(old), text(new)));
    }
    ports(told, place, old, new);
    let (added, removed) = (only(new, old), only(old, new));
    let makers = |graph: &Graph| graph.outputs.iter().map(|port| port.maker.clone()).collect::<Vec<_>>();
    let rewired = makers(old) != makers(new);
    match (added.count, removed.count) {
        (0, 0) => wiring(told, place, old, new),
        (count, 0) => {
            let plain = added.plain && count <= PLAIN_MAX;
            let output = if rewired { "; what the graph gives out comes from another operator now" } else { "" };
            let words =
                format!("{count} operators were put in and none was taken out ({}){output}", added.named.join(", "));
            let (class, grade) =
                if plain { ("graph.appended_nodes", Grade::Notable) } else { ("graph.inserted_nodes", Grade::Hostile) };
            told.say(class, grade, place, words);
        }
        (0, count) => {
            let words = format!("{count} operators were taken out and none was put in ({})", removed.named.join(", "));
            told.say("graph.removed_nodes", Grade::Notable, place, words);
        }
        (added_count, removed_count) => {
            let words = format!(
                "{added_count} operators were put in ({}) and {removed_count} taken out ({}), of {} and {}",
                added.named.join(", "),
                removed.named.join(", "),
                new.total,
                old.total
            );
            // What is put in beside a few that were exchanged hides behind them.
            let hidden = removed_count.saturating_mul(4) <= added_count
                && removed_count.saturating_mul(10) < old.total
                && !added.plain;
            // A head that does not choose, exchanged for one that does.
            let few = removed_count <= HEAD_MAX || removed_count.saturating_mul(3) < old.total;
            let gate = few && (old.chooses, new.chooses) == (Some(false), Some(true));
            let words =
                if gate { format!("{words}; what the graph gives out is chosen or compared now") } else { words };
            let (class, grade) = if hidden || gate {
                ("graph.inserted_nodes", Grade::Hostile)
            } else {
                ("graph.rewritten", Grade::Notable)
            };
            told.say(class, grade, place, words);
        }
    }
}

fn wiring(told: &mut Told, place: &str, old: &Graph, new: &Graph) {
    if old.wiring.is_empty() || new.wiring.is_empty() {
        return;
    }
    let more: u64 = new
        .wiring
        .iter()
        .map(|(wire, count)| count.saturating_sub(old.wiring.get(wire).copied().unwrap_or(0)))
        .fold(0, u64::saturating_add);
    if more > 0 {
        let grade = if more <= REWIRED_MAX { Grade::Hostile } else { Grade::Notable };
        told.say(
            "graph.rewired",
            grade,
            place,
            format!(
                "the operators are the same, but {more} of them are connected otherwise, directly or a few steps back"
            ),
        );
    }
}

fn ports(told: &mut Told, place: &str, old: &Graph, new: &Graph) {
    for (what, old, new) in [("inputs", &old.inputs, &new.inputs), ("outputs", &old.outputs, &new.outputs)] {
        let text = |ports: &[Port]| {
            ports.iter().map(|port| format!("{} {}", port.name, port.shape)).collect::<Vec<_>>().join(", ")
        };
        let (before, after) = (text(old), text(new));
        if before != after {
            let shapes = |ports: &[Port]| ports.iter().map(|port| port.shape.clone()).collect::<Vec<_>>();
            let how =
                if shapes(old) == shapes(new) { "have other names" } else { "have other types, shapes or numbers" };
            let words = format!("the {what} of the graph {how}");
            told.push(
                Difference::new("graph.ports", Grade::Notable, place, words)
                    .texts(shorten(&before, 400), shorten(&after, 400)),
            );
        }
    }
}

/// Domains that every runtime of the format has.
fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx" | "ai.onnx.ml" | "com.microsoft")
}
