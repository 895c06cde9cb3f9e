//! `allow.yml`: findings of a scan that somebody accepted, each with the reason.
//!
//! Each entry names rules and files, says why, and may end at a date. An entry that names no rule of
//! the set is an error: a rule that was renamed must not come back to life unnoticed.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::Timestamp;

use super::diagnostic::{Diagnostic, Level, Reporter, Span};
use super::overrides::until;
use super::sigma::{condition, keys};
use super::{RuleSet, Source, entries};
use crate::base::text;
use crate::base::yaml::{Data, Node};
use crate::event::Sha256;

const ENTRY_KEYS: &[&str] = &["rule", "path", "sha256", "reason", "until"];

/// All entries of all files that hold now.
#[derive(Debug, Default)]
pub struct AllowList(Vec<Entry>);

/// One entry.
#[derive(Debug)]
pub struct Entry {
    /// What outputs call the rules.
    rules: Vec<String>,
    paths: Option<GlobSet>,
    digests: Option<Vec<Sha256>>,
    /// Why, as its author says.
    pub reason: String,
    /// The first moment at which it no longer holds.
    pub until: Option<Timestamp>,
    file: String,
    line: usize,
}

impl Entry {
    /// Where it is written.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

impl AllowList {
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The number of the first entry that allows a finding.
    pub fn fits(&self, rule: &str, path: &Path, sha256: Sha256) -> Option<usize> {
        self.0.iter().position(|entry| {
            entry.rules.iter().any(|id| id == rule)
                && entry.paths.as_ref().is_none_or(|globs| globs.is_match(path))
                && entry.digests.as_ref().is_none_or(|digests| digests.contains(&sha256))
        })
    }
}

/// Reads the files; warnings beside the entries, or everything that is wrong.
pub fn read(
    sources: &[Source],
    set: &RuleSet,
    now: Timestamp,
) -> Result<(AllowList, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut list = AllowList::default();
    let mut found = Vec::new();
    for source in sources {
        let mut reporter = Reporter::new(source);
        for node in entries::read(source, "allow", "a file of what is allowed", &mut reporter) {
            let Some(entry) = entry(&node, source, set, &mut reporter) else { continue };
            if entry.until.is_some_and(|until| until <= now) {
                let hint = Some("remove it, or move the date if it must go on".to_owned());
                let message = "the entry has expired and allows nothing".to_owned();
                reporter.report(Level::Warning, "R051", Span::of(&node).part(0, 1), message, hint);
                continue;
            }
            list.0.push(entry);
        }
        found.extend(reporter.into_found());
    }
    if found.iter().any(|one| one.severity == Level::Error) { Err(found) } else { Ok((list, found)) }
}

fn entry(node: &Node, source: &Source, set: &RuleSet, reporter: &mut Reporter<'_>) -> Option<Entry> {
    if node.as_map().is_none() {
        keys::wrong(node, "an entry", "a mapping", reporter);
        return None;
    }
    let mark = reporter.mark();
    keys::unknown(node, ENTRY_KEYS, true, true, reporter);
    let nothing =
        |reason: &Node| reason.data == Data::Null || reason.as_text().is_some_and(|text| text.trim().is_empty());
    if node.get("reason").is_none_or(nothing) {
        keys::missing(node, "reason", "whoever reads this next must know why", reporter);
    }
    if node.get("rule").is_none() {
        keys::missing(node, "rule", "write `rule: SCN-002`; `*` stands for any characters", reporter);
    }
    if node.get("path").is_none() && node.get("sha256").is_none() && !reporter.errors_since(mark) {
        let hint = "write `path: models/*.pkl` or `sha256`; an override switches a rule off everywhere";
        reporter.error_hint("R052", Span::of(node).part(0, 1), "the entry names no file", hint);
    }
    let rules = one_or_more(node, "rule", reporter).iter().flat_map(|rule| named(rule, set, reporter)).collect();
    let entry = Entry {
        rules,
        paths: globs(node, reporter),
        digests: digests(node, reporter),
        reason: keys::text(node, "reason", reporter).unwrap_or_default(),
        until: until(node, reporter),
        file: source.path.clone(),
        line: node.line,
    };
    (!reporter.errors_since(mark)).then_some(entry)
}

/// A text or a list of texts.
fn one_or_more(node: &Node, key: &str, reporter: &mut Reporter<'_>) -> Vec<(String, Span)> {
    let Some(value) = node.get(key) else { return Vec::new() };
    let mut texts = Vec::new();
    if value.as_list().is_some_and(<[Node]>::is_empty) {
        keys::wrong(value, key, "a text, or a list of texts with at least one", reporter);
    }
    for item in value.as_list().unwrap_or(std::slice::from_ref(value)) {
        match item.as_text().map(str::trim) {
            Some("") | None => keys::wrong(item, key, "a text, or a list of texts", reporter),
            Some(text) => texts.push((text.to_owned(), Span::of(item))),
        }
    }
    texts
}

/// The rules that a name fits; none is reported.
fn named((written, span): &(String, Span), set: &RuleSet, reporter: &mut Reporter<'_>) -> Vec<String> {
    let pattern = written.to_lowercase();
    let fits = |id: Option<&str>| id.is_some_and(|id| condition::fits(&pattern, &id.to_lowercase()));
    let found: Vec<String> = set
        .rules()
        .iter()
        .filter(|rule| fits(Some(rule.display_id())) || fits(rule.uuid.as_deref()))
        .map(|rule| rule.display_id().to_owned())
        .collect();
    if found.is_empty() {
        let near = text::nearest(written, set.rules().iter().map(super::Rule::display_id));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        reporter.report(Level::Error, "R050", *span, "the entry fits no rule".to_owned(), hint);
    }
    found
}

/// A glob without `/` is compared with names, one with `/` with whole paths as a scan tells them.
fn globs(node: &Node, reporter: &mut Reporter<'_>) -> Option<GlobSet> {
    let written = one_or_more(node, "path", reporter);
    let mut set = GlobSetBuilder::new();
    for (text, span) in &written {
        let bare = text.strip_prefix("./").unwrap_or(text);
        let whole = if bare.contains('/') { bare.to_owned() } else { format!("**/{bare}") };
        match GlobBuilder::new(&whole).literal_separator(true).backslash_escape(true).build() {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => reporter.error("R006", *span, format!("`{text}` is no glob: {}", error.kind())),
        }
    }
    node.get("path")?;
    set.build().map_err(|error| reporter.error("R006", Span::of(node), error.to_string())).ok()
}

fn digests(node: &Node, reporter: &mut Reporter<'_>) -> Option<Vec<Sha256>> {
    let written = one_or_more(node, "sha256", reporter);
    let mut digests = Vec::new();
    for (text, span) in &written {
        match text.parse() {
            Ok(digest) => digests.push(digest),
            Err(error) => reporter.error("R006", *span, format!("`{text}` is no digest: {error}")),
        }
    }
    node.get("sha256").map(|_| digests)
}
