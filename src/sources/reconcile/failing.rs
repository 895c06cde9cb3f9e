//! What fails at the moment, and whether a person must act.

use std::collections::BTreeMap;

use crate::base::http::Failure;

/// Whether a person must act.
pub const fn denied(failure: &Failure) -> bool {
    matches!(failure, Failure::Denied { .. } | Failure::Gone | Failure::Rejected { .. })
}

/// What fails at the moment, by what was tried: a reason from a closed set, and a sentence with a remedy.
#[derive(Debug, Default)]
pub struct Failing(BTreeMap<&'static str, (&'static str, String)>);

impl Failing {
    pub fn worked(&mut self, what: &'static str) {
        self.0.remove(what);
    }

    /// A complete look worked: whatever failed before is mended, or found by it.
    pub fn all_worked(&mut self) {
        self.0.clear();
    }

    pub fn failed(&mut self, what: &'static str, why: (&'static str, String)) {
        self.0.insert(what, why);
    }

    pub fn blindness(&self) -> BTreeMap<String, String> {
        self.0.values().map(|(reason, sentence)| ((*reason).to_owned(), sentence.clone())).collect()
    }
}
