//! The data of each type of event: how one thing stands, as a whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::base::text::{nearest, shorten};
use crate::event::Sha256;

/// Bytes of a name, version or path.
const NAME_MAX: usize = 1_024;
/// Bytes of an address or a description.
const TEXT_MAX: usize = 16 << 10;
/// Entries of `tags` and `aliases`.
const ENTRIES_MAX: usize = 1_000;

pub const MODEL: &str = "io.lanner.model.v1";
pub const VERSION: &str = "io.lanner.version.v1";
pub const ARTIFACT: &str = "io.lanner.artifact.v1";
pub const GONE: &str = "io.lanner.gone.v1";
const TYPES: [&str; 4] = [MODEL, VERSION, ARTIFACT, GONE];

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Model(Model),
    Version(Version),
    Artifact(Artifact),
    Gone(Gone),
}

/// A registered model, with all of its aliases.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    #[serde(rename = "model")]
    pub name: String,
    /// Address of the registry.
    pub registry: Option<String>,
    pub description: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Version by alias.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// Only those who are let in can read it.
    pub private: Option<bool>,
    /// It was so before: nothing happened.
    #[serde(default)]
    pub existing: bool,
}

/// One version of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    pub model: String,
    #[serde(rename = "version")]
    pub number: String,
    pub registry: Option<String>,
    pub description: Option<String>,
    pub stage: Option<String>,
    /// Where its bytes come from.
    pub source: Option<String>,
    /// The run that made it.
    pub run: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Aliases that lead to it.
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub existing: bool,
}

/// Bytes: of a version, which must never change, or at a path that may.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    pub path: String,
    pub model: Option<String>,
    pub version: Option<String>,
    pub registry: Option<String>,
    /// 64 hexadecimal digits.
    #[serde(default, deserialize_with = "sha256")]
    pub sha256: Option<Sha256>,
    /// Bytes.
    pub size: Option<u64>,
    /// Anything that changes with the bytes, where no digest is known.
    pub etag: Option<String>,
    /// Where the bytes can be fetched.
    pub url: Option<String>,
    #[serde(default)]
    pub existing: bool,
}

/// A model, version or artifact that is no longer there, by what named it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    pub model: Option<String>,
    pub version: Option<String>,
    pub path: Option<String>,
}

/// What an event of this type says; an error names the member and what should be there.
pub fn parse(kind: &str, data: Value) -> Result<Data, String> {
    let data = match kind {
        MODEL => Data::Model(read(data)?),
        VERSION => Data::Version(read(data)?),
        ARTIFACT => Data::Artifact(read(data)?),
        GONE => Data::Gone(read(data)?),
        other => {
            let meant = nearest(other, TYPES).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            return Err(format!(
                "`type` is `{}`; understood are {}{meant}",
                shorten(other, 100),
                TYPES.map(|one| format!("`{one}`")).join(", ")
            ));
        }
    };
    data.check()?;
    Ok(data)
}

fn read<T: serde::de::DeserializeOwned>(data: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(data).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { String::new() } else { format!(".{path}") };
        format!("`data{at}`: {}", error.into_inner())
    })
}

fn sha256<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Sha256>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let digits = text.strip_prefix("sha256:").unwrap_or(&text);
    digits.parse().map(Some).map_err(|_| serde::de::Error::custom("it is no digest of 64 hexadecimal digits"))
}

impl Data {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Model(model) => {
                name("model", &model.name)?;
                texts([("registry", &model.registry), ("description", &model.description)])?;
                entries("tags", &model.tags)?;
                entries("aliases", &model.aliases)?;
                for (alias, version) in &model.aliases {
                    name("aliases", alias)?;
                    version_name("aliases", version)?;
                }
                Ok(())
            }
            Self::Version(version) => {
                name("model", &version.model)?;
                version_name("version", &version.number)?;
                texts([("registry", &version.registry), ("description", &version.description)])?;
                texts([("source", &version.source), ("run", &version.run)])?;
                texts([("stage", &version.stage)])?;
                entries("tags", &version.tags)?;
                if version.aliases.len() > ENTRIES_MAX {
                    return Err(format!("`data.aliases` has more than {ENTRIES_MAX} entries"));
                }
                version.aliases.iter().try_for_each(|alias| name("aliases", alias))
            }
            Self::Artifact(artifact) => {
                name("path", &artifact.path)?;
                belongs(artifact.model.as_ref(), artifact.version.as_ref())?;
                texts([("registry", &artifact.registry), ("etag", &artifact.etag), ("url", &artifact.url)])?;
                if artifact.sha256.is_none() && artifact.etag.is_none() && artifact.size.is_none() {
                    return Err("nothing in `data` changes with the bytes; give `sha256`, else `etag` or `size`".into());
                }
                Ok(())
            }
            Self::Gone(gone) => {
                belongs(gone.model.as_ref(), gone.version.as_ref())?;
                match (&gone.model, &gone.version, &gone.path) {
                    (None, _, None) => Err("`data` names nothing; give `model`, `version` or `path`".into()),
                    (_, _, Some(path)) => name("path", path),
                    (Some(_), _, None) => Ok(()),
                }
            }
        }
    }
}

/// A version is always one of a model.
fn belongs(model: Option<&String>, version: Option<&String>) -> Result<(), String> {
    if let Some(model) = model {
        name("model", model)?;
    }
    match (model, version) {
        (None, Some(_)) => Err("`data.model` is missing: of what is it the version?".to_owned()),
        (_, Some(version)) => version_name("version", version),
        (_, None) => Ok(()),
    }
}

fn name(member: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("`data.{member}` is empty"));
    }
    if text.len() > NAME_MAX {
        return Err(format!("`data.{member}` has more than {NAME_MAX} bytes"));
    }
    Ok(())
}

/// Aliases are kept as `alias=version`.
fn version_name(member: &str, text: &str) -> Result<(), String> {
    name(member, text)?;
    if text.contains('=') { Err(format!("`data.{member}` has a version with `=`")) } else { Ok(()) }
}

fn texts<const N: usize>(members: [(&str, &Option<String>); N]) -> Result<(), String> {
    for (member, text) in members {
        if text.as_ref().is_some_and(|text| text.len() > TEXT_MAX) {
            return Err(format!("`data.{member}` has more than {TEXT_MAX} bytes"));
        }
    }
    Ok(())
}

fn entries(member: &str, entries: &BTreeMap<String, String>) -> Result<(), String> {
    if entries.len() > ENTRIES_MAX {
        return Err(format!("`data.{member}` has more than {ENTRIES_MAX} entries"));
    }
    Ok(())
}
