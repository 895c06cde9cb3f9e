//! What correlations and filters call rules: by name, Sigma id or short id.

use std::collections::BTreeMap;

use crate::base::text;

use super::load::Entry;

/// All names of all rules of a load.
pub struct Names {
    /// Entries by what they are called; one unless a name is used twice.
    entries: BTreeMap<String, Vec<usize>>,
}

/// Why a name leads to no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub message: String,
    pub hint: Option<String>,
}

impl Names {
    pub(crate) fn new(all: &[Entry]) -> Self {
        let mut entries: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, entry) in all.iter().enumerate() {
            let rule = &entry.head.rule;
            let uuid = rule.uuid.as_deref().map(str::to_ascii_lowercase);
            for name in [rule.name.clone(), uuid, rule.short_id.clone()].into_iter().flatten() {
                let called = entries.entry(name).or_default();
                if !called.contains(&index) {
                    called.push(index);
                }
            }
        }
        Self { entries }
    }

    /// The number of the entry that is called so.
    pub fn find(&self, name: &str) -> Result<usize, Unknown> {
        let name = name.trim();
        let called = self.entries.get(name).or_else(|| self.entries.get(&name.to_ascii_lowercase()));
        match called.map(Vec::as_slice) {
            Some([index]) => Ok(*index),
            Some(_) => Err(Unknown {
                message: format!("several rules are called `{name}`"),
                hint: Some("name the one that is meant by its id".to_owned()),
            }),
            None => Err(Unknown {
                message: format!("there is no rule `{name}`"),
                hint: Some(match text::nearest(name, self.entries.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write the `name` or `id` of a rule that is loaded together with this one".to_owned(),
                }),
            }),
        }
    }
}
