//! Settings of the source, and what they mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Api, Connection, Known};
use super::credentials::{self, Basic};
use super::held::Held;
use crate::base::environment::{Environment, variable};
use crate::base::secret::Secret;
use crate::base::{files, http};
use crate::sources::verify::Verify;

/// A password, token or certificate larger than this is none.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A source that watches an OCI registry. Credentials that are not written here are those that `docker login`,
/// `podman login` and `oras login` left.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// The registry, for example `registry.example.com` or `127.0.0.1:5000`.
    pub registry: String,
    /// Names or globs of repositories; none means all that the registry's catalog lists.
    pub repositories: Vec<String>,
    /// Globs of tags; none means all.
    pub tags: Vec<String>,
    /// User of the registry.
    pub username: Option<String>,
    /// File that holds the user's password.
    pub password_file: Option<PathBuf>,
    /// File that holds a bearer token, sent as it is.
    pub token_file: Option<PathBuf>,
    /// Certificates to trust beside those of the system, PEM.
    pub server_cert_path: Option<PathBuf>,
    /// Ask over plain HTTP. A registry on loopback is asked so anyway.
    pub insecure: bool,
    /// List everything.
    pub sweep_interval_secs: u64,
    /// While hints prove to arrive, everything is listed only every so many times. 1 lists it every time.
    pub sweep_stretch_max: u64,
    /// Time for one request.
    pub request_timeout_secs: u64,
    /// Requests in one sweep after the first; repositories that are left are looked at in the next.
    pub requests_max: u64,
    /// Size of one artifact that is fetched whole; larger ones are looked into by parts.
    pub artifact_bytes_max: u64,
    /// Repositories, versions and files that are kept.
    pub records_max: usize,
    /// Tags of one repository.
    pub tags_max: usize,
    /// Also fetch the layers of ordinary images, as modelcars are.
    pub image_layers: bool,
    /// What a version needs before a tag may lead to it.
    pub gate: Gate,
    /// Read the bytes of blobs again, since some registries notice nothing of a changed disk.
    pub verify: Verify,
}

/// Approval, by what lies in or beside a manifest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Globs of tags that ask for it.
    pub tags: Vec<String>,
    /// Annotations that the manifest must have.
    pub required_annotations: Vec<String>,
    /// A signature must lie beside it. Whether it is a good one is asked by `lanner verify`.
    pub signature: bool,
}

impl Default for Gate {
    fn default() -> Self {
        let tags = ["champion", "production", "prod", "stable"];
        Self { tags: tags.map(str::to_owned).to_vec(), required_annotations: Vec::new(), signature: false }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "oci".to_owned(),
            registry: String::new(),
            repositories: Vec::new(),
            tags: Vec::new(),
            username: None,
            password_file: None,
            token_file: None,
            server_cert_path: None,
            insecure: false,
            sweep_interval_secs: 60,
            sweep_stretch_max: 4,
            request_timeout_secs: 30,
            requests_max: 10_000,
            artifact_bytes_max: 16 << 30,
            records_max: 100_000,
            tags_max: 1_000,
            image_layers: false,
            gate: Gate::default(),
            verify: Verify::default(),
        }
    }
}

/// Settings that were checked.
pub struct Checked {
    pub config: Config,
    pub connection: Connection,
    pub held: Held,
    known: Known,
    repositories: GlobSet,
    tags: GlobSet,
    gated: GlobSet,
}

impl Checked {
    /// Checks them, and says all that is wrong.
    pub fn new(config: Config) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        for (name, number) in [
            ("sweep_interval_secs", config.sweep_interval_secs),
            ("sweep_stretch_max", config.sweep_stretch_max),
            ("request_timeout_secs", config.request_timeout_secs),
            ("requests_max", config.requests_max),
            ("records_max", config.records_max as u64),
            ("tags_max", config.tags_max as u64),
        ] {
            if number == 0 {
                problems.push(format!("`{name}` is 0; write at least 1"));
            }
        }
        problems.extend(config.verify.problem());
        if !is_registry(&config.registry) {
            problems.push("`registry` is not a host; write for example `registry.example.com:5000`".to_owned());
        }
        let mut globs = |name: &str, texts: &[String]| {
            set(texts).unwrap_or_else(|error| {
                problems.push(format!("`{name}`: {error}"));
                GlobSet::empty()
            })
        };
        let repositories = globs("repositories", &config.repositories);
        let tags = globs("tags", &config.tags);
        let gated = globs("gate.tags", &config.gate.tags);
        let known = known(&config, &mut problems);
        let authorities =
            config.server_cert_path.as_deref().and_then(|path| read("server_cert_path", path, &mut problems));
        let options = http::Options {
            timeout: Some(Duration::from_secs(config.request_timeout_secs)),
            authorities,
            ..http::Options::default()
        };
        let connection = Connection::new(&config.registry, &options, config.insecure);
        match connection {
            Ok(connection) if problems.is_empty() => {
                Ok(Self { config, connection, held: Held::default(), known, repositories, tags, gated })
            }
            Ok(_) => Err(problems),
            Err(error) => {
                problems.push(format!("`{}` cannot be connected to: {error}", config.name));
                Err(problems)
            }
        }
    }

    /// Whether a repository is watched.
    pub fn watches(&self, repository: &str) -> bool {
        self.config.repositories.is_empty() || self.repositories.is_match(repository)
    }

    /// Whether a tag is looked at.
    pub fn reads(&self, tag: &str) -> bool {
        self.config.tags.is_empty() || self.tags.is_match(tag)
    }

    /// Whether a tag may lead only to what was approved.
    pub fn gated(&self, tag: &str) -> bool {
        let Gate { required_annotations, signature, .. } = &self.config.gate;
        (*signature || !required_annotations.is_empty()) && self.gated.is_match(tag)
    }

    /// The repositories, where all are written by their names: the catalog need not be asked then.
    pub fn named(&self) -> Option<&[String]> {
        let names = &self.config.repositories;
        (!names.is_empty() && names.iter().all(|name| is_repository(name))).then_some(names)
    }

    pub fn repository(&self, name: &str) -> Api {
        Api::repository(&self.connection, name, self.known(name, &variable))
    }

    pub fn catalog(&self) -> Api {
        Api::catalog(&self.connection, self.known("", &variable))
    }

    fn known(&self, repository: &str, environment: Environment<'_>) -> Known {
        match &self.known {
            Known::Nothing => {
                credentials::find(&self.config.registry, repository, environment).map_or(Known::Nothing, Known::Basic)
            }
            known => known.clone(),
        }
    }
}

fn set(texts: &[String]) -> Result<GlobSet, globset::Error> {
    let mut builder = GlobSetBuilder::new();
    for text in texts {
        builder.add(Glob::new(text)?);
    }
    builder.build()
}

fn known(config: &Config, problems: &mut Vec<String>) -> Known {
    let mut secret = |option: &str, path: &Option<PathBuf>| {
        let bytes = read(option, path.as_deref()?, problems)?;
        Some(Secret::new(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n'])))
    };
    let token = secret("token_file", &config.token_file);
    let password = secret("password_file", &config.password_file);
    match (&config.username, password, token) {
        (None, None, None) => Known::Nothing,
        (None, None, Some(token)) => Known::Token(token),
        (Some(user), Some(password), None) => Known::Basic(Basic { user: user.clone(), password }),
        // A file that cannot be read is a problem already.
        _ if !problems.is_empty() => Known::Nothing,
        _ => {
            problems.push("write `username` with `password_file`, or `token_file` alone".to_owned());
            Known::Nothing
        }
    }
}

fn read(option: &str, path: &Path, problems: &mut Vec<String>) -> Option<Vec<u8>> {
    files::read(path, FILE_BYTES_MAX)
        .map_err(|error| problems.push(format!("`{option}`: `{}` cannot be read: {error}", path.display())))
        .ok()
}

/// A host with or without a port, and nothing that could be part of another address.
fn is_registry(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    !text.is_empty() && text.len() <= 255 && text.chars().all(plain)
}

/// A name of a repository, as the distribution specification writes it.
pub fn is_repository(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        part.bytes().all(plain) && part.bytes().next().is_some_and(inner) && part.bytes().last().is_some_and(inner)
    };
    name.len() <= 255 && name.split('/').all(part)
}

/// A tag, as the distribution specification writes it.
pub fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}
