//! Which parts an artifact has: by its format, then by its name.

use super::{Body, Part, chunks, code, graph, imports, keys, layers, members, pins, rows, text, tokens};
use crate::artifact::format::json::Json;
use crate::artifact::format::wide;
use crate::artifact::input::Input;
use crate::base::text::shorten;
use crate::base::yaml;

/// Names of parts, and members in members.
const PLACE_MAX: usize = 300;
const DEPTH_MAX: u32 = 2;

/// What was taken so far.
#[derive(Default)]
pub struct Taking {
    pub parts: Vec<Part>,
    pub cuts: Vec<String>,
    /// The member that is being looked at, with a slash behind it.
    place: String,
}

impl Taking {
    pub fn add(&mut self, place: &str, body: Body) {
        if self.parts.len() <= super::PARTS_MAX {
            let place = shorten(&format!("{}{place}", self.place), PLACE_MAX);
            self.parts.push(Part { place, body });
        }
    }

    /// Says once what is left out.
    pub fn cut(&mut self, what: &str) {
        if self.cuts.len() < super::CUTS_MAX && !self.cuts.iter().any(|known| known == what) {
            self.cuts.push(shorten(what, 300));
        }
    }

    /// Takes a member of a container.
    pub fn member(&mut self, input: Input<'_>, name: &str, format: &str, depth: u32) {
        if depth > DEPTH_MAX {
            self.cut("members nested in members are not in the outline");
            return;
        }
        let before = self.place.clone();
        self.place = shorten(&format!("{before}{name}/"), PLACE_MAX);
        take(self, input, name, format, depth);
        self.place = before;
    }
}

/// What follows the last dot of a name; nothing where there is none.
pub fn ending(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Takes an artifact, or a member of one.
pub fn take(taking: &mut Taking, input: Input<'_>, name: &str, format: &str, depth: u32) {
    if input.len() == 0 {
        return;
    }
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    match format {
        "csv" | "jsonl" | "parquet" | "arrow" | "feather" => rows::take(taking, input, &file, format),
        "onnx" => graph::onnx::take(taking, input),
        "tensorflow" | "savedmodel" => graph::tensorflow::take(taking, input),
        "tflite" => graph::tflite::take(taking, input),
        "gguf" => keys::gguf::take(taking, input),
        "safetensors" => keys::safetensors(taking, input),
        "sentencepiece" => tokens::sentencepiece::take(taking, input),
        "hdf5" => layers::hdf5(taking, input),
        "pickle" | "joblib" | "pytorch-legacy" => imports::take(taking, input, ""),
        "keras" | "pytorch" | "torchscript" | "zip" | "npz" | "skops" | "pt2" | "torch-package" | "mar" => {
            members::zip(taking, input, format, depth);
        }
        "tar" | "nemo" | "pytorch-tar" | "oci-archive" => members::tar(taking, input, depth),
        "jinja" | "text" | "json" | "yaml" | "python" | "script" | "notebook" | "requirements" | "oci-manifest"
        | "oci-config" | "xgboost" | "site-path" | "mlmodel" => texts(taking, input, &file, format),
        // Numbers alone: what differs in them is another comparison's.
        "numpy" | "empty" => {}
        _ => chunks::take(taking, input),
    }
}

/// Files that people write: which family they are of stands in their name, mostly.
fn texts(taking: &mut Taking, input: Input<'_>, file: &str, format: &str) {
    if tokens::text_file(taking, input, file) {
        return;
    }
    let Some(bytes) = input.whole() else {
        // Lists of rows may be long.
        if input.read(0, 64).trim_ascii_start().starts_with(b"[") && ending(file) == "json" {
            return rows::take(taking, input, file, "json");
        }
        taking.cut("the text is larger than one item may be: only its chunks are in the outline");
        chunks::take(taking, input);
        return;
    };
    let text = wide::decode(&bytes);
    let extension = ending(file);
    if pins::is_one(file, format) {
        pins::take(taking, &text, file);
    } else if format == "python" {
        code::python(taking, &text);
    } else if format == "notebook" || extension == "ipynb" {
        match Json::parse_python(&bytes) {
            Some(json) => code::notebook(taking, &json),
            None => chunks::take(taking, input),
        }
    } else if format == "yaml" {
        match yaml::parse_any(&text) {
            Ok(documents) => keys::yaml(taking, &documents, file),
            Err(_) => text::take(taking, "", &text, text::Kind::Document),
        }
    } else if text.trim_start().starts_with(['{', '[']) && !matches!(format, "jinja" | "script") {
        match Json::parse_python(&bytes) {
            Some(json) if layers::is_model(&json) => layers::take(taking, &json),
            Some(json) if rows::is_table(&json) => rows::take(taking, input, file, "json"),
            Some(json) => keys::json(taking, &json, file, format),
            None => text::take(taking, "", &text, text::kind(file, format)),
        }
    } else {
        text::take(taking, "", &text, text::kind(file, format));
    }
}
