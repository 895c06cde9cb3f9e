//! Where bytes lie, and whether what is served is what was approved.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde_json::json;

use super::super::{CLEAN, FOUND, Format, say};
use crate::alert::render::text::clean;
use crate::event::{Sha256, Value};
use crate::state::{Approval, ApprovedFile, Placed, Stand, Standing, State, Worth, standing};

/// Records looked at.
const MOST: usize = 100_000;
/// Records asked for at once.
const PAGE: usize = 1000;

pub fn list(state: &State, text: &str, format: Format) -> anyhow::Result<usize> {
    let mut by_digest: BTreeMap<Sha256, Vec<Placed>> = BTreeMap::new();
    for placed in state.find(text.strip_prefix("sha256:").unwrap_or(text), MOST)? {
        if let Some(digest) = placed.digest {
            by_digest.entry(digest).or_default();
        }
    }
    for (digest, places) in &mut by_digest {
        *places = state.places(digest, MOST)?;
    }
    for (digest, places) in &by_digest {
        let standings = state.standings(digest, None)?;
        match format {
            Format::Json => say(&json!({
                "sha256": digest,
                "approvals": standings,
                "places": places.iter().map(|place| json!({
                    "source": place.source, "key": place.key, "kind": place.kind, "version": place.version,
                    "first_seen": place.first_seen, "last_changed": place.last_changed,
                })).collect::<Vec<_>>(),
            })
            .to_string())?,
            Format::Text => {
                say(&format!("sha256:{digest}  {}", words(&standings)))?;
                for place in places {
                    say(&clean(&format!("    {:<12} {}  since {:.0}", place.source, place.key, place.last_changed)))?;
                }
            }
        }
    }
    Ok(by_digest.len())
}

fn words(standings: &[Standing]) -> String {
    match standings.first() {
        None => "not approved".to_owned(),
        Some(Standing { model, version, status, .. }) => clean(&format!(
            "{} as {model}{}{version}",
            status.as_str(),
            if version.is_empty() { "" } else { " version " }
        )),
    }
}

/// Every file that is served, held against what was approved for its model.
pub fn check(state: &State, model: Option<&str>, format: Format) -> anyhow::Result<ExitCode> {
    let (mut served, mut wrong) = (0_u64, 0_u64);
    // Files of models that lie where they are served.
    let mut there: BTreeSet<(String, String)> = BTreeSet::new();
    let mut after: Option<Placed> = None;
    loop {
        let page = state.served(model, after.as_ref(), PAGE)?;
        for placed in &page {
            served += 1;
            wrong += u64::from(!one(state, placed, &mut there, format)?);
        }
        let Some(last) = page.into_iter().last() else { break };
        after = Some(last);
    }
    let approvals = state.approvals(model)?;
    let lies = |approval: &Approval, file: &ApprovedFile| there.contains(&(approval.model.clone(), file.path.clone()));
    for (Approval { model, .. }, ApprovedFile { path, .. }) in standing::missing(&approvals, model.is_some(), lies) {
        wrong += 1;
        match format {
            Format::Json => say(&json!({ "model": model, "path": path, "status": "missing" }).to_string())?,
            Format::Text => say(&clean(&format!("missing    {model}  {path}  approved, and not there")))?,
        }
    }
    if served == 0 && wrong == 0 {
        anstream::eprintln!(
            "no file is served: name the model in `serves` of a filesystem source, and let the agent look at it"
        );
        return Ok(ExitCode::from(FOUND));
    }
    Ok(ExitCode::from(if wrong == 0 { CLEAN } else { FOUND }))
}

/// One file that is served; whether it is as approved.
fn one(state: &State, placed: &Placed, there: &mut BTreeSet<(String, String)>, format: Format) -> anyhow::Result<bool> {
    let name = placed.attributes.get("ml.model.name").and_then(Value::as_text).unwrap_or_default();
    let Some(digest) = placed.digest else {
        let key = &placed.key;
        match format {
            Format::Json => say(&json!({
                "model": name, "source": placed.source, "key": key, "sha256": null, "status": "unread",
            })
            .to_string())?,
            Format::Text => say(&clean(&format!("unread     {name}  {key}  its bytes could not be read")))?,
        }
        return Ok(false);
    };
    let Stand { worth, standing, expected } = state.stand(Some(name), &placed.key, &digest)?;
    let standing = standing.filter(|_| worth != Worth::Exchanged);
    // Under another name nobody finds it.
    let here = standing.iter().filter(|standing| standing::name(&standing.path) == standing::name(&placed.key));
    there.extend(here.map(|standing| (standing.model.clone(), standing.path.clone())));
    match format {
        Format::Json => say(&json!({
            "model": name, "source": placed.source, "key": placed.key, "sha256": digest,
            "status": worth.as_str(),
            "version": standing.as_ref().map(|standing| &standing.version),
            "expected_version": expected.as_ref().map(|(version, _)| version),
            "expected_sha256": expected.as_ref().map(|(_, digest)| digest),
        })
        .to_string())?,
        Format::Text => {
            let hint = expected.map_or_else(String::new, |(version, digest)| {
                let version = if version.is_empty() { version } else { format!("version {version}, ") };
                format!("; approved is {version}sha256:{}", digest.short())
            });
            let status = worth.as_str();
            say(&clean(&format!("{status:<10} {name}  {}  sha256:{}{hint}", placed.key, digest.short())))?;
        }
    }
    Ok(worth == Worth::Approved)
}
