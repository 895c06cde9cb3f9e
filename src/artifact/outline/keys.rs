//! Settings: JSON, YAML, metadata of GGUF and safetensors, manifests and configurations of images, each flattened to
//! pairs of a path and a value. What a setting means when it changes stands in `keys/judge.rs`.

pub mod gguf;
mod judge;
mod labels;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::packed::{digits, print};
use super::take::Taking;
use super::text::{self, Kind as Purpose};
use super::{Body, Told};
use crate::artifact::format::json::Json;
use crate::artifact::input::Input;
use crate::base::text::shorten;
use crate::base::yaml;
use crate::event::difference::Difference;

/// Pairs of one file, characters of one value and of one path, and bytes of all of them.
const PAIRS_MAX: usize = 8_000;
const VALUE_MAX: usize = 400;
const PATH_MAX: usize = 240;
const BYTES_MAX: usize = 320 << 10;
const DEPTH_MAX: u32 = 64;
/// Items of a list that stand by themselves; a longer one is digested.
const ITEMS_MAX: usize = 200;
/// Texts of one file that are kept as texts.
const TEXTS_MAX: usize = 64;
/// Header of a safetensors file.
const HEADER_MAX: u64 = 32 << 20;

/// What a file of settings is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purport {
    #[default]
    Config,
    Generation,
    Adapter,
    Preprocessor,
    Tokenizer,
    SpecialTokens,
    AddedTokens,
    Gguf,
    Metadata,
    Manifest,
    Image,
}

/// The settings of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    of: Purport,
    pairs: BTreeMap<String, String>,
}

/// Settings while they are read.
pub struct Builder<'t> {
    taking: &'t mut Taking,
    of: Purport,
    pairs: BTreeMap<String, String>,
    bytes: usize,
    texts: usize,
    cut: bool,
}

impl<'t> Builder<'t> {
    pub fn new(taking: &'t mut Taking, of: Purport) -> Self {
        Self { taking, of, pairs: BTreeMap::new(), bytes: 0, texts: 0, cut: false }
    }

    /// One value; a path that is there twice is kept twice.
    pub fn pair(&mut self, path: &str, value: &str) {
        let mut path = long(path, PATH_MAX);
        let value = long(value, VALUE_MAX);
        let room = path.len().saturating_add(value.len());
        if self.pairs.len() >= PAIRS_MAX || self.bytes.saturating_add(room) > BYTES_MAX {
            self.cut = true;
            return;
        }
        if self.pairs.contains_key(&path) {
            path.push_str(" (again)");
        }
        self.bytes = self.bytes.saturating_add(room);
        self.pairs.insert(path, value);
    }

    /// A text that a model is told is kept as one.
    pub fn text(&mut self, path: &str, value: &str) {
        match purpose(path) {
            Some(kind) if self.texts < TEXTS_MAX && !value.trim().is_empty() => {
                self.texts = self.texts.saturating_add(1);
                text::take(self.taking, &shorten(path, PATH_MAX), value, kind);
            }
            Some(_) | None => self.pair(path, value),
        }
    }

    pub fn json(&mut self, path: &str, json: &Json, depth: u32) {
        if depth > DEPTH_MAX {
            self.cut = true;
            return;
        }
        match json {
            Json::Text(value) => self.text(path, value),
            Json::Map(members) if !members.is_empty() => {
                for (key, value) in members {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.json(&below, value, depth.saturating_add(1));
                }
            }
            Json::List(items) if !items.is_empty() => self.list(path, items, depth),
            Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Float(_) | Json::Map(_) | Json::List(_) => {
                let mut text = String::new();
                json.write(&mut text);
                self.pair(path, &text);
            }
        }
    }

    fn list(&mut self, path: &str, items: &[Json], depth: u32) {
        let scalar = |item: &Json| !matches!(item, Json::List(_) | Json::Map(_));
        // Variables of an image: `NAME=value`.
        if path.ends_with("Env") {
            for (name, value) in items.iter().filter_map(Json::as_text).filter_map(|item| item.split_once('=')) {
                self.pair(&format!("{path}.{name}"), value);
            }
            return;
        }
        if items.iter().all(scalar) || items.len() > ITEMS_MAX {
            let mut text = String::new();
            Json::List(items.iter().take(100_000).cloned().collect()).write(&mut text);
            self.pair(path, &text);
            return;
        }
        for (at, item) in items.iter().enumerate() {
            // Layers are known by what they are, not by where they stand.
            let text = |key: &str| item.get(key).and_then(Json::as_text);
            let below = match (text("digest"), text("name").or_else(|| text("id"))) {
                (Some(digest), _) => {
                    let title = item.get("annotations").and_then(|notes| notes.get("org.opencontainers.image.title"));
                    let title = title.and_then(Json::as_text).map(|title| format!(" {title}")).unwrap_or_default();
                    let kind = text("mediaType").unwrap_or_default();
                    self.pair(&format!("{path}[{kind}{title}@{digest}]"), "present");
                    continue;
                }
                (None, Some(name)) => format!("{path}[{name}]"),
                (None, None) => format!("{path}[{at}]"),
            };
            self.json(&below, item, depth.saturating_add(1));
        }
    }

    pub fn finish(self) {
        if self.cut {
            self.taking.cut("the settings are more, longer or deeper than are kept; the rest is not compared");
        }
        if !self.pairs.is_empty() {
            self.taking.add("", Body::Keys(Keys { of: self.of, pairs: self.pairs }));
        }
    }
}

/// A text as it is; of a longer one the beginning and the digest.
fn long(text: &str, max: usize) -> String {
    if text.len() <= max {
        text.to_owned()
    } else {
        format!("{} #{}", shorten(text, max.saturating_sub(100)), digits(print(text.as_bytes())))
    }
}

/// What a value is told a model for, by the words of its path.
fn purpose(path: &str) -> Option<Purpose> {
    let lower = path.to_ascii_lowercase();
    let last = lower.rsplit('.').next().unwrap_or(&lower);
    let is = |words: &[&str]| words.iter().any(|word| last == *word || last.ends_with(&format!("_{word}")));
    if lower.contains("chat_template") {
        (!last.ends_with("name")).then_some(Purpose::Template)
    } else if is(&["template", "tool_use_template", "prompt_template"]) {
        Some(Purpose::Template)
    } else if is(&[
        "prompt",
        "system",
        "instructions",
        "instruction",
        "persona",
        "system_message",
        "default_system_message",
        "preamble",
    ]) || lower.split('.').any(|part| part == "prompts")
    {
        Some(Purpose::Prompt)
    } else {
        None
    }
}

/// What a file is for, by its name.
fn purport(file: &str, format: &str) -> Purport {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    match format {
        "oci-manifest" => return Purport::Manifest,
        "oci-config" => return Purport::Image,
        _ => {}
    }
    match stem {
        "generation_config" => Purport::Generation,
        "adapter_config" => Purport::Adapter,
        "preprocessor_config"
        | "processor_config"
        | "image_processor_config"
        | "feature_extractor_config"
        | "video_preprocessor_config" => Purport::Preprocessor,
        "tokenizer_config" => Purport::Tokenizer,
        "special_tokens_map" => Purport::SpecialTokens,
        "added_tokens" => Purport::AddedTokens,
        _ => Purport::Config,
    }
}

pub fn json(taking: &mut Taking, json: &Json, file: &str, format: &str) {
    let mut builder = Builder::new(taking, purport(file, format));
    builder.json("", json, 0);
    builder.finish();
}

pub fn yaml(taking: &mut Taking, documents: &[yaml::Node], file: &str) {
    let mut builder = Builder::new(taking, purport(file, "yaml"));
    for (number, document) in documents.iter().enumerate() {
        let path = if number == 0 { String::new() } else { format!("document {number}") };
        let text = document.to_json().to_string();
        if let Some(json) = Json::parse(text.as_bytes()) {
            builder.json(&path, &json, 0);
        } else {
            builder.pair(&path, &text);
        }
    }
    builder.finish();
}

/// The `__metadata__` of a safetensors file; its tensors are compared as weights.
pub fn safetensors(taking: &mut Taking, input: Input<'_>) {
    let length = input.read(0, 8).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if length == 0 || length > HEADER_MAX.min(input.len().saturating_sub(8)) {
        return;
    }
    let Some(header) = input.window(8, length).whole() else { return };
    let Some(json) = Json::parse(&header) else { return };
    let Some(metadata) = json.get("__metadata__") else { return };
    let mut builder = Builder::new(taking, Purport::Metadata);
    builder.json("", metadata, 0);
    builder.finish();
}

pub fn compare(told: &mut Told, place: &str, old: &Keys, new: &Keys) {
    let of = if new.pairs.is_empty() { old.of } else { new.of };
    labels::compare(told, place, &old.pairs, &new.pairs);
    let mut paths: Vec<&String> = old.pairs.keys().chain(new.pairs.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (before, after) = (old.pairs.get(path).map(String::as_str), new.pairs.get(path).map(String::as_str));
        if before == after || labels::is_one(path) {
            continue;
        }
        let (class, grade) = judge::judge(of, path, before, after);
        let words = match (before, after) {
            (None, Some(_)) => format!("`{path}` is new"),
            (Some(_), None) => format!("`{path}` is gone"),
            _ => format!("`{path}` differs"),
        };
        let place = if place.is_empty() { path.clone() } else { format!("{place}{path}") };
        let mut difference = Difference::new(class, grade, place, words);
        difference.before = before.map(str::to_owned);
        difference.after = after.map(str::to_owned);
        told.push(difference);
    }
}
