//! The calls of a source, each by the full name of what it calls.

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, ExprCall, Stmt};

use super::names::Names;
use super::{BUILTINS, SINKS};

/// Sinks of one source that are kept.
const SINKS_MAX: usize = 256;
/// Calls that take a command.
const RUNS: &[&str] = &["subprocess.run", "subprocess.check_output", "subprocess.check_call", "subprocess.call"];

/// Goes through statements in their order, and remembers what names mean from there on.
#[derive(Default)]
pub struct Calls {
    names: Names,
    pub sinks: Vec<String>,
}

impl Calls {
    fn note(&mut self, name: &str) {
        if self.sinks.len() < SINKS_MAX && !self.sinks.iter().any(|sink| sink == name) {
            self.sinks.push(name.to_owned());
        }
    }

    /// A call that its own arguments make harmless: tensors alone are loaded, or a constant command
    /// only asks about the machine or the repository.
    fn is_harmless(&self, name: &str, call: &ExprCall) -> bool {
        if name == "torch.load" {
            let only = call.arguments.find_keyword("weights_only");
            return only.is_some_and(|only| matches!(&only.value, Expr::BooleanLiteral(flag) if flag.value));
        }
        let telling = ["shell", "executable", "env"];
        if !RUNS.contains(&name) || telling.iter().any(|word| call.arguments.find_keyword(word).is_some()) {
            return false;
        }
        let Some(Expr::List(list)) = call.arguments.args.first() else { return false };
        let words: Option<Vec<String>> = list.elts.iter().map(|word| self.names.text(word)).collect();
        let words = words.unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["nvidia-smi" | "uname" | "lscpu" | "rocm-smi", ..] | ["git", "rev-parse" | "describe", ..]
        )
    }
}

impl<'a> Visitor<'a> for Calls {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        self.names.learn(statement);
        walk_stmt(self, statement);
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Call(call) => {
                if let Some(name) = self.names.of(&call.func) {
                    let builtin = BUILTINS.contains(&name.as_str());
                    if (builtin || is_sink(&name)) && !self.is_harmless(&name, call) {
                        self.note(&name);
                    }
                }
                // `map(os.system, …)`, `Thread(target=os.system)`: whoever takes it may call it.
                let values =
                    call.arguments.args.iter().chain(call.arguments.keywords.iter().map(|keyword| &keyword.value));
                for value in values.filter(|value| matches!(value, Expr::Name(_) | Expr::Attribute(_))) {
                    if let Some(name) = self.names.of(value)
                        && runs_commands(&name)
                    {
                        self.note(&name);
                    }
                }
            }
            Expr::Attribute(_) => {
                if let Some(name) = self.names.of(expression)
                    && name.starts_with("os.environ")
                {
                    self.note("os.environ");
                }
            }
            _ => {}
        }
        walk_expr(self, expression);
    }
}

/// A name that matters, or the module of one.
pub fn matters(name: &str) -> bool {
    const MODULES: &[&str] =
        &["os", "posix", "subprocess", "socket", "ctypes", "pickle", "marshal", "builtins", "importlib", "runpy"];
    MODULES.contains(&name) || BUILTINS.contains(&name) && name != "compile" || is_sink(name)
}

pub fn is_sink(name: &str) -> bool {
    SINKS.iter().any(|sink| {
        let family = sink.ends_with('.')
            || matches!(*sink, "os.exec" | "os.spawn" | "os.environ" | "asyncio.create_subprocess" | "pip._internal");
        name == *sink || family && name.starts_with(sink)
    })
}

fn runs_commands(name: &str) -> bool {
    matches!(name, "os.system" | "os.popen" | "eval" | "exec" | "subprocess.Popen") || RUNS.contains(&name)
}
