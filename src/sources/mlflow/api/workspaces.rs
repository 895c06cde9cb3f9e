//! Workspaces, which a server may have: each has models, runs and webhooks of its own. A request names one in its header;
//! a name of a model here carries it, as `workspace/model`, since no name of a model has a slash.

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Api, Model, Version};
use crate::base::http::Failure;

/// Header that names the workspace of a request.
pub const HEADER: &str = "X-MLFLOW-WORKSPACE";
/// The workspace that always is. Its artifacts lie at the root.
const DEFAULT: &str = "default";
/// Where the artifacts of all others lie, on a server that serves them.
const FOLDER: &str = "workspaces/";
/// Workspaces of one server.
const SPACES_MAX: usize = 1_000;
/// Letters of a name, as the server has it.
const NAME_MAX: usize = 63;

/// One workspace; `None` where there are none, or for the one that the server takes by itself.
pub type Space<'w> = Option<&'w str>;

/// Whether names carry workspaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// They do not, and no request names one.
    #[default]
    Unnamed,
    /// They do not, and each request names this one.
    One(String),
    /// They do.
    Many,
}

impl Scope {
    /// What a request names that is about no certain one.
    pub fn usual(&self) -> Space<'_> {
        match self {
            Self::Unnamed => None,
            Self::One(name) => Some(name),
            Self::Many => Some(DEFAULT),
        }
    }

    /// Workspace and model of a name.
    pub fn split<'n>(&self, name: &'n str) -> (Space<'n>, &'n str) {
        match (self, name.split_once('/')) {
            (Self::Many, Some((space, bare))) => (Some(space), bare),
            _ => (None, name),
        }
    }

    /// The name of what a workspace calls so.
    pub fn join(&self, space: Space<'_>, bare: String) -> String {
        match (self, space) {
            (Self::Many, Some(space)) => format!("{space}/{bare}"),
            _ => bare,
        }
    }

    pub fn models(&self, space: Space<'_>, all: Vec<Model>) -> impl Iterator<Item = Model> {
        all.into_iter().map(move |model| Model { name: self.join(space, model.name.clone()), ..model }.sorted())
    }

    pub fn versions(&self, space: Space<'_>, all: Vec<Version>) -> impl Iterator<Item = Version> {
        all.into_iter().map(move |version| Version { name: self.join(space, version.name.clone()), ..version }.sorted())
    }

    /// The workspace to which a path of an artifact belongs.
    pub fn of_path<'p>(&self, path: &'p str) -> Space<'p> {
        if *self != Self::Many {
            return None;
        }
        let rest = path.trim_start_matches('/').strip_prefix(FOLDER)?;
        rest.split('/').next().filter(|space| is_name(space))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spaces {
    workspaces: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    workspaces_enabled: bool,
}

impl Api {
    /// How names and workspaces belong together.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Names of all workspaces that may be seen.
    pub async fn workspaces(&self) -> Result<Vec<String>, Failure> {
        let found: Spaces = self.third("workspaces").await?;
        if found.workspaces.len() > SPACES_MAX {
            return Err(Failure::Garbage(format!("more than {SPACES_MAX} workspaces")));
        }
        Ok(found.workspaces.into_iter().map(|named| named.name).filter(|name| is_name(name)).collect())
    }

    /// Whether the server has any.
    pub async fn has_workspaces(&self) -> Result<bool, Failure> {
        Ok(self.third::<Info>("server-info").await?.workspaces_enabled)
    }

    /// A call that came with the third version of the interface.
    async fn third<T: DeserializeOwned>(&self, call: &str) -> Result<T, Failure> {
        let text = format!("{}/api/3.0/mlflow/{call}", self.tracking.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| Failure::Garbage(error.to_string()))?;
        self.json(None, url).await
    }
}

/// Whether a text can name a workspace: letters, digits and dashes.
pub fn is_name(text: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= NAME_MAX && text.bytes().all(named)
}
