//! Workspaces that are watched: all of them share the state of one source, and one that cannot be seen keeps nobody from
//! looking at the others.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{Kind, Model, Scope, Space, Version};
use super::engine::{Engine, Stop};
use super::registry::VersionId;
use super::{health, logged, logged_bytes, webhooks};
use crate::base::http::Failure;
use crate::base::uri::encode;
use crate::sources::Observation;
use crate::sources::models::{artifacts_prefix, model_key, version_prefix};

/// What fails where a workspace is not seen.
const SPACE: &str = "workspace";
/// Workspaces that are looked at in one small look; the next goes on after them.
const HOT_MAX: usize = 20;
/// Whether the server has workspaces is asked once in so many sweeps.
const ASKED_SWEEPS: u64 = 10;

/// The workspaces of this sweep.
#[derive(Debug, Default)]
pub struct Spaces {
    /// `None` alone where the source knows of none.
    all: Vec<Option<String>>,
    unseen: BTreeSet<String>,
    /// Those that the server named at any time: it names only what may be seen, and one that it names no more may be
    /// gone, or merely be forbidden by now.
    named: BTreeSet<String>,
    turn: usize,
}

/// Everything that was listed.
#[derive(Default)]
pub struct Listed {
    pub models: BTreeMap<String, Model>,
    pub versions: BTreeMap<VersionId, Version>,
}

impl Spaces {
    /// Those that can be seen.
    pub fn seen(&self) -> Vec<Option<String>> {
        let unseen = |space: &Option<String>| space.as_ref().is_some_and(|name| self.unseen.contains(name));
        self.all.iter().filter(|space| !unseen(space)).cloned().collect()
    }

    /// Those whose turn it is in a small look.
    pub fn turn(&mut self) -> Vec<Option<String>> {
        let seen = self.seen();
        let begun = if self.turn < seen.len() { self.turn } else { 0 };
        self.turn = begun + HOT_MAX;
        seen.into_iter().skip(begun).take(HOT_MAX).collect()
    }

    /// Whether nothing can be said of a name because its workspace was not seen.
    pub fn hides(&self, scope: &Scope, name: &str) -> bool {
        scope.split(name).0.is_some_and(|space| self.unseen.contains(space))
    }
}

impl Engine<'_> {
    /// Finds out which workspaces there are.
    async fn find_spaces(&mut self) -> Result<(), Stop> {
        let (api, wanted) = (&self.shared.api, &self.shared.config.workspaces);
        self.spaces.unseen.clear();
        if !wanted.is_empty() {
            let mut all: Vec<String> = wanted.iter().filter(|name| *name != "*").cloned().collect();
            if all.len() < wanted.len() {
                self.spaces.named.extend(api.workspaces().await?);
                all.extend(self.spaces.named.iter().cloned());
            }
            all.sort();
            all.dedup();
            self.spaces.all = all.into_iter().map(Some).collect();
            return Ok(());
        }
        self.spaces.all = vec![None];
        // Old servers do not know the call.
        if self.sweeps.is_multiple_of(ASKED_SWEEPS)
            && *api.scope() == Scope::Unnamed
            && let Ok(has) = api.has_workspaces().await
        {
            let text = "the server has workspaces, and only the default one is watched; write `workspaces: [\"*\"]`";
            let note = has.then(|| text.to_owned());
            super::holdings::set(&mut self.notes, "workspaces_unseen", note);
        }
        Ok(())
    }

    /// Everything that the registry lists; where workspaces are wanted and the server has none, that is why it failed.
    pub(super) async fn list_all(&mut self) -> Result<Listed, Stop> {
        let failure = match self.list_spaces().await {
            Err(Stop::Failed(failure)) if !self.shared.config.workspaces.is_empty() => failure,
            listed => return listed,
        };
        let answered = !matches!(failure, Failure::Unreachable(_) | Failure::Timeout | Failure::Denied { .. });
        let none = answered && matches!(self.shared.api.has_workspaces().await, Ok(false));
        Err(if none { Failure::Garbage(health::NO_WORKSPACES.to_owned()).into() } else { failure.into() })
    }

    /// Everything that is in the workspaces. What the first listing does not name is taken as gone,
    /// so it is made twice where it has more than one page.
    async fn list_spaces(&mut self) -> Result<Listed, Stop> {
        self.find_spaces().await?;
        let mut listed = Listed::default();
        let mut why = None;
        for space in self.spaces.seen() {
            match self.list_space(space.as_deref(), &mut listed).await {
                Ok(()) => {}
                Err(Failure::Gone) if space.as_ref().is_some_and(|name| self.was_named(name)) => {
                    self.space_gone(&space.unwrap_or_default()).await?;
                }
                Err(failure @ (Failure::Denied { status: 403 } | Failure::Gone | Failure::Rejected { .. }))
                    if space.is_some() =>
                {
                    let (reason, sentence) = health::explain(&failure, self.shared.api.registry());
                    let name = space.unwrap_or_default();
                    why.get_or_insert((reason, format!("workspace `{name}`: {sentence}")));
                    self.spaces.unseen.insert(name);
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        match why {
            Some(why) => self.failing.failed(SPACE, why),
            None => self.failing.worked(SPACE),
        }
        Ok(listed)
    }

    /// A workspace is gone. Its models and versions are missing from the listings; the rest goes now.
    async fn space_gone(&mut self, name: &str) -> Result<(), Stop> {
        self.spaces.named.remove(name);
        self.spaces.all.retain(|space| space.as_deref() != Some(name));
        let space = Some(name);
        for prefix in [webhooks::prefix(space), logged::prefix(space), logged_bytes::prefix(space)] {
            for key in self.registry.told_below(&prefix) {
                self.logged_gone(&key).await?;
                self.delete(key).await?;
            }
        }
        Ok(())
    }

    /// Whether the server named a workspace by itself, and nobody wrote it.
    fn was_named(&self, name: &str) -> bool {
        self.spaces.named.contains(name) && !self.shared.config.workspaces.iter().any(|wanted| wanted == name)
    }

    async fn list_space(&self, space: Space<'_>, listed: &mut Listed) -> Result<(), Failure> {
        for round in 0..2 {
            // Models first: the tags of a version are then no older than the alias that asks for
            // them.
            let mut more = false;
            for kind in [Kind::Models, Kind::Prompts] {
                let (models, more_models) = self.shared.api.models(space, kind).await?;
                let (versions, more_versions) = self.shared.api.versions(space, kind).await?;
                listed.models.extend(models.into_iter().map(|model| (model.name.clone(), model)));
                let versions = versions.into_iter();
                listed
                    .versions
                    .extend(versions.map(|version| ((version.name.clone(), version.version.clone()), version)));
                more |= more_models || more_versions;
            }
            if self.is_listed() || round == 0 && !more {
                break;
            }
        }
        Ok(())
    }

    /// Says of workspaces that were not seen that nothing in them is gone.
    pub(super) async fn keep_unseen(&self) -> Result<(), Stop> {
        for name in &self.spaces.unseen {
            // As a name in them begins; its slash is written so in a key.
            let begin = format!("{name}/");
            for prefix in [model_key(&begin), version_prefix(&begin), artifacts_prefix(&begin)] {
                self.send(Observation::InitKeep(prefix.trim_end_matches('/').to_owned())).await?;
            }
            let space = Some(&**name);
            let all = [webhooks::prefix(space), logged::prefix(space), logged_bytes::prefix(space)];
            for prefix in all {
                self.send(Observation::InitKeep(prefix)).await?;
            }
        }
        Ok(())
    }
}

/// A workspace as part of a key.
pub fn part(space: Space<'_>) -> String {
    space.map_or_else(String::new, |space| format!("{}/", encode(space)))
}
