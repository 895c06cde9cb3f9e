//! What constants make of each other, as Python and Jinja count: within bounds, and without running anything.

/// Characters of a text that is put together.
pub const TEXT_MAX: usize = 4096;

/// A part that a format puts into its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Atom {
    Text(String),
    Number(i64),
}

impl Atom {
    pub fn spelt(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }

    fn character(&self) -> Option<char> {
        match self {
            Self::Text(text) => text.chars().next(),
            Self::Number(number) => char::from_u32(u32::try_from(*number).ok()?),
        }
    }
}

/// A method of texts that gives back another text.
pub fn method(text: &str, name: &str, arguments: &[&str]) -> Option<String> {
    let chars = |set: &str| set.chars().collect::<Vec<char>>();
    let made = match (name, arguments) {
        ("replace", [from, to]) if !from.is_empty() => {
            let grown = text.matches(from).count().saturating_mul(to.len());
            (grown <= TEXT_MAX).then(|| text.replace(from, to))?
        }
        ("lower" | "casefold", []) => text.to_lowercase(),
        ("upper", []) => text.to_uppercase(),
        ("swapcase", []) => text.chars().flat_map(swapped).collect(),
        ("capitalize", []) => capitalized(text),
        ("title", []) => text.split_inclusive(|c: char| !c.is_alphanumeric()).map(capitalized).collect(),
        ("strip" | "trim", []) => text.trim().to_owned(),
        ("lstrip", []) => text.trim_start().to_owned(),
        ("rstrip", []) => text.trim_end().to_owned(),
        ("strip" | "trim", [set]) => text.trim_matches(chars(set).as_slice()).to_owned(),
        ("lstrip", [set]) => text.trim_start_matches(chars(set).as_slice()).to_owned(),
        ("rstrip", [set]) => text.trim_end_matches(chars(set).as_slice()).to_owned(),
        ("removeprefix", [part]) => text.strip_prefix(part).unwrap_or(text).to_owned(),
        ("removesuffix", [part]) => text.strip_suffix(part).unwrap_or(text).to_owned(),
        _ => return None,
    };
    (made.len() <= TEXT_MAX).then_some(made)
}

fn swapped(c: char) -> Vec<char> {
    if c.is_lowercase() { c.to_uppercase().collect() } else { c.to_lowercase().collect() }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
}

/// Parts of a text between the places where another stands; by white space when there is none.
pub fn split(text: &str, by: Option<&str>) -> Option<Vec<String>> {
    match by {
        None => Some(text.split_whitespace().map(str::to_owned).collect()),
        Some("") => None,
        Some(by) => Some(text.split(by).map(str::to_owned).collect()),
    }
}

/// `text * count`.
pub fn repeated(text: &str, count: i64) -> Option<String> {
    let count = usize::try_from(count.max(0)).ok()?;
    (text.len().checked_mul(count)? <= TEXT_MAX).then(|| text.repeat(count))
}

/// `items[start:stop:step]`.
pub fn slice<T: Clone>(items: &[T], start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Option<Vec<T>> {
    let length = i64::try_from(items.len()).ok()?;
    let step = step.unwrap_or(1);
    let (low, high) = if step < 0 { (-1, length.checked_sub(1)?) } else { (0, length) };
    let place = |at: i64| if at < 0 { at.saturating_add(length).max(low) } else { at.min(high) };
    let (first, last) = if step < 0 {
        (start.map_or(high, place), stop.map_or(-1, place))
    } else {
        (start.map_or(0, place), stop.map_or(length, place))
    };
    if step == 0 {
        return None;
    }
    let mut taken = Vec::new();
    let mut at = first;
    while if step < 0 { at > last } else { at < last } {
        taken.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
        at = at.checked_add(step)?;
    }
    Some(taken)
}

/// `text[at]`.
pub fn item<T>(items: &[T], at: i64) -> Option<&T> {
    let length = i64::try_from(items.len()).ok()?;
    items.get(usize::try_from(if at < 0 { at.checked_add(length)? } else { at }).ok()?)
}

/// `format % parts`.
pub fn percent(format: &str, parts: &[Atom]) -> Option<String> {
    let mut out = String::new();
    let mut parts = parts.iter();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let kind = chars.by_ref().find(|c| !matches!(c, '0'..='9' | '.' | '-' | '+' | ' ' | '#'))?;
        match kind {
            '%' => out.push('%'),
            'c' => out.push(parts.next()?.character()?),
            's' | 'd' | 'i' => out.push_str(&parts.next()?.spelt()),
            _ => return None,
        }
        if out.len() > TEXT_MAX {
            return None;
        }
    }
    Some(out)
}

/// `format.format(parts)`, with `{}`, `{0}` and `{:c}`.
pub fn braces(format: &str, parts: &[Atom]) -> Option<String> {
    let mut out = String::new();
    let (mut rest, mut next) = (format, 0_usize);
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(rest.get(..at)?);
        rest = rest.get(at..)?;
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            out.push_str(rest.get(..1)?);
            rest = after;
            continue;
        }
        let (field, after) = rest.strip_prefix('{')?.split_once('}')?;
        rest = after;
        let (name, kind) = field.split_once([':', '!']).unwrap_or((field, ""));
        let number = if name.is_empty() { next } else { name.parse().ok()? };
        next = next.saturating_add(1);
        let part = parts.get(number)?;
        if kind == "c" {
            out.push(part.character()?);
        } else {
            out.push_str(&part.spelt());
        }
        if out.len() > TEXT_MAX {
            return None;
        }
    }
    out.push_str(rest);
    (out.len() <= TEXT_MAX).then_some(out)
}
