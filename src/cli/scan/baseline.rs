//! A baseline: findings that were there when somebody began to scan.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::look::{Finding, Inspected};
use crate::base::files;
use crate::cli::Invalid;
use crate::event::Sha256;

/// Bytes of a baseline.
const BYTES_MAX: u64 = 256 << 20;
const VERSION: u32 = 1;

/// The file as written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    findings: BTreeSet<Known>,
}

/// One finding. The digest is part of it: in other bytes it is another finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    path: String,
    rule: String,
    sha256: Sha256,
}

impl Known {
    fn of(inspected: &Inspected, finding: &Finding) -> Option<Self> {
        let (path, rule) = (inspected.path.clone(), finding.rule.clone());
        Some(Self { path, rule, sha256: inspected.sha256? })
    }
}

/// A baseline in force.
pub struct Baseline {
    known: HashSet<Known>,
    met: HashSet<Known>,
}

impl Baseline {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = files::read_text(path, BYTES_MAX).with_context(|| format!("`{}` cannot be read", path.display()))?;
        let written: Written = serde_json::from_str(&text)
            .map_err(|error| Invalid(format!("`{}` is no baseline: {error}", path.display())))?;
        if written.version != VERSION {
            let version = written.version;
            anyhow::bail!(Invalid(format!("`{}` is a baseline of version {version}, not {VERSION}", path.display())));
        }
        Ok(Self { known: written.findings.into_iter().collect(), met: HashSet::new() })
    }

    /// Whether the finding was there before.
    pub fn holds(&mut self, inspected: &Inspected, finding: &Finding) -> bool {
        let Some(known) = Known::of(inspected, finding).filter(|known| self.known.contains(known)) else {
            return false;
        };
        self.met.insert(known);
        true
    }

    /// Entries that were not met.
    pub fn idle(&self) -> usize {
        self.known.len() - self.met.len()
    }
}

/// A baseline in the making.
#[derive(Default)]
pub struct Making(BTreeSet<Known>);

impl Making {
    pub fn add(&mut self, inspected: &Inspected, finding: &Finding) {
        self.0.extend(Known::of(inspected, finding));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Sorted, a line for each value, so that changes of it can be read.
    pub fn write(self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(&Written { version: VERSION, findings: self.0 })?;
        text.push('\n');
        files::replace(path, text.as_bytes()).with_context(|| format!("`{}` cannot be written", path.display()))
    }
}
