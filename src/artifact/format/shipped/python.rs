//! Python sources: calls that execute, reach the network or read the environment, found in the
//! code itself, with comments and texts left out.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

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
    "builtins.exec",
    "builtins.eval",
    "builtins.__import__",
    "sys.settrace",
    "atexit.register",
    "codecs.decode",
    "zlib.decompress",
    "platform.node",
    "getpass.getuser",
];
/// Bytes of the arguments of one call that are looked at.
const ARGUMENTS_MAX: usize = 4096;
/// Builtins that execute text.
const BUILTINS: &[&str] = &["eval", "exec", "compile", "__import__", "execfile"];

static CALL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z_][A-Za-z0-9_]*(?:\s*\.\s*[A-Za-z_][A-Za-z0-9_]*)*\s*[\(\[]?").ok());
static IMPORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?m)^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+([^\n;#]+)|import[ \t]+([^\n;#]+))").ok()
});
static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:os\.(?:system|popen)|subprocess\.|__import__\s*\(|eval\s*\(|exec\s*\(|importlib\.|pickle\.loads|base64\.b64decode|socket\.socket)|<script|\bcurl\s+-|powershell\s+-|javascript:|/bin/(?:ba)?sh\b|https?://[^\s/]*(?:\d{1,3}\.){3}\d{1,3}").ok()
});

/// Notes the sinks of a source.
pub fn inspect(inspection: &mut Inspection<'_>, text: &str) {
    let sinks = sinks_of(text);
    // Configuration is read from the environment everywhere; it matters beside something else.
    if sinks.iter().any(|sink| !sink.starts_with("os.environ") && sink != "os.getenv") {
        for sink in &sinks {
            inspection.list("artifact.code.sinks", sink);
        }
    }
}

/// A line without its texts and comments.
pub fn skeleton(line: &str) -> String {
    let code = strip(line);
    let kept = code.bytes().zip(line.bytes()).filter(|(code, line)| code == line);
    kept.map(|(code, _)| char::from(code)).collect()
}

/// The calls of a source that matter, by their full names.
pub fn sinks_of(text: &str) -> Vec<String> {
    let code = strip(text);
    let aliases = imports(&code);
    let Some(pattern) = CALL.as_ref() else { return Vec::new() };
    let mut sinks: Vec<String> = Vec::new();
    for found in pattern.find_iter(&code) {
        let called = found.as_str().ends_with(['(', '[']);
        let name: String = found.as_str().chars().filter(|c| !c.is_whitespace() && !"([".contains(*c)).collect();
        let (first, rest) = name.split_once('.').map_or((name.as_str(), None), |(first, rest)| (first, Some(rest)));
        let full = match (aliases.get(first), rest) {
            (Some(target), Some(rest)) => format!("{target}.{rest}"),
            (Some(target), None) => target.clone(),
            (None, _) => name.clone(),
        };
        let builtin = called && rest.is_none() && BUILTINS.contains(&full.as_str());
        let environment = full.starts_with("os.environ");
        let sink = (called || environment) && SINKS.iter().any(|sink| full == *sink || sink_prefix(sink, &full));
        let harmless = called && is_harmless(&full, &code, text, found.end());
        if (builtin || sink) && !harmless && !sinks.contains(&full) {
            sinks.push(full);
        }
    }
    sinks
}

/// A call that its own arguments, which begin at `at`, make harmless: tensors alone are loaded, or
/// a constant command only asks about the machine or the repository.
fn is_harmless(full: &str, code: &str, text: &str, at: usize) -> bool {
    let Some(arguments) = code.get(at..).and_then(|code| code.get(..closing(code)?)) else { return false };
    let compact: String = arguments.chars().filter(|c| !c.is_whitespace()).collect();
    if full == "torch.load" {
        return compact.split(',').any(|argument| argument == "weights_only=True");
    }
    let runs = ["subprocess.run", "subprocess.check_output", "subprocess.check_call", "subprocess.call"];
    // Texts are blanked in the code, so nothing but commas is left of a constant list.
    let constant = compact.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if !runs.contains(&full)
        || compact.contains("shell=")
        || compact.contains("executable=")
        || compact.contains("env=")
        || !constant.is_some_and(|(list, after)| {
            list.bytes().all(|byte| byte == b',') && (after.is_empty() || after.starts_with(','))
        })
    {
        return false;
    }
    let list = arguments.find(']').and_then(|end| text.as_bytes().get(at..at.saturating_add(end)));
    let list = String::from_utf8_lossy(list.unwrap_or_default()).into_owned();
    let words: Vec<&str> = list.split(['[', ',']).map(|word| word.trim().trim_matches(['"', '\''])).skip(1).collect();
    matches!(
        words.as_slice(),
        ["nvidia-smi" | "uname" | "lscpu" | "rocm-smi", ..] | ["git", "rev-parse" | "describe", ..]
    )
}

/// Where the bracket that is open at the beginning is closed, within a bound.
fn closing(code: &str) -> Option<usize> {
    let mut depth = 1_u32;
    code.bytes().take(ARGUMENTS_MAX).position(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth = depth.saturating_add(1),
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

fn sink_prefix(sink: &str, full: &str) -> bool {
    let family = sink.ends_with('.') || matches!(sink, "os.exec" | "os.spawn" | "os.environ");
    family && full.starts_with(sink)
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

/// Local names and what they stand for.
fn imports(code: &str) -> HashMap<String, String> {
    let mut aliases = HashMap::new();
    let Some(pattern) = IMPORT.as_ref() else { return aliases };
    for found in pattern.captures_iter(code).take(2000) {
        let from = found.get(1).map(|module| module.as_str());
        let names = found.get(2).or_else(|| found.get(3)).map_or("", |names| names.as_str());
        for name in names.trim_matches(['(', ')', ' ']).split(',') {
            let (target, alias) =
                name.split_once(" as ").map_or((name.trim(), name.trim()), |(name, alias)| (name.trim(), alias.trim()));
            let target = from.map_or_else(|| target.to_owned(), |module| format!("{module}.{target}"));
            if alias != target && !alias.contains('.') {
                aliases.insert(alias.to_owned(), target);
            }
        }
    }
    aliases
}

/// The source with comments and texts blanked, byte for byte as long.
fn strip(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let rest = bytes.get(at..).unwrap_or_default();
        let skip = match byte {
            b'#' => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            b'"' | b'\'' => literal(rest),
            _ => {
                out.push(if byte.is_ascii() { byte } else { b'_' });
                at = at.saturating_add(1);
                continue;
            }
        };
        // As long as before, so that places in the code are places in the text.
        let end = skip.max(1).min(rest.len());
        out.resize(out.len().saturating_add(end), b' ');
        at = at.saturating_add(skip.max(1));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Length of the text literal that begins here.
fn literal(rest: &[u8]) -> usize {
    let Some(quote) = rest.first().copied() else { return 0 };
    let triple = [quote; 3];
    let (open, end): (usize, &[u8]) =
        if rest.starts_with(&triple) { (3, &triple) } else { (1, rest.get(..1).unwrap_or_default()) };
    let mut at = open;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with(end) {
            return at.saturating_add(end.len());
        }
        if open == 1 && tail.starts_with(b"\n") {
            return at;
        }
        at = at.saturating_add(if tail.starts_with(b"\\") { 2 } else { 1 });
    }
    rest.len()
}
