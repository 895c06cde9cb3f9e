//! Runs behind versions: whether they are still there, whose they are, and of which data they made what was registered.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;

use super::api::{Dataset, Run, Version};
use super::engine::{Engine, Stop};
use super::registry::{Registry, VersionId};
use crate::base::http::Failure;
use crate::base::text::shorten;
use crate::event::Fields;
use crate::sources::models::{TEXT_CHARS_MAX, put};

/// A run is asked about again after so many sweeps.
const RUN_SWEEPS: u64 = 10;
/// Datasets of one run that are told.
const DATASETS_MAX: usize = 50;
/// Versions before one that are looked at for the data that they were made of.
const BEFORE_MAX: u64 = 20;

/// What is kept of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// `active`, `deleted`, or `missing`.
    pub state: String,
    pub user: String,
    pub experiment: String,
    pub datasets: Vec<Dataset>,
    /// Sweep in which it was asked for.
    asked: u64,
}

impl Engine<'_> {
    /// Asks for runs, new ones first.
    pub(super) async fn look_at_runs(&mut self) -> Result<(), Stop> {
        let due = self.sweeps.saturating_sub(RUN_SWEEPS);
        // Each with the name of a model, which says in which workspace it is.
        let named = self.registry.versions.values().filter_map(|version| Some((run_of(version)?, &*version.name)));
        let all: BTreeMap<String, String> = named.map(|(run, name)| (run.to_owned(), name.to_owned())).collect();
        self.registry.runs.retain(|run, _| all.contains_key(run));
        let known = &self.registry.runs;
        let runs: BTreeSet<(u64, String, String)> = all
            .into_iter()
            .map(|(run, name)| (known.get(&run).map_or(0, |made| made.asked), run, name))
            .filter(|(asked, ..)| *asked == 0 || *asked <= due)
            .collect();
        let most = usize::try_from(self.shared.config.run_requests_max).unwrap_or(usize::MAX);
        for (_, run, name) in runs.into_iter().take(most) {
            self.ask_run(&name, run).await?;
        }
        Ok(())
    }

    /// Asks for the run of a version that is new, so that its event tells what made it.
    pub(super) async fn learn_run(&mut self, id: &VersionId) -> Result<(), Stop> {
        let run = self.registry.versions.get(id).and_then(run_of).map(str::to_owned);
        match run.filter(|run| !self.registry.runs.contains_key(run)) {
            Some(run) => self.ask_run(&id.0, run).await,
            None => Ok(()),
        }
    }

    async fn ask_run(&mut self, model: &str, id: String) -> Result<(), Stop> {
        let api = &self.shared.api;
        let mut made = match api.run(api.scope().split(model).0, &id).await {
            Ok(run) => made(run),
            Err(Failure::Gone) => {
                Made { state: "missing".to_owned(), ..self.registry.runs.remove(&id).unwrap_or_default() }
            }
            // Runs are a small matter: without permission the fields are absent.
            Err(
                Failure::Denied { .. } | Failure::Rejected { .. } | Failure::Server { .. } | Failure::Throttled { .. },
            ) => return Ok(()),
            Err(failure) => return Err(failure.into()),
        };
        made.asked = self.sweeps;
        self.registry.runs.insert(id, made);
        Ok(())
    }
}

fn run_of(version: &Version) -> Option<&str> {
    version.run_id.as_deref().filter(|run| !run.is_empty())
}

fn made(run: Run) -> Made {
    let tag = run.data.tags.into_iter().find(|tag| tag.key == "mlflow.user").map(|tag| tag.value);
    let user = run.info.user_id.filter(|user| !user.is_empty()).or(tag).unwrap_or_default();
    let mut datasets: Vec<Dataset> = run.inputs.dataset_inputs.into_iter().map(|input| input.dataset).collect();
    datasets.sort_by(|one, other| (&one.name, &one.digest).cmp(&(&other.name, &other.digest)));
    datasets.dedup();
    datasets.truncate(DATASETS_MAX);
    Made { state: run.info.lifecycle_stage, user, experiment: run.info.experiment_id, datasets, asked: 0 }
}

/// What is told of the run of a version.
pub fn fields(registry: &Registry, version: &Version, fields: &mut Fields) {
    let Some(run) = run_of(version) else {
        put(fields, "ml.run.state", "none");
        return;
    };
    let Some(made) = registry.runs.get(run) else { return };
    put(fields, "ml.run.state", &*made.state);
    for (path, text) in [("ml.run.user", &made.user), ("ml.experiment.id", &made.experiment)] {
        if !text.is_empty() {
            put(fields, path, shorten(text, TEXT_CHARS_MAX));
        }
    }
    if made.datasets.is_empty() {
        return;
    }
    let pair =
        |name: &str, value: &str| format!("{}={}", shorten(name, TEXT_CHARS_MAX), shorten(value, TEXT_CHARS_MAX));
    let digests: Vec<String> = made.datasets.iter().map(|dataset| pair(&dataset.name, &dataset.digest)).collect();
    let sources: Vec<String> = made.datasets.iter().map(|dataset| pair(&dataset.name, &source(dataset))).collect();
    put(fields, "ml.dataset.digests", digests);
    put(fields, "ml.dataset.sources", sources);
    put(fields, "ml.dataset.changed", changed(registry, version, made));
}

/// Names of datasets under which the version before had other data, and none of this.
fn changed(registry: &Registry, version: &Version, made: &Made) -> Vec<String> {
    let Some(before) = before(registry, version) else { return Vec::new() };
    let names: BTreeSet<&str> = made.datasets.iter().map(|dataset| &*dataset.name).collect();
    let digests = |of: &'_ Made, name: &str| -> BTreeSet<String> {
        of.datasets.iter().filter(|dataset| dataset.name == name).map(|dataset| dataset.digest.clone()).collect()
    };
    let differs = |name: &&str| {
        let old = digests(before, name);
        !old.is_empty() && old != digests(made, name)
    };
    names.into_iter().filter(differs).map(|name| shorten(name, TEXT_CHARS_MAX)).collect()
}

/// The run of the last version before one whose data is known.
fn before<'r>(registry: &'r Registry, version: &Version) -> Option<&'r Made> {
    let number: u64 = version.version.parse().ok()?;
    (number.saturating_sub(BEFORE_MAX)..number).rev().find_map(|number| {
        let earlier = registry.versions.get(&(version.name.clone(), number.to_string()))?;
        registry.runs.get(run_of(earlier)?).filter(|made| !made.datasets.is_empty())
    })
}

/// Where the data came from: the address in what its type wrote down, without credentials and query.
fn source(dataset: &Dataset) -> String {
    let json: serde_json::Value = serde_json::from_str(&dataset.source).unwrap_or_default();
    let found = ["uri", "url", "path", "table_name", "delta_table_name"];
    let Some(text) = found.iter().find_map(|name| json.get(name)?.as_str()) else { return dataset.source_type.clone() };
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    // These fail for addresses that cannot have credentials.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
