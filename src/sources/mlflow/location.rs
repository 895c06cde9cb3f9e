//! Where a version's bytes lie, and whether they can be reached from here.

use std::path::{Path, PathBuf};

use super::Shared;
use crate::sources::models::source_uri::{scheme, traversal};

/// A place of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Path on the tracking server.
    Proxy(String),
    /// A directory or file on a mounted store.
    Local(PathBuf),
    /// The text of a prompt, which is a tag of its version.
    Prompt,
    /// A store that the agent has no way to.
    Elsewhere,
}

/// Understands an address; one that climbs leads nowhere.
pub fn resolve(uri: &str, shared: &Shared) -> Location {
    if traversal(uri) {
        return Location::Elsewhere;
    }
    for root in &shared.config.artifact_roots {
        if let Some(rest) = uri.strip_prefix(&root.prefix)
            && (rest.is_empty() || root.prefix.ends_with('/') || rest.starts_with('/'))
        {
            return Location::Local(join(&root.directory, rest));
        }
    }
    if scheme(uri) != "mlflow-artifacts" {
        return Location::Elsewhere;
    }
    let (_, rest) = uri.split_once(':').unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !same_host(authority, shared) {
                return Location::Elsewhere;
            }
            path
        }
    };
    Location::Proxy(path.trim_matches('/').to_owned())
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
