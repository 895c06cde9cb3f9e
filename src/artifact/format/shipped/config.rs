//! JSON that loaders read: `config.json`, tokenizers, chat templates, indices.

use super::{hub, targets};
use crate::artifact::format::json::Json;
use crate::artifact::format::{keras, template};
use crate::artifact::inspection::Inspection;
use crate::event::Sha256;

/// Deepest object looked at.
const DEPTH_MAX: u32 = 64;

pub fn inspect(inspection: &mut Inspection<'_>, json: &Json, file: &str) {
    walk(inspection, json, 0);
    keras::look(inspection, json);
    targets::inspect(inspection, json);
    if let Some(labels) = json.get("id2label") {
        for (id, label) in labels.members() {
            inspection.list("artifact.config.label_map", format!("{id}={}", label.as_text().unwrap_or_default()));
        }
    }
    for architecture in json.get("architectures").map(Json::items).unwrap_or_default() {
        inspection.list("artifact.config.architectures", architecture.as_text().unwrap_or_default());
    }
    templates(inspection, json);
    if file.ends_with(".index.json") {
        shards(inspection, json);
    }
    if file.starts_with("tokenizer") && json.get("model").is_some() {
        tokenizer(inspection, json);
    }
}

/// The files that hold the weights lie beside their index.
fn shards(inspection: &mut Inspection<'_>, json: &Json) {
    let mut last = "";
    for (_, map) in json.members().iter().filter(|(key, _)| key == "weight_map") {
        for shard in map.members().iter().filter_map(|(_, shard)| shard.as_text()) {
            if shard != last {
                hub::outside(inspection, shard);
                last = shard;
            }
        }
    }
}

/// References to code and duplicate keys, wherever they are.
fn walk(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in json.members() {
        match key.as_str() {
            "auto_map" | "custom_pipelines" => auto_map(inspection, key, value),
            "trust_remote_code" if *value == Json::Bool(true) => {
                inspection.list("artifact.remote_code", "trust_remote_code");
            }
            _ => walk(inspection, value, depth.saturating_add(1)),
        }
    }
    if let Some((key, _)) = duplicate(json) {
        inspection.issue("duplicate_key", &format!("`{key}` is written twice: readers may take different ones"));
    }
    json.items().iter().for_each(|item| walk(inspection, item, depth.saturating_add(1)));
}

fn duplicate(json: &Json) -> Option<&(String, Json)> {
    let mut seen = std::collections::HashSet::new();
    json.members().iter().find(|(key, _)| !seen.insert(key))
}

fn auto_map(inspection: &mut Inspection<'_>, key: &str, value: &Json) {
    for (class, target) in value.members() {
        let targets: Vec<&str> = match target {
            Json::Text(text) => vec![text.as_str()],
            Json::List(items) => items.iter().filter_map(Json::as_text).collect(),
            Json::Map(members) => members.iter().filter_map(|(_, value)| value.as_text()).collect(),
            Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Float(_) => Vec::new(),
        };
        for target in targets {
            // A repository has a name: what is an address or climbs is fetched from, or read at, any place.
            if target.contains("://") || target.split(['/', '\\']).any(|part| part == "..") || target.starts_with('/') {
                inspection.list("artifact.container.escapes", target);
            }
            inspection.list("artifact.remote_code", format!("{key}:{class}={target}"));
        }
    }
}

fn templates(inspection: &mut Inspection<'_>, json: &Json) {
    for (_, value) in json.members().iter().filter(|(key, _)| key == "chat_template") {
        if let Some(text) = value.as_text() {
            template::inspect(inspection, text);
        }
        for text in value.items().iter().filter_map(|item| item.get("template")).filter_map(Json::as_text) {
            template::inspect(inspection, text);
        }
    }
}

fn tokenizer(inspection: &mut Inspection<'_>, json: &Json) {
    let vocabulary = json.get("model").and_then(|model| model.get("vocab"));
    let mut tokens: Vec<(u64, &str)> = match vocabulary {
        Some(Json::Map(members)) => {
            members.iter().map(|(token, id)| (id.as_u64().unwrap_or(u64::MAX), token.as_str())).collect()
        }
        Some(Json::List(items)) => {
            let texts = items.iter().map(|item| item.items().first().unwrap_or(item).as_text().unwrap_or_default());
            texts.enumerate().map(|(id, token)| (id as u64, token)).collect()
        }
        Some(Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Float(_) | Json::Text(_)) | None => Vec::new(),
    };
    tokens.sort_unstable();
    inspection.set("artifact.tokenizer.tokens", tokens.len());
    let mut text = String::new();
    for (id, token) in &tokens {
        text.extend([id.to_string().as_str(), "\t", token, "\n"]);
    }
    inspection.set("artifact.tokenizer.digest", Sha256::of(text.as_bytes()).to_string());
    let mut pipeline = String::new();
    for part in ["normalizer", "pre_tokenizer", "decoder"] {
        json.get(part).unwrap_or(&Json::Null).write(&mut pipeline);
        pipeline.push('\n');
    }
    inspection.set("artifact.tokenizer.pipeline", Sha256::of(pipeline.as_bytes()).to_string());
}
