//! The small look, every few seconds: what was changed last.

use super::api::{Kind, Model, Space, Version};
use super::engine::{Engine, Stop};
use crate::base::http::Failure;
use crate::sources::Hint;

/// Entries of a first page. Mostly nothing changed, or one thing did.
const FIRST: usize = 10;
/// Entries that are asked for where even the oldest of a first page is news.
const MORE: usize = 500;

impl Engine<'_> {
    pub(super) async fn hot_poll(&mut self) -> Result<(), Stop> {
        for space in self.spaces.turn() {
            match self.hot_space(space.as_deref()).await {
                Ok((models, versions)) => self.compare_some(models, versions, Hint::Poll).await?,
                // It may be gone, or forbidden: a listing tells which.
                Err(Stop::Failed(Failure::Gone | Failure::Denied { status: 403 })) if space.is_some() => {
                    self.sweep_soon = true;
                }
                Err(stop) => return Err(stop),
            }
        }
        self.look_at_traces().await
    }

    /// Three pages: models, versions, versions of prompts. Prompts themselves change by nothing that moves their time
    /// but a new version, and are asked for with it.
    async fn hot_space(&mut self, space: Space<'_>) -> Result<(Vec<Model>, Vec<Version>), Stop> {
        let api = &self.shared.api;
        let mut models = api.hot_models(space, FIRST).await?;
        if models.len() >= FIRST && models.last().is_some_and(|last| self.registry.models.get(&last.name) != Some(last))
        {
            models = api.hot_models(space, MORE).await?;
        }
        let mut more = models.len() >= MORE;
        let mut versions = Vec::new();
        for kind in [Kind::Models, Kind::Prompts] {
            let mut page = api.hot_versions(space, kind, FIRST).await?;
            if page.len() >= FIRST && page.last().is_some_and(|last| self.registry.is_news(last)) {
                page = api.hot_versions(space, kind, MORE).await?;
                more |= page.len() >= MORE;
            }
            page.retain(|version| self.registry.is_news(version));
            if kind == Kind::Prompts {
                self.add_unknown(&page, &mut models).await?;
            }
            versions.extend(page);
        }
        if models.iter().any(|model| self.is_unexplained(model, &versions)) {
            self.stretch.insist();
        }
        // So much changed at once that pages cannot tell it all.
        self.sweep_soon |= more;
        Ok((models, versions))
    }

    /// Whether a model's time moved and nothing says why: as it does when a version of it is deleted.
    pub(super) fn is_unexplained(&self, model: &Model, versions: &[Version]) -> bool {
        self.registry.models.get(&model.name).is_some_and(|known| {
            known.last_updated_timestamp != model.last_updated_timestamp && known.description == model.description
        }) && !versions.iter().any(|version| version.name == model.name)
    }

    /// Asks for the prompts of versions that nothing is known of yet.
    async fn add_unknown(&self, versions: &[Version], models: &mut Vec<Model>) -> Result<(), Stop> {
        for name in versions.iter().map(|version| &version.name) {
            if self.registry.models.contains_key(name) || models.iter().any(|model| model.name == *name) {
                continue;
            }
            match self.shared.api.model(name).await {
                Ok(model) => models.push(model),
                Err(Failure::Gone | Failure::Rejected { .. }) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }
}
