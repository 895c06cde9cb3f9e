//! The calls of a registry that are needed, with bounds.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use oci_spec::distribution::Reference;
use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use super::credentials::{self, Basic};
use super::manifest;
use super::token::{self, Pass};
use crate::base::environment::Environment;
use crate::base::http::{self, Failure};
use crate::base::secret::Secret;
use crate::event::Sha256;
use crate::sources::StoreError;
use crate::sources::remote::{Body, answer, patiently};

/// The specification asks registries to take manifests of at least this size; most take no larger ones.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Registries send blobs on to a store.
const REDIRECTS_MAX: usize = 5;
/// Kinds of manifests that are understood.
pub const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.oci.artifact.manifest.v1+json, application/json;q=0.1";

/// A registry, and how it is reached. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    downloads: Client,
    /// `https://registry`.
    address: String,
    /// Without TLS.
    plain: bool,
}

impl Connection {
    /// A registry on this machine is asked without TLS, as other tools do; another only where `insecure` says so.
    pub fn new(registry: &str, options: &http::Options, insecure: bool) -> Result<Self, String> {
        let host = match registry {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        let plain = insecure || is_loopback(host);
        let scheme = if plain { "http" } else { "https" };
        let patient = http::Options { timeout: None, redirects_max: REDIRECTS_MAX, ..options.clone() };
        Ok(Self {
            client: http::client(options)?,
            downloads: http::client(&patient)?,
            address: format!("{scheme}://{host}"),
            plain,
        })
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

/// How a registry lets in.
#[derive(Debug, Clone, Default)]
pub enum Known {
    #[default]
    Nothing,
    /// For whatever the registry asks.
    Basic(Basic),
    /// Sent as it is.
    Token(Secret),
}

/// One repository, or the registry as a whole.
pub struct Api {
    connection: Connection,
    /// `https://registry/v2/repository`.
    address: String,
    /// What a token is asked for.
    scope: String,
    known: Known,
    pass: Mutex<Option<Pass>>,
}

/// A manifest as it was given, and the digest of what was given.
pub struct Fetched {
    pub bytes: Vec<u8>,
    pub digest: String,
}

impl Api {
    pub fn connect(reference: &Reference, environment: Environment<'_>) -> Result<Self, String> {
        let (registry, repository) = (reference.registry(), reference.repository());
        let connection = Connection::new(registry, &http::Options::default(), false)?;
        let known = credentials::find(registry, repository, environment).map_or(Known::Nothing, Known::Basic);
        Ok(Self::repository(&connection, repository, known))
    }

    /// One repository of a registry.
    pub fn repository(connection: &Connection, repository: &str, known: Known) -> Self {
        let scope = format!("repository:{repository}:pull");
        Self::new(connection, format!("{}/v2/{repository}", connection.address), scope, known)
    }

    /// The registry as a whole: which repositories it has.
    pub fn catalog(connection: &Connection, known: Known) -> Self {
        Self::new(connection, format!("{}/v2", connection.address), "registry:catalog:*".to_owned(), known)
    }

    fn new(connection: &Connection, address: String, scope: String, known: Known) -> Self {
        let pass = match &known {
            Known::Token(token) => Some(Pass::Bearer(token.clone())),
            Known::Nothing | Known::Basic(_) => None,
        };
        Self { connection: connection.clone(), address, scope, known, pass: Mutex::new(pass) }
    }

    /// Sends a password at once where the registry asked for one elsewhere; a token is for one repository.
    pub fn greet(&self, other: &Self) {
        let asked = matches!(*other.pass.lock().unwrap_or_else(PoisonError::into_inner), Some(Pass::Basic(_)));
        if let (Known::Basic(basic), true) = (&self.known, asked) {
            self.pass.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Pass::Basic(basic.clone()));
        }
    }

    /// A manifest by tag or digest; one that is not what its digest says is refused.
    pub async fn manifest(&self, asked: &str) -> Result<Fetched, Failure> {
        let url = self.url(&format!("manifests/{asked}"))?;
        let bytes = patiently(|| async {
            let response = self.send(|| self.client().get(url.clone()).header(ACCEPT, ACCEPTED)).await?;
            http::body(http::success(response)?, MANIFEST_BYTES_MAX).await
        })
        .await?;
        let digest = format!("sha256:{}", Sha256::of(&bytes));
        if manifest::sha256(asked).is_some() && asked != digest {
            return Err(Failure::Garbage(format!("the registry gives {digest} for {asked}")));
        }
        Ok(Fetched { bytes, digest })
    }

    /// The index of what refers to a manifest (distribution specification 1.1); older registries know none.
    pub async fn referrers(&self, digest: &str) -> Result<Vec<u8>, Failure> {
        let url = self.url(&format!("referrers/{digest}"))?;
        patiently(|| async {
            let response = self.send(|| self.client().get(url.clone()).header(ACCEPT, ACCEPTED)).await?;
            http::body(http::success(response)?, MANIFEST_BYTES_MAX).await
        })
        .await
    }

    /// Bytes of a blob, or of a manifest by its digest.
    pub async fn read(&self, key: &str, range: Range<u64>, size: u64) -> Result<Body, StoreError> {
        let url = self.url(key)?;
        let manifest = key.starts_with("manifests/");
        let response = patiently(|| async {
            let request = || {
                let request = answer::ask(self.downloads().get(url.clone()), &range, size);
                if manifest { request.header(ACCEPT, ACCEPTED) } else { request }
            };
            http::success(self.send(request).await?)
        })
        .await?;
        answer::body(response, &range, size)
    }

    pub const fn client(&self) -> &Client {
        &self.connection.client
    }

    /// For answers that may take their time, and may lie elsewhere.
    pub const fn downloads(&self) -> &Client {
        &self.connection.downloads
    }

    /// Asks, and once more with what the registry wants to see first.
    pub async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Failure> {
        let pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = with(request(), pass.as_ref()).send().await?;
        // Whoever a blob leads to is a stranger: only the registry is told who asks.
        let asked = self.url("")?.origin();
        if response.status() != StatusCode::UNAUTHORIZED || response.url().origin() != asked {
            return Ok(response);
        }
        let known = match &self.known {
            Known::Token(_) => return Ok(response),
            Known::Nothing => None,
            Known::Basic(basic) => Some(basic),
        };
        let Some(challenge) = token::challenge(response.headers()) else { return Ok(response) };
        let Connection { client, plain, .. } = &self.connection;
        let pass = token::answer(client, challenge, &self.scope, *plain, known).await?;
        let response = with(request(), Some(&pass)).send().await?;
        *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass);
        Ok(response)
    }

    pub fn url(&self, rest: &str) -> Result<Url, Failure> {
        Url::parse(&format!("{}/{rest}", self.address)).map_err(|error| Failure::Garbage(error.to_string()))
    }
}

fn with(request: RequestBuilder, pass: Option<&Pass>) -> RequestBuilder {
    match pass {
        Some(Pass::Basic(Basic { user, password })) => request.basic_auth(user, Some(password.expose())),
        Some(Pass::Bearer(token)) => request.bearer_auth(token.expose()),
        None => request,
    }
}

/// Whether a registry is on this machine: those are asked without TLS, as other tools do.
pub fn is_loopback(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
