//! Images and packaged models (OCI, Docker, Ollama): what their indexes, manifests and configurations say.
//! What the archives of them hold is in `oci/archive.rs`, the filesystems of images in `oci/layer.rs`.

pub mod archive;
pub mod layer;

use super::json::Json;
use super::{places, probe, shipped, template};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;
use crate::event::Sha256;

/// Descriptors in descriptors that are followed.
const DEPTH_MAX: u32 = 8;
/// Where a descriptor says what its bytes are called.
const TITLES: &[&str] = &["org.opencontainers.image.title", "org.cncf.model.filepath", "org.cnai.model.filepath"];
/// Who packages models, by the beginning of a type.
const PACKAGINGS: &[(&str, &str)] = &[
    ("application/vnd.cncf.model.", "modelpack"),
    ("application/vnd.cnai.model.", "modelpack"),
    ("application/vnd.kitops.modelkit.", "kitops"),
    ("application/vnd.docker.ai.", "docker-ai"),
    (OLLAMA, "ollama"),
];
const OLLAMA: &str = "application/vnd.ollama.image.";
/// Where the layers of Windows' base images lie, which may not be given to others.
const WINDOWS: &[&str] = &["https://mcr.microsoft.com/", "https://go.microsoft.com/"];
/// Parts of an Ollama model that speak to it.
const PROMPTS: &[&str] = &["template", "system", "prompt", "messages"];
/// Words of a variable whose value is a secret, and the shortest value that is one.
const SECRETS: &[&str] = &["SECRET", "TOKEN", "PASSWORD", "PASSWD", "APIKEY"];
const SECRET_MIN: usize = 16;

/// Looks at JSON that is part of an image; `None` when it is none.
pub fn json(inspection: &mut Inspection<'_>, json: &Json, input: Input<'_>) -> Option<&'static str> {
    if is_manifest(json) {
        descriptor(inspection, json, input, 0);
        return Some("oci-manifest");
    }
    if is_saved(json) {
        for image in json.items() {
            let layers = image.get("Layers").map(Json::items).unwrap_or_default();
            for path in image.get("Config").into_iter().chain(layers).filter_map(Json::as_text) {
                shipped::outside(inspection, path);
            }
            let sources = image.get("LayerSources").map(Json::members).unwrap_or_default();
            for (_, source) in sources {
                descriptor(inspection, source, input, 0);
            }
        }
        return Some("oci-manifest");
    }
    if is_config(json) {
        config(inspection, json);
        return Some("oci-config");
    }
    None
}

/// An index, or a manifest of any kind.
fn is_manifest(json: &Json) -> bool {
    let kind = json.get("mediaType").and_then(Json::as_text).unwrap_or_default();
    let typed = ["application/vnd.oci.image.", "application/vnd.docker.distribution.", "application/vnd.oci.artifact."]
        .iter()
        .any(|start| kind.starts_with(start));
    let lists = ["manifests", "layers", "blobs"]
        .iter()
        .any(|key| !json.get(key).map(Json::items).unwrap_or_default().is_empty());
    let version = json.get("schemaVersion").and_then(Json::as_u64) == Some(2);
    version && (typed || lists) || typed && lists
}

/// What `docker save` says of the images in its archive.
fn is_saved(json: &Json) -> bool {
    let image = |image: &Json| {
        image.get("Config").is_some_and(|path| path.as_text().is_some()) && image.get("Layers").is_some()
    };
    !json.items().is_empty() && json.items().iter().all(image)
}

/// What an image is run with, or a model is loaded as.
fn is_config(json: &Json) -> bool {
    let layers = |root: &str, ids: &str| json.get(root).and_then(|root| root.get(ids)).is_some();
    let known =
        ["architecture", "os", "config", "model_format", "descriptor"].iter().any(|key| json.get(key).is_some());
    known && (layers("rootfs", "diff_ids") || layers("modelfs", "diffIds")) || is_kit(json)
}

/// The list of files of a model kit.
fn is_kit(json: &Json) -> bool {
    json.get("manifestVersion").is_some()
        && json.get("package").is_some()
        && ["model", "code", "datasets", "docs"].iter().any(|key| json.get(key).is_some())
}

/// The title under which the bytes of a descriptor are written.
fn title(descriptor: &Json) -> Option<&str> {
    let notes = descriptor.get("annotations")?;
    TITLES.iter().find_map(|key| notes.get(key)?.as_text())
}

/// A manifest, and whatever it points to.
fn descriptor(inspection: &mut Inspection<'_>, json: &Json, input: Input<'_>, depth: u32) {
    if depth > DEPTH_MAX {
        inspection.issue("budget_exceeded", "descriptors are nested too deeply; the inner ones were not looked at");
        return;
    }
    for (key, value) in json.members() {
        match (key.as_str(), value) {
            ("mediaType" | "artifactType", Json::Text(kind)) => {
                let list = if key == "mediaType" { "artifact.oci.media_types" } else { "artifact.oci.artifact_types" };
                inspection.list(list, kind);
                for (start, packaging) in PACKAGINGS {
                    if kind.starts_with(start) {
                        inspection.list("artifact.oci.packaging", packaging);
                    }
                }
            }
            ("annotations", Json::Map(notes)) => annotations(inspection, notes, input),
            ("urls", Json::List(urls)) => {
                let own = |url: &&str| WINDOWS.iter().any(|start| url.starts_with(start));
                let foreign = urls.iter().filter_map(Json::as_text).filter(|url| !own(url));
                foreign.for_each(|url| inspection.list("artifact.oci.urls", url));
            }
            // Small bytes may stand in their descriptor.
            ("data", Json::Text(data)) if probe::encoded(inspection, data, input) => {
                inspection.list("artifact.metadata.suspicious", "data");
            }
            ("config" | "subject", Json::Map(_)) => {
                descriptor(inspection, value, input, depth.saturating_add(1));
            }
            ("layers" | "manifests" | "blobs", Json::List(items)) => {
                for layer in items.iter().filter(|_| key != "manifests") {
                    let text = |key: &str| layer.get(key).and_then(Json::as_text).unwrap_or_default();
                    inspection.list("artifact.oci.layers", format!("{}@{}", text("mediaType"), text("digest")));
                }
                for item in items {
                    descriptor(inspection, item, input, depth.saturating_add(1));
                }
            }
            _ => {}
        }
    }
}

fn annotations(inspection: &mut Inspection<'_>, notes: &[(String, Json)], input: Input<'_>) {
    for (key, value) in notes {
        let Some(text) = value.as_text() else { continue };
        if TITLES.contains(&key.as_str()) {
            inspection.list("artifact.oci.titles", text);
            shipped::outside(inspection, text);
        } else if text.len() >= 8 {
            probe::text(inspection, key, text, input);
        }
    }
}

/// The configuration of an image: what it starts, and with which variables.
fn config(inspection: &mut Inspection<'_>, json: &Json) {
    if is_kit(json) {
        kit(inspection, json);
    }
    let Some(config) = json.get("config") else { return };
    let words = |key: &str| -> Vec<&str> {
        let value = config.get(key);
        let items = value.map(Json::items).unwrap_or_default();
        value.and_then(Json::as_text).into_iter().chain(items.iter().filter_map(Json::as_text)).collect()
    };
    let start = [words("Entrypoint"), words("Cmd")].concat().join(" ");
    let health: Vec<&str> = config
        .get("Healthcheck")
        .and_then(|check| check.get("Test"))
        .map(Json::items)
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_text)
        .collect();
    if !start.is_empty() {
        inspection.list("artifact.oci.commands", &start);
    }
    for command in [start, health.join(" "), words("OnBuild").join("\n")] {
        if shipped::fetches_and_runs(&command) {
            inspection.list("artifact.oci.dangers", format!("command:{command}"));
        }
    }
    for variable in words("Env") {
        let Some((name, value)) = variable.split_once('=') else { continue };
        if is_secret(name, value) {
            inspection.list("artifact.secrets", format!("environment:{name}"));
        }
        if name == "LD_PRELOAD" && places::is_shared(value) {
            inspection.list("artifact.oci.dangers", format!("preload:{value}"));
        }
    }
}

/// A variable that says that it is a secret, with a value that looks like one.
fn is_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let says = upper.split('_').any(|word| SECRETS.contains(&word))
        || ["API_KEY", "ACCESS_KEY", "PRIVATE_KEY"].iter().any(|end| upper.ends_with(end));
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic());
    let place = value.contains("://") || value.starts_with(['/', '$', '<', '.']) || upper.ends_with("_FILE");
    says && plain && !place && value.len() >= SECRET_MIN && shipped::is_random(value)
}

/// The paths of a model kit: unpacking writes there.
fn kit(inspection: &mut Inspection<'_>, json: &Json) {
    inspection.list("artifact.oci.packaging", "kitops");
    let parts = ["model", "code", "datasets", "docs", "prompts"].iter().filter_map(|key| json.get(key));
    for part in parts {
        let nested = part.get("parts").map(Json::items).unwrap_or_default();
        for item in std::iter::once(part).chain(part.items()).chain(nested) {
            if let Some(path) = item.get("path").and_then(Json::as_text) {
                // A model may be one of a registry.
                super::zip::escapes(inspection, path);
            }
        }
    }
}

/// True for a blob of Ollama's, whose type only its manifest tells.
pub fn is_stored(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.starts_with("sha256-") && crate::artifact::digest::claimed(name).is_some()
}

/// True for a text among them that is a template, in the language of Go.
pub fn is_template(name: &str, text: &str) -> bool {
    let fields = [".System", ".Prompt", ".Messages", ".Response"];
    is_stored(name) && text.contains("{{") && fields.iter().any(|field| text.contains(field))
}

/// What is said to a model before its user: characters that nobody sees, orders that its user is not to know of.
pub fn prompt(inspection: &mut Inspection<'_>, kind: &str, text: &str) {
    shipped::find_secrets(inspection, text);
    template::prompt(inspection, text);
    let digest = Sha256::of(text.as_bytes());
    if kind == "template" {
        inspection.set("artifact.chat_template.digest", digest.to_string());
    }
    inspection.list("artifact.oci.prompts", format!("{kind}:sha256:{digest}"));
}
