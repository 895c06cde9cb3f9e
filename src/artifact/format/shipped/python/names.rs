//! What a source means by its names: imports, assignments, and names put together from texts, such as
//! `getattr(__import__("o" + "s"), "system")`.

use std::cell::Cell;
use std::collections::HashMap;

use crate::artifact::format::fold::TEXT_MAX;

use ruff_python_ast::{Expr, ExprCall, Stmt};

/// Aliases of one source.
const ALIASES_MAX: usize = 5000;
/// Steps from a name to what it stands for.
pub const DEPTH_MAX: u32 = 40;

/// Steps of resolving in one source: names of names of names cost no more than that.
const STEPS_MAX: u64 = 2_000_000;
/// Members of one table that are looked at.
const ITEMS_MAX: usize = 256;
/// Modules whose names a source may take all at once, and that have something to run.
const STARRED: &[&str] =
    &["os", "posix", "subprocess", "ctypes", "pickle", "marshal", "builtins", "shutil", "socket", "runpy", "importlib"];

#[derive(Default)]
pub struct Names {
    aliases: HashMap<String, String>,
    pub(super) texts: HashMap<String, String>,
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
                        // `self.run = os.system`, `table["run"] = os.system`
                        (Expr::Attribute(_) | Expr::Subscript(_), value) => {
                            if let Some(place) = self.place(target) {
                                self.assign(&place, value);
                            }
                        }
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
            Stmt::ClassDef(class) => {
                for statement in &class.body {
                    if let Stmt::Assign(assign) = statement
                        && let [Expr::Name(name)] = assign.targets.as_slice()
                    {
                        self.assign(&format!("{}.{}", class.name.as_str(), name.id.as_str()), &assign.value);
                    }
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
        } else if let Expr::Dict(dict) = value {
            for item in dict.items.iter().take(ITEMS_MAX) {
                if let Some(key) = item.key.as_ref().and_then(|key| self.key(key)) {
                    self.member(name, &key, &item.value);
                }
            }
        } else if let Expr::List(list) = value {
            let items = list.elts.iter().take(ITEMS_MAX).enumerate();
            items.for_each(|(at, item)| self.member(name, &at.to_string(), item));
        } else if let Expr::Tuple(tuple) = value {
            let items = tuple.elts.iter().take(ITEMS_MAX).enumerate();
            items.for_each(|(at, item)| self.member(name, &at.to_string(), item));
        }
    }

    /// A member of a table, where it is something that runs or what could be its name.
    fn member(&mut self, name: &str, key: &str, value: &Expr) {
        let place = format!("{name}[{key}]");
        if let Some(text) = self.text(value) {
            if self.texts.len() < ALIASES_MAX && place.len() < TEXT_MAX {
                self.texts.insert(place, text);
            }
        } else if matches!(value, Expr::Name(_) | Expr::Attribute(_))
            && let Some(full) = self.of(value).filter(|full| super::calls::matters(full))
        {
            self.alias(&place, full);
        }
    }

    /// The key of a table, as it is written in a place.
    fn key(&self, key: &Expr) -> Option<String> {
        self.text(key).or_else(|| self.number(key, None, DEPTH_MAX).map(|number| number.to_string()))
    }

    /// An attribute or a member of a table, as something with a name.
    pub(super) fn place(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Attribute(attribute) => Some(format!("{}.{}", self.of(&attribute.value)?, attribute.attr.as_str())),
            Expr::Subscript(item) => Some(format!("{}[{}]", self.of(&item.value)?, self.key(&item.slice)?)),
            _ => None,
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

    /// One more step; false when there were too many.
    pub(super) fn step(&self) -> bool {
        self.steps.set(self.steps.get().saturating_add(1));
        self.steps.get() <= STEPS_MAX
    }

    /// True when names were not followed any more.
    pub fn is_exhausted(&self) -> bool {
        self.steps.get() > STEPS_MAX
    }

    /// The full dotted name of what an expression stands for.
    pub fn of(&self, expression: &Expr) -> Option<String> {
        self.resolve(expression, DEPTH_MAX)
    }

    fn resolve(&self, expression: &Expr, depth: u32) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        if !self.step() {
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
                let full = format!("{}.{}", value.strip_suffix(".__dict__").unwrap_or(&value), attribute.attr.as_str());
                self.aliases.get(&full).cloned().unwrap_or(full)
            }
            Expr::Named(named) => self.resolve(&named.value, depth)?,
            Expr::Call(call) => self.made(call, depth)?,
            Expr::Subscript(subscript) => {
                let key = self.key(&subscript.slice)?;
                if let Some(item) = chosen(&subscript.value, &key, self) {
                    return self.resolve(item, depth);
                }
                let value = self.resolve(&subscript.value, depth)?;
                if let Some(full) = self.aliases.get(&format!("{value}[{key}]")) {
                    return Some(full.clone());
                }
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
}

/// A member of a table that is written out where it is used: `{"run": os.system}["run"]`.
fn chosen<'e>(table: &'e Expr, key: &str, names: &Names) -> Option<&'e Expr> {
    match table {
        Expr::Dict(dict) => {
            let mut items = dict.items.iter().take(ITEMS_MAX);
            let found = items.find(|item| item.key.as_ref().and_then(|own| names.key(own)).as_deref() == Some(key));
            found.map(|item| &item.value)
        }
        Expr::List(list) => crate::artifact::format::fold::item(&list.elts, key.parse().ok()?),
        Expr::Tuple(tuple) => crate::artifact::format::fold::item(&tuple.elts, key.parse().ok()?),
        _ => None,
    }
}
