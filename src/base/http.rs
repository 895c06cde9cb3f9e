//! HTTP clients with bounds, and what to do about an answer that is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, StatusCode, Url, redirect};
use tower::BoxError;
use tower::util::MapResultLayer;

/// How a client connects.
#[derive(Debug, Clone)]
pub struct Options {
    /// From the connection to the last byte of the answer.
    pub timeout: Option<Duration>,
    /// Between two reads of one answer.
    pub read_timeout: Duration,
    pub connect_timeout: Duration,
    /// Accept any certificate: for test servers.
    pub insecure_tls: bool,
    /// Certificates trusted beside those of the system, PEM.
    pub authorities: Option<Vec<u8>>,
    /// Certificate and key of the client, PEM.
    pub identity: Option<Vec<u8>>,
    /// Redirections followed: none, unless bytes lie on another host than the one that is asked.
    pub redirects_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(30)),
            read_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            insecure_tls: false,
            authorities: None,
            identity: None,
            redirects_max: 0,
        }
    }
}

/// What was asked of a server, and how much it said.
#[derive(Debug, Default)]
pub struct Meter {
    /// Answers, whatever they were.
    pub calls: AtomicU64,
    /// Bytes of bodies that were read as a whole: artifacts are not among them.
    pub bytes: AtomicU64,
    /// Milliseconds for which calls were held back, so as not to be refused.
    pub paced: AtomicU64,
}

tokio::task_local! {
    static METER: Arc<Meter>;
}

/// Counts what the future asks of servers, and nothing that it has others ask.
pub async fn metered<T>(meter: Arc<Meter>, work: impl Future<Output = T>) -> T {
    METER.scope(meter, work).await
}

/// Counts calls and bytes that are not counted by [`success`] and [`body`]: of a place that is no server, objects.
pub fn measured(calls: u64, bytes: u64) {
    let count = |meter: &Arc<Meter>| {
        meter.calls.fetch_add(calls, Ordering::Relaxed);
        meter.bytes.fetch_add(bytes, Ordering::Relaxed);
    };
    METER.try_with(count).ok();
}

/// Holds a call back, and counts for how long.
pub async fn paced(wait: Duration) {
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    METER.try_with(|meter| meter.paced.fetch_add(millis, Ordering::Relaxed)).ok();
    tokio::time::sleep(wait).await;
}

/// Why there is no usable answer, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A person must act: credentials, permissions, address.
    #[error("the server refused: HTTP {status}")]
    Denied { status: u16 },
    /// What was asked for is not there.
    #[error("not found: HTTP 404")]
    Gone,
    /// The request itself is wrong for this server.
    #[error("the server does not take the request: HTTP {status}")]
    Rejected { status: u16 },
    /// Try again later.
    #[error("the server failed: HTTP {status}")]
    Server { status: u16 },
    /// Too many requests; the server may say how many seconds to wait.
    #[error("the server takes no more requests for now: HTTP 429")]
    Throttled { after: Option<u64> },
    #[error("no connection to the server")]
    Unreachable(#[source] reqwest::Error),
    #[error("the server took too long")]
    Timeout,
    /// The answer is larger than allowed.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    /// The answer is not what its kind should be.
    #[error("the answer is not understood: {0}")]
    Garbage(String),
}

/// Chooses how TLS is done, for clients that are made elsewhere too.
pub fn provider() {
    // Another part of the process may have chosen already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Makes a client that follows no redirection unless asked: a login page is no answer. Credentials go
/// to no other host than the first, and from HTTPS nothing leads to plain HTTP.
pub fn client(options: &Options) -> Result<Client, String> {
    builder(options)?.build().map_err(|error| error.to_string())
}

fn builder(options: &Options) -> Result<ClientBuilder, String> {
    provider();
    let redirects_max = options.redirects_max;
    let follow = redirect::Policy::custom(move |attempt| {
        let downgrade =
            attempt.previous().last().is_some_and(|from| from.scheme() == "https") && attempt.url().scheme() != "https";
        if downgrade || attempt.previous().len() > redirects_max { attempt.stop() } else { attempt.follow() }
    });
    let mut builder = Client::builder()
        .user_agent(concat!("lanner/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .redirect(if redirects_max == 0 { redirect::Policy::none() } else { follow })
        .tls_danger_accept_invalid_certs(options.insecure_tls);
    if let Some(timeout) = options.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(pem) = &options.authorities {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| format!("certificates: {error}"))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(pem) = &options.identity {
        builder = builder.identity(Identity::from_pem(pem).map_err(|error| format!("client certificate: {error}"))?);
    }
    Ok(builder)
}

/// A connection that was made and is not used.
#[derive(Debug, thiserror::Error)]
#[error("connected")]
struct Connected;

/// Connects as a request would, with TLS where the address asks for it, and sends none.
pub async fn connect(options: &Options, url: Url) -> Result<(), Failure> {
    fn unused<C>(made: Result<C, BoxError>) -> Result<C, BoxError> {
        made.and_then(|_| Err(Connected.into()))
    }
    let layer = MapResultLayer::new(unused);
    let client =
        builder(options).and_then(|builder| builder.connector_layer(layer).build().map_err(|error| error.to_string()));
    let sent = client.map_err(Failure::Garbage)?.head(url).send().await;
    let Err(error) = sent else { return Ok(()) };
    let mut causes = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    if causes.any(<dyn std::error::Error + 'static>::is::<Connected>) { Ok(()) } else { Err(error.into()) }
}

/// Whether a failure says that the certificate of the server is not trusted, in the words of rustls.
pub fn is_distrust(why: &str) -> bool {
    why.contains("invalid peer certificate")
}

/// What is wrong with the scheme of an address that no connection comes about with, if that is it.
pub async fn wrong_scheme(url: &Url) -> Option<&'static str> {
    let options =
        Options { timeout: Some(Options::default().connect_timeout), insecure_tls: true, ..Options::default() };
    let mut secured = url.clone();
    if url.scheme() == "http" {
        let port = url.port_or_known_default();
        secured.set_scheme("https").and_then(|()| secured.set_port(port)).ok()?;
    }
    match (url.scheme(), connect(&options, secured).await) {
        ("http", Ok(())) => Some("that port speaks TLS: write `https://`"),
        // As rustls calls bytes that are no record of TLS.
        ("https", Err(failure)) if chain(&failure).contains("InvalidContentType") => {
            Some("that port speaks no TLS: write `http://`, or the port that does")
        }
        _ => None,
    }
}

/// The answer if it is a success, else why it is none.
pub fn success(response: Response) -> Result<Response, Failure> {
    measured(1, 0);
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let code = status.as_u16();
    let after = || response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok();
    Err(match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failure::Gone,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Failure::Denied { status: code }
        }
        StatusCode::REQUEST_TIMEOUT => Failure::Server { status: code },
        StatusCode::TOO_MANY_REQUESTS => Failure::Throttled { after: after() },
        _ if status.is_redirection() => Failure::Denied { status: code },
        _ if status.is_client_error() => Failure::Rejected { status: code },
        _ => Failure::Server { status: code },
    })
}

/// What a server takes for the time. A date of HTTP is one of mail, always in GMT.
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Reads a body with a bound.
pub async fn body(mut response: Response, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    if response.content_length().is_some_and(|length| length > bytes_max) {
        return Err(Failure::TooLarge { bytes_max });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        METER.try_with(|meter| meter.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed)).ok();
        if (body.len() + chunk.len()) as u64 > bytes_max {
            return Err(Failure::TooLarge { bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The failure with what is behind it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let mut told: Vec<String> = Vec::new();
    for cause in causes {
        // Many libraries repeat the cause in their own text.
        if !told.iter().any(|before| before.contains(&cause)) {
            told.push(cause);
        }
    }
    told.join(": ")
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // A URL may hold credentials.
        let error = error.without_url();
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_builder() {
            Self::Garbage(error.to_string())
        } else {
            Self::Unreachable(error)
        }
    }
}
