//! A stand-in for the Hugging Face Hub, whose server nobody else can run: enough of it that the hub's own
//! client downloads from it, which a test shows. Large files lie on another host, as they do there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::Response;
use lanner::event::Sha256;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::runtime;

/// The token that private repositories ask for.
pub const TOKEN: &str = "hf_atestsowntoken";
/// Files with these endings are large, however small they are.
const LARGE: [&str; 6] = [".bin", ".pkl", ".pt", ".safetensors", ".gguf", ".onnx"];
/// Entries on one page of a tree.
const PAGE: usize = 3;

/// One repository at one commit.
#[derive(Clone, Default)]
pub struct Repository {
    pub commit: String,
    pub files: BTreeMap<String, Vec<u8>>,
    pub private: bool,
}

#[derive(Default)]
pub struct Hub {
    pub repositories: BTreeMap<String, Repository>,
    /// What is stored under a digest, where that is not what belongs there.
    pub tampered: BTreeMap<String, Vec<u8>>,
    /// So many requests are answered with 429 first.
    pub throttled: u32,
    /// The store of large files ignores ranges.
    pub without_ranges: bool,
    /// Downloads of large files end after so many bytes.
    pub breaks_after: Option<usize>,
    /// The store of large files does not answer.
    pub stalls: bool,
    /// What was asked for: method, path, range, and whether a token came along.
    pub asked: Vec<(String, String, Option<String>, bool)>,
    port: u16,
}

/// Paths and bytes.
pub type Files<'f> = &'f [(&'f str, &'f [u8])];

/// A running hub; it ends when it is dropped.
pub struct Running {
    pub hub: Arc<Mutex<Hub>>,
    pub url: String,
    _runtime: Runtime,
}

/// Starts a hub with these repositories, each with files.
pub fn start(repositories: &[(&str, Files<'_>)]) -> Running {
    let repositories = repositories.iter().map(|(id, files)| {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
        let commit = Sha256::of(id.as_bytes()).to_string()[..40].to_owned();
        ((*id).to_owned(), Repository { commit, files, private: false })
    });
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let hub = Arc::new(Mutex::new(Hub { repositories: repositories.collect(), port, ..Hub::default() }));
    let router = Router::new().fallback(answer).with_state(Arc::clone(&hub));
    runtime.spawn(async move { axum::serve(listener, router).await });
    Running { hub, url: format!("http://127.0.0.1:{port}"), _runtime: runtime }
}

async fn answer(State(hub): State<Arc<Mutex<Hub>>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if hub.lock().unwrap().stalls && uri.path().starts_with("/lfs/") {
        tokio::time::sleep(std::time::Duration::from_mins(5)).await;
    }
    let mut hub = hub.lock().unwrap();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let token = text("authorization").is_some();
    hub.asked.push((method.to_string(), uri.path().to_owned(), text("range"), token));
    if hub.throttled > 0 {
        hub.throttled -= 1;
        return respond(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "1".to_owned())], Vec::new());
    }
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    if let Some(digest) = path.strip_prefix("/lfs/") {
        return hub.large(digest, text("range").as_deref());
    }
    let (api, rest) = match path.strip_prefix("/api/models/") {
        Some(rest) => (true, rest.to_owned()),
        None => (false, path.trim_start_matches('/').to_owned()),
    };
    let parts: Vec<&str> = rest.splitn(4, '/').collect();
    let id = parts.iter().take(2).copied().collect::<Vec<_>>().join("/");
    let Some(repository) = hub.repositories.get(&id).cloned() else { return missing("RepoNotFound") };
    if repository.private && text("authorization") != Some(format!("Bearer {TOKEN}")) {
        return respond(StatusCode::UNAUTHORIZED, &[("x-error-code", "RepoNotFound".to_owned())], Vec::new());
    }
    match (api, parts.get(2).copied(), parts.get(3).copied().unwrap_or_default()) {
        (true, None, _) => json_answer(&about(&id, &repository), &[]),
        (true, Some("revision"), revision) if repository.has(revision) => json_answer(&about(&id, &repository), &[]),
        (true, Some("tree"), revision) if repository.has(revision) => hub.tree(&id, &repository, &uri),
        (false, Some("resolve"), rest) => {
            let (revision, file) = rest.split_once('/').unwrap_or_default();
            if repository.has(revision) { hub.resolve(&repository, file, &method) } else { missing("RevisionNotFound") }
        }
        _ => missing("RevisionNotFound"),
    }
}

impl Repository {
    fn has(&self, revision: &str) -> bool {
        revision == "main" || revision == self.commit
    }
}

impl Hub {
    /// A page of the files, with a link to the next.
    fn tree(&self, id: &str, repository: &Repository, uri: &Uri) -> Response {
        let cursor = uri.query().and_then(|query| query.split('&').find_map(|one| one.strip_prefix("cursor=")));
        let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let page: Vec<Value> =
            repository.files.iter().skip(from).take(PAGE).map(|(path, bytes)| tree_entry(path, bytes)).collect();
        let mut headers = Vec::new();
        if from + PAGE < repository.files.len() {
            let next = format!(
                "http://127.0.0.1:{}/api/models/{id}/tree/{}?recursive=true&cursor={}",
                self.port,
                repository.commit,
                from + PAGE
            );
            headers.push(("link", format!("<{next}>; rel=\"next\"")));
        }
        json_answer(&Value::Array(page), &headers)
    }

    fn resolve(&self, repository: &Repository, file: &str, method: &Method) -> Response {
        let Some(bytes) = repository.files.get(file) else { return missing("EntryNotFound") };
        let commit = ("x-repo-commit", repository.commit.clone());
        let digest = Sha256::of(bytes).to_string();
        if is_large(file) {
            // Another host name: a token must not go along.
            let headers = [
                commit,
                ("x-linked-etag", format!("\"{digest}\"")),
                ("x-linked-size", bytes.len().to_string()),
                ("location", format!("http://localhost:{}/lfs/{digest}", self.port)),
            ];
            return respond(StatusCode::FOUND, &headers, Vec::new());
        }
        let headers = [commit, ("etag", format!("\"{}\"", &digest[..40])), ("content-length", bytes.len().to_string())];
        respond(StatusCode::OK, &headers, if method == Method::HEAD { Vec::new() } else { bytes.clone() })
    }

    fn large(&self, digest: &str, range: Option<&str>) -> Response {
        let stored = self.repositories.values().flat_map(|repository| repository.files.values());
        let mut stored = stored.filter(|bytes| Sha256::of(bytes).to_string() == digest);
        let Some(bytes) = self.tampered.get(digest).or_else(|| stored.next()) else { return missing("EntryNotFound") };
        let asked = range.filter(|_| !self.without_ranges).and_then(|range| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((first.parse::<usize>().ok()?, last.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1)))
        });
        match asked {
            Some((first, last)) => {
                let headers = [("content-range", format!("bytes {first}-{last}/{}", bytes.len()))];
                let end = self.breaks_after.map_or(last + 1, |most| (first + most).min(last + 1));
                respond(StatusCode::PARTIAL_CONTENT, &headers, bytes[first..end].to_vec())
            }
            None => respond(
                StatusCode::OK,
                &[],
                bytes[..self.breaks_after.unwrap_or(bytes.len()).min(bytes.len())].to_vec(),
            ),
        }
    }
}

fn is_large(path: &str) -> bool {
    LARGE.iter().any(|ending| path.ends_with(ending))
}

fn tree_entry(path: &str, bytes: &[u8]) -> Value {
    let digest = Sha256::of(bytes).to_string();
    let mut entry = json!({ "type": "file", "path": path, "size": bytes.len(), "oid": &digest[..40] });
    if is_large(path) {
        entry["lfs"] = json!({ "oid": digest, "size": bytes.len(), "pointerSize": 130 });
    }
    entry
}

fn about(id: &str, repository: &Repository) -> Value {
    let files: Vec<Value> = repository.files.keys().map(|path| json!({ "rfilename": path })).collect();
    json!({
        "_id": "0", "id": id, "modelId": id, "sha": repository.commit, "private": repository.private, "siblings": files,
        "tags": [], "downloads": 0, "likes": 0, "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
    })
}

fn missing(code: &str) -> Response {
    respond(StatusCode::NOT_FOUND, &[("x-error-code", code.to_owned())], Vec::new())
}

fn json_answer(value: &Value, headers: &[(&str, String)]) -> Response {
    let mut all = vec![("content-type", "application/json".to_owned())];
    all.extend(headers.iter().cloned());
    respond(StatusCode::OK, &all, serde_json::to_vec(value).unwrap())
}

fn respond(status: StatusCode, headers: &[(&str, String)], body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    response
}
