//! Secrets in text, by prefix and shape; their text is never told.

use std::sync::LazyLock;

use regex::{Match, Regex};

use crate::artifact::inspection::Inspection;

/// Secrets told of one file.
const FOUND_MAX: usize = 64;

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
        let told = |found: &Match<'_>| {
            !is_example(found.as_str()) && (*kind == "private_key" || entropy(found.as_str()) >= 3.0)
        };
        pattern.find_iter(text).take(FOUND_MAX).filter(told).map(|found| {
            let near = *kind == "url_password" && is_near(found.as_str());
            (if near { "local_password" } else { *kind }, found)
        })
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
