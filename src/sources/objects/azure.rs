//! A container of Azure Blob Storage, by its REST interface.

use std::ops::Range;

use object_store::azure::{AzureAuthorizer, AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_MATCH, RANGE};
use reqwest::{Client, RequestBuilder, Url};

use super::bucket::{self, Access, Ask, Page};
use super::{Place, xml};
use crate::base::http::{self, Failure};
use crate::base::uri;
use crate::sources::remote::{ANSWER_BYTES_MAX, Body, Entry, RemoteError, answer, patiently};
use crate::sources::{BoxFuture, StoreError};

const ACCESS: &str = "set AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or the \
                      variables of an identity, or AZURE_SKIP_SIGNATURE=true for a public container";
/// The account that the emulator has, and where it listens.
const EMULATED: &str = "devstoreaccount1";
const EMULATOR: &str = "http://127.0.0.1:10000";

pub struct Bucket {
    place: Place,
    client: Client,
    downloads: Client,
    account: String,
    /// Address of the container, without a slash at its end.
    address: String,
    /// Finds credentials, and renews them; `None` for public containers.
    identity: Option<MicrosoftAzure>,
}

impl Bucket {
    pub fn open(place: Place, with: &Access) -> Result<Self, RemoteError> {
        http::provider();
        let mut builder = MicrosoftAzureBuilder::new();
        for (name, value) in with.variables() {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>()
                && name.starts_with("AZURE_")
            {
                builder = builder.with_config(key, value);
            }
        }
        let known = |key| builder.get_config_value(&key).filter(|text| !text.is_empty());
        let flag = |key| known(key).is_some_and(|text| text == "true");
        let (container, host) = place.bucket.split_once('@').unwrap_or((&place.bucket, ""));
        let named = known(AzureConfigKey::AccountName);
        let (account, service) = if flag(AzureConfigKey::UseEmulator) {
            let account = named.unwrap_or_else(|| EMULATED.to_owned());
            let emulator = with.variable("AZURITE_BLOB_STORAGE_URL").unwrap_or(EMULATOR).trim_end_matches('/');
            let service = format!("{emulator}/{account}");
            (account, service)
        } else if let Some((account, _)) = host.split_once('.') {
            // The same bytes by the interface of blobs: `account.dfs.…` names the one of files.
            (account.to_owned(), format!("https://{}", host.replacen(".dfs.", ".blob.", 1)))
        } else {
            let message = || RemoteError::Denied(format!("no account is named; {ACCESS}"));
            let account = named.ok_or_else(message)?;
            let service = known(AzureConfigKey::Endpoint);
            let service = service.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
            (account, service)
        };
        let address = format!("{}/{}", service.trim_end_matches('/'), uri::encode(container));
        let valid = Url::parse(&address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !valid {
            return Err(RemoteError::Failed(format!("`{service}` is no address; write https://host:port")));
        }
        let public = flag(AzureConfigKey::SkipSignature);
        let builder = builder.with_account(&account).with_container_name(container);
        let identity =
            builder.build().map_err(|error| RemoteError::Denied(format!("{}; {ACCESS}", http::chain(&error))));
        let identity = if public { None } else { Some(identity?) };
        let (client, downloads) = with.clients()?;
        Ok(Self { place, client, downloads, account, address, identity })
    }

    /// A signed request: the signature is over its headers as well.
    async fn request(&self, client: &Client, url: &Url, headers: HeaderMap) -> Result<RequestBuilder, Failure> {
        let none = |_| Failure::Garbage("an address that is none".to_owned());
        let Some(identity) = &self.identity else {
            let version = HeaderValue::from_static("2023-11-03");
            return Ok(client.get(url.clone()).headers(headers).header("x-ms-version", version));
        };
        let credential = identity.credentials().get_credential().await.map_err(|error| {
            tracing::debug!(%error, "no credentials");
            Failure::Denied { status: 401 }
        })?;
        let mut signed = HttpRequest::new(HttpRequestBody::empty());
        *signed.uri_mut() = url.as_str().parse().map_err(|_| Failure::Garbage("an address that is none".to_owned()))?;
        *signed.headers_mut() = headers;
        AzureAuthorizer::new(&credential, &self.account)
            .try_authorize(&mut signed)
            .map_err(|error| Failure::Garbage(http::chain(&error)))?;
        // A shared access signature is part of the address.
        let url = Url::parse(&signed.uri().to_string()).map_err(none)?;
        Ok(client.get(url).headers(signed.headers().clone()))
    }

    async fn ask(&self, ask: &Ask<'_>) -> Result<Page, Failure> {
        let mut url = Url::parse(&self.address).map_err(|error| Failure::Garbage(error.to_string()))?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("restype", "container").append_pair("comp", "list");
            if !ask.prefix.is_empty() {
                query.append_pair("prefix", ask.prefix);
            }
            query.append_pair("maxresults", &ask.most.to_string()).extend_pairs(ask.from);
        }
        patiently(|| async {
            let request = self.request(&self.client, &url, HeaderMap::new()).await?;
            let body = http::body(http::success(request.send().await?)?, ANSWER_BYTES_MAX).await?;
            xml::azure(&body).map_err(Failure::Garbage)
        })
        .await
    }

    async fn bytes(&self, entry: &Entry, range: &Range<u64>) -> Result<Body, StoreError> {
        let url = Url::parse(&format!("{}/{}", self.address, uri::encode_path(&entry.key)))
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        let mut put = |name, text: String| {
            let value =
                HeaderValue::from_str(&text).map_err(|_| StoreError::Refused("an odd entity tag".to_owned()))?;
            headers.insert(name, value);
            Ok::<_, StoreError>(())
        };
        if *range != (0..entry.size) {
            put(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))?;
        }
        if let Some(etag) = &entry.version {
            put(IF_MATCH, bucket::quoted(etag))?;
        }
        let response = patiently(|| async {
            http::success(self.request(&self.downloads, &url, headers.clone()).await?.send().await?)
        })
        .await;
        match response {
            Ok(response) => answer::body(response, range, entry.size),
            Err(Failure::Rejected { status: 412 }) => {
                Err(StoreError::Refused("it was replaced after it was listed".to_owned()))
            }
            Err(failure) => Err(failure.into()),
        }
    }
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

    fn get<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(async move { self.bytes(entry, &range).await })
    }
}
