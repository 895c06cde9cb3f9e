//! An `MLflow` registry, version 3: models, versions, aliases, tags, stages, and the bytes behind.
//!
//! Two small searches every few seconds tell of new versions early. They cannot tell of aliases,
//! tags or deletions, and nothing but a look at the stored bytes tells that those were replaced:
//! so every minute everything is listed, and what was not there twice in a row is gone. Traces are read
//! beside that, as a stream.

mod api;
mod artifacts;
mod auth;
mod buckets;
mod engine;
mod fates;
mod health;
mod holdings;
mod hot;
mod location;
mod logged;
mod logged_bytes;
mod prompts;
mod reach;
mod records;
mod registry;
mod remote;
mod runs;
mod spaces;
mod store;
mod traces;
mod webhooks;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, Built, Change, Context, RecordKind, Settings, Source, SourceError, Store};
use crate::base::environment::variable;
use crate::base::http;
use crate::event::Fields;
use api::Api;
pub use buckets::ArtifactBucket;
use buckets::Mapped;
use fates::Fates;
pub use remote::open;
pub use traces::Traces;

/// A source that watches an `MLflow` registry. What is left out is taken from the variables that
/// `MLflow`'s own client reads: `MLFLOW_TRACKING_URI`, `MLFLOW_TRACKING_TOKEN` and so on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// Address of the tracking server, which also serves artifacts.
    pub tracking_uri: Option<String>,
    /// Address of the registry, where it is another.
    pub registry_uri: Option<String>,
    /// Workspaces to watch, where the server has any: their names, or `*` for all. Models are called `workspace/name`
    /// then. Without any the source watches the one of `MLFLOW_WORKSPACE`, or that which the server takes by itself.
    pub workspaces: Vec<String>,
    /// Experiments whose logged models are listed: names or numbers, or `*` for all; none means no such listing.
    pub experiments: Vec<String>,
    /// Traces of applications: what models were asked, and what they said. Off unless experiments are named there.
    pub traces: Traces,
    /// User of basic authentication.
    pub username: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// File that holds a bearer token.
    pub token_file: Option<PathBuf>,
    /// Accept any certificate: for test servers.
    pub insecure_tls: Option<bool>,
    /// Certificates to trust, PEM.
    pub server_cert_path: Option<PathBuf>,
    /// Certificate and key of the client, PEM.
    pub client_cert_path: Option<PathBuf>,
    /// Look at what was last changed.
    pub hot_poll_interval_secs: u64,
    /// List everything.
    pub sweep_interval_secs: u64,
    /// While hints prove to arrive, everything is listed only every so many times; the bytes are looked at as often as
    /// before. 1 lists it every time.
    pub sweep_stretch_max: u64,
    /// Time for one request.
    pub request_timeout_secs: u64,
    /// Size of one answer.
    pub page_bytes_max: u64,
    /// Requests about artifacts of versions in one sweep; what is left is looked at in the next. A quarter of it is
    /// for those of logged models beside.
    pub artifact_requests_max: u64,
    /// Requests about runs in one sweep.
    pub run_requests_max: u64,
    /// Files of one version.
    pub version_files_max: usize,
    /// Size of one artifact that is fetched whole; of mapped buckets, larger ones are looked into by parts.
    pub artifact_bytes_max: u64,
    /// Artifacts whose store tells neither an entity tag nor a time are read again so often.
    pub reread_secs: u64,
    /// Where artifacts are kept while they are inspected; the system's folder if none is given.
    pub temporary_directory: Option<PathBuf>,
    /// Stores that are mounted here: their files are read directly.
    pub artifact_roots: Vec<ArtifactRoot>,
    /// Buckets in which artifacts lie and that the agent may read itself, with the credentials that the store's own
    /// tools know.
    pub artifact_buckets: Vec<ArtifactBucket>,
    /// Beginnings of the places from which versions may come; none means all but local files,
    /// plain HTTP and paths that climb.
    pub allowed_sources: Vec<String>,
    /// Beginnings of the addresses to which webhooks of the registry may lead; none means those hosts to which they
    /// led when they were first listed.
    pub allowed_webhooks: Vec<String>,
    /// What a version needs before an alias may point to it.
    pub gate: Gate,
}

/// A store that is mounted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactRoot {
    /// Beginning of the artifacts' address, for example `s3://models/`.
    pub prefix: String,
    /// Directory in which the store is mounted.
    pub directory: PathBuf,
}

/// Approval, as tags on a version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Aliases that ask for it.
    pub aliases: Vec<String>,
    /// Tags that the version must have; none means that there is no gate.
    pub required_tags: Vec<String>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { aliases: vec!["champion".to_owned(), "production".to_owned()], required_tags: Vec::new() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "mlflow".to_owned(),
            tracking_uri: None,
            registry_uri: None,
            workspaces: Vec::new(),
            experiments: Vec::new(),
            traces: Traces::default(),
            username: None,
            password_file: None,
            token_file: None,
            insecure_tls: None,
            server_cert_path: None,
            client_cert_path: None,
            hot_poll_interval_secs: 5,
            sweep_interval_secs: 60,
            sweep_stretch_max: 4,
            request_timeout_secs: 30,
            page_bytes_max: 64 << 20,
            artifact_requests_max: 2_000,
            run_requests_max: 200,
            version_files_max: 10_000,
            artifact_bytes_max: 16 << 30,
            reread_secs: 3600,
            temporary_directory: None,
            artifact_roots: Vec::new(),
            artifact_buckets: Vec::new(),
            allowed_sources: Vec::new(),
            allowed_webhooks: Vec::new(),
            gate: Gate::default(),
        }
    }
}

impl Settings for Config {
    fn build(self) -> Built {
        let mut problems = Vec::new();
        for (name, number) in [
            ("hot_poll_interval_secs", self.hot_poll_interval_secs),
            ("sweep_interval_secs", self.sweep_interval_secs),
            ("sweep_stretch_max", self.sweep_stretch_max),
            ("request_timeout_secs", self.request_timeout_secs),
            ("artifact_requests_max", self.artifact_requests_max),
            ("reread_secs", self.reread_secs),
            ("traces.late_secs", self.traces.late_secs),
            ("traces.unfinished_secs", self.traces.unfinished_secs),
        ] {
            if number == 0 {
                problems.push(format!("`{name}` is 0; write at least 1"));
            }
        }
        for name in self.workspaces.iter().filter(|name| *name != "*" && !api::is_name(name)) {
            problems
                .push(format!("`workspaces`: `{name}` is no name of a workspace; write letters, digits and dashes"));
        }
        for root in &self.artifact_roots {
            if root.prefix.is_empty() || !root.directory.is_absolute() {
                problems.push(format!(
                    "`artifact_roots` maps `{}` to `{}`; write a prefix and an absolute directory",
                    root.prefix,
                    root.directory.display()
                ));
            }
        }
        let api = auth::connect(&self, &variable, &mut problems);
        let buckets = buckets::open(&self, &variable, &mut problems);
        match api {
            Some(api) if problems.is_empty() => Ok(Arc::new(Mlflow {
                shared: Arc::new(Shared {
                    config: self,
                    api,
                    downloads: tokio::sync::Semaphore::new(DOWNLOADS_MAX),
                    buckets,
                }),
                fates: Mutex::default(),
            })),
            Some(_) | None => Err(problems),
        }
    }
}

/// Artifacts fetched at the same time.
const DOWNLOADS_MAX: usize = 2;

struct Mlflow {
    shared: Arc<Shared>,
    fates: Mutex<Fates>,
}

/// What the source and its store both need.
struct Shared {
    config: Config,
    api: Api,
    downloads: tokio::sync::Semaphore,
    buckets: Vec<Mapped>,
}

impl Source for Mlflow {
    fn name(&self) -> &str {
        &self.shared.config.name
    }

    fn product(&self) -> &'static str {
        "mlflow"
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        let stop = context.stop.clone();
        Box::pin(async move {
            // Whatever a step was at, the next start lists everything again.
            let engine = engine::Engine::new(&self.shared, &self.fates, context);
            let meter = Arc::clone(&engine.meter);
            tokio::select! {
                () = http::metered(meter, engine.run()) => {}
                () = stop.cancelled() => {}
            }
            Ok(())
        })
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(store::Artifacts::new(Arc::clone(&self.shared))))
    }

    fn server(&self) -> Option<String> {
        Some(self.shared.api.registry().to_owned())
    }

    fn hears(&self) -> bool {
        true
    }

    fn changes(&self, kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
        let fates = self.fates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let gate = &self.shared.config.gate;
        let gated = |alias: &str| !gate.required_tags.is_empty() && gate.aliases.iter().any(|name| name == alias);
        fates::changes(kind, old, new, &gated, &fates)
    }
}
