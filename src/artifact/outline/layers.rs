//! Layers of a Keras model, from its configuration: each by its name, with its class and the digest of its settings.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::packed::{digits, print};
use super::take::Taking;
use super::{Body, Told, members};
use crate::artifact::format::hdf5::object::{self, Place};
use crate::artifact::format::hdf5::{attribute, superblock};
use crate::artifact::format::json::Json;
use crate::artifact::input::Input;
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Layers of one model, and layers in layers.
const LAYERS_MAX: usize = 1200;
const DEPTH_MAX: u32 = 32;
const SHOWN_MAX: usize = 240;
/// Bytes of the attribute that holds a configuration.
const VALUE_MAX: u64 = 16 << 20;
/// Layers that run code of their own, or any operation by its name.
const CODE: &[&str] =
    &["Lambda", "TFOpLambda", "SlicingOpLambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"];
/// Settings under which one layer holds others.
const INNER: &[&str] = &["layer", "forward_layer", "backward_layer", "cell", "cells"];

/// The layers of one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Layers {
    layers: BTreeMap<String, Layer>,
    /// What the model was compiled with.
    #[serde(default)]
    training: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Layer {
    class: String,
    /// Settings without the name, and their digest.
    settings: String,
    digest: String,
    /// Names of what it is connected to, digested.
    wiring: String,
}

/// True for the configuration of a model.
pub fn is_model(json: &Json) -> bool {
    let config = json.get("config");
    json.get("class_name").is_some_and(|class| class.as_text().is_some())
        && config.is_some_and(|config| config.get("layers").is_some() || json.get("keras_version").is_some())
}

pub fn take(taking: &mut Taking, json: &Json) {
    let mut gathering = Gathering { layers: Layers::default(), cut: false };
    gathering.object(json, "", 0);
    if let Some(training) = json.get("compile_config").or_else(|| json.get("training_config")) {
        gathering.layers.training = written(training);
    }
    gathering.finish(taking);
}

/// The configuration that stands in the attributes of an HDF5 file's root.
pub fn hdf5(taking: &mut Taking, input: Input<'_>) {
    let Some(position) = superblock::position(input) else { return };
    let Ok(root) = superblock::read(input, position) else {
        taking.cut("the superblock is broken");
        return;
    };
    let tries = Cell::new(10_000);
    let place = Place { input: input.from(position), offsets: root.offsets, lengths: root.lengths, tries: &tries };
    let mut gathering = Gathering { layers: Layers::default(), cut: false };
    let Ok(object) = object::read(place, root.object) else {
        taking.cut("the root of the file is broken");
        return;
    };
    for found in &object.attributes {
        if !matches!(found.name.as_str(), "model_config" | "training_config") {
            continue;
        }
        for value in attribute::values(place, found, VALUE_MAX) {
            let text = value.trim_ascii_end();
            let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
            let Some(json) = Json::parse_python(text.get(..end).unwrap_or_default()) else { continue };
            if found.name == "model_config" {
                gathering.object(&json, "", 0);
            } else {
                gathering.layers.training = written(&json);
            }
        }
    }
    gathering.finish(taking);
}

struct Gathering {
    layers: Layers,
    cut: bool,
}

impl Gathering {
    fn finish(self, taking: &mut Taking) {
        if self.cut {
            taking.cut("the model has more layers, or deeper ones, than are kept");
        }
        if !self.layers.layers.is_empty() {
            taking.add("", Body::Layers(self.layers));
        }
    }

    /// One object with a class and settings: a layer, or a model of layers.
    fn object(&mut self, json: &Json, above: &str, depth: u32) {
        let Some(class) = json.get("class_name").and_then(Json::as_text) else { return };
        if depth > DEPTH_MAX || self.layers.layers.len() >= LAYERS_MAX {
            self.cut = true;
            return;
        }
        // The first format of all had the layers of a sequence in the place of its settings.
        let config = json.get("config").unwrap_or(json);
        let name = config.get("name").or_else(|| json.get("name")).and_then(Json::as_text).unwrap_or(class);
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        let package =
            json.get("registered_name").or_else(|| json.get("module")).and_then(Json::as_text).unwrap_or_default();
        let mut settings: Vec<String> = Vec::new();
        let mut inner: Vec<&Json> = Vec::new();
        for (key, value) in config.members() {
            match key.as_str() {
                "name" | "build_config" | "compile_config" | "build_input_shape" => {}
                "layers" => inner.extend(value.items()),
                // A wrapped layer stands by itself.
                key if INNER.contains(&key) && value.get("class_name").is_some() => inner.push(value),
                key if INNER.contains(&key) => inner.extend(value.items()),
                key => settings.push(format!("{key}={}", written(value))),
            }
        }
        if config.members().is_empty() {
            inner.extend(config.items());
        }
        settings.sort();
        let all = settings.join(" ");
        let mut wiring = String::new();
        if let Some(nodes) = json.get("inbound_nodes") {
            nodes.write(&mut wiring);
        }
        let layer = Layer {
            class: shorten(
                &if package.is_empty() || package.ends_with(class) || package.starts_with("keras") {
                    class.to_owned()
                } else {
                    format!("{package}>{class}")
                },
                120,
            ),
            digest: digits(print(all.as_bytes())),
            settings: shorten(&all, SHOWN_MAX),
            wiring: digits(print(wiring.as_bytes())),
        };
        let mut key = shorten(&path, 160);
        let mut number = 1_u32;
        while self.layers.layers.contains_key(&key) && number < 1000 {
            number = number.saturating_add(1);
            key = format!("{} ({number})", shorten(&path, 150));
        }
        self.layers.layers.insert(key, layer);
        for below in inner {
            self.object(below, &path, depth.saturating_add(1));
        }
    }
}

fn written(json: &Json) -> String {
    let mut text = String::new();
    json.write(&mut text);
    if text.len() > 2000 { format!("{} #{}", shorten(&text, 200), digits(print(text.as_bytes()))) } else { text }
}

impl Layer {
    fn runs_code(&self) -> bool {
        let bare = self.class.rsplit('>').next().unwrap_or(&self.class);
        CODE.contains(&bare) || self.settings.contains("__lambda__")
    }

    /// Packages of somebody else's, whose classes loading imports.
    fn same(&self, other: &Self) -> bool {
        (&self.class, &self.digest) == (&other.class, &other.digest)
    }
}

pub fn compare(told: &mut Told, place: &str, old: &Layers, new: &Layers) {
    if old.training != new.training && !old.layers.is_empty() && !new.layers.is_empty() {
        let difference =
            Difference::new("layers.training", Grade::Routine, place, "what the model was compiled with differs");
        told.push(difference.texts(shorten(&old.training, 400), shorten(&new.training, 400)));
    }
    // The same layers in the same number, whatever they are called: names are numbered anew with every build.
    let shapes = |layers: &Layers| {
        members::counted(layers.layers.values().map(|layer| format!("{}\0{}", layer.class, layer.digest)))
    };
    if shapes(old) == shapes(new) {
        let wires = |layers: &Layers| {
            layers.layers.iter().map(|(name, layer)| (name.clone(), layer.wiring.clone())).collect::<BTreeMap<_, _>>()
        };
        let names = old.layers.keys().eq(new.layers.keys());
        if names && wires(old) != wires(new) {
            told.say("layers.changed", Grade::Notable, place, "the layers are the same, but are connected otherwise");
        }
        return;
    }
    for (name, layer) in &new.layers {
        let place = format!("{place}{name}");
        let before = old.layers.get(name);
        let known = old.layers.values().any(|other| other.same(layer));
        if layer.runs_code() && !known {
            let words = if before.is_some_and(Layer::runs_code) {
                format!("the code that the `{}` layer runs differs", layer.class)
            } else {
                format!("a `{}` layer runs code of its own, which the old version had not", layer.class)
            };
            let difference = Difference::new("layers.code_added", Grade::Hostile, place, words);
            let shown = before.map(|layer| format!("{} {}", layer.class, layer.settings)).unwrap_or_default();
            told.push(difference.texts(shown, format!("{} {}", layer.class, layer.settings)));
            continue;
        }
        match before {
            None if old.layers.is_empty() => {}
            None => told.say("layers.added", Grade::Notable, place, format!("a `{}` layer was added", layer.class)),
            Some(before) if !before.same(layer) => {
                let what = if before.class == layer.class { "settings" } else { "class" };
                let difference =
                    Difference::new("layers.changed", Grade::Notable, place, format!("the layer has another {what}"));
                told.push(difference.texts(
                    format!("{} {}", before.class, before.settings),
                    format!("{} {}", layer.class, layer.settings),
                ));
            }
            Some(_) => {}
        }
    }
    for (name, layer) in old.layers.iter().filter(|(name, _)| !new.layers.contains_key(*name)) {
        told.say(
            "layers.removed",
            Grade::Notable,
            format!("{place}{name}"),
            format!("the `{}` layer is gone", layer.class),
        );
    }
}
