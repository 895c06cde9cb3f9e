//! The modifier `expand`: placeholders `%name%` in values → the values of named lists.

use crate::base::yaml::{Data, Node};
use crate::event::Value;

use super::diagnostic::{Reporter, Span};
use super::values::{Values, is_name};

/// Values at one field after expansion.
const EXPANDED_MAX: usize = 20_000;
/// Bytes of all of them.
const BYTES_MAX: usize = 4 << 20;

/// Part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

/// Every value with its placeholders replaced, in the place of the value; several placeholders in one
/// value give all combinations. A value from a list counts as if it stood in the rule: wildcards are
/// wildcards. `None` when something is wrong, which is reported.
pub fn expand(written: &[Node], values: &Values, reporter: &mut Reporter<'_>) -> Option<Vec<Node>> {
    let mark = reporter.mark();
    let (mut expanded, mut before): (Vec<Node>, usize) = (Vec::new(), 0);
    for node in written {
        let pieces = node.as_text().map(pieces).unwrap_or_default();
        if !pieces.iter().any(|piece| matches!(piece, Piece::Placeholder(_))) {
            let hint = "write `%name%` with the name of a list of values";
            reporter.error_hint("R019", Span::of(node), "the value has nothing to expand", hint);
            continue;
        }
        let mut all = vec![None];
        for piece in &pieces {
            all = step(all, piece, node, values, reporter)?;
            let bytes = before + all.iter().flatten().map(|data| as_text(data).len()).sum::<usize>();
            if all.len() + expanded.len() > EXPANDED_MAX || bytes > BYTES_MAX {
                let message = format!("the placeholders stand for more than {EXPANDED_MAX} values or too much text");
                reporter.error("R019", Span::of(node), message);
                return None;
            }
        }
        before += all.iter().flatten().map(|data| as_text(data).len()).sum::<usize>();
        let at = |data| Node { line: node.line, column: node.column, data };
        expanded.extend(all.into_iter().flatten().map(at));
    }
    (!reporter.errors_since(mark)).then_some(expanded)
}

/// Appends one piece to every value so far.
fn step(
    all: Vec<Option<Data>>,
    piece: &Piece,
    node: &Node,
    values: &Values,
    reporter: &mut Reporter<'_>,
) -> Option<Vec<Option<Data>>> {
    let name = match piece {
        Piece::Text(text) => return Some(all.into_iter().map(|whole| Some(append(whole, text))).collect()),
        Piece::Placeholder(name) => name,
    };
    let Some(list) = values.get(name) else {
        let before = node.as_text().and_then(|text| text.find(&format!("%{name}%"))).unwrap_or(0);
        let text = node.as_text().unwrap_or_default();
        let before = text.get(..before).map_or(0, |before| before.chars().count());
        let span = reporter.inside(node, text, before, name.chars().count() + 2);
        let hint = match values.nearest(name) {
            Some(near) => format!("did you mean `%{near}%`?"),
            None => format!("put the values into a file `{name}.txt` and name its folder with `--values`"),
        };
        reporter.error_hint("R019", span, format!("there is no list of values `{name}`"), hint);
        return None;
    };
    if all.len().saturating_mul(list.len()) > EXPANDED_MAX {
        let message = format!("the placeholders stand for more than {EXPANDED_MAX} values");
        reporter.error("R019", Span::of(node), message);
        return None;
    }
    let joined = all.iter().flat_map(|whole| {
        list.iter().map(move |value| match whole {
            // The whole value so far: it keeps its type.
            None => Some(data_of(value)),
            Some(data) => Some(append(Some(data.clone()), &as_text(&data_of(value)))),
        })
    });
    Some(joined.collect())
}

fn append(whole: Option<Data>, text: &str) -> Data {
    match whole {
        None => Data::Text(text.to_owned()),
        Some(data) => Data::Text(format!("{}{text}", as_text(&data))),
    }
}

fn as_text(data: &Data) -> String {
    match data {
        Data::Text(text) => text.clone(),
        Data::Bool(flag) => flag.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Null | Data::List(_) | Data::Map(_) => String::new(),
    }
}

fn data_of(value: &Value) -> Data {
    match value {
        Value::Bool(flag) => Data::Bool(*flag),
        Value::Int(number) => Data::Int(*number),
        Value::Float(number) => Data::Float(*number),
        Value::Text(text) => Data::Text(text.clone()),
        // Lists hold scalars only.
        Value::Null | Value::List(_) | Value::Map(_) => Data::Text(String::new()),
    }
}

/// Splits at placeholders. `\%` is a percent sign that opens none, and a `%` that no name and no second
/// `%` follow is one, too.
fn pieces(text: &str) -> Vec<Piece> {
    let (mut found, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        literal.push_str(before);
        if let Some(after) = from.strip_prefix(r"\%") {
            literal.push('%');
            rest = after;
            continue;
        }
        let name = from.strip_prefix('%').and_then(|inner| inner.split_once('%'));
        match name.filter(|(name, _)| !name.is_empty() && name.bytes().all(is_name)) {
            Some((name, after)) => {
                if !literal.is_empty() {
                    found.push(Piece::Text(std::mem::take(&mut literal)));
                }
                found.push(Piece::Placeholder(name.to_owned()));
                rest = after;
            }
            None => {
                let mut characters = from.chars();
                literal.extend(characters.next());
                rest = characters.as_str();
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        found.push(Piece::Text(literal));
    }
    found
}
