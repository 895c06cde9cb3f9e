//! Bytes that an event or an index names: fetched only from where the configuration allows it, since whoever says where
//! they lie must not choose whom the agent asks.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use reqwest::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Client, Method, RequestBuilder, Url};

use crate::base::http::{self, Failure, Options};
use crate::base::secret::{self, Secret};
use crate::event::ArtifactRef;
use crate::sources::models::source_uri::{self, begins};
use crate::sources::remote::{self, Body, Entry, Locate, Located, Remote, RemoteError, answer};
use crate::sources::verify::Verify;
use crate::sources::{BoxFuture, StoreError};

/// What both ways to tell are configured with, as far as it makes sense.
pub struct Settings {
    pub allowed: Allowed,
    pub token: Option<Secret>,
    /// A sentence each.
    pub problems: Vec<String>,
}

impl Settings {
    /// `base`: address of the index, where there is one; `numbers` must not be 0.
    pub fn check(
        numbers: &[(&str, u64)],
        verify: &Verify,
        base: Option<Url>,
        fetch: &[String],
        token_file: Option<&Path>,
    ) -> Self {
        let zero = numbers.iter().filter(|(_, number)| *number == 0);
        let mut problems: Vec<String> = zero.map(|(name, _)| format!("`{name}` is 0; write at least 1")).collect();
        problems.extend(verify.problem());
        let allowed = Allowed::new(base, fetch).unwrap_or_else(|bad| {
            problems.extend(bad);
            Allowed::default()
        });
        let token = secret::from_file("token_file", token_file, &mut problems);
        Self { allowed, token, problems }
    }
}

/// Where bytes may be fetched.
#[derive(Debug, Default)]
pub struct Allowed {
    /// What relative addresses are relative to.
    base: Option<Url>,
    /// Folders of web servers.
    web: Vec<Url>,
    /// Beginnings of other addresses.
    others: Vec<String>,
}

impl Allowed {
    /// Every prefix that is none is a sentence in the error.
    pub fn new(base: Option<Url>, prefixes: &[String]) -> Result<Self, Vec<String>> {
        let mut allowed = Self { base, ..Self::default() };
        let mut problems = Vec::new();
        for prefix in prefixes {
            match Url::parse(prefix) {
                Ok(url) if is_web(&url) && url.query().is_none() && url.fragment().is_none() => allowed.web.push(url),
                Ok(url) if is_web(&url) => problems.push(format!("`fetch` has `{prefix}`; leave out what follows the path")),
                Ok(_) if remote::open(prefix).is_ok() => allowed.others.push(prefix.clone()),
                Ok(_) | Err(_) => problems.push(format!(
                    "`fetch` has `{prefix}`; write the beginning of an address, as https://models.example/files/ or s3://bucket/prefix"
                )),
            }
        }
        if let Some(base) = &allowed.base {
            // What lies beside or below the index is as good as the index.
            allowed.web.extend(base.join("./").ok());
        }
        if problems.is_empty() { Ok(allowed) } else { Err(problems) }
    }

    /// The whole address, if it is one of those that may be asked.
    pub fn resolve(&self, address: &str) -> Option<String> {
        if source_uri::traversal(address) {
            return None;
        }
        let url = match (Url::parse(address), &self.base) {
            (Ok(url), _) => url,
            (Err(_), Some(base)) => base.join(address).ok()?,
            (Err(_), None) => return None,
        };
        if is_web(&url) {
            let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
            let allowed = plain && self.web.iter().any(|folder| below(&url, folder));
            return allowed.then(|| url.to_string());
        }
        // A revision, tag or digest of what is named.
        let below = |prefix: &str| {
            begins(address, prefix) || address.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['@', ':']))
        };
        self.others.iter().any(|prefix| below(prefix)).then(|| address.to_owned())
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

fn below(url: &Url, folder: &Url) -> bool {
    url.origin() == folder.origin() && begins(url.path(), folder.path())
}

/// A web server as it is asked.
#[derive(Clone)]
pub struct Web {
    client: Client,
    token: Option<Secret>,
}

impl Web {
    /// The token goes to every host that is asked: only those that are configured are.
    pub fn new(options: &Options, token: Option<Secret>) -> Result<Self, String> {
        Ok(Self { client: http::client(options)?, token })
    }

    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }
}

/// Finds bytes by their address.
pub struct Finder {
    pub web: Web,
}

impl Locate for Finder {
    fn locate<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Located, StoreError>> {
        Box::pin(async move {
            let address = &artifact.path;
            let found: Arc<dyn Remote> = match Url::parse(address) {
                Ok(url) if is_web(&url) => Arc::new(File { web: self.web.clone(), url }),
                Ok(_) | Err(_) => remote::open(address).map_err(refused)?,
            };
            let entries = found.list().await.map_err(refused)?;
            let entry = entries.into_iter().find(|entry| entry.address == *address).ok_or(StoreError::Gone)?;
            Ok((found, entry))
        })
    }

    fn server(&self, artifact: &ArtifactRef) -> Option<String> {
        let url = Url::parse(&artifact.path).ok()?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
    }
}

fn refused(error: RemoteError) -> StoreError {
    match error {
        RemoteError::Missing => StoreError::Gone,
        RemoteError::Address(why) => StoreError::Refused(why),
        RemoteError::Denied(why) => StoreError::Denied(why.into()),
        RemoteError::Failed(why) => StoreError::Transient(why.into()),
    }
}

/// One file of a web server.
struct File {
    web: Web,
    url: Url,
}

impl File {
    async fn entry(&self) -> Result<Entry, RemoteError> {
        let failed = |failure: &Failure| RemoteError::of(failure, "give a token that may read it, `token_file`");
        let request = self.web.request(Method::HEAD, self.url.clone());
        let answer = request.send().await.map_err(|error| failed(&error.into()))?;
        let answer = http::success(answer).map_err(|error| failed(&error))?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let size = header(CONTENT_LENGTH).and_then(|text| text.trim().parse().ok());
        Ok(Entry {
            address: self.url.to_string(),
            key: self.url.path().to_owned(),
            size: size.unwrap_or(0),
            claimed: None,
            version: header(ETAG).map(str::to_owned),
            note: None,
            unreadable: size.is_none().then(|| "the server does not tell how large it is".to_owned()),
        })
    }
}

impl Remote for File {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(async move { Ok(vec![self.entry().await?]) })
    }

    fn read<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        Box::pin(async move {
            let request = answer::ask(self.web.request(Method::GET, self.url.clone()), &range, entry.size);
            let answer = http::success(request.send().await.map_err(Failure::from)?)?;
            let same = |tag: &str| answer.headers().get(ETAG).and_then(|value| value.to_str().ok()) == Some(tag);
            // Some servers tag `HEAD` and `GET` otherwise: it matters only where a download goes on.
            if range.start > 0 && entry.version.as_deref().is_some_and(|tag| !same(tag)) {
                return Err(StoreError::Refused("it changed while it was fetched".to_owned()));
            }
            answer::body(answer, &range, entry.size)
        })
    }
}
