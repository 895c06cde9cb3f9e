//! Secrets: they come from files or the environment, and never print.

use std::fmt;
use std::path::Path;

use super::files;

/// Secrets are short; a larger file is not one.
const BYTES_MAX: u64 = 64 << 10;

/// A text that neither `Debug` nor `Display` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; call it where the secret is used, never to print.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The secret in a file that a setting names; a sentence for whoever wrote the setting if it cannot be read.
pub fn from_file(setting: &str, path: Option<&Path>, problems: &mut Vec<String>) -> Option<Secret> {
    let path = path?;
    match files::read_text(path, BYTES_MAX) {
        Ok(text) => Some(Secret::new(text.trim())),
        Err(error) => {
            problems.push(format!("`{setting}` `{}` cannot be read: {error}", path.display()));
            None
        }
    }
}
