//! Addresses of the images of a text, as those who show Markdown and HTML find them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Images of one text that are looked at.
const IMAGES_MAX: usize = 256;

/// With which an address elsewhere begins; what begins with slashes only is of the scheme of the page.
const START: &str = r"(?:(?i:https?:)[/\\]*|[/\\]{2})";
/// What is shown instead of an image, with brackets inside.
const ALT: &str = r"(?:\\.|[^\[\]\\]|\[(?:\\.|[^\[\]\\]|\[[^\[\]]*\])*\])*";

struct Patterns {
    /// `![alt](address)`.
    inline: Regex,
    /// `![alt][label]`, `![label][]` and `![label]`.
    reference: Regex,
    /// `[label]: address`.
    definition: Regex,
    tag: Regex,
    attribute: Regex,
    start: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    let address = format!(r"(?:<\s*({START}[^<>\n]*)|({START}(?:[^\s()<>]|\([^\s()<>]*\))*))");
    Some(Patterns {
        inline: Regex::new(&format!(r"(?s)!\[{ALT}\]\(\s*{address}")).ok()?,
        reference: Regex::new(&format!(r"(?s)!\[({ALT})\](?:\[([^\[\]]*)\])?")).ok()?,
        definition: Regex::new(&format!(r"(?m)^[ \t>]*\[([^\[\]]+)\]:\s*{address}")).ok()?,
        tag: Regex::new(r#"(?is)<(?:img|source)\b((?:"[^"]*"?|'[^']*'?|[^>"'])*)"#).ok()?,
        attribute: Regex::new(r#"(?is)\b(src|srcset)\s*=\s*(?:"([^"]*)|'([^']*)|([^\s>"']+))"#).ok()?,
        start: Regex::new(&format!("^{START}")).ok()?,
    })
});

/// Addresses elsewhere from which a text has images fetched, each with its scheme.
pub fn of_images(text: &str) -> Vec<String> {
    let Some(patterns) = PATTERNS.as_ref() else { return Vec::new() };
    let either = |found: &Captures<'_>, first: usize| {
        found.get(first).or_else(|| found.get(first + 1)).map(|address| address.as_str().to_owned())
    };
    let inline = patterns.inline.captures_iter(text).filter_map(|found| either(&found, 1));
    let labels: BTreeSet<String> = patterns
        .reference
        .captures_iter(text)
        .take(IMAGES_MAX)
        .filter_map(|found| found.get(2).filter(|label| !label.is_empty()).or_else(|| found.get(1)))
        .map(|label| folded(label.as_str()))
        .collect();
    let referred = patterns
        .definition
        .captures_iter(text)
        .filter(|found| found.get(1).is_some_and(|label| labels.contains(&folded(label.as_str()))))
        .filter_map(|found| either(&found, 2));
    let tags = patterns.tag.captures_iter(text).filter_map(|found| found.get(1)).flat_map(|tag| {
        patterns.attribute.captures_iter(tag.as_str()).flat_map(|found| {
            let value = (2..5).find_map(|group| found.get(group)).map_or("", |value| value.as_str());
            let value = value.replace("&amp;", "&");
            let is_set = found.get(1).is_some_and(|name| name.len() > "src".len());
            let one = |part: &str| part.trim_matches([',', ' ', '\t', '\n', '\r']).to_owned();
            if is_set { value.split_whitespace().map(one).collect() } else { vec![one(&value)] }
        })
    });
    let elsewhere = inline.chain(referred).chain(tags).filter(|address| patterns.start.is_match(address));
    elsewhere.take(IMAGES_MAX).map(|address| with_scheme(&address)).collect()
}

fn with_scheme(address: &str) -> String {
    if address.starts_with(['/', '\\']) { format!("https:{address}") } else { address.to_owned() }
}

/// Labels are the same whatever their case and their blanks.
fn folded(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
