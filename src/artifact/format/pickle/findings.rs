//! What the streams of one pickle would do, collected before it is told.

use std::collections::{BTreeSet, HashMap};

use super::globals::Tier;
use super::tensors::Rebuilt;

/// Candidates for nested pickles that are kept.
const NESTED_MAX: usize = 64;
/// Texts kept in one list; the facts have a bound of their own.
const KEEP_MAX: usize = 1024;

/// A global that loading would import.
#[derive(Debug, Clone)]
pub struct Import {
    pub full: String,
    pub module: String,
    pub name: String,
    pub tier: Tier,
    pub called: bool,
    /// A dangerous one that is handed to a call, which may call it.
    pub handed: bool,
}

/// Bytes inside a pickle that may be a pickle themselves.
#[derive(Debug, Clone)]
pub enum Nested {
    /// Part of the file: start and length.
    Range(u64, u64),
    /// Decoded from a text or from other bytes.
    Decoded(Vec<u8>),
}

/// What the streams of one pickle would do.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each told on its own")]
pub struct Findings {
    pub imports: Vec<Import>,
    by_name: HashMap<String, u32>,
    pub anomalies: BTreeSet<&'static str>,
    pub arguments: Vec<String>,
    pub suspicious: Vec<String>,
    /// The same texts where an unlisted object gets them as its state.
    pub suspicious_state: Vec<String>,
    /// Functions and classes by value, and the sinks in their code.
    pub by_value: Vec<String>,
    /// Texts handed to cloudpickle's builders.
    pub by_value_arguments: Vec<String>,
    /// Code by value that is not as cloudpickle writes it, that would run, or that names a sink.
    pub by_value_astray: bool,
    pub loaders: Vec<String>,
    pub nested: Vec<Nested>,
    /// Bytes of `torch.storage._load_from_bytes`, where a pickle belongs.
    pub expected: Vec<Nested>,
    pub protocol: u8,
    pub streams: u64,
    pub broken: bool,
    pub broken_after_call: bool,
    /// Things that were not kept or not followed.
    pub cut: bool,
    /// An array of joblib lies in the stream.
    pub joblib: bool,
    /// Element size of each storage of a PyTorch file, by key.
    pub storages: HashMap<String, u64>,
    /// Tensors of a PyTorch file.
    pub tensors: Vec<Rebuilt>,
    /// Where and why streams broke.
    pub errors: Vec<String>,
}

impl Findings {
    /// Index of the import, made when it is new.
    pub fn import(&mut self, import: Import) -> Option<u32> {
        if let Some(index) = self.by_name.get(&import.full) {
            return Some(*index);
        }
        // A flood of harmless names must not hide a dangerous one.
        let max = if import.tier == Tier::Allowed { KEEP_MAX } else { KEEP_MAX * 2 };
        if self.imports.len() >= max {
            self.cut = true;
            let dangerous = import.tier == Tier::Dangerous && self.imports.len() < KEEP_MAX * 4;
            if !dangerous {
                return None;
            }
        }
        let index = u32::try_from(self.imports.len()).ok()?;
        self.by_name.insert(import.full.clone(), index);
        self.imports.push(import);
        Some(index)
    }

    pub fn get(&self, index: u32) -> Option<&Import> {
        self.imports.get(index as usize)
    }

    pub fn mark_called(&mut self, index: u32) {
        if let Some(import) = self.imports.get_mut(index as usize) {
            import.called = true;
        }
    }

    pub fn mark_handed(&mut self, index: u32) {
        if let Some(import) = self.imports.get_mut(index as usize) {
            import.handed = true;
        }
    }

    pub fn keep(list: &mut Vec<String>, item: String) {
        if list.len() < KEEP_MAX && !list.contains(&item) {
            list.push(item);
        }
    }

    pub fn nest(&mut self, nested: Nested, expected: bool) {
        let list = if expected { &mut self.expected } else { &mut self.nested };
        if list.len() < NESTED_MAX {
            list.push(nested);
        } else {
            self.cut = true;
        }
    }

    /// A call to something that is not vetted would be made.
    pub fn would_act(&self) -> bool {
        self.imports.iter().any(|import| match import.tier {
            Tier::Dangerous => import.called || import.handed,
            Tier::Unlisted => import.called,
            Tier::Allowed => false,
        })
    }

    pub fn any_dangerous(&self) -> bool {
        self.imports.iter().any(|import| import.tier == Tier::Dangerous)
    }

    pub fn fail(&mut self, position: u64, why: &str) {
        self.broken = true;
        self.broken_after_call |= self.would_act();
        if self.errors.len() < 8 {
            self.errors.push(format!("{why} at byte {position}"));
        }
    }

    /// Takes over what another run found.
    pub fn merge(&mut self, other: Findings) {
        for import in other.imports {
            let (called, handed) = (import.called, import.handed);
            if let Some(index) = self.import(import) {
                if called {
                    self.mark_called(index);
                }
                if handed {
                    self.mark_handed(index);
                }
            }
        }
        self.anomalies.extend(other.anomalies);
        for (mine, theirs) in [
            (&mut self.arguments, other.arguments),
            (&mut self.suspicious, other.suspicious),
            (&mut self.suspicious_state, other.suspicious_state),
            (&mut self.by_value, other.by_value),
            (&mut self.by_value_arguments, other.by_value_arguments),
            (&mut self.loaders, other.loaders),
            (&mut self.errors, other.errors),
        ] {
            for item in theirs {
                Self::keep(mine, item);
            }
        }
        other.nested.into_iter().for_each(|nested| self.nest(nested, false));
        other.expected.into_iter().for_each(|nested| self.nest(nested, true));
        self.protocol = self.protocol.max(other.protocol);
        self.streams = self.streams.saturating_add(other.streams);
        self.by_value_astray |= other.by_value_astray;
        self.broken |= other.broken;
        self.broken_after_call |= other.broken_after_call;
        self.cut |= other.cut;
        self.joblib |= other.joblib;
        self.storages.extend(other.storages);
        self.tensors.extend(other.tensors);
    }
}
