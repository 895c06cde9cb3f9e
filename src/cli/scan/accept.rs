//! Findings that somebody accepted: by a list with reasons, or by a baseline. They are counted and
//! told as suppressed.

use std::path::{Path, PathBuf};

use super::baseline::{Baseline, Making};
use super::look::{Inspected, Suppression};
use crate::agent::rules;
use crate::base::clock;
use crate::cli::Invalid;
use crate::detect::RuleSet;
use crate::detect::allow::{self, AllowList};

pub struct Accept {
    allow: AllowList,
    /// How often each entry was used.
    used: Vec<usize>,
    baseline: Option<(String, Baseline)>,
    making: Option<Making>,
}

impl Accept {
    pub fn new(allow: &[PathBuf], baseline: Option<&Path>, making: bool, set: &RuleSet) -> anyhow::Result<Self> {
        let sources: Vec<_> = allow.iter().map(|path| rules::source(path)).collect::<Result<_, _>>()?;
        let (allow, warnings) = allow::read(&sources, set, clock::now()).map_err(|found| {
            let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
            Invalid(shown.join("\n"))
        })?;
        crate::cli::rules::report(&warnings);
        let named = |path: &Path| Ok::<_, anyhow::Error>((path.display().to_string(), Baseline::read(path)?));
        Ok(Self {
            used: vec![0; allow.entries().len()],
            allow,
            baseline: baseline.map(named).transpose()?,
            making: making.then(Making::default),
        })
    }

    /// Sets aside what is accepted.
    pub fn apply(&mut self, inspected: &mut Inspected) {
        let Some(sha256) = inspected.sha256 else { return };
        for finding in std::mem::take(&mut inspected.findings) {
            let why = if let Some(number) = self.allow.fits(&finding.rule, &inspected.file, sha256) {
                if let Some(used) = self.used.get_mut(number) {
                    *used += 1;
                }
                self.allow.entries().get(number).map(|entry| Suppression {
                    kind: "allow",
                    reason: entry.reason.clone(),
                    by: entry.place(),
                    until: entry.until,
                })
            } else if let Some((path, baseline)) = &mut self.baseline {
                baseline.holds(inspected, &finding).then(|| Suppression {
                    kind: "baseline",
                    reason: "it was there when the baseline was written, in the same bytes".to_owned(),
                    by: path.clone(),
                    until: None,
                })
            } else if let Some(making) = &mut self.making {
                making.add(inspected, &finding);
                Some(Suppression {
                    kind: "baseline",
                    reason: "accepted by the baseline that is being written".to_owned(),
                    by: "--write-baseline".to_owned(),
                    until: None,
                })
            } else {
                None
            };
            match why {
                Some(why) => inspected.suppressed.push((finding, why)),
                None => inspected.findings.push(finding),
            }
        }
    }

    /// Writes the new baseline, and tells what nothing fitted.
    pub fn finish(self, write: Option<&Path>) -> anyhow::Result<()> {
        for (entry, used) in self.allow.entries().iter().zip(&self.used) {
            if *used == 0 {
                anstream::eprintln!("warning: {}: the entry fits nothing that was found", entry.place());
            }
        }
        if let Some((path, idle)) =
            self.baseline.map(|(path, baseline)| (path, baseline.idle())).filter(|one| one.1 > 0)
        {
            anstream::eprintln!(
                "note: {idle} of the findings in `{path}` are not there any more, or were not looked at"
            );
        }
        if let (Some(path), Some(making)) = (write, self.making) {
            let count = making.len();
            making.write(path)?;
            anstream::eprintln!("findings written to `{}`: {count}", path.display());
        }
        Ok(())
    }
}
