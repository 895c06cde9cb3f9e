//! The calls of the REST interface that are needed, with bounds.

use std::collections::BTreeSet;
use std::ops::Range;

use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED, RANGE};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::http::{self, Failure};
use crate::base::secret::Secret;
use crate::base::uri::{encode, encode_path};
use crate::sources::StoreError;
use crate::sources::remote::{Body, answer, patiently};

/// Largest pages that the server gives.
const MODELS_PAGE: &str = "1000";
const VERSIONS_PAGE: &str = "10000";
const HOT_PAGE: &str = "50";
/// A server that never ends a listing is not believed.
const PAGES_MAX: usize = 2_000;

#[derive(Debug)]
pub enum Credentials {
    Bearer(Secret),
    Basic { user: String, password: Secret },
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Model {
    pub name: String,
    pub description: Option<String>,
    pub last_updated_timestamp: i64,
    pub aliases: Vec<Alias>,
    pub tags: Vec<Tag>,
}

/// What is registered: the server lists prompts only when it is asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Models,
    Prompts,
}

impl Kind {
    const fn filter(self) -> &'static str {
        match self {
            Self::Models => "",
            Self::Prompts => "tags.`mlflow.prompt.is_prompt` = 'true'",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Alias {
    pub alias: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Tag {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are those of the REST interface")]
pub struct Version {
    pub name: String,
    pub version: String,
    pub description: Option<String>,
    pub last_updated_timestamp: i64,
    pub current_stage: Option<String>,
    pub source: Option<String>,
    pub run_id: Option<String>,
    pub tags: Vec<Tag>,
}

/// One entry of a listing of artifacts.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub path: String,
    #[serde(default)]
    pub is_dir: bool,
    #[serde(default)]
    pub file_size: Option<u64>,
}

/// What tells that stored bytes changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub etag: Option<String>,
    pub modified: Option<String>,
    pub size: Option<u64>,
}

#[derive(Debug)]
pub struct Api {
    client: Client,
    downloads: Client,
    tracking: Url,
    registry: Url,
    credentials: Option<Credentials>,
    page_bytes_max: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelsPage {
    registered_models: Vec<Model>,
    next_page_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VersionsPage {
    model_versions: Vec<Version>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct OneVersion {
    model_version: Version,
}

#[derive(Deserialize)]
struct OneModel {
    registered_model: Model,
}

#[derive(Deserialize)]
struct DownloadUri {
    artifact_uri: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entries {
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct LoggedModel {
    model: Logged,
}

#[derive(Deserialize)]
struct Logged {
    info: LoggedInfo,
}

#[derive(Deserialize)]
struct LoggedInfo {
    artifact_uri: String,
}

#[derive(Deserialize)]
struct OneRun {
    run: Run,
}

#[derive(Deserialize)]
struct Run {
    info: RunInfo,
}

#[derive(Deserialize)]
struct RunInfo {
    lifecycle_stage: String,
}

impl Api {
    pub const fn new(
        client: Client,
        downloads: Client,
        tracking: Url,
        registry: Url,
        credentials: Option<Credentials>,
        page_bytes_max: u64,
    ) -> Self {
        Self { client, downloads, tracking, registry, credentials, page_bytes_max }
    }

    /// Address of the registry, without credentials.
    pub fn registry(&self) -> &str {
        self.registry.as_str().trim_end_matches('/')
    }

    /// Host of the tracking server, which serves `mlflow-artifacts:`.
    pub fn artifact_host(&self) -> (Option<&str>, Option<u16>) {
        (self.tracking.host_str(), self.tracking.port_or_known_default())
    }

    /// All models or all prompts, and whether it took more than one page.
    pub async fn models(&self, kind: Kind) -> Result<(Vec<Model>, bool), Failure> {
        let (mut all, mut token, mut seen) = (Vec::new(), String::new(), BTreeSet::new());
        loop {
            let query = [("max_results", MODELS_PAGE), ("filter", kind.filter()), ("page_token", &*token)];
            let page: ModelsPage = self.get("registered-models/search", &query).await?;
            all.extend(page.registered_models);
            match next(page.next_page_token, &mut seen)? {
                Some(more) => token = more,
                None => return Ok((all, !seen.is_empty())),
            }
        }
    }

    /// All versions of models or of prompts, and whether it took more than one page.
    pub async fn versions(&self, kind: Kind) -> Result<(Vec<Version>, bool), Failure> {
        let (mut all, mut token, mut seen) = (Vec::new(), String::new(), BTreeSet::new());
        loop {
            let query = [("max_results", VERSIONS_PAGE), ("filter", kind.filter()), ("page_token", &*token)];
            let page: VersionsPage = self.get("model-versions/search", &query).await?;
            all.extend(page.model_versions);
            match next(page.next_page_token, &mut seen)? {
                Some(more) => token = more,
                None => return Ok((all, !seen.is_empty())),
            }
        }
    }

    /// Models changed last.
    pub async fn hot_models(&self) -> Result<Vec<Model>, Failure> {
        let query = [("max_results", HOT_PAGE), ("order_by", "last_updated_timestamp DESC")];
        Ok(self.get::<ModelsPage>("registered-models/search", &query).await?.registered_models)
    }

    /// Versions changed last.
    pub async fn hot_versions(&self) -> Result<Vec<Version>, Failure> {
        let query = [("max_results", HOT_PAGE), ("order_by", "last_updated_timestamp DESC")];
        Ok(self.get::<VersionsPage>("model-versions/search", &query).await?.model_versions)
    }

    pub async fn model(&self, name: &str) -> Result<Model, Failure> {
        Ok(self.get::<OneModel>("registered-models/get", &[("name", name)]).await?.registered_model)
    }

    pub async fn version(&self, name: &str, version: &str) -> Result<Version, Failure> {
        let query = [("name", name), ("version", version)];
        Ok(self.get::<OneVersion>("model-versions/get", &query).await?.model_version)
    }

    /// Where a version's bytes lie.
    pub async fn location(&self, name: &str, version: &str) -> Result<String, Failure> {
        let query = [("name", name), ("version", version)];
        Ok(self.get::<DownloadUri>("model-versions/get-download-uri", &query).await?.artifact_uri)
    }

    /// The version that an alias points to.
    pub async fn alias(&self, name: &str, alias: &str) -> Result<Version, Failure> {
        let query = [("name", name), ("alias", alias)];
        match self.get::<OneVersion>("registered-models/alias", &query).await {
            Ok(found) => Ok(found.model_version),
            // So it says that there is no such alias.
            Err(Failure::Rejected { status: 400 }) => Err(Failure::Gone),
            Err(failure) => Err(failure),
        }
    }

    /// The newest version at a stage; at any for `latest`.
    pub async fn at_stage(&self, name: &str, stage: &str) -> Result<Version, Failure> {
        let quote = if name.contains('\'') { '"' } else { '\'' };
        let query = [("filter", &*format!("name={quote}{name}{quote}")), ("max_results", VERSIONS_PAGE)];
        let versions = self.get::<VersionsPage>("model-versions/search", &query).await?.model_versions;
        let fits = |version: &Version| {
            stage.eq_ignore_ascii_case("latest")
                || version.current_stage.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(stage))
        };
        let newest = |version: &Version| version.version.parse::<u64>().unwrap_or(0);
        versions.into_iter().filter(fits).max_by_key(newest).ok_or(Failure::Gone)
    }

    /// Where the bytes of a logged model lie.
    pub async fn logged_model(&self, id: &str) -> Result<String, Failure> {
        Ok(self.get::<LoggedModel>(&format!("logged-models/{}", encode(id)), &[]).await?.model.info.artifact_uri)
    }

    /// `active` or `deleted`.
    pub async fn run_state(&self, id: &str) -> Result<String, Failure> {
        let url = address(&self.tracking, "mlflow/runs/get", &[("run_id", id)])?;
        Ok(self.json::<OneRun>(url).await?.run.info.lifecycle_stage)
    }

    /// One level of a directory of artifacts.
    pub async fn list(&self, directory: &str) -> Result<Vec<Entry>, Failure> {
        let url = address(&self.tracking, "mlflow-artifacts/artifacts", &[("path", directory)])?;
        Ok(self.json::<Entries>(url).await?.files)
    }

    pub async fn head(&self, path: &str) -> Result<Head, Failure> {
        let url = self.artifact(path)?;
        let answer = http::success(self.request(&self.client, Method::HEAD, url.clone()).send().await?);
        match answer {
            Ok(response) => Ok(head(response.headers())),
            // Some proxies take no HEAD: the first byte comes with the same headers.
            Err(Failure::Rejected { status: 405 | 501 }) => {
                let request = self.request(&self.client, Method::GET, url).header(RANGE, "bytes=0-0");
                let mut found = head(http::success(request.send().await?)?.headers());
                found.size = None;
                Ok(found)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Bytes of an artifact from an offset on.
    pub async fn fetch(&self, path: &str, offset: u64) -> Result<Response, Failure> {
        let url = self.artifact(path)?;
        let mut request = self.request(&self.downloads, Method::GET, url);
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        http::success(request.send().await?)
    }

    /// A range of an artifact's bytes.
    pub async fn read(&self, path: &str, range: Range<u64>, size: u64) -> Result<Body, StoreError> {
        let url = self.artifact(path)?;
        let response = patiently(|| async {
            let request = self.request(&self.downloads, Method::GET, url.clone());
            http::success(answer::ask(request, &range, size).send().await?)
        })
        .await?;
        answer::body(response, &range, size)
    }

    fn artifact(&self, path: &str) -> Result<Url, Failure> {
        address(&self.tracking, &format!("mlflow-artifacts/artifacts/{}", encode_path(path)), &[])
    }

    async fn get<T: DeserializeOwned>(&self, call: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        self.json(address(&self.registry, &format!("mlflow/{call}"), query)?).await
    }

    async fn json<T: DeserializeOwned>(&self, url: Url) -> Result<T, Failure> {
        let response = http::success(self.request(&self.client, Method::GET, url).send().await?)?;
        let body = http::body(response, self.page_bytes_max).await?;
        // Only where the parser stumbled is told, not over what: that may be anybody's.
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Garbage(format!("not the JSON expected, at byte {}", error.column())))
    }

    fn request(&self, client: &Client, method: Method, url: Url) -> RequestBuilder {
        let request = client.request(method, url);
        match &self.credentials {
            Some(Credentials::Bearer(token)) => request.bearer_auth(token.expose()),
            Some(Credentials::Basic { user, password }) => request.basic_auth(user, Some(password.expose())),
            None => request,
        }
    }
}

/// The token of the next page. One that was seen before would go round for ever.
fn next(token: Option<String>, seen: &mut BTreeSet<String>) -> Result<Option<String>, Failure> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    if seen.len() >= PAGES_MAX || !seen.insert(token.clone()) {
        return Err(Failure::Garbage("a listing without end".to_owned()));
    }
    Ok(Some(token))
}

fn address(base: &Url, call: &str, query: &[(&str, &str)]) -> Result<Url, Failure> {
    let text = format!("{}/api/2.0/{call}", base.as_str().trim_end_matches('/'));
    let mut url = Url::parse(&text).map_err(|error| Failure::Garbage(error.to_string()))?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
    }
    Ok(url)
}

fn head(headers: &HeaderMap) -> Head {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    Head {
        etag: text(ETAG),
        modified: text(LAST_MODIFIED),
        size: text(CONTENT_LENGTH).and_then(|size| size.parse().ok()),
    }
}
