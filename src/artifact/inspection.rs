//! One inspection: what was found so far, and the way from an artifact into its members.

use std::collections::BTreeMap;

use super::input::{Budget, Fetched, Input, Withheld};
use super::search::Found;
use super::{Bytes, Issue, Limits, Report, Segment};
use super::{digest, format};
use crate::base::text::shorten;
use crate::event::{Fields, Value};

/// Issues kept of one inspection.
const ISSUES_MAX: usize = 64;
/// Lists that only tell what there is: each item was looked at, also where the list is full.
const INVENTORIES: &[&str] = &["artifact.members"];
/// Characters of one item of a list.
const ITEM_CHARS_MAX: usize = 200;

/// Inspects an artifact without loading it. `name` is a path or file name; it is a hint only.
///
/// Memory is bounded by `limits`: at most `depth_max` items of `item_bytes_max`, the lists, and
/// for a pickle its symbolic stack and memo, which have bounds of their own.
pub fn inspect(bytes: &dyn Bytes, name: &str, limits: &Limits) -> Report {
    inspect_with(bytes, name, limits, &Found::default())
}

/// The same with what [`super::hash`] has found in the midst of the bytes: what lies in weights, far
/// from where a format has anything to read, is seen only so.
pub fn inspect_with(bytes: &dyn Bytes, name: &str, limits: &Limits, found: &Found) -> Report {
    let budget = Budget::new(limits);
    let input = Input::new(bytes, &budget).with_hits(&found.hits);
    let mut inspection = Inspection::new(&budget);
    let format = format::inspect(&mut inspection, input, name);
    format::crowded(&mut inspection, format, name, found.more);
    if let Some(said) = digest::claimed(name) {
        digest::compare(&mut inspection, "name", said, found.sha256.or_else(|| digest::sha256(input)));
    }
    inspection.finish(format, bytes.len())
}

/// The same for bytes that are fetched as they are read: nothing is read through, neither to search it nor to hold it
/// against a digest that a name states.
pub fn inspect_parts(bytes: &dyn Bytes, name: &str, limits: &Limits) -> Report {
    let limits = Limits { sweep_bytes_max: 0, ..limits.clone() };
    let budget = Budget::new(&limits);
    let mut inspection = Inspection::new(&budget);
    let fetched = Fetched::new(bytes, &budget);
    let format = format::inspect(&mut inspection, Input::new(&fetched, &budget), name);
    inspection.finish(format, bytes.len())
}

/// Tensors of a format that declares them in a header; only the header is read.
pub fn segments(bytes: &dyn Bytes, limits: &Limits) -> Vec<Segment> {
    let budget = Budget::new(limits);
    format::segments(Input::new(bytes, &budget))
}

/// Names of tensors that a header declares beyond the end of the bytes, which were cut off.
pub fn beyond(bytes: &dyn Bytes, limits: &Limits) -> Vec<String> {
    let budget = Budget::new(limits);
    format::beyond::beyond(Input::new(bytes, &budget))
}

/// What one inspection found so far.
pub struct Inspection<'b> {
    pub budget: &'b Budget,
    lists: BTreeMap<&'static str, Vec<String>>,
    values: BTreeMap<&'static str, Value>,
    issues: Vec<Issue>,
    path: Vec<String>,
}

impl<'b> Inspection<'b> {
    pub fn new(budget: &'b Budget) -> Self {
        Self { budget, lists: BTreeMap::new(), values: BTreeMap::new(), issues: Vec::new(), path: Vec::new() }
    }

    /// Adds an item to a list fact, once, within the bound.
    pub fn list(&mut self, path: &'static str, item: impl AsRef<str>) {
        let item = shorten(&clean(item.as_ref()), ITEM_CHARS_MAX);
        let items = self.lists.entry(path).or_default();
        if items.contains(&item) {
            return;
        }
        if items.len() < self.budget.limits.list_items_max {
            items.push(item);
        } else if !INVENTORIES.contains(&path) {
            self.issue("budget_exceeded", &format!("`{path}` has more items than are kept"));
        }
    }

    /// Sets a fact; a later value replaces an earlier one.
    pub fn set(&mut self, path: &'static str, value: impl Into<Value>) {
        self.values.insert(path, value.into());
    }

    /// Adds to a fact that is a number.
    pub fn add(&mut self, path: &'static str, count: u64) {
        let before = match self.values.get(path) {
            Some(Value::Int(number)) => *number,
            _ => 0,
        };
        self.values.insert(path, Value::Int(before.saturating_add(count.into())));
    }

    /// Raises a fact that is a number.
    pub fn raise(&mut self, path: &'static str, number: u64) {
        let known = matches!(self.values.get(path), Some(Value::Int(before)) if *before >= i128::from(number));
        if !known {
            self.set(path, number);
        }
    }

    /// Says what is broken or was not looked at, with the member it is about.
    pub fn issue(&mut self, code: &str, detail: &str) {
        // What was not fetched looks like an end that comes too early, and is none.
        if self.budget.withheld().is_some() && matches!(code, "truncated" | "malformed") {
            return;
        }
        let member = self.path.join("/");
        let known =
            self.issues.iter().any(|issue| issue.code == code && issue.detail == detail && issue.member == member);
        if known || self.issues.len() >= ISSUES_MAX {
            return;
        }
        self.issues.push(Issue {
            code: code.to_owned(),
            detail: shorten(&clean(detail), 400),
            member: shorten(&member, 400),
        });
    }

    /// True while a member of a container is looked at.
    pub const fn is_member(&self) -> bool {
        !self.path.is_empty()
    }

    /// Looks at a member of a container, unless the containers are nested too deeply.
    pub fn member(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        if self.path.len() >= self.budget.limits.depth_max as usize {
            self.list("artifact.container.bomb", "depth");
            self.issue(
                "budget_exceeded",
                "containers are nested deeper than `depth_max`; the inner ones were not looked at",
            );
            return;
        }
        self.path.push(shorten(&clean(name), ITEM_CHARS_MAX));
        look(self);
        self.path.pop();
    }

    /// What a list fact has so far.
    pub fn items(&self, path: &str) -> &[String] {
        self.lists.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    /// Takes what another inspection found in some of its lists, and nothing else of it.
    pub fn adopt(&mut self, other: Inspection<'_>, paths: &[&'static str]) {
        for (path, items) in other.lists.into_iter().filter(|(path, _)| paths.contains(path)) {
            for item in &items {
                self.list(path, item);
            }
        }
    }

    fn finish(mut self, format: &'static str, size: u64) -> Report {
        if let Some(limit) = self.budget.exhausted.get() {
            self.issue("budget_exceeded", &format!("`{limit}` was reached; what lies beyond was not looked at"));
        }
        let withheld = self.budget.withheld();
        if let Some(limit) = withheld.and_then(Withheld::limit) {
            self.issue("budget_exceeded", &format!("`{limit}` was reached; what lies beyond was not fetched"));
        }
        if withheld == Some(Withheld::Unreadable) {
            self.issue("unreadable", "some bytes could not be read; look at the store's own errors");
        }
        let mut codes: Vec<String> = self.issues.iter().map(|issue| issue.code.clone()).collect();
        codes.sort();
        codes.dedup();
        let mut facts: Fields = self.values.into_iter().map(|(path, value)| (path.to_owned(), value)).collect();
        facts.extend(self.lists.into_iter().map(|(path, items)| (path.to_owned(), Value::from(items))));
        facts.insert("artifact.format".to_owned(), Value::from(format));
        facts.insert("artifact.size".to_owned(), Value::from(size));
        if !codes.is_empty() {
            facts.insert("artifact.issues".to_owned(), Value::from(codes));
        }
        Report { format: format.to_owned(), facts, issues: self.issues }
    }
}

/// Text from a hostile file, fit for a terminal: control characters are written as escapes.
fn clean(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
            .collect()
    } else {
        text.to_owned()
    }
}
