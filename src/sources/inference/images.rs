//! Images that an answer has fetched from elsewhere, with data in their addresses: whoever shows the answer sends the
//! data there, without a click.
//!
//! Addresses of ordinary images are long, too: signatures, tokens, other addresses. What tells data from those is that
//! it can be read once it is decoded.

mod addresses;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::{Map, Value};

use crate::base::text::shorten;

/// Hosts that are told.
const TOLD_MAX: usize = 16;
const HOST_CHARS_MAX: usize = 253;
/// Words in one part of an address that no name of a picture needs.
const WORDS_MIN: usize = 6;
/// Letters of what is a word.
const WORD_CHARS_MAX: usize = 24;
/// Characters of a part that can hold something encoded.
const ENCODED_MIN: usize = 40;
/// Those of a label of a host, which are 63 at most.
const LABEL_MIN: usize = 30;

/// Services that draw what their address says: charts, formulas, codes, maps, titles, pictures from words.
const DRAWN: [&str; 26] = [
    "quickchart.io",
    "image-charts.com",
    "chart.googleapis.com",
    "chart.apis.google.com",
    "maps.googleapis.com",
    "api.mapbox.com",
    "codecogs.com",
    "i.upmath.me",
    "math.vercel.app",
    "latex.vercel.app",
    "render.githubusercontent.com",
    "qrserver.com",
    "mermaid.ink",
    "kroki.io",
    "plantuml.com",
    "shields.io",
    "badgen.net",
    "placehold.co",
    "placeholder.com",
    "dummyimage.com",
    "og-image.vercel.app",
    "readme-typing-svg.demolab.com",
    "readme-typing-svg.herokuapp.com",
    "capsule-render.vercel.app",
    "github-readme-stats.vercel.app",
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
/// something that can be read once it is decoded (`base64`, `base32`, `hex`), or at a service that shows requests
/// (`catcher`). Where it is the host that carries data, only the rest of its name is told.
pub fn with_data(text: &str) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for url in addresses::of_images(text).iter().filter_map(|address| Url::parse(address).ok()) {
        let Some(host) = url.host_str() else { continue };
        let ends = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let (host, kind) = if let Some((rest, kind)) = in_host(host) {
            (rest, Some(kind))
        } else if CATCHERS.iter().any(|name| ends(name)) {
            (host, Some("catcher"))
        } else if DRAWN.iter().any(|name| ends(name)) {
            (host, None)
        } else {
            (host, data(&url))
        };
        let one = kind.map(|kind| format!("{}={kind}", shorten(host, HOST_CHARS_MAX)));
        told.extend(one.filter(|one| told.len() < TOLD_MAX && !told.contains(one)));
    }
    told
}

/// What the last label of a host with something encoded carries, and the name after it.
fn in_host(host: &str) -> Option<(&str, &'static str)> {
    let dots = host.match_indices('.').map(|(at, _)| at).rev();
    dots.filter_map(|at| host.split_at_checked(at)).find_map(|(before, rest)| {
        let label = before.rsplit('.').next()?;
        let kind = if label.len() < LABEL_MIN { None } else { hex(label).or_else(|| base32(label)) }?;
        Some((rest.trim_start_matches('.'), kind))
    })
}

/// What an address carries beside the name of a picture.
fn data(url: &Url) -> Option<&'static str> {
    // Something encoded says more than words do.
    let values = || url.query_pairs().flat_map(|(name, value)| [(Cow::Borrowed(""), name.clone()), (name, value)]);
    values()
        .find_map(|(_, value)| encoded(&value))
        .or_else(|| {
            let mut parts = url.path_segments()?.map(|part| percent_decode_str(part).decode_utf8_lossy());
            parts.find_map(|part| encoded(&part))
        })
        // Words in a path are how pictures are called.
        .or_else(|| values().any(|(name, value)| !names_a_file(&name) && has_words(&value)).then_some("text"))
}

/// Parameters with which stores say under which name a picture is to be saved.
fn names_a_file(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(&*name, "response-content-disposition" | "response-content-type" | "rscd" | "rsct")
}

/// Words of somebody, whatever stands between them. Random tokens have such marks, too, but no words.
fn has_words(value: &str) -> bool {
    // One address inside another is how pictures are scaled and cached.
    if value.starts_with("http://") || value.starts_with("https://") {
        return false;
    }
    let apart = |c: char| c.is_whitespace() || c == '-' || c == '_';
    let parts = || value.split(apart).filter(|part| !part.is_empty());
    let is_word = |part: &&str| {
        let part = part.trim_matches(|c: char| !c.is_alphanumeric());
        let one_kind = part.chars().all(char::is_alphabetic) || part.chars().all(char::is_numeric);
        !part.is_empty() && part.chars().count() <= WORD_CHARS_MAX && one_kind
    };
    let words = parts().filter(is_word).count();
    value.split_whitespace().count() >= WORDS_MIN || words >= WORDS_MIN && words * 5 >= parts().count() * 4
}

fn encoded(value: &str) -> Option<&'static str> {
    if value.len() < ENCODED_MIN {
        return None;
    }
    hex(value).or_else(|| base64(value)).or_else(|| base32(value))
}

fn hex(value: &str) -> Option<&'static str> {
    let digits = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> = value.as_bytes().chunks(2).filter(|_| digits).map(byte).collect();
    bytes.filter(|bytes| is_read(bytes)).map(|_| "hex")
}

fn base64(value: &str) -> Option<&'static str> {
    // What is asked for in a query has blanks where there were plus signs.
    let value: Cow<'_, str> = if value.contains(' ') { value.replace(' ', "+").into() } else { value.into() };
    let value = value.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(value).or_else(|_| URL_SAFE_NO_PAD.decode(value)).ok()?;
    is_read(&bytes).then_some("base64")
}

fn base32(value: &str) -> Option<&'static str> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0_u32);
    for digit in value.trim_end_matches('=').bytes() {
        let five = match digit.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => letter - b'a',
            number @ b'2'..=b'7' => number - b'2' + 26,
            _ => return None,
        };
        (bits, count) = (((bits << 5) | u32::from(five)) & 0xfff, count + 5);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    is_read(&bytes).then_some("base32")
}

fn byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether bytes are a text of somebody, and no address and no order for whoever gives out pictures.
fn is_read(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let inside = ["http://", "https://", "s3://", "gs://", "local://"];
    !text.is_empty()
        && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
        && !inside.iter().any(|begin| text.starts_with(begin))
        && !is_order(text)
}

/// What handlers of images and networks that deliver them have in addresses: which picture, how large, until when.
fn is_order(text: &str) -> bool {
    let Ok(members) = serde_json::from_str::<Map<String, Value>>(text) else { return false };
    let of_handler = ["bucket", "key", "edits", "outputFormat", "versionId", "headers"];
    let names_a_picture = ["bucket", "key"].iter().all(|name| members.get(*name).is_some_and(Value::is_string));
    let handled = names_a_picture && members.keys().all(|name| of_handler.contains(&&**name));
    let statement = members.get("Statement").and_then(|all| all.get(0)).and_then(Value::as_object);
    let signed = members.len() == 1
        && statement.is_some_and(|one| one.keys().all(|name| matches!(&**name, "Resource" | "Condition")));
    (handled || signed) && !members.values().filter_map(Value::as_str).any(has_words)
}
