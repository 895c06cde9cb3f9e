//! What goes into a bill: files read now, or as the agent remembers them.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::{File, Measured};
use crate::artifact::{self, FileBytes, Limits};
use crate::event::Value;
use crate::state::{Placed, State};

/// Reads every file of a model.
pub fn paths(roots: &[PathBuf], version: Option<&str>) -> anyhow::Result<Measured> {
    let name = roots.first().and_then(|root| std::path::absolute(root).ok()).and_then(|root| {
        let name = if root.is_file() { root.file_stem() } else { root.file_name() };
        name.map(|name| name.to_string_lossy().into_owned())
    });
    let mut measured = Measured {
        name: name.unwrap_or_else(|| "model".to_owned()),
        version: version.map(str::to_owned),
        files: Vec::new(),
        unread: Vec::new(),
    };
    for root in roots {
        if !root.exists() {
            bail!("`{}` does not exist", root.display());
        }
        for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => read(root, entry.path(), &mut measured),
                Err(error) => measured.unread.push(error.to_string()),
            }
        }
    }
    if measured.files.is_empty() && measured.unread.is_empty() {
        bail!("there is no file to write a bill of");
    }
    measured.files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(measured)
}

fn read(root: &Path, path: &Path, measured: &mut Measured) {
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    let inside = below.unwrap_or_else(|| path.file_name().map_or(path, Path::new)).to_string_lossy().into_owned();
    match look(path) {
        Ok((hashed, report)) => measured.files.push(File {
            path: inside,
            sha256: hashed.sha256,
            size: hashed.size,
            report,
            segments: hashed.segments,
            places: vec![path.display().to_string()],
            approvals: Vec::new(),
        }),
        Err(error) => measured.unread.push(format!("`{}`: {error}", path.display())),
    }
}

fn look(path: &Path) -> std::io::Result<(artifact::Hashed, artifact::Report)> {
    artifact::look(&FileBytes::open(path)?, &path.display().to_string(), None, &Limits::default())
}

/// The files of a registered version, or those that are served for a model, with every place that holds them.
pub fn remembered(state: &State, model: &str, version: Option<&str>) -> anyhow::Result<Measured> {
    let named = |placed: &Placed| placed.attributes.get("ml.model.name").and_then(Value::as_text) == Some(model);
    let mut records: Vec<Placed> = state.version_files(model, version)?.into_iter().filter(named).collect();
    let mut versions: Vec<String> = records.iter().filter_map(|record| record.version.clone()).collect();
    versions.sort();
    versions.dedup();
    if versions.len() > 1 {
        bail!("`{model}` has several versions, {}; name one with `--model-version`", versions.join(", "));
    }
    if records.is_empty() && version.is_none() {
        records = state.served(Some(model), None, usize::MAX)?;
    }
    if records.is_empty() {
        bail!("the inventory holds no bytes of `{model}`; has the agent seen it?");
    }
    let mut measured =
        Measured { name: model.to_owned(), version: versions.pop(), files: Vec::new(), unread: Vec::new() };
    for record in records {
        let path = record.lineage.as_deref().and_then(|lineage| lineage.strip_prefix(model)?.strip_prefix('/'));
        let path = path.unwrap_or(&record.key).to_owned();
        let blob = record.digest.map(|digest| state.blob(&digest)).transpose()?.flatten();
        let Some(blob) = blob else {
            measured.unread.push(format!("`{path}`: its bytes were not looked into"));
            continue;
        };
        let places = state.places(&blob.sha256, 1000)?;
        let standings = state.standings(&blob.sha256, None)?;
        measured.files.push(File {
            path,
            sha256: blob.sha256,
            size: blob.size,
            report: blob.report,
            segments: blob.segments,
            places: places.iter().map(|place| format!("{}:{}", place.source, place.key)).collect(),
            approvals: standings
                .iter()
                .map(|standing| format!("{} as {} {}", standing.status.as_str(), standing.model, standing.version))
                .collect(),
        });
    }
    Ok(measured)
}
