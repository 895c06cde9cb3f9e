//! Credentials where `docker login`, `podman login` and `oras login` leave them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::base::environment::Environment;
use crate::base::files;
use crate::base::secret::Secret;

const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub struct Basic {
    pub user: String,
    pub password: Secret,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    /// Base64 of `user:password`.
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The credentials for a repository, from the first file that has some. Helpers, which are programs, are
/// not run.
pub fn find(registry: &str, repository: &str, environment: Environment<'_>) -> Option<Basic> {
    places(environment).into_iter().find_map(|path| {
        let text = files::read_text(&path, FILE_BYTES_MAX).ok()?;
        let file: File = serde_json::from_str(&text).ok()?;
        // Podman knows credentials for parts of a registry: the nearest counts.
        let mut scope = format!("{registry}/{repository}");
        let mut names = vec![scope.clone()];
        while let Some((parent, _)) = scope.rsplit_once('/') {
            scope = parent.to_owned();
            names.push(scope.clone());
        }
        names.push(format!("https://{registry}"));
        if registry == "docker.io" {
            names.push("https://index.docker.io/v1/".to_owned());
        }
        names.iter().find_map(|name| file.auths.get(name)?.basic())
    })
}

fn places(environment: Environment<'_>) -> Vec<PathBuf> {
    let folder = |name: &str| environment(name).map(PathBuf::from);
    let docker = folder("DOCKER_CONFIG").or_else(|| Some(folder("HOME")?.join(".docker")));
    [
        folder("REGISTRY_AUTH_FILE"),
        folder("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
        folder("HOME").map(|folder| folder.join(".config/containers/auth.json")),
        docker.map(|folder| folder.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Entry {
    fn basic(&self) -> Option<Basic> {
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            return Some(Basic { user: user.clone(), password: Secret::new(password.clone()) });
        }
        let decoded = String::from_utf8(STANDARD.decode(self.auth.as_ref()?.trim()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some(Basic { user: user.to_owned(), password: Secret::new(password.trim_end_matches('\0')) })
    }
}
