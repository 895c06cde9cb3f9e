//! One thing that differs between two versions of an artifact, as a class and in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a difference would mean if nobody had announced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Every new version has it: a fine-tune, a row appended, a description.
    Routine,
    /// Worth a look where nobody announced it: a layer replaced, a token added.
    Notable,
    /// The mark of an attack, which no ordinary training or export leaves.
    Hostile,
}

impl Grade {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routine => "routine",
            Self::Notable => "notable",
            Self::Hostile => "hostile",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What differs at one place of an artifact. Texts may come from an attacker: whoever shows them cleans them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// From the closed set that `docs/diff.md` explains, `family.class`: `weights.rank_one_edit`.
    pub class: String,
    pub grade: Grade,
    /// Tensor, node, key, row or cell concerned; empty for the artifact as a whole.
    pub place: String,
    /// A sentence for people, with the figures that led to the class.
    pub words: String,
    /// What was there, shortened, where a text says more than a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Difference {
    pub fn new(class: &str, grade: Grade, place: impl Into<String>, words: impl Into<String>) -> Self {
        Self { class: class.to_owned(), grade, place: place.into(), words: words.into(), before: None, after: None }
    }

    /// The same with what was there and what is there now.
    #[must_use]
    pub fn texts(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        self.before = Some(before.into());
        self.after = Some(after.into());
        self
    }
}
