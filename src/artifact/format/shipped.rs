//! Text files that are shipped with a model: configuration, code, requirements, templates.

mod commands;
mod config;
mod hub;
mod notebook;
mod packaging;
pub mod python;
mod secrets;
mod serialized;
mod serving;
mod targets;

use super::json::{Json, Refused};
use super::{Head, hidden, template, wide};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// How texts that people read end.
const DOCUMENTS: &[&str] = &["md", "markdown", "mdx", "rst", "html", "htm", "adoc", "tex"];

/// Deepest JSON looked at.
const DEPTH_MAX: u32 = 128;
/// Texts that may be pickles, of one file.
const TRIES_MAX: usize = 256;
/// Bytes of a script that somebody wrote.
const SCRIPT_MAX: usize = 1 << 20;
/// Files of tokenizers, by a part of their names.
const VOCABULARIES: &[&str] = &["vocab", "tokenizer", "merges", "tokens", "special_token", "tekken", "unigram", "bpe"];

pub use hub::outside;
pub use notebook::fetches_and_runs;
pub use python::{holds_code, is_shallow};
pub use secrets::{inspect as find_secrets, inspect_from as find_secrets_from, is_random, said as secrets_in};

/// Files that are text by their first bytes: no control characters, and UTF-8 as far as seen; sources of Python are
/// of any encoding.
pub fn identify(head: &Head<'_>) -> bool {
    if is_source(head.name) && wide::is_narrow(head.bytes) {
        return !super::pickle::imports(head);
    }
    if wide::has_mark(head.bytes) {
        let text = wide::decode(head.bytes);
        return text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count() <= 1 && !text.contains('\0');
    }
    let valid = match std::str::from_utf8(head.bytes) {
        Ok(_) => true,
        // The last character may be cut.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    let control = |byte: &u8| *byte < 9 || (14..32).contains(byte) && *byte != 27;
    let texts = valid && !head.bytes.iter().any(control);
    texts && if is_known_text(head) { !super::pickle::imports(head) } else { !super::pickle::identify(head) }
}

/// True for a name by which Python reads a source.
fn is_source(name: &str) -> bool {
    matches!(super::extension(name).as_str(), "py" | "pyi" | "pyw")
}

/// Names and beginnings that are no pickle of protocol 0 unless it imports: most letters are opcodes.
fn is_known_text(head: &Head<'_>) -> bool {
    let file = file_name(head.name);
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let named =
        matches!(extension, "py" | "json" | "md" | "yaml" | "yml" | "jinja" | "jinja2" | "ipynb" | "toml" | "sh");
    named || matches!(head.bytes.trim_ascii_start().first(), Some(b'{' | b'#' | b'<' | b'"'))
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let Some(bytes) = input.whole() else {
        inspection.issue("budget_exceeded", "the text is larger than one item may be: its structure was not looked at");
        let file = file_name(name);
        super::lines::inspect(inspection, input, "text", !VOCABULARIES.iter().any(|word| file.contains(word)));
        return if super::boosters::is_json(input) { "xgboost" } else { "text" };
    };
    let text = if is_source(name) { wide::decode_source(&bytes) } else { wide::decode(&bytes) };
    let file = file_name(name);
    secrets::inspect(inspection, &text);
    pickles(inspection, &text, input);
    let extension = super::extension(&file);
    let trimmed = text.trim_start();
    // A vocabulary holds every character that there is, and JSON is looked at when it is parsed.
    let vocabulary = VOCABULARIES.iter().any(|word| file.contains(word));
    if !vocabulary && !trimmed.starts_with('{') {
        hidden::inspect(inspection, &text, matches!(extension.as_str(), "py" | "pyi" | "sh"));
    }
    match (file.as_str(), extension.as_str()) {
        (_, "pth") => {
            serving::site(inspection, &text);
            "site-path"
        }
        (_, "pbtxt") if file == "config.pbtxt" => {
            serving::triton(inspection, &text);
            "text"
        }
        (_, "py" | "pyi" | "pyw") => {
            inspection.list("artifact.code_files", name);
            python::inspect(inspection, &text, name);
            "python"
        }
        (_, "jinja" | "jinja2" | "j2" | "template") => {
            if file.contains("chat_template") || text.contains("messages") {
                template::inspect(inspection, &text);
            } else {
                template::inspect_other(inspection, &text);
            }
            "jinja"
        }
        ("mlmodel", _) => packaging::mlmodel(inspection, &text),
        (_, "yaml" | "yml") => packaging::yaml(inspection, &text, &file),
        (_, "txt" | "in") if file.contains("requirements") || file.contains("constraints") => {
            packaging::requirements(inspection, &text)
        }
        (_, "pbtxt") => {
            super::tensorflow::text(inspection, &text);
            "text"
        }
        _ if super::oci::is_template(name, &text) => {
            super::oci::prompt(inspection, "template", &text);
            "text"
        }
        _ if trimmed.starts_with('{') || trimmed.starts_with('[') => {
            json(inspection, input, text.as_bytes(), &file, name)
        }
        // A system prompt, or a license.
        _ if super::oci::is_stored(name) => {
            template::prompt(inspection, &text);
            "text"
        }
        ("checkpoint", _) if text.contains("model_checkpoint_path") => {
            super::checkpoint::latest(inspection, &text);
            "text"
        }
        _ if text.starts_with("#!") => {
            if !is_plain_script(&bytes, name) {
                super::executable::look(inspection, &bytes, 0);
            }
            script(inspection, &text, name)
        }
        (_, extension) if is_shell(extension) => script(inspection, &text, name),
        // A page that shows code is none.
        (_, extension) if python::looks_like(&text) && !DOCUMENTS.contains(&extension) => {
            python::inspect(inspection, &text, name);
            "python"
        }
        _ => "text",
    }
}

/// Pickles as text, compressed or not. Configurations of honest libraries hold some: each is judged by what it
/// does, and its being there is no finding.
fn pickles(inspection: &mut Inspection<'_>, text: &str, input: Input<'_>) {
    for (number, found) in super::probe::pickles_in_text(text).enumerate() {
        if number >= TRIES_MAX {
            inspection.issue("budget_exceeded", "more parts of the text look like pickles than are tried");
            return;
        }
        super::probe::encoded(inspection, found.as_str(), input);
    }
}

/// Commands of a script, or the calls of one in Python.
fn script(inspection: &mut Inspection<'_>, text: &str, name: &str) -> &'static str {
    if text.lines().next().is_some_and(|line| line.starts_with("#!") && line.contains("python")) {
        python::inspect(inspection, text, name);
    } else if let Some((deed, line)) = commands::judge(text) {
        let word = match deed {
            // So do the instructions of half of all tools.
            commands::Deed::Installs => return "script",
            commands::Deed::Pipes => "pipes",
            commands::Deed::Endangers => "shell",
        };
        inspection.list("artifact.code.dangers", format!("{word}:{line}"));
    }
    "script"
}

fn is_shell(extension: &str) -> bool {
    matches!(
        extension,
        "sh" | "bash" | "zsh" | "ksh" | "csh" | "fish" | "command" | "sbatch" | "slurm" | "pbs" | "qsub"
    )
}

/// True for a script that is called and sized like one, and holds nothing else: it hides in no data.
fn is_plain_script(bytes: &[u8], name: &str) -> bool {
    is_called_script(name)
        && bytes.len() <= SCRIPT_MAX
        && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'))
}

/// True for a name that a script may have, and no weights.
pub fn is_called_script(name: &str) -> bool {
    let extension = super::extension(name);
    is_shell(&extension)
        || matches!(
            extension.as_str(),
            "" | "py" | "pyx" | "pl" | "rb" | "lua" | "awk" | "js" | "mjs" | "ts" | "r" | "jl" | "php" | "tcl" | "in"
        )
}

fn json(inspection: &mut Inspection<'_>, input: Input<'_>, bytes: &[u8], file: &str, name: &str) -> &'static str {
    let json = match Json::read_python(bytes) {
        Ok(json) => json,
        Err(why) => {
            if file == "schema.json" {
                super::skops::broken(inspection, &String::from_utf8_lossy(bytes));
            }
            let named = matches!(super::extension(file).as_str(), "json" | "ipynb");
            match why {
                Refused::Malformed if named => {
                    inspection.issue("malformed", "the file is no valid JSON, or nested too deeply");
                }
                Refused::Malformed => {}
                Refused::TooLarge => {
                    inspection.issue("budget_exceeded", "the JSON holds more than is kept of one file");
                }
            }
            return if why == Refused::TooLarge { "json" } else { "text" };
        }
    };
    if super::extension(file) == "ipynb" {
        inspection.list("artifact.code_files", name);
        notebook::inspect(inspection, &json);
        return "notebook";
    }
    if super::skops::is_schema(&json) {
        super::skops::inspect(inspection, &json);
    }
    if name.ends_with("MAR-INF/MANIFEST.json") {
        serving::manifest(inspection, &json);
    }
    config::inspect(inspection, &json, file);
    serialized::inspect(inspection, &json);
    hub::inspect(inspection, &json, file);
    super::zarr::describe(inspection, &json, file, input);
    if !VOCABULARIES.iter().any(|word| file.contains(word)) {
        texts(inspection, &json, 0);
        // What is written as an escape is not seen in the text.
        if memchr::memmem::find(bytes, b"\\u00").is_some() || memchr::memmem::find(bytes, b"\\/").is_some() {
            escaped(inspection, &json, input, 0);
        }
    }
    if let Some(part) = super::oci::json(inspection, &json, input) {
        part
    } else if super::boosters::json(inspection, &json, input) {
        "xgboost"
    } else if super::mxnet::symbol(inspection, &json, input) {
        "mxnet"
    } else {
        "json"
    }
}

/// Hidden characters, also those that are written as escapes.
fn texts(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = json.as_text() {
        hidden::inspect(inspection, text, false);
    }
    json.members().iter().for_each(|(_, value)| texts(inspection, value, depth.saturating_add(1)));
    json.items().iter().for_each(|item| texts(inspection, item, depth.saturating_add(1)));
}

fn escaped(inspection: &mut Inspection<'_>, json: &Json, input: Input<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = json.as_text() {
        pickles(inspection, text, input);
    }
    json.members().iter().for_each(|(_, value)| escaped(inspection, value, input, depth.saturating_add(1)));
    json.items().iter().for_each(|item| escaped(inspection, item, input, depth.saturating_add(1)));
}

fn file_name(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase()
}
