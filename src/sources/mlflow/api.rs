//! The calls of the REST interface that are needed, with bounds.

mod artifacts;
mod logged;
mod registry;
mod runs;
mod traces;
mod webhooks;
mod workspaces;

use std::collections::BTreeSet;

use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::http::{self, Failure};
use crate::base::secret::Secret;

pub use logged::LoggedInfo;
pub use runs::{Dataset, Run};
pub use traces::{PAGE as TRACES_PAGE, Trace, TracePage, Wanted};
pub use webhooks::{Event as WebhookEvent, Webhook};
pub use workspaces::{Scope, Space, is_name};

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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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
    scope: Scope,
    page_bytes_max: u64,
}

/// Where requests go, and as whom.
#[derive(Debug)]
pub struct Way {
    pub client: Client,
    /// For bytes, which may take their time.
    pub downloads: Client,
    pub tracking: Url,
    pub registry: Url,
    pub credentials: Option<Credentials>,
    pub scope: Scope,
}

impl Api {
    pub fn new(way: Way, page_bytes_max: u64) -> Self {
        let Way { client, downloads, tracking, registry, credentials, scope } = way;
        Self { client, downloads, tracking, registry, credentials, scope, page_bytes_max }
    }

    /// Address of the registry, without credentials.
    pub fn registry(&self) -> &str {
        self.registry.as_str().trim_end_matches('/')
    }

    /// Host of the tracking server, which serves `mlflow-artifacts:`.
    pub fn artifact_host(&self) -> (Option<&str>, Option<u16>) {
        (self.tracking.host_str(), self.tracking.port_or_known_default())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        space: Space<'_>,
        call: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        self.json(space, address(&self.registry, &format!("mlflow/{call}"), query)?).await
    }

    async fn json<T: DeserializeOwned>(&self, space: Space<'_>, url: Url) -> Result<T, Failure> {
        self.answer(self.request(space, &self.client, Method::GET, url)).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = http::success(request.send().await?)?;
        let body = http::body(response, self.page_bytes_max).await?;
        // Only where the parser stumbled is told, not over what: that may be anybody's.
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Garbage(format!("not the JSON expected, at byte {}", error.column())))
    }

    fn request(&self, space: Space<'_>, client: &Client, method: Method, url: Url) -> RequestBuilder {
        let mut request = client.request(method, url);
        if let Some(space) = space.or(self.scope.usual()) {
            request = request.header(workspaces::HEADER, space);
        }
        match &self.credentials {
            Some(Credentials::Bearer(token)) => request.bearer_auth(token.expose()),
            Some(Credentials::Basic { user, password }) => request.basic_auth(user, Some(password.expose())),
            None => request,
        }
    }
}

/// The token of the next page. One that was seen before would go round for ever.
pub fn next(token: Option<String>, seen: &mut BTreeSet<String>) -> Result<Option<String>, Failure> {
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
