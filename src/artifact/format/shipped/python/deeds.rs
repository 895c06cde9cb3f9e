//! What calls do, by their arguments: a process that is started or a page that is fetched is ordinary
//! in a script; running what was fetched, decoded or computed is not, nor is giving secrets away.

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{Expr, ExprCall, Operator};

use super::super::commands::{self, Deed};
use super::names::Names;
use super::origin::{HUGGINGFACE, Origin, Origins, is_secret};
use super::persistence::{is_run_key, writes};
use crate::artifact::format::places;

/// Deeds told of one source.
const DEEDS_MAX: usize = 64;
/// Texts that a source hands to `exec`, which are read as sources.
const EXECUTED_MAX: usize = 32;
const EXECUTED_BYTES_MAX: usize = 64 << 10;
/// Words of a command that are put together.
const COMMAND_MAX: usize = 4096;
/// Arguments of one call that may be a command, and bytes of commands of one source.
const WORDS_MAX: usize = 64;
const JUDGED_MAX: usize = 4 << 20;
/// Readers that build objects, or code, from bytes.
const READERS: &[&str] =
    &["pickle.load", "cPickle.load", "_pickle.load", "dill.load", "cloudpickle.load", "pickle.Unpickler"];
/// Calls that give something to another machine.
const SENDERS: &[&str] = &[
    "requests.",
    "httpx.",
    "aiohttp.",
    "urllib.request.",
    "urllib2.",
    "urllib3.",
    "http.client.",
    "socket.socket",
    "socket.create_connection",
    "smtplib.",
    "ftplib.",
];
/// Members of the system's libraries by which bytes become code.
const NATIVE: &[&str] = &[
    "VirtualAlloc",
    "VirtualProtect",
    "RtlMoveMemory",
    "CreateThread",
    "CreateRemoteThread",
    "WriteProcessMemory",
    "mprotect",
    "memfd_create",
];
/// Ends of names of files that hold no source that anybody reads.
const DATA: &[&str] = &[
    "bin",
    "pt",
    "pth",
    "ckpt",
    "safetensors",
    "onnx",
    "h5",
    "pkl",
    "npy",
    "npz",
    "gguf",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "wav",
    "mp3",
    "zip",
    "gz",
    "dat",
    "so",
];
/// What is put in front of a program.
const INTERPRETERS: &[&str] =
    &["sudo", "sh", "bash", "zsh", "dash", "python", "python3", "perl", "nohup", "env", "exec"];
/// Calls that read a file.
const OPENERS: &[&str] = &["open", "io.open", "codecs.open", "shutil.copy", "shutil.copyfile", "shutil.copy2"];

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one source")]
pub struct Deeds {
    pub told: Vec<String>,
    /// Texts that are handed to `exec` and its like.
    pub executed: Vec<String>,
    /// Texts that are handed to another interpreter, as whose programs they are looked at.
    pub programs: Vec<String>,
    /// Files that are fetched, and commands: one may run another.
    files: Vec<String>,
    commands: Vec<String>,
    /// Bytes of commands that were looked at.
    judged: usize,
    secret: Option<String>,
    /// A secret is read, not only named as a key to log in with.
    reads: bool,
    sends: bool,
    /// An address is fetched from without encryption, and readers of what was fetched.
    plain: bool,
    /// An address that is not the hub's.
    elsewhere: bool,
    /// The key of programs that start with a session is named, and keys are written.
    run_key: bool,
    sets_key: bool,
    loaded: Vec<String>,
    foreign: bool,
    maps: bool,
    makes_functions: bool,
}

impl Deeds {
    pub fn tell(&mut self, deed: String) {
        if self.told.len() < DEEDS_MAX && !self.told.contains(&deed) {
            self.told.push(deed);
        }
    }

    /// A text of the source: one may be the path of a secret.
    pub fn text(&mut self, text: &str) {
        if self.secret.is_none() && is_secret(text) {
            self.secret = Some(text.to_owned());
        }
        let near = ["http://localhost", "http://127.0.0.1", "http://0.0.0.0"].iter().any(|near| text.starts_with(near));
        self.plain |= text.starts_with("http://") && !near;
        self.elsewhere |= (text.starts_with("http://") || text.starts_with("https://")) && !near && !is_hub(text);
        self.run_key |= is_run_key(text);
    }

    /// A method that reads the file whose path it belongs to.
    pub fn method(&mut self, name: &str, of: &Expr, call: &ExprCall, names: &Names, origins: &Origins) {
        let written = matches!(name, "write_text" | "write_bytes") || name == "open" && writes(call, 0, names);
        if written && origins.of(of, names).has(Origin::RUN_LATER) {
            self.tell(format!("persists:{name}"));
        }
        let reads = matches!(name, "read_text" | "read_bytes" | "open");
        self.reads |= reads && origins.of(of, names).has(Origin::SECRET);
    }

    /// An attribute, whatever it belongs to.
    pub fn member(&mut self, name: &str, full: Option<&str>) {
        self.maps |= NATIVE.contains(&name) || name == "mmap" && full != Some("mmap.mmap");
        self.makes_functions |= matches!(name, "CFUNCTYPE" | "WINFUNCTYPE" | "PYFUNCTYPE") || NATIVE.contains(&name);
        self.foreign |= full.is_some_and(|full| full.starts_with("ctypes."));
    }

    pub fn call(&mut self, name: &str, call: &ExprCall, names: &Names, origins: &Origins) {
        let first = call.arguments.args.first();
        self.sends |= SENDERS.iter().any(|sender| name.starts_with(sender));
        let has = |value: Option<&Expr>, origin| value.is_some_and(|value| origins.of(value, names).has(origin));
        self.reads |= OPENERS.contains(&name) && has(first, Origin::SECRET);
        self.foreign |= name.starts_with("ctypes.");
        self.sets_key |= matches!(name, "winreg.SetValueEx" | "winreg.SetValue" | "_winreg.SetValueEx");
        if matches!(name, "open" | "io.open" | "codecs.open") && writes(call, 1, names) && has(first, Origin::RUN_LATER)
        {
            self.tell(format!("persists:{name}"));
        }
        match name {
            "eval" | "exec" => self.execute(name, first, names, origins),
            "torch.utils.cpp_extension.load_inline" => {
                let mut sources =
                    call.arguments.args.iter().chain(call.arguments.keywords.iter().map(|word| &word.value));
                if sources.any(|source| origins.of(source, names).has(Origin::FETCHED)) {
                    self.tell(format!("fetched:{name}"));
                }
            }
            "urllib.request.urlretrieve" | "urllib.urlretrieve" => {
                let file = call.arguments.args.get(1).and_then(|file| names.text(file));
                self.files.extend(file.filter(|_| self.files.len() < DEEDS_MAX));
            }
            "execfile" | "runpy.run_path" => self.file(first, names),
            "os.dup2" if has(first, Origin::SOCKET) => self.tell("shell:dup2".to_owned()),
            "pty.spawn" if first.is_some_and(|first| is_shell(&spelt(first, names, 8))) => {
                self.tell("terminal:pty.spawn".to_owned());
            }
            "marshal.load" | "marshal.loads" => self.tell(format!("bytecode:{name}")),
            _ if runs(name) => self.command(name, call, names, origins),
            _ if READERS.iter().any(|reader| name.starts_with(reader))
                && has(first, Origin::FETCHED)
                && self.loaded.len() < DEEDS_MAX =>
            {
                self.loaded.push(name.to_owned());
            }
            _ if SENDERS.iter().any(|sender| name.starts_with(sender)) => {
                let mut values =
                    call.arguments.args.iter().chain(call.arguments.keywords.iter().map(|keyword| &keyword.value));
                if values.any(|value| origins.of(value, names).has(Origin::ENVIRONMENT)) {
                    self.tell("gives_away:environment".to_owned());
                }
                // Services have names, or addresses of their own network.
                let abroad = first.is_some_and(|first| is_foreign(&spelt(first, names, 8)));
                if abroad && has(first, Origin::VARIABLE) {
                    self.tell("gives_away:variable".to_owned());
                }
            }
            _ => {}
        }
    }

    fn execute(&mut self, name: &str, code: Option<&Expr>, names: &Names, origins: &Origins) {
        let Some(code) = code else { return };
        let compiled = match code {
            Expr::Call(call) if names.of(&call.func).as_deref() == Some("compile") => call.arguments.args.first(),
            _ => None,
        };
        let code = compiled.unwrap_or(code);
        let text = match code {
            Expr::StringLiteral(text) if text.value.len() <= EXECUTED_BYTES_MAX => Some(text.value.to_str().to_owned()),
            _ => names.text(code),
        };
        let known = text.is_some();
        if let Some(text) = text.filter(|_| self.executed.len() < EXECUTED_MAX) {
            self.executed.push(text);
        }
        if let Some(word) = origins.of(code, names).word() {
            self.tell(format!("{word}:{name}"));
        } else if !known {
            let mut opened = Opened { names, path: None };
            opened.visit_expr(code);
            if let Some(path) = opened.path {
                self.tell(format!("file:{path}"));
            }
        }
    }

    /// A file that is run though its name is that of data.
    fn file(&mut self, path: Option<&Expr>, names: &Names) {
        if let Some(path) = path.and_then(|path| names.text(path)).filter(|path| is_data(path)) {
            self.tell(format!("file:{path}"));
        }
    }

    fn command(&mut self, name: &str, call: &ExprCall, names: &Names, origins: &Origins) {
        let arguments = &call.arguments;
        let named = ["args", "command", "cmd"].iter().find_map(|word| arguments.find_keyword(word));
        let Some(first) = arguments.args.first().or_else(|| named.map(|keyword| &keyword.value)) else { return };
        let words: Vec<String> = arguments.args.iter().take(WORDS_MAX).map(|word| spelt(word, names, 8)).collect();
        let text = if arguments.args.is_empty() { spelt(first, names, 8) } else { words.join(" ") };
        self.judge(&text);
        let input = arguments.find_keyword("stdin").map(|keyword| &keyword.value);
        let remote = input.is_some_and(|input| origins.of(input, names).has(Origin::SOCKET));
        if text.ends_with("sh -i") || remote {
            self.tell(format!("shell:{text}"));
        }
        self.reads |= text.starts_with("cat ") && is_secret(&text);
        if self.commands.len() < DEEDS_MAX {
            self.commands.push(text);
        }
        self.program(first, names);
        // A command that begins with a word of the source's own is that command.
        let program = match first {
            Expr::List(list) => list.elts.first(),
            Expr::Tuple(tuple) => tuple.elts.first(),
            _ if spelt(first, names, 8).starts_with('?') => Some(first),
            _ => None,
        };
        if let Some(word) = program.and_then(|program| origins.of(program, names).word()) {
            self.tell(format!("{word}:{name}"));
        }
    }

    /// `[sys.executable, "-c", "…"]`
    fn program(&mut self, command: &Expr, names: &Names) {
        let Expr::List(words) = command else { return };
        let Some(interpreter) = words.elts.first() else { return };
        let python = names.of(interpreter).as_deref() == Some("sys.executable")
            || names.text(interpreter).is_some_and(|name| name.contains("python"));
        let texts: Vec<Option<String>> = words.elts.iter().take(8).map(|word| names.text(word)).collect();
        let at = texts.iter().position(|word| word.as_deref() == Some("-c"));
        let code = at.and_then(|at| texts.get(at.saturating_add(1)).cloned().flatten());
        self.programs.extend(code.filter(|_| python && self.programs.len() < EXECUTED_MAX));
    }

    /// A function that runs commands is handed to another that will call it, with what stands beside it.
    pub fn hand(&mut self, call: &ExprCall, names: &Names) {
        let values = call.arguments.args.iter().chain(call.arguments.keywords.iter().map(|word| &word.value));
        for value in values.take(WORDS_MAX) {
            self.judge(&spelt(value, names, 8));
        }
    }

    fn judge(&mut self, command: &str) {
        self.judged = self.judged.saturating_add(command.len());
        if self.judged > JUDGED_MAX {
            return;
        }
        if let Some((Deed::Endangers | Deed::Pipes, line)) = commands::judge(command) {
            self.tell(format!("shell:{line}"));
        }
    }

    /// True when the source spells more commands than are looked at.
    pub const fn is_exhausted(&self) -> bool {
        self.judged > JUDGED_MAX
    }

    /// What only the source as a whole tells.
    pub fn finish(&mut self) {
        if self.run_key && self.sets_key {
            self.tell("persists:winreg".to_owned());
        }
        let hub = |secret: &String| secret.contains(HUGGINGFACE) && !self.elsewhere;
        if let Some(secret) = self.secret.take().filter(|secret| self.sends && self.reads && !hub(secret)) {
            self.tell(format!("gives_away:{secret}"));
        }
        for command in std::mem::take(&mut self.commands) {
            let mut words =
                command.split(' ').skip_while(|word| INTERPRETERS.contains(&word.rsplit('/').next().unwrap_or(word)));
            let program = words.next().map_or("", |word| word.strip_prefix("./").unwrap_or(word));
            if self.files.iter().any(|file| file == program) || self.sends && places::is_shared(program) {
                self.tell(format!("fetched:{program}"));
            }
        }
        for reader in std::mem::take(&mut self.loaded) {
            self.tell(format!("{}:{reader}", if self.plain { "fetched" } else { "loads" }));
        }
        if self.foreign && self.maps && self.makes_functions {
            self.tell("native_code".to_owned());
        }
    }
}

/// Calls that start a program.
pub fn runs(name: &str) -> bool {
    let begins = ["subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "commands.", "asyncio.create_subprocess"];
    matches!(name, "os.system" | "os.popen" | "posix.system" | "posix.popen" | "nt.system" | "os.startfile")
        || begins.iter().any(|beginning| name.starts_with(beginning))
}

/// A name by which commands or code are run, which nobody has a reason to hide.
pub fn is_hidden_for_a_reason(name: &str) -> bool {
    runs(name) && !matches!(name, "subprocess.PIPE" | "subprocess.DEVNULL" | "subprocess.STARTUPINFO")
        || matches!(name, "eval" | "exec" | "execfile" | "pty.spawn" | "marshal.loads")
}

fn is_shell(command: &str) -> bool {
    let program = command.split(' ').next().and_then(|program| program.rsplit('/').next());
    matches!(program, Some("sh" | "bash" | "zsh" | "dash" | "ksh" | "ash"))
}

/// An address of the hub that gave the token.
fn is_hub(address: &str) -> bool {
    let host = address.split("://").nth(1).and_then(|rest| rest.split(['/', ':', '?', '#']).next());
    host.is_some_and(|host| host == "huggingface.co" || host == "hf.co" || host.ends_with(".huggingface.co"))
}

/// An address whose host is a number, and of no private network.
fn is_foreign(address: &str) -> bool {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")).unwrap_or_default();
    let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
    host.parse::<std::net::Ipv4Addr>()
        .is_ok_and(|host| !(host.is_private() || host.is_loopback() || host.is_unspecified() || host.is_link_local()))
}

fn is_data(path: &str) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    DATA.contains(&end.as_str()) || places::is_shared(path)
}

/// A file with the name of data, opened for what it holds.
struct Opened<'n> {
    names: &'n Names,
    path: Option<String>,
}

impl<'a> Visitor<'a> for Opened<'_> {
    fn visit_expr(&mut self, expression: &'a Expr) {
        if let Expr::Call(call) = expression
            && matches!(self.names.of(&call.func).as_deref(), Some("open" | "io.open" | "pathlib.Path" | "codecs.open"))
            && let Some(path) = call.arguments.args.first().and_then(|path| self.names.text(path))
            && is_data(&path)
        {
            self.path = Some(path);
        }
        walk_expr(self, expression);
    }
}

/// A command as far as the source spells it, with `?` for what it does not.
fn spelt(expression: &Expr, names: &Names, depth: u32) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "?".to_owned() };
    if let Some(text) = names.text(expression) {
        return text;
    }
    let all = |items: &[Expr]| {
        let mut out = String::new();
        for item in items {
            if out.len() > COMMAND_MAX {
                break;
            }
            out.push_str(if out.is_empty() { "" } else { " " });
            out.push_str(&spelt(item, names, depth));
        }
        out
    };
    let text = match expression {
        Expr::List(list) => all(&list.elts),
        Expr::Tuple(tuple) => all(&tuple.elts),
        Expr::Starred(starred) => spelt(&starred.value, names, depth),
        Expr::FString(text) => {
            let mut out = String::new();
            for part in text.value.elements() {
                if out.len() > COMMAND_MAX {
                    break;
                }
                match part {
                    ruff_python_ast::InterpolatedStringElement::Literal(literal) => out.push_str(&literal.value),
                    ruff_python_ast::InterpolatedStringElement::Interpolation(inner) => {
                        out.push_str(&spelt(&inner.expression, names, depth));
                    }
                }
            }
            out
        }
        Expr::BinOp(sum) if sum.op == Operator::Add => {
            let between = if matches!(&*sum.left, Expr::List(_)) { " " } else { "" };
            format!("{}{between}{}", spelt(&sum.left, names, depth), spelt(&sum.right, names, depth))
        }
        Expr::BinOp(filled) if filled.op == Operator::Mod => spelt(&filled.left, names, depth),
        Expr::Call(call) => match &*call.func {
            Expr::Attribute(method) if matches!(method.attr.as_str(), "format" | "split" | "strip" | "encode") => {
                spelt(&method.value, names, depth)
            }
            Expr::Attribute(method) if method.attr.as_str() == "join" => {
                call.arguments.args.first().map_or_else(|| "?".to_owned(), |parts| spelt(parts, names, depth))
            }
            _ => "?".to_owned(),
        },
        _ => "?".to_owned(),
    };
    text.chars().take(COMMAND_MAX).collect()
}
