//! The calls of a source, each by the full name of what it calls.

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{Decorator, Expr, ExprCall, Stmt};

use super::deeds::{Deeds, is_hidden_for_a_reason, runs};
use super::names::Names;
use super::origin::Origins;
use super::{BUILTINS, SINKS};

/// Sinks of one source that are kept.
const SINKS_MAX: usize = 256;
/// Bytes of a source that cannot have as many names as are followed.
const SHORT: usize = 256 << 10;
/// Calls that take a command.
const RUNS: &[&str] =
    &["subprocess.run", "subprocess.check_output", "subprocess.check_call", "subprocess.call", "subprocess.Popen"];
/// Programs that a constant list of words may start: they build, format, test or ask.
const TOOLS: &[&str] = &[
    "nvidia-smi",
    "rocm-smi",
    "uname",
    "lscpu",
    "hostname",
    "date",
    "pwd",
    "ls",
    "df",
    "du",
    "free",
    "which",
    "tree",
    "mkdir",
    "touch",
    "echo",
    "make",
    "cmake",
    "ninja",
    "meson",
    "bazel",
    "gcc",
    "g++",
    "clang",
    "clang++",
    "nvcc",
    "protoc",
    "black",
    "ruff",
    "isort",
    "flake8",
    "mypy",
    "pytest",
    "tox",
    "nox",
    "pre-commit",
    "sphinx-build",
    "mkdocs",
    "clang-format",
    "ffmpeg",
    "ffprobe",
    "sox",
    "unzip",
    "gunzip",
    "sleep",
    "nproc",
    "sw_vers",
    "sysctl",
];
/// Of modules with sinks, members that neither run anything nor connect to anything.
const QUIET: &[&str] = &[
    "socket.gethostname",
    "socket.getfqdn",
    "socket.inet_",
    "socket.hton",
    "socket.ntoh",
    "socket.timeout",
    "socket.error",
    "socket.gaierror",
    "socket.setdefaulttimeout",
    "socket.getdefaulttimeout",
    "importlib.util.find_spec",
    "subprocess.CalledProcessError",
    "subprocess.TimeoutExpired",
    "subprocess.SubprocessError",
    "subprocess.list2cmdline",
    "subprocess.STARTUPINFO",
    "ctypes.c_",
    "ctypes.sizeof",
    "ctypes.byref",
    "ctypes.POINTER",
    "ctypes.Structure",
    "ctypes.Union",
    "ctypes.util.find_library",
    "requests.exceptions.",
    "requests.adapters.",
    "urllib3.util.",
    "urllib3.exceptions.",
    "urllib3.disable_warnings",
    "httpx.Timeout",
    "httpx.Limits",
    "aiohttp.ClientTimeout",
];

/// Goes through statements in their order, and remembers what names mean from there on.
#[derive(Default)]
pub struct Calls {
    names: Names,
    origins: Origins,
    pub sinks: Vec<String>,
    pub deeds: Deeds,
}

impl Calls {
    /// What only the source as a whole tells; false when names were not followed to its end.
    pub fn finish(&mut self, length: usize) -> bool {
        self.deeds.finish();
        // Nothing that is written by hand comes near.
        if self.names.is_exhausted() && length < SHORT {
            self.deeds.tell("hidden:beyond_bounds".to_owned());
        }
        !self.names.is_exhausted() && !self.deeds.is_exhausted()
    }

    fn note(&mut self, name: &str) {
        if self.sinks.len() < SINKS_MAX && !self.sinks.iter().any(|sink| sink == name) {
            self.sinks.push(name.to_owned());
        }
    }

    /// A call that its own arguments make harmless: tensors alone are loaded, a constant text is
    /// evaluated (which is looked at by itself), or a constant command builds, tests or asks.
    fn is_harmless(&self, name: &str, call: &ExprCall) -> bool {
        let first = call.arguments.args.first();
        match name {
            "torch.load" => {
                let only = call.arguments.find_keyword("weights_only");
                return only.is_some_and(|only| matches!(&only.value, Expr::BooleanLiteral(flag) if flag.value));
            }
            "eval" | "exec" | "compile" => return matches!(first, Some(Expr::StringLiteral(_))),
            "__import__" => return first.and_then(|first| self.names.text(first)).is_some(),
            // The idiom for a machine's own address.
            "socket.gethostbyname" => {
                let own = |value: &Expr| matches!(value, Expr::Call(call) if self.names.of(&call.func).as_deref() == Some("socket.gethostname"));
                return first.is_some_and(own);
            }
            _ => {}
        }
        let telling = ["shell", "executable", "env"];
        if !RUNS.contains(&name) || telling.iter().any(|word| call.arguments.find_keyword(word).is_some()) {
            return false;
        }
        let Some(Expr::List(list)) = first else { return false };
        let words: Option<Vec<String>> = list.elts.iter().map(|word| self.names.text(word)).collect();
        let words = words.unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [tool, ..] if TOOLS.contains(tool) => true,
            ["git", verb, ..] => matches!(
                *verb,
                "rev-parse" | "describe" | "status" | "log" | "diff" | "ls-files" | "show" | "branch" | "tag"
            ),
            ["python" | "python3", "-m", module, ..] => {
                matches!(*module, "pytest" | "unittest" | "build" | "venv" | "compileall" | "black" | "ruff")
            }
            _ => false,
        }
    }

    /// A decorator is called with what it stands above; no function is a command or code.
    fn decorated(&mut self, decorators: &[Decorator]) {
        for decorator in decorators {
            if let Some(name) = self.names.of(&decorator.expression)
                && hands_on(&name)
            {
                self.note(&name);
                self.deeds.tell(format!("hidden:{name}"));
            }
        }
    }

    /// A means of execution that is reached by a text instead of its name.
    fn hidden(&mut self, expression: &Expr) {
        let around = match expression {
            // A table that a source keeps is ordinary; one for a single look is not.
            Expr::Subscript(item) => match &*item.value {
                Expr::Dict(_) | Expr::List(_) | Expr::Tuple(_) => true,
                table => self.names.of(table).is_some_and(|table| {
                    table.ends_with("__dict__")
                        || matches!(table.as_str(), "globals()" | "locals()" | "vars()" | "__builtins__")
                }),
            },
            Expr::Call(call) => {
                let last = match &*call.func {
                    Expr::Name(name) => name.id.as_str(),
                    Expr::Attribute(attribute) => attribute.attr.as_str(),
                    Expr::Call(_) => "methodcaller",
                    _ => "",
                };
                let import = matches!(last, "__import__" | "import_module");
                let plain = matches!(call.arguments.args.first(), Some(Expr::StringLiteral(text)) if !text.value.is_implicit_concatenated());
                if import
                    && !plain
                    && let Some(module) = self.names.of(expression)
                    && call.arguments.args.first().is_some_and(|first| !matches!(first, Expr::Name(_)))
                    && is_telling_module(&module)
                {
                    self.deeds.tell(format!("hidden:{module}"));
                }
                matches!(last, "getattr" | "__getattribute__" | "methodcaller" | "resolve_name" | "get")
            }
            _ => false,
        };
        // `getattr(builtins, "exec")` was how sources ran on two versions of Python; what it runs is looked at.
        let written = matches!(expression, Expr::Call(call) if matches!(call.arguments.args.get(1), Some(Expr::StringLiteral(_))));
        let compatible = |name: &str| written && matches!(name, "eval" | "exec");
        if around
            && let Some(name) =
                self.names.of(expression).filter(|name| is_hidden_for_a_reason(name) && !compatible(name))
        {
            self.deeds.tell(format!("hidden:{name}"));
        }
    }
}

impl<'a> Visitor<'a> for Calls {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        self.names.learn(statement);
        self.origins.learn(statement, &self.names);
        match statement {
            // What only explains is no text of the program.
            Stmt::Expr(text) if matches!(&*text.value, Expr::StringLiteral(_)) => {}
            Stmt::FunctionDef(function) => {
                self.decorated(&function.decorator_list);
                self.origins.enter(function.name.as_str());
                walk_stmt(self, statement);
                self.origins.leave();
            }
            Stmt::ClassDef(class) => {
                self.decorated(&class.decorator_list);
                walk_stmt(self, statement);
            }
            // What a pickle of the object would call.
            Stmt::Return(given) => {
                if let Some(Expr::Tuple(made)) = given.value.as_deref()
                    && let [callee, ..] = made.elts.as_slice()
                    && self.origins.function().is_some_and(|name| name.starts_with("__reduce"))
                    && let Some(name) = self.names.of(callee).filter(|name| hands_on(name))
                {
                    self.deeds.tell(format!("hidden:{name}"));
                }
                walk_stmt(self, statement);
            }
            _ => walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Call(call) => {
                self.hidden(expression);
                if let Some(name) = self.names.of(&call.func) {
                    let builtin = BUILTINS.contains(&name.as_str());
                    if (builtin || is_sink(&name)) && !self.is_harmless(&name, call) {
                        self.note(&name);
                    }
                    self.deeds.call(&name, call, &self.names, &self.origins);
                }
                if let Expr::Attribute(method) = &*call.func {
                    self.deeds.method(method.attr.as_str(), &method.value, call, &self.names, &self.origins);
                }
                // `map(os.system, …)`, `Thread(target=os.system)`: whoever takes it may call it.
                let values =
                    call.arguments.args.iter().chain(call.arguments.keywords.iter().map(|keyword| &keyword.value));
                for value in values.filter(|value| matches!(value, Expr::Name(_) | Expr::Attribute(_))) {
                    if let Some(name) = self.names.of(value)
                        && hands_on(&name)
                    {
                        self.note(&name);
                        self.deeds.hand(call, &self.names);
                    }
                }
            }
            Expr::Attribute(attribute) => {
                let name = self.names.of(expression);
                if name.as_ref().is_some_and(|name| name.starts_with("os.environ")) {
                    self.note("os.environ");
                }
                self.deeds.member(attribute.attr.as_str(), name.as_deref());
                // All classes that there are, from any object; a class of its own has a name.
                if attribute.attr.as_str() == "__subclasses__" && is_root(&attribute.value) {
                    self.deeds.tell("hidden:__subclasses__".to_owned());
                }
            }
            Expr::Subscript(_) => self.hidden(expression),
            Expr::StringLiteral(text) => self.deeds.text(text.value.to_str()),
            _ => {}
        }
        walk_expr(self, expression);
    }
}

/// `object`, or a way up to it: `().__class__.__base__`, `"".__class__.__mro__[1]`.
fn is_root(expression: &Expr) -> bool {
    match expression {
        Expr::Name(name) => name.id.as_str() == "object",
        Expr::Attribute(attribute) => matches!(attribute.attr.as_str(), "__base__" | "__bases__" | "__mro__"),
        Expr::Subscript(item) => is_root(&item.value),
        _ => false,
    }
}

/// A name that matters, or the module of one.
pub fn matters(name: &str) -> bool {
    const MODULES: &[&str] =
        &["os", "posix", "subprocess", "socket", "ctypes", "pickle", "marshal", "builtins", "importlib", "runpy"];
    MODULES.contains(&name) || BUILTINS.contains(&name) && name != "compile" || is_sink(name)
}

/// A module that nobody imports by a text that is put together unless it is to be hidden.
fn is_telling_module(name: &str) -> bool {
    matches!(name, "os" | "posix" | "nt" | "subprocess" | "socket" | "ctypes" | "pty" | "marshal" | "builtins")
}

pub fn is_sink(name: &str) -> bool {
    let sink = SINKS.iter().any(|sink| {
        let family = sink.ends_with('.')
            || matches!(*sink, "os.exec" | "os.spawn" | "os.environ" | "asyncio.create_subprocess" | "pip._internal");
        name == *sink || family && name.starts_with(sink)
    });
    sink && !QUIET.iter().any(|quiet| name.starts_with(quiet))
}

fn hands_on(name: &str) -> bool {
    matches!(name, "eval" | "exec") || RUNS.contains(&name) || runs(name) && is_sink(name)
}
