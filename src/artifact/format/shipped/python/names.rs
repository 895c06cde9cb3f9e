//! What a source means by its names: imports, assignments, and names put together from texts, such as
//! `getattr(__import__("o" + "s"), "system")`.

use std::cell::Cell;
use std::collections::HashMap;

use ruff_python_ast::{Arguments, Expr, ExprCall, InterpolatedStringElement, Number, Operator, Stmt, UnaryOp};

/// Aliases of one source.
const ALIASES_MAX: usize = 5000;
/// Bytes of a text that is put together.
const TEXT_MAX: usize = 4096;
/// Steps from a name to what it stands for.
const DEPTH_MAX: u32 = 40;

/// Steps of resolving in one source: names of names of names cost no more than that.
const STEPS_MAX: u64 = 2_000_000;
/// Modules whose names a source may take all at once, and that have something to run.
const STARRED: &[&str] =
    &["os", "posix", "subprocess", "ctypes", "pickle", "marshal", "builtins", "shutil", "socket", "runpy", "importlib"];

#[derive(Default)]
pub struct Names {
    aliases: HashMap<String, String>,
    texts: HashMap<String, String>,
    /// Modules of `from … import *`.
    starred: Vec<&'static str>,
    steps: Cell<u64>,
}

impl Names {
    /// Remembers what a statement gives a name to.
    pub fn learn(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    if let Some(name) = &alias.asname {
                        self.alias(name.as_str(), alias.name.as_str().to_owned());
                    }
                }
            }
            Stmt::ImportFrom(import) if import.level == 0 => {
                let module = import.module.as_ref().map_or("", |module| module.as_str());
                for alias in &import.names {
                    if alias.name.as_str() == "*" {
                        self.starred.extend(STARRED.iter().filter(|starred| **starred == module));
                        self.starred.truncate(STARRED.len());
                    }
                    let name = alias.asname.as_ref().unwrap_or(&alias.name);
                    self.alias(name.as_str(), format!("{module}.{}", alias.name.as_str()));
                }
            }
            Stmt::Assign(assign) => {
                for target in &assign.targets {
                    match (target, &*assign.value) {
                        (Expr::Name(name), value) => self.assign(name.id.as_str(), value),
                        (Expr::Tuple(names), Expr::Tuple(values)) => {
                            for (name, value) in names.elts.iter().zip(&values.elts) {
                                if let Expr::Name(name) = name {
                                    self.assign(name.id.as_str(), value);
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
            Stmt::AnnAssign(assign) => {
                if let (Expr::Name(name), Some(value)) = (&*assign.target, &assign.value) {
                    self.assign(name.id.as_str(), value);
                }
            }
            // A function of the source's own is not the builtin that it is called like.
            Stmt::FunctionDef(function) if function.name.as_str() == "compile" => {
                self.alias("compile", "<own>.compile".to_owned());
            }
            _ => {}
        }
    }

    fn assign(&mut self, name: &str, value: &Expr) {
        if let Some(text) = self.text(value) {
            if self.texts.len() < ALIASES_MAX {
                self.texts.insert(name.to_owned(), text);
            }
        } else if matches!(value, Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) | Expr::Subscript(_))
            && let Some(full) = self.of(value)
        {
            self.alias(name, full);
        }
    }

    /// A name that means something dangerous keeps doing so: which of two meanings holds where is a
    /// matter of scopes and of what runs.
    fn alias(&mut self, name: &str, full: String) {
        let known = self.aliases.get(name).map_or(name, String::as_str);
        if super::calls::matters(known) && !super::calls::matters(&full) {
            return;
        }
        if name != full && self.aliases.len() < ALIASES_MAX && full.len() < TEXT_MAX {
            self.aliases.insert(name.to_owned(), full);
        }
    }

    /// The full dotted name of what an expression stands for.
    pub fn of(&self, expression: &Expr) -> Option<String> {
        self.resolve(expression, DEPTH_MAX)
    }

    fn resolve(&self, expression: &Expr, depth: u32) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        self.steps.set(self.steps.get().saturating_add(1));
        if self.steps.get() > STEPS_MAX {
            return None;
        }
        let full = match expression {
            Expr::Name(name) => {
                let name = name.id.as_str();
                let starred = || {
                    let full = self.starred.iter().map(|module| format!("{module}.{name}"));
                    full.into_iter().find(|full| super::calls::is_sink(full))
                };
                self.aliases.get(name).cloned().or_else(starred).unwrap_or_else(|| name.to_owned())
            }
            Expr::Attribute(attribute) => {
                let value = self.resolve(&attribute.value, depth)?;
                format!("{}.{}", value.strip_suffix(".__dict__").unwrap_or(&value), attribute.attr.as_str())
            }
            Expr::Named(named) => self.resolve(&named.value, depth)?,
            Expr::Call(call) => self.made(call, depth)?,
            Expr::Subscript(subscript) => {
                let value = self.resolve(&subscript.value, depth)?;
                let key = self.text(&subscript.slice)?;
                match value.as_str() {
                    "globals()"
                    | "locals()"
                    | "vars()"
                    | "__builtins__"
                    | "builtins.__dict__"
                    | "__builtins__.__dict__"
                    | "__dict__"
                    | "sys.modules" => key,
                    _ => format!("{}.{key}", value.strip_suffix(".__dict__")?),
                }
            }
            _ => return None,
        };
        let full = full.strip_prefix("__builtins__.").map(str::to_owned).unwrap_or(full);
        (full.len() < TEXT_MAX).then(|| full.strip_prefix("builtins.").map(str::to_owned).unwrap_or(full))
    }

    /// What a call gives back, where that is a module or a member of one.
    fn made(&self, call: &ExprCall, depth: u32) -> Option<String> {
        let first = call.arguments.args.first();
        // `operator.attrgetter("system")(os)`; nobody calls what a call of a call gives back.
        if let Expr::Call(inner) = &*call.func {
            let maker = if matches!(&*inner.func, Expr::Call(_)) { None } else { self.resolve(&inner.func, depth) };
            if let (Some("operator.attrgetter" | "operator.methodcaller"), Some(object)) = (maker.as_deref(), first) {
                let name = self.text(inner.arguments.args.first()?)?;
                return Some(format!("{}.{name}", self.resolve(object, depth)?));
            }
        }
        match self.resolve(&call.func, depth)?.as_str() {
            "__import__" => self.text(first?).map(|name| name.split('.').next().unwrap_or_default().to_owned()),
            "importlib.import_module" | "importlib.__import__" | "pkgutil.resolve_name" => {
                self.text(first?).map(|name| name.replace(':', "."))
            }
            // `sys.modules.get("os")`
            "sys.modules.get" | "importlib.reload" if first.is_some() => {
                let named = first.and_then(|first| self.text(first));
                named.or_else(|| first.and_then(|first| self.resolve(first, depth)))
            }
            name if name.ends_with(".__getattribute__") => {
                let object = name.strip_suffix(".__getattribute__")?;
                Some(format!("{object}.{}", self.text(first?)?))
            }
            "getattr" => {
                let name = self.text(call.arguments.args.get(1)?)?;
                let object = self.resolve(first?, depth)?;
                Some(format!("{}.{name}", object.strip_suffix(".__dict__").unwrap_or(&object)))
            }
            name @ ("globals" | "locals") => Some(format!("{name}()")),
            "vars" => match first {
                Some(object) => Some(format!("{}.__dict__", self.resolve(object, depth)?)),
                None => Some("vars()".to_owned()),
            },
            _ => None,
        }
    }

    /// The text that an expression of constants is.
    pub fn text(&self, expression: &Expr) -> Option<String> {
        self.constant(expression, DEPTH_MAX)
    }

    fn constant(&self, expression: &Expr, depth: u32) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let text = match expression {
            Expr::StringLiteral(text) => text.value.to_str().to_owned(),
            Expr::Name(name) => self.texts.get(name.id.as_str())?.clone(),
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                let mut text = self.constant(&sum.left, depth)?;
                text.push_str(&self.constant(&sum.right, depth)?);
                text
            }
            Expr::FString(text) => {
                let mut out = String::new();
                for part in text.value.elements() {
                    match part {
                        InterpolatedStringElement::Literal(literal) => out.push_str(&literal.value),
                        InterpolatedStringElement::Interpolation(inner) => {
                            out.push_str(&self.constant(&inner.expression, depth)?);
                        }
                    }
                }
                out
            }
            Expr::Call(call) => self.joined(call, depth)?,
            // `"metsys"[::-1]`
            Expr::Subscript(subscript) => match &*subscript.slice {
                Expr::Slice(slice)
                    if slice.lower.is_none()
                        && slice.upper.is_none()
                        && slice.step.as_deref().is_some_and(is_minus_one) =>
                {
                    self.constant(&subscript.value, depth)?.chars().rev().collect()
                }
                _ => return None,
            },
            _ => return None,
        };
        (text.len() <= TEXT_MAX).then_some(text)
    }

    /// `"".join([...])`, `chr(115)`, `"…".replace(…)`.
    fn joined(&self, call: &ExprCall, depth: u32) -> Option<String> {
        let arguments: &Arguments = &call.arguments;
        match &*call.func {
            Expr::Name(name) if name.id.as_str() == "chr" => {
                let number = int(arguments.args.first()?)?;
                char::from_u32(u32::try_from(number).ok()?).map(String::from)
            }
            Expr::Attribute(attribute) => {
                let text = self.constant(&attribute.value, depth)?;
                match (attribute.attr.as_str(), &*arguments.args) {
                    ("join", [Expr::List(list)]) => self.all(&list.elts, &text, depth),
                    ("join", [Expr::Tuple(tuple)]) => self.all(&tuple.elts, &text, depth),
                    ("replace", [from, to]) => {
                        Some(text.replace(&self.constant(from, depth)?, &self.constant(to, depth)?))
                    }
                    ("lower", []) => Some(text.to_lowercase()),
                    ("strip", []) => Some(text.trim().to_owned()),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn all(&self, items: &[Expr], between: &str, depth: u32) -> Option<String> {
        let parts = items.iter().map(|item| self.constant(item, depth)).collect::<Option<Vec<_>>>()?;
        Some(parts.join(between))
    }
}

fn is_minus_one(expression: &Expr) -> bool {
    matches!(expression, Expr::UnaryOp(unary) if unary.op == UnaryOp::USub && int(&unary.operand) == Some(1))
}

fn int(expression: &Expr) -> Option<i64> {
    match expression {
        Expr::NumberLiteral(number) => match &number.value {
            Number::Int(int) => int.as_i64(),
            _ => None,
        },
        _ => None,
    }
}
