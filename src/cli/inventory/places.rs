//! Where bytes lie, and whether what is served is what was approved.

use std::collections::BTreeMap;
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
        let standings = state.standings(digest)?;
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
    for placed in state.served(model, MOST)? {
        let Some(digest) = placed.digest else { continue };
        let name = placed.attributes.get("ml.model.name").and_then(Value::as_text).unwrap_or_default();
        let standings: Vec<Standing> =
            state.standings(&digest)?.into_iter().filter(|standing| standing.model == name).collect();
        let status = standings.iter().map(|standing| standing.status).min();
        served += 1;
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
                    format!("; approved is version {version}, sha256:{}", digest.short())
                });
                say(&clean(&format!("{status:<10} {name}  {}  sha256:{}{hint}", placed.key, digest.short())))?;
            }
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
