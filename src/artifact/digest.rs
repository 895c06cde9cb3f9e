//! Stores that keep bytes under their own digest, and whether the bytes are what their name says: the blobs
//! of images, of Ollama, of a registry, of the Hugging Face cache and of Git LFS.

use std::io::Read as _;

use sha2::Digest as _;

use super::input::{Budget, Input, Stream};
use super::inspection::Inspection;
use crate::event::Sha256;

/// Bytes hashed between two questions whether to stop.
const CHUNK: usize = 256 << 10;
/// Beginnings of folders in which the Hugging Face cache keeps a repository.
const REPOSITORIES: [&str; 3] = ["models--", "datasets--", "spaces--"];

/// The SHA-256 that a path states of its file, as such stores name them. Files that Git itself tracks are
/// named by SHA-1 in the Hugging Face cache, and state nothing here.
pub fn claimed(path: &str) -> Option<Sha256> {
    let mut parts = path.rsplit('/');
    let mut next = || parts.next().unwrap_or_default();
    let (file, folder, second, third, fourth) = (next(), next(), next(), next(), next());
    let digits = match folder {
        "sha256" if second == "blobs" => file,
        "blobs" if REPOSITORIES.iter().any(|start| second.starts_with(start)) => file,
        "blobs" => file.strip_prefix("sha256-")?,
        _ if file == "data" && third == "sha256" && fourth == "blobs" => folder,
        _ if third == "objects" && fourth == "lfs" && file.get(..4) == Some(&[second, folder].concat()) => file,
        _ => return None,
    };
    digest(digits)
}

/// True for the path of a blob among which the layers of images are kept.
pub fn is_blob(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    claimed(path).is_some() && (path.ends_with(&["blobs/sha256/", file].concat()) || file == "data")
}

/// A digest of 64 digits, with or without its algorithm.
pub fn digest(text: &str) -> Option<Sha256> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let whole = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    whole.then(|| digits.parse().ok()).flatten()
}

/// What of a name decides how a file is looked at, beside its bytes.
pub fn hint(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    match claimed(path) {
        Some(claim) => format!("sha256:{claim}/{file}"),
        None => file,
    }
}

/// The digest of all bytes, read in order at no cost to the budget, as the pass that hashes a file does;
/// `None` when they cannot be read, or the time is over.
pub fn sha256(input: Input<'_>) -> Option<Sha256> {
    if is_in_parts(input.budget) && input.len() > input.budget.limits.item_bytes_max {
        return None;
    }
    let mut stream = Stream::new(input);
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut total = 0_u64;
    loop {
        if input.budget.limits.stop.now() {
            return None;
        }
        let count = stream.read(&mut buffer).ok()?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count)?);
        total = total.saturating_add(count as u64);
    }
    (total == input.len()).then(|| Sha256::from_bytes(hasher.finalize().into()))
}

/// Whether bytes are fetched as they are read, so that reading through them would fetch all.
fn is_in_parts(budget: &Budget) -> bool {
    budget.limits.sweep_bytes_max == 0
}

/// Tells when bytes are not what was said of them; `actual` is their digest.
pub fn compare(inspection: &mut Inspection<'_>, source: &str, said: Sha256, actual: Option<Sha256>) {
    match actual {
        Some(actual) if actual == said => {}
        Some(_) => inspection.list("artifact.digest.mismatches", format!("{source}:sha256:{said}")),
        None if is_in_parts(inspection.budget) => {
            inspection.issue(
                "not_verified",
                "it was read in parts: nothing is known of whether its digest is the one stated",
            );
        }
        None => inspection.issue("unreadable", "not all bytes could be read to compare them with their digest"),
    }
}
