//! Buckets in which the registry keeps artifacts, where the agent may read them itself: one request lists a thousand
//! objects, and what the registry's own proxy says of them need not be believed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::artifacts::{Budget, Listing};
use super::location::{Location, resolve};
use super::registry::Held;
use super::{Config, Shared};
use crate::base::environment::Environment;
use crate::base::http::Failure;
use crate::base::secret::Secret;
use crate::event::ArtifactRef;
use crate::sources::objects::{Address, Direct};
use crate::sources::remote::{Locate, Located};
use crate::sources::{BoxFuture, StoreError};

/// Objects of one page of a listing.
const PAGE: usize = 1_000;

/// A bucket that the agent may read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArtifactBucket {
    /// Beginning of the artifacts' address, for example `s3://models/` or `mlflow-artifacts:/`.
    pub prefix: String,
    /// The bucket that this means: `s3://bucket/prefix`, `gs://…`, `az://…`, `abfss://…`. Without it the prefix itself.
    pub url: Option<String>,
    /// Address of the store, where it is not that of Amazon, Google or Azure; for S3 also `MLFLOW_S3_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// Region of a bucket of S3, as `AWS_REGION`.
    pub region: Option<String>,
    /// Variables for this bucket alone, a line each: `AWS_ACCESS_KEY_ID=…`. They go before those of the environment.
    pub credentials_file: Option<std::path::PathBuf>,
}

/// A beginning of addresses, and the bucket that it means.
pub struct Mapped {
    pub prefix: String,
    pub bucket: Direct,
}

/// Opens what the settings map, or says what is wrong.
pub fn open(config: &Config, environment: Environment<'_>, problems: &mut Vec<String>) -> Vec<Mapped> {
    let mut mapped = Vec::new();
    for setting in &config.artifact_buckets {
        if setting.prefix.is_empty() {
            problems
                .push("`artifact_buckets` has an entry without `prefix`; write for example `s3://models/`".to_owned());
            continue;
        }
        let address = Address {
            url: address_of(setting),
            endpoint: setting.endpoint.clone(),
            region: setting.region.clone(),
            credentials_file: setting.credentials_file.clone(),
        };
        let endpoint = environment("MLFLOW_S3_ENDPOINT_URL").filter(|text| !text.is_empty());
        let given = endpoint.map(|text| ("AWS_ENDPOINT_URL".to_owned(), Secret::new(text)));
        let given = given.filter(|_| address.url.starts_with("s3://"));
        match Direct::open(&address, given.into_iter().collect(), Duration::from_secs(config.request_timeout_secs)) {
            Ok(bucket) => mapped.push(Mapped { prefix: setting.prefix.clone(), bucket }),
            Err(why) => problems.push(format!("`artifact_buckets`: `{}`: {why}", setting.prefix)),
        }
    }
    mapped
}

/// The bucket that is meant. What MLflow calls `wasb` and `s3a` are the same stores by older names.
fn address_of(setting: &ArtifactBucket) -> String {
    let url = setting.url.as_ref().unwrap_or(&setting.prefix).trim_end_matches('/');
    match url.split_once("://") {
        Some(("wasb" | "wasbs", rest)) => {
            format!("abfss://{}", rest.replacen(".blob.core.windows.net", ".dfs.core.windows.net", 1))
        }
        Some(("s3a" | "s3n", rest)) => format!("s3://{rest}"),
        _ => url.to_owned(),
    }
}

/// Lists what lies below a folder of a bucket.
pub async fn list(shared: &Shared, bucket: usize, folder: &str, budget: &mut Budget) -> Result<Listing, Failure> {
    let mapped = shared.buckets.get(bucket).ok_or(Failure::Gone)?;
    let below = mapped.bucket.list(folder, shared.config.version_files_max).await?;
    for _ in 0..=(below.files.len() + below.left_out) / PAGE {
        budget.spend();
    }
    let files: BTreeMap<String, Held> =
        below.files.into_iter().map(|(path, signature, size)| (path, Held { signature, size: Some(size) })).collect();
    Ok(Listing { files, left_out: below.left_out, untold: 0 })
}

/// Finds an artifact in the bucket to which its address is mapped.
pub struct InBucket(pub Arc<Shared>);

impl Locate for InBucket {
    fn locate<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Located, StoreError>> {
        Box::pin(async move {
            let address = artifact.path.replace("\\\\", "\\");
            let Location::Bucket(bucket, path) = resolve(&address, &self.0) else {
                return Err(StoreError::Refused("it lies in no bucket that is mapped".to_owned()));
            };
            let mapped = self.0.buckets.get(bucket).ok_or(StoreError::Gone)?;
            mapped.bucket.find(&path).await
        })
    }
}
