//! Texts that a template computes from constants: names are hidden so.

use std::cell::Cell;
use std::collections::BTreeMap;

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, SetBlock, Stmt, UnaryOpKind};
use minijinja::value::ValueKind;

use crate::artifact::format::fold::{self, Atom, TEXT_MAX};

/// Deepest expression that is followed.
const DEPTH_MAX: u32 = 64;
/// Items and characters that one template may have put together. None that is honest comes near.
const WORK_MAX: usize = 64 << 20;
/// Variables that are followed.
const NAMES_MAX: usize = 1024;

/// A value that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Text(String),
    Number(i64),
    List(Vec<Known>),
    Map(Vec<(String, Known)>),
}

impl Known {
    /// Characters and items: what holding it costs.
    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len().saturating_add(1),
            Self::Number(_) => 1,
            Self::List(items) => items.iter().map(Self::size).sum::<usize>().saturating_add(1),
            Self::Map(members) => {
                let sizes = members.iter().map(|(key, value)| key.len().saturating_add(value.size()));
                sizes.sum::<usize>().saturating_add(1)
            }
        }
    }

    fn atom(&self) -> Option<Atom> {
        match self {
            Self::Text(text) => Some(Atom::Text(text.clone())),
            Self::Number(number) => Some(Atom::Number(*number)),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    fn number(&self) -> Option<i64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// What variables were last set to.
#[derive(Default)]
pub struct Folding {
    names: BTreeMap<String, Known>,
    work: Cell<usize>,
}

impl Folding {
    /// Remembers `{% set … %}`, also of a member of a namespace.
    pub fn set(&mut self, target: &Expr<'_>, value: &Expr<'_>) {
        let name = match target {
            Expr::Var(name) => name.id.to_owned(),
            Expr::GetAttr(member) => match &member.expr {
                Expr::Var(name) => format!("{}.{}", name.id, member.name),
                _ => return,
            },
            _ => return,
        };
        if let Expr::Call(call) = value
            && matches!(&call.expr, Expr::Var(callee) if matches!(callee.id, "namespace" | "dict"))
        {
            for argument in &call.args {
                if let CallArg::Kwarg(key, value) = argument
                    && let Some(known) = self.of(value)
                {
                    self.remember(format!("{name}.{key}"), known);
                }
            }
        }
        if let Some(known) = self.of(value) {
            self.remember(name, known);
        }
    }

    /// `{% set name %}text{% endset %}`.
    pub fn set_block(&mut self, block: &SetBlock<'_>) {
        let Expr::Var(name) = &block.target else { return };
        let mut text = String::new();
        for part in &block.body {
            match part {
                Stmt::EmitRaw(raw) => text.push_str(raw.raw),
                Stmt::EmitExpr(made) => match self.text(&made.expr) {
                    Some(made) => text.push_str(&made),
                    None => return,
                },
                _ => return,
            }
            if text.len() > TEXT_MAX {
                return;
            }
        }
        if block.filter.is_none() {
            self.remember(name.id.to_owned(), Known::Text(text));
        }
    }

    fn remember(&mut self, name: String, known: Known) {
        if self.names.len() < NAMES_MAX || self.names.contains_key(&name) {
            self.names.insert(name, known);
        }
    }

    /// True when a template computed more than is followed.
    pub fn is_exhausted(&self) -> bool {
        self.work.get() > WORK_MAX
    }

    /// The text that an expression is.
    pub fn text(&self, expression: &Expr<'_>) -> Option<String> {
        match self.of(expression)? {
            Known::Text(text) => Some(text),
            Known::Number(_) | Known::List(_) | Known::Map(_) => None,
        }
    }

    fn of(&self, expression: &Expr<'_>) -> Option<Known> {
        self.fold(expression, DEPTH_MAX)
    }

    fn fold(&self, expression: &Expr<'_>, depth: u32) -> Option<Known> {
        let depth = depth.checked_sub(1)?;
        if self.is_exhausted() {
            return None;
        }
        let of = |expression: &Expr<'_>| self.fold(expression, depth);
        let known = match expression {
            Expr::Const(node) => constant(&node.value, 3)?,
            Expr::Var(node) => self.names.get(node.id)?.clone(),
            Expr::List(node) => Known::List(node.items.iter().map(of).collect::<Option<_>>()?),
            Expr::Tuple(node) => Known::List(node.items.iter().map(of).collect::<Option<_>>()?),
            Expr::Map(node) => {
                let members = node.keys.iter().zip(&node.values);
                let member = |(key, value)| Some((spelt(&of(key)?)?, of(value)?));
                Known::Map(members.map(member).collect::<Option<_>>()?)
            }
            Expr::UnaryOp(node) if matches!(node.op, UnaryOpKind::Neg) => {
                Known::Number(of(&node.expr)?.number()?.checked_neg()?)
            }
            Expr::BinOp(node) => {
                let left = of(&node.left)?;
                combined(node.op, left, of(&node.right)?)?
            }
            Expr::GetAttr(node) => match &node.expr {
                Expr::Var(name) if self.names.contains_key(&format!("{}.{}", name.id, node.name)) => {
                    self.names.get(&format!("{}.{}", name.id, node.name))?.clone()
                }
                of_what => member(&of(of_what)?, node.name)?,
            },
            Expr::GetItem(node) => item(&of(&node.expr)?, &of(&node.subscript_expr)?)?,
            Expr::Slice(node) => {
                let bound = |bound: &Option<Expr<'_>>| match bound {
                    Some(Expr::Const(none)) if none.value.is_none() => Some(None),
                    Some(bound) => of(bound)?.number().map(Some),
                    None => Some(None),
                };
                let (start, stop, step) = (bound(&node.start)?, bound(&node.stop)?, bound(&node.step)?);
                match of(&node.expr)? {
                    Known::Text(text) => {
                        let chars: Vec<char> = text.chars().collect();
                        Known::Text(fold::slice(&chars, start, stop, step)?.into_iter().collect())
                    }
                    Known::List(items) => Known::List(fold::slice(&items, start, stop, step)?),
                    Known::Number(_) | Known::Map(_) => return None,
                }
            }
            Expr::Filter(node) => {
                let arguments = positional(&node.args).map(of).collect::<Option<Vec<_>>>()?;
                applied(of(node.expr.as_ref()?)?, node.name, &arguments)?
            }
            Expr::Call(node) => {
                let Expr::GetAttr(callee) = &node.expr else { return None };
                let arguments = positional(&node.args).map(of).collect::<Option<Vec<_>>>()?;
                called(&of(&callee.expr)?, callee.name, &arguments)?
            }
            _ => return None,
        };
        let size = known.size();
        self.work.set(self.work.get().saturating_add(size));
        (size <= TEXT_MAX).then_some(known)
    }
}

fn positional<'e, 's>(arguments: &'e [CallArg<'s>]) -> impl Iterator<Item = &'e Expr<'s>> {
    arguments.iter().filter_map(|argument| match argument {
        CallArg::Pos(value) | CallArg::Kwarg(_, value) => Some(value),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => None,
    })
}

fn constant(value: &minijinja::Value, depth: u32) -> Option<Known> {
    let depth = depth.checked_sub(1)?;
    if let Some(text) = value.as_str() {
        return (text.len() <= TEXT_MAX).then(|| Known::Text(text.to_owned()));
    }
    match value.kind() {
        ValueKind::Number => i64::try_from(value.clone()).ok().map(Known::Number),
        ValueKind::Seq => {
            let items = value.try_iter().ok()?.take(TEXT_MAX).map(|item| constant(&item, depth));
            items.collect::<Option<_>>().map(Known::List)
        }
        _ => None,
    }
}

fn spelt(known: &Known) -> Option<String> {
    known.atom().map(|atom| atom.spelt())
}

fn combined(op: BinOpKind, left: Known, right: Known) -> Option<Known> {
    Some(match (op, left, right) {
        (BinOpKind::Concat, left, right) => Known::Text(spelt(&left)? + &spelt(&right)?),
        (BinOpKind::Add, Known::Text(left), Known::Text(right)) => Known::Text(left + &right),
        (BinOpKind::Add, Known::List(mut left), Known::List(right)) => {
            left.extend(right);
            Known::List(left)
        }
        (BinOpKind::Add, Known::Number(left), Known::Number(right)) => Known::Number(left.checked_add(right)?),
        (BinOpKind::Sub, Known::Number(left), Known::Number(right)) => Known::Number(left.checked_sub(right)?),
        (BinOpKind::Mul, Known::Number(left), Known::Number(right)) => Known::Number(left.checked_mul(right)?),
        (BinOpKind::Mul, Known::Text(text), Known::Number(count))
        | (BinOpKind::Mul, Known::Number(count), Known::Text(text)) => Known::Text(fold::repeated(&text, count)?),
        (BinOpKind::Rem, Known::Text(format), Known::List(parts)) => {
            Known::Text(fold::percent(&format, &parts.iter().map(Known::atom).collect::<Option<Vec<_>>>()?)?)
        }
        (BinOpKind::Rem, Known::Text(format), part) => Known::Text(fold::percent(&format, &[part.atom()?])?),
        _ => return None,
    })
}

fn member(of: &Known, name: &str) -> Option<Known> {
    let Known::Map(members) = of else { return None };
    members.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.clone())
}

fn item(of: &Known, at: &Known) -> Option<Known> {
    match (of, at) {
        (Known::Text(text), Known::Number(at)) => {
            let chars: Vec<char> = text.chars().collect();
            fold::item(&chars, *at).map(|c| Known::Text(c.to_string()))
        }
        (Known::List(items), Known::Number(at)) => fold::item(items, *at).cloned(),
        (Known::Map(_), key) => member(of, &spelt(key)?),
        _ => None,
    }
}

/// A filter of Jinja.
fn applied(value: Known, name: &str, arguments: &[Known]) -> Option<Known> {
    match (value, name) {
        (value, "safe" | "list" | "string") if !matches!((name, &value), ("list", Known::Text(_))) => Some(value),
        (Known::Text(text), "list") => Some(Known::List(text.chars().map(|c| Known::Text(c.to_string())).collect())),
        (Known::Text(text), "reverse") => Some(Known::Text(text.chars().rev().collect())),
        (Known::List(items), "reverse") => Some(Known::List(items.into_iter().rev().collect())),
        (Known::List(items), "first") => items.into_iter().next(),
        (Known::List(items), "last") => items.into_iter().next_back(),
        (Known::Text(text), "first") => text.chars().next().map(|c| Known::Text(c.to_string())),
        (Known::Text(text), "last") => text.chars().next_back().map(|c| Known::Text(c.to_string())),
        (Known::List(items), "join") => joined(&items, arguments.first()),
        (Known::Text(text), "join") => {
            let chars: Vec<Known> = text.chars().map(|c| Known::Text(c.to_string())).collect();
            joined(&chars, arguments.first())
        }
        (Known::List(items), "sum") => joined(&items, None),
        (Known::Text(text), "format") => {
            let parts = arguments.iter().map(Known::atom).collect::<Option<Vec<_>>>()?;
            fold::percent(&text, &parts).map(Known::Text)
        }
        (Known::Text(text), _) => called(&Known::Text(text), name, arguments),
        _ => None,
    }
}

fn joined(items: &[Known], between: Option<&Known>) -> Option<Known> {
    let parts = items.iter().map(spelt).collect::<Option<Vec<_>>>()?;
    let between = between.map_or(Some(String::new()), spelt)?;
    let size = parts.iter().map(|part| part.len().saturating_add(between.len())).sum::<usize>();
    (size <= TEXT_MAX * 2).then(|| Known::Text(parts.join(&between)))
}

/// A method of Python's texts and dictionaries.
fn called(value: &Known, name: &str, arguments: &[Known]) -> Option<Known> {
    match (value, name) {
        (Known::Map(_), "get") => member(value, &spelt(arguments.first()?)?),
        (Known::Text(text), "join") => match arguments.first()? {
            Known::List(items) => joined(items, Some(value)),
            Known::Text(parts) => {
                let chars: Vec<Known> = parts.chars().map(|c| Known::Text(c.to_string())).collect();
                joined(&chars, Some(&Known::Text(text.clone())))
            }
            Known::Number(_) | Known::Map(_) => None,
        },
        (Known::Text(text), "split" | "rsplit") => {
            let by = arguments.first().map_or(Some(None), |by| spelt(by).map(Some))?;
            fold::split(text, by.as_deref()).map(|parts| Known::List(parts.into_iter().map(Known::Text).collect()))
        }
        (Known::Text(text), "format") => {
            let parts = arguments.iter().map(Known::atom).collect::<Option<Vec<_>>>()?;
            fold::braces(text, &parts).map(Known::Text)
        }
        (Known::Text(text), _) => {
            let arguments = arguments.iter().map(spelt).collect::<Option<Vec<_>>>()?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            fold::method(text, name, &arguments).map(Known::Text)
        }
        _ => None,
    }
}
