//! What does not belong into a template or prompt, so that its arrival is told: addresses, encoded texts, characters
//! that nobody sees, orders to set instructions aside, conditions on what the user says.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::Regex;

use crate::base::text::shorten;
use crate::event::difference::Grade;

/// Flags of each kind that are told of one text.
const FOUND_MAX: usize = 32;

static ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b(?:https?|ftp|wss?|data|file)://[^\s"'<>{}|\\)]{3,300}"#).ok());
static ENCODED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/]{40,}={0,2}").ok());
/// Orders that only somebody gives who wants earlier ones forgotten, or something kept from the user.
static ORDERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|preceding|system|safety|all)\b[^.\n]{0,30}\b(?:instructions?|prompts?|rules?|guidelines?|polic(?:y|ies)|messages?|filters?)",
        r"|\b(?:do not|don't|never)\s+(?:tell|inform|reveal|mention|disclose|show)\b[^.\n]{0,60}\b(?:the\s+)?(?:user|anyone|instructions?|this)\b",
        r"|\byou are (?:now )?(?:dan|jailbroken|unrestricted|in developer mode)\b",
        r"|\b(?:without|no)\s+(?:any\s+)?(?:safety|ethical|content)\s+(?:restrictions?|filters?|guidelines?)",
        r"|\bsecretly\b|\bregardless of (?:the )?(?:user|safety|polic)"
    ))
    .ok()
});
/// Conditions of a template on the text of a message.
static CONDITION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?:['"]([^'"\n]{1,120})['"]\s+(?:not\s+)?in\s+[\w.\[\]'"()|\s]{0,80}?content)"#,
        r#"|(?:content['"\])]*(?:\s*\|\s*\w+)*(?:\.\w+\(\))*\s*(?:==|!=)\s*['"]([^'"\n]{1,120})['"])"#,
        r#"|(?:content['"\])]*(?:\.\w+\(\))*\.(?:startswith|endswith|find|count|index)\(\s*['"]([^'"\n]{1,120})['"])"#,
        r#"|(?:content[^%}\n]{0,40}\bis\s+(?:containing|match\w*)\s*\(?\s*['"]([^'"\n]{1,120})['"])"#
    ))
    .ok()
});
/// Conditions on a role.
static ROLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"role['"\])]*\s*(?:==|!=)\s*['"]([^'"\n]{1,60})['"]"#).ok());
/// `{{ SYSTEM }}` of Ollama's files are conditions on nothing that a user says.
const ROLES: &[&str] =
    &["system", "user", "assistant", "tool", "function", "developer", "model", "ipython", "tool_response"];

/// One finding, with the text that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    Address(String),
    Encoded(String),
    Hidden(&'static str),
    Order(String),
    /// The text that is asked for, and whether it is a mark that templates set themselves.
    Condition(String, bool),
    Role(String),
}

impl Flag {
    pub fn words(&self) -> (&'static str, Grade, String) {
        match self {
            Self::Address(text) => ("template.address", Grade::Notable, format!("an address was put in: `{text}`")),
            Self::Encoded(text) => {
                ("template.encoded", Grade::Hostile, format!("a text in base64 was put in: `{}`", shorten(text, 80)))
            }
            Self::Hidden(kind) => {
                ("template.hidden", Grade::Hostile, format!("characters that nobody sees were put in: {kind}"))
            }
            Self::Order(text) => ("template.override", Grade::Hostile, format!("the model is ordered: “{text}”")),
            Self::Condition(text, true) => (
                "template.condition",
                Grade::Notable,
                format!("what is told depends on the mark `{text}` in a message"),
            ),
            Self::Condition(text, false) => (
                "template.condition",
                Grade::Hostile,
                format!("what is told depends on whether a message says “{text}”"),
            ),
            Self::Role(text) => ("template.role", Grade::Notable, format!("what is told depends on the role `{text}`")),
        }
    }

    /// What to look for in the text to show where it stands.
    pub fn needle(&self) -> &str {
        match self {
            Self::Address(text)
            | Self::Encoded(text)
            | Self::Order(text)
            | Self::Condition(text, _)
            | Self::Role(text) => text.trim_end_matches('…'),
            Self::Hidden(_) => "",
        }
    }
}

pub fn of(text: &str) -> BTreeSet<Flag> {
    let mut flags = BTreeSet::new();
    let all = |pattern: &'static LazyLock<Option<Regex>>| {
        pattern.iter().flat_map(|pattern| pattern.find_iter(text)).take(FOUND_MAX)
    };
    for found in all(&ADDRESS) {
        flags.insert(Flag::Address(shorten(found.as_str().trim_end_matches(['.', ',', ';']), 200)));
    }
    for found in all(&ENCODED).filter(|found| is_encoded(found.as_str())) {
        flags.insert(Flag::Encoded(shorten(found.as_str(), 200)));
    }
    for found in all(&ORDERS) {
        flags.insert(Flag::Order(shorten(&found.as_str().to_lowercase(), 160)));
    }
    flags.extend(hidden(text));
    for captured in CONDITION.iter().flat_map(|pattern| pattern.captures_iter(text)).take(FOUND_MAX) {
        if let Some(asked) = captured.iter().skip(1).flatten().next() {
            let asked = asked.as_str();
            let mark = asked.trim().is_empty()
                || asked.contains(['<', '>', '[', ']', '{', '}', '|', '\\'])
                || !asked.chars().any(char::is_alphanumeric);
            flags.insert(Flag::Condition(shorten(asked, 120), mark));
        }
    }
    for role in
        ROLE.iter().flat_map(|pattern| pattern.captures_iter(text)).filter_map(|found| found.get(1)).take(FOUND_MAX)
    {
        if !ROLES.contains(&role.as_str()) {
            flags.insert(Flag::Role(shorten(role.as_str(), 60)));
        }
    }
    flags
}

/// Letters of both cases and digits, that decode: neither a path nor a row of hexadecimal digits.
fn is_encoded(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let whole = bare.len().saturating_sub(usize::from(bare.len() % 4 == 1));
    let has = |test: fn(&u8) -> bool| bare.as_bytes().iter().any(test);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    mixed && bare.get(..whole).is_some_and(|text| STANDARD_NO_PAD.decode(text).is_ok() || text.len() % 4 != 0)
}

/// Kinds of characters without a picture. One joiner is ordinary in several scripts and in emoji; in a template of
/// ASCII letters it is not.
fn hidden(text: &str) -> BTreeSet<Flag> {
    let mut found = BTreeSet::new();
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        let plain = |c: char| c.is_ascii();
        match c {
            '\u{e0001}' | '\u{e0020}'..='\u{e007f}'
                if before != '\u{1f3f4}' && !('\u{e0020}'..='\u{e007f}').contains(&before) =>
            {
                found.insert(Flag::Hidden("tags"));
            }
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                found.insert(Flag::Hidden("marks that turn the direction of a line"));
            }
            '\u{200b}' | '\u{2060}'..='\u{2064}' => {
                found.insert(Flag::Hidden("zero width"));
            }
            '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{00ad}' if plain(before) && plain(next) => {
                found.insert(Flag::Hidden("zero width"));
            }
            _ => {}
        }
        before = c;
    }
    found
}
