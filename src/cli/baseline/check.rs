//! Files of a node, held against a baseline.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::json;

use super::super::{CLEAN, FOUND, Format, UNSEEN, say};
use crate::alert::render::text::clean;
use crate::artifact::{self, FileBytes, Limits, Version, portrait};
use crate::event::{Difference, Portrait, Sha256};
use crate::state::baseline::{Artifact, Baseline};
use crate::state::{Approval, ApprovedFile, Status, standing};

/// What a baseline says of bytes at a place.
struct Known<'b> {
    approval: &'b Approval,
    file: &'b ApprovedFile,
    /// They belong there.
    fits: bool,
}

impl Known<'_> {
    fn words(&self) -> String {
        format!("{} {}, {}", self.approval.model, self.approval.version, self.file.path)
    }
}

struct Check<'b> {
    /// The best that is said of bytes, wherever they lie.
    by_digest: HashMap<Sha256, (&'b Approval, &'b ApprovedFile)>,
    approvals: Vec<&'b Approval>,
    artifacts: HashMap<Sha256, &'b Artifact>,
    format: Format,
    quiet: bool,
    /// Approved digests that are there, and those in whose place something else lies.
    seen: HashSet<Sha256>,
    wrong: u64,
    missing: u64,
    unread: u64,
    fine: u64,
}

pub fn run(
    root: &Path,
    baseline: &Baseline,
    model: Option<&str>,
    quiet: bool,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let approvals: Vec<&Approval> =
        baseline.approvals.iter().filter(|approval| model.is_none_or(|model| approval.model == model)).collect();
    if approvals.is_empty() {
        bail!("the baseline says nothing of `{}`", clean(model.unwrap_or("any model")));
    }
    let mut by_digest: HashMap<Sha256, (&Approval, &ApprovedFile)> = HashMap::new();
    for &approval in &approvals {
        for file in &approval.files {
            // Bytes that two versions share are as good as the better of them.
            if by_digest.get(&file.sha256).is_none_or(|(known, _)| known.status > approval.status) {
                by_digest.insert(file.sha256, (approval, file));
            }
        }
    }
    let artifacts = baseline.artifacts.iter().map(|artifact| (artifact.sha256, artifact)).collect();
    let mut check = Check {
        by_digest,
        approvals,
        artifacts,
        format,
        quiet,
        seen: HashSet::new(),
        wrong: 0,
        missing: 0,
        unread: 0,
        fine: 0,
    };
    for entry in walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => check.file(root, entry.path())?,
            Err(error) => check.unreadable(&error.to_string())?,
        }
    }
    check.missing(model.is_some())?;
    check.end()
}

impl<'b> Check<'b> {
    fn file(&mut self, root: &Path, path: &Path) -> anyhow::Result<()> {
        let read = FileBytes::open(path).and_then(|bytes| Ok((artifact::digest_of(&bytes, &|| false)?, bytes)));
        let (digest, bytes) = match read {
            Ok((Some(digest), bytes)) => (digest, bytes),
            Ok((None, _)) => return Ok(()),
            Err(error) => return self.unreadable(&format!("`{}`: {error}", path.display())),
        };
        let shown = path.display().to_string();
        let below = path.strip_prefix(root).unwrap_or(path).display().to_string();
        let below = if below.is_empty() { shown.clone() } else { below };
        let known = self.known(&below, &digest);
        match known {
            Some(known) if known.approval.status == Status::Approved && known.fits => {
                self.seen.insert(digest);
                self.fine += 1;
                if self.quiet {
                    return Ok(());
                }
                self.print("approved", &shown, &digest, &known.words(), None, &[])
            }
            Some(known) => {
                self.wrong += 1;
                let exchanged = known.approval.status == Status::Approved;
                let should = self.expected(&below).map(|(_, file)| file.sha256).filter(|_| exchanged);
                self.seen.extend(should);
                let status = if exchanged { "exchanged" } else { known.approval.status.as_str() };
                self.print(status, &shown, &digest, &known.words(), should.as_ref(), &[])
            }
            None => {
                self.wrong += 1;
                let expected = self.expected(&below);
                let differences = expected.map_or_else(Vec::new, |(_, file)| self.compare(path, &bytes, file));
                let words = expected.map_or_else(
                    || "nobody approved such a file".to_owned(),
                    |(approval, file)| format!("it should be {} {}, {}", approval.model, approval.version, file.path),
                );
                let should = expected.map(|(_, file)| file.sha256);
                self.seen.extend(should);
                self.print("differs", &shown, &digest, &words, should.as_ref(), &differences)
            }
        }
    }

    /// The best that the baseline says of bytes at a path: as the file that belongs there, else as another one, which
    /// fits only where no approved file belongs.
    fn known(&self, below: &str, digest: &Sha256) -> Option<Known<'b>> {
        let here = self.approvals.iter().filter_map(|&approval| {
            let file = standing::belonging(&approval.files, below).into_iter().find(|file| file.sha256 == *digest)?;
            Some(Known { approval, file, fits: true })
        });
        here.min_by_key(|known| known.approval.status).or_else(|| {
            let (approval, file) = self.by_digest.get(digest)?;
            Some(Known { approval, file, fits: self.expected(below).is_none() })
        })
    }

    /// The approved file that should lie at a path.
    fn expected(&self, below: &str) -> Option<(&'b Approval, &'b ApprovedFile)> {
        let approved = self.approvals.iter().filter(|approval| approval.status == Status::Approved);
        let mut fitting = approved.filter_map(|&approval| {
            let file = *standing::belonging(&approval.files, below).first()?;
            Some((approval, file))
        });
        fitting.next()
    }

    /// What differs from the approved file, as far as what was kept of it tells.
    fn compare(&self, path: &Path, bytes: &FileBytes, file: &ApprovedFile) -> Vec<Difference> {
        let Some(approved) = self.artifacts.get(&file.sha256) else { return Vec::new() };
        let limits = Limits::default();
        let name = path.display().to_string();
        let Ok((hashed, report)) = artifact::look(bytes, &name, None, &limits) else { return Vec::new() };
        let now = portrait::take(bytes, &name, &hashed, &report, &limits);
        // Sketches are made with the secret of another node: tensors are compared by their digests, below.
        let before = Portrait { outline: approved.outline.clone(), measured: None };
        let mut found = portrait::differences(&before, &now, Some(bytes), &limits);
        let delta = artifact::diff(
            &Version {
                hash: approved.sha256,
                format: approved.report.format.clone(),
                facts: approved.report.facts.clone(),
                segments: approved.segments.clone(),
            },
            &Version::of(&hashed, &report),
        );
        let told = delta.tensors.changed.iter().map(|tensor| {
            Difference::new("weights.changed", crate::event::Grade::Notable, tensor, "the bytes of this tensor differ")
        });
        found.extend(told);
        found
    }

    /// Tells of approved files that are not there: of each model the version that is there for the most part.
    fn missing(&mut self, named: bool) -> anyhow::Result<()> {
        let lies = |_: &Approval, file: &ApprovedFile| self.seen.contains(&file.sha256);
        let gone = standing::missing(self.approvals.iter().copied(), named, lies);
        for (approval, file) in gone {
            self.missing += 1;
            let words = format!("{} {} has it, and it is not there", approval.model, approval.version);
            self.print("missing", &file.path, &file.sha256, &words, Some(&file.sha256), &[])?;
        }
        Ok(())
    }

    fn unreadable(&mut self, why: &str) -> anyhow::Result<()> {
        self.unread += 1;
        match self.format {
            Format::Json => say(&json!({ "status": "unreadable", "reason": why }).to_string()),
            Format::Text => say(&clean(&format!("unreadable  {why}"))),
        }
    }

    fn print(
        &self,
        status: &str,
        path: &str,
        digest: &Sha256,
        words: &str,
        expected: Option<&Sha256>,
        differences: &[Difference],
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Json => say(&json!({
                "status": status, "path": path, "sha256": digest, "expected_sha256": expected, "reason": words,
                "differences": differences,
            })
            .to_string()),
            Format::Text => {
                say(&clean(&format!("{status:<10} {path}  ({words})")))?;
                for Difference { class, place, words, .. } in differences {
                    say(&clean(&format!("           {class}  {place}  {words}")))?;
                }
                Ok(())
            }
        }
    }

    fn end(&self) -> anyhow::Result<ExitCode> {
        let Self { fine, wrong, missing, unread, .. } = self;
        if self.format == Format::Text {
            say(&format!(
                "{fine} files are as approved, {wrong} are not, {missing} are missing, {unread} could not be read"
            ))?;
        }
        Ok(ExitCode::from(match (wrong.saturating_add(*missing), unread) {
            (0, 0) => CLEAN,
            (0, _) => UNSEEN,
            (_, _) => FOUND,
        }))
    }
}
