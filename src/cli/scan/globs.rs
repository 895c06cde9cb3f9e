//! Globs of the command line: which files are asked for, and which are left out.

use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// What begins a pattern in an argument.
const META: [char; 4] = ['*', '?', '[', '{'];

/// A list of globs, each with the text as its author wrote it.
pub struct Globs {
    written: Vec<String>,
    names: GlobSet,
    paths: GlobSet,
    /// For each list of globs, the numbers of the texts.
    of_names: Vec<usize>,
    of_paths: Vec<usize>,
}

impl Globs {
    /// A glob without `/` is compared with the names of files and folders, one with `/` with the
    /// whole path as it is told; `*` does not reach over a `/`, `**` does.
    pub fn new(written: &[String]) -> anyhow::Result<Self> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let (mut of_names, mut of_paths) = (Vec::new(), Vec::new());
        for (number, text) in written.iter().enumerate() {
            let bare = text.strip_prefix("./").unwrap_or(text);
            let bare = bare.strip_suffix('/').unwrap_or(bare);
            if bare.contains('/') {
                paths.add(glob(bare)?);
                of_paths.push(number);
            } else {
                names.add(glob(bare)?);
                of_names.push(number);
            }
        }
        Ok(Self { written: written.to_vec(), names: names.build()?, paths: paths.build()?, of_names, of_paths })
    }

    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The first glob that fits a path.
    pub fn fits(&self, path: &Path) -> Option<&str> {
        let by_name = path.file_name().map(|name| self.names.matches(name)).unwrap_or_default();
        let by_path = self.paths.matches(path);
        let names = by_name.iter().filter_map(|found| self.of_names.get(*found));
        let paths = by_path.iter().filter_map(|found| self.of_paths.get(*found));
        let first = names.chain(paths).min()?;
        self.written.get(*first).map(String::as_str)
    }
}

/// An argument that is a glob, as a shell would have expanded it had it not been quoted.
pub struct Pattern {
    /// The folder under which everything that fits must lie.
    pub base: PathBuf,
    itself: GlobSet,
    under: GlobSet,
    /// Folders so deep under the base cannot lead to what fits, unless they fit themselves.
    depth: Option<usize>,
}

impl Pattern {
    /// None when the text holds nothing that makes it a glob.
    pub fn new(text: &str) -> anyhow::Result<Option<Self>> {
        if !text.contains(META) {
            return Ok(None);
        }
        let bare = text.strip_prefix("./").unwrap_or(text);
        let parts: Vec<&str> = bare.split('/').collect();
        let fixed = parts.iter().take_while(|part| !part.contains(META)).count();
        let base = parts.get(..fixed).unwrap_or_default().join("/");
        let base = match (base.is_empty(), bare.starts_with('/')) {
            (true, true) => PathBuf::from("/"),
            (true, false) => PathBuf::from("."),
            (false, _) => PathBuf::from(base),
        };
        let endless = bare.contains("**") || bare.contains('{');
        let depth = (!endless).then(|| parts.len().saturating_sub(fixed));
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let itself = GlobSetBuilder::new().add(glob(bare)?).build()?;
        let under = GlobSetBuilder::new().add(glob(&format!("{bare}/**"))?).build()?;
        Ok(Some(Self { base, itself, under, depth }))
    }

    /// Whether a file is asked for: it fits, or lies in a folder that does.
    pub fn fits(&self, path: &Path) -> bool {
        self.itself.is_match(path) || self.under.is_match(path)
    }

    /// Whether something in a folder may fit.
    pub fn may_lead_on(&self, folder: &Path, depth: usize) -> bool {
        self.depth.is_none_or(|most| depth < most) || self.fits(folder)
    }
}

fn glob(text: &str) -> anyhow::Result<Glob> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| anyhow::anyhow!("`{text}` is no glob: {}", error.kind()))
}
