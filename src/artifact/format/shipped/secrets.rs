//! Secrets in text, by prefix and shape; their text is never told.

use std::sync::LazyLock;

use regex::{Match, Regex};

use crate::artifact::inspection::Inspection;

/// Secrets told of one file.
const FOUND_MAX: usize = 64;

/// Characters of a private key beyond its first line of 40 that no sample has.
const KEY_CHARS_MIN: usize = 200;
/// Characters before the id of a key that may name its parameter.
const LINK_CHARS: usize = 40;
/// Steps along the alphabet that no random token takes.
const ALPHABET_MIN: usize = 7;
/// Tokens in the documentation of those who give them out, in two parts so that nothing takes them for ours.
const SAMPLES: [&str; 2] = [
    concat!("gho_16C7e42F292c6912", "E7710c838347Ae178B4a"),
    concat!("xoxb-17653672481-19874698323", "-pdFZKVeTuE8sk7oOcHrzzqgy"),
];

/// What stands before the id of a key in links of S3, also where a link is the value of a parameter itself.
static SIGNED_BY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let separator = r"[?&;]|\\u0026|%(?:25){0,2}(?:3f|26)";
    Regex::new(&format!("(?i)(?:{separator})(?:X-Amz-Credential|AWSAccessKeyId)(?:=|%(?:25){{0,2}}3d)$")).ok()
});

static KINDS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    [
        ("aws_access_key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
        ("github_token", r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{82}\b"),
        ("gitlab_token", r"\bglpat-[A-Za-z0-9_-]{20}\b"),
        ("huggingface_token", r"\bhf_[A-Za-z]{34}\b"),
        ("openai_key", r"\bsk-(?:proj-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}\b"),
        ("anthropic_key", r"\bsk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{80,}"),
        ("slack_token", r"\bxox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}\b"),
        ("google_api_key", r"\bAIza[A-Za-z0-9_-]{35}\b"),
        ("stripe_key", r"\b[rs]k_live_[A-Za-z0-9]{24,}\b"),
        ("npm_token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        (
            "private_key",
            // Code that reads or writes keys names this line without one.
            concat!(
                r"-----BEGIN (?:RSA |EC |OPENSSH |DSA |PGP |ENCRYPTED )?PRIVATE KEY(?: BLOCK)?-----",
                r#"(?:\\[rn]|[\s"',+])*(?:(?:Proc-Type|DEK-Info|Version|Comment)\b[^\n]{0,200}(?:\\[rn]|\s)+)*[A-Za-z0-9+/=]{40}"#
            ),
        ),
        ("url_password", r"\b[a-z][a-z0-9+.-]{2,12}://[^\s:/@]{1,64}:[^\s:/@{}$<>]{6,128}@[A-Za-z0-9.-]+"),
    ]
    .into_iter()
    .filter_map(|(kind, pattern)| Some((kind, Regex::new(pattern).ok()?)))
    .collect()
});

/// Notes kinds and lines of secrets.
pub fn inspect(inspection: &mut Inspection<'_>, text: &str) {
    inspect_from(inspection, text, 1);
}

/// The same for a piece of a text, which begins at some line.
pub fn inspect_from(inspection: &mut Inspection<'_>, text: &str, first_line: u32) {
    for (kind, found) in find(text) {
        let line = text.get(..found.start()).map_or(0, |before| memchr::memchr_iter(b'\n', before.as_bytes()).count());
        let line = first_line.saturating_add(u32::try_from(line).unwrap_or(u32::MAX));
        inspection.list("artifact.secrets", format!("{kind}@line {line}"));
    }
}

/// The kind of each secret of a text, and where it stands.
pub fn find(text: &str) -> impl Iterator<Item = (&'static str, Match<'_>)> {
    KINDS.iter().flat_map(move |(kind, pattern)| {
        let told = move |found: &Match<'_>| match *kind {
            "private_key" => !is_example(found.as_str()),
            "aws_access_key" if is_of_link(text, found) => false,
            "url_password" => !is_example(found.as_str()) && entropy(found.as_str()) >= 3.0,
            _ => !is_example(found.as_str()) && !is_sample(found.as_str()) && entropy(found.as_str()) >= 3.0,
        };
        pattern.find_iter(text).take(FOUND_MAX).filter(told).map(|found| {
            let near = *kind == "url_password" && is_near(found.as_str());
            (if near { "local_password" } else { *kind }, found)
        })
    })
}

/// The same in what people and models say to each other, where keys are shown shortened.
pub fn said(text: &str) -> impl Iterator<Item = (&'static str, Match<'_>)> {
    find(text).filter(|(kind, found)| *kind != "private_key" || is_whole(text.get(found.end()..).unwrap_or_default()))
}

/// Whether a private key goes on to its end, or for so long that it is one whatever comes then. Previews cut texts, and
/// documentation cuts keys: `MIIEpAIB...`.
fn is_whole(rest: &str) -> bool {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || r#"+/=\"',"#.contains(c);
    let end = rest.find(|c| !is_of_key(c)).unwrap_or(rest.len());
    let (body, after) = rest.split_at(end);
    after.starts_with("-----END") || body.bytes().filter(u8::is_ascii_alphanumeric).count() >= KEY_CHARS_MIN
}

/// The id of a key in a link that was signed with it, which everybody who may follow the link sees.
fn is_of_link(text: &str, found: &Match<'_>) -> bool {
    let before = text.get(..found.start()).unwrap_or_default();
    SIGNED_BY.as_ref().is_some_and(|pattern| {
        let near = before.char_indices().rev().nth(LINK_CHARS).map_or(0, |(at, _)| at);
        pattern.is_match(before.get(near..).unwrap_or_default())
    })
}

/// The host is this machine, a neighbour in a composition of containers, or one that is reserved for examples.
fn is_near(address: &str) -> bool {
    let host = address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let reserved =
        [".example", ".test", ".invalid", ".localhost", ".local", "example.com", "example.org", "example.net"];
    let number = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let own = matches!(host.as_str(), "127.0.0.1" | "0.0.0.0" | "host.docker.internal");
    own || !number && (!host.contains('.') || reserved.iter().any(|end| host.ends_with(end)))
}

/// True for a value that nobody made up to be read.
pub fn is_random(value: &str) -> bool {
    !is_example(value) && entropy(value) >= 3.5
}

/// Documentation uses keys that say what they are.
fn is_example(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    ["EXAMPLE", "XXXX", "YOUR", "PLACEHOLDER", "PASSWORD@", "1234567890"].iter().any(|word| upper.contains(word))
}

/// Documentation spells tokens along the alphabet, or shows one that was taken back long ago.
fn is_sample(token: &str) -> bool {
    let follows =
        |pair: &[u8]| matches!(pair, [a, b] if a.to_ascii_lowercase().saturating_add(1) == b.to_ascii_lowercase());
    let (mut run, mut longest) = (0, 0);
    for pair in token.as_bytes().windows(2) {
        run = if follows(pair) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest >= ALPHABET_MIN || SAMPLES.contains(&token)
}

/// Shannon entropy in bits for each character.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let total: u32 = counts.iter().sum();
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / f64::from(total))
        .map(|share| -share * share.log2())
        .sum()
}
