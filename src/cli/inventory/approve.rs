//! Decisions: a version of a model may be served, or may not any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::super::{CLEAN, Format, say};
use crate::alert::render::text::clean;
use crate::artifact::{self, FileBytes};
use crate::base::clock;
use crate::event::{Sha256, Value};
use crate::sources::filesystem;
use crate::state::{Approval, ApprovedFile, Origin, Placed, State, Status, approval};

#[derive(clap::Args)]
pub struct Args {
    /// Name of the model.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    model: String,
    /// Its version; may be left out where the registry holds only one, or with `--from`.
    #[arg(long = "model-version", value_name = "VERSION")]
    version: Option<String>,
    /// Approve the bytes of this file or directory, read now, instead of those of the registered version.
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// Leave other approved versions of the model in force: for canaries and roll-outs.
    #[arg(long)]
    beside: bool,
    /// Say that the version must not be served any more.
    #[arg(long, conflicts_with = "beside")]
    revoke: bool,
    /// Who decides; the user of this shell, if it is left out.
    #[arg(long, value_name = "WHO", env = "LANNER_APPROVER")]
    by: Option<String>,
    /// Why, for whoever reads this next: a review, a ticket.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub fn run(state: &State, args: &Args, format: Format) -> anyhow::Result<ExitCode> {
    let (version, files) = match (&args.from, args.revoke) {
        (Some(path), _) => (args.version.clone().unwrap_or_default(), read(path)?),
        (None, true) => known(state, args)?,
        (None, false) => registered(state, args)?,
    };
    let approver = args.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown".to_owned());
    let approval = Approval {
        model: args.model.clone(),
        version,
        root: approval::root(&files),
        status: if args.revoke { Status::Revoked } else { Status::Approved },
        origin: Origin::Person,
        approver,
        reason: args.reason.clone(),
        time: clock::now(),
        files,
    };
    state.approve(&approval, args.beside)?;
    print(&approval, format)?;
    Ok(ExitCode::from(CLEAN))
}

pub fn list(state: &State, model: Option<&str>, format: Format) -> anyhow::Result<usize> {
    let approvals = state.approvals(model)?;
    for approval in &approvals {
        print(approval, format)?;
    }
    Ok(approvals.len())
}

fn print(approval: &Approval, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => say(&serde_json::to_string(approval)?),
        Format::Text => {
            let Approval { model, version, root, status, approver, reason, time, files, .. } = approval;
            let at = if version.is_empty() { String::new() } else { format!(" version {version}") };
            let s = if files.len() == 1 { "" } else { "s" };
            let (status, count) = (status.as_str(), files.len());
            say(&clean(&format!(
                "{status:<10} {model}{at}  {count} file{s}, root sha256:{}  {time:.0} by {approver}: {reason}",
                root.short()
            )))
        }
    }
}

/// The files of a registered version, as the agent has seen them.
fn registered(state: &State, args: &Args) -> anyhow::Result<(String, Vec<ApprovedFile>)> {
    let model = &args.model;
    let mut by_version: BTreeMap<String, Vec<ApprovedFile>> = BTreeMap::new();
    for placed in state.version_files(model, args.version.as_deref())? {
        let named = placed.attributes.get("ml.model.name").and_then(Value::as_text) == Some(model);
        if let (true, Some(version), Some(sha256)) = (named, placed.version.clone(), placed.digest) {
            if placed.first_digest != Some(sha256) {
                let path = clean(&placed.key);
                bail!(
                    "`{path}` is not the bytes that were first seen under this version; look at `lanner inventory history`, and approve with `--from` what you mean"
                );
            }
            let path = inside(&placed, model);
            by_version.entry(version).or_default().push(ApprovedFile { path, sha256, size: placed.size.unwrap_or(0) });
        }
    }
    let versions: Vec<String> = by_version.keys().cloned().collect();
    match (by_version.pop_first(), by_version.is_empty()) {
        (Some(found), true) => Ok(found),
        (Some(_), false) => {
            bail!("`{model}` has several versions, {}; name one with `--model-version`", versions.join(", "))
        }
        (None, _) => bail!(
            "no registered version of `{model}` is in the inventory; has the agent seen it? `--from PATH` approves bytes that lie in a directory"
        ),
    }
}

/// Path of an artifact inside its version: the lineage without the model's name.
fn inside(placed: &Placed, model: &str) -> String {
    let lineage = placed.lineage.as_deref().unwrap_or_default();
    lineage.strip_prefix(model).and_then(|rest| rest.strip_prefix('/')).unwrap_or(lineage).to_owned()
}

/// What was approved before, so that it can be revoked.
fn known(state: &State, args: &Args) -> anyhow::Result<(String, Vec<ApprovedFile>)> {
    let model = &args.model;
    let mut found: Vec<Approval> = state.approvals(Some(model))?;
    found.retain(|approval| args.version.as_ref().is_none_or(|version| *version == approval.version));
    match found.as_slice() {
        [one] => Ok((one.version.clone(), one.files.clone())),
        [] => bail!(
            "nothing of `{model}` was approved under that version; `lanner inventory approvals {model}` lists what was"
        ),
        _ => bail!(
            "several versions of `{model}` were approved; name one with `--model-version`, or its bytes with `--from`"
        ),
    }
}

/// Hashes a file, or every file below a directory, under the names that the agent gives them: what links lead to is
/// read through them, as it is served.
fn read(root: &Path) -> anyhow::Result<Vec<ApprovedFile>> {
    let mut files = Vec::new();
    let told = |entry: &walkdir::DirEntry| entry.depth() == 0 || !filesystem::is_kept_aside(entry.path());
    for entry in walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(told) {
        let entry = entry.with_context(|| format!("`{}` cannot be walked", root.display()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let failed = || format!("`{}` cannot be read, so that nothing was approved", entry.path().display());
        let bytes = FileBytes::open(entry.path()).with_context(failed)?;
        let sha256: Sha256 = artifact::digest_of(&bytes, &|| false).with_context(failed)?.with_context(failed)?;
        let below = entry.path().strip_prefix(root)?;
        let path = if below.as_os_str().is_empty() { Path::new(entry.file_name()) } else { below };
        files.push(ApprovedFile { path: filesystem::escape(path), sha256, size: artifact::Bytes::len(&bytes) });
    }
    if files.is_empty() {
        bail!("`{}` holds no file", root.display());
    }
    Ok(files)
}
