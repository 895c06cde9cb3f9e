//! An index that lists what there is: a file on a web server, read again and again and compared with the last time.

mod read;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{ACCEPT, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Method, StatusCode, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fetch::{self, Allowed, Finder, Web};
use super::records::{self, Maker};
use crate::base::http::{self, Failure, Options};
use crate::base::text::shorten;
use crate::base::{clock, files};
use crate::event::{Fields, Sha256};
use crate::sources::reconcile::{self, Pace, Place, Sink, Stop};
use crate::sources::remote::Fetched;
use crate::sources::verify::Verify;
use crate::sources::{
    BoxFuture, Built, Change, Context, RecordKind, Settings, Source, SourceError, Statement, Store, Sweep,
};

/// Certificates larger than this are none.
const CERTIFICATES_MAX: u64 = 1 << 20;
/// For so long a server is believed that nothing changed; then the index is read once more.
const BELIEVED: Duration = Duration::from_mins(10);
/// Times of files are kept in seconds.
const FRESH_SECS: i64 = 2;

/// A source that reads an index of models, versions and artifacts: an array or lines of JSON, in the words of the
/// `cloudevents` source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// Address of the index.
    pub url: String,
    /// File that holds a bearer token, for the index and for the bytes that it names.
    pub token_file: Option<PathBuf>,
    /// Certificates to trust beside those of the system, PEM.
    pub server_cert_path: Option<PathBuf>,
    /// Beginnings of addresses from which bytes are fetched that the index names by `url`, beside those of its own
    /// folder; nothing is asked of any other.
    pub fetch: Vec<String>,
    /// Read the index.
    pub sweep_interval_secs: u64,
    /// Time for one request; a download may take longer as long as bytes come.
    pub request_timeout_secs: u64,
    /// Size of the index.
    pub index_bytes_max: u64,
    /// Models, versions and artifacts that are kept; more make the source blind.
    pub records_max: usize,
    /// Size of one artifact that is fetched whole; larger ones are looked into by parts.
    pub artifact_bytes_max: u64,
    /// Fetch bytes again, since an index says nothing of files that are overwritten.
    pub verify: Verify,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "index".to_owned(),
            url: String::new(),
            token_file: None,
            server_cert_path: None,
            fetch: Vec::new(),
            sweep_interval_secs: 60,
            request_timeout_secs: 30,
            index_bytes_max: 64 << 20,
            records_max: 200_000,
            artifact_bytes_max: 16 << 30,
            verify: Verify::default(),
        }
    }
}

impl Settings for Config {
    fn build(self) -> Built {
        let url = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let numbers = [
            ("sweep_interval_secs", self.sweep_interval_secs),
            ("request_timeout_secs", self.request_timeout_secs),
            ("index_bytes_max", self.index_bytes_max),
            ("records_max", self.records_max as u64),
            ("artifact_bytes_max", self.artifact_bytes_max),
        ];
        let token_file = self.token_file.as_deref();
        let checked = fetch::Settings::check(&numbers, &self.verify, url.clone(), &self.fetch, token_file);
        let fetch::Settings { allowed, token, mut problems } = checked;
        if url.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
            problems.push(
                "`url` holds a user or password, which would be told everywhere; write a token into `token_file`"
                    .to_owned(),
            );
        }
        if url.is_none() {
            problems.push(format!("`url` is `{}`; write an address, as https://models.example/index.json", self.url));
        }
        let authorities = self.server_cert_path.as_deref().and_then(|path| {
            let read = files::read(path, CERTIFICATES_MAX);
            read.map_err(|error| {
                problems.push(format!("`server_cert_path` `{}` cannot be read: {error}", path.display()));
            })
            .ok()
        });
        let timeout = Some(Duration::from_secs(self.request_timeout_secs));
        let quick = Options { timeout, authorities, ..Options::default() };
        let patient = Options { timeout: None, ..quick.clone() };
        let webs = Web::new(&quick, token.clone()).and_then(|web| Ok((web, Web::new(&patient, token)?)));
        match (url, webs) {
            (Some(url), Ok((web, downloads))) if problems.is_empty() => {
                let finder = Arc::new(Finder { web: downloads });
                let store = Arc::new(Fetched::new(finder, self.artifact_bytes_max));
                Ok(Arc::new(Index { config: self, url, allowed, web, store, known: Mutex::default() }))
            }
            (_, Err(problem)) => {
                problems.push(problem);
                Err(problems)
            }
            (_, Ok(_)) => Err(problems),
        }
    }
}

struct Index {
    config: Config,
    url: Url,
    allowed: Allowed,
    web: Web,
    store: Arc<Fetched<Finder>>,
    /// The index as it was last taken in as a whole.
    known: Mutex<Option<Known>>,
}

/// An index that was read.
#[derive(Clone)]
struct Known {
    tag: Option<String>,
    body: Sha256,
    /// It was read twice in a row: what it does not name is told as gone.
    settled: bool,
    read: Instant,
}

impl Index {
    /// Tells all entries; false if some make no sense.
    async fn tell(&self, read: read::Read, sink: &mut Sink) -> Result<bool, Stop> {
        let (maker, sender) =
            (Maker { source: &self.config.name, allowed: &self.allowed, hint: sink.hint() }, self.shown());
        let mut whole = read.problems_count == 0;
        let malformed = |sink: &mut Sink, problem: &str| {
            // It may be one that was understood before: nothing is gone while it is not understood.
            sink.unseen("", "malformed", || format!("the index is not understood: {problem}"));
        };
        let mut named = HashSet::new();
        for (data, time) in read.entries {
            let key = records::key(&data);
            if !named.insert(key.clone()) {
                whole = false;
                malformed(sink, &format!("`{key}` is named twice; what it says first counts"));
                continue;
            }
            if let Some(url) = maker.refuses(&data) {
                sink.note(
                    "not_fetched",
                    format!("bytes are not looked into where `fetch` does not allow it: {}", shorten(url, 200)),
                );
            }
            let time = time.unwrap_or_else(clock::now);
            match maker.statement(data, &sender, time) {
                Statement::Stands(record) | Statement::Stood(record) => sink.tell(record).await?,
                Statement::Gone(_) | Statement::Outdated(_) => {}
            }
        }
        for problem in &read.problems {
            malformed(sink, problem);
        }
        Ok(whole)
    }

    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The tag by which the server may say that nothing changed.
    fn tag(&self) -> Option<String> {
        self.known().filter(|known| known.settled && known.read.elapsed() < BELIEVED)?.tag
    }

    /// The address without what it may ask for: that can be a secret.
    fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }
}

/// The entity tag, where it is one of these bytes alone. Many servers make it of time and size: what was written within
/// the last seconds may be written again without another tag.
fn tag(headers: &HeaderMap) -> Option<String> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let modified = || DateTimeParser::new().parse_timestamp(header(LAST_MODIFIED)?).ok();
    let fresh = modified()
        .zip(http::date(headers))
        .is_some_and(|(modified, now)| now.as_second() - modified.as_second() < FRESH_SECS);
    header(ETAG).filter(|_| !fresh).map(str::to_owned)
}

impl Place for Index {
    async fn list(&self, sink: &mut Sink) -> Result<(), Stop> {
        let accept = "application/cloudevents-batch+json, application/x-ndjson, application/json;q=0.9, */*;q=0.1";
        let mut request = self.web.request(Method::GET, self.url.clone()).header(ACCEPT, accept);
        if let Some(tag) = self.tag() {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let answer = request.send().await.map_err(Failure::from)?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            http::measured(1, 0);
            sink.unseen_too("");
            return Ok(());
        }
        let answer = http::success(answer)?;
        let tag = tag(answer.headers());
        let body = http::body(answer, self.config.index_bytes_max).await?;
        let before = self.known();
        self.know(None);
        let most = self.config.records_max;
        let read =
            tokio::task::spawn_blocking(move || read::entries(&body, most).map(|read| (read, Sha256::of(&body))));
        let (read, body) =
            read.await.map_err(|error| Failure::Garbage(error.to_string()))?.map_err(Failure::Garbage)?;
        let whole = self.tell(read, sink).await?;
        if whole {
            let settled = before.is_some_and(|before| before.body == body);
            self.know(Some(Known { tag, body, settled, read: Instant::now() }));
        }
        Ok(())
    }

    fn explain(&self, failure: &Failure) -> (&'static str, String) {
        let url = self.shown();
        match failure {
            Failure::Denied { status: 300..=399 } => {
                ("redirected", format!("{url} leads elsewhere ({failure}); write the address that it leads to"))
            }
            Failure::Denied { status } => {
                let reason = if *status == 401 { "unauthorized" } else { "forbidden" };
                (reason, format!("{url}: {failure}; give a token that may read it, `token_file`"))
            }
            Failure::Gone => ("missing", format!("there is nothing at {url}; correct `url`")),
            Failure::Garbage(problem) => ("malformed", format!("{url}: {problem}")),
            Failure::TooLarge { .. } => ("too_large", format!("{url}: {failure}; raise `index_bytes_max`")),
            failure => ("unreachable", format!("{url}: {}", http::chain(failure))),
        }
    }
}

impl Source for Index {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn product(&self) -> &'static str {
        "index"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        let sweep = Duration::from_secs(self.config.sweep_interval_secs);
        // It may have been read half written: once is no proof.
        let pace = Pace { sweep, glance: None, records_max: self.config.records_max, misses: 2, stretch: 1 };
        Box::pin(async move {
            // Another run tells everything anew.
            self.know(None);
            reconcile::run(self, self.name(), pace, context).await
        })
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::clone(&self.store) as Arc<dyn Store>)
    }

    fn server(&self) -> Option<String> {
        Some(self.shown())
    }

    fn hears(&self) -> bool {
        true
    }

    fn reuses_addresses(&self) -> bool {
        true
    }

    fn sweep(&self) -> Option<Sweep> {
        self.config.verify.sweep(&["artifact/", "file/"])
    }

    fn lasting(&self, kind: RecordKind) -> &'static [&'static str] {
        records::lasting(kind)
    }

    fn changes(&self, kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
        records::changes(kind, old, new)
    }
}
