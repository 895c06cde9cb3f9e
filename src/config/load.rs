//! From YAML to [`Config`], with every problem reported at its place.

use std::fmt;

use serde_json::Value;

use super::raw::Config;
use crate::base::text::nearest;
use crate::base::yaml::{self, Data, Node};

/// One mistake in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as named by the user.
    pub file: String,
    /// Line, from 1; 0 when the problem has no place in the file.
    pub line: usize,
    /// Dotted path of the setting, for example `sinks.webhook[0].url`.
    pub setting: String,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.setting.is_empty() {
            write!(f, ": `{}`", self.setting)?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

/// Mistakes looked for in one file.
const PROBLEMS_MAX: usize = 50;

/// Where each setting stands in its file.
#[derive(Debug, Clone, Default)]
pub struct Places {
    file: String,
    root: Option<Node>,
}

impl Places {
    pub fn file(&self) -> &str {
        &self.file
    }

    /// A problem with the setting at a dotted path.
    pub fn problem(&self, setting: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line(setting),
            setting: setting.to_owned(),
            message: message.into(),
            hint,
        }
    }

    /// The line of a setting, or of the nearest thing around it that is written.
    fn line(&self, setting: &str) -> usize {
        let Some(mut node) = self.root.as_ref() else { return 0 };
        let mut line = 0;
        for step in steps(setting) {
            let next = match (&node.data, &step) {
                (Data::Map(members), Step::Key(key)) => {
                    members.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(name, value)| (name.line, value))
                }
                (Data::List(items), Step::Index(index)) => items.get(*index).map(|item| (item.line, item)),
                _ => None,
            };
            let Some((at, inner)) = next else { break };
            (line, node) = (at, inner);
        }
        line
    }
}

/// Reads a configuration. All problems are returned, not only the first.
pub fn load(file: &str, text: &str) -> Result<(Config, Places), Vec<Problem>> {
    let mut places = Places { file: file.to_owned(), root: None };
    let documents = yaml::parse(text).map_err(|error| {
        vec![Problem {
            file: file.to_owned(),
            line: error.line,
            setting: String::new(),
            message: format!("no valid YAML: {}", error.message),
            hint: None,
        }]
    })?;
    let mut value = match documents.as_slice() {
        [] => Value::Object(serde_json::Map::new()),
        [node] if node.data == Data::Null => Value::Object(serde_json::Map::new()),
        [node] if node.as_map().is_none() => {
            let message = format!("a configuration is a mapping, this is {}", node.kind());
            return Err(vec![Problem {
                file: file.to_owned(),
                line: node.line,
                setting: String::new(),
                message,
                hint: Some("begin with a setting, for example `sources:`".to_owned()),
            }]);
        }
        [node] => {
            places.root = Some(node.clone());
            node.to_json()
        }
        [_, second, ..] => {
            let message = "a configuration is one document".to_owned();
            return Err(vec![Problem {
                file: file.to_owned(),
                line: second.line,
                setting: String::new(),
                message,
                hint: None,
            }]);
        }
    };
    let mut problems: Vec<Problem> = Vec::new();
    // serde stops at the first mistake: note it, take it out, and read again.
    while problems.len() < PROBLEMS_MAX {
        match serde_path_to_error::deserialize::<_, Config>(value.clone()) {
            Ok(config) if problems.is_empty() => return Ok((config, places)),
            Ok(_) => break,
            Err(error) => {
                let setting = error.path().to_string();
                let message = error.into_inner().to_string();
                problems.push(explain(&places, &setting, &message));
                if !take_out(&mut value, &setting, &message) {
                    break;
                }
            }
        }
    }
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

/// serde's message in a user's words, with the nearest setting that exists.
fn explain(places: &Places, setting: &str, message: &str) -> Problem {
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let words = quoted(message);
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let (unknown, known) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let what =
            if message.starts_with("unknown field") { "there is no such setting" } else { "there is no such choice" };
        let hint = nearest(unknown, known.iter().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| (!known.is_empty()).then(|| format!("write one of: {}", known.join(", "))));
        return places.problem(setting, format!("{what}: `{unknown}`"), hint);
    }
    if message.starts_with("missing field") {
        let field = words.first().map_or("", String::as_str);
        return places.problem(setting, format!("`{field}` is missing"), Some(format!("add `{field}:` here")));
    }
    places.problem(setting, plainly(message), None)
}

/// serde's names of types in a user's words.
fn plainly(message: &str) -> String {
    let (found, wanted) = message.split_once("expected ").unwrap_or((message, ""));
    let plain = match wanted {
        "a sequence" => "a list",
        "a string" => "a text",
        "a boolean" => "true or false",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        _ if wanted.starts_with("struct ") => "a mapping",
        _ => return message.to_owned(),
    };
    format!("{found}expected {plain}")
}

/// Takes the mistake out, so that the next one shows; false when that is not possible.
fn take_out(value: &mut Value, setting: &str, message: &str) -> bool {
    // What misses a field can only be taken out whole.
    let mut path: Vec<Step> = steps(setting).collect();
    if message.starts_with("unknown field") {
        let unknown = message.split('`').nth(1).unwrap_or_default().to_owned();
        if !matches!(path.last(), Some(Step::Key(last)) if *last == unknown) {
            path.push(Step::Key(unknown));
        }
    }
    let Some(last) = path.pop() else { return false };
    let mut inner = value;
    for step in path {
        let next = match (inner, step) {
            (Value::Object(members), Step::Key(key)) => members.get_mut(&key),
            (Value::Array(items), Step::Index(index)) => items.get_mut(index),
            _ => None,
        };
        let Some(next) = next else { return false };
        inner = next;
    }
    match (inner, last) {
        (Value::Object(members), Step::Key(key)) => members.remove(&key).is_some(),
        (Value::Array(items), Step::Index(index)) if index < items.len() => {
            items.remove(index);
            true
        }
        _ => false,
    }
}

enum Step {
    Key(String),
    Index(usize),
}

/// `a.b[0].c` step by step.
fn steps(setting: &str) -> impl Iterator<Item = Step> + '_ {
    setting.split('.').filter(|part| !part.is_empty()).flat_map(|part| {
        let (key, indices) = part.split_once('[').map_or((part, ""), |(key, rest)| (key, rest));
        let key = (!key.is_empty()).then(|| Step::Key(key.to_owned()));
        let indices = indices.split('[').filter_map(|index| index.trim_end_matches(']').parse().ok().map(Step::Index));
        key.into_iter().chain(indices).collect::<Vec<_>>()
    })
}
