//! What differs between two artifacts of the inventory, from what was kept of them.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::json;

use super::super::{CLEAN, FOUND, Format, say};
use crate::alert::render::text::clean;
use crate::artifact::{self, Limits, Version, portrait};
use crate::event::{Difference, Portrait, Sha256, value};
use crate::state::{Blob, State};

pub fn run(state: &State, old: &str, new: &str, format: Format) -> anyhow::Result<ExitCode> {
    let (old, new) = (find(state, old)?, find(state, new)?);
    if old.sha256 == new.sha256 {
        if format == Format::Text {
            say("the same bytes")?;
        }
        return Ok(ExitCode::from(CLEAN));
    }
    let delta = artifact::diff(&version(&old), &version(&new));
    // What was told when the bytes were here says more than what can be said without them.
    let differences = match state.edge(&old.sha256, &new.sha256)? {
        Some(differences) => differences,
        None => portrait::differences(&kept(state, &old)?, &kept(state, &new)?, None, &Limits::default()),
    };
    match format {
        Format::Json => say(&json!({
            "old": { "sha256": old.sha256, "size": old.size, "format": old.report.format },
            "new": { "sha256": new.sha256, "size": new.size, "format": new.report.format },
            "differences": differences,
            "facts": value::to_json(&delta.fields()),
        })
        .to_string())?,
        Format::Text => {
            say(&format!("sha256:{} → sha256:{}", old.sha256.short(), new.sha256.short()))?;
            for Difference { class, grade, place, words, .. } in &differences {
                say(&clean(&format!("{:<8} {class:<28} {place}  {words}", grade.as_str())))?;
            }
            for (path, value) in delta.fields().iter().filter(|(path, _)| path.starts_with("artifact.diff.")) {
                let json = serde_json::Value::from(value).to_string();
                say(&clean(&format!("         {path} = {}", crate::base::text::shorten(&json, 300))))?;
            }
        }
    }
    Ok(ExitCode::from(FOUND))
}

fn version(blob: &Blob) -> Version {
    Version {
        hash: blob.sha256,
        format: blob.report.format.clone(),
        facts: blob.report.facts.clone(),
        segments: blob.segments.clone(),
    }
}

fn kept(state: &State, blob: &Blob) -> anyhow::Result<Portrait> {
    Ok(state.portrait(&blob.sha256)?.unwrap_or_default())
}

/// The one artifact that a text names: by its whole digest, else by what holds the text now or held it once.
fn find(state: &State, text: &str) -> anyhow::Result<Blob> {
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let mut digests: Vec<Sha256> = bare.parse().into_iter().collect();
    if digests.is_empty() {
        digests.extend(state.find(bare, 1000)?.iter().filter_map(|placed| placed.digest));
    }
    if digests.is_empty() {
        digests.extend(state.history(bare, 1000)?.iter().filter_map(|step| step.digest));
    }
    digests.sort();
    digests.dedup();
    let [digest] = digests.as_slice() else {
        if digests.is_empty() {
            bail!("nothing in the inventory is named `{}`", clean(text));
        }
        bail!("`{}` names {} different artifacts; write more of the path, or a digest", clean(text), digests.len());
    };
    let Some(blob) = state.blob(digest)? else {
        bail!("sha256:{digest} was never looked into by this version of the program");
    };
    Ok(blob)
}
