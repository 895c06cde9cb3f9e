//! Chat templates, judged by their syntax tree: what could leave the sandbox in which model
//! loaders render them.

use std::borrow::Cow;
use std::collections::BTreeSet;

mod folding;
mod nesting;
mod orders;

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;

use crate::artifact::inspection::Inspection;
use crate::event::Sha256;

pub use orders::prompt;

/// Largest constant bound of a loop.
const RANGE_MAX: f64 = 1_000_000.0;
/// Longest template that is parsed.
const TEXT_MAX: usize = 1 << 20;

/// Functions that have no items: asking one for an item is asking for an attribute.
const OPAQUE: &[&str] = &["lipsum", "cycler", "joiner", "namespace", "raise_exception", "strftime_now"];
/// Functions that the common loaders give to a template, and Jinja's own.
const FUNCTIONS: &[&str] = &[
    "raise_exception",
    "strftime_now",
    "range",
    "namespace",
    "dict",
    "loop",
    "cycler",
    "joiner",
    "lipsum",
    "super",
    "caller",
    "debug",
    "tojson",
];
/// Methods of texts, lists and dictionaries that read.
const METHODS: &[&str] = &[
    "items",
    "keys",
    "values",
    "get",
    "split",
    "rsplit",
    "strip",
    "lstrip",
    "rstrip",
    "startswith",
    "endswith",
    "replace",
    "upper",
    "lower",
    "title",
    "capitalize",
    "join",
    "append",
    "pop",
    "insert",
    "extend",
    "update",
    "index",
    "count",
    "find",
    "rfind",
    "splitlines",
    "isdigit",
    "isalpha",
    "isnumeric",
    "isspace",
    "setdefault",
    "copy",
    "removeprefix",
    "removesuffix",
    "partition",
    "rpartition",
    "zfill",
    "cycle",
    "strftime",
    "isupper",
    "islower",
    "isalnum",
    "isdecimal",
    "center",
    "ljust",
    "rjust",
    "swapcase",
    "remove",
    "sort",
    "reverse",
    "clear",
    "add",
    "union",
    "casefold",
];
/// Attributes that lead from an object to the interpreter, with or without underscores.
const WAYS_OUT: &[&str] = &[
    "mro",
    "func_globals",
    "gi_frame",
    "gi_code",
    "cr_frame",
    "ag_frame",
    "f_globals",
    "f_builtins",
    "f_back",
    "tb_frame",
    "func_code",
    "f_locals",
    "f_code",
];
/// Texts that belong to no conversation, for templates that cannot be parsed.
const TELLING: &[&str] = &[
    "__class__",
    "__globals__",
    "__subclasses__",
    "__import__",
    "__builtins__",
    "__mro__",
    "__base__",
    "__init__",
    "__getattribute__",
    "|attr",
    "| attr",
    "os.system",
    "popen",
];

/// Notes the digest of a template and what in it could run code.
pub fn inspect(inspection: &mut Inspection<'_>, text: &str) {
    look(inspection, text, true);
}

/// A template of something else, pages or queries: those include others and call what they are given.
pub fn inspect_other(inspection: &mut Inspection<'_>, text: &str) {
    look(inspection, text, false);
}

fn look(inspection: &mut Inspection<'_>, text: &str, chat: bool) {
    super::hidden::inspect(inspection, text, true);
    inspection.set("artifact.chat_template.digest", Sha256::of(text.as_bytes()).to_string());
    if text.len() > TEXT_MAX {
        inspection.issue("budget_exceeded", "the chat template is too long to be parsed");
        fallback(inspection, text);
        return;
    }
    let plain = without_generation(text);
    if !nesting::is_bounded(&plain) {
        if chat {
            inspection.list("artifact.chat_template.unsafe", "loop:nesting");
        }
        inspection.issue("budget_exceeded", "the template nests deeper than it can be parsed");
        fallback(inspection, text);
        return;
    }
    match parse(&plain, "chat_template", SyntaxConfig::default()) {
        Ok(tree) => {
            let mut walk = Walk {
                inspection,
                chat,
                macros: Vec::new(),
                folding: folding::Folding::default(),
                orders: BTreeSet::new(),
            };
            walk.declare(&tree);
            walk.statement(&tree);
            if walk.folding.is_exhausted() {
                walk.note("call:computed");
            }
            walk.tell_orders();
        }
        // Engines of pages have tags of their own.
        Err(_) if !chat => fallback(inspection, text),
        Err(error) => {
            inspection.set("artifact.chat_template.unparsed", true);
            inspection.issue("malformed", &format!("the chat template is no valid Jinja: {error}"));
            fallback(inspection, text);
        }
    }
}

/// `{% generation %}` marks what an assistant wrote; it is the loaders' own extension.
fn without_generation(text: &str) -> Cow<'_, str> {
    if !text.contains("generation") {
        return Cow::Borrowed(text);
    }
    let mut out = text.to_owned();
    for word in ["generation", "endgeneration"] {
        for (open, close) in
            [("{% ", " %}"), ("{%- ", " -%}"), ("{%- ", " %}"), ("{% ", " -%}"), ("{%", "%}"), ("{%-", "-%}")]
        {
            out = out.replace(&format!("{open}{word}{close}"), "");
        }
    }
    Cow::Owned(out)
}

fn fallback(inspection: &mut Inspection<'_>, text: &str) {
    for needle in TELLING {
        if memchr::memmem::find(text.as_bytes(), needle.as_bytes()).is_some() {
            inspection.list("artifact.chat_template.unsafe", format!("text:{needle}"));
        }
    }
}

struct Walk<'i, 'b> {
    inspection: &'i mut Inspection<'b>,
    chat: bool,
    /// Macros that the template defines: calling them is fine.
    macros: Vec<String>,
    folding: folding::Folding,
    /// Marks of orders to the model that its user is not to know of.
    orders: BTreeSet<&'static str>,
}

impl Walk<'_, '_> {
    fn note(&mut self, what: impl AsRef<str>) {
        let ordinary = ["include", "import", "extends", "call:", "loop:"];
        if !self.chat && ordinary.iter().any(|word| what.as_ref().starts_with(word)) {
            return;
        }
        self.inspection.list("artifact.chat_template.unsafe", what);
    }

    /// Macros may be called before they are seen.
    fn declare(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Macro(node) => self.macros.push(node.name.to_owned()),
            Stmt::Template(node) => node.children.iter().for_each(|child| self.declare(child)),
            Stmt::ForLoop(node) => node.body.iter().chain(&node.else_body).for_each(|child| self.declare(child)),
            Stmt::IfCond(node) => node.true_body.iter().chain(&node.false_body).for_each(|child| self.declare(child)),
            Stmt::WithBlock(node) => node.body.iter().for_each(|child| self.declare(child)),
            Stmt::Block(node) => node.body.iter().for_each(|child| self.declare(child)),
            _ => {}
        }
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(node) => self.statements(&node.children),
            Stmt::EmitExpr(node) => self.expression(&node.expr),
            Stmt::EmitRaw(node) => orders::collect(node.raw, &mut self.orders),
            Stmt::Continue(_) | Stmt::Break(_) => {}
            Stmt::ForLoop(node) => {
                self.expression(&node.iter);
                node.filter_expr.iter().for_each(|filter| self.expression(filter));
                self.statements(&node.body);
                self.statements(&node.else_body);
            }
            Stmt::IfCond(node) => {
                self.expression(&node.expr);
                self.statements(&node.true_body);
                self.statements(&node.false_body);
            }
            Stmt::WithBlock(node) => {
                for (target, value) in &node.assignments {
                    self.folding.set(target, value);
                    self.expression(value);
                }
                self.statements(&node.body);
            }
            Stmt::Set(node) => {
                self.folding.set(&node.target, &node.expr);
                self.expression(&node.expr);
            }
            Stmt::SetBlock(node) => {
                self.folding.set_block(node);
                node.filter.iter().for_each(|filter| self.expression(filter));
                self.statements(&node.body);
            }
            Stmt::AutoEscape(node) => self.statements(&node.body),
            Stmt::FilterBlock(node) => {
                self.expression(&node.filter);
                self.statements(&node.body);
            }
            Stmt::Block(node) => self.statements(&node.body),
            Stmt::Import(_) | Stmt::FromImport(_) => self.note("import"),
            Stmt::Extends(_) => self.note("extends"),
            Stmt::Include(_) => self.note("include"),
            Stmt::Macro(node) => {
                if node.body.iter().any(|statement| calls(statement, node.name)) {
                    self.note("loop:recursion");
                }
                node.defaults.iter().for_each(|value| self.expression(value));
                self.statements(&node.body);
            }
            Stmt::CallBlock(node) => {
                self.call(&node.call.expr, &node.call.args);
                self.statements(&node.macro_decl.body);
            }
            Stmt::Do(node) => self.call(&node.call.expr, &node.call.args),
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        let made = matches!(
            expression,
            Expr::BinOp(_) | Expr::Filter(_) | Expr::Call(_) | Expr::Slice(_) | Expr::GetItem(_) | Expr::GetAttr(_)
        );
        if made && let Some(text) = self.folding.text(expression) {
            self.text(&text);
        }
        match expression {
            Expr::Var(node) => self.name(node.id),
            Expr::Const(node) => {
                if let Some(text) = node.value.as_str() {
                    self.text(text);
                }
            }
            Expr::Slice(node) => {
                self.expression(&node.expr);
                [&node.start, &node.stop, &node.step].into_iter().flatten().for_each(|bound| self.expression(bound));
            }
            Expr::UnaryOp(node) => self.expression(&node.expr),
            Expr::BinOp(node) => {
                let text = |side: &Expr<'_>| matches!(side, Expr::Const(node) if node.value.as_str().is_some());
                let long = |side: &Expr<'_>| size(side, 0).is_some_and(|size| size > RANGE_MAX);
                let repeats = text(&node.left) && long(&node.right) || text(&node.right) && long(&node.left);
                if matches!(node.op, BinOpKind::Mul) && repeats {
                    self.note("loop:repeat");
                }
                self.expression(&node.left);
                self.expression(&node.right);
            }
            Expr::Compare(node) => {
                self.expression(&node.expr);
                node.ops.iter().for_each(|op| self.expression(&op.expr));
            }
            Expr::IfExpr(node) => {
                self.expression(&node.test_expr);
                self.expression(&node.true_expr);
                node.false_expr.iter().for_each(|value| self.expression(value));
            }
            Expr::Filter(node) => {
                if node.name == "attr" || node.name == "format" && node.expr.as_ref().is_some_and(|text| braces(text)) {
                    self.note(if node.name == "attr" { "attr" } else { "format" });
                }
                node.expr.iter().for_each(|value| self.expression(value));
                self.arguments(&node.args);
            }
            Expr::Test(node) => {
                self.expression(&node.expr);
                self.arguments(&node.args);
            }
            Expr::GetAttr(node) => {
                if node.name.starts_with('_') {
                    self.note(format!("dunder:{}", node.name));
                } else {
                    self.name(node.name);
                }
                self.expression(&node.expr);
            }
            Expr::GetItem(node) => {
                if let Expr::Var(of) = &node.expr
                    && OPAQUE.contains(&of.id)
                {
                    self.note(format!("subscript:{}", of.id));
                }
                self.subscript(&node.subscript_expr);
                self.expression(&node.expr);
            }
            Expr::Call(node) => self.call(&node.expr, &node.args),
            Expr::List(node) => node.items.iter().for_each(|item| self.expression(item)),
            Expr::Tuple(node) => node.items.iter().for_each(|item| self.expression(item)),
            Expr::Map(node) => node.keys.iter().chain(&node.values).for_each(|item| self.expression(item)),
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(value)
                | CallArg::Kwarg(_, value)
                | CallArg::PosSplat(value)
                | CallArg::KwargSplat(value) => self.expression(value),
            }
        }
    }

    fn call(&mut self, callee: &Expr<'_>, arguments: &[CallArg<'_>]) {
        match callee {
            Expr::Var(node) => {
                if node.id == "range" && arguments.iter().any(is_endless) {
                    self.note("loop:range");
                }
                if !FUNCTIONS.contains(&node.id) && !self.macros.iter().any(|name| name == node.id) {
                    self.note(format!("call:{}", node.id));
                }
            }
            Expr::GetAttr(node) => {
                if matches!(node.name, "format" | "format_map") {
                    self.note("format");
                } else if !METHODS.contains(&node.name) {
                    self.note(format!("call:{}", node.name));
                }
            }
            _ => self.note("call:computed"),
        }
        self.expression(callee);
        self.arguments(arguments);
    }

    fn name(&mut self, name: &str) {
        if is_dunder(name) || WAYS_OUT.contains(&name) {
            self.note(format!("dunder:{name}"));
        }
    }

    /// A subscript may be an attribute by another name; one put together from parts hides it.
    fn subscript(&mut self, subscript: &Expr<'_>) {
        if let Some(text) = self.folding.text(subscript) {
            self.name(&text);
        }
        self.expression(subscript);
    }

    /// Texts may name an attribute for a filter or a subscript later.
    fn text(&mut self, text: &str) {
        orders::collect(text, &mut self.orders);
        let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for part in parts.filter(|part| is_dunder(part)) {
            self.note(format!("dunder:{part}"));
        }
    }
}

impl Walk<'_, '_> {
    fn tell_orders(&mut self) {
        orders::tell(self.inspection, &self.orders);
    }
}

/// A statement of a macro that calls the macro, whatever holds.
fn calls(statement: &Stmt<'_>, name: &str) -> bool {
    let own = |expression: &Expr<'_>| matches!(expression, Expr::Call(call) if matches!(&call.expr, Expr::Var(callee) if callee.id == name));
    match statement {
        Stmt::EmitExpr(node) => own(&node.expr),
        Stmt::Set(node) => own(&node.expr),
        Stmt::Do(node) => matches!(&node.call.expr, Expr::Var(callee) if callee.id == name),
        _ => false,
    }
}

/// A bound of `range` beyond any conversation: a large constant, or a power.
fn is_endless(argument: &CallArg<'_>) -> bool {
    let (CallArg::Pos(value) | CallArg::Kwarg(_, value) | CallArg::PosSplat(value) | CallArg::KwargSplat(value)) =
        argument;
    size(value, 0).is_some_and(|size| size > RANGE_MAX)
}

/// The size of a number made of constants; that of a power has no bound.
fn size(expression: &Expr<'_>, depth: u32) -> Option<f64> {
    let inner = depth.saturating_add(1);
    match expression {
        _ if depth > 64 => None,
        Expr::Const(node) => f64::try_from(node.value.clone()).ok().map(f64::abs),
        Expr::UnaryOp(node) => size(&node.expr, inner),
        Expr::BinOp(node) => match node.op {
            BinOpKind::Pow => Some(f64::INFINITY),
            BinOpKind::Mul => Some(size(&node.left, inner)? * size(&node.right, inner)?),
            BinOpKind::Add => Some(size(&node.left, inner)? + size(&node.right, inner)?),
            _ => None,
        },
        _ => None,
    }
}

/// Python's special names; words between doubled underscores that are part of prompts are not.
fn is_dunder(name: &str) -> bool {
    let inner = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    inner.is_some_and(|inner| {
        inner.bytes().any(|byte| byte.is_ascii_lowercase())
            && inner.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
    })
}

/// `str.format` walks attributes inside braces; `%c` spells what nobody shall read.
fn braces(expression: &Expr<'_>) -> bool {
    matches!(expression, Expr::Const(node) if node.value.as_str().is_some_and(|text| text.contains("{0.") || text.contains("._") || text.contains("%c")))
}
