//! The calls of the hub that are needed, with bounds.

use std::collections::BTreeSet;
use std::ops::Range;

use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::address::{Address, Kind};
use super::limits::{Bucket, Limits};
use super::token;
use crate::base::environment::Environment;
use crate::base::http::{self, Failure};
use crate::base::secret::Secret;
use crate::base::text::shorten;
use crate::base::uri;
use crate::event::Sha256;
use crate::sources::StoreError;
use crate::sources::remote::{ANSWER_BYTES_MAX, Body, FILES_MAX, NAME_MAX, PAGES_MAX, answer, patiently};

const ENDPOINT: &str = "https://huggingface.co";
/// The hub sends files on to a store, and that sometimes to another.
const REDIRECTS_MAX: usize = 5;

pub struct Api {
    client: Client,
    downloads: Client,
    endpoint: Url,
    token: Option<Secret>,
    limits: Limits,
}

/// One file of a repository.
#[derive(Debug, Clone, Deserialize)]
pub struct File {
    #[serde(rename = "type")]
    kind: String,
    pub path: String,
    /// Digest of the file as Git knows it: of large ones, of what stands for them.
    oid: Option<String>,
    size: Option<u64>,
    lfs: Option<Lfs>,
    /// The name was too long to be kept whole.
    #[serde(skip)]
    pub cut: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Lfs {
    oid: String,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// What the hub says of a repository.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct About {
    /// What the hub knows it by: another repository of the same name has another.
    #[serde(rename = "_id")]
    pub number: String,
    pub id: String,
    pub sha: Option<String>,
    pub private: Option<bool>,
    /// `false`, or who lets people in: `auto` or `manual`.
    pub gated: Option<serde_json::Value>,
    #[serde(rename = "createdAt")]
    pub created: Option<String>,
    #[serde(rename = "lastModified")]
    pub modified: Option<String>,
    pub disabled: bool,
    /// Its files, which are only counted.
    pub siblings: Vec<IgnoredAny>,
    /// What the hub's own scanners say.
    #[serde(rename = "securityRepoStatus")]
    pub scans: Option<Scans>,
}

/// What the hub's own scanners say of a repository.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scans {
    #[serde(rename = "scansDone")]
    pub done: bool,
    pub files_with_issues: Vec<Issue>,
}

/// A file that they flag.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Issue {
    pub path: String,
    /// `unsafe`, `suspicious` or `caution`.
    pub level: String,
}

/// One branch or tag.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reference {
    pub name: String,
    #[serde(rename = "targetCommit")]
    pub commit: String,
}

/// Branches and tags of a repository.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct References {
    pub branches: Vec<Reference>,
    pub tags: Vec<Reference>,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

impl File {
    /// Keeps no more of a name than a path may have.
    fn bounded(mut self) -> Self {
        if self.path.len() > NAME_MAX {
            self.path = shorten(&self.path, 200);
            self.cut = true;
        }
        self
    }

    /// What changes with the bytes, without any of them being read.
    pub fn identity(&self) -> String {
        let digest = self.sha256().map(|digest| format!("sha256:{digest}"));
        let known = digest.or_else(|| self.oid.as_ref().map(|oid| format!("git:{}", shorten(oid, 64))));
        known.unwrap_or_else(|| format!("size:{}", self.size.unwrap_or(0)))
    }

    /// Bytes; `None` when the hub does not tell.
    pub fn size(&self) -> Option<u64> {
        self.lfs.as_ref().map_or(self.size, |lfs| lfs.size)
    }

    /// The hub knows the digest of large files only.
    pub fn sha256(&self) -> Option<Sha256> {
        let oid = &self.lfs.as_ref()?.oid;
        oid.strip_prefix("sha256:").unwrap_or(oid).parse().ok()
    }
}

impl Api {
    pub fn connect(environment: Environment<'_>) -> Result<Self, String> {
        Self::with(environment, None, None)
    }

    /// The hub and the token that are named, or else those of the hub's own client.
    pub fn with(environment: Environment<'_>, endpoint: Option<&str>, token: Option<Secret>) -> Result<Self, String> {
        let endpoint = endpoint.map(str::to_owned).or_else(|| environment("HF_ENDPOINT"));
        let endpoint = endpoint.unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = Url::parse(&endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or("HF_ENDPOINT is not the address of a hub; write https://host")?;
        // A file may take its time, as long as bytes keep coming.
        let patient = http::Options { timeout: None, redirects_max: REDIRECTS_MAX, ..http::Options::default() };
        // A renamed repository is found under its new name.
        let quick = http::Options { redirects_max: REDIRECTS_MAX, ..http::Options::default() };
        Ok(Self {
            client: http::client(&quick)?,
            downloads: http::client(&patient)?,
            endpoint,
            token: token.or_else(|| token::find(environment)),
            limits: Limits::default(),
        })
    }

    /// The commit at which a revision stands.
    pub async fn commit(&self, address: &Address) -> Result<String, Failure> {
        let url = self.url(&["api", collection(address.kind), &address.id, "revision"], &[&address.revision])?;
        let (revision, _): (Revision, _) = self.json(&url).await?;
        if revision.sha.is_empty() || !revision.sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::Garbage("the hub names no commit".to_owned()));
        }
        Ok(revision.sha)
    }

    /// The address of the hub.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// What the hub says of a repository, by what it is called now.
    pub async fn about(&self, address: &Address) -> Result<About, Failure> {
        let mut url = self.url(&["api", collection(address.kind), &address.id], &[])?;
        if address.kind == Kind::Model {
            url.query_pairs_mut().append_pair("securityStatus", "true");
        }
        Ok(self.json(&url).await?.0)
    }

    /// Repositories of an organisation or a person, those changed last first; no more than `most`.
    pub async fn of_author(&self, kind: Kind, author: &str, most: usize) -> Result<Vec<About>, Failure> {
        let mut url = self.url(&["api", collection(kind)], &[])?;
        url.query_pairs_mut().append_pair("author", author).append_pair("sort", "lastModified");
        url.query_pairs_mut().append_pair("limit", "1000").append_pair("full", "true");
        let mut all = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (page, next): (Vec<About>, _) = self.json(&url).await?;
            all.extend(page);
            let Some(next) = next.filter(|_| all.len() < most) else { return Ok(all) };
            if next.origin() != self.endpoint.origin() || seen.len() >= PAGES_MAX || !seen.insert(next.to_string()) {
                return Err(Failure::Garbage("a listing without end".to_owned()));
            }
            url = next;
        }
    }

    /// Branches and tags.
    pub async fn references(&self, address: &Address) -> Result<References, Failure> {
        let url = self.url(&["api", collection(address.kind), &address.id, "refs"], &[])?;
        Ok(self.json(&url).await?.0)
    }

    /// Whether a commit is part of the history of another, as far as one page of it tells; `None` beyond that.
    pub async fn is_ancestor(&self, address: &Address, old: &str, new: &str) -> Result<Option<bool>, Failure> {
        let url = self.url(&["api", collection(address.kind), &address.id, "commits"], &[new])?;
        let (history, next): (Vec<Commit>, _) = self.json(&url).await?;
        let found = history.iter().any(|commit| commit.id == old);
        Ok(if found || next.is_none() { Some(found) } else { None })
    }

    /// All files at a commit.
    pub async fn tree(&self, address: &Address, commit: &str) -> Result<Vec<File>, Failure> {
        let mut url = self.url(&["api", collection(address.kind), &address.id, "tree"], &[commit])?;
        url.query_pairs_mut().append_pair("recursive", "true").append_pair("expand", "false");
        let mut files = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (page, next): (Vec<File>, _) = self.json(&url).await?;
            files.extend(page.into_iter().filter(|file| file.kind == "file").map(File::bounded));
            if files.len() > FILES_MAX {
                return Err(Failure::Garbage(format!("it holds more than {FILES_MAX} files; name a folder in it")));
            }
            let Some(next) = next else { return Ok(files) };
            // The token goes to the hub and to nobody else.
            let same = next.origin() == self.endpoint.origin();
            if !same || seen.len() >= PAGES_MAX || !seen.insert(next.to_string()) {
                return Err(Failure::Garbage("a listing without end".to_owned()));
            }
            url = next;
        }
    }

    /// Bytes of a file, redirected to wherever the hub keeps them.
    pub async fn read(
        &self,
        address: &Address,
        commit: &str,
        path: &str,
        range: Range<u64>,
        size: u64,
    ) -> Result<Body, StoreError> {
        let prefix = match address.kind {
            Kind::Model => "",
            Kind::Dataset => "datasets",
            Kind::Space => "spaces",
        };
        let url = self.url(&[prefix, &address.id, "resolve"], &[commit])?;
        let url = Url::parse(&format!("{url}/{}", uri::encode_path(path)))
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let response = patiently(|| async {
            let request = self.signed(self.downloads.get(url.clone()));
            self.taken(answer::ask(request, &range, size), Bucket::Resolvers).await
        })
        .await?;
        answer::body(response, &range, size)
    }

    /// Asks when the hub takes it.
    async fn taken(&self, request: RequestBuilder, bucket: Bucket) -> Result<Response, Failure> {
        self.limits.pace(bucket).await;
        let response = request.send().await?;
        self.limits.note(response.headers());
        http::success(response).map_err(|failure| match failure {
            Failure::Throttled { after } => {
                Failure::Throttled { after: after.or_else(|| self.limits.exhausted(bucket)) }
            }
            failure => failure,
        })
    }

    /// Why calls take their time, where they are spread.
    pub fn pace(&self) -> Option<String> {
        self.limits.sentence()
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// Fixed parts, in which slashes stay, and one part in which they do not.
    fn url(&self, fixed: &[&str], part: &[&str]) -> Result<Url, Failure> {
        let fixed = fixed.iter().filter(|part| !part.is_empty()).map(|part| uri::encode_path(part));
        let parts: Vec<String> = fixed.chain(part.iter().map(|part| uri::encode(part))).collect();
        let text = format!("{}/{}", self.endpoint.as_str().trim_end_matches('/'), parts.join("/"));
        Url::parse(&text).map_err(|error| Failure::Garbage(error.to_string()))
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, url: &Url) -> Result<(T, Option<Url>), Failure> {
        patiently(|| async {
            let response = self.taken(self.signed(self.client.get(url.clone())), Bucket::Api).await?;
            let next = answer::next_page(response.headers(), url);
            let body = http::body(response, ANSWER_BYTES_MAX).await?;
            let value = serde_json::from_slice(&body)
                .map_err(|error| Failure::Garbage(format!("not the JSON expected, at byte {}", error.column())))?;
            Ok((value, next))
        })
        .await
    }
}

const fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Model => "models",
        Kind::Dataset => "datasets",
        Kind::Space => "spaces",
    }
}
