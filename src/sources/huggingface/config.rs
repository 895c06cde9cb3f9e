//! The settings of a watched hub.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{Address, Kind};
use super::api::Api;
use super::watch::Hub;
use crate::base::environment::variable;
use crate::base::secret;
use crate::sources::{Built, Settings};

/// A source that watches repositories of a Hugging Face Hub. What is left out is taken from the variables that the
/// hub's own client reads: `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// Address of the hub.
    pub endpoint: Option<String>,
    /// File that holds a token with the permission to read.
    pub token_file: Option<PathBuf>,
    /// Repositories: `[datasets/|spaces/]organisation/name[@revision]`. A tag or commit as revision must never change;
    /// a branch, `main` if none is named, may.
    pub repositories: Vec<String>,
    /// Organisations and people of whom all is watched, at `main`: models, with `datasets/` or `spaces/` before the name
    /// those.
    pub authors: Vec<String>,
    /// List everything. The hub allows 500 calls in 5 minutes without a token and 1,000 with one; a listing takes one
    /// call for each author and two for each repository, and one more where something changed.
    pub sweep_interval_secs: u64,
    /// While hints prove to arrive, everything is listed only every so many times. 1 lists it every time.
    pub sweep_stretch_max: u64,
    /// Files that are fetched and looked into: globs on their paths; all if there is none. The digests of large files
    /// are known without that.
    pub fetch: Vec<String>,
    /// Larger files are looked into by parts.
    pub artifact_bytes_max: u64,
    /// Repositories and files that are kept.
    pub records_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "huggingface".to_owned(),
            endpoint: None,
            token_file: None,
            repositories: Vec::new(),
            authors: Vec::new(),
            sweep_interval_secs: 300,
            sweep_stretch_max: 4,
            fetch: Vec::new(),
            artifact_bytes_max: 4 << 30,
            records_max: 200_000,
        }
    }
}

impl Settings for Config {
    fn build(self) -> Built {
        let mut problems = Vec::new();
        if self.repositories.is_empty() && self.authors.is_empty() {
            problems.push("neither `repositories` nor `authors` names anything to watch".to_owned());
        }
        for (name, number) in
            [("sweep_interval_secs", self.sweep_interval_secs), ("sweep_stretch_max", self.sweep_stretch_max)]
        {
            if number == 0 {
                problems.push(format!("`{name}` is 0; write at least 1"));
            }
        }
        let mut addresses = Vec::new();
        for written in &self.repositories {
            match Address::parse(&format!("hf://{}", written.strip_prefix("hf://").unwrap_or(written))) {
                Ok(address) if address.path.is_empty() => addresses.push(address),
                Ok(_) => problems.push(format!("`{written}` names a file; name the repository")),
                Err(problem) => problems.push(problem),
            }
        }
        for author in &self.authors {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let (_, name) = Kind::split(author);
            if name.is_empty() || !name.chars().all(fits) {
                problems.push(format!(
                    "`authors` has `{author}`, which is no name on a hub; write `name`, `datasets/name` or `spaces/name`"
                ));
            }
        }
        let mut fetch = globset::GlobSetBuilder::new();
        for glob in &self.fetch {
            match globset::Glob::new(glob) {
                Ok(glob) => drop(fetch.add(glob)),
                Err(error) => problems.push(format!("`fetch` has the glob `{glob}`: {}", error.kind())),
            }
        }
        let fetch = if self.fetch.is_empty() { None } else { fetch.build().ok() };
        let token = secret::from_file("token_file", self.token_file.as_deref(), &mut problems);
        let api = Api::with(&variable, self.endpoint.as_deref(), token).map_err(|problem| problems.push(problem));
        match api {
            Ok(api) if problems.is_empty() => {
                let sweep = Duration::from_secs(self.sweep_interval_secs);
                Ok(Arc::new(Hub::new(self, addresses, fetch, api, sweep)))
            }
            Ok(_) | Err(()) => Err(problems),
        }
    }
}
