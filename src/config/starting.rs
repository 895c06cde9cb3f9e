//! What an agent does without a file, and the file that `lanner config init` writes.

use std::path::PathBuf;

use super::raw::Config;
use crate::sinks::stdout;
use crate::sources::{filesystem, mlflow};

/// The configuration without a file: `./models`, the Hugging Face cache if there is one, the MLflow
/// server that `MLFLOW_TRACKING_URI` names, alerts on standard output.
///
/// `variable` reads the environment.
pub fn builtin(variable: impl Fn(&str) -> Option<String>) -> Config {
    let mut config = Config::default();
    config.sinks.stdout = Some(stdout::Config::default());
    config.sources.filesystem.push(tree("models", PathBuf::from("models")));
    if let Some(cache) = hub_cache(&variable).filter(|cache| cache.is_dir()) {
        config.sources.filesystem.push(tree("huggingface-cache", cache));
    }
    if let Some(uri) = variable("MLFLOW_TRACKING_URI").filter(|uri| uri.starts_with("http")) {
        config.sources.mlflow.push(mlflow::Config {
            name: "mlflow".to_owned(),
            tracking_uri: Some(uri),
            ..mlflow::Config::default()
        });
    }
    config
}

fn tree(name: &str, path: PathBuf) -> filesystem::Config {
    filesystem::Config { name: name.to_owned(), paths: vec![path], ..filesystem::Config::default() }
}

/// Where the Hugging Face client keeps what it downloads, by its own variables.
fn hub_cache(variable: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    path("HF_HUB_CACHE")
        .or_else(|| path("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/huggingface/hub")))
}

/// A configuration to begin with: what matters, with what it means.
pub const fn example() -> &'static str {
    include_str!("example.yaml")
}
