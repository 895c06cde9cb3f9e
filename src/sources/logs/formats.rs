//! What wraps a line: nothing, the container runtime, or Docker.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use super::Format;

/// A line without its wrapping.
#[derive(Debug, PartialEq)]
pub struct Message<'a> {
    pub text: Cow<'a, str>,
    pub time: Option<Timestamp>,
    /// `stdout` or `stderr`.
    pub stream: Option<&'static str>,
    /// The rest follows on the same stream.
    pub partial: bool,
}

/// Tells the format by a line.
pub fn detect(line: &str) -> Format {
    if cri(line).is_some() {
        Format::Cri
    } else if docker(line).is_some() {
        Format::Docker
    } else {
        Format::Plain
    }
}

/// Takes the wrapping off; a line that is not wrapped as it should be is taken as it is.
pub fn unwrap(format: Format, line: &str) -> Message<'_> {
    match format {
        Format::Cri => cri(line),
        Format::Docker => docker(line),
        Format::Auto | Format::Plain => None,
    }
    .unwrap_or(Message { text: Cow::Borrowed(line), time: None, stream: None, partial: false })
}

/// `2026-11-22T18:31:17.863238165Z stdout F text`, Kubernetes' `KEP 2411`; tags may follow `F`
/// after a colon.
fn cri(line: &str) -> Option<Message<'_>> {
    let (time, rest) = line.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let stream = stream_name(stream)?;
    let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let partial = match tags.split(':').next()? {
        "P" => true,
        "F" => false,
        _ => return None,
    };
    Some(Message { text: Cow::Borrowed(text), time: Some(time.parse().ok()?), stream: Some(stream), partial })
}

/// `{"log":"text\n","stream":"stdout","time":"…"}`.
fn docker(line: &str) -> Option<Message<'_>> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        log: Cow<'a, str>,
        #[serde(borrow)]
        stream: Cow<'a, str>,
        time: Timestamp,
    }
    if !line.starts_with("{\"") {
        return None;
    }
    let Wrapped { log, stream, time } = serde_json::from_str(line).ok()?;
    let partial = !log.ends_with('\n');
    Some(Message { text: log, time: Some(time), stream: Some(stream_name(&stream)?), partial })
}

fn stream_name(name: &str) -> Option<&'static str> {
    ["stdout", "stderr"].into_iter().find(|known| *known == name)
}
