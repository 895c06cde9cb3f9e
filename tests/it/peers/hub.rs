//! A stand-in for the Hugging Face Hub, whose server nobody else can run: enough of it that the hub's own
//! client downloads from it, which a test shows. Large files lie on another host, as they do there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
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
/// When every repository was created, unless a test says otherwise.
const CREATED: &str = "2026-01-01T00:00:00.000Z";

/// One repository at one commit.
#[derive(Clone, Default)]
pub struct Repository {
    pub commit: String,
    pub files: BTreeMap<String, Vec<u8>>,
    pub private: bool,
    /// Commits before this one, the newest first.
    pub history: Vec<String>,
    pub tags: BTreeMap<String, String>,
    /// Files at earlier commits.
    pub earlier: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Another repository of the same name has another number.
    pub number: u32,
    pub created: Option<String>,
    /// Who lets people in; null as good as false.
    pub gated: Value,
    /// What the hub's scanners flag: path and level; `None` while they are at work.
    pub issues: Option<Vec<(&'static str, &'static str)>>,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Hub {
    /// Entries on one page of a tree; 0: as few as make several pages.
    pub page: usize,
    /// Pages lead to no further ones, as by way of a mirror that leaves headers out.
    pub without_links: bool,
    /// Nobody answers.
    pub down: bool,
    pub repositories: BTreeMap<String, Repository>,
    /// What is stored under a digest, where that is not what belongs there.
    pub tampered: BTreeMap<String, Vec<u8>>,
    /// Calls that are taken in a window, and how long that is; those beyond are answered with 429.
    pub quota: Option<(u32, std::time::Duration)>,
    window: Option<(std::time::Instant, u32)>,
    /// Calls that were beyond it.
    pub refused: u32,
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
        ((*id).to_owned(), Repository { commit, files, ..Repository::default() })
    });
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let hub = Arc::new(Mutex::new(Hub { repositories: repositories.collect(), port, ..Hub::default() }));
    let router = Router::new().fallback(answer).with_state(Arc::clone(&hub));
    runtime.spawn(async move { axum::serve(listener, router).await });
    Running { hub, url: format!("http://127.0.0.1:{port}"), _runtime: runtime }
}

async fn answer(
    State(hub): State<Arc<Mutex<Hub>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if hub.lock().unwrap().stalls && uri.path().starts_with("/lfs/") {
        tokio::time::sleep(std::time::Duration::from_mins(5)).await;
    }
    let mut hub = hub.lock().unwrap();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let token = text("authorization").is_some();
    if hub.down {
        return respond(StatusCode::SERVICE_UNAVAILABLE, &[], Vec::new());
    }
    hub.asked.push((method.to_string(), uri.path().to_owned(), text("range"), token));
    if hub.throttled > 0 {
        hub.throttled -= 1;
        return respond(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "1".to_owned())], Vec::new());
    }
    let mut limit = Vec::new();
    if uri.path().starts_with("/api/") && !hub.take(&mut limit) {
        return respond(StatusCode::TOO_MANY_REQUESTS, &limit, Vec::new());
    }
    let mut answer = hub.respond_to(&method, &uri, &headers, &body);
    for (name, value) in limit {
        answer.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    answer
}

impl Repository {
    fn has(&self, revision: &str) -> bool {
        revision == "main"
            || revision == self.commit
            || self.tags.contains_key(revision)
            || self.earlier.contains_key(revision)
    }

    /// The commit that a revision stands at.
    fn commit_of<'a>(&'a self, revision: &'a str) -> &'a str {
        let commit = self.tags.get(revision).map_or(revision, String::as_str);
        if self.earlier.contains_key(commit) { commit } else { &self.commit }
    }

    /// Files at a revision.
    fn at(&self, revision: &str) -> &BTreeMap<String, Vec<u8>> {
        let commit = self.tags.get(revision).map_or(revision, String::as_str);
        self.earlier.get(commit).filter(|_| commit != self.commit).unwrap_or(&self.files)
    }

    fn references(&self) -> Value {
        let tags: Vec<Value> = self
            .tags
            .iter()
            .map(|(name, commit)| json!({ "name": name, "ref": format!("refs/tags/{name}"), "targetCommit": commit }))
            .collect();
        json!({
            "branches": [{ "name": "main", "ref": "refs/heads/main", "targetCommit": self.commit }],
            "tags": tags, "converts": [],
        })
    }

    /// A push: the files as they are now are a new commit, on top of the one before or instead of all.
    pub fn push(&mut self, force: bool) {
        let before = std::mem::take(&mut self.commit);
        let digest = Sha256::of(format!("{before} {:?}", self.files.keys()).as_bytes()).to_string();
        digest[..40].clone_into(&mut self.commit);
        if force {
            self.history.clear();
        } else {
            self.history.insert(0, before);
        }
    }
}

impl Hub {
    /// Counts a call, and says what is left of the window as the hub says it; false if it is beyond.
    fn take(&mut self, headers: &mut Vec<(&'static str, String)>) -> bool {
        let Some((quota, window)) = self.quota else { return true };
        let now = std::time::Instant::now();
        let (began, used) = self.window.filter(|(began, _)| now.duration_since(*began) < window).unwrap_or((now, 0));
        self.window = Some((began, used + 1));
        let left = quota.saturating_sub(used + 1);
        let seconds = window.saturating_sub(now.duration_since(began)).as_secs_f64().ceil();
        headers.push(("ratelimit", format!("\"api\";r={left};t={seconds}")));
        headers.push(("ratelimit-policy", format!("\"fixed window\";\"api\";q={quota};w={}", window.as_secs())));
        let taken = used < quota;
        self.refused += u32::from(!taken);
        taken
    }

    fn respond_to(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        if let Some(digest) = path.strip_prefix("/lfs/") {
            return self.large(digest, text("range").as_deref());
        }
        if let Some((_, collection)) = COLLECTIONS.iter().find(|(name, _)| path == format!("/api/{name}")) {
            let author = uri.query().and_then(|query| query.split('&').find_map(|one| one.strip_prefix("author=")));
            let prefix = format!("{collection}{}/", author.unwrap_or_default());
            let listed = self.repositories.iter().filter(|(id, one)| id.starts_with(&prefix) && !one.private);
            let listed: Vec<Value> = listed.map(|(id, one)| about(&id[collection.len()..], one)).collect();
            return json_answer(&Value::Array(listed), &[]);
        }
        let of_api =
            COLLECTIONS.iter().find_map(|(name, prefix)| Some((*prefix, path.strip_prefix(&format!("/api/{name}/"))?)));
        let plain = path.trim_start_matches('/');
        let of_files = COLLECTIONS.iter().rev().find_map(|(_, prefix)| Some((*prefix, plain.strip_prefix(prefix)?)));
        let (api, (collection, rest)) = (of_api.is_some(), of_api.or(of_files).unwrap_or(("", plain)));
        let parts: Vec<&str> = rest.splitn(4, '/').collect();
        let id = parts.iter().take(2).copied().collect::<Vec<_>>().join("/");
        let Some(repository) = self.repositories.get(&format!("{collection}{id}")).cloned() else {
            return missing("RepoNotFound");
        };
        if repository.private && text("authorization") != Some(format!("Bearer {TOKEN}")) {
            return respond(StatusCode::UNAUTHORIZED, &[("x-error-code", "RepoNotFound".to_owned())], Vec::new());
        }
        // A mirror writes an empty path behind the revision.
        match (api, parts.get(2).copied(), parts.get(3).copied().unwrap_or_default().trim_end_matches('/')) {
            (true, None, _) => {
                let mut about = about(&id, &repository);
                if uri.query().is_some_and(|query| query.contains("securityStatus=true")) {
                    let issues = repository.issues.iter().flatten();
                    let issues: Vec<Value> =
                        issues.map(|(path, level)| json!({ "path": path, "level": level })).collect();
                    about["securityRepoStatus"] =
                        json!({ "scansDone": repository.issues.is_some(), "filesWithIssues": issues });
                }
                json_answer(&about, &[])
            }
            (true, Some("revision"), revision) if repository.has(revision) => {
                json_answer(&about(&id, &repository), &[])
            }
            (true, Some("tree"), revision) if repository.has(revision) => {
                self.tree(&id, &repository, revision, uri, &text("host").unwrap_or_default())
            }
            (true, Some("paths-info"), revision) if *method == Method::POST && repository.has(revision) => {
                paths_info(repository.at(revision), body)
            }
            (true, Some("refs"), _) => json_answer(&repository.references(), &[]),
            (true, Some("commits"), revision) if repository.has(revision) => {
                let all = std::iter::once(&repository.commit).chain(&repository.history);
                json_answer(&all.map(|id| json!({ "id": id, "title": "a commit", "message": "", "authors": [{ "user": "somebody" }], "date": CREATED })).collect::<Value>(), &[])
            }
            (false, Some("resolve"), rest) => {
                let (revision, file) = rest.split_once('/').unwrap_or_default();
                if repository.has(revision) {
                    self.resolve(&repository, revision, file, method)
                } else {
                    missing("RevisionNotFound")
                }
            }
            _ => missing("RevisionNotFound"),
        }
    }
}

impl Hub {
    /// A page of the files, with a link to the next.
    fn tree(&self, id: &str, repository: &Repository, revision: &str, uri: &Uri, host: &str) -> Response {
        let cursor = uri.query().and_then(|query| query.split('&').find_map(|one| one.strip_prefix("cursor=")));
        let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let (files, most) = (repository.at(revision), if self.page == 0 { PAGE } else { self.page });
        let page: Vec<Value> =
            files.iter().skip(from).take(most).map(|(path, bytes)| tree_entry(path, bytes)).collect();
        let mut headers = Vec::new();
        if from + most < files.len() && !self.without_links {
            let next = format!("http://{host}/api/models/{id}/tree/{revision}?recursive=true&cursor={}", from + most);
            headers.push(("link", format!("<{next}>; rel=\"next\"")));
        }
        json_answer(&Value::Array(page), &headers)
    }

    fn resolve(&self, repository: &Repository, revision: &str, file: &str, method: &Method) -> Response {
        let Some(bytes) = repository.at(revision).get(file) else { return missing("EntryNotFound") };
        let commit = ("x-repo-commit", repository.commit_of(revision).to_owned());
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
        let headers = [commit, ("etag", format!("\"{}\"", git(bytes))), ("content-length", bytes.len().to_string())];
        respond(StatusCode::OK, &headers, if method == Method::HEAD { Vec::new() } else { bytes.clone() })
    }

    fn large(&self, digest: &str, range: Option<&str>) -> Response {
        let stored = self.repositories.values().flat_map(|repository| {
            repository.files.values().chain(repository.earlier.values().flat_map(BTreeMap::values))
        });
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

/// What Git calls a file.
fn git(bytes: &[u8]) -> String {
    let whole = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &whole);
    digest.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn tree_entry(path: &str, bytes: &[u8]) -> Value {
    let digest = Sha256::of(bytes).to_string();
    let mut entry = json!({ "type": "file", "path": path, "size": bytes.len(), "oid": git(bytes) });
    if is_large(path) {
        let pointer =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {}\n", bytes.len());
        entry["oid"] = git(pointer.as_bytes()).into();
        entry["lfs"] = json!({ "oid": digest, "size": bytes.len(), "pointerSize": 130 });
    }
    entry
}

/// Some files of a repository: their paths come as JSON, or as a form.
fn paths_info(files: &BTreeMap<String, Vec<u8>>, body: &[u8]) -> Response {
    let asked: Vec<String> = if let Ok(body) = serde_json::from_slice::<Value>(body) {
        body["paths"].as_array().into_iter().flatten().filter_map(|path| path.as_str().map(Into::into)).collect()
    } else {
        let form = reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(body))).unwrap();
        form.query_pairs().filter(|(name, _)| name == "paths").map(|(_, path)| path.into_owned()).collect()
    };
    let found = asked.iter().filter_map(|path| Some(tree_entry(path, files.get(path)?)));
    json_answer(&Value::Array(found.collect()), &[])
}

/// Kinds of repositories in paths of the API, and what the names of such begin with here.
const COLLECTIONS: [(&str, &str); 3] = [("models", ""), ("datasets", "datasets/"), ("spaces", "spaces/")];

fn about(id: &str, repository: &Repository) -> Value {
    let files: Vec<Value> = repository.files.keys().map(|path| json!({ "rfilename": path })).collect();
    json!({
        "_id": repository.number.to_string(), "id": id, "modelId": id, "sha": repository.commit, "private": repository.private,
        "gated": if repository.gated.is_null() { json!(false) } else { repository.gated.clone() }, "siblings": files,
        "tags": [], "downloads": 0, "likes": 0, "lastModified": CREATED, "createdAt": repository.created.as_deref().unwrap_or(CREATED),
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
