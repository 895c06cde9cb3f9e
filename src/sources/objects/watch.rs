//! The source: a bucket listed again and again, hints followed, bytes fetched.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::bucket::{Object, Pages, Shared as Asked};
use super::checksums::Checksums;
use super::config::Config;
use super::events::{Desk, Events};
use super::scanned::Scanned;
use super::versions::{Versions, Whole};
use super::{health, hints, records};
use crate::base::http::Failure;
use crate::base::text::shorten;
use crate::event::ArtifactRef;
use crate::sources::filter::Filter;
use crate::sources::reconcile::{self, Hinted, Place, Sink, Stop};
use crate::sources::remote::{Entry, Fetched, Locate, Remote};
use crate::sources::{BoxFuture, Context, Source, SourceError, State, Store, StoreError};

/// Pages of one listing: some hundred million objects, of which the globs choose.
const PAGES_MAX: usize = 200_000;
/// Objects and pages looked at for one key: its versions.
const KEY_PAGE: u32 = 100;
const KEY_PAGES_MAX: usize = 20;
/// Objects that one hint may speak of; for more a listing is as good.
const HINTED_MAX: usize = 200;
/// Characters of a key in a sentence.
const KEY_SHOWN: usize = 120;

/// A source that watches a bucket.
pub struct Objects {
    shared: Arc<Shared>,
}

/// What the source and its store both need.
struct Shared {
    config: Config,
    filter: Filter,
    bucket: Asked,
    events: Option<Events>,
    checksums: Checksums,
}

impl Objects {
    pub fn new(config: Config, filter: Filter, bucket: Asked, events: Option<Events>) -> Self {
        Self { shared: Arc::new(Shared { config, filter, bucket, events, checksums: Checksums::default() }) }
    }
}

impl Shared {
    /// Whether an object is one of those to be looked at.
    fn wants(&self, key: &str) -> bool {
        let place = self.bucket.place();
        let below = Path::new(place.below(key));
        let (folder, name) = (below.parent().unwrap_or(below), below.file_name().unwrap_or_default());
        place.covers(key) && self.filter.includes(folder, name) && !self.filter.leaves_out_any(below)
    }

    /// One object as it stands now: by a listing, so that it is told in the same words as by all others.
    async fn look(&self, key: &str) -> Result<Whole, Failure> {
        let mut pages = Pages::new(&*self.bucket, key, self.config.versions, KEY_PAGES_MAX).of(KEY_PAGE);
        let mut versions = Versions::default();
        let mut passed = false;
        while !passed && let Some(objects) = pages.next().await? {
            // Nothing else that begins so comes earlier, but for servers that put folders first.
            for object in objects {
                if object.key == key {
                    drop(versions.push(object));
                } else {
                    passed = true;
                }
            }
        }
        Ok(versions.end().unwrap_or_default())
    }

    async fn tell(&self, whole: Whole, sink: &mut Sink) -> Result<(), Stop> {
        let Some(object) = whole.now.filter(|object| !object.is_folder() && self.wants(&object.key)) else {
            return Ok(());
        };
        if let Some(why) = self.bucket.entry(&object).unreadable {
            let bucket = &self.config.url;
            sink.blind("unreadable_key", || {
                format!("`{bucket}`: the object `{}` cannot be read: {why}", shorten(&object.key, KEY_SHOWN))
            });
            return Ok(());
        }
        let hint = sink.hint();
        let large = self.config.checksum_bytes_min > 0 && object.size >= self.config.checksum_bytes_min;
        let claimed = if large { self.checksums.of(&*self.bucket, &object).await? } else { None };
        let restored = whole.restored.as_deref();
        sink.tell(records::record(&self.config, self.bucket.place(), &object, restored, claimed, hint)).await
    }
}

impl Place for Shared {
    async fn list(&self, sink: &mut Sink) -> Result<(), Stop> {
        let prefix = &self.bucket.place().prefix;
        let mut pages = Pages::new(&*self.bucket, prefix, self.config.versions, PAGES_MAX);
        let mut versions = Versions::default();
        while let Some(objects) = pages.next().await? {
            for object in objects {
                if let Some(whole) = versions.push(object) {
                    self.tell(whole, sink).await?;
                }
            }
        }
        if let Some(last) = versions.end() {
            self.tell(last, sink).await?;
        }
        if versions.deleted > 0 {
            let (count, s) = (versions.deleted, if versions.deleted == 1 { "" } else { "s" });
            sink.note("deleted", format!("{count} object{s} deleted by a marker: their older versions are kept"));
        }
        Ok(())
    }

    async fn follow(&self, hint: &Hinted, sink: &mut Sink) -> Result<bool, Stop> {
        let Some(spoken) = hints::read(&hint.body) else { return Ok(false) };
        let ours = |bucket: &str| bucket == self.bucket.place().name();
        let keys: BTreeSet<&str> = spoken
            .iter()
            .filter(|object| ours(&object.bucket) && self.wants(&object.key))
            .map(|object| object.key.as_str())
            .collect();
        if keys.len() > HINTED_MAX {
            return Ok(false);
        }
        for key in keys {
            let whole = self.look(key).await?;
            if whole.now.is_none() {
                self.checksums.forget(key);
                sink.gone(key).await?;
            }
            self.tell(whole, sink).await?;
        }
        Ok(true)
    }

    fn report(&self, state: &mut State) {
        if let Some(events) = &self.events {
            events.report(state);
        }
    }

    fn explain(&self, failure: &Failure) -> (&'static str, String) {
        health::explain(failure, &self.config.url, self.bucket.access())
    }
}

impl Locate for Shared {
    fn locate<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<(Arc<dyn Remote>, Entry), StoreError>> {
        Box::pin(async move {
            let address = artifact.path.replace("\\\\", "\\");
            let key = self.bucket.place().key_of(&address).filter(|key| self.wants(key));
            let key = key.ok_or_else(|| StoreError::Refused("it is not in the bucket that is watched".to_owned()))?;
            let object: Option<Object> = self.look(key).await?.now;
            let entry = self.bucket.entry(&object.ok_or(StoreError::Gone)?);
            Ok((Arc::new(Scanned(Arc::clone(&self.bucket))) as Arc<dyn Remote>, entry))
        })
    }
}

impl Source for Objects {
    fn name(&self) -> &str {
        &self.shared.config.name
    }

    fn product(&self) -> &'static str {
        "objects"
    }

    fn server(&self) -> Option<String> {
        self.shared.config.endpoint.clone()
    }

    fn hears(&self) -> bool {
        true
    }

    fn run(&self, context: Context) -> BoxFuture<'_, Result<(), SourceError>> {
        let shared = &*self.shared;
        let desk = Desk {
            hints: context.hints.clone(),
            metrics: context.metrics.clone(),
            status: Arc::clone(&context.status),
        };
        let looking = reconcile::run(shared, &shared.config.name, shared.config.pace(), context);
        Box::pin(async move {
            let Some(events) = &shared.events else { return looking.await };
            if !desk.hints.are_kept() {
                events.look(&desk).await;
                return looking.await;
            }
            tokio::select! {
                ended = looking => ended,
                () = events.receive(&desk) => Ok(()),
            }
        })
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(Fetched::new(Arc::clone(&self.shared), self.shared.config.artifact_bytes_max)))
    }
}
