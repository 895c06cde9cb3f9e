//! Files of Hugging Face repositories whose values are imported, fetched or read in the place of
//! another: adapters, pipelines, lists of modules, keys that are written twice.

use super::targets::{self, verdict};
use crate::artifact::format::json::Json;
use crate::artifact::format::pickle::Tier;
use crate::artifact::format::zip;
use crate::artifact::inspection::Inspection;

/// Deepest object looked at.
const DEPTH_MAX: u32 = 64;
/// Keys by which code is found, weights are found, or a conversation is formed.
const DECISIVE: &[&str] = &[
    "auto_map",
    "auto_mapping",
    "trust_remote_code",
    "chat_template",
    "custom_pipelines",
    "_target_",
    "class_name",
    "module",
    "config",
    "registered_name",
    "weight_map",
    "model_type",
    "architectures",
    "base_model_name_or_path",
    "_name_or_path",
    "quantization_config",
    "model_file",
    "parent_library",
    "megatron_core",
    "type",
    "__reduce__",
    "__module__",
    "__class__",
    "__loader__",
    "handler",
];
/// Packages whose classes a pipeline or a list of modules names.
const LIBRARIES: &[&str] =
    &["sentence_transformers", "transformers", "diffusers", "peft", "pylate", "model2vec", "optimum"];

pub fn inspect(inspection: &mut Inspection<'_>, json: &Json, file: &str) {
    twice(inspection, json, 0);
    for key in ["_name_or_path", "base_model_name_or_path"] {
        if let Some(base) = json.get(key).and_then(Json::as_text).filter(|base| !base.is_empty()) {
            inspection.list("artifact.config.base_models", base);
            // A share of another machine is asked with the name and secret of whoever loads.
            let address =
                ["http://", "https://", "ftp://", "smb://", "file://"].iter().any(|scheme| base.starts_with(scheme));
            let hub = base.starts_with("https://huggingface.co/");
            if address && !hub || base.starts_with("\\\\") || base.starts_with("//") {
                inspection.list("artifact.config.foreign_paths", base);
            }
        }
    }
    if json.get("schemaVersion").is_some() {
        digests(inspection, json, 0);
    }
    match file {
        "adapter_config.json" => adapter(inspection, json),
        "modules.json" => modules(inspection, json),
        "model_index.json" => pipeline(inspection, json),
        _ => {}
    }
}

/// A key that decides something and is there twice, with two values: one for each reader.
fn twice(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    let members = json.members();
    for key in DECISIVE {
        let mut values = members.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
        if let Some(first) = values.next()
            && values.any(|value| value != first)
        {
            inspection.list("artifact.config.duplicate_keys", key);
        }
    }
    for value in members.iter().map(|(_, value)| value).chain(json.items()) {
        twice(inspection, value, depth.saturating_add(1));
    }
}

/// What an adapter has its loader import.
fn adapter(inspection: &mut Inspection<'_>, json: &Json) {
    let library = json.get("auto_mapping").and_then(|mapping| mapping.get("parent_library"));
    for module in [library, json.get("megatron_core")].into_iter().flatten().filter_map(Json::as_text) {
        let known = ["transformers", "diffusers", "timm", "sentence_transformers", "megatron", "torch.nn", "__main__"];
        let root = |package: &&str| {
            module == *package || module.strip_prefix(*package).is_some_and(|rest| rest.starts_with(['.', '_']))
        };
        if verdict(&format!("{module}.Class")) == Tier::Dangerous {
            inspection.list("artifact.config.dangerous_targets", module);
        } else if !known.iter().any(root) {
            inspection.list("artifact.remote_code", format!("module:{module}"));
        }
    }
}

/// The classes of a sentence transformer, and the folders in which their files lie.
fn modules(inspection: &mut Inspection<'_>, json: &Json) {
    for module in json.items() {
        if let Some(class) = module.get("type").and_then(Json::as_text) {
            let known = class.split('.').next().is_some_and(|root| LIBRARIES.contains(&root));
            if !known || verdict(class) == Tier::Dangerous {
                targets::target(inspection, class);
            }
        }
        if let Some(path) = module.get("path").and_then(Json::as_text) {
            outside(inspection, path);
        }
    }
}

/// The parts of a diffusers pipeline: each a library and a class.
fn pipeline(inspection: &mut Inspection<'_>, json: &Json) {
    if let Some(code) = json.get("custom_pipeline").and_then(Json::as_text) {
        inspection.list("artifact.remote_code", format!("custom_pipelines:{code}"));
        outside(inspection, code);
    }
    for (key, value) in json.members() {
        let [Json::Text(library), Json::Text(class)] = value.items() else { continue };
        let name = format!("{library}.{class}");
        if key == "_class_name" {
            inspection.list("artifact.remote_code", format!("custom_pipelines:{name}"));
        }
        if verdict(&name) == Tier::Dangerous {
            inspection.list("artifact.config.dangerous_targets", name);
        }
        outside(inspection, key);
    }
}

/// Digests of an image's manifest: one that is a path has its content written there.
fn digests(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in json.members() {
        if let Some(digest) = value.as_text().filter(|digest| key == "digest" && digest.contains(['/', '\\'])) {
            inspection.list("artifact.container.escapes", digest);
        }
        digests(inspection, value, depth.saturating_add(1));
    }
    json.items().iter().for_each(|item| digests(inspection, item, depth.saturating_add(1)));
}

/// A path or address that leads out of the model's folder.
pub fn outside(inspection: &mut Inspection<'_>, path: &str) {
    if path.contains("://") || path.contains('\\') || path.starts_with('~') {
        inspection.list("artifact.container.escapes", path);
    } else {
        zip::escapes(inspection, path);
    }
}
