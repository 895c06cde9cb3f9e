//! `lanner diff`: what differs between two artifacts or two directories of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{CLEAN, FOUND, Format, say};
use crate::alert::render::text::clean;
use crate::artifact::{self, Delta, FileBytes, Hashed, Limits, Report, Version};
use crate::event::value;

#[derive(clap::Args)]
pub struct Args {
    /// File or directory before.
    old: PathBuf,
    /// File or directory after.
    new: PathBuf,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (old, new) = (files(&args.old)?, files(&args.new)?);
    let mut different = false;
    let names: std::collections::BTreeSet<&PathBuf> = old.keys().chain(new.keys()).collect();
    for name in names {
        let difference = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => compare(old, new)?,
            (Some(_), None) => Some(Difference::Removed),
            (None, Some(_)) => Some(Difference::Added),
            (None, None) => None,
        };
        if let Some(difference) = difference {
            different = true;
            let shown = if name.as_os_str().is_empty() { args.new.display() } else { name.display() };
            print(&shown.to_string(), &difference, args.format)?;
        }
    }
    if !different && args.format == Format::Text {
        say("no difference")?;
    }
    Ok(ExitCode::from(if different { FOUND } else { CLEAN }))
}

enum Difference {
    Added,
    Removed,
    Changed { old: Box<Hashed>, new: Box<Hashed>, formats: [String; 2], delta: Box<Delta> },
}

/// Files by their path below the root; a single file has an empty one.
fn files(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, PathBuf>> {
    if !root.exists() {
        bail!("`{}` does not exist", root.display());
    }
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry?;
        if entry.file_type().is_file() || entry.depth() == 0 && !root.is_dir() {
            let below = entry.path().strip_prefix(root)?.to_owned();
            files.insert(below, entry.into_path());
        }
    }
    Ok(files)
}

fn compare(old: &Path, new: &Path) -> anyhow::Result<Option<Difference>> {
    let (old, old_report) = look(old)?;
    let (new, new_report) = look(new)?;
    if old.sha256 == new.sha256 {
        return Ok(None);
    }
    let delta = artifact::diff(&version(&old, &old_report), &version(&new, &new_report));
    let formats = [old_report.format.clone(), new_report.format.clone()];
    Ok(Some(Difference::Changed { old: Box::new(old), new: Box::new(new), formats, delta: Box::new(delta) }))
}

fn look(path: &Path) -> anyhow::Result<(Hashed, Report)> {
    let failed = || format!("failed to read `{}`", path.display());
    let bytes = FileBytes::open(path).with_context(failed)?;
    let limits = Limits::default();
    let segments = artifact::segments(&bytes, &limits);
    let hashed = artifact::hash(&bytes, segments, &|| false).with_context(failed)?.with_context(failed)?;
    let report = artifact::inspect_with(&bytes, &path.display().to_string(), &limits, &hashed.found);
    Ok((hashed, report))
}

fn version(hashed: &Hashed, report: &Report) -> Version {
    Version {
        hash: hashed.sha256,
        format: report.format.clone(),
        facts: report.facts.clone(),
        segments: hashed.segments.clone(),
    }
}

fn print(name: &str, difference: &Difference, format: Format) -> anyhow::Result<()> {
    match (difference, format) {
        (Difference::Added | Difference::Removed, _) => {
            let (word, sign) = if matches!(difference, Difference::Added) { ("added", '+') } else { ("removed", '-') };
            match format {
                Format::Json => say(&json!({ "path": name, "change": word }).to_string()),
                Format::Text => say(&format!("{sign} {}", clean(name))),
            }
        }
        (Difference::Changed { old, new, formats, delta }, Format::Json) => say(&json!({
            "path": name,
            "change": "changed",
            "old": { "sha256": old.sha256, "size": old.size, "format": formats[0] },
            "new": { "sha256": new.sha256, "size": new.size, "format": formats[1] },
            "facts": value::to_json(&delta.fields()),
        })
        .to_string()),
        (Difference::Changed { old, new, formats, delta }, Format::Text) => {
            say(&format!("~ {}", clean(name)))?;
            say(&format!("    sha256  {} → {}", old.sha256.short(), new.sha256.short()))?;
            say(&format!("    size    {} → {}", old.size, new.size))?;
            if formats[0] != formats[1] {
                say(&format!("    format  {} → {}", formats[0], formats[1]))?;
            }
            for (path, value) in delta.fields() {
                let hidden = ["artifact.previous_hash", "artifact.previous_format", "artifact.diff.changed"];
                if !hidden.contains(&path.as_str()) {
                    let json = Value::from(&value).to_string();
                    say(&format!("    {path} = {}", clean(&crate::base::text::shorten(&json, 300))))?;
                }
            }
            Ok(())
        }
    }
}
