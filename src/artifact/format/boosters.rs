//! Models of gradient boosting: `XGBoost` (JSON, and the binary that it gave up), `LightGBM`'s text,
//! `CatBoost`. They are trees of numbers; what can carry more are attributes, names and parameters.

use super::cursor::{Cursor, Cut, Read};
use super::flatbuffer::Table;
use super::json::Json;
use super::{Head, checkpoint, lines, probe};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Pairs and names of one model.
const ITEMS_MAX: u64 = 100_000;
/// Longest text that is looked at.
const TEXT_MAX: usize = 1 << 20;
/// Deepest object looked at.
const DEPTH_MAX: u32 = 64;

pub fn identify(head: &Head<'_>) -> bool {
    let lightgbm = head.bytes.starts_with(b"tree\n")
        && memchr::memmem::find(head.bytes.get(..256).unwrap_or(head.bytes), b"\nversion=v").is_some();
    let binary = head.bytes.starts_with(b"binf") && head.bytes.get(..140).unwrap_or(head.bytes).contains(&0);
    lightgbm || binary || head.bytes.starts_with(b"bs64\t") || is_catboost(head)
}

fn is_catboost(head: &Head<'_>) -> bool {
    let length = head.bytes.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    head.bytes.starts_with(b"CBM1") && (u64::from(length) <= head.input.len() || super::extension(head.name) == "cbm")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    match input.read(0, 4).as_slice() {
        b"CBM1" => {
            if catboost(inspection, input).is_err() {
                inspection.list("artifact.tensors.anomalies", "out_of_bounds");
                inspection.issue("malformed", "an offset or a length reaches beyond the end");
                probe::search(inspection, input);
            }
            "catboost"
        }
        b"tree" => {
            lines::inspect(inspection, input, "model", true);
            names(inspection, input);
            "lightgbm"
        }
        _ => {
            if binary(inspection, input).is_err() {
                inspection.list("artifact.tensors.anomalies", "out_of_bounds");
                inspection.issue("malformed", "a length reaches beyond the end");
            }
            "xgboost"
        }
    }
}

/// True for the JSON of an `XGBoost` model, whose texts are then looked at.
pub fn json(inspection: &mut Inspection<'_>, json: &Json, input: Input<'_>) -> bool {
    let learner = json.get("learner");
    let is_model = learner.is_some_and(|learner| learner.get("gradient_booster").is_some());
    if is_model {
        texts(inspection, "learner", json, input, 0);
    }
    is_model
}

/// True for the beginning of such JSON, where it is too long to be read whole.
pub fn is_json(input: Input<'_>) -> bool {
    let head = input.read(0, 64);
    head.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"learner\""))
}

/// Texts at any depth, by the key above them.
fn texts(inspection: &mut Inspection<'_>, key: &str, json: &Json, input: Input<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = json.as_text().filter(|text| text.len() >= 8) {
        probe::text(inspection, key, text, input);
    }
    json.members().iter().for_each(|(key, value)| texts(inspection, key, value, input, depth.saturating_add(1)));
    json.items().iter().for_each(|item| texts(inspection, key, item, input, depth.saturating_add(1)));
}

/// The head of a `LightGBM` model: what its features are called, and its parameters at the end.
fn names(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let head = input.read(0, TEXT_MAX);
    let tail = input.read(input.len().saturating_sub(64 << 10), 64 << 10);
    for text in [head, tail] {
        let text = String::from_utf8_lossy(&text).into_owned();
        for line in text.lines() {
            let pair = line.split_once('=').or_else(|| line.strip_prefix('[')?.split_once(": "));
            let pair = pair.or_else(|| line.split_once(':'));
            if let Some((key, value)) = pair.filter(|(key, value)| key.len() < 64 && value.len() >= 8) {
                let numbers = value.bytes().all(|byte| byte.is_ascii_digit() || b" .+-e:[]".contains(&byte));
                // Where it was trained is ordinary, the system's own folders are not.
                if checkpoint::leaves(value.trim_end_matches(']')) {
                    inspection.list("artifact.container.escapes", value.trim_end_matches(']'));
                }
                if !numbers && probe::code(value) {
                    inspection.list("artifact.metadata.suspicious", key);
                }
            }
        }
    }
}

/// `CatBoost`: a flat buffer behind its length, and parts that it names behind that.
fn catboost(inspection: &mut Inspection<'_>, input: Input<'_>) -> Result<(), ()> {
    let mut cursor = Cursor::at(input, 4);
    let length = cursor.number(4).map_err(|_| ())?;
    let core = cursor.span(length).map_err(|_| ())?;
    let end = cursor.position;
    let root = Table::root(core).ok_or(())?;
    for pair in root.tables(2, ITEMS_MAX)? {
        let key = pair.text(0)?;
        let Some(value) = pair.bytes(1)? else { continue };
        let bytes = value.read(0, TEXT_MAX);
        match Json::parse(&bytes) {
            Some(json @ (Json::Map(_) | Json::List(_))) => texts(inspection, &key, &json, input, 0),
            Some(_) | None => {
                probe::value(inspection, &key, &bytes, input);
            }
        }
    }
    let parts = root.vector(3, 4)?.map_or(0, |parts| parts.count);
    if parts == 0 && end < input.len() {
        super::trailing_data(inspection, input, end);
    }
    Ok(())
}

/// The old binary of `XGBoost`: parameters, then the names of objective and booster, and at the end
/// attributes. Only their texts are looked at.
fn binary(inspection: &mut Inspection<'_>, input: Input<'_>) -> Read<()> {
    let mut cursor = Cursor::at(input, 4);
    if input.read(0, 4) == b"bs64" {
        let text = cursor.text(cursor.left(), TEXT_MAX)?;
        probe::text(inspection, "model", &text, input);
        return Ok(());
    }
    // Score, features, classes, and what the file has at its end.
    cursor.skip(12)?;
    let attributes = cursor.number(4)?;
    cursor.skip(120)?;
    for key in ["objective", "booster"] {
        let length = cursor.number(8)?;
        if length > 256 {
            return Err(Cut);
        }
        let name = cursor.text(length, 256)?;
        probe::text(inspection, key, &name, input);
    }
    if attributes > 0 {
        let tail = input.read(input.len().saturating_sub(256 << 10), 256 << 10);
        let text: String =
            tail.iter().map(|byte| if (32..127).contains(byte) { char::from(*byte) } else { '\n' }).collect();
        for piece in text.lines().filter(|piece| piece.len() >= 16) {
            probe::text(inspection, "attributes", piece, input);
        }
    }
    Ok(())
}
