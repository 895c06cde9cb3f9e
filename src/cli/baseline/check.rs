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
use crate::sources::filesystem;
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
    /// Files by the last part of their path: those that can belong at a place have its name.
    by_name: HashMap<&'b str, Vec<(&'b Approval, &'b ApprovedFile)>>,
    approvals: Vec<&'b Approval>,
    artifacts: HashMap<Sha256, &'b Artifact>,
    format: Format,
    quiet: bool,
    /// Models and paths of approved files that are there, or in whose place something else lies.
    seen: HashSet<(&'b str, &'b str)>,
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
    let mut by_name: HashMap<&str, Vec<(&Approval, &ApprovedFile)>> = HashMap::new();
    for &approval in &approvals {
        for file in &approval.files {
            by_name.entry(standing::name(&file.path)).or_default().push((approval, file));
            // Bytes that two versions share are as good as the better of them.
            if by_digest.get(&file.sha256).is_none_or(|(known, _)| known.status > approval.status) {
                by_digest.insert(file.sha256, (approval, file));
            }
        }
    }
    let artifacts = baseline.artifacts.iter().map(|artifact| (artifact.sha256, artifact)).collect();
    let mut check = Check {
        by_digest,
        by_name,
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
    let told = |entry: &walkdir::DirEntry| entry.depth() == 0 || !filesystem::is_kept_aside(entry.path());
    for entry in walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(told) {
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
        let below = filesystem::escape(path.strip_prefix(root).unwrap_or(path));
        let below = if below.is_empty() { shown.clone() } else { below };
        let belonging = self.belonging(root, &below);
        let expected = Self::expected(&belonging);
        let should = expected.map(|(_, file)| file.sha256);
        match self.known(&belonging, &digest) {
            Some(known) if known.approval.status == Status::Approved && known.fits => {
                let same = belonging.iter().filter(|(_, file)| file.sha256 == digest);
                self.seen.extend(same.map(|(approval, file)| (approval.model.as_str(), file.path.as_str())));
                self.fine += 1;
                if self.quiet {
                    return Ok(());
                }
                self.print("approved", &shown, &digest, &known.words(), None, &[])
            }
            Some(known) => {
                self.wrong += 1;
                let exchanged = known.approval.status == Status::Approved;
                self.note(expected);
                let status = if exchanged { "exchanged" } else { known.approval.status.as_str() };
                self.print(status, &shown, &digest, &known.words(), should.filter(|_| exchanged).as_ref(), &[])
            }
            None => {
                self.wrong += 1;
                let differences = expected.map_or_else(Vec::new, |(_, file)| self.compare(path, &bytes, file));
                let words = expected.map_or_else(
                    || "nobody approved such a file".to_owned(),
                    |(approval, file)| format!("it should be {} {}, {}", approval.model, approval.version, file.path),
                );
                self.note(expected);
                self.print("differs", &shown, &digest, &words, should.as_ref(), &differences)
            }
        }
    }

    /// Something lies where this file should: it is not missing.
    fn note(&mut self, expected: Option<(&'b Approval, &'b ApprovedFile)>) {
        self.seen.extend(expected.map(|(approval, file)| (approval.model.as_str(), file.path.as_str())));
    }

    /// The files of every version that belong at a path: of the model whose name its folder has, or of all.
    fn belonging(&self, root: &Path, below: &str) -> Vec<(&'b Approval, &'b ApprovedFile)> {
        let named = self.by_name.get(standing::name(below)).map(Vec::as_slice).unwrap_or_default();
        let mut found: Vec<(&Approval, &ApprovedFile)> = Vec::new();
        for files in named.chunk_by(|(first, _), (second, _)| std::ptr::eq(*first, *second)) {
            let Some((approval, _)) = files.first() else { continue };
            found.extend(
                standing::belonging(files.iter().map(|(_, file)| *file), below)
                    .into_iter()
                    .map(|file| (*approval, file)),
            );
        }
        let model = found.first().map(|(approval, _)| &approval.model);
        if found.iter().all(|(approval, _)| Some(&approval.model) == model) {
            return found;
        }
        let place = root.join(below);
        let place = place.to_string_lossy();
        let folder = |model: &str, path: &str| {
            let folder = place.strip_suffix(path).and_then(|folder| folder.strip_suffix('/'));
            folder.is_some_and(|folder| standing::name(folder) == model)
        };
        if found.iter().any(|(approval, file)| folder(&approval.model, &file.path)) {
            found.retain(|(approval, file)| folder(&approval.model, &file.path));
        }
        found
    }

    /// The best that the baseline says of bytes at a path: as the file that belongs there, else as another one, which
    /// fits only where no approved file belongs.
    fn known(&self, belonging: &[(&'b Approval, &'b ApprovedFile)], digest: &Sha256) -> Option<Known<'b>> {
        let here = belonging.iter().filter(|(_, file)| file.sha256 == *digest);
        let here = here.map(|(approval, file)| Known { approval, file, fits: true });
        here.min_by_key(|known| known.approval.status).or_else(|| {
            let (approval, file) = self.by_digest.get(digest)?;
            Some(Known { approval, file, fits: Self::expected(belonging).is_none() })
        })
    }

    /// The approved file that should lie at a path.
    fn expected(belonging: &[(&'b Approval, &'b ApprovedFile)]) -> Option<(&'b Approval, &'b ApprovedFile)> {
        belonging.iter().copied().find(|(approval, _)| approval.status == Status::Approved)
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
        let lies = |approval: &Approval, file: &ApprovedFile| {
            self.seen.contains(&(approval.model.as_str(), file.path.as_str()))
        };
        // Bytes that several models have do not say that each of them is there.
        let shared = |approval: &Approval, file: &ApprovedFile| {
            let alike = self.by_name.get(standing::name(&file.path)).into_iter().flatten();
            alike.into_iter().any(|(other, twin)| other.model != approval.model && twin.sha256 == file.sha256)
        };
        let there = self.approvals.iter().copied().filter(|approval| {
            named || approval.files.iter().any(|file| lies(approval, file) && !shared(approval, file))
        });
        let gone = standing::missing(there, named, lies);
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
