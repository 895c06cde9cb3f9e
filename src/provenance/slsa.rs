//! Provenance of SLSA, version 1: who built an artifact, from what, and which data went in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outcome::{Failure, Reason};
use super::statement::{Digests, Head, Statement, Subject};
use crate::base::text::shorten;

const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// Dependencies that are kept; how many there are beside is counted.
const DEPENDENCIES_MAX: usize = 1_000;
/// Characters of a text that is kept.
const TEXT_MAX: usize = 2_048;

/// What a statement says of how something was built. It is as true as its signer is honest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// Who built it: a service and its level of trust.
    pub builder: String,
    pub build_type: String,
    /// From where, as the parameters or the first dependency say.
    pub source: Option<String>,
    /// What went in: code, base models, data sets.
    pub dependencies: Vec<Dependency>,
    /// Dependencies that are not listed.
    pub dependencies_more: usize,
}

/// One thing that went in, by place and digests: a digest of a data set can be compared with the one of a file
/// that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    pub name: Option<String>,
    pub uri: Option<String>,
    pub digest: BTreeMap<String, String>,
}

/// What is asked of provenance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The builder, exactly.
    pub builder: Option<String>,
    /// The source, exactly.
    pub source: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: String,
    #[serde(default)]
    external_parameters: serde_json::Value,
    #[serde(default)]
    resolved_dependencies: Vec<Resolved>,
}

#[derive(Deserialize)]
struct Resolved {
    name: Option<String>,
    uri: Option<String>,
    #[serde(default)]
    digest: Digests,
}

#[derive(Deserialize)]
struct Details {
    builder: Builder,
}

#[derive(Deserialize)]
struct Builder {
    id: String,
}

/// Reads a payload whose signature was verified: what it is about, and what it says.
pub fn parse(payload: &[u8]) -> Result<(Vec<Subject>, Provenance), Failure> {
    let head = Head::parse(payload)?;
    if head.predicate_type != PREDICATE {
        let found = shorten(&head.predicate_type, 120);
        return Err(Failure::new(
            Reason::WrongPredicate,
            format!("the statement is no provenance ({PREDICATE}): `{found}`"),
        ));
    }
    let Statement { subject, predicate: Predicate { build_definition, run_details }, .. } = Statement::parse(payload)?;
    let Definition { build_type, external_parameters, resolved_dependencies } = build_definition;
    let count = resolved_dependencies.len();
    let dependencies: Vec<Dependency> =
        resolved_dependencies.into_iter().take(DEPENDENCIES_MAX).map(Dependency::from).collect();
    let source = source(&external_parameters).or_else(|| dependencies.first()?.uri.clone());
    let provenance = Provenance {
        builder: shorten(&run_details.builder.id, TEXT_MAX),
        build_type: shorten(&build_type, TEXT_MAX),
        source: source.map(|text| shorten(&text, TEXT_MAX)),
        dependencies_more: count.saturating_sub(DEPENDENCIES_MAX),
        dependencies,
    };
    Ok((subject, provenance))
}

/// Where builders write the source: GitHub's workflows and container builds.
fn source(parameters: &serde_json::Value) -> Option<String> {
    let places = ["/workflow/repository", "/source/uri", "/source", "/sourceRepository"];
    places.iter().find_map(|place| parameters.pointer(place)?.as_str().map(ToOwned::to_owned))
}

impl From<Resolved> for Dependency {
    fn from(found: Resolved) -> Self {
        let short = |text: String| shorten(&text, TEXT_MAX);
        let digest = found.digest.0.into_iter().take(16).map(|(name, digest)| (short(name), short(digest))).collect();
        Self { name: found.name.map(short), uri: found.uri.map(short), digest }
    }
}

impl Wanted {
    /// Whether provenance names the builder and the source that are asked for.
    pub fn check(&self, found: &Provenance) -> Result<(), Failure> {
        let other = |what: &str, found: &str| {
            Err(Failure::new(Reason::BuilderMismatch, format!("the {what} is `{}`", shorten(found, 200))))
        };
        if self.builder.as_ref().is_some_and(|wanted| *wanted != found.builder) {
            return other("builder", &found.builder);
        }
        let source = found.source.as_deref();
        if self.source.as_deref().is_some_and(|wanted| Some(wanted) != source) {
            return other("source", source.unwrap_or("nowhere"));
        }
        Ok(())
    }
}
