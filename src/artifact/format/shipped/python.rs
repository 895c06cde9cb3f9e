//! Python sources: calls that execute, reach the network or read the environment, found in the syntax
//! tree, whatever the source calls them.

mod calls;
mod names;
mod pieces;

use std::sync::LazyLock;

use regex::Regex;
use ruff_python_ast::PySourceType;
use ruff_python_ast::visitor::Visitor as _;

use crate::artifact::inspection::Inspection;

/// Calls that matter wherever they stand, by their full dotted name or its beginning.
const SINKS: &[&str] = &[
    "os.system",
    "os.popen",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "os.fork",
    "os.environ",
    "os.getenv",
    "os.remove",
    "os.unlink",
    "subprocess.",
    "pty.spawn",
    "commands.",
    "socket.",
    "ctypes.",
    "urllib.request.",
    "urllib.urlopen",
    "urllib2.",
    "requests.",
    "httpx.",
    "aiohttp.",
    "http.client.",
    "ftplib.",
    "smtplib.",
    "paramiko.",
    "telnetlib.",
    "pickle.load",
    "pickle.loads",
    "cPickle.load",
    "marshal.load",
    "dill.load",
    "cloudpickle.load",
    "joblib.load",
    "torch.load",
    "yaml.load",
    "yaml.unsafe_load",
    "importlib.import_module",
    "importlib.util.",
    "runpy.",
    "code.interact",
    "shutil.rmtree",
    "webbrowser.",
    "multiprocessing.Process",
    "base64.b64decode",
    "sys.settrace",
    "atexit.register",
    "codecs.decode",
    "zlib.decompress",
    "platform.node",
    "posix.system",
    "posix.popen",
    "asyncio.create_subprocess",
    "pip.main",
    "pip._internal",
    "torch.hub.load",
    "torch.utils.cpp_extension.load",
    "imp.load_source",
    "code.InteractiveInterpreter",
    "code.InteractiveConsole",
    "cffi.FFI",
    "pickle.Unpickler",
    "jsonpickle.decode",
    "pandas.read_pickle",
    "urllib3.",
    "shutil.unpack_archive",
    "types.FunctionType",
    "types.CodeType",
    "getpass.getuser",
];
/// Builtins that execute text.
const BUILTINS: &[&str] = &["eval", "exec", "compile", "__import__", "execfile"];

static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:os\.(?:system|popen)|subprocess\.|__import__\s*\(|eval\s*\(|exec\s*\(|importlib\.|pickle\.loads|base64\.b64decode|socket\.socket)|<script|\bcurl\s+-|powershell\s+-|javascript:|/bin/(?:ba)?sh\b|https?://[^\s/]*(?:\d{1,3}\.){3}\d{1,3}").ok()
});

/// Notes the sinks of a source.
pub fn inspect(inspection: &mut Inspection<'_>, text: &str) {
    let (sinks, whole) = read(text);
    if !whole {
        inspection.issue("not_inspected", "a part of the Python source nests deeper than Python itself allows");
    }
    // Configuration is read from the environment everywhere; it matters beside something else.
    if sinks.iter().any(|sink| !sink.starts_with("os.environ") && sink != "os.getenv") {
        for sink in &sinks {
            inspection.list("artifact.code.sinks", sink);
        }
    }
}

/// A line without its texts and comments.
pub fn skeleton(line: &str) -> String {
    let code = pieces::strip(line);
    let kept = code.bytes().zip(line.bytes()).filter(|(code, line)| code == line);
    kept.map(|(code, _)| char::from(code)).collect()
}

/// The calls of a source that matter, by their full names.
pub fn sinks_of(text: &str) -> Vec<String> {
    read(text).0
}

/// Sinks, and whether all of the source could be parsed. Errors of syntax are stepped over: an
/// interpreter of another version may know better.
fn read(text: &str) -> (Vec<String>, bool) {
    let mut calls = calls::Calls::default();
    let mut whole = true;
    for (range, sound) in pieces::pieces(text) {
        if !sound {
            whole = false;
            continue;
        }
        let piece = text.get(range).unwrap_or_default();
        let parsed = ruff_python_parser::parse_unchecked_source(piece, PySourceType::Python);
        calls.visit_body(parsed.suite());
    }
    (calls.sinks, whole)
}

/// True when a text without a telling name is most likely Python.
pub fn looks_like(text: &str) -> bool {
    let lines = text.lines().take(200).filter(|line| {
        let import = line.starts_with("import ") || (line.starts_with("from ") && line.contains(" import "));
        import || (line.starts_with("def ") || line.starts_with("class ")) && line.trim_end().ends_with(':')
    });
    lines.count() >= 2
}

/// True for metadata that holds code or the address of a bare host.
pub fn holds_code(text: &str) -> bool {
    CODE.as_ref().is_some_and(|pattern| pattern.is_match(text))
}
