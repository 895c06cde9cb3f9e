//! Datasets as text: tables and lines of JSON. Formulas that a spreadsheet would run, pickles as
//! text, secrets, characters that nobody sees.

use std::sync::LazyLock;

use regex::Regex;

use super::json::Json;
use super::{Head, executable, hidden, lines, shipped};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Formulas told of one file, and lines of JSON whose escapes are looked at.
const FORMULAS_MAX: usize = 64;
const LINES_MAX: usize = 4096;
/// Deepest object looked at.
const DEPTH_MAX: u32 = 64;

/// A cell that starts a program or fetches something when a spreadsheet opens it.
static FORMULA: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?im)(?:^|[,;\t|])["'\s]*(?:[=+\-@＝＋－＠](?:"#,
        r#"[^,;\t\r\n]{0,40}?\b(?:cmd|msexcel|powershell|mshta|rundll32|regsvr32|certutil|wscript|cscript|bash|sh)(?:\.exe)?\s*\|[^\r\n]{0,300}?!"#,
        r#"|[^,\n\t]{0,200}?\b\w+\s*\|\s*'[^'\n]{1,400}'\s*!"#,
        r#"|[\s+\-@="]*(?:dde(?:auto)?|webservice|importxml|importdata|importhtml|importfeed|register\.id)\s*\(\s*["']"#,
        r#")|[=＝][\s+\-@="]*(?:exec|call|register)\s*\(\s*["'])"#
    ))
    .ok()
});

/// A cell that makes an address of other cells, which is told to whoever follows it.
static LINK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?im)(?:^|[,;\t|])["'\s]*[=+\-@＝＋－＠]"#,
        r#"\s*(?:hyperlink|image)\s*\(\s*"{1,2}\s*(?:https?|ftp|file):[^\n]{0,400}?&"#
    ))
    .ok()
});

pub fn identify(head: &Head<'_>) -> bool {
    let extension = super::extension(head.name);
    matches!(extension.as_str(), "csv" | "tsv" | "jsonl" | "ndjson") && shipped::identify(head)
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    lines::inspect(inspection, input, "data", true);
    // Tables of genomes begin with `#!`, and a word.
    let head = input.read(0, 3);
    if head == b"#!/" {
        executable::look(inspection, &head, 0);
    }
    if matches!(super::extension(name).as_str(), "csv" | "tsv") {
        formulas(inspection, input, FORMULA.as_ref(), "artifact.dataset.formulas");
        formulas(inspection, input, LINK.as_ref(), "artifact.dataset.links");
        return "csv";
    }
    escapes(inspection, input);
    "jsonl"
}

/// The formulas in a text of whole cells.
pub fn formulas_of(text: &str) -> impl Iterator<Item = &str> {
    let found = FORMULA.iter().flat_map(|pattern| pattern.find_iter(text));
    found.map(|found| found.as_str().trim_matches([',', ';', '\t', '\n', '\r', '"', '\'', ' ']))
}

fn formulas(inspection: &mut Inspection<'_>, input: Input<'_>, pattern: Option<&Regex>, fact: &'static str) {
    let Some(pattern) = pattern else { return };
    let mut told = 0_usize;
    lines::pieces(input, &mut |text, first| {
        for found in pattern.find_iter(text).take(FORMULAS_MAX.saturating_sub(told)) {
            told = told.saturating_add(1);
            let before = text.get(..found.end()).unwrap_or_default();
            let newlines = memchr::memchr_iter(b'\n', before.as_bytes()).count();
            let line = first.saturating_add(u32::try_from(newlines).unwrap_or(0));
            let formula = found.as_str().trim_matches([',', ';', '\t', '\n', '\r', '"', '\'', ' ']);
            inspection.list(fact, format!("{formula}@line {line}"));
        }
    });
}

/// Hidden characters that JSON writes as escapes.
fn escapes(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let mut looked = 0_usize;
    lines::pieces(input, &mut |text, _| {
        if memchr::memmem::find(text.as_bytes(), b"\\u").is_none() {
            return;
        }
        let suspicious = |line: &&str| {
            let lower = line.to_ascii_lowercase();
            lower.contains("\\udb40")
        };
        for line in text.lines().filter(suspicious).take(LINES_MAX.saturating_sub(looked)) {
            looked = looked.saturating_add(1);
            if let Some(json) = Json::parse(line.as_bytes()) {
                texts(inspection, &json, 0);
            }
        }
    });
}

fn texts(inspection: &mut Inspection<'_>, json: &Json, depth: u32) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(text) = json.as_text() {
        hidden::in_data(inspection, text, 1);
    }
    json.members().iter().for_each(|(_, value)| texts(inspection, value, depth.saturating_add(1)));
    json.items().iter().for_each(|item| texts(inspection, item, depth.saturating_add(1)));
}
