//! A bucket of Google Cloud Storage, by its JSON interface: every write of an object has a generation, and bytes are
//! asked for by it.

use std::ops::Range;

use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use reqwest::header::{ACCEPT_ENCODING, RANGE};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;

use super::Place;
use super::bucket::{self, Access, Ask, Object, Page};
use crate::base::http::{self, Failure};
use crate::base::uri;
use crate::sources::remote::{ANSWER_BYTES_MAX, Body, Entry, RemoteError, answer, patiently};
use crate::sources::{BoxFuture, StoreError};

const ACCESS: &str =
    "set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials, or GOOGLE_SKIP_SIGNATURE=true for a public bucket";
const HOST: &str = "https://storage.googleapis.com";
/// What is asked of each object, and nothing else.
const FIELDS: &str = "nextPageToken,items(name,size,generation,etag,timeCreated,updated)";

pub struct Bucket {
    place: Place,
    client: Client,
    downloads: Client,
    /// `https://host/storage/v1/b/bucket/o`.
    address: String,
    /// Finds credentials, and renews them; `None` for public buckets.
    identity: Option<GoogleCloudStorage>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Listing {
    items: Vec<Item>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: String,
    size: Value,
    generation: Option<Value>,
    etag: Option<String>,
    time_created: Option<String>,
    updated: Option<String>,
}

impl Bucket {
    pub fn open(place: Place, with: &Access) -> Result<Self, RemoteError> {
        http::provider();
        let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(&place.bucket);
        for (name, value) in with.variables() {
            if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>()
                && name.starts_with("GOOGLE_")
            {
                builder = builder.with_config(key, value);
            }
        }
        let host = builder.get_config_value(&GoogleConfigKey::BaseUrl).unwrap_or_else(|| HOST.to_owned());
        let address = format!("{}/storage/v1/b/{}/o", host.trim_end_matches('/'), uri::encode(&place.bucket));
        if Url::parse(&address).is_err() {
            let message = "GOOGLE_BASE_URL is no address; write https://host:port".to_owned();
            return Err(RemoteError::Failed(message));
        }
        let public = builder.get_config_value(&GoogleConfigKey::SkipSignature).is_some_and(|text| text == "true");
        let identity =
            builder.build().map_err(|error| RemoteError::Denied(format!("{}; {ACCESS}", http::chain(&error))));
        let identity = if public { None } else { Some(identity?) };
        let (client, downloads) = with.clients()?;
        Ok(Self { place, client, downloads, address, identity })
    }

    async fn request(&self, client: &Client, url: &Url) -> Result<RequestBuilder, Failure> {
        let request = client.get(url.clone());
        let Some(identity) = &self.identity else { return Ok(request) };
        let credential = identity.credentials().get_credential().await.map_err(|error| {
            tracing::debug!(%error, "no credentials");
            Failure::Denied { status: 401 }
        })?;
        Ok(if credential.bearer.is_empty() { request } else { request.bearer_auth(&credential.bearer) })
    }

    async fn ask(&self, ask: &Ask<'_>) -> Result<Page, Failure> {
        let mut url = Url::parse(&self.address).map_err(|error| Failure::Garbage(error.to_string()))?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("prefix", ask.prefix).append_pair("maxResults", &ask.most.to_string());
            query.append_pair("fields", FIELDS).extend_pairs(ask.from);
        }
        patiently(|| async {
            let response = http::success(self.request(&self.client, &url).await?.send().await?)?;
            let body = http::body(response, ANSWER_BYTES_MAX).await?;
            let listing: Listing =
                serde_json::from_slice(&body).map_err(|error| Failure::Garbage(error.to_string()))?;
            let objects: Option<Vec<Object>> = listing.items.into_iter().map(object).collect();
            let objects = objects.ok_or_else(|| Failure::Garbage("an object without a size".to_owned()))?;
            let token = listing.next_page_token.filter(|token| !token.is_empty());
            Ok(Page { objects, next: token.map(|token| vec![("pageToken", token)]) })
        })
        .await
    }

    async fn bytes(&self, entry: &Entry, range: &Range<u64>) -> Result<Body, StoreError> {
        // The key is one part of the path: nothing in it can climb.
        let address = format!("{}/{}?alt=media", self.address, uri::encode(&entry.key));
        let mut url = Url::parse(&address).map_err(|error| StoreError::Refused(error.to_string()))?;
        if let Some(generation) = &entry.version {
            url.query_pairs_mut().append_pair("generation", generation);
        }
        let response = patiently(|| async {
            // Bytes as they are stored: who does not say that he takes gzip is given what it unpacks to.
            let mut request = self.request(&self.downloads, &url).await?.header(ACCEPT_ENCODING, "gzip");
            if *range != (0..entry.size) {
                request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
            }
            http::success(request.send().await?)
        })
        .await?;
        answer::body(response, range, entry.size)
    }
}

/// Numbers of 64 bits are texts in JSON, or not, by the server.
fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
}

fn object(item: Item) -> Option<Object> {
    Some(Object {
        key: item.name,
        size: text(&item.size)?.parse().ok()?,
        etag: item.etag,
        // `updated` moves with labels too.
        modified: item.time_created.or(item.updated).and_then(|time| time.parse().ok()),
        version: item.generation.as_ref().and_then(text),
        ..Object::default()
    })
}

impl bucket::Bucket for Bucket {
    fn place(&self) -> &Place {
        &self.place
    }

    fn access(&self) -> &'static str {
        ACCESS
    }

    fn page<'a>(&'a self, ask: &'a Ask<'a>) -> BoxFuture<'a, Result<Page, Failure>> {
        Box::pin(self.ask(ask))
    }

    fn entry(&self, object: &Object) -> Entry {
        Entry {
            address: self.place.of_key(&object.key),
            size: object.size,
            claimed: None,
            note: None,
            version: object.version.clone(),
            unreadable: bucket::unreadable(object, matches!(object.key.as_str(), "." | "..")),
            key: object.key.clone(),
        }
    }

    fn get<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(async move { self.bytes(entry, &range).await })
    }
}
