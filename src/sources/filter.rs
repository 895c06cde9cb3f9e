//! Which files are looked at.

use std::ffi::OsStr;
use std::path::Path;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

/// Left out unless the configuration says otherwise: histories, caches and half-written files.
/// A file that is renamed from such a name to its own is seen at that moment.
pub const EXCLUDED: &[&str] = &[
    ".git",
    "__pycache__",
    ".ipynb_checkpoints",
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.incomplete",
    "*.crdownload",
    "*.lock",
    "*.swp",
    ".nfs*",
];

/// Globs to take and to leave out.
#[derive(Debug, Default)]
pub struct Filter {
    include: Option<Globs>,
    exclude: Globs,
}

/// Globs on names, and on paths below a root.
#[derive(Debug, Default)]
struct Globs {
    names: GlobSet,
    paths: GlobSet,
}

impl Filter {
    /// Every glob that is not one is a sentence in the error.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let include = (!include.is_empty()).then(|| Globs::new("include", include, &mut problems));
        let exclude = Globs::new("exclude", exclude, &mut problems);
        if problems.is_empty() { Ok(Self { include, exclude }) } else { Err(problems) }
    }

    /// Whether to look at a file, by its path below the root.
    pub fn takes(&self, relative: &Path) -> bool {
        let (folder, name) = (relative.parent().unwrap_or(relative), relative.file_name().unwrap_or_default());
        self.includes(folder, name) && !self.leaves_out(folder, name)
    }

    /// Whether a file in a folder below the root is one of those to be looked at, unless it is left out.
    pub fn includes(&self, folder: &Path, name: &OsStr) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.matches(folder, name))
    }

    /// Whether a directory or file is left out with all below it, by its own name or path.
    pub fn leaves_out(&self, folder: &Path, name: &OsStr) -> bool {
        self.exclude.matches(folder, name)
    }

    /// Whether any directory on the way to a path is left out, or the path itself.
    pub fn leaves_out_any(&self, relative: &Path) -> bool {
        relative.ancestors().any(|part| {
            part.file_name().is_some_and(|name| self.leaves_out(part.parent().unwrap_or(Path::new("")), name))
        })
    }
}

impl Globs {
    fn new(option: &str, globs: &[String], problems: &mut Vec<String>) -> Self {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in globs {
            // A name has no `/`; globs that need not heed it are found without a regular expression.
            let by_path = text.contains('/');
            match GlobBuilder::new(text.trim_start_matches('/')).literal_separator(by_path).build() {
                Ok(glob) if by_path => drop(paths.add(glob)),
                Ok(glob) => drop(names.add(glob)),
                Err(error) => problems.push(format!("`{option}` has the glob `{text}`: {}", error.kind())),
            }
        }
        let mut build = |set: &GlobSetBuilder| {
            set.build().unwrap_or_else(|error| {
                problems.push(format!("`{option}`: {error}; use fewer or simpler globs"));
                GlobSet::empty()
            })
        };
        Self { names: build(&names), paths: build(&paths) }
    }

    fn matches(&self, folder: &Path, name: &OsStr) -> bool {
        !self.names.is_empty() && self.names.is_match_candidate(&Candidate::new(name))
            || !self.paths.is_empty() && self.paths.is_match(folder.join(name))
    }
}
