//! What was found, for people, and the sum of it.

use std::collections::BTreeMap;

use super::look::{Finding, Inspected, Status, Verdict};
use crate::alert::render::text::{clean, style};
use crate::base::text::shorten;
use crate::cli::say;
use crate::event::Severity;

/// Prints one file; those without anything to say only when all are asked for.
pub fn print(inspected: &Inspected, verbose: bool) -> anyhow::Result<()> {
    let path = clean(&inspected.path);
    let status = inspected.status();
    if let Some(skip) = &inspected.skipped {
        if verbose || !skip.wanted {
            say(&format!("{}  {path}  {}", status.as_str(), clean(&skip.reason)))?;
        }
        return Ok(());
    }
    if matches!(status, Status::Clean | Status::Suppressed) && !verbose {
        return Ok(());
    }
    let verdict = inspected.verdict();
    let colour = style(match verdict {
        Verdict::Malicious => Severity::High,
        Verdict::Suspicious | Verdict::Error => Severity::Medium,
        Verdict::Clean | Verdict::Skipped => Severity::Informational,
    });
    let word = if status == Status::Findings { verdict.as_str() } else { status.as_str() };
    say(&format!("{colour}{}{colour:#}  {path}  ({})", word.replace('_', " "), inspected.format))?;
    for finding in &inspected.findings {
        say(&format!("  {}", line(finding)))?;
        for (fact, value) in &finding.evidence {
            say(&format!("      {fact} = {}", clean(&shorten(&value.to_string(), 160))))?;
        }
    }
    for (finding, why) in &inspected.suppressed {
        say(&format!("  suppressed by {}: {}", clean(&why.by), line(finding)))?;
        say(&format!("      {}", clean(&why.reason)))?;
    }
    for issue in &inspected.issues {
        let member = if issue.member.is_empty() { String::new() } else { format!(" in {}", clean(&issue.member)) };
        say(&format!("  {}{member}: {} ({})", inspected.word(issue), clean(&issue.detail), issue.code))?;
    }
    Ok(())
}

fn line(finding: &Finding) -> String {
    let (colour, severity) = (style(finding.severity), finding.severity.as_str());
    let (rule, title) = (&finding.rule, clean(&finding.title));
    format!("{colour}{severity}{colour:#}  {rule}  {title}  {}", finding.atlas.join(" "))
}

/// All files counted.
#[derive(Default)]
pub struct Summary {
    files: usize,
    malicious: usize,
    suspicious: usize,
    by_status: BTreeMap<Status, usize>,
    suppressed: usize,
    /// Files with a finding that is severe enough.
    pub failing: usize,
    /// Files that could not be read.
    pub unreadable: usize,
    /// Files of which something could not be looked at, beside those.
    pub incomplete: usize,
}

impl Summary {
    pub fn count(&mut self, inspected: &Inspected, fail_on: Severity) {
        self.files += 1;
        *self.by_status.entry(inspected.status()).or_default() += 1;
        match inspected.verdict() {
            Verdict::Malicious => self.malicious += 1,
            Verdict::Suspicious => self.suspicious += 1,
            Verdict::Error | Verdict::Clean | Verdict::Skipped => {}
        }
        self.suppressed += inspected.suppressed.len();
        self.failing += usize::from(inspected.findings.iter().any(|finding| finding.severity >= fail_on));
        match &inspected.skipped {
            Some(skip) => self.incomplete += usize::from(!skip.wanted),
            None if inspected.unreadable() => self.unreadable += 1,
            None => self.incomplete += usize::from(!inspected.issues.is_empty()),
        }
    }

    pub fn print(&self) -> anyhow::Result<()> {
        let of = |status| self.by_status.get(&status).copied().unwrap_or(0);
        let Self { files, malicious, suspicious, suppressed, .. } = self;
        let plural = if *files == 1 { "" } else { "s" };
        let mut parts = vec![format!("{malicious} malicious"), format!("{suspicious} suspicious")];
        let rest = [
            (of(Status::Unreadable), "not readable"),
            (of(Status::Incomplete), "looked at in part"),
            (of(Status::NotUnderstood), "not understood"),
            (of(Status::Skipped), "skipped"),
        ];
        parts.extend(rest.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
        let informational = of(Status::Findings).saturating_sub(malicious + suspicious);
        let clean = of(Status::Clean) + of(Status::Suppressed) + informational;
        parts.push(format!("{clean} without findings"));
        let accepted = if *suppressed > 0 { format!("; findings suppressed: {suppressed}") } else { String::new() };
        say(&format!("{files} file{plural}: {}{accepted}", parts.join(", ")))
    }
}
