//! What a person writes to have a bucket watched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bucket::{Access, Bucket};
use super::events;
use super::queue::Queue;
use super::watch::Objects;
use super::{Place, bucket, secret};
use crate::base::environment::variables;
use crate::base::files;
use crate::base::secret::Secret;
use crate::sources::filter::{EXCLUDED, Filter};
use crate::sources::reconcile::Pace;
use crate::sources::{Built, Settings};

/// Bytes of a file of credentials.
const CREDENTIALS_MAX: u64 = 64 << 10;

/// A source that watches a bucket of an object store, or what lies under a prefix of it. Credentials come from the
/// variables that the store's own tools read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// What to watch: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
    /// `abfss://container@account.dfs.core.windows.net/prefix`.
    pub url: String,
    /// Address of the store, where it is not that of Amazon, Google or Azure; as `AWS_ENDPOINT_URL`,
    /// `GOOGLE_BASE_URL` and `AZURE_STORAGE_ENDPOINT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Region of a bucket of S3, as `AWS_REGION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Variables for this source alone, a line each: `AWS_ACCESS_KEY_ID=…`. They go before those of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// Globs of objects to look at; none means all. Without a slash a glob matches a name anywhere, with one the key
    /// below the prefix.
    pub include: Vec<String>,
    /// Globs of objects and folders to leave out.
    pub exclude: Vec<String>,
    /// Name of the model that is served from here, or `*`: the first folder below the prefix is the name. What lies
    /// there is held against what was approved for that model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serves: Option<String>,
    /// List versions of S3 as well: tells deletion markers and older versions put back.
    pub versions: bool,
    /// Where the bucket tells what happens, so that it is looked at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// List everything.
    pub sweep_interval_secs: u64,
    /// While hints prove to arrive, everything is listed only every so many times. 1 lists it every time.
    pub sweep_stretch_max: u64,
    /// Time for one request; a download may take longer as long as bytes come.
    pub request_timeout_secs: u64,
    /// Objects watched; more make the source blind.
    pub records_max: usize,
    /// Size of one object that is fetched; larger ones are looked into by parts.
    pub artifact_bytes_max: u64,
    /// Of objects of so many bytes S3 is asked for the SHA-256 that it keeps, before they are fetched: one call for each
    /// that is new or changed. 0 asks for none.
    pub checksum_bytes_min: u64,
}

/// Where a bucket tells what happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Address of a queue of Amazon SQS that this source alone receives from:
    /// `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
    pub sqs: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "objects".to_owned(),
            url: String::new(),
            endpoint: None,
            region: None,
            credentials_file: None,
            include: Vec::new(),
            exclude: EXCLUDED.iter().map(|&glob| glob.to_owned()).collect(),
            serves: None,
            versions: false,
            events: None,
            sweep_interval_secs: 300,
            sweep_stretch_max: 4,
            request_timeout_secs: 30,
            records_max: 1_000_000,
            artifact_bytes_max: 16 << 30,
            checksum_bytes_min: 64 << 20,
        }
    }
}

impl Settings for Config {
    fn build(self) -> Built {
        let mut problems = Vec::new();
        for (name, number) in [
            ("sweep_interval_secs", self.sweep_interval_secs),
            ("sweep_stretch_max", self.sweep_stretch_max),
            ("request_timeout_secs", self.request_timeout_secs),
            ("records_max", self.records_max as u64),
            ("artifact_bytes_max", self.artifact_bytes_max),
        ] {
            if number == 0 {
                problems.push(format!("`{name}` is 0; write at least 1"));
            }
        }
        let filter = Filter::new(&self.include, &self.exclude).unwrap_or_else(|bad| {
            problems.extend(bad);
            Filter::default()
        });
        let opened = self.address().variables(Vec::new()).and_then(|variables| {
            let timeout = Duration::from_secs(self.request_timeout_secs);
            let place = Place::parse(&self.url).map_err(|error| format!("`url`: {error}"))?;
            if let Some(why) = self.contradicts(&place) {
                return Err(why.to_owned());
            }
            let bucket = bucket(place, &Access { variables, timeout }).map_err(|error| error.to_string())?;
            let events = self.events.as_ref().map(|events| events.open(&*bucket, timeout)).transpose()?;
            Ok((bucket, events))
        });
        match opened {
            Ok((bucket, events)) if problems.is_empty() => Ok(Arc::new(Objects::new(self, filter, bucket, events))),
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }
}

impl Events {
    fn open(&self, bucket: &dyn Bucket, timeout: Duration) -> Result<events::Events, String> {
        let signer = bucket.signer().ok_or("`events` is for s3:// alone; give the others' to `receivers`")?;
        let queue = Queue::open(&self.sqs, signer, timeout).map_err(|why| format!("`events.sqs`: {why}"))?;
        Ok(events::Events::new(queue, bucket.place().name()))
    }
}

impl Config {
    pub(super) const fn pace(&self) -> Pace {
        Pace {
            sweep: Duration::from_secs(self.sweep_interval_secs),
            glance: None,
            records_max: self.records_max,
            // Listings go on after a key, not at a position: nothing is skipped.
            misses: 1,
            stretch: self.sweep_stretch_max,
        }
    }

    /// Settings that have no meaning for this kind of store.
    fn contradicts(&self, place: &Place) -> Option<&'static str> {
        if place.scheme != "s3" && self.versions {
            return Some("`versions` is for s3:// alone; the others tell a new generation or tag of each write");
        }
        if place.scheme != "s3" && self.region.is_some() {
            return Some("`region` is for s3:// alone; leave it out");
        }
        let both = place.bucket.contains('@') && self.endpoint.is_some();
        both.then_some(
            "`endpoint` and the account in `url` say two things; write az://container/prefix with `endpoint`",
        )
    }

    fn address(&self) -> Address {
        Address {
            url: self.url.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            credentials_file: self.credentials_file.clone(),
        }
    }
}

/// A bucket, or what lies under a prefix of it, and how to reach it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Address {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
    /// `abfss://container@account.dfs.core.windows.net/prefix`.
    pub url: String,
    /// Address of the store, where it is not that of Amazon, Google or Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Region of a bucket of S3, as `AWS_REGION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Variables for this bucket alone, a line each: `AWS_ACCESS_KEY_ID=…`. They go before those of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
}

impl Address {
    /// The variables that count: those of the configuration, then those given, then those of the environment.
    pub(super) fn variables(&self, given: Vec<(String, Secret)>) -> Result<Vec<(String, Secret)>, String> {
        let mut all = match &self.credentials_file {
            Some(path) => read(path).map_err(|why| format!("`credentials_file`: `{}`: {why}", path.display()))?,
            None => Vec::new(),
        };
        let set = |name: &str, value: &Option<String>| Some((name.to_owned(), Secret::new(value.clone()?)));
        let endpoint = match self.url.split("://").next().unwrap_or_default() {
            "gs" => "GOOGLE_BASE_URL",
            "s3" => "AWS_ENDPOINT_URL",
            _ => "AZURE_STORAGE_ENDPOINT",
        };
        let settings = [set(endpoint, &self.endpoint), set("AWS_REGION", &self.region)];
        all.splice(0..0, settings.into_iter().flatten());
        all.extend(given);
        all.extend(secret(variables()));
        // Whoever reads them takes the last of a name.
        all.reverse();
        Ok(all)
    }
}

/// Lines of `NAME=value`, as files of variables are written for containers.
fn read(path: &Path) -> Result<Vec<(String, Secret)>, String> {
    let text = files::read_text(path, CREDENTIALS_MAX).map_err(|error| error.to_string())?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parse = |(number, line): (usize, &str)| {
        let (name, value) = line.split_once('=').ok_or_else(|| format!("line {} is not NAME=value", number + 1))?;
        Ok((name.trim().to_owned(), Secret::new(value.trim())))
    };
    lines.map(parse).collect()
}
