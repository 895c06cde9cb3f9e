//! Texts that tell a model what to do, or people what it is: chat templates, prompts, documents. The text itself is
//! kept, up to a bound, so that what was put in can be shown.

mod flags;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use super::packed::{digits, print};
use super::take::Taking;
use super::{Body, Told};
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Bytes of a text that are kept: of those that a model is told, and of documents.
const TOLD_MAX: usize = 64 << 10;
const DOCUMENT_MAX: usize = 16 << 10;
/// Lines of both texts that are compared one by one.
const LINES_MAX: usize = 4_000;
/// Characters of what is shown of a change.
const SHOWN_MAX: usize = 1200;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Template,
    Prompt,
    Document,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Prompt => "prompt",
            Self::Document => "document",
        }
    }
}

/// One text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Text {
    kind: Kind,
    /// The beginning, or all of it.
    beginning: String,
    length: u64,
    /// Digest of all of it, and of all of it without white space.
    digest: String,
    dense: String,
}

/// What a file's name says that its text is for.
pub fn kind(file: &str, format: &str) -> Kind {
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let has = |words: &[&str]| words.iter().any(|word| stem.contains(word));
    if format == "jinja" || matches!(extension, "jinja" | "jinja2" | "j2" | "template") || has(&["chat_template"]) {
        Kind::Template
    } else if matches!(extension, "prompt" | "prompty" | "modelfile")
        || stem == "modelfile"
        || has(&["prompt", "system", "persona"])
    {
        Kind::Prompt
    } else {
        Kind::Document
    }
}

pub fn take(taking: &mut Taking, place: &str, text: &str, kind: Kind) {
    let max = if kind == Kind::Document { DOCUMENT_MAX } else { TOLD_MAX };
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    if end < text.len() && kind != Kind::Document {
        taking.cut("a template or prompt is longer than is kept: what differs behind its beginning is not shown");
    }
    let kept = text.get(..end).unwrap_or_default().to_owned();
    let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    taking.add(
        place,
        Body::Text(Text {
            kind,
            beginning: kept,
            length: text.len() as u64,
            digest: digits(print(text.as_bytes())),
            dense: digits(print(dense.as_bytes())),
        }),
    );
}

pub fn compare(told: &mut Told, place: &str, old: Option<&Text>, new: Option<&Text>) {
    match (old, new) {
        (Some(old), Some(new)) if old.digest != new.digest => changed(told, place, old, new),
        (None, Some(new)) => {
            if new.kind != Kind::Document {
                let words = format!("there is a {} now, where none was before", new.kind.word());
                let difference = Difference::new("template.added", Grade::Notable, place, words);
                told.push(difference.texts("", shorten(&new.beginning, SHOWN_MAX)));
            }
            flags(told, place, "", new, "");
        }
        (Some(old), None) if old.kind != Kind::Document => {
            let words = format!("the {} is gone", old.kind.word());
            let difference = Difference::new("template.removed", Grade::Notable, place, words);
            told.push(difference.texts(shorten(&old.beginning, SHOWN_MAX), ""));
        }
        (Some(_) | None, None) | (Some(_), Some(_)) => {}
    }
}

fn changed(told: &mut Told, place: &str, old: &Text, new: &Text) {
    let word = new.kind.word();
    if old.dense == new.dense {
        let class = if new.kind == Kind::Document { "document.changed" } else { "template.reformatted" };
        told.say(class, Grade::Routine, place, format!("only white space of the {word} differs"));
        return;
    }
    let lines = lines(&old.beginning, &new.beginning);
    let (class, grade) = match new.kind {
        Kind::Template | Kind::Prompt => ("template.changed", Grade::Notable),
        Kind::Document => ("document.changed", Grade::Routine),
    };
    let words = match &lines {
        Some(lines) if lines.added == 0 && lines.removed == 0 => {
            format!("the {word} differs behind its first {} bytes, which is all that is kept", new.beginning.len())
        }
        Some(lines) => {
            let inserted = if lines.words.is_empty() {
                String::new()
            } else {
                format!("; put in: “{}”", shorten(&lines.words, 200))
            };
            format!("{} lines of the {word} are new and {} are gone{inserted}", lines.added, lines.removed)
        }
        None => format!("the {word} differs; it has more lines than are compared one by one"),
    };
    let lines = lines.unwrap_or_default();
    let difference = Difference::new(class, grade, place, words);
    told.push(difference.texts(shorten(&lines.before, SHOWN_MAX), shorten(&lines.after, SHOWN_MAX)));
    flags(told, place, &old.beginning, new, &lines.after);
}

/// What differs, line by line.
#[derive(Default)]
struct Lines {
    added: usize,
    removed: usize,
    before: String,
    after: String,
    /// What was put into changed lines, word by word.
    words: String,
}

fn lines(old: &str, new: &str) -> Option<Lines> {
    let count = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count();
    if count(old).saturating_add(count(new)) > LINES_MAX {
        return None;
    }
    let mut found = Lines::default();
    // Its work grows with the square of what differs, and is bounded by the number of lines.
    for change in TextDiff::from_lines(old, new).iter_all_changes() {
        let (count, out) = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => (&mut found.removed, &mut found.before),
            ChangeTag::Insert => (&mut found.added, &mut found.after),
        };
        *count = count.saturating_add(1);
        if out.len() < TOLD_MAX {
            out.push_str(change.value());
            if !change.value().ends_with('\n') {
                out.push('\n');
            }
        }
    }
    if found.removed > 0 && found.before.len().max(found.after.len()) < 4 << 10 {
        let mut last = false;
        for change in TextDiff::from_words(&found.before, &found.after).iter_all_changes() {
            let inserted = change.tag() == ChangeTag::Insert;
            if inserted {
                if !last && !found.words.is_empty() {
                    found.words.push_str(" … ");
                }
                found.words.push_str(change.value());
            }
            last = inserted;
        }
        found.words = found.words.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    Some(found)
}

/// What in the new text was not in the old one and should not be there.
fn flags(told: &mut Told, place: &str, old: &str, new: &Text, after: &str) {
    let shown = if after.is_empty() { new.beginning.as_str() } else { after };
    for flag in flags::of(&new.beginning).difference(&flags::of(old)) {
        let (class, mut grade, words) = flag.words();
        let class = match (new.kind, flag) {
            (Kind::Document, flags::Flag::Hidden(_)) => {
                grade = Grade::Notable;
                "document.hidden"
            }
            (Kind::Document, _) => continue,
            (Kind::Template | Kind::Prompt, _) => class,
        };
        told.push(Difference::new(class, grade, place, words).texts("", around(shown, flag.needle())));
    }
}

/// The part of a text around a place.
fn around(text: &str, needle: &str) -> String {
    let at = text.find(needle).unwrap_or(0);
    let mut start = at.saturating_sub(200);
    while !text.is_char_boundary(start) {
        start = start.saturating_sub(1);
    }
    shorten(text.get(start..).unwrap_or(text), 600)
}
