//! Where a version's bytes lie, and whether they can be reached from here.

use std::path::{Path, PathBuf};

use super::Shared;
use crate::sources::models::source_uri::{scheme, traversal};

/// Scheme of what the tracking server serves itself.
const OWN_SCHEME: &str = "mlflow-artifacts";

/// A place of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Path on the tracking server.
    Proxy(String),
    /// A directory or file on a mounted store.
    Local(PathBuf),
    /// A bucket, by its place among those that are mapped, and a path below what it was mapped to.
    Bucket(usize, String),
    /// The text of a prompt, which is a tag of its version.
    Prompt,
    /// A store that the agent has no way to.
    Elsewhere,
}

/// Understands an address; one that climbs leads nowhere. The first mapping that fits counts, those to folders first.
pub fn resolve(uri: &str, shared: &Shared) -> Location {
    if traversal(uri) {
        return Location::Elsewhere;
    }
    let own = match own(uri, shared) {
        Own::No => None,
        Own::Path(path) => Some(path),
        Own::OfAnother => return Location::Elsewhere,
    };
    // One that names the server's host is the same as one that does not.
    let uri = own.map_or_else(|| uri.to_owned(), |path| format!("{OWN_SCHEME}:/{path}"));
    for root in &shared.config.artifact_roots {
        if let Some(rest) = below(&uri, &root.prefix) {
            return Location::Local(join(&root.directory, rest));
        }
    }
    for (index, mapped) in shared.buckets.iter().enumerate() {
        if let Some(rest) = below(&uri, &mapped.prefix) {
            return Location::Bucket(index, rest.trim_matches('/').to_owned());
        }
    }
    own.map_or(Location::Elsewhere, |path| Location::Proxy(path.to_owned()))
}

/// What follows a prefix that ends where a name does.
fn below<'u>(uri: &'u str, prefix: &str) -> Option<&'u str> {
    let rest = uri.strip_prefix(prefix)?;
    (rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/')).then_some(rest)
}

/// Whether an address is one of the tracking server.
enum Own<'u> {
    No,
    /// Path on it.
    Path(&'u str),
    OfAnother,
}

fn own<'u>(uri: &'u str, shared: &Shared) -> Own<'u> {
    if scheme(uri) != OWN_SCHEME {
        return Own::No;
    }
    let (_, rest) = uri.split_once(':').unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !same_host(authority, shared) {
                return Own::OfAnother;
            }
            path
        }
    };
    Own::Path(path.trim_matches('/'))
}

/// Only names go onto the directory; `resolve` has refused `..` already.
fn join(directory: &Path, rest: &str) -> PathBuf {
    directory.join(rest.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect::<PathBuf>())
}

fn same_host(authority: &str, shared: &Shared) -> bool {
    let (host, port) = shared.api.artifact_host();
    let (name, number) = match authority.rsplit_once(':') {
        Some((name, number)) => (name, number.parse().ok()),
        None => (authority, None),
    };
    authority.is_empty() || host == Some(name) && (number.is_none() || number == port)
}
