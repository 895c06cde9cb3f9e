//! Code by value: functions and classes that cloudpickle writes whole. Rebuilding one runs none of
//! its code, so its builders, used as cloudpickle itself uses them, count as unlisted. They stay
//! dangerous when anything differs from that, or when the code names a means of execution.

use super::findings::{Findings, Import};
use super::machine::Machine;
use super::value::{Node, Slot};

/// Nodes looked at below one code object.
const REACH: usize = 2048;

/// The only type by name that code needs; inner functions name it among the constants.
const CODE_TYPE: &str = "CodeType";
const MODULES: &[&str] = &["cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast", "cloudpickle"];
/// What cloudpickle's own pickles call to rebuild code; `subimport` only imports.
const BUILDERS: &[&str] = &[
    "_builtin_type",
    "_make_function",
    "_make_cell",
    "_make_empty_cell",
    "_make_skeleton_class",
    "_make_skeleton_enum",
    "_function_setstate",
    "_class_setstate",
    "subimport",
];
/// Names of a code object that are a means of execution, of loading or of reaching the network.
const SINKS: &[&str] = &[
    "system",
    "popen",
    "Popen",
    "posix_spawn",
    "spawnl",
    "spawnv",
    "spawnlp",
    "spawnvp",
    "execl",
    "execv",
    "execve",
    "execlp",
    "execvp",
    "execvpe",
    "fork",
    "subprocess",
    "check_output",
    "check_call",
    "getoutput",
    "exec",
    "eval",
    "execfile",
    "__import__",
    "__builtins__",
    "__subclasses__",
    "__globals__",
    "builtins",
    "importlib",
    "import_module",
    "runpy",
    "pty",
    "socket",
    "urllib",
    "urlopen",
    "urlretrieve",
    "requests",
    "httpx",
    "aiohttp",
    "http",
    "ftplib",
    "smtplib",
    "paramiko",
    "telnetlib",
    "ctypes",
    "cffi",
    "marshal",
    "pickle",
    "cloudpickle",
    "dill",
    "shutil",
    "multiprocessing",
    "webbrowser",
    "CodeType",
    "FunctionType",
    "posix",
    "nt",
];
/// Parts of constants that are code or a command.
const TELLING: &[&str] = &[
    "os.system",
    "os.popen",
    "subprocess.",
    "__import__",
    "__builtins__",
    "exec(",
    "eval(",
    "/bin/sh",
    "/bin/bash",
    "/dev/tcp",
    "powershell",
    "cmd.exe",
    "bash -",
    "sh -c",
    "curl ",
    "wget ",
    "python -c",
    "| sh",
];

/// True for a function that cloudpickle's pickles call to rebuild code.
pub fn is_builder(import: &Import) -> bool {
    MODULES.contains(&import.module.as_str()) && BUILDERS.contains(&import.name.as_str())
}

/// Notes a call by its callable: a builder, the type of code objects, or what a builder made.
pub fn note(machine: &mut Machine<'_, '_>, callable: Slot, arguments: Slot, constructs: bool) {
    if let Some(name) = builder(machine, callable) {
        let items = machine.arena.as_items(arguments).unwrap_or_default();
        let first = items.first().copied().unwrap_or_default();
        let fits = match name.as_str() {
            "_builtin_type" => items.len() == 1 && machine.arena.as_text(first) == Some(CODE_TYPE),
            "_make_function" => is_code(machine, first),
            "_function_setstate" => made_by(machine, first).as_deref() == Some("_make_function"),
            "_class_setstate" => made_by(machine, first).is_some_and(|name| name.starts_with("_make_skeleton")),
            "subimport" => machine.arena.as_text(first).map(str::to_owned).is_some_and(|module| {
                let sink = module.split('.').any(|part| SINKS.contains(&part));
                if sink {
                    Findings::keep(&mut machine.findings.by_value, format!("sink:{module}"));
                }
                !sink
            }),
            _ => true,
        };
        machine.findings.by_value_astray |= !fits || hands_out(machine, arguments);
        return;
    }
    if made_by(machine, callable).as_deref() == Some("_builtin_type") {
        code(machine, arguments);
        return;
    }
    // An instance of a class by value is made by NEWOBJ; any other call runs the code.
    let class = made_by(machine, callable).is_some_and(|name| name.starts_with("_make_skeleton"));
    let runs = machine.arena.as_global(callable).is_none() && reaches_code(machine, callable);
    machine.findings.by_value_astray |= (runs && !(class && constructs)) || hands_out(machine, arguments);
}

/// A vetted callable that calls what it is given was handed code by value.
pub fn note_handed(machine: &mut Machine<'_, '_>, full: &str, arguments: Slot) {
    // These two only keep it for later.
    let keeps = full.ends_with("functools.partial") || full.ends_with(".defaultdict");
    machine.findings.by_value_astray |= !keeps && reaches_code(machine, arguments);
}

/// Name of the builder that a slot is.
fn builder(machine: &Machine<'_, '_>, slot: Slot) -> Option<String> {
    let import = machine.findings.get(machine.arena.as_global(slot)?)?;
    is_builder(import).then(|| import.name.clone())
}

/// Name of the builder whose result a slot is.
fn made_by(machine: &Machine<'_, '_>, slot: Slot) -> Option<String> {
    builder(machine, machine.arena.as_call(slot)?.0)
}

fn is_code(machine: &Machine<'_, '_>, slot: Slot) -> bool {
    let maker = machine.arena.as_call(slot).map(|(callable, _)| callable);
    maker.and_then(|maker| made_by(machine, maker)).as_deref() == Some("_builtin_type")
}

/// A builder that is itself an argument could be called by anyone with anything.
fn hands_out(machine: &Machine<'_, '_>, arguments: Slot) -> bool {
    machine.arena.reach(arguments, REACH).into_iter().any(|index| {
        let items = machine.arena.as_items(Slot::Node(index)).unwrap_or_default();
        items.iter().take(REACH).any(|item| builder(machine, *item).is_some())
    })
}

fn reaches_code(machine: &Machine<'_, '_>, slot: Slot) -> bool {
    let reached = machine.arena.reach(slot, REACH);
    reached.iter().any(|index| made_by(machine, Slot::Node(*index)).is_some())
}

/// One code object: its name, and the sinks among its names and constants. `names` lies two behind
/// the byte code, whose place depends on the version of Python that wrote it.
fn code(machine: &mut Machine<'_, '_>, arguments: Slot) {
    let items: Vec<Slot> = machine.arena.as_items(arguments).unwrap_or_default().to_vec();
    let at = match items.len() {
        15 => 7,
        16 | 18 => 8,
        _ => {
            machine.findings.by_value_astray = true;
            return;
        }
    };
    let text = |slot: &Slot| machine.arena.as_text(*slot).map(str::to_owned);
    let names = items.get(at).and_then(|names| machine.arena.as_items(*names));
    let names: Option<Vec<String>> = names.and_then(|names| names.iter().map(text).collect());
    let title = items.get(at.saturating_add(3)).and_then(text);
    let (Some(names), Some(title)) = (names, title) else {
        machine.findings.by_value_astray = true;
        return;
    };
    let constants = items.get(at.saturating_sub(1)).copied().unwrap_or_default();
    let reached = machine.arena.reach(constants, REACH);
    let mut sinks: Vec<String> = names.iter().filter(|name| SINKS.contains(&name.as_str())).cloned().collect();
    for sink in &mut sinks {
        let of_os = names.iter().any(|name| name == "os")
            && matches!(sink.as_str(), "system" | "popen" | "posix_spawn" | "fork");
        if of_os
            || names.iter().any(|name| name == "os")
                && (sink.starts_with("spawn") || sink.starts_with("exec") && sink.len() > 4)
        {
            sink.insert_str(0, "os.");
        }
    }
    for index in &reached {
        let constant = match machine.arena.get(Slot::Node(*index)) {
            Some(Node::Text(text)) => text.to_string(),
            Some(Node::Bytes { head, .. }) => String::from_utf8_lossy(head).into_owned(),
            Some(Node::Items(..) | Node::Global(_) | Node::Object { .. }) | None => continue,
        };
        let telling = TELLING.iter().find(|part| constant.contains(**part)).copied();
        sinks.extend(
            telling
                .or_else(|| SINKS.iter().find(|sink| **sink == constant && **sink != CODE_TYPE).copied())
                .map(str::to_owned),
        );
    }
    machine.findings.by_value_astray |= !sinks.is_empty() || reached.len() >= REACH;
    Findings::keep(&mut machine.findings.by_value, title);
    for sink in sinks {
        Findings::keep(&mut machine.findings.by_value, format!("sink:{sink}"));
    }
}
