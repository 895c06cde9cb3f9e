//! YAML with the place of every node, within bounds.
//!
//! Both rules and configuration come from people, so an error must be able to point at a line.
//! Scalars follow the YAML 1.2 core schema; the merge key `<<` of YAML 1.1 is understood, since people use it
//! with anchors. A tag that would change what a value is (`!!binary`) is refused. A duplicate key is an error, and so is a document
//! larger than the bounds below, aliases expanded.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Nodes in one text, aliases expanded.
const NODES_MAX: usize = 200_000;
/// Indicators of flow style in one text: the parser holds a whole collection of that style, some 250
/// bytes for each of them, before it gives out the first of its items.
const FLOW_MAX: usize = 200_000;
/// Collections in collections.
const DEPTH_MAX: usize = 64;

/// One node and where it begins; lines and columns count from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub line: usize,
    pub column: usize,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order as written.
    Map(Vec<(Node, Node)>),
}

/// The text is no YAML, or too much of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl Node {
    pub fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::List(_) | Data::Map(_) => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::Map(_) => None,
        }
    }

    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.data {
            Data::Map(members) => Some(members),
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// What a person calls this kind of value.
    pub const fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Int(_) => "a whole number",
            Data::Float(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// As JSON, without places. Keys that are no texts are written as YAML would.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(flag) => Value::Bool(*flag),
            Data::Int(number) => {
                serde_json::Number::from_i128(*number).map_or_else(|| Value::String(number.to_string()), Value::Number)
            }
            Data::Float(number) => serde_json::Number::from_f64(*number).map_or(Value::Null, Value::Number),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Data::Map(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, value)| {
                        let key = key.as_text().map_or_else(|| key.to_json().to_string(), str::to_owned);
                        (key, value.to_json())
                    })
                    .collect(),
            ),
        }
    }
}

/// Whether a text can be parsed at all without too much memory.
pub fn is_bounded(text: &str) -> bool {
    text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).nth(FLOW_MAX).is_none()
}

/// All documents of a text.
pub fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    read(text, Builder::default())
}

/// The same of what is no configuration of ours: `!!binary` is the text that it is written as.
pub fn parse_any(text: &str) -> Result<Vec<Node>, YamlError> {
    read(text, Builder { binary: true, ..Builder::default() })
}

fn read(text: &str, mut builder: Builder) -> Result<Vec<Node>, YamlError> {
    if !is_bounded(text) {
        return Err(YamlError { line: 1, column: 1, message: format!("more than {FLOW_MAX} commas and brackets") });
    }
    let mut parser = Parser::new_from_str(text);
    while let Some(step) = parser.next_event() {
        let (event, span) = step.map_err(|error| YamlError {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            message: error.info().to_owned(),
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// `!!binary` is taken as a text.
    binary: bool,
}

/// A collection that is not complete yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<Node>,
    /// Keys so far, to find one written twice.
    keys: HashSet<String>,
}

impl Open {
    fn new(node: Node, anchor: usize) -> Self {
        Self { node, anchor, key: None, keys: HashSet::new() }
    }
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let at = |data| Node { line, column, data };
        let fail = |message: &str| Err(YamlError { line, column, message: message.to_owned() });
        match event {
            Event::Scalar(_, _, _, Some(tag))
                if !self.binary && tag.is_yaml_core_schema() && tag.suffix == "binary" =>
            {
                fail("`!!binary` is not understood: write the text itself")
            }
            Event::Scalar(text, style, anchor, tag) => {
                let forced =
                    tag.is_some_and(|tag| tag.is_yaml_core_schema() && (tag.suffix == "str" || tag.suffix == "binary"));
                let data =
                    if style == ScalarStyle::Plain && !forced { plain(&text) } else { Data::Text(text.into_owned()) };
                self.place(at(data), anchor)
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.open.len() >= DEPTH_MAX => {
                fail("nested too deeply")
            }
            Event::SequenceStart(anchor, _) => {
                self.open.push(Open::new(at(Data::List(Vec::new())), anchor));
                Ok(())
            }
            Event::MappingStart(anchor, _) => {
                self.open.push(Open::new(at(Data::Map(Vec::new())), anchor));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.place(merged(done.node, done.keys)?, done.anchor),
                None => fail("a collection ends that never began"),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.nodes += count(&node);
                    self.place(Node { line, column, ..node }, 0)
                }
                None => fail("an alias without its anchor"),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn place(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        let (line, column) = (node.line, node.column);
        let fail = |message: String| Err(YamlError { line, column, message });
        if anchor > 0 {
            // It is kept a second time, with all that is in it.
            self.nodes += count(&node);
        }
        if self.nodes > NODES_MAX {
            return fail(format!("more than {NODES_MAX} nodes, aliases counted"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut open.node.data, open.key.take()) {
            (Data::List(items), _) => items.push(node),
            (Data::Map(_), None) => open.key = Some(node),
            (Data::Map(members), Some(key)) => {
                let name = spelt(&key);
                if !open.keys.insert(name.clone()) {
                    return Err(YamlError {
                        line: key.line,
                        column: key.column,
                        message: format!("`{name}` is written twice"),
                    });
                }
                members.push((key, node));
            }
            (Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_), _) => {
                return fail("a value where none can be".to_owned());
            }
        }
        Ok(())
    }
}

/// A key as it is told apart from others.
fn spelt(key: &Node) -> String {
    key.as_text().map_or_else(|| key.to_json().to_string(), str::to_owned)
}

/// A mapping with what its key `<<` brings in: a mapping, or several; its own keys come first.
fn merged(mut node: Node, mut keys: HashSet<String>) -> Result<Node, YamlError> {
    if !keys.contains("<<") {
        return Ok(node);
    }
    let Data::Map(members) = &mut node.data else { return Ok(node) };
    let Some(at) = members.iter().position(|(key, _)| key.as_text() == Some("<<")) else { return Ok(node) };
    let (key, brought) = members.remove(at);
    let sources = brought.as_list().unwrap_or(std::slice::from_ref(&brought));
    for source in sources {
        let Some(more) = source.as_map() else {
            let (line, column) = (key.line, key.column);
            let message = "`<<` brings in a mapping, or a list of them".to_owned();
            return Err(YamlError { line, column, message });
        };
        for (name, value) in more {
            if keys.insert(spelt(name)) {
                members.push((name.clone(), value.clone()));
            }
        }
    }
    Ok(node)
}

fn count(node: &Node) -> usize {
    match &node.data {
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => 1,
        Data::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Data::Map(members) => 1 + members.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
    }
}

/// A plain scalar by the core schema.
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Data::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Data::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Data::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let whole = match text.get(..2) {
        Some("0x") => text.get(2..).and_then(|digits| i128::from_str_radix(digits, 16).ok()),
        Some("0o") => text.get(2..).and_then(|digits| i128::from_str_radix(digits, 8).ok()),
        Some(_) | None => text.parse().ok(),
    };
    if let Some(number) = whole {
        return Data::Int(number);
    }
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match text.parse() {
        Ok(number) if numeric => Data::Float(number),
        Ok(_) | Err(_) => Data::Text(text.to_owned()),
    }
}
