//! skops: a tree of nodes in JSON, each with the class that it becomes and the loader that makes
//! it. Every name is judged as the global of a pickle is, and every loader by what it may make.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::json::Json;
use super::pickle::{Tier, acts, judge};
use crate::artifact::inspection::Inspection;

/// Deepest node looked at; the parser of JSON itself goes no deeper.
const DEPTH_MAX: u32 = 128;
/// Names taken from a schema that cannot be parsed.
const NAMES_MAX: usize = 4096;

/// What each loader makes: packages, or everything where the name itself decides.
const LOADERS: &[(&str, &[&str])] = &[
    ("ObjectNode", &[]),
    ("FunctionNode", &[]),
    ("TypeNode", &[]),
    ("MethodNode", &[]),
    ("ConstructorFromReduceNode", &[]),
    ("ReduceNode", &[]),
    ("DictNode", &[]),
    ("ListNode", &[]),
    ("SetNode", &[]),
    ("TupleNode", &[]),
    ("CachedNode", &[]),
    ("PartialNode", &["functools.partial"]),
    ("OperatorFuncNode", &["operator"]),
    ("JsonNode", &["builtins"]),
    ("SliceNode", &["builtins.slice"]),
    ("BytesNode", &["builtins.bytes"]),
    ("BytearrayNode", &["builtins.bytearray"]),
    ("DefaultDictNode", &["collections.defaultdict"]),
    ("NdArrayNode", &["numpy"]),
    ("MaskedArrayNode", &["numpy.ma"]),
    ("DTypeNode", &["numpy"]),
    ("RandomStateNode", &["numpy.random"]),
    ("RandomGeneratorNode", &["numpy.random"]),
    ("SparseMatrixNode", &["scipy.sparse"]),
    ("TreeNode", &["sklearn.tree"]),
    ("LossNode", &["sklearn"]),
    ("SGDNode", &["sklearn"]),
    ("BunchNode", &["sklearn.utils"]),
    ("_DictWithDeprecatedKeysNode", &["sklearn"]),
    ("QuantileForestNode", &["quantile_forest"]),
];
/// Functions of `operator` that get an item or an attribute, or calculate; the others call.
const CALLING: &[&str] = &["call", "methodcaller"];

static MODULE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#""__module__"\s*:\s*"([^"\\]{1,200})""#).ok());

/// True for the tree of a skops file.
pub fn is_schema(json: &Json) -> bool {
    json.get("__loader__").is_some() && (json.get("_skops_version").is_some() || json.get("protocol").is_some())
}

/// Looks at every node of a schema.
pub fn inspect(inspection: &mut Inspection<'_>, json: &Json) {
    walk(inspection, json, 0);
}

/// A schema that cannot be parsed: other readers go deeper, so its modules are judged all the same.
pub fn broken(inspection: &mut Inspection<'_>, text: &str) {
    let modules = MODULE.as_ref().into_iter().flat_map(|pattern| pattern.captures_iter(text));
    for module in modules.take(NAMES_MAX).filter_map(|found| found.get(1)) {
        let module = module.as_str();
        if judge(module, "x") == Tier::Dangerous && judge(module, "X") == Tier::Dangerous && module != "builtins" {
            inspection.list("artifact.skops.dangerous", module);
        }
    }
}

fn walk(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if last(json, "__loader__").is_some() {
        node(inspection, json);
    }
    json.members().iter().for_each(|(_, value)| walk(inspection, value, depth.saturating_add(1)));
    json.items().iter().for_each(|item| walk(inspection, item, depth.saturating_add(1)));
}

fn node(inspection: &mut Inspection<'_>, json: &Json) {
    let text = |key: &str| last(json, key).and_then(Json::as_text).unwrap_or_default();
    let (loader, module, class) = (text("__loader__"), text("__module__"), text("__class__"));
    let full = format!("{module}.{class}");
    if loader == "CachedNode" {
        return;
    }
    inspection.list("artifact.skops.types", &full);
    let makes = LOADERS.iter().find(|(known, _)| *known == loader).map(|(_, makes)| *makes);
    let below =
        |package: &&str| full.strip_prefix(*package).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match makes {
        None => inspection.list("artifact.skops.anomalies", format!("unknown_loader:{loader}")),
        Some(makes) if !makes.is_empty() && !makes.iter().any(below) => {
            inspection.list("artifact.skops.anomalies", format!("loader_mismatch:{loader} {full}"));
        }
        Some(_) => {}
    }
    let vetted = Arc::clone(&inspection.budget.limits.vetted);
    match loader {
        // A class that is named lies in the module in which its tree was saved.
        "TypeNode" | "ListNode" | "TupleNode" | "DictNode" | "SetNode" if module == "__main__" => {
            inspection.list("artifact.skops.untrusted", &full);
        }
        "OperatorFuncNode" => operator(inspection, json, class),
        "MethodNode" => method(inspection, json, &full),
        _ => tell(inspection, vetted.lift(module, class, judge(module, class)), &full),
    }
}

fn tell(inspection: &mut Inspection<'_>, tier: Tier, full: &str) {
    match tier {
        Tier::Allowed => {}
        Tier::Dangerous => inspection.list("artifact.skops.dangerous", full),
        Tier::Unlisted => inspection.list("artifact.skops.untrusted", full),
    }
}

/// `operator.X(*attrs)`: an attribute's name may lead anywhere, and a call calls.
fn operator(inspection: &mut Inspection<'_>, json: &Json, class: &str) {
    let full = format!("operator.{class}");
    let mut reaches = CALLING.contains(&class);
    if class == "attrgetter" {
        let mut names = Vec::new();
        texts(last(json, "attrs").unwrap_or(&Json::Null), 0, &mut names);
        reaches |= names.iter().any(|name| name.split('.').any(acts));
    }
    let known = matches!(class, "itemgetter" | "attrgetter");
    let tier = if known { Tier::Allowed } else { judge("operator", class) };
    tell(inspection, if reaches { Tier::Dangerous } else { tier }, &full);
}

/// A bound method: of the object that it claims to be of, and none that acts.
fn method(inspection: &mut Inspection<'_>, json: &Json, full: &str) {
    let content = last(json, "content").unwrap_or(&Json::Null);
    let function = last(content, "func").and_then(Json::as_text).unwrap_or_default();
    let object = last(content, "obj").unwrap_or(&Json::Null);
    let part = |key: &str| last(object, key).and_then(Json::as_text).unwrap_or_default();
    let owner = format!("{}.{}", part("__module__"), part("__class__"));
    // Where an object stands for one that was saved before, its class is there.
    if owner != full && last(object, "__loader__").and_then(Json::as_text) != Some("CachedNode") {
        inspection.list("artifact.skops.anomalies", format!("loader_mismatch:MethodNode {full} of {owner}"));
    }
    if acts(function) {
        inspection.list("artifact.skops.dangerous", format!("{owner}.{function}"));
    }
    let (module, class) = full.rsplit_once('.').unwrap_or((full, ""));
    tell(inspection, judge(module, class), full);
}

/// All texts under a node; a text is kept as JSON in the content of its node.
fn texts(json: &Json, depth: u32, out: &mut Vec<String>) {
    if depth > DEPTH_MAX || out.len() > NAMES_MAX {
        return;
    }
    if let Some(text) = last(json, "content").and_then(Json::as_text) {
        out.push(text.trim_matches('"').to_owned());
    }
    json.members().iter().for_each(|(_, value)| texts(value, depth.saturating_add(1), out));
    json.items().iter().for_each(|item| texts(item, depth.saturating_add(1), out));
}

/// The value that Python takes of a key that is written twice.
fn last<'j>(json: &'j Json, key: &str) -> Option<&'j Json> {
    json.members().iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}
