//! The calls about models, versions and aliases.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Api, Kind, Model, Space, Version, next};
use crate::base::http::Failure;

/// Largest pages that the server gives.
const MODELS_PAGE: &str = "1000";
const VERSIONS_PAGE: &str = "10000";
const LAST_FIRST: &str = "last_updated_timestamp DESC";

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelsPage {
    registered_models: Vec<Model>,
    next_page_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VersionsPage {
    model_versions: Vec<Version>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct OneVersion {
    model_version: Version,
}

#[derive(Deserialize)]
struct OneModel {
    registered_model: Model,
}

#[derive(Deserialize)]
struct DownloadUri {
    artifact_uri: String,
}

// The calls tell the same in different orders.
impl Model {
    pub fn sorted(mut self) -> Self {
        self.aliases.sort();
        self.tags.sort();
        self
    }
}

impl Version {
    pub fn sorted(mut self) -> Self {
        self.tags.sort();
        self
    }
}

impl Api {
    /// All models or all prompts, and whether it took more than one page.
    pub async fn models(&self, space: Space<'_>, kind: Kind) -> Result<(Vec<Model>, bool), Failure> {
        let (mut all, mut token, mut seen) = (Vec::new(), String::new(), BTreeSet::new());
        loop {
            let query = [("max_results", MODELS_PAGE), ("filter", kind.filter()), ("page_token", &*token)];
            let page: ModelsPage = self.get(space, "registered-models/search", &query).await?;
            all.extend(self.scope.models(space, page.registered_models));
            match next(page.next_page_token, &mut seen)? {
                Some(more) => token = more,
                None => return Ok((all, !seen.is_empty())),
            }
        }
    }

    /// All versions of models or of prompts, and whether it took more than one page.
    pub async fn versions(&self, space: Space<'_>, kind: Kind) -> Result<(Vec<Version>, bool), Failure> {
        let (mut all, mut token, mut seen) = (Vec::new(), String::new(), BTreeSet::new());
        loop {
            let query = [("max_results", VERSIONS_PAGE), ("filter", kind.filter()), ("page_token", &*token)];
            let page: VersionsPage = self.get(space, "model-versions/search", &query).await?;
            all.extend(self.scope.versions(space, page.model_versions));
            match next(page.next_page_token, &mut seen)? {
                Some(more) => token = more,
                None => return Ok((all, !seen.is_empty())),
            }
        }
    }

    /// Models changed last.
    pub async fn hot_models(&self, space: Space<'_>, most: usize) -> Result<Vec<Model>, Failure> {
        let query = [("max_results", &*most.to_string()), ("order_by", LAST_FIRST)];
        let page: ModelsPage = self.get(space, "registered-models/search", &query).await?;
        Ok(self.scope.models(space, page.registered_models).collect())
    }

    /// Versions of models or of prompts changed last.
    pub async fn hot_versions(&self, space: Space<'_>, kind: Kind, most: usize) -> Result<Vec<Version>, Failure> {
        let query = [("max_results", &*most.to_string()), ("filter", kind.filter()), ("order_by", LAST_FIRST)];
        let page: VersionsPage = self.get(space, "model-versions/search", &query).await?;
        Ok(self.scope.versions(space, page.model_versions).collect())
    }

    pub async fn model(&self, name: &str) -> Result<Model, Failure> {
        let (space, bare) = self.scope.split(name);
        let found: OneModel = self.get(space, "registered-models/get", &[("name", bare)]).await?;
        Ok(Model { name: name.to_owned(), ..found.registered_model }.sorted())
    }

    pub async fn version(&self, name: &str, version: &str) -> Result<Version, Failure> {
        let (space, bare) = self.scope.split(name);
        let query = [("name", bare), ("version", version)];
        let found: OneVersion = self.get(space, "model-versions/get", &query).await?;
        Ok(Version { name: name.to_owned(), ..found.model_version }.sorted())
    }

    /// Where a version's bytes lie.
    pub async fn location(&self, name: &str, version: &str) -> Result<String, Failure> {
        let (space, bare) = self.scope.split(name);
        let query = [("name", bare), ("version", version)];
        Ok(self.get::<DownloadUri>(space, "model-versions/get-download-uri", &query).await?.artifact_uri)
    }

    /// The version that an alias points to.
    pub async fn alias(&self, name: &str, alias: &str) -> Result<Version, Failure> {
        let query = [("name", name), ("alias", alias)];
        match self.get::<OneVersion>(None, "registered-models/alias", &query).await {
            Ok(found) => Ok(found.model_version),
            // So it says that there is no such alias.
            Err(Failure::Rejected { status: 400 }) => Err(Failure::Gone),
            Err(failure) => Err(failure),
        }
    }

    /// The newest version at a stage; at any for `latest`.
    pub async fn at_stage(&self, name: &str, stage: &str) -> Result<Version, Failure> {
        let quote = if name.contains('\'') { '"' } else { '\'' };
        let query = [("filter", &*format!("name={quote}{name}{quote}")), ("max_results", VERSIONS_PAGE)];
        let versions = self.get::<VersionsPage>(None, "model-versions/search", &query).await?.model_versions;
        let fits = |version: &Version| {
            stage.eq_ignore_ascii_case("latest")
                || version.current_stage.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(stage))
        };
        let newest = |version: &Version| version.version.parse::<u64>().unwrap_or(0);
        versions.into_iter().filter(fits).max_by_key(newest).ok_or(Failure::Gone)
    }
}
