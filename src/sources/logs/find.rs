//! Finds the files that globs name, and those that were rotated away from them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use walkdir::WalkDir;

/// Entries looked at for one glob in one round.
const ENTRIES_MAX: usize = 200_000;
/// Directories below the fixed part of a glob with `**`.
const DEPTH_MAX: usize = 16;

#[derive(Debug)]
pub struct Globs {
    patterns: Vec<Pattern>,
    excluded_names: GlobSet,
    excluded_paths: GlobSet,
}

#[derive(Debug)]
struct Pattern {
    /// What comes before the first wildcard.
    base: PathBuf,
    depth: usize,
    set: GlobSet,
}

impl Globs {
    pub fn new(paths: &[String], exclude: &[String], problems: &mut Vec<String>) -> Self {
        let mut patterns = Vec::new();
        for text in paths {
            match compile(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(problem) => problems.push(format!("`paths` has `{text}`: {problem}")),
            }
        }
        let (mut names, mut whole) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in exclude {
            match glob(text) {
                Ok(glob) if text.contains('/') => drop(whole.add(glob)),
                Ok(glob) => drop(names.add(glob)),
                Err(problem) => problems.push(format!("`exclude` has `{text}`: {problem}")),
            }
        }
        let mut build = |set: GlobSetBuilder| {
            set.build().unwrap_or_else(|error| {
                problems.push(format!("`exclude`: {error}"));
                GlobSet::empty()
            })
        };
        Self { patterns, excluded_names: build(names), excluded_paths: build(whole) }
    }

    /// All files that match, without those that are an older part of another.
    pub fn find(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for pattern in &self.patterns {
            let walk = WalkDir::new(&pattern.base).follow_links(true).max_depth(pattern.depth).into_iter();
            for entry in walk.filter_map(Result::ok).take(ENTRIES_MAX) {
                if entry.file_type().is_file() && self.matches(entry.path()) {
                    found.insert(entry.into_path());
                }
            }
        }
        let rotated: Vec<PathBuf> = found.iter().filter(|path| has_parent_log(path, &found)).cloned().collect();
        for path in rotated {
            found.remove(&path);
        }
        found
    }

    /// Whether a path is one of those to read.
    pub fn matches(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| pattern.set.is_match(path))
            && !self.excluded_paths.is_match(path)
            && path.file_name().is_some_and(|name| !self.excluded_names.is_match(name))
    }
}

fn glob(text: &str) -> Result<Glob, String> {
    GlobBuilder::new(text).literal_separator(true).build().map_err(|error| error.kind().to_string())
}

fn compile(text: &str) -> Result<Pattern, String> {
    if !text.starts_with('/') {
        return Err("write an absolute path".to_owned());
    }
    let set = GlobSetBuilder::new().add(glob(text)?).build().map_err(|error| error.to_string())?;
    let fixed = |part: &Component<'_>| !part.as_os_str().as_bytes().iter().any(|byte| b"*?[{\\".contains(byte));
    let parts: Vec<Component<'_>> = Path::new(text).components().collect();
    let base: PathBuf = parts.iter().take_while(|part| fixed(part)).collect();
    let below = parts.len() - base.components().count();
    // A brace may hold slashes, so that its depth is not known.
    let depth = if text.contains("**") || text.contains('{') { DEPTH_MAX } else { below };
    Ok(Pattern { base, depth, set })
}

/// `0.log.20261122-183000`, `job.log.1`, `job.log-20261122.gz` are older parts of `0.log`, `job.log`.
pub fn is_rotated_from(name: &OsStr, current: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(current.as_bytes());
    rest.is_some_and(|rest| {
        matches!(rest.first(), Some(b'.' | b'-' | b'_')) && rest.iter().any(u8::is_ascii_digit) || rest == b".old"
    })
}

fn has_parent_log(path: &Path, all: &BTreeSet<PathBuf>) -> bool {
    let Some(name) = path.file_name() else { return false };
    // Every shorter name that could be the current part.
    name.as_bytes().iter().enumerate().filter(|(_, byte)| b".-_".contains(byte)).any(|(cut, _)| {
        let current = OsStr::from_bytes(name.as_bytes().get(..cut).unwrap_or_default());
        !current.is_empty() && is_rotated_from(name, current) && all.contains(&path.with_file_name(current))
    })
}
