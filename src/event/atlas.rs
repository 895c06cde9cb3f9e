//! MITRE ATLAS identifiers and the lifecycle phases that rules name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The ATLAS release that the shipped rules refer to.
pub const VERSION: &str = "2026.09";

/// A technique, `AML.T0018` or `AML.T0018.002`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TechniqueId(String);

/// A mitigation, `AML.M0014`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MitigationId(String);

/// The text does not have the shape of an ATLAS identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ATLAS identifier")]
pub struct NotAnAtlasId(String);

impl TechniqueId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From a Sigma tag: `atlas.aml.t0018.002`, or the short alias `atlas.t0018.002`.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let id = tag.strip_prefix("atlas.")?;
        let id = id.strip_prefix("aml.").unwrap_or(id);
        format!("AML.{}", id.to_ascii_uppercase()).parse().ok()
    }

    /// The page that describes it.
    pub fn url(&self) -> String {
        format!("https://atlas.mitre.org/techniques/{}", self.0)
    }
}

impl MitigationId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for TechniqueId {
    type Err = NotAnAtlasId;

    fn from_str(text: &str) -> Result<Self, NotAnAtlasId> {
        let valid = text.strip_prefix("AML.T").is_some_and(|rest| match rest.split_once('.') {
            Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
            None => digits(rest, 4),
        });
        if valid { Ok(Self(text.to_owned())) } else { Err(NotAnAtlasId(text.to_owned())) }
    }
}

impl FromStr for MitigationId {
    type Err = NotAnAtlasId;

    fn from_str(text: &str) -> Result<Self, NotAnAtlasId> {
        if text.strip_prefix("AML.M").is_some_and(|rest| digits(rest, 4)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnAtlasId(text.to_owned()))
        }
    }
}

macro_rules! texts {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = NotAnAtlasId;
            fn try_from(text: String) -> Result<Self, NotAnAtlasId> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
texts!(TechniqueId, MitigationId);

/// Phases of the MLOps lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifecyclePhase {
    DesignSetup,
    ModelDevelopment,
    Operations,
}

impl LifecyclePhase {
    pub const ALL: [Self; 3] = [Self::DesignSetup, Self::ModelDevelopment, Self::Operations];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DesignSetup => "design-setup",
            Self::ModelDevelopment => "model-development",
            Self::Operations => "operations",
        }
    }
}
