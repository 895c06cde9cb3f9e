//! A bucket of S3, or of what speaks like it: listed and read, signed by `object_store`.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use reqwest::header::{HeaderName, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder, Url};

use super::bucket::{self, Access, Ask, Object, Page};
use super::signer::{Plain, Signer};
use super::{Place, xml};
use crate::base::http::{self, Failure};
use crate::base::uri;
use crate::event::Sha256;
use crate::sources::remote::{ANSWER_BYTES_MAX, Body, Entry, RemoteError, answer, patiently};
use crate::sources::{BoxFuture, StoreError};

const ACCESS: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (`aws configure export-credentials --format env` \
                      prints those of a profile), or AWS_SKIP_SIGNATURE=true for a public bucket";

const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");
const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");
const CHECKSUM_SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

pub struct Bucket {
    place: Place,
    client: Client,
    downloads: Client,
    /// Address of the bucket, with a slash at its end.
    address: Url,
    signer: Arc<Signer>,
}

impl Bucket {
    pub fn open(place: Place, with: &Access) -> Result<Self, RemoteError> {
        let failed = |error: &dyn std::error::Error| RemoteError::Failed(http::chain(error));
        http::provider();
        let mut builder = AmazonS3Builder::new().with_bucket_name(&place.bucket);
        for (name, value) in with.variables() {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
                && name.starts_with("AWS_")
            {
                builder = builder.with_config(key, value);
            }
        }
        let known = |key| builder.get_config_value(&key).filter(|text| !text.is_empty());
        let flag = |key| known(key).is_some_and(|text| matches!(&*text.to_lowercase(), "1" | "true" | "yes" | "on"));
        let region = known(AmazonS3ConfigKey::Region)
            .or_else(|| known(AmazonS3ConfigKey::DefaultRegion))
            .unwrap_or_else(|| "us-east-1".to_owned());
        let anonymous = flag(AmazonS3ConfigKey::SkipSignature);
        let bucket = &place.bucket;
        let address = match known(AmazonS3ConfigKey::Endpoint) {
            Some(endpoint) if flag(AmazonS3ConfigKey::VirtualHostedStyleRequest) => {
                format!("{}/", endpoint.trim_end_matches('/'))
            }
            Some(endpoint) => format!("{}/{bucket}/", endpoint.trim_end_matches('/')),
            // A dot in the name does not fit the certificate of the host.
            None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}/"),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
        };
        let address = Url::parse(&address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| RemoteError::Failed("AWS_ENDPOINT_URL is no address; write https://host:port".to_owned()))?;
        let builder = builder.with_allow_http(address.scheme() == "http").with_region(&region);
        let identity = builder.build().map_err(|error| failed(&error))?;
        let (client, downloads) = with.clients()?;
        let signer = Arc::new(Signer::new(identity, region, anonymous));
        Ok(Self { place, client, downloads, address, signer })
    }

    /// A signed request.
    async fn request(&self, client: &Client, url: &Url) -> Result<RequestBuilder, Failure> {
        self.signed(client, Method::GET, url, &[]).await
    }

    async fn signed(
        &self,
        client: &Client,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, &'static str)],
    ) -> Result<RequestBuilder, Failure> {
        let plain = Plain { method: method.clone(), url, headers, body: Vec::new() };
        let headers = self.signer.sign("s3", self.signer.region(), plain).await?;
        Ok(client.request(method, url.clone()).headers(headers))
    }

    fn of_key(&self, key: &str) -> Result<Url, String> {
        Url::parse(&format!("{}{}", self.address, uri::encode_path(key))).map_err(|error| error.to_string())
    }

    /// `HEAD` with `x-amz-checksum-mode`; of an object in parts the digest is one of their digests, with their number
    /// behind a dash, and says nothing of the whole.
    async fn kept(&self, object: &Object) -> Result<Option<Sha256>, Failure> {
        let url = self.of_key(&object.key).map_err(Failure::Garbage)?;
        let response = patiently(|| async {
            let mut request = self.signed(&self.client, Method::HEAD, &url, &[(CHECKSUM_MODE, "ENABLED")]).await?;
            if let Some(etag) = &object.etag {
                request = request.header(IF_MATCH, bucket::quoted(etag));
            }
            http::success(request.send().await?)
        })
        .await?;
        let text = |name: &HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        // Some servers say neither, and number the parts in the entity tag alone.
        let in_parts = object.tag().is_some_and(|tag| tag.contains('-'));
        let whole = text(&CHECKSUM_TYPE).map_or(!in_parts, |kind| kind.eq_ignore_ascii_case("FULL_OBJECT"));
        let digest = text(&CHECKSUM_SHA256).filter(|_| whole).and_then(|text| STANDARD.decode(text).ok());
        Ok(digest.and_then(|digest| digest.try_into().ok()).map(Sha256::from_bytes))
    }

    async fn ask(&self, ask: &Ask<'_>) -> Result<Page, Failure> {
        let mut url = self.address.clone();
        {
            let mut query = url.query_pairs_mut();
            let call = if ask.versions { ("versions", "") } else { ("list-type", "2") };
            query.append_pair(call.0, call.1).append_pair("encoding-type", "url");
            query.append_pair("prefix", ask.prefix).append_pair("max-keys", &ask.most.to_string());
            query.extend_pairs(ask.from);
        }
        patiently(|| async {
            let response = http::success(self.request(&self.client, &url).await?.send().await?)?;
            let body = http::body(response, ANSWER_BYTES_MAX).await?;
            xml::s3(&body).map_err(Failure::Garbage)
        })
        .await
    }

    async fn bytes(&self, entry: &Entry, range: &Range<u64>) -> Result<Body, StoreError> {
        let url = self.of_key(&entry.key).map_err(StoreError::Refused)?;
        let response = patiently(|| async {
            let mut request = answer::ask(self.request(&self.downloads, &url).await?, range, entry.size);
            // The bytes that were listed, or none.
            if let Some(etag) = &entry.version {
                request = request.header(IF_MATCH, bucket::quoted(etag));
            }
            http::success(request.send().await?)
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

    fn signer(&self) -> Option<Arc<Signer>> {
        Some(Arc::clone(&self.signer))
    }

    fn page<'a>(&'a self, ask: &'a Ask<'a>) -> BoxFuture<'a, Result<Page, Failure>> {
        Box::pin(self.ask(ask))
    }

    fn checksum<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Option<Sha256>, Failure>> {
        Box::pin(self.kept(object))
    }

    fn get<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(async move { self.bytes(entry, &range).await })
    }
}
