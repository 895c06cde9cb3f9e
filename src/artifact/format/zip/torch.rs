//! What PyTorch's archives hold beside a pickle: TorchScript's code, mobile bytecode, exported
//! programs and packages. Each is run by an interpreter of PyTorch's own when the model runs.

use std::borrow::Cow;

use crate::artifact::format::json::Json;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Deepest JSON looked at.
const DEPTH_MAX: u32 = 128;
/// Where all of it is told.
const FACT: &str = "artifact.torch.operators";

/// Operators of TorchScript that read or write files or call other machines, as its code spells
/// them and as bytecode and graphs name them.
const OPERATORS: &[(&str, &str)] = &[
    ("torch.save(", "aten::save"),
    ("ops.aten.save(", "aten::save"),
    ("torch.from_file(", "aten::from_file"),
    ("ops.aten.from_file(", "aten::from_file"),
    ("ops.image.read_file(", "image::read_file"),
    ("ops.image.write_file(", "image::write_file"),
    ("rpc_async(", "prim::rpc_async"),
    ("rpc_sync(", "prim::rpc_sync"),
    ("rpc_remote(", "prim::rpc_remote"),
];
/// Who brings operators with `PyTorch` and its own libraries.
const DOMAINS: &[&str] = &[
    "aten",
    "prim",
    "prims",
    "quantized",
    "_quantized",
    "prepacked",
    "xnnpack",
    "torchvision",
    "torchaudio",
    "image",
    "video",
    "sparse",
    "mkldnn",
    "mkldnn_prepacked",
    "mkl",
    "onednn",
    "cuda",
    "cudnn",
    "rnn",
    "metal",
    "metal_prepack",
    "vulkan",
    "vulkan_prepack",
    "vulkan_quantized",
    "static_runtime",
    "inductor",
    "profiler",
    "profiling",
    "c10d",
    "c10d_functional",
    "_c10d_functional",
    "quantized_decomposed",
    "torchao",
    "fb",
    "_caffe2",
    "inferred",
];
/// Operators of one member of bytecode, and the longest part of a name.
const OPERATORS_MAX: usize = 100_000;
const NAME_MAX: usize = 120;
/// Parts of the names of custom operators that exist to leave the graph.
const ACTING: &[&str] = &["system", "popen", "exec", "spawn", "shell", "subprocess", "dlopen", "load_library"];
/// What an exported program calls of `torch` itself: arithmetic over sizes, and checks.
const OWN: &[&str] =
    &["torch.ops.", "torch.sym_", "torch._sym_", "torch._check", "torch.fx.experimental.symbolic_shapes."];

/// True for a member that holds raw numbers.
pub fn is_storage(format: &str, file: &str, folder: &str) -> bool {
    let numbered = !file.is_empty() && file.bytes().all(|byte| byte.is_ascii_digit());
    match format {
        "pytorch" | "torchscript" => matches!(folder, "data" | "constants" | "tensors") && numbered,
        "torch-package" => {
            folder == ".data"
                && file.strip_suffix(".storage").is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_digit()))
        }
        "pt2" => matches!(folder, "weights" | "constants") && !file.contains('.'),
        _ => false,
    }
}

/// True for the small notes that PyTorch's own writer adds to every archive.
pub fn is_note(file: &str) -> bool {
    matches!(
        file,
        "version"
            | "byteorder"
            | ".format_version"
            | ".storage_alignment"
            | "serialization_id"
            | "archive_format"
            | "archive_version"
            | "python_version"
            | "extern_modules"
    )
}

/// TorchScript's code: names of operators outside of its texts and comments.
pub fn code(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let Some(bytes) = input.whole() else {
        inspection.issue("budget_exceeded", "the code is larger than one item may be");
        return;
    };
    let text = String::from_utf8_lossy(&bytes);
    let code = bare(&text);
    for (spelt, name) in OPERATORS {
        if code.match_indices(spelt).any(|(at, _)| starts_a_name(&code, at)) {
            inspection.list(FACT, name);
        }
    }
    for (at, _) in code.match_indices("ops.").filter(|(at, _)| starts_a_name(&code, *at)) {
        let rest = code.get(at.saturating_add(4)..).unwrap_or_default();
        let name: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).take(120).collect();
        if acts(&name) {
            inspection.list(FACT, name.replacen('.', "::", 1));
        }
    }
}

/// An operator as bytecode names it: told if it leaves the graph, or somebody has to bring it.
pub fn operator(inspection: &mut Inspection<'_>, name: &str) {
    let (domain, own) = name.split_once("::").unwrap_or_default();
    let plain = own.split('.').next().unwrap_or(own);
    if OPERATORS.iter().any(|(_, known)| known.split_once("::") == Some((domain, plain)))
        || acts(&format!("{domain}.{plain}"))
    {
        inspection.list(FACT, format!("{domain}::{plain}"));
    } else if !DOMAINS.contains(&domain) {
        inspection.list("artifact.torch.foreign", format!("operator:{name}"));
    }
}

/// Bytecode for mobile names its operators as texts of a pickle.
pub fn bytecode(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let Some(bytes) = input.whole() else {
        inspection.issue("budget_exceeded", "the bytecode is larger than one item may be");
        return;
    };
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    for at in memchr::memmem::find_iter(&bytes, b"::").take(OPERATORS_MAX) {
        let (before, after) = bytes.split_at_checked(at).unwrap_or_default();
        let after = after.get(2..).unwrap_or_default();
        // The length of a text may look like a letter in front of it: it tells where the text begins.
        let domain = before.iter().rev().take_while(|byte| word(byte)).count().min(NAME_MAX);
        let own = after.iter().take_while(|byte| word(byte)).count().min(NAME_MAX);
        let text = |domain: usize| {
            let start = at.checked_sub(domain)?;
            let short = bytes.get(start.checked_sub(1)?).map(|byte| usize::from(*byte));
            let long = bytes.get(start.checked_sub(4)?..start).and_then(|length| length.try_into().ok());
            let long = long.and_then(|length| usize::try_from(u32::from_le_bytes(length)).ok());
            let fits = |length: &usize| {
                (domain.saturating_add(3)..=domain.saturating_add(2).saturating_add(own)).contains(length)
            };
            let length = long.filter(fits).or(short.filter(fits))?;
            bytes.get(start..start.checked_add(length)?)
        };
        let name = (1..=domain).rev().find_map(text).and_then(|name| std::str::from_utf8(name).ok());
        if let Some(name) = name {
            operator(inspection, name);
        }
    }
}

/// A program of `torch.export`: what its nodes call, and expressions that its loader evaluates.
pub fn program(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let Some(bytes) = input.whole() else {
        inspection.issue("budget_exceeded", "the program is larger than one item may be");
        return;
    };
    let Some(json) = Json::parse_python(&bytes) else {
        inspection.issue("malformed", "the program is no valid JSON, or nested too deeply");
        return;
    };
    walk(inspection, &json, 0);
}

fn walk(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        inspection.issue("budget_exceeded", "the program is nested too deeply");
        return;
    }
    for (key, value) in json.members() {
        match (key.as_str(), value.as_text()) {
            ("target", Some(target)) => {
                if let Some(found) = target_of(target) {
                    inspection.list(FACT, found);
                }
            }
            ("expr_str", Some(text)) if is_code(text) => inspection.list(FACT, format!("expression:{text}")),
            // Metadata tells of the program's source, with texts of every kind.
            ("metadata", _) => continue,
            _ => {}
        }
        walk(inspection, value, depth.saturating_add(1));
    }
    json.items().iter().for_each(|item| walk(inspection, item, depth.saturating_add(1)));
}

/// What to tell of a node's target: the loader walks from `torch`, `math` or `operator` to it.
fn target_of(target: &str) -> Option<String> {
    let path = target.strip_prefix("torch.ops.");
    if let Some(path) = path {
        let name = path.replacen('.', "::", 1);
        let listed = OPERATORS
            .iter()
            .find(|(_, known)| name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        return listed.map(|(_, known)| (*known).to_owned()).or_else(|| acts(path).then_some(name));
    }
    let operator = target.strip_prefix("_operator.").is_some_and(|name| !name.contains('.') && name != "call");
    let number = target.strip_prefix("math.").is_some_and(|name| !name.contains('.'));
    let own = OWN.iter().any(|known| target.starts_with(known)) && !target.contains("__");
    let walks = target.starts_with("torch") || target.starts_with("_operator") || target.starts_with("math");
    (walks && !operator && !number && !own).then(|| format!("target:{target}"))
}

/// An expression over sizes is arithmetic; sympy, which reads it, evaluates whatever Python is in it.
/// Symbols are named by plain words in quotes.
fn is_code(text: &str) -> bool {
    let plain = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let quoted = text.split('\'').skip(1).step_by(2).all(plain) && text.matches('\'').count().is_multiple_of(2);
    let bytes = text.as_bytes();
    let reaches =
        bytes.windows(2).any(|pair| matches!(pair, [b'.', next] if next.is_ascii_alphabetic() || *next == b'_'));
    let words = ["__", "lambda", "import", "eval(", "exec(", "open(", "getattr("];
    !quoted || reaches || text.contains(['"', '[', '{', '\\', ':', ';']) || words.iter().any(|word| text.contains(word))
}

fn acts(name: &str) -> bool {
    let operator = name.split('.').nth(1).unwrap_or_default();
    let parts: Vec<&str> = operator.split('_').collect();
    ACTING.iter().any(|acting| operator == *acting || parts.contains(acting))
}

/// True where a name begins, and not in the middle of one.
fn starts_a_name(code: &str, at: usize) -> bool {
    let before = code.get(..at).and_then(|text| text.chars().next_back());
    before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '.'))
}

/// Code without the content of its texts and without comments.
fn bare(code: &str) -> Cow<'_, str> {
    if !code.contains(['"', '\'', '#']) {
        return Cow::Borrowed(code);
    }
    let mut out = String::with_capacity(code.len());
    let mut quote = None;
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => {
                if chars.by_ref().any(|c| c == '\n') {
                    out.push('\n');
                }
            }
            (None, _) => out.push(c),
        }
    }
    Cow::Owned(out)
}
