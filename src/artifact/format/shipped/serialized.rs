//! Objects that are written as JSON: by jsonpickle, which imports and calls what it is told to, and by
//! `LangChain`, whose loader builds what has a class and reads secrets from the environment.

use super::targets;
use crate::artifact::format::json::Json;
use crate::artifact::format::pickle::Tier;
use crate::artifact::format::template;
use crate::artifact::inspection::Inspection;

/// Deepest object looked at.
const DEPTH_MAX: u32 = 64;
/// Packages whose classes are messages, prompts, parsers, models and their like.
const LANGCHAIN: &[&str] = &[
    "langchain",
    "langchain_anthropic",
    "langchain_aws",
    "langchain_cohere",
    "langchain_core",
    "langchain_fireworks",
    "langchain_google_genai",
    "langchain_google_vertexai",
    "langchain_groq",
    "langchain_huggingface",
    "langchain_mistralai",
    "langchain_ollama",
    "langchain_openai",
    "langchain_text_splitters",
    "langchain_together",
];
/// Parts of names of what runs commands or code there.
const RUNS: &[&str] =
    &["shell", "bash", "python_repl", "pythonrepl", "pythonast", "palchain", "subprocess", "terminal"];

/// Looks at a whole document.
pub fn inspect(inspection: &mut Inspection<'_>, json: &Json) {
    walk(inspection, json, "", 0);
}

fn walk(inspection: &mut Inspection<'_>, node: &Json, under: &str, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if node.get("lc").and_then(Json::as_u64).is_some() {
        langchain(inspection, node, under);
    }
    for (key, value) in node.members() {
        if let Some(kind) = key.strip_prefix("py/") {
            jsonpickle(inspection, kind, value);
        }
        walk(inspection, value, key, depth.saturating_add(1));
    }
    node.items().iter().for_each(|item| walk(inspection, item, under, depth.saturating_add(1)));
}

fn jsonpickle(inspection: &mut Inspection<'_>, kind: &str, value: &Json) {
    let Some(name) = value.as_text() else { return };
    match kind {
        // Its text is evaluated.
        "repr" => inspection.list("artifact.config.interpolations", format!("py/repr:{name}")),
        "object" | "type" | "class" | "function" => match targets::verdict(name) {
            Tier::Dangerous => inspection.list("artifact.config.dangerous_targets", name),
            Tier::Unlisted if name.contains('.') => {
                inspection.list("artifact.remote_code", format!("py/{kind}:{name}"));
            }
            Tier::Unlisted | Tier::Allowed => {}
        },
        "module" | "mod" if targets::verdict(&format!("{name}.x")) == Tier::Dangerous => {
            inspection.list("artifact.config.dangerous_targets", name);
        }
        _ => {}
    }
}

fn langchain(inspection: &mut Inspection<'_>, node: &Json, under: &str) {
    let parts: Vec<&str> =
        node.get("id").map(Json::items).unwrap_or_default().iter().filter_map(Json::as_text).collect();
    match node.get("type").and_then(Json::as_text) {
        Some("secret") if !parts.is_empty() && !is_secret(under) => {
            inspection.list("artifact.config.environment_secrets", format!("{under}:{}", parts.join(".")));
        }
        Some("constructor") if !parts.is_empty() => {
            let (name, root) = (parts.join("."), parts.first().copied().unwrap_or_default());
            let lower = name.to_ascii_lowercase();
            let family = root.starts_with("langchain");
            // Pickles have no reason to name any of it; here only the way out of it counts.
            let inner = parts.get(1..).unwrap_or_default().join(".");
            let judged = if family { targets::verdict(&format!("_.{inner}")) } else { targets::verdict(&name) };
            if judged == Tier::Dangerous || family && RUNS.iter().any(|word| lower.contains(word)) {
                inspection.list("artifact.config.dangerous_targets", &name);
            } else if !LANGCHAIN.contains(&root) {
                inspection.list("artifact.remote_code", format!("lc:{name}"));
            }
            prompt(inspection, node.get("kwargs"));
        }
        _ => {}
    }
}

/// A prompt in Jinja is a program; one in braces is not.
fn prompt(inspection: &mut Inspection<'_>, arguments: Option<&Json>) {
    let Some(arguments) = arguments else { return };
    let jinja = arguments.get("template_format").and_then(Json::as_text) == Some("jinja2");
    if let Some(text) = arguments.get("template").and_then(Json::as_text).filter(|_| jinja) {
        template::inspect_other(inspection, text);
    }
}

/// An argument that takes a secret.
fn is_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    ["key", "token", "secret", "password", "credential"].iter().any(|word| lower.contains(word))
}
