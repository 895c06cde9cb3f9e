//! Repositories of a Hugging Face Hub: files with the digests that the hub promises, and their bytes.

mod address;
mod api;
mod changes;
mod config;
mod limits;
mod records;
mod token;
mod watch;

use std::ops::Range;
use std::sync::Arc;

use self::address::Address;
use self::api::Api;
use super::remote::{Body, Entry, Remote, RemoteError};
use super::{BoxFuture, StoreError};
use crate::base::environment::variable;
pub use config::Config;

/// What helps when the hub does not let in.
const ACCESS: &str = "set HF_TOKEN to a token that may read it, or log in with `hf auth login`";

/// Makes sense of `hf://[datasets/|spaces/]organisation/name[@revision][/path]`. The hub and the token are
/// those of the hub's own client: `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`.
pub fn open(text: &str) -> Result<Arc<dyn Remote>, RemoteError> {
    let address = Address::parse(text).map_err(RemoteError::Address)?;
    if variable("HF_HUB_OFFLINE").is_some_and(|text| matches!(&*text.to_lowercase(), "1" | "true" | "yes" | "on")) {
        return Err(RemoteError::Denied("HF_HUB_OFFLINE is set; unset it to ask the hub".to_owned()));
    }
    let api = Api::connect(&variable).map_err(RemoteError::Failed)?;
    Ok(Arc::new(Repository { api: Arc::new(api), address }))
}

/// A repository at one revision, or a part of it.
struct Repository {
    api: Arc<Api>,
    address: Address,
}

impl Repository {
    async fn entries(&self) -> Result<Vec<Entry>, RemoteError> {
        let failed = |failure| RemoteError::of(&failure, ACCESS);
        // Files are listed and read at this commit: what is pushed meanwhile is not mixed in.
        let commit = self.api.commit(&self.address).await.map_err(failed)?;
        let files = self.api.tree(&self.address, &commit).await.map_err(failed)?;
        let wanted = files.into_iter().filter(|file| self.address.covers(&file.path));
        let entries: Vec<Entry> = wanted.map(|file| self.entry(file, &commit)).collect();
        if entries.is_empty() && !self.address.path.is_empty() { Err(RemoteError::Missing) } else { Ok(entries) }
    }

    fn entry(&self, file: api::File, commit: &str) -> Entry {
        let unreadable = match file.size() {
            _ if file.cut => Some("its name is longer than a path may be"),
            _ if !super::remote::is_plain(&file.path) => Some("its name can be no part of a request"),
            None => Some("the hub does not tell how large it is"),
            Some(_) => None,
        };
        Entry {
            address: self.address.of_file(&file.path),
            size: file.size().unwrap_or(0),
            claimed: file.sha256(),
            version: Some(commit.to_owned()),
            note: None,
            unreadable: unreadable.map(ToOwned::to_owned),
            key: file.path,
        }
    }
}

impl Remote for Repository {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(self.entries())
    }

    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(async move {
            let commit = entry.version.as_deref().unwrap_or_default();
            self.api.read(&self.address, commit, &entry.key, range, entry.size).await
        })
    }
}
