//! Requests to services of Amazon, signed by `object_store` with the credentials that it finds and renews.

use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::base::http::{self, Failure};

/// Signs requests, unless nothing is to be signed.
pub struct Signer {
    identity: AmazonS3,
    region: String,
    /// Nothing is signed: for public buckets.
    anonymous: bool,
}

/// A request as it is signed.
pub struct Plain<'a> {
    pub method: Method,
    pub url: &'a Url,
    /// Signed with it.
    pub headers: &'a [(HeaderName, &'static str)],
    pub body: Vec<u8>,
}

impl Signer {
    pub const fn new(identity: AmazonS3, region: String, anonymous: bool) -> Self {
        Self { identity, region, anonymous }
    }

    /// The region of the bucket.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// All headers of a request to `service` in `region`, with the signature.
    pub async fn sign(&self, service: &str, region: &str, request: Plain<'_>) -> Result<HeaderMap, Failure> {
        let headers = request.headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        if self.anonymous {
            return Ok(headers.collect());
        }
        let credential = self.identity.credentials().get_credential().await.map_err(|error| {
            tracing::debug!(%error, "no credentials");
            Failure::Denied { status: 401 }
        })?;
        let mut signed = HttpRequest::new(HttpRequestBody::from(request.body));
        *signed.method_mut() = request.method;
        *signed.uri_mut() =
            request.url.as_str().parse().map_err(|_| Failure::Garbage("an address that is none".to_owned()))?;
        signed.headers_mut().extend(headers);
        AwsAuthorizer::new(&credential, service, region)
            .try_authorize(&mut signed, None)
            .map_err(|error| Failure::Garbage(http::chain(&error)))?;
        Ok(signed.headers().clone())
    }
}
