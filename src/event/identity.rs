//! What bytes are, wherever they lie: two places that say the same of theirs must have the same.

use super::value::{Fields, Value};
use super::{Sha256, field};

/// The field of what a record's bytes are.
pub const FIELD: &str = "ml.artifact.identity";
/// The field of the digest that is promised of them.
pub const CLAIMED: &str = "artifact.claimed_hash";

/// Declared fields.
pub const FIELDS: &[field::Field] = &[field::field(
    FIELD,
    field::FieldType::TextList,
    "What the bytes are, wherever they lie: `git:COMMIT/PATH`, `oci:DIGEST/PATH`, `registry:URL MODEL VERSION PATH` or `at:ADDRESS`, after the server that has it.",
)];

/// A file at a commit of Git; `None` for what is no commit: a branch or tag may lead anywhere.
pub fn of_commit(commit: &str, path: &str) -> Option<String> {
    let digits = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| format!("git:{}/{path}", commit.to_ascii_lowercase()))
}

/// A file of an OCI manifest, by the manifest's digest.
pub fn of_manifest(digest: &str, path: &str) -> String {
    format!("oci:{digest}/{path}")
}

/// A file of a registered version.
pub fn of_version(registry: &str, model: &str, version: &str, path: &str) -> String {
    let registry = registry.trim_end_matches('/');
    let parts = [registry, model, version, path].map(crate::base::uri::encode_path);
    format!("registry:{}", parts.join(" "))
}

/// Whatever lies at an address, which may change unless a version has it. `endpoint`: the server that is asked, where
/// the address does not name it.
pub fn of_address(endpoint: Option<&str>, address: &str) -> String {
    match endpoint {
        Some(endpoint) => format!("at:{} {address}", endpoint.trim_end_matches('/')),
        None => format!("at:{address}"),
    }
}

/// Whether an identity is only an address.
pub fn is_address(identity: &str) -> bool {
    identity.starts_with("at:")
}

/// What the bytes of a record are.
pub fn of(attributes: &Fields) -> Vec<String> {
    let all = attributes.get(FIELD).and_then(Value::as_list).unwrap_or_default();
    all.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// The digest that is promised of a record's bytes.
pub fn promised(attributes: &Fields) -> Option<Sha256> {
    attributes.get(CLAIMED)?.as_text()?.strip_prefix("sha256:")?.parse().ok()
}
