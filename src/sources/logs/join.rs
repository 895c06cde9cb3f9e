//! Joins the pieces of long lines, each stream for itself: another stream may speak in between.

use serde::{Deserialize, Serialize};

/// A line that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    pub stream: String,
    pub text: String,
    pub shortened: bool,
}

/// Lines begun, at most one for each stream.
#[derive(Debug, Default)]
pub struct Join {
    partials: Vec<Partial>,
}

impl Join {
    pub const fn resume(partials: Vec<Partial>) -> Self {
        Self { partials }
    }

    /// What is begun, to be committed with the position.
    pub fn partials(&self) -> &[Partial] {
        &self.partials
    }

    /// Adds a piece; gives the whole line, and whether it was cut, when it is complete.
    pub fn add(&mut self, stream: &str, text: &str, partial: bool, bytes_max: usize) -> Option<(String, bool)> {
        let begun = self.partials.iter().position(|begun| begun.stream == stream);
        if begun.is_none() && !partial {
            return Some((text.to_owned(), false));
        }
        let index = begun.unwrap_or_else(|| {
            self.partials.push(Partial { stream: stream.to_owned(), text: String::new(), shortened: false });
            self.partials.len() - 1
        });
        let line = self.partials.get_mut(index)?;
        let room = bytes_max.saturating_sub(line.text.len());
        let cut = text.floor_char_boundary(room);
        line.shortened |= cut < text.len();
        line.text.push_str(text.get(..cut).unwrap_or_default());
        if partial {
            return None;
        }
        let line = self.partials.swap_remove(index);
        Some((line.text, line.shortened))
    }

    /// The rest will not come any more.
    pub fn take_all(&mut self) -> Vec<Partial> {
        std::mem::take(&mut self.partials)
    }
}
