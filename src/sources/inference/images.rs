//! Images that an answer has fetched from elsewhere, with data in their addresses: whoever shows the answer sends the
//! data there, without a click.
//!
//! Addresses of ordinary images are long, too: signatures, tokens, other addresses. What tells data from those is that
//! it can be read once it is decoded.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use regex::Regex;
use reqwest::Url;

use crate::base::text::shorten;

/// Images of one text that are looked at.
const IMAGES_MAX: usize = 64;
/// Hosts that are told.
const TOLD_MAX: usize = 16;
const HOST_CHARS_MAX: usize = 253;
/// Words in one part of an address that no name of a picture needs.
const WORDS_MIN: usize = 6;
/// Characters of a part that can hold something encoded.
const ENCODED_MIN: usize = 40;

/// Images of Markdown and of HTML.
static IMAGES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"!\[[^\]]{0,500}\]\(\s*<?(https?://[^\s)>"']+)"#,
        r#"|(?i:<img\b[^>]{0,500}?\bsrc\s*=\s*["']?)(https?://[^\s>"']+)"#
    ))
    .ok()
});

/// Services that draw what their address says: charts, formulas, codes, placeholders, pictures from words.
const DRAWN: [&str; 15] = [
    "quickchart.io",
    "image-charts.com",
    "chart.googleapis.com",
    "chart.apis.google.com",
    "codecogs.com",
    "qrserver.com",
    "mermaid.ink",
    "kroki.io",
    "plantuml.com",
    "shields.io",
    "badgen.net",
    "placehold.co",
    "placeholder.com",
    "dummyimage.com",
    "pollinations.ai",
];
/// Services that show whoever owns an address what it was asked for.
const CATCHERS: [&str; 14] = [
    "webhook.site",
    "requestbin.com",
    "requestbin.net",
    "requestcatcher.com",
    "pipedream.net",
    "beeceptor.com",
    "burpcollaborator.net",
    "oastify.com",
    "interact.sh",
    "oast.pro",
    "oast.live",
    "oast.fun",
    "dnslog.cn",
    "ceye.io",
];

/// Hosts to which an answer's images lead with data, as `host=kind`: of an address with readable words (`text`), with
/// something that can be read once it is decoded (`base64`, `hex`), or at a service that shows requests (`catcher`).
pub fn with_data(text: &str) -> Vec<String> {
    let Some(pattern) = IMAGES.as_ref() else { return Vec::new() };
    let addresses =
        pattern.captures_iter(text).take(IMAGES_MAX).filter_map(|found| found.get(1).or_else(|| found.get(2)));
    let mut told: Vec<String> = Vec::new();
    for url in addresses.filter_map(|address| Url::parse(address.as_str()).ok()) {
        let Some(host) = url.host_str() else { continue };
        let ends = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let kind = if CATCHERS.iter().any(|name| ends(name)) {
            Some("catcher")
        } else if DRAWN.iter().any(|name| ends(name)) {
            None
        } else {
            data(&url)
        };
        let one = kind.map(|kind| format!("{}={kind}", shorten(host, HOST_CHARS_MAX)));
        told.extend(one.filter(|one| told.len() < TOLD_MAX && !told.contains(one)));
    }
    told
}

/// What an address carries beside the name of a picture.
fn data(url: &Url) -> Option<&'static str> {
    let values = url.query_pairs().filter(|(name, _)| !is_of_a_store(name)).find_map(|(_, value)| carried(&value));
    values.or_else(|| {
        // Words in a path are how pictures are called.
        let mut parts = url.path_segments()?.map(|part| percent_decode_str(part).decode_utf8_lossy());
        parts.find_map(|part| encoded(&part))
    })
}

/// Parameters with which stores say how a picture is to be given out, and who may have it.
fn is_of_a_store(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("response-") || name.starts_with("x-") || matches!(&*name, "rscd" | "rsct" | "policy" | "token")
}

fn carried(value: &str) -> Option<&'static str> {
    // One address inside another is how pictures are scaled and cached.
    if value.starts_with("http://") || value.starts_with("https://") || value.starts_with('/') {
        return None;
    }
    if value.split_whitespace().count() >= WORDS_MIN { Some("text") } else { encoded(value) }
}

fn encoded(value: &str) -> Option<&'static str> {
    if value.len() < ENCODED_MIN {
        return None;
    }
    if value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let bytes: Option<Vec<u8>> = value.as_bytes().chunks(2).map(byte).collect();
        return bytes.filter(|bytes| is_read(bytes)).map(|_| "hex");
    }
    // What is asked for in a query has blanks where there were plus signs.
    let value: Cow<'_, str> = if value.contains(' ') { value.replace(' ', "+").into() } else { value.into() };
    let value = value.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(value).or_else(|_| URL_SAFE_NO_PAD.decode(value)).ok()?;
    is_read(&bytes).then_some("base64")
}

fn byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether bytes are a text of somebody, and no address.
fn is_read(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let inside = ["http://", "https://", "s3://", "gs://", "local://"];
    !text.chars().any(|c| c.is_control() && !c.is_whitespace()) && !inside.iter().any(|begin| text.starts_with(begin))
}
