//! Versions of models as addresses: `models:/name/version`, `models:/name@alias`, `models:/m-…`.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::artifacts::join;
use super::location::{Location, resolve};
use super::{Config, DOWNLOADS_MAX, Shared, auth};
use crate::base::environment::variable;
use crate::base::http::Failure;
use crate::sources::remote::{self, Body, Entry, FILES_MAX, NAME_MAX, PAGES_MAX, Remote, RemoteError};
use crate::sources::{BoxFuture, StoreError};

const ACCESS: &str = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";

/// Makes sense of an address; the server and the credentials are those of the variables that `MLflow`'s own
/// client reads.
pub fn open(address: &str) -> Result<Arc<dyn Remote>, RemoteError> {
    let meant = Meant::parse(address)?;
    let mut problems = Vec::new();
    let config = Config::default();
    let api = auth::connect(&config, &variable, &mut problems);
    let Some(api) = api.filter(|_| problems.is_empty()) else { return Err(RemoteError::Failed(problems.join("; "))) };
    let downloads = tokio::sync::Semaphore::new(DOWNLOADS_MAX);
    let shared = Shared { config, api, downloads, buckets: Vec::new() };
    Ok(Arc::new(Version { address: address.trim_end_matches('/').to_owned(), meant, shared, held: OnceCell::new() }))
}

/// What an address means.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    Version(String, String),
    Alias(String, String),
    /// A stage, or `latest`.
    Stage(String, String),
    /// A model that is logged and need not be registered.
    Logged(String),
}

impl Meant {
    fn parse(address: &str) -> Result<Self, RemoteError> {
        let wrong = || {
            let message =
                format!("`{address}` names no model; write models:/name/version, models:/name@alias or models:/m-…");
            RemoteError::Address(message)
        };
        // The same with an empty authority, as URI libraries write it.
        let rest = address.strip_prefix("models:").unwrap_or_default().trim_matches('/');
        let fits = |text: &str| !matches!(text, "" | "." | "..") && !text.chars().any(char::is_control);
        let meant = match (rest.split_once('/'), rest.rsplit_once('@')) {
            (Some((name, version)), _) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
                Self::Version(name.to_owned(), version.to_owned())
            }
            (Some((name, stage)), _) => Self::Stage(name.to_owned(), stage.to_owned()),
            (None, Some((name, alias))) => Self::Alias(name.to_owned(), alias.to_owned()),
            (None, None) if rest.starts_with("m-") => Self::Logged(rest.to_owned()),
            (None, None) => return Err(wrong()),
        };
        let (Self::Version(name, part) | Self::Alias(name, part) | Self::Stage(name, part)) = &meant else {
            return Ok(meant);
        };
        if fits(name) && fits(part) && !part.contains('/') { Ok(meant) } else { Err(wrong()) }
    }
}

struct Version {
    address: String,
    meant: Meant,
    shared: Shared,
    held: OnceCell<Held>,
}

/// Where the bytes lie.
enum Held {
    /// On the tracking server, under this path.
    Proxy(String),
    /// In a store that is asked itself.
    Store(Arc<dyn Remote>),
}

impl Version {
    async fn location(&self) -> Result<String, Failure> {
        let api = &self.shared.api;
        match &self.meant {
            Meant::Version(name, version) => api.location(name, version).await,
            Meant::Alias(name, alias) => api.location(name, &api.alias(name, alias).await?.version).await,
            Meant::Stage(name, stage) => api.location(name, &api.at_stage(name, stage).await?.version).await,
            Meant::Logged(id) => api.logged_model(id).await,
        }
    }

    async fn held(&self) -> Result<&Held, RemoteError> {
        self.held
            .get_or_try_init(async || {
                let uri = self.location().await.map_err(|failure| RemoteError::of(&failure, ACCESS))?;
                if let Location::Proxy(path) = resolve(&uri, &self.shared) {
                    return Ok(Held::Proxy(path));
                }
                // An address of another registry would go round.
                let store = if uri.starts_with("models:") { None } else { remote::open(&uri).ok() };
                store.map(Held::Store).ok_or_else(|| {
                    RemoteError::Failed(format!(
                        "its bytes lie at `{}`, to which there is no way from here; scan them where they are, or let the \
                         server serve artifacts",
                        without_credentials(&uri)
                    ))
                })
            })
            .await
    }

    async fn entries(&self) -> Result<Vec<Entry>, RemoteError> {
        let root = match self.held().await? {
            Held::Store(store) => return store.list().await,
            Held::Proxy(root) => root,
        };
        let mut entries = Vec::new();
        let (mut directories, mut left_out) = (vec![String::new()], 0_usize);
        for _ in 0..PAGES_MAX {
            let Some(directory) = directories.pop() else { break };
            let listed = self.shared.api.list(&join(root, &directory)).await;
            for entry in listed.map_err(|failure| RemoteError::of(&failure, ACCESS))? {
                // Servers differ in whether they repeat the directory before the name.
                let name = entry.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                let path = join(&directory, name);
                if matches!(name, "" | "." | "..") || entries.len() >= FILES_MAX || path.len() > NAME_MAX {
                    left_out += 1;
                } else if entry.is_dir {
                    directories.push(path);
                } else {
                    entries.push(self.entry(root, &path, entry.file_size).await);
                }
            }
        }
        if left_out > 0 || !directories.is_empty() {
            let why = format!(
                "{left_out} of its files and {} of its folders were left out: there are too many, or their names lead elsewhere",
                directories.len()
            );
            let unread = self.entry(root, "", Some(0)).await;
            entries.push(Entry { address: self.address.clone(), unreadable: Some(why), ..unread });
        }
        Ok(entries)
    }

    /// One file; where the listing does not tell its size, its header may.
    async fn entry(&self, root: &str, path: &str, size: Option<u64>) -> Entry {
        let key = join(root, path);
        let size = match size {
            Some(size) => Some(size),
            None => self.shared.api.head(&key).await.ok().and_then(|head| head.size),
        };
        Entry {
            address: format!("{}/{path}", self.address),
            key,
            size: size.unwrap_or(0),
            claimed: None,
            version: None,
            note: None,
            unreadable: size.is_none().then(|| "the server does not tell how large it is".to_owned()),
        }
    }
}

/// An address without what stands before `@` in its authority.
fn without_credentials(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once(':') else { return uri.to_owned() };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}:…@{rest}"),
        None => uri.to_owned(),
    }
}

impl Remote for Version {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(self.entries())
    }

    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(async move {
            match self.held.get() {
                Some(Held::Store(store)) => store.read(entry, range).await,
                Some(Held::Proxy(_)) => self.shared.api.read(&entry.key, range, entry.size).await,
                None => Err(StoreError::Refused("it was not listed".to_owned())),
            }
        })
    }
}
