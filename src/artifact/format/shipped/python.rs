//! Python sources: calls that execute, reach the network or read the environment, found in the syntax
//! tree, whatever the source calls them.

mod calls;
mod constants;
mod context;
mod deeds;
mod encoding;
mod names;
mod origin;
mod persistence;
pub mod pieces;

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

/// Texts in texts that are handed to `exec`.
const EXECUTED_DEPTH: u32 = 3;

/// Notes what a source that somebody may start calls and does; `name` tells whether a loader runs it.
pub fn inspect(inspection: &mut Inspection<'_>, text: &str, name: &str) {
    let loaded = inspection.is_member() || context::is_loaded(name, text);
    note(inspection, text, loaded);
}

/// The same of cells, which nobody but their reader starts.
pub fn inspect_cells(inspection: &mut Inspection<'_>, text: &str) {
    note(inspection, text, false);
}

/// The same of a source that runs without being asked for.
pub fn inspect_loaded(inspection: &mut Inspection<'_>, text: &str) {
    note(inspection, text, true);
}

fn note(inspection: &mut Inspection<'_>, text: &str, loaded: bool) {
    let (text, odd) = encoding::decode(text);
    let found = read(&text, EXECUTED_DEPTH);
    if let Some(odd) = odd {
        inspection.list("artifact.code.dangers", format!("encoding:{odd}"));
    }
    if !found.whole {
        inspection.issue(
            "not_inspected",
            "a statement of the Python source is too long, or nests deeper than Python itself allows",
        );
    }
    if !found.followed {
        inspection
            .issue("budget_exceeded", "the Python source has more names in names, or commands, than are followed");
    }
    for deed in &found.deeds {
        inspection.list("artifact.code.dangers", deed);
    }
    // Configuration is read from the environment everywhere; it matters beside something else.
    if found.sinks.iter().any(|sink| !sink.starts_with("os.environ") && sink != "os.getenv") {
        for sink in &found.sinks {
            inspection.list("artifact.code.sinks", sink);
            if loaded {
                inspection.list("artifact.code.loaded_sinks", sink);
            }
        }
    }
}

pub use pieces::is_shallow;

/// A line without its texts and comments.
pub fn skeleton(line: &str) -> String {
    let code = pieces::strip(line);
    let kept = code.bytes().zip(line.bytes()).filter(|(code, line)| code == line);
    kept.map(|(code, _)| char::from(code)).collect()
}

/// The calls of a source that matter, by their full names.
pub fn sinks_of(text: &str) -> Vec<String> {
    read(text, 0).sinks
}

/// What was read of a source.
struct Found {
    sinks: Vec<String>,
    deeds: Vec<String>,
    /// All of it could be parsed.
    whole: bool,
    /// All names in it were followed.
    followed: bool,
}

/// Errors of syntax are stepped over: an interpreter of another version may know better.
fn read(text: &str, depth: u32) -> Found {
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
    let followed = calls.finish(text.len());
    for program in std::mem::take(&mut calls.deeds.programs).iter().filter(|_| depth > 0) {
        let inner = read(program, depth.saturating_sub(1));
        inner.deeds.into_iter().for_each(|deed| calls.deeds.tell(deed));
    }
    let executed = std::mem::take(&mut calls.deeds.executed);
    for text in executed.iter().filter(|_| depth > 0) {
        let inner = read(text, depth.saturating_sub(1));
        // A text that runs something is there to hide it.
        for sink in inner.sinks.iter().filter(|sink| reaches_out(sink)) {
            calls.deeds.tell(format!("text:{sink}"));
        }
        inner.deeds.into_iter().for_each(|deed| calls.deeds.tell(deed));
        whole &= inner.whole;
    }
    Found { sinks: calls.sinks, deeds: calls.deeds.told, whole, followed }
}

/// Sinks that run something or reach another machine.
fn reaches_out(sink: &str) -> bool {
    let begins = ["socket.", "urllib", "requests.", "httpx.", "ctypes.", "pickle.load", "http.client."];
    deeds::runs(sink) || matches!(sink, "eval" | "exec") || begins.iter().any(|beginning| sink.starts_with(beginning))
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
