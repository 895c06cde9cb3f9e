//! One field of a selection with its modifiers and values → an expression.

use regex::RegexBuilder;

use crate::base::yaml::{Data, Node};

use super::budget::{Budget, Refused};
use super::correlation::plan::Bound;
use super::diagnostic::{Level, Reporter, Span};
use super::expand::expand;
use super::frame::FieldTable;
use super::moment::TimePart;
use super::network::Network;
use super::number::Number;
use super::pattern::Pattern;
use super::predicate::{Expression, Matcher};
use super::relation::Relation;
use super::schema::Schema;
use super::sigma::detection::Item;
use super::sigma::modifier::{Comparison, Flag, Modifier};
use super::spelling;
use super::types;
use super::values::Values;

/// The modifiers of one item, sorted by what they do.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a modifier that is there or not")]
pub struct Asked {
    pub modifiers: Vec<Modifier>,
    pub every: bool,
    pub neq: bool,
    pub cased: bool,
    pub exists: bool,
    pub regex: bool,
    pub cidr: bool,
    pub compare: Option<Comparison>,
    pub time: Option<TimePart>,
    pub expand: bool,
    pub reference: bool,
    /// `contains`, `startswith` or `endswith`.
    pub anchor: Option<Modifier>,
}

impl Asked {
    fn of(item: &Item) -> Self {
        let mut asked =
            Self { modifiers: item.modifiers.iter().map(|(modifier, _)| *modifier).collect(), ..Self::default() };
        for modifier in &asked.modifiers {
            match modifier {
                Modifier::All => asked.every = true,
                Modifier::Neq => asked.neq = true,
                Modifier::Cased => asked.cased = true,
                Modifier::Exists => asked.exists = true,
                Modifier::Re => asked.regex = true,
                Modifier::Cidr => asked.cidr = true,
                Modifier::Compare(comparison) => asked.compare = Some(*comparison),
                Modifier::FieldRef => asked.reference = true,
                Modifier::Time(part) => asked.time = Some(*part),
                Modifier::Expand => asked.expand = true,
                Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith => asked.anchor = Some(*modifier),
                Modifier::Windash | Modifier::Encode(_) | Modifier::Flag(_) => {}
            }
        }
        asked
    }

    fn has(&self, flag: Flag) -> bool {
        self.modifiers.contains(&Modifier::Flag(flag))
    }
}

/// Compiles items; names become numbers of the table.
pub struct Compiler<'c, 's> {
    pub schema: &'c Schema,
    pub table: &'c mut FieldTable,
    pub values: &'c Values,
    pub budget: &'c mut Budget,
    pub reporter: &'c mut Reporter<'s>,
    /// Fields that the rule asks about.
    pub referenced: Vec<String>,
}

impl Compiler<'_, '_> {
    /// `None` when something is wrong, which is reported.
    pub fn item(&mut self, item: &Item) -> Option<Expression> {
        let asked = Asked::of(item);
        if asked.every && !item.listed && !asked.expand {
            self.single_all(item);
        }
        let expanded = if asked.expand { Some(expand(&item.values, self.values, self.reporter)?) } else { None };
        let values = expanded.as_deref().unwrap_or(&item.values);
        let Some(field) = &item.field else {
            return self.keywords(item, values, &asked);
        };
        let mark = self.reporter.mark();
        types::check(field, item, values, &asked, self.schema, self.reporter);
        let slot = self.slot(field);
        let expression = if values.is_empty() {
            // An empty list of values: there is nothing that it could be, even if all are asked for.
            Some(Expression::Any(Vec::new()))
        } else if asked.exists {
            self.exists(slot, item)
        } else if asked.reference {
            self.references(slot, item, &asked)
        } else {
            let matchers: Option<Vec<_>> = values.iter().map(|value| self.matchers(value, &asked)).collect();
            matchers.map(|matchers| Self::field(slot, matchers, asked.every))
        };
        let expression = expression.filter(|_| !self.reporter.errors_since(mark))?;
        Some(if asked.neq {
            // An event without the field says nothing about it, so it differs from nothing; nor does
            // anything differ from a field that is not there.
            let mut members = vec![Expression::Present { slot }];
            if asked.reference {
                let others = item.values.iter().filter_map(Node::as_text).map(Pattern::parse);
                let names: Vec<String> = others.filter_map(|other| other.as_plain().map(str::to_owned)).collect();
                members.extend(names.iter().map(|name| Expression::Present { slot: self.slot(name) }));
            }
            members.push(Expression::Not(Box::new(expression)));
            Expression::All(members)
        } else {
            expression
        })
    }

    fn slot(&mut self, field: &str) -> usize {
        if !self.referenced.iter().any(|known| known == field) {
            self.referenced.push(field.to_owned());
        }
        self.table.number(field)
    }

    /// Several matchers of one value are spellings of it: any of them will do.
    fn field(slot: usize, values: Vec<Vec<Matcher>>, every: bool) -> Expression {
        if !every {
            return Expression::Field { slot, matchers: values.into_iter().flatten().collect(), every };
        }
        let value = |matchers| Expression::Field { slot, matchers, every: false };
        Expression::All(values.into_iter().map(value).collect())
    }

    fn single_all(&mut self, item: &Item) {
        let span =
            item.modifiers.iter().find(|(modifier, _)| *modifier == Modifier::All).map_or(item.span, |(_, span)| *span);
        let message = "`all` says nothing about a single value".to_owned();
        self.reporter.report(Level::Warning, "R015", span, message, None);
    }

    fn keywords(&mut self, item: &Item, values: &[Node], asked: &Asked) -> Option<Expression> {
        let compared = asked.compare.is_some() || asked.time.is_some() || asked.cidr;
        let needs_field = asked.exists || asked.reference || asked.neq || compared;
        if needs_field {
            self.reporter.error("R015", item.span, "these modifiers need a field, not keywords");
            return None;
        }
        let values: Option<Vec<_>> = values.iter().map(|value| self.keyword(value, asked)).collect();
        let values = values?;
        if !asked.every || values.is_empty() {
            let matchers = values.into_iter().flatten().collect();
            return Some(Expression::Keywords { matchers, every: false });
        }
        let value = |matchers| Expression::Keywords { matchers, every: false };
        Some(Expression::All(values.into_iter().map(value).collect()))
    }

    /// A keyword is looked for inside values, numbers too, by their text.
    fn keyword(&mut self, value: &Node, asked: &Asked) -> Option<Vec<Matcher>> {
        match &value.data {
            Data::Null => {
                self.reporter.error("R018", Span::of(value), "a keyword is empty");
                None
            }
            Data::Text(_) if asked.regex => self.regex(value, asked),
            Data::Text(text) if text.is_empty() => {
                self.reporter.error("R018", Span::of(value), "a keyword is empty");
                None
            }
            Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
                let anchored = if asked.anchor.is_some() { None } else { Some(Modifier::Contains) };
                let modifiers: Vec<Modifier> = asked.modifiers.iter().copied().chain(anchored).collect();
                self.texts(value, &spelt(value), &modifiers, asked.cased)
            }
        }
    }

    fn exists(&mut self, slot: usize, item: &Item) -> Option<Expression> {
        let value = item.values.first().filter(|_| item.values.len() == 1);
        let wanted = value.and_then(|value| match &value.data {
            Data::Bool(flag) => Some(*flag),
            // YAML 1.1 readers take these for booleans, and rules in the wild use them.
            Data::Text(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "true" => Some(true),
                "no" | "false" => Some(false),
                _ => None,
            },
            Data::Null | Data::Int(_) | Data::Float(_) | Data::List(_) | Data::Map(_) => None,
        });
        if wanted.is_none() {
            let span = item.values.first().map_or(item.span, Span::of);
            self.reporter.error("R016", span, "`exists` takes true or false");
        }
        Some(Expression::Exists { slot, wanted: wanted? })
    }

    fn references(&mut self, slot: usize, item: &Item, asked: &Asked) -> Option<Expression> {
        let relation = match asked.anchor {
            Some(Modifier::Contains) => Relation::Contains,
            Some(Modifier::StartsWith) => Relation::StartsWith,
            Some(Modifier::EndsWith) => Relation::EndsWith,
            Some(_) | None => Relation::Equal,
        };
        let mut references = Vec::new();
        for value in &item.values {
            let other = value.as_text().map(Pattern::parse);
            let Some(other) = other.as_ref().and_then(Pattern::as_plain).filter(|name| !name.is_empty()) else {
                self.reporter.error("R016", Span::of(value), "`fieldref` takes the name of a field, without wildcards");
                return None;
            };
            types::known(other, Span::of(value), self.schema, self.reporter)?;
            if other == item.field.as_deref().unwrap_or_default() {
                self.reporter.report(
                    Level::Warning,
                    "R024",
                    Span::of(value),
                    format!("`{other}` is compared with itself"),
                    Some("name another field".to_owned()),
                );
            }
            let other = self.slot(other);
            references.push(Expression::Reference { slot, other, relation, cased: asked.cased });
        }
        Some(if asked.every { Expression::All(references) } else { Expression::Any(references) })
    }

    fn matchers(&mut self, value: &Node, asked: &Asked) -> Option<Vec<Matcher>> {
        if asked.regex {
            return self.regex(value, asked);
        }
        if asked.cidr {
            return self.network(value).map(|network| vec![Matcher::Network(network)]);
        }
        if let Some(part) = asked.time {
            return self.moment(value, part, asked.compare).map(|matcher| vec![matcher]);
        }
        if let Some(comparison) = asked.compare {
            let number = self.number(value, asked.expand)?;
            return Some(vec![Matcher::Compare(comparison, number)]);
        }
        let plain = |modifier: &Modifier| matches!(modifier, Modifier::All | Modifier::Neq | Modifier::Expand);
        let textual = !asked.modifiers.iter().all(plain);
        match &value.data {
            Data::Null if textual => {
                self.reporter.error("R016", Span::of(value), "these modifiers need a text, not nothing");
                None
            }
            Data::Null => Some(vec![Matcher::Null]),
            Data::Bool(flag) if !textual => Some(vec![Matcher::Bool(*flag)]),
            Data::Int(number) if !textual => Some(vec![Matcher::Number(Number::Int(*number))]),
            Data::Float(number) if !textual => {
                if !number.is_finite() {
                    self.reporter.error("R016", Span::of(value), "no value equals this number");
                    return None;
                }
                Some(vec![Matcher::Number(Number::Float(*number))])
            }
            Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
                self.texts(value, &spelt(value), &asked.modifiers, asked.cased)
            }
        }
    }

    fn texts(&mut self, value: &Node, text: &str, modifiers: &[Modifier], cased: bool) -> Option<Vec<Matcher>> {
        let patterns = match spelling::spell(Pattern::parse(text), modifiers) {
            Ok(patterns) => patterns,
            Err(message) => {
                self.reporter.error("R016", Span::of(value), message);
                return None;
            }
        };
        Some(patterns.iter().map(|pattern| Matcher::Text { test: pattern.compile(cased), cased }).collect())
    }

    fn regex(&mut self, value: &Node, asked: &Asked) -> Option<Vec<Matcher>> {
        let (Data::Text(_) | Data::Int(_) | Data::Float(_)) = &value.data else {
            self.reporter.error("R016", Span::of(value), format!("`re` takes a text, not {}", value.kind()));
            return None;
        };
        let written = spelt(value);
        let expression = match asked.anchor {
            Some(Modifier::StartsWith) => format!(r"\A(?:{written})"),
            Some(Modifier::EndsWith) => format!(r"(?:{written})\z"),
            Some(_) | None => written,
        };
        // Written into the expression, so that its text alone says what it matches.
        let flags = [(Flag::IgnoreCase, "(?i)"), (Flag::MultiLine, "(?m)"), (Flag::DotAll, "(?s)")];
        let flags: String = flags.into_iter().filter(|(flag, _)| asked.has(*flag)).map(|(_, text)| text).collect();
        match self.budget.build(&mut RegexBuilder::new(&format!("{flags}{expression}"))) {
            Ok(regex) => Some(vec![Matcher::Regex(regex)]),
            Err(error) => {
                let hint = match &error {
                    Refused::Rule => Some("split the rule, or write alternatives as texts"),
                    Refused::All => Some("load fewer rules, or write alternatives as texts"),
                    Refused::Regex(regex::Error::CompiledTooBig(_)) => Some("use smaller repetitions"),
                    Refused::Regex(error) if error.to_string().contains("not supported") => {
                        Some("expressions run in linear time, so look-around and back-references do not exist")
                    }
                    Refused::Regex(_) => None,
                };
                let reason = match &error {
                    Refused::Regex(error) => regex_reason(error),
                    Refused::Rule | Refused::All => error.to_string(),
                };
                let (span, hint) = (Span::of(value), hint.map(str::to_owned));
                self.reporter.report(Level::Error, "R017", span, reason, hint);
                None
            }
        }
    }

    fn network(&mut self, value: &Node) -> Option<Network> {
        let parsed = value
            .as_text()
            .ok_or_else(|| format!("`cidr` takes a text, not {}", value.kind()))
            .and_then(Network::parse);
        match parsed {
            Ok(network) => Some(network),
            Err(message) => {
                self.reporter.error_hint("R016", Span::of(value), message, "write `10.0.0.0/8` or `2001:db8::/32`");
                None
            }
        }
    }

    /// A part of a time, and the number that it is or stands to.
    fn moment(&mut self, value: &Node, part: TimePart, compare: Option<Comparison>) -> Option<Matcher> {
        let number = self.number(value, true)?;
        let (least, most) = part.range();
        let bounds = [least, most].map(|bound| Number::Int(bound.into()));
        let within = number.compare(bounds[0]).is_ge() && number.compare(bounds[1]).is_le();
        if !within && compare.is_none() {
            let message = format!("the part of a time is a whole number from {least} to {most}");
            self.reporter.error("R016", Span::of(value), message);
            return None;
        }
        Some(Matcher::Time(part, compare.map_or(Bound::Equal, Bound::Compare), number))
    }

    /// With `spelt`, a text that spells a number counts, too.
    fn number(&mut self, value: &Node, spelt: bool) -> Option<Number> {
        let number = match &value.data {
            Data::Text(text) if spelt => Number::parse(text.trim()).and_then(Number::finite),
            Data::Int(number) => Some(Number::Int(*number)),
            Data::Float(number) if number.is_finite() => Some(Number::Float(*number)),
            Data::Float(_) | Data::Text(_) | Data::Null | Data::Bool(_) | Data::List(_) | Data::Map(_) => None,
        };
        if number.is_none() {
            let found = match &value.data {
                Data::Float(_) => "one that is no finite 64-bit float",
                _ => value.kind(),
            };
            self.reporter.error("R016", Span::of(value), format!("a comparison takes a number, not {found}"));
        }
        number
    }
}

/// A scalar as the text that its author wrote.
fn spelt(value: &Node) -> String {
    match &value.data {
        Data::Text(text) => text.clone(),
        Data::Bool(flag) => flag.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Null | Data::List(_) | Data::Map(_) => String::new(),
    }
}

/// The last line of the engine's message says why; the lines before draw the place.
fn regex_reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    format!("invalid regular expression: {}", reason.trim_start_matches("error: "))
}
