//! Answers over HTTP: a range of bytes, and where a listing goes on.

use std::ops::Range;

use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, LINK, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use super::Body;
use crate::base::http::Failure;
use crate::sources::StoreError;

/// Asks for a range, or for all when that is all.
pub fn ask(request: RequestBuilder, range: &Range<u64>, size: u64) -> RequestBuilder {
    // Bytes as they are stored: what a proxy compresses on the way has no ranges.
    let request = request.header(ACCEPT_ENCODING, "identity");
    if *range == (0..size) {
        request
    } else {
        request.header(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
    }
}

/// The bytes of an answer, if they are those that were asked for.
pub fn body(response: Response, range: &Range<u64>, size: u64) -> Result<Body, StoreError> {
    let begins = if response.status() == StatusCode::PARTIAL_CONTENT {
        start(response.headers())
    } else {
        Some(0).filter(|_| *range == (0..size))
    };
    if begins != Some(range.start) {
        return Err(StoreError::Refused("the server does not give parts of files".to_owned()));
    }
    let chunks = response.bytes_stream();
    Ok(chunks.map(|chunk| chunk.map_err(|error| StoreError::from(Failure::from(error)))).boxed())
}

/// First byte of the range that an answer gives: `bytes 100-199/1000`.
fn start(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    text.trim().strip_prefix("bytes")?.trim_start().split_once('-')?.0.parse().ok()
}

/// The next page of a listing (RFC 8288, `rel="next"`).
pub fn next_page(headers: &HeaderMap, of: &Url) -> Option<Url> {
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let next = links.flat_map(|links| links.split(',')).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').map(str::trim).any(|one| matches!(one, "rel=\"next\"" | "rel=next"));
        next.then_some(target)
    })?;
    of.join(next).ok()
}
