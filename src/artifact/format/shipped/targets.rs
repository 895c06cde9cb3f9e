//! What a Hydra, OmegaConf, NeMo or Lightning configuration has its loader build: every
//! `_target_`, by the tables that judge the globals of a pickle, and what its interpolations run.

use super::python;
use crate::artifact::format::json::Json;
use crate::artifact::format::pickle::{Tier, judge};
use crate::artifact::inspection::Inspection;

/// Deepest object looked at.
const DEPTH_MAX: u32 = 64;
/// References followed from one text to another.
const HOPS_MAX: u32 = 8;
/// Longest text that is put together.
const TEXT_MAX: usize = 4096;
/// References followed for one target.
const REFERENCES_MAX: u32 = 64;

/// Keys whose value the common instantiators import and call.
const CALLED: &[&str] = &["_target_", "_component_", "__target__", "_target"];
/// Keys that do the same for some, and name anything else for others: only what executes is told.
const MAYBE_CALLED: &[&str] = &["class_path", "target", "classpath", "callable", "cls"];
/// Getters that import what lies under another key.
const GETTERS: &[&str] = &["get_class", "get_method", "get_object", "get_static_method", "get_attr"];

/// Packages whose classes and functions configurations name every day.
const VETTED: &[&str] = &[
    "nemo",
    "torch.nn",
    "torch.optim",
    "torch.utils.data",
    "torch.distributions",
    "torchvision.transforms",
    "torchvision.models",
    "torchvision.ops",
    "torchmetrics",
    "torchaudio.transforms",
    "transformers",
    "tokenizers",
    "peft",
    "timm",
    "diffusers",
    "sklearn",
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "megatron",
    "monai.networks",
    "monai.losses",
    "monai.metrics",
    "torch.device",
    "torch.tensor",
    "torch.dtype",
];
/// Packages that the tables of pickles deny for single functions of theirs; a configuration may name
/// the others, after somebody has looked.
const LENIENT: &[&str] = &[
    "accelerate",
    "attr",
    "datasets",
    "diffusers",
    "enum",
    "evaluate",
    "functools",
    "gensim",
    "huggingface_hub",
    "hydra",
    "itertools",
    "json",
    "keras",
    "lightning",
    "logging",
    "mlflow",
    "omegaconf",
    "onnx",
    "onnxruntime",
    "operator",
    "pandas",
    "pytorch_lightning",
    "random",
    "re",
    "rich",
    "sentence_transformers",
    "sklearn",
    "string",
    "tensorboard",
    "tensorflow",
    "textwrap",
    "tf_keras",
    "time",
    "timm",
    "tqdm",
    "transformers",
    "typing",
    "ultralytics",
    "wandb",
    "torch",
    "torchaudio",
    "torchtext",
    "torchvision",
];
/// Modules that execute, and that a name must not walk into by way of another module.
const EXECUTING: &[&str] = &[
    "os",
    "sys",
    "posix",
    "nt",
    "subprocess",
    "builtins",
    "importlib",
    "shutil",
    "socket",
    "pickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "marshal",
    "ctypes",
    "runpy",
    "pty",
    "imp",
    "pkgutil",
    "pdb",
    "bdb",
    "codeop",
    "multiprocessing",
    "webbrowser",
    "commands",
    "popen2",
    "zipimport",
    "cpp_extension",
];
/// Functions of lenient packages that execute, download code or deserialise all the same.
const FUNCTIONS: &[&str] = &[
    "system",
    "popen",
    "exec",
    "eval",
    "Popen",
    "check_output",
    "check_call",
    "run_command",
    "execute_command",
    "import_module",
    "__import__",
    "unsafe_load",
    "spawn",
    "methodcaller",
];
/// Builtins that execute or open, where no module is named.
const BUILTINS: &[&str] = &["eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint"];
/// Functions of lenient packages that do so, by their full names.
const NAMED: &[&str] = &[
    "torch.load",
    "torch.hub.load",
    "torch.hub.load_state_dict_from_url",
    "torch.jit.load",
    "torch.utils.model_zoo.load_url",
    "torch.utils.cpp_extension.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.package.PackageImporter",
    "torch.multiprocessing.spawn",
    "torch.ops.load_library",
    "torch.classes.load_library",
    "pandas.read_pickle",
    "pandas.eval",
    "pandas.io.pickle.read_pickle",
    "hydra.utils.instantiate",
    "hydra.utils.call",
    "hydra._internal.utils._locate",
    "hydra._internal.instantiate._instantiate2.instantiate",
    "keras.models.load_model",
    "keras.utils.get_file",
    "tensorflow.keras.utils.get_file",
    "tensorflow.load_op_library",
    "tensorflow.load_library",
    "tensorflow.io.write_file",
    "tensorflow.py_function",
    "onnx.hub.load",
    "logging.config.fileConfig",
    "mlflow.projects.run",
    "sklearn.utils.estimator_checks.run_tests_without_pandas",
];

/// Looks at a whole configuration; references in it lead to other parts of it.
pub fn inspect(inspection: &mut Inspection<'_>, root: &Json) {
    walk(inspection, root, root, 0);
}

fn walk(inspection: &mut Inspection<'_>, root: &Json, node: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in node.members() {
        match value {
            Json::Text(text) if CALLED.contains(&key.as_str()) => {
                let name = resolved(root, text);
                // What a getter gets is what counts.
                let getter = name.rsplit('.').next().is_some_and(|last| GETTERS.contains(&last));
                let got = ["path", "_args_"].iter().find_map(|key| node.get(key).filter(|_| getter));
                let got = got.and_then(|got| got.items().first().unwrap_or(got).as_text());
                target(inspection, &got.map_or(name, |got| resolved(root, got)));
            }
            Json::Text(text) if MAYBE_CALLED.contains(&key.as_str()) => {
                let name = resolved(root, text);
                if name.contains('.') && verdict(&name) == Tier::Dangerous {
                    target(inspection, &name);
                }
            }
            Json::Text(text) => interpolations(inspection, text),
            Json::List(_) | Json::Map(_) => walk(inspection, root, value, depth.saturating_add(1)),
            Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Float(_) => {}
        }
    }
    for item in node.items() {
        if let Json::Text(text) = item {
            interpolations(inspection, text);
        }
        walk(inspection, root, item, depth.saturating_add(1));
    }
}

/// Tells one target.
pub fn target(inspection: &mut Inspection<'_>, name: &str) {
    let name = name.trim();
    inspection.list("artifact.config.targets", name);
    match verdict(name) {
        Tier::Allowed => {}
        Tier::Dangerous => inspection.list("artifact.config.dangerous_targets", name),
        Tier::Unlisted => inspection.list("artifact.remote_code", format!("_target_:{name}")),
    }
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':'))
}

/// A dotted name by what importing and calling it would do.
pub fn verdict(name: &str) -> Tier {
    if !is_name(name) {
        return Tier::Unlisted;
    }
    let name = name.replace(':', ".");
    let parts: Vec<&str> = name.split('.').collect();
    if parts.len() == 1 {
        // Some importers look for such a name among the builtins.
        return if BUILTINS.contains(&name.as_str()) { Tier::Dangerous } else { Tier::Unlisted };
    }
    let (root, last) = (parts.first().copied().unwrap_or_default(), parts.last().copied().unwrap_or_default());
    let below =
        |package: &&&str| name == **package || name.strip_prefix(**package).is_some_and(|rest| rest.starts_with('.'));
    let dunder = |part: &&str| part.len() > 4 && part.starts_with("__") && part.ends_with("__");
    let executing = |part: &&str| EXECUTING.contains(&part.trim_start_matches('_'));
    let inner = parts.get(1..).unwrap_or_default();
    if NAMED.contains(&name.as_str()) || inner.iter().any(|part| executing(part) || dunder(part)) {
        return Tier::Dangerous;
    }
    if FUNCTIONS.contains(&last) {
        return Tier::Dangerous;
    }
    if VETTED.iter().any(|package| below(&package)) {
        return Tier::Allowed;
    }
    let judged = parts.split_last().map_or(Tier::Unlisted, |(last, module)| judge(&module.join("."), last));
    // Operands decide about these in a pickle; a configuration may nest anything in them.
    let getters =
        matches!(name.as_str(), "builtins.getattr" | "operator.attrgetter" | "functools.reduce" | "builtins.map");
    match judged {
        Tier::Allowed if getters => Tier::Unlisted,
        Tier::Dangerous if LENIENT.contains(&root) => Tier::Unlisted,
        judged => judged,
    }
}

/// A text with the references to other parts of the configuration put in.
fn resolved(root: &Json, text: &str) -> String {
    let mut left = REFERENCES_MAX;
    resolve(root, text, 0, &mut left)
}

fn resolve(root: &Json, text: &str, hops: u32, left: &mut u32) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((reference, tail)) =
            after.split_once('}').filter(|_| hops < HOPS_MAX && *left > 0 && out.len() < TEXT_MAX)
        else {
            out.push_str("${");
            rest = after;
            continue;
        };
        *left = left.saturating_sub(1);
        let plain = reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        let found = reference.split('.').try_fold(root, |node, key| match node {
            Json::List(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => node.get(key),
        });
        // A resolver's default, as in `oc.env:NAME,default`, is what it gives where nothing else is set.
        let default = reference.strip_prefix("oc.env:").and_then(|rest| rest.split_once(',')).map(|(_, value)| value);
        match (found.and_then(Json::as_text).filter(|_| plain), default) {
            (Some(value), _) if value.len() < TEXT_MAX => {
                out.push_str(&resolve(root, value, hops.saturating_add(1), left));
            }
            (_, Some(default)) => out.push_str(default.trim().trim_matches(['\'', '"'])),
            (_, None) => out.extend(["${", reference, "}"]),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Resolvers that run what they are given, with something to run.
fn interpolations(inspection: &mut Inspection<'_>, text: &str) {
    for after in text.split("${").skip(1) {
        let Some((resolver, argument)) = after.split_once(':') else { continue };
        let (resolver, argument) = (resolver.trim(), argument.split('}').next().unwrap_or(argument));
        let runs = matches!(resolver, "shell" | "exec" | "cmd" | "command" | "system" | "run" | "python" | "py");
        let evaluates = resolver.contains("eval") || resolver.contains("lambda");
        // Arithmetic is what such resolvers are for.
        let acts = ["__", "import", "open(", "exec", "system", "popen"].iter().any(|word| argument.contains(word));
        if runs && !argument.is_empty() || evaluates && (acts || python::holds_code(argument)) {
            inspection.list("artifact.config.interpolations", format!("{resolver}:{argument}"));
        }
    }
}
