//! `MLmodel`, conda and Python environments, requirements: what loading or serving would install.

use std::sync::LazyLock;

use regex::Regex;
use saphyr_parser::{Event, Parser};

use super::{serialized, targets};
use crate::artifact::format::json::Json;
use crate::artifact::format::pickle::{Tier, judge};
use crate::artifact::format::{places, template, zip};
use crate::artifact::inspection::Inspection;
use crate::base::yaml::{self, Data, Node};

/// Packages and their options as one line each; deeper YAML is not walked.
const DEPTH_MAX: u32 = 16;
/// Targets taken from YAML that cannot be read.
const TARGETS_MAX: usize = 256;
/// Tags by which readers of other languages build objects or functions.
const FOREIGN_TAGS: &[&str] = &["ruby/object", "ruby/hash", "js/function", "php/object", "perl/", "javax.", "com.sun."];

/// Functions that configurations of `MkDocs` name: icons, fences, slugs.
const DOCUMENTATION: &[&str] = &[
    "material.extensions.emoji.twemoji",
    "material.extensions.emoji.to_svg",
    "materialx.emoji.twemoji",
    "materialx.emoji.to_svg",
    "pymdownx.emoji.twemoji",
    "pymdownx.emoji.gemoji",
    "pymdownx.emoji.emojione",
    "pymdownx.emoji.to_svg",
    "pymdownx.emoji.to_png",
    "pymdownx.emoji.to_alt",
    "pymdownx.superfences.fence_code_format",
    "pymdownx.superfences.fence_div_format",
    "pymdownx.superfences.fence_code_formatter",
    "pymdownx.arithmatex.fence_mathjax_format",
    "pymdownx.arithmatex.fence_generic_format",
    "pymdownx.arithmatex.inline_mathjax_format",
    "pymdownx.arithmatex.inline_generic_format",
    "pymdownx.arithmatex.arithmatex_fenced_format",
    "pymdownx.arithmatex.arithmatex_inline_format",
    "pymdownx.slugs.slugify",
    "pymdownx.slugs.uslugify",
    "pymdownx.slugs.uslugify_cased",
    "pymdownx.slugs.gfm",
    "mermaid2.fence_mermaid",
    "mermaid2.fence_mermaid_custom",
    "markdown_exec.formatter",
    "markdown_exec.validator",
];

static TARGET: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?m)["']?_target_["']?[ \t]*:[ \t]*["']?([\w.:]+)"#).ok());

/// MLflow's description of a model.
pub fn mlmodel(inspection: &mut Inspection<'_>, text: &str) -> &'static str {
    let Some(documents) = parse(inspection, text) else { return "yaml" };
    for document in &documents {
        let flavor = document.get("flavors").and_then(|flavors| flavors.get("python_function"));
        if let Some(module) = flavor.and_then(|flavor| flavor.get("loader_module")).and_then(Node::as_text) {
            let standard = module.starts_with("mlflow.")
                && module.split('.').all(|part| part.chars().all(|c| c.is_alphanumeric() || c == '_'));
            if !standard {
                inspection.list("artifact.remote_code", format!("loader_module:{module}"));
                inspection.list("artifact.packaging.dangers", "loader_module");
            }
        }
        each(document, 0, &mut |key, value| {
            let names =
                matches!(key, "code" | "data" | "pickled_model" | "model_data" | "python_model" | "model_code_path");
            if let (true, Some(path)) = (names, value.as_text()) {
                zip::escapes(inspection, path.trim_start_matches('/'));
            }
            if let Some(path) = value.as_text().filter(|path| key.ends_with("path") && places::is_sensitive(path)) {
                inspection.list("artifact.container.escapes", path);
            }
            let holds = matches!(key, "code" | "code_paths" | "code_path" | "model_code_path");
            if let (true, Some(path)) = (holds, value.as_text()) {
                inspection.list("artifact.remote_code", format!("code_paths:{path}"));
            }
        });
    }
    "yaml"
}

/// Any YAML; environments are looked at for what they install.
pub fn yaml(inspection: &mut Inspection<'_>, text: &str, file: &str) -> &'static str {
    let Some(documents) = parse(inspection, text) else { return "yaml" };
    for document in &documents {
        each(document, 0, &mut |key, value| {
            if key == "chat_template" {
                template::inspect(inspection, value.as_text().unwrap_or_default());
            }
        });
        if matches!(file, "conda.yaml" | "conda.yml" | "python_env.yaml" | "environment.yml" | "environment.yaml") {
            environment(inspection, document, 0);
        }
    }
    "yaml"
}

fn parse(inspection: &mut Inspection<'_>, text: &str) -> Option<Vec<Node>> {
    tags(inspection, text);
    match yaml::parse_any(text) {
        Ok(documents) => {
            for document in &documents {
                let json = json(document);
                targets::inspect(inspection, &json);
                serialized::inspect(inspection, &json);
            }
            Some(documents)
        }
        Err(error) => {
            // Other readers forgive more, and build what is named all the same.
            let written = TARGET.as_ref().into_iter().flat_map(|pattern| pattern.captures_iter(text));
            for name in written.take(TARGETS_MAX).filter_map(|found| found.get(1)) {
                targets::target(inspection, name.as_str());
            }
            inspection.issue("malformed", &format!("the YAML cannot be read: {error}"));
            None
        }
    }
}

/// Tags that have a reader build objects of its language.
fn tags(inspection: &mut Inspection<'_>, text: &str) {
    let mut parser = Parser::new_from_str(if yaml::is_bounded(text) { text } else { "" });
    let mut read = yaml::is_bounded(text);
    while let Some(step) = parser.next_event() {
        let tag = match step {
            Ok((Event::Scalar(_, _, _, tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag), _)) => tag,
            Ok(_) => continue,
            Err(_) => {
                read = false;
                break;
            }
        };
        if tag.is_some_and(|tag| builds(&format!("{}{}", tag.handle, tag.suffix))) {
            inspection.list("artifact.packaging.dangers", "yaml_tag");
        }
    }
    // What cannot be read here may be read elsewhere.
    let telling = ["!!python/object", "!!python/name", "!!python/module", "2002:python/object"];
    if !read && telling.iter().any(|tag| text.contains(tag)) {
        inspection.list("artifact.packaging.dangers", "yaml_tag");
    }
}

/// True for a tag that builds or imports what is neither plain data nor a vetted class.
fn builds(tag: &str) -> bool {
    let tag = percent_encoding::percent_decode_str(tag).decode_utf8_lossy();
    let Some((_, python)) = tag.split_once("python/") else {
        return FOREIGN_TAGS.iter().any(|foreign| tag.contains(foreign));
    };
    let (kind, name) = python.split_once(':').unwrap_or((python, ""));
    let (module, class) = name.rsplit_once('.').unwrap_or(("builtins", name));
    if matches!(kind, "name" | "object/apply") && DOCUMENTATION.contains(&name) {
        return false;
    }
    kind.starts_with("object") && judge(module, class) != Tier::Allowed
        || matches!(kind, "name" | "module") && targets::verdict(name) != Tier::Allowed
}

/// An address that anybody on the way can answer, or that has no name.
fn is_open(lower: &str) -> bool {
    let hosts = lower.match_indices("://").filter_map(|(at, _)| {
        let scheme = lower.get(..at)?.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '+').next()?;
        let host = lower.get(at.saturating_add(3)..)?.split(['/', ':', '@', '#']).next()?;
        Some((scheme.rsplit('+').next().unwrap_or(scheme), host))
    });
    let mut open = hosts.map(|(scheme, host)| {
        let number = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let near = matches!(host, "localhost" | "127.0.0.1");
        // pip takes a value right behind a short option: `-fhttp://…`.
        let unsafe_scheme =
            ["http", "ftp", "git"].iter().any(|open| scheme.ends_with(open) && !scheme.ends_with("sftp"));
        !near && (number || unsafe_scheme)
    });
    open.any(|open| open)
}

/// The same without places, for what looks at JSON and YAML alike.
fn json(node: &Node) -> Json {
    match &node.data {
        Data::Null => Json::Null,
        Data::Bool(flag) => Json::Bool(*flag),
        Data::Int(number) => Json::Whole(*number),
        Data::Float(number) => Json::Float(*number),
        Data::Text(text) => Json::Text(text.clone()),
        Data::List(items) => Json::List(items.iter().map(json).collect()),
        Data::Map(members) => Json::Map(
            members.iter().map(|(key, value)| (key.as_text().unwrap_or_default().to_owned(), json(value))).collect(),
        ),
    }
}

fn each(node: &Node, depth: u32, visit: &mut impl FnMut(&str, &Node)) {
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in node.as_map().unwrap_or_default() {
        visit(key.as_text().unwrap_or_default(), value);
        each(value, depth.saturating_add(1), visit);
    }
    node.as_list().unwrap_or_default().iter().for_each(|item| each(item, depth.saturating_add(1), visit));
}

/// Every text in an environment is a requirement or a channel.
fn environment(inspection: &mut Inspection<'_>, node: &Node, depth: u32) {
    match &node.data {
        Data::Text(line) => requirement(inspection, line),
        Data::List(items) if depth < DEPTH_MAX => {
            for item in items {
                environment(inspection, item, depth.saturating_add(1));
            }
        }
        Data::Map(members) if depth < DEPTH_MAX => {
            for (key, value) in members {
                if matches!(key.as_text(), Some("dependencies" | "pip" | "build_dependencies")) {
                    environment(inspection, value, depth.saturating_add(1));
                }
            }
        }
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::List(_) | Data::Map(_) => {}
    }
}

/// A requirements file of pip.
pub fn requirements(inspection: &mut Inspection<'_>, text: &str) -> &'static str {
    for line in text.replace("\\\n", " ").lines() {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if !line.is_empty() && !line.starts_with('#') {
            requirement(inspection, line);
        }
    }
    "requirements"
}

fn requirement(inspection: &mut Inspection<'_>, line: &str) {
    let lower = line.to_ascii_lowercase();
    let mut danger = |code: &str| inspection.list("artifact.packaging.dangers", code);
    // pip takes any beginning of a long option that is unambiguous, and a value right behind a short one.
    let word = lower.split(['=', ' ', '\t']).next().unwrap_or_default();
    let long = |option: &str, least: usize| word.len() >= least && option.starts_with(word);
    let short = |option: &str| word.starts_with(option) && !word.starts_with("--");
    if long("--extra-index-url", 5) {
        danger("extra_index");
    } else if long("--index-url", 5) || long("--pypi-url", 5) || long("--find-links", 4) || short("-i") || short("-f") {
        danger("index");
    } else if long("--trusted-host", 5) {
        danger("trusted_host");
    } else if (long("--requirement", 5) || long("--constraint", 5) || short("-r") || short("-c"))
        && lower.contains("://")
    {
        danger("remote_requirements");
    }
    if is_open(&lower) {
        danger("insecure_url");
    }
    let option = lower.starts_with('-') && !lower.starts_with("-e");
    if ["git+", "hg+", "svn+", "bzr+"].iter().any(|scheme| lower.contains(scheme)) {
        danger("git_url");
    } else if !option && (lower.contains("://") || lower.starts_with("file:")) {
        danger("direct_url");
    }
    if lower.contains("${") || lower.contains("$(") || lower.contains('`') {
        danger("interpolation");
    }
    if !option {
        inspection.list("artifact.requirements", line);
    }
}
