//! Where bytes lie, and whether what is served is what was approved.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde_json::json;

use super::super::{CLEAN, FOUND, Format, say};
use crate::alert::render::text::clean;
use crate::event::{Sha256, Value};
use crate::state::{Placed, Standing, State, Status};

/// Records looked at.
const MOST: usize = 100_000;

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
    for placed in state.served(model, MOST)? {
        let name = placed.attributes.get("ml.model.name").and_then(Value::as_text).unwrap_or_default();
        served += 1;
        let Some(digest) = placed.digest else {
            wrong += 1;
            let key = &placed.key;
            match format {
                Format::Json => say(&json!({
                    "model": name, "source": placed.source, "key": key, "sha256": null, "status": "unread",
                })
                .to_string())?,
                Format::Text => say(&clean(&format!("unread     {name}  {key}  its bytes could not be read")))?,
            }
            continue;
        };
        let mut standings: Vec<Standing> = state.standings(&digest, Some(name))?;
        // Approved bytes under the name of another approved file are not what was approved.
        if standings.iter().any(|standing| ends_with(&placed.key, &standing.path)) {
            standings.retain(|standing| ends_with(&placed.key, &standing.path));
        } else if state.expected(name, &placed.key)?.is_some_and(|(_, wanted)| wanted != digest) {
            standings.clear();
        }
        for standing in &standings {
            there.insert((standing.model.clone(), standing.path.clone()));
        }
        let status = standings.iter().map(|standing| standing.status).min();
        let fits = status == Some(Status::Approved);
        wrong += u64::from(!fits);
        let expected = if fits { None } else { state.expected(name, &placed.key)? };
        match format {
            Format::Json => say(&json!({
                "model": name, "source": placed.source, "key": placed.key, "sha256": digest,
                "status": status.map_or("unapproved", Status::as_str),
                "version": standings.first().map(|standing| &standing.version),
                "expected_version": expected.as_ref().map(|(version, _)| version),
                "expected_sha256": expected.as_ref().map(|(_, digest)| digest),
            })
            .to_string())?,
            Format::Text => {
                let status = status.map_or("unapproved", Status::as_str);
                let hint = expected.map_or_else(String::new, |(version, digest)| {
                    let version = if version.is_empty() { version } else { format!("version {version}, ") };
                    format!("; approved is {version}sha256:{}", digest.short())
                });
                say(&clean(&format!("{status:<10} {name}  {}  sha256:{}{hint}", placed.key, digest.short())))?;
            }
        }
    }
    for (name, path) in missing(state, model, &there)? {
        wrong += 1;
        match format {
            Format::Json => say(&json!({ "model": name, "path": path, "status": "missing" }).to_string())?,
            Format::Text => say(&clean(&format!("missing    {name}  {path}  approved, and not there")))?,
        }
    }
    if served == 0 {
        anstream::eprintln!(
            "no file is served: name the model in `serves` of a filesystem source, and let the agent look at it"
        );
        return Ok(ExitCode::from(FOUND));
    }
    Ok(ExitCode::from(if wrong == 0 { CLEAN } else { FOUND }))
}

fn ends_with(key: &str, path: &str) -> bool {
    key == path || key.strip_suffix(path).is_some_and(|rest| rest.ends_with('/'))
}

/// Files of approved versions that are not there, of models of which something is served: of each the version that is
/// there for the most part.
fn missing(
    state: &State,
    model: Option<&str>,
    there: &BTreeSet<(String, String)>,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut nearest: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for approval in state.approvals(model)? {
        let lies = |path: &String| there.contains(&(approval.model.clone(), path.clone()));
        let paths: Vec<String> = approval.files.iter().map(|file| file.path.clone()).collect();
        if approval.status != Status::Approved || !paths.iter().any(lies) {
            continue;
        }
        let gone: Vec<String> = paths.into_iter().filter(|path| !lies(path)).collect();
        if nearest.get(&approval.model).is_none_or(|known| gone.len() < known.len()) {
            nearest.insert(approval.model.clone(), gone);
        }
    }
    Ok(nearest.into_iter().flat_map(|(model, gone)| gone.into_iter().map(move |path| (model.clone(), path))).collect())
}
