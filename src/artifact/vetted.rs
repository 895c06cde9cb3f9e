//! Classes and functions that a site vouches for, beside those that come with the program.

use std::collections::HashSet;

use super::format::{Tier, judge};
use crate::event::digest;

/// Patterns kept of one site.
const PATTERNS_MAX: usize = 10_000;

/// What a site vets: patterns as in the lists that come with the program. They lift what is not
/// listed; what is dangerous stays so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vetted {
    exact: HashSet<String>,
    packages: HashSet<String>,
    classes: HashSet<String>,
}

impl Vetted {
    /// Reads patterns: `package.module.Name` is this name, `package.*` everything below, `package.^`
    /// the classes below. Each that is none, or that would vet what is dangerous, is told.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, Vec<String>> {
        let mut vetted = Self::default();
        let mut wrong = Vec::new();
        for pattern in patterns {
            match vetted.add(pattern) {
                Ok(()) if vetted.len() > PATTERNS_MAX => {
                    wrong.push(format!("there are more than {PATTERNS_MAX} patterns"));
                    break;
                }
                Ok(()) => {}
                Err(message) => wrong.push(message),
            }
        }
        if wrong.is_empty() { Ok(vetted) } else { Err(wrong) }
    }

    /// Reads a file: patterns between white space; `#` begins a comment.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let bare = |line| str::split(line, '#').next().unwrap_or_default();
        Self::new(text.lines().flat_map(|line| bare(line).split_whitespace()))
    }

    /// Both lists together.
    pub fn extend(&mut self, other: Self) {
        self.exact.extend(other.exact);
        self.packages.extend(other.packages);
        self.classes.extend(other.classes);
    }

    pub fn len(&self) -> usize {
        self.exact.len().saturating_add(self.packages.len()).saturating_add(self.classes.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A text with a mark of this list, which is another for another list; unchanged when it is empty.
    pub fn marked(&self, text: String) -> String {
        if self.is_empty() {
            return text;
        }
        let mut parts: Vec<String> = self.exact.iter().cloned().collect();
        parts.extend(self.packages.iter().map(|package| format!("{package}.*")));
        parts.extend(self.classes.iter().map(|package| format!("{package}.^")));
        parts.sort_unstable();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        format!("{text} vetted:{}", digest::of_parts(&parts).short())
    }

    /// The tier of a name of which the program says `tier`.
    pub(super) fn lift(&self, module: &str, name: &str, tier: Tier) -> Tier {
        if tier == Tier::Unlisted && !self.is_empty() && self.holds(module, name) { Tier::Allowed } else { tier }
    }

    fn holds(&self, module: &str, name: &str) -> bool {
        let full = format!("{module}.{name}");
        if self.exact.contains(&full) {
            return true;
        }
        let class = name.split('.').all(is_class_name);
        let mut package = full.as_str();
        while let Some((parent, _)) = package.rsplit_once('.') {
            package = parent;
            if self.packages.contains(package) || class && self.classes.contains(package) {
                return true;
            }
        }
        false
    }

    fn add(&mut self, pattern: &str) -> Result<(), String> {
        let (set, name) = match (pattern.strip_suffix(".*"), pattern.strip_suffix(".^")) {
            (Some(package), _) => (&mut self.packages, package),
            (_, Some(package)) => (&mut self.classes, package),
            (None, None) => (&mut self.exact, pattern),
        };
        if !name.split('.').all(is_identifier) {
            return Err(format!("`{pattern}` is no pattern: write `package.module.Class`, `package.*` or `package.^`"));
        }
        let dangerous = if name == pattern {
            let Some((module, last)) = name.rsplit_once('.') else {
                return Err(format!("`{pattern}` names no module: write `package.module.Class` or `{pattern}.*`"));
            };
            judge(module, last) == Tier::Dangerous
        } else {
            // The name stands for any class below the package.
            judge(name, "AnyClass") == Tier::Dangerous
        };
        if dangerous {
            return Err(format!("`{pattern}` is dangerous whoever vouches for it: accept its findings file by file"));
        }
        set.insert(name.to_owned());
        Ok(())
    }
}

fn is_identifier(part: &str) -> bool {
    part.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && part.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn is_class_name(name: &str) -> bool {
    name.trim_start_matches('_').starts_with(char::is_uppercase)
}
