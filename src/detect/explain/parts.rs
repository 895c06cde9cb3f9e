//! A rule as written → a tree of parts, each with what it saw.

use serde::Serialize;

use super::seen::{self, Found};
use super::{Asked, ExplainError};
use crate::base::yaml::{self, Data, Node};
use crate::detect::compile::{Context, compile};
use crate::detect::diagnostic::{Reporter, Span};
use crate::detect::ruleset::{Loaded, RuleSet};
use crate::detect::sigma::condition::{Condition, Word};
use crate::detect::sigma::detection::{self, Detection, Item, Search, Selection};
use crate::detect::sigma::logsource::Logsource;
use crate::detect::sigma::modifier::Modifier;
use crate::detect::{Loader, Rule, Source};
use crate::event::Sha256;

/// Parts of one explanation; a selection counts as often as the condition names it.
const PARTS_MAX: usize = 20_000;
/// Values of one list that are answered one by one.
const VALUES_MAX: usize = 64;

/// One part of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All members must hold.
    All {
        name: String,
        holds: bool,
        parts: Vec<Part>,
    },
    /// One member suffices.
    Any {
        name: String,
        holds: bool,
        parts: Vec<Part>,
    },
    Not {
        holds: bool,
        part: Box<Part>,
    },
    Leaf(Leaf),
}

/// One field of one selection, or one list of keywords.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leaf {
    /// The field with its modifiers, as `file.path|endswith`; `keywords` for none.
    pub asks: String,
    pub values: Vec<Value>,
    /// Further values, not shown.
    pub more: usize,
    pub found: Found,
    pub holds: bool,
}

/// One value that a leaf asks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Value {
    /// As JSON.
    pub value: String,
    /// Whether it alone holds; absent when the leaf has too many to answer one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
}

impl Part {
    pub const fn holds(&self) -> bool {
        match self {
            Self::All { holds, .. } | Self::Any { holds, .. } | Self::Not { holds, .. } => *holds,
            Self::Leaf(leaf) => leaf.holds,
        }
    }

    /// What it is called; `not` has no name of its own.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::All { name, .. } | Self::Any { name, .. } => Some(name),
            Self::Leaf(leaf) => Some(&leaf.asks),
            Self::Not { .. } => None,
        }
    }
}

/// The condition of a rule, then that of each filter that is in force on it.
pub fn parts(rule: &Rule, loader: &Loader, sources: &[Source], asked: Asked<'_>) -> Result<Vec<Part>, ExplainError> {
    let mut builder = Builder { rule, loader, asked, left: PARTS_MAX };
    let mut parts = Vec::new();
    for (source, node) in
        sources.iter().flat_map(|source| documents(source).into_iter().map(move |node| (source, node)))
    {
        let own = node.line == rule.line && source.path == rule.path;
        let title = node.get("title").and_then(Node::as_text).unwrap_or_default().trim();
        let filters = node.get("filter").filter(|_| rule.filters.iter().any(|name| name == title));
        let (section, skip, name) = match (node.get("detection").filter(|_| own), filters) {
            (Some(section), _) => (section, &[][..], "condition".to_owned()),
            (None, Some(section)) => (section, &["rules"][..], format!("filter `{title}`")),
            (None, None) => continue,
        };
        let mut reporter = Reporter::new(source);
        let detection = detection::section(section, skip, &mut reporter);
        let part = builder.detection(&detection, &name, source)?;
        if own { parts.insert(0, part) } else { parts.push(part) }
    }
    if parts.is_empty() { Err(ExplainError::NotWritten) } else { Ok(parts) }
}

/// Documents of a file that was loaded before, so that it can be read.
fn documents(source: &Source) -> Vec<Node> {
    yaml::parse(&source.text).unwrap_or_default()
}

struct Builder<'b> {
    rule: &'b Rule,
    loader: &'b Loader,
    asked: Asked<'b>,
    /// Parts that may still be made.
    left: usize,
}

impl Builder<'_> {
    fn detection(&mut self, detection: &Detection, name: &str, source: &Source) -> Result<Part, ExplainError> {
        let mut selections = Vec::new();
        for selection in &detection.selections {
            if let Some(search) = &selection.search {
                selections.push((selection.name.clone(), self.search(search, &selection.name, source)?));
            }
        }
        let mut conditions = Vec::new();
        for (condition, node) in &detection.conditions {
            let text = node.as_text().unwrap_or_default().trim().to_owned();
            conditions.push(named(self.condition(condition, &selections)?, format!("{name}: {text}")));
        }
        Ok(if conditions.len() == 1 {
            conditions.remove(0)
        } else {
            any(format!("{name}: any of {}", conditions.len()), conditions)
        })
    }

    fn condition(&mut self, condition: &Condition, selections: &[(String, Part)]) -> Result<Part, ExplainError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| ExplainError::Parts(format!("it has more than {PARTS_MAX} parts")))?;
        let mut sides = |sides: &[Condition]| -> Result<Vec<Part>, ExplainError> {
            sides.iter().map(|side| self.condition(side, selections)).collect()
        };
        match condition {
            Condition::And(members) => Ok(all("and".to_owned(), sides(members)?)),
            Condition::Or(members) => Ok(any("or".to_owned(), sides(members)?)),
            Condition::Not(inner) => {
                let part = self.condition(inner, selections)?;
                Ok(Part::Not { holds: !part.holds(), part: Box::new(part) })
            }
            Condition::Name(word) => self.take(selections, |name| name == word.text).map(|mut found| {
                // A rule that names what is not there does not load.
                found.pop().unwrap_or_else(|| any(word.text.clone(), Vec::new()))
            }),
            Condition::Of { every, names } => {
                let found = self.take(selections, |name| Condition::selects(&names.text, name))?;
                let name = format!("{} of {}", if *every { "all" } else { "1" }, names.text);
                Ok(if *every { all(name, found) } else { any(name, found) })
            }
        }
    }

    /// Copies of selections, as long as there is room.
    fn take(
        &mut self,
        selections: &[(String, Part)],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Part>, ExplainError> {
        let found: Vec<&Part> =
            selections.iter().filter(|(name, _)| wanted(name)).map(|(_, selection)| selection).collect();
        let size: usize = found.iter().map(|part| size(part)).sum();
        self.left = self
            .left
            .checked_sub(size)
            .ok_or_else(|| ExplainError::Parts(format!("it has more than {PARTS_MAX} parts")))?;
        Ok(found.into_iter().cloned().collect())
    }

    fn search(&mut self, search: &Search, name: &str, source: &Source) -> Result<Part, ExplainError> {
        let mut several = |members: &[Search], name: &str| -> Result<Vec<Part>, ExplainError> {
            let count = members.len();
            let called = |index: usize| if count == 1 { name.to_owned() } else { format!("{name}[{index}]") };
            members.iter().enumerate().map(|(index, member)| self.search(member, &called(index), source)).collect()
        };
        match search {
            Search::All(members) => Ok(all(name.to_owned(), several(members, name)?)),
            Search::Any(members) => Ok(any(name.to_owned(), several(members, name)?)),
            Search::Item(item) => self.leaf(item, name, source),
        }
    }

    fn leaf(&mut self, item: &Item, name: &str, source: &Source) -> Result<Part, ExplainError> {
        let modifiers = item.modifiers.iter().map(|(modifier, _)| modifier.name());
        let field = item.field.clone().unwrap_or_default();
        let key = std::iter::once(field.as_str()).chain(modifiers).collect::<Vec<_>>().join("|");
        let asks = match (&item.field, key.is_empty()) {
            (Some(_), _) => key,
            (None, true) => format!("{name} (keywords)"),
            (None, false) => format!("{name} (keywords{key})"),
        };
        let mut questions = vec![item.clone()];
        let apart = item.values.len() > 1 && item.values.len() <= VALUES_MAX;
        if apart {
            questions.extend(item.values.iter().map(|value| single(item, value)));
        }
        let answers = self.answers(&questions, source)?;
        let answer = |index: usize| if apart { answers.get(index + 1).copied() } else { answers.first().copied() };
        let shown = item.values.iter().take(VALUES_MAX).enumerate();
        let values: Vec<Value> = shown
            .map(|(index, value)| Value {
                value: crate::base::text::shorten(&value.to_json().to_string(), 120),
                holds: answer(index).filter(|_| apart || item.values.len() == 1),
            })
            .collect();
        let fields = self.asked.fields();
        let nested = matches!(self.asked, Asked::Open(_));
        let found = match &item.field {
            Some(field) => seen::found(fields, field, nested),
            None => seen::anywhere(fields),
        };
        let more = item.values.len().saturating_sub(VALUES_MAX);
        Ok(Part::Leaf(Leaf { asks, values, more, found, holds: answers.first().copied().unwrap_or(false) }))
    }

    /// Whether each of the items holds by itself, by the matcher that rules are matched with.
    fn answers(&self, items: &[Item], source: &Source) -> Result<Vec<bool>, ExplainError> {
        let mut context = Context::new(&self.loader.schema, &self.loader.values);
        let mut reporter = Reporter::new(source);
        let mut loaded = Vec::new();
        for item in items {
            let Some(compiled) = compile(&alone(item), &mut context, &mut reporter) else {
                let found = reporter.into_found();
                let message = found.first().map(|found| found.message.clone()).unwrap_or_default();
                return Err(ExplainError::Parts(message));
            };
            let mut rule = self.rule.clone();
            if let Asked::Ours(event) = self.asked {
                // Whatever the rule looks at: its parts are asked all the same.
                let category = Some(event.kind.category().to_owned());
                rule.logsource = Logsource { category, kind: Some(event.kind), product: None, service: None };
            }
            loaded.push(Loaded { rule, expression: compiled.expression });
        }
        let set = RuleSet::new(loaded, context.into_table(), Sha256::of(b""), Vec::new());
        let hits = self.asked.hits(&set);
        Ok((0..items.len()).map(|number| hits.contains(&number)).collect())
    }
}

/// One value of an item as an item of its own.
fn single(item: &Item, value: &Node) -> Item {
    let modifiers = item.modifiers.iter().filter(|(modifier, _)| *modifier != Modifier::All).copied().collect();
    Item { modifiers, values: vec![value.clone()], listed: false, ..item.clone() }
}

/// A detection that asks for one item and nothing else.
fn alone(item: &Item) -> Detection {
    let name = "part".to_owned();
    let condition = Condition::Name(Word { text: name.clone(), start: 0 });
    let node = Node { line: item.span.line, column: item.span.column, data: Data::Text(name.clone()) };
    let selection = Selection { name, span: Span::default(), search: Some(Search::Item(item.clone())) };
    Detection { selections: vec![selection], conditions: vec![(condition, node)] }
}

fn all(name: String, parts: Vec<Part>) -> Part {
    Part::All { name, holds: parts.iter().all(Part::holds), parts }
}

fn any(name: String, parts: Vec<Part>) -> Part {
    Part::Any { name, holds: parts.iter().any(Part::holds), parts }
}

fn named(part: Part, name: String) -> Part {
    all(name, vec![part])
}

fn size(part: &Part) -> usize {
    match part {
        Part::All { parts, .. } | Part::Any { parts, .. } => 1 + parts.iter().map(size).sum::<usize>(),
        Part::Not { part, .. } => 1 + size(part),
        Part::Leaf(_) => 1,
    }
}
