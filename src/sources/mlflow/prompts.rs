//! Prompts of the registry: versions whose text is a tag. Their text is looked at as a file of the version, so that a
//! prompt that was rewritten in place is told like a model that was, and the next version is compared with the one before.

use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};

use percent_encoding::percent_decode_str;

use super::api::{Api, Version};
use super::artifacts::Listing;
use super::location::Location;
use super::registry::{Held, Holding};
use crate::base::uri::encode;
use crate::event::Sha256;
use crate::sources::StoreError;
use crate::sources::open::OpenFile;

const IS_PROMPT: &str = "mlflow.prompt.is_prompt";
const TEXT: &str = "mlflow.prompt.text";
const KIND: &str = "_mlflow_prompt_type";
const SCHEME: &str = "mlflow-prompt:/";

/// What MLflow writes as the source of a prompt, which has none.
const NO_SOURCE: &str = "dummy-source";

/// Whether a version is one of a prompt. A tag alone says nothing: anybody may set one on a model, whose bytes would
/// then be watched no more. The source of a version cannot be changed.
pub fn is_prompt(version: &Version) -> bool {
    let source = version.source.as_deref().unwrap_or_default();
    matches!(source, "" | NO_SOURCE) && tag(version, IS_PROMPT) == Some("true")
}

/// The version as a folder with one file in it.
pub fn look(version: &Version) -> (Holding, Listing) {
    let holding = Holding {
        source: version.source.clone(),
        uri: format!("{SCHEME}{}/{}", encode(&version.name), encode(&version.version)),
        location: Location::Prompt,
        files: BTreeMap::new(),
        listed: 0,
        refused: None,
    };
    let mut listing = Listing::default();
    if let Some(text) = tag(version, TEXT) {
        // A conversation is kept as JSON.
        let name = if tag(version, KIND) == Some("chat") { "prompt.json" } else { "prompt.txt" };
        let held = Held { signature: Sha256::of(text.as_bytes()).to_string(), size: Some(text.len() as u64) };
        listing.files.insert(name.to_owned(), held);
    }
    (holding, listing)
}

/// Name and version of an address that [`look`] made, with a file behind them.
pub fn parse(uri: &str) -> Option<(String, String)> {
    let mut parts = uri.strip_prefix(SCHEME)?.split('/');
    let mut part = || Some(percent_decode_str(parts.next()?).decode_utf8().ok()?.into_owned());
    Some((part()?, part()?))
}

/// The text as it is in the registry now.
pub async fn open(api: &Api, name: &str, version: &str) -> Result<OpenFile, StoreError> {
    let version = api.version(name, version).await?;
    let text = tag(&version, TEXT).ok_or(StoreError::Gone)?;
    let disk = |error: std::io::Error| StoreError::Transient(Box::new(error));
    let mut file = tempfile::tempfile().map_err(disk)?;
    file.write_all(text.as_bytes()).and_then(|()| file.rewind()).map_err(disk)?;
    OpenFile::from_file(file).map_err(disk)
}

fn tag<'v>(version: &'v Version, key: &str) -> Option<&'v str> {
    version.tags.iter().find(|tag| tag.key == key).map(|tag| &*tag.value)
}
