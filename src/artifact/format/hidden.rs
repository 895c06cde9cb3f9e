//! Characters that a reader does not see and a machine does: tags, long runs of zero width, and
//! marks that turn the order of a line around.

use crate::artifact::inspection::Inspection;

/// Characters of zero width in a row that no script and no emoji needs.
const RUN_MIN: usize = 8;
/// Places told of one text.
const FOUND_MAX: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tag,
    ZeroWidth,
    Selector,
    Override,
    Embedding,
}

/// Notes hidden characters with their line. In code and templates every mark of direction counts,
/// in other texts only those that override.
pub fn inspect(inspection: &mut Inspection<'_>, text: &str, code: bool) {
    note(inspection, text, 1, |kind| code || kind != Kind::Embedding);
}

/// In data, which people wrote in every script: only characters that no text needs. The piece of
/// text begins at some line.
pub fn in_data(inspection: &mut Inspection<'_>, text: &str, first_line: u32) {
    note(inspection, text, first_line, |kind| kind == Kind::Tag);
}

/// The kinds of hidden characters in what people and models say to each other, each once: `tags`, `zero_width`,
/// `selectors`, `bidi`. Marks of direction that only embed are ordinary in some scripts.
pub fn kinds(text: &str) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    walk(
        text,
        1,
        |kind| kind != Kind::Embedding,
        |told, _| {
            if !kinds.contains(&told) {
                kinds.push(told);
            }
            true
        },
    );
    kinds
}

fn note(inspection: &mut Inspection<'_>, text: &str, first_line: u32, tells: impl Fn(Kind) -> bool) {
    let mut found = 0_usize;
    walk(text, first_line, tells, |told, line| {
        inspection.list("artifact.hidden_unicode", format!("{told}@line {line}"));
        found = found.saturating_add(1);
        found < FOUND_MAX
    });
}

/// Tells kind and line of each; `tell` says whether to go on.
fn walk(text: &str, first_line: u32, tells: impl Fn(Kind) -> bool, mut tell: impl FnMut(&'static str, u32) -> bool) {
    if text.is_ascii() {
        return;
    }
    let (mut line, mut run, mut last) = (first_line, 0_usize, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line = line.saturating_add(1);
        }
        if c == '\u{1f3f4}' {
            let region = region(chars.as_str());
            chars.by_ref().take(region).for_each(drop);
        }
        let kind = kind(c);
        run = if kind.is_some() && kind == last { run.saturating_add(1) } else { 1 };
        last = kind;
        let told = match kind.filter(|kind| tells(*kind)) {
            Some(Kind::Tag) if run == 1 => "tags",
            Some(Kind::ZeroWidth) if run == RUN_MIN => "zero_width",
            Some(Kind::Selector) if run == RUN_MIN => "selectors",
            Some(Kind::Override | Kind::Embedding) => "bidi",
            _ => continue,
        };
        if !tell(told, line) {
            return;
        }
    }
}

/// A flag of a region is written as a black flag, the tags of letters and digits of its code, and a tag that ends it:
/// how many characters those are, none where it is no such flag.
fn region(rest: &str) -> usize {
    let is_of_code = |c: &char| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let code = rest.chars().take(7).take_while(is_of_code).count();
    if (2..=6).contains(&code) && rest.chars().nth(code) == Some('\u{e007f}') { code + 1 } else { 0 }
}

fn kind(c: char) -> Option<Kind> {
    Some(match c {
        '\u{e0001}' | '\u{e0020}'..='\u{e007f}' => Kind::Tag,
        '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => Kind::ZeroWidth,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Kind::Selector,
        '\u{202d}' | '\u{202e}' => Kind::Override,
        '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}' => Kind::Embedding,
        _ => return None,
    })
}
