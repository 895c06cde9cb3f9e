//! Marshalled code objects: the names and constants in them, whatever version of Python wrote them.
//!
//! Layouts differ by version, texts do not: each has a type, a length and its characters.

use crate::artifact::format::shipped;

/// Names that code which only computes has no need of.
const SINKS: &[&str] = &[
    "os",
    "posix",
    "nt",
    "system",
    "popen",
    "Popen",
    "subprocess",
    "check_output",
    "check_call",
    "getoutput",
    "spawn",
    "execv",
    "execve",
    "execvp",
    "fork",
    "pty",
    "eval",
    "exec",
    "compile",
    "execfile",
    "__import__",
    "importlib",
    "import_module",
    "runpy",
    "run_module",
    "run_path",
    "builtins",
    "__builtins__",
    "__globals__",
    "__subclasses__",
    "__class__",
    "__base__",
    "__mro__",
    "__code__",
    "__getattribute__",
    "__dict__",
    "globals",
    "getattr",
    "setattr",
    "pickle",
    "cPickle",
    "marshal",
    "dill",
    "cloudpickle",
    "joblib",
    "ctypes",
    "cffi",
    "socket",
    "urllib",
    "urllib2",
    "urlopen",
    "urlretrieve",
    "requests",
    "http",
    "httplib",
    "ftplib",
    "smtplib",
    "telnetlib",
    "paramiko",
    "webbrowser",
    "shutil",
    "rmtree",
    "open",
    "pathlib",
    "Path",
    "read_text",
    "write_text",
    "environ",
    "getenv",
    "platform",
    "threading",
    "Thread",
    "multiprocessing",
    "asyncio",
    "pip",
    "base64",
    "b64decode",
    "codecs",
    "fromhex",
    "unhexlify",
    "binascii",
    "zlib",
    "py_function",
    "numpy_function",
    "py_func",
    "read_file",
    "write_file",
    "load_library",
    "load_op_library",
    "get_file",
    "sys",
    "modules",
    "settrace",
    "atexit",
    "signal",
    "code",
    "interact",
    "breakpoint",
    "types",
    "CodeType",
    "FunctionType",
    "gc",
    "inspect",
    "antigravity",
    "timeit",
    "cProfile",
    "bdb",
    "pdb",
    "pkgutil",
    "zipimport",
    "sysconfig",
];
/// Texts read of one code object.
const TEXTS_MAX: usize = 20_000;

/// What in the code executes, imports or reaches out; `opaque` when it is no code object.
pub fn sinks(bytes: &[u8]) -> Vec<String> {
    // A code object, with or without the mark of a reference.
    if !matches!(bytes.first(), Some(0x63 | 0xe3)) {
        return vec!["opaque".to_owned()];
    }
    let mut found: Vec<String> = Vec::new();
    let mut add = |word: &str| {
        if !found.iter().any(|known| known == word) {
            found.push(word.to_owned());
        }
    };
    for text in texts(bytes) {
        // Attributes of the code object itself are no texts of it, but a path may name a folder.
        if let Some(word) = SINKS.iter().find(|word| **word == text) {
            add(word);
        } else if shipped::holds_code(text) {
            add("text");
        }
    }
    found
}

fn texts(bytes: &[u8]) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0_usize;
    while at < bytes.len() && found.len() < TEXTS_MAX {
        match text_at(bytes.get(at..).unwrap_or_default()) {
            Some((text, length)) => {
                found.push(text);
                at = at.saturating_add(length);
            }
            None => at = at.saturating_add(1),
        }
    }
    found
}

/// A text of printable characters that begins here, and the bytes that it takes.
fn text_at(bytes: &[u8]) -> Option<(&str, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let (length, head) = match kind & 0x7f {
        b'z' | b'Z' => (usize::from(*rest.first()?), 2_usize),
        b'a' | b'A' | b'u' | b't' | b's' => {
            let length = rest.get(..4)?.try_into().map(u32::from_le_bytes).ok()?;
            (usize::try_from(length).ok()?, 5)
        }
        _ => return None,
    };
    let end = head.checked_add(length).filter(|_| length > 0)?;
    let text = std::str::from_utf8(bytes.get(head..end)?).ok()?;
    let printable = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    printable.then_some((text, end))
}
