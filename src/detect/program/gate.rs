//! What a text must have in it for a regular expression to match: found in passing, it spares the
//! expression for most values.

use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

use crate::detect::pattern::{fold, fold_character};

/// Shorter texts are in too many values.
pub const LENGTH_MIN: usize = 3;
/// Texts of which one must be there.
const TEXTS_MAX: usize = 32;

/// Folded texts of which at least one is in the folded form of every text that matches; `None` when
/// there is no such set.
pub fn of_regex(expression: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(expression).ok()?;
    required(&hir).filter(|texts| good(texts))
}

fn good(texts: &[String]) -> bool {
    !texts.is_empty() && texts.len() <= TEXTS_MAX && texts.iter().all(|text| text.len() >= LENGTH_MIN)
}

/// The longer its shortest text, the better a set is.
fn better(a: Option<Vec<String>>, b: Option<Vec<String>>) -> Option<Vec<String>> {
    let worth = |texts: &Option<Vec<String>>| texts.as_ref().and_then(|texts| texts.iter().map(String::len).min());
    if worth(&b) > worth(&a) { b } else { a }
}

fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => one_text(hir).map(|text| vec![text]),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Look(_) => None,
        HirKind::Alternation(sides) => {
            let mut texts = Vec::new();
            for side in sides {
                texts.extend(required(side)?);
                if texts.len() > TEXTS_MAX {
                    return None;
                }
            }
            Some(texts)
        }
        HirKind::Concat(parts) => {
            let (mut best, mut run) = (None, String::new());
            for part in parts {
                if matches!(part.kind(), HirKind::Look(_)) {
                    continue;
                }
                if let Some(text) = one_text(part) {
                    run.push_str(&text);
                    continue;
                }
                best = better(best, Some(vec![std::mem::take(&mut run)]));
                best = better(best, required(part));
            }
            better(best, Some(vec![run]))
        }
    }
}

/// The one folded text that everything that matches here has.
fn one_text(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(fold),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.ranges().iter().map(ClassUnicodeRange::len).sum();
            if count > 4 {
                return None;
            }
            let mut folded: Vec<char> =
                class.ranges().iter().flat_map(|range| range.start()..=range.end()).map(fold_character).collect();
            folded.dedup();
            if let [only] = folded.as_slice() { Some(only.to_string()) } else { None }
        }
        HirKind::Capture(capture) => one_text(&capture.sub),
        HirKind::Class(Class::Bytes(_))
        | HirKind::Empty
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Concat(_)
        | HirKind::Alternation(_) => None,
    }
}
