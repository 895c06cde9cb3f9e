//! Orders in a template that the model gets and its user is not to know of. One mark alone says little: honest
//! prompts tell a model what to keep to itself, too.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::artifact::format::hidden;
use crate::artifact::inspection::Inspection;

/// What is hidden from the user, and what it is about.
const MARKS: &[(&str, &str)] = &[
    (
        "hidden",
        r"(?i)(?:do not|don't|never|without)\s+(?:ever\s+)?(?:mention|reveal|tell|telling|disclose|inform|mentioning|revealing|show)(?:ing)?\b[^.\n]{0,40}\b(?:it|this|these|that|the user|user|users|anyone|instructions?)\b",
    ),
    (
        "override",
        r"(?i)\b(?:ignore|disregard|forget|override)\s+(?:all\s+|any\s+)?(?:of\s+)?(?:the\s+|your\s+)?(?:previous|prior|above|earlier|preceding)\s+(?:instructions?|prompts?|rules|messages)",
    ),
    (
        "address",
        r"(?i)\b(?:send|post|upload|forward|transmit|fetch|load|append|add|include|insert)\b[^.\n]{0,80}https?://",
    ),
    ("script", r"(?i)<script\b|<iframe\b|javascript:"),
    ("evaluation", r"(?i)\b(?:put|use|insert|add|include)\b[^.\n]{0,24}\b(?:eval|exec|os\.system|subprocess)\b"),
];

static PATTERNS: LazyLock<Vec<(&'static str, Regex)>> =
    LazyLock::new(|| MARKS.iter().filter_map(|(name, pattern)| Some((*name, Regex::new(pattern).ok()?))).collect());

/// Notes the marks that a text has.
pub fn collect(text: &str, marks: &mut BTreeSet<&'static str>) {
    for (name, pattern) in PATTERNS.iter() {
        if !marks.contains(name) && pattern.is_match(text) {
            marks.insert(name);
        }
    }
}

/// Notes the orders that marks make together.
pub fn tell(inspection: &mut Inspection<'_>, marks: &BTreeSet<&'static str>) {
    if is_alarming(marks) {
        for mark in marks {
            inspection.list("artifact.chat_template.instructions", mark);
        }
    }
}

/// What a model is told in another language than Jinja, or in none.
pub fn prompt(inspection: &mut Inspection<'_>, text: &str) {
    hidden::inspect(inspection, text, true);
    let mut marks = BTreeSet::new();
    collect(text, &mut marks);
    tell(inspection, &marks);
}

/// Hidden, and at something that no prompt needs; or an order to forget all orders that also reaches out.
fn is_alarming(marks: &BTreeSet<&'static str>) -> bool {
    let hidden = marks.contains("hidden");
    let beside = ["override", "address", "script", "evaluation"].iter().filter(|mark| marks.contains(*mark)).count();
    hidden && beside > 0 || beside > 1
}
