//! The canonical alert: what every sink renders from.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is: Sigma's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no severity; write informational, low, medium, high or critical"))
    }
}

/// Version of the alert's JSON schema; the first number changes when a reader must change.
pub const SCHEMA_VERSION: &str = "1.0";

/// One alert, in the shape in which it is stored, published as JSON Schema, and rendered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// Version of this schema, for example `1.0`.
    pub schema_version: String,
    /// Deterministic id of this alert: the same finding seen again, also after a crash, has the
    /// same id, so receivers can drop repeats.
    pub id: String,
    /// Groups alerts of one rule about one subject; the id of the finding that stays open.
    pub fingerprint: String,
    /// When the event happened, RFC 3339.
    #[schemars(with = "String")]
    pub time: Timestamp,
    pub severity: Severity,
    pub rule: AlertRule,
    pub subject: super::Subject,
    /// Name of the source.
    pub source: String,
    /// Telemetry origin, for example `mlflow`.
    pub product: String,
    /// Where the bytes lie, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact: Option<super::ArtifactRef>,
    /// SHA-256 of the bytes, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub digest: Option<super::Sha256>,
    pub place: super::Place,
    /// The facts that a person needs to judge the alert: those that the rule matched or lists.
    pub evidence: serde_json::Map<String, serde_json::Value>,
    pub event_id: String,
    /// SHA-256 over the rules that were loaded.
    pub ruleset: String,
}

/// The rule that raised an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertRule {
    /// Short id, for example `REG-001`.
    pub id: String,
    /// The rule's UUID, as Sigma asks.
    pub uuid: String,
    pub title: String,
    /// What it means and what to do.
    pub description: String,
    /// Techniques, `AML.T0018.002`.
    pub atlas: Vec<String>,
    pub atlas_version: String,
    /// Lifecycle phase.
    pub phase: String,
    /// Mitigations, `AML.M0014`.
    pub mitigations: Vec<String>,
}
