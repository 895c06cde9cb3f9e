//! Messages of protocol buffers, and models made of them.

/// A number.
pub fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A text, bytes or a message.
pub fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint((field << 3) | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// A message of these fields.
pub fn message(field: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, &parts.concat())
}

/// An entry of a map: a key and a value.
pub fn entry(field: u64, key: &str, value: &[u8]) -> Vec<u8> {
    message(field, &[bytes(1, key.as_bytes()), bytes(2, value)])
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
    out
}

/// Models of ONNX.
pub mod onnx {
    use super::{bytes, entry, message, number};

    /// A tensor whose data stands in it.
    pub fn tensor(data: &[u8]) -> Vec<u8> {
        [number(1, 4), number(2, 1), bytes(8, b"w"), bytes(9, data)].concat()
    }

    /// A tensor whose data lies elsewhere.
    pub fn external(location: &str) -> Vec<u8> {
        let place = entry(13, "location", location.as_bytes());
        [number(1, 4), number(2, 1), bytes(8, b"w"), place, entry(13, "offset", b"0"), number(14, 1)].concat()
    }

    pub fn node(domain: &str, operator: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
        let attributes = attributes.iter().flat_map(|attribute| bytes(5, attribute)).collect();
        [bytes(1, b"x"), bytes(2, b"y"), bytes(4, operator.as_bytes()), attributes, bytes(7, domain.as_bytes())]
            .concat()
    }

    /// A graph with one node and one tensor.
    pub fn graph(node: &[u8], tensor: &[u8]) -> Vec<u8> {
        [bytes(1, node), bytes(2, b"main"), bytes(5, tensor), bytes(11, &bytes(1, b"x")), bytes(12, &bytes(1, b"y"))]
            .concat()
    }

    /// A model around a graph, and whatever else stands behind it.
    pub fn model(graph: &[u8], rest: &[Vec<u8>]) -> Vec<u8> {
        let set = message(8, &[bytes(1, b""), number(2, 17)]);
        [number(1, 8), bytes(2, b"lanner"), bytes(7, graph), set, rest.concat()].concat()
    }
}

/// Graphs of TensorFlow.
pub mod tensorflow {
    use super::{bytes, entry, message, number};

    pub fn node(operator: &str, attributes: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let attributes = attributes.iter().flat_map(|(key, value)| entry(5, key, value)).collect();
        [bytes(1, b"n"), bytes(2, operator.as_bytes()), attributes].concat()
    }

    /// A graph of nodes, and one function of others.
    pub fn graph(nodes: &[Vec<u8>], function: &[Vec<u8>]) -> Vec<u8> {
        let nodes: Vec<u8> = nodes.iter().flat_map(|node| bytes(1, node)).collect();
        let body: Vec<u8> = function.iter().flat_map(|node| bytes(3, node)).collect();
        let library = message(2, &[message(1, &[message(1, &[bytes(1, b"f")]), body])]);
        [nodes, library, message(4, &[number(1, 1800)])].concat()
    }

    /// A `MetaGraph` around a graph, and whatever else stands behind it.
    pub fn meta(graph: &[u8], rest: &[Vec<u8>]) -> Vec<u8> {
        [message(1, &[bytes(4, b"serve"), bytes(5, b"2.21.0")]), bytes(2, graph), rest.concat()].concat()
    }

    pub fn saved(meta: &[u8]) -> Vec<u8> {
        [number(1, 1), bytes(2, meta)].concat()
    }
}
