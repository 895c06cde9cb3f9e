//! Addresses of repositories, as the hub's own file system writes them:
//! `hf://[datasets/|spaces/]organisation/name[@revision][/path]`.

use percent_encoding::percent_decode_str;

/// What the hub keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Model,
    Dataset,
    Space,
}

impl Kind {
    /// The kind that a name begins with, a model if none, and the rest.
    pub fn split(name: &str) -> (Self, &str) {
        [("datasets/", Self::Dataset), ("spaces/", Self::Space), ("models/", Self::Model)]
            .into_iter()
            .find_map(|(prefix, kind)| Some((kind, name.strip_prefix(prefix)?)))
            .unwrap_or((Self::Model, name))
    }

    /// What names of this kind begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
            Self::Space => "spaces/",
        }
    }
}

/// A repository, a revision of it, and the part that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub kind: Kind,
    /// `organisation/name`, or one word for what the hub itself keeps.
    pub id: String,
    /// Branch, tag, commit or reference; `main` when none is written.
    pub revision: String,
    /// A file or folder; empty for all.
    pub path: String,
    /// The repository as it was written, before any path.
    written: String,
}

/// References of the hub that have slashes of their own.
const REFERENCES: [&str; 2] = ["refs/pr/", "refs/convert/"];

impl Address {
    /// Reads `hf://[datasets/|spaces/]organisation/name[@revision][/path]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address of a repository; write hf://organisation/name@revision/path");
        let rest = text.strip_prefix("hf://").ok_or_else(wrong)?.trim_end_matches('/');
        let (kind, rest) = Kind::split(rest);
        let (id, revision, path) = if let Some((id, rest)) = rest.split_once('@') {
            let (revision, path) = revision(rest);
            (id.to_owned(), revision, path)
        } else {
            let mut parts = rest.splitn(3, '/');
            let name: Vec<&str> = parts.by_ref().take(2).collect();
            (name.join("/"), "main".to_owned(), parts.next().unwrap_or_default().to_owned())
        };
        let named = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let parts = id.split('/').count();
        if parts > 2 || !id.split('/').all(named) || revision.is_empty() {
            return Err(wrong());
        }
        if !path.is_empty() && !crate::sources::remote::is_plain(&path) {
            return Err(format!("`{path}` is no path in a repository"));
        }
        let written = if path.is_empty() { rest } else { rest.strip_suffix(&path).unwrap_or(rest) };
        let prefix = text.split_once(rest).map_or("hf://", |(prefix, _)| prefix);
        let written = format!("{prefix}{}", written.trim_end_matches('/'));
        Ok(Self { kind, id, revision, path, written })
    }

    /// Whether a file is meant.
    pub fn covers(&self, file: &str) -> bool {
        self.path.is_empty()
            || file.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The address of one file.
    pub fn of_file(&self, file: &str) -> String {
        format!("{}/{file}", self.written)
    }
}

/// The revision, and the path behind it.
fn revision(text: &str) -> (String, String) {
    for reference in REFERENCES {
        if let Some(rest) = text.strip_prefix(reference) {
            let (number, path) = rest.split_once('/').unwrap_or((rest, ""));
            return (format!("{reference}{number}"), path.to_owned());
        }
    }
    let (revision, path) = text.split_once('/').unwrap_or((text, ""));
    (percent_decode_str(revision).decode_utf8_lossy().into_owned(), path.to_owned())
}
