//! What was approved, with all that is needed to hold other bytes against it, as one document that can be carried
//! to another node.

use serde::{Deserialize, Serialize};

use super::approval::{self, Approval, Origin};
use super::portraits;
use super::{Blob, State, StateError, commit, journal};
use crate::event::{Portrait, Report, Segment, Sha256};

/// What a statement that carries a baseline says that it is.
pub const PREDICATE_TYPE: &str = "https://lanner.dev/attestation/baseline/v1";

/// Approvals, and what is known of the bytes approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    pub approvals: Vec<Approval>,
    pub artifacts: Vec<Artifact>,
}

/// One artifact as it was looked into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artifact {
    pub sha256: Sha256,
    pub size: u64,
    pub hint: String,
    pub report: Report,
    pub segments: Vec<Segment>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_text")]
    pub outline: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_text")]
    pub measured: Option<Vec<u8>>,
}

impl Artifact {
    pub fn portrait(&self) -> Portrait {
        Portrait { outline: self.outline.clone(), measured: self.measured.clone() }
    }
}

impl State {
    /// Everything approved of the models named, of all models when none is.
    pub fn baseline(&self, models: &[String]) -> Result<Baseline, StateError> {
        let mut approvals = self.approvals(None)?;
        approvals.retain(|approval| models.is_empty() || models.contains(&approval.model));
        let mut digests: Vec<Sha256> =
            approvals.iter().flat_map(|approval| &approval.files).map(|file| file.sha256).collect();
        digests.sort();
        digests.dedup();
        let mut artifacts = Vec::new();
        for digest in digests {
            // Bytes that were approved from elsewhere were perhaps never seen here: their digest is enough.
            let Some(Blob { sha256, size, hint, report, segments }) = self.blob(&digest)? else { continue };
            let Portrait { outline, measured } = self.portrait(&digest)?.unwrap_or_default();
            artifacts.push(Artifact { sha256, size, hint, report, segments, outline, measured });
        }
        Ok(Baseline { approvals, artifacts })
    }

    /// Takes over what another node approved. Gives how many approvals were new or changed.
    pub fn import(&self, baseline: &Baseline) -> Result<usize, StateError> {
        let known = self.approvals(None)?;
        // A word about the same bytes that is as new, or newer, holds: an old baseline takes nothing back.
        let settled = |known: &Approval, said: &Approval| {
            (&known.model, &known.version, &known.root) == (&said.model, &said.version, &said.root)
                && (known.status == said.status || known.time >= said.time)
        };
        let mut taken = Vec::new();
        let now = crate::base::clock::now().as_millisecond();
        let mut connection = self.lock();
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for artifact in &baseline.artifacts {
            let Artifact { sha256, size, hint, report, segments, .. } = artifact.clone();
            let id = commit::keep_blob(&transaction, &Blob { sha256, size, hint, report, segments })?;
            portraits::keep(&transaction, id, &artifact.portrait(), now)?;
        }
        // The oldest first, so that the newest word about a version holds.
        for approval in baseline.approvals.iter().rev() {
            if known.iter().any(|known| settled(known, approval)) {
                continue;
            }
            let approval = Approval { origin: Origin::Baseline, ..approval.clone() };
            approval::write(&transaction, &approval, true)?;
            taken.push(journal::Entry { approval, beside: true });
        }
        // Before they count, and only once the database has taken them all.
        journal::append(self.path(), &taken)?;
        transaction.commit()?;
        Ok(taken.len())
    }
}

/// Bytes as base64 in JSON.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::Deserialize as _;
    use serde::{Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "serde asks for this shape")]
    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text)).transpose().map_err(D::Error::custom)
    }
}
