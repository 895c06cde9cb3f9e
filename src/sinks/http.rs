//! What sinks that speak HTTP share: sending a body and reading what the answer asks for.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};

use super::{Look, Looked, Reason, SinkError};
use crate::base::http::{self, Failure};

/// The longest wait that a receiver may ask for.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How long a look may take.
pub const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Sends a body; `Ok` is the beginning of the answer to a status of 2xx.
pub async fn post(client: &Client, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<Vec<u8>, SinkError> {
    let response =
        client.post(url.clone()).headers(headers).body(body).send().await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let wait = retry_after(response.headers());
    let answer = beginning(response).await;
    if status.is_success() { Ok(answer) } else { Err(judge(status, wait, &answer)) }
}

/// Connects and sends nothing: whoever takes alerts takes any request for one.
pub async fn connect(url: &Url) -> Look {
    match http::connect(&http::Options { timeout: Some(LOOK_WITHIN), ..http::Options::default() }, url.clone()).await {
        // A port that speaks TLS takes a connection without it, too.
        Ok(()) => match misspoken(url).await {
            Some(why) => Err(why),
            None => Ok(Looked::at("it takes a connection; nothing was sent, so whether it takes alerts is not known")),
        },
        Err(failure) => Err(unconnected(url, &failure).await),
    }
}

/// What the address says of TLS, where that is wrong.
pub async fn misspoken(url: &Url) -> Option<(&'static str, String)> {
    let remedy = http::wrong_scheme(url).await?;
    Some(("scheme", format!("`{}`: {remedy}", url.origin().ascii_serialization())))
}

/// Why there is no connection, and what to do.
pub async fn unconnected(url: &Url, failure: &Failure) -> (&'static str, String) {
    // The path may be a secret.
    let place = url.origin().ascii_serialization();
    if let Some(why) = misspoken(url).await {
        return why;
    }
    let why = http::chain(failure);
    if http::is_distrust(&why) {
        let remedy =
            "give the system the certificate of its authority (SSL_CERT_FILE), or correct the name in the address";
        return ("certificate", format!("`{place}`: {why}; {remedy}"));
    }
    ("unreachable", format!("`{place}`: {why}; is it running, and are the address and the way there right?"))
}

/// What a refusal asks for. Redirects are not followed: an alert goes where it was
/// configured to.
fn judge(status: StatusCode, wait: Option<Duration>, answer: &[u8]) -> SinkError {
    let told = String::from_utf8_lossy(answer);
    let what = format!("HTTP {status}: {}", crate::base::text::shorten(told.trim(), 200));
    match status.as_u16() {
        410 => SinkError::Gone,
        429 | 503 if wait.is_some() => SinkError::Throttled(wait.unwrap_or(WAIT_MAX).min(WAIT_MAX)),
        // A proxy that asks for a login is in the way: the receiver itself said nothing.
        300..=399 | 401 | 403 | 407 => SinkError::Transient { what, reason: Reason::Auth },
        404 | 408 | 425 | 429 | 500..=599 => SinkError::Transient { what, reason: Reason::Server },
        _ => SinkError::Refused(what),
    }
}

fn unreachable(error: &reqwest::Error) -> SinkError {
    let reason = if error.is_timeout() { Reason::Timeout } else { Reason::Connect };
    // The URL may carry a token: the cause is told without it.
    let mut what = String::from("no answer");
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        what = error.to_string();
        cause = error.source();
    }
    SinkError::Transient { what, reason }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

async fn beginning(mut response: Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while answer.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    answer.truncate(ANSWER_BYTES_MAX);
    answer
}
