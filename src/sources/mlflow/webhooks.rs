//! Webhooks of the registry: who is told what happens there. Each is a record; the first listing says which hosts are
//! known, and what leads elsewhere later is told as such.

use std::collections::BTreeSet;

use reqwest::Url;
use serde_json::json;

use super::api::{Space, Webhook, WebhookEvent};
use super::engine::{Engine, Stop};
use super::records::Maker;
use super::spaces::part;
use super::{Config, reach};
use crate::base::http::Failure;
use crate::base::text::shorten;
use crate::base::uri::encode;
use crate::event::subject::SubjectKind;
use crate::event::{Fields, Sha256, Subject, Value};
use crate::sources::models::changes::{change, list, text};
use crate::sources::models::source_uri::begins;
use crate::sources::models::{TEXT_CHARS_MAX, put};
use crate::sources::{Change, Checkpoint, Hint, Observation, Record, RecordKind};

/// Where the hosts of the first listing are kept.
const CHECKPOINT: &str = "webhooks";
/// Hosts that are kept.
const HOSTS_MAX: usize = 10_000;
/// Whoever may not list them is asked for again after so many sweeps.
const AGAIN_SWEEPS: u64 = 10;
/// Characters of a name in what an event is about.
const NAME_SHOWN: usize = 120;
/// Bytes of a digest that are shown instead of a path.
const DIGEST_SHOWN: usize = 12;

/// What the keys of all webhooks of a workspace begin with.
pub fn prefix(space: Space<'_>) -> String {
    format!("webhook/{}", part(space))
}

/// What is known of webhooks.
#[derive(Debug, Default)]
pub struct Webhooks {
    /// Hosts with their ports that were there when they were first listed.
    hosts: Option<BTreeSet<String>>,
    /// Sweep in which they are asked for next, after they were refused.
    due: u64,
}

impl Engine<'_> {
    /// Lists them; gives the beginnings of keys of which nothing can be said. Whoever cannot see them is told so, and
    /// nothing else changes: the permission to list them is one of administrators.
    pub(super) async fn look_at_webhooks(&mut self) -> Result<Vec<String>, Stop> {
        let spaces = self.spaces.seen();
        let all = || spaces.iter().map(|space| prefix(space.as_deref())).collect();
        if self.sweeps < self.webhooks.due {
            return Ok(all());
        }
        let mut found = Vec::new();
        for space in &spaces {
            match self.shared.api.webhooks(space.as_deref()).await {
                Ok(some) => found.push((prefix(space.as_deref()), some)),
                Err(failure @ (Failure::Unreachable(_) | Failure::Timeout)) => return Err(failure.into()),
                Err(failure) => {
                    self.webhooks.due = self.sweeps + AGAIN_SWEEPS;
                    self.notes.insert("webhooks_unseen".to_owned(), unseen(&failure));
                    return Ok(all());
                }
            }
        }
        self.notes.remove("webhooks_unseen");
        self.learn_hosts(found.iter().flat_map(|(_, webhooks)| webhooks)).await?;
        let hosts = self.webhooks.hosts.clone().unwrap_or_default();
        for (prefix, webhooks) in &found {
            let mut seen = BTreeSet::new();
            for webhook in webhooks {
                let record = self.maker(Hint::Sweep).webhook(prefix, webhook, &hosts);
                seen.insert(record.key.clone());
                self.tell(record).await?;
            }
            for key in self.registry.told_below(prefix) {
                if !seen.contains(&key) && self.registry.miss(&key) {
                    self.delete(key).await?;
                }
            }
        }
        Ok(Vec::new())
    }

    /// Takes the hosts of the first listing that there ever was as known.
    async fn learn_hosts<'w>(&mut self, found: impl Iterator<Item = &'w Webhook>) -> Result<(), Stop> {
        if self.webhooks.hosts.is_some() {
            return Ok(());
        }
        if let Some(kept) = self.context.checkpoints.get(CHECKPOINT) {
            let kept = kept.get("hosts").and_then(|hosts| hosts.as_array()).into_iter().flatten();
            self.webhooks.hosts = Some(kept.filter_map(|host| host.as_str().map(str::to_owned)).collect());
            return Ok(());
        }
        let hosts: BTreeSet<String> =
            found.filter_map(|webhook| Some(host_of(&parse(&webhook.url)?))).take(HOSTS_MAX).collect();
        let position = json!({ "hosts": hosts });
        self.webhooks.hosts = Some(hosts);
        self.send(Observation::Checkpoint(Checkpoint { key: CHECKPOINT.to_owned(), position })).await
    }
}

impl Maker<'_> {
    fn webhook(&self, prefix: &str, webhook: &Webhook, hosts: &BTreeSet<String>) -> Record {
        let mut fields = Fields::new();
        put(&mut fields, "ml.model.registry", self.registry);
        put(&mut fields, "ml.webhook.id", shorten(&webhook.id, TEXT_CHARS_MAX));
        put(&mut fields, "ml.webhook.name", shorten(&webhook.name, TEXT_CHARS_MAX));
        put(&mut fields, "ml.webhook.status", webhook.status.as_deref().unwrap_or_default());
        let mut events: Vec<String> = webhook.events.iter().map(event).collect();
        events.sort();
        put(&mut fields, "ml.webhook.events", events);
        place(&mut fields, &webhook.url, self.config, hosts);
        let subject =
            Subject::new(SubjectKind::Webhook, format!("{}/{}", shorten(&webhook.name, NAME_SHOWN), webhook.id));
        let key = format!("{prefix}{}", encode(&webhook.id));
        self.record(key, RecordKind::Webhook, subject, webhook.last_updated_timestamp, fields)
    }
}

/// As the registry's documentation writes it: `model_version.created`.
fn event(event: &WebhookEvent) -> String {
    format!("{}.{}", event.entity.to_lowercase(), event.action.to_lowercase())
}

fn parse(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(Url::has_host)
}

/// Host and port.
fn host_of(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}:{port}", url.host_str().unwrap_or_default().trim_end_matches('.'))
}

/// Where it sends to. A path at a public host is often all that it takes to post there, and is told as a digest.
fn place(fields: &mut Fields, url: &str, config: &Config, hosts: &BTreeSet<String>) {
    let digest = Sha256::of(url.as_bytes()).to_string();
    let digest = digest.get(..DIGEST_SHOWN).unwrap_or_default();
    put(fields, "ml.webhook.digest", digest);
    let Some(parsed) = parse(url) else {
        put(fields, "ml.webhook.url", "(no address)");
        put(fields, "ml.webhook.reach", reach::Reach::Nowhere.as_str());
        put(fields, "ml.webhook.allowed", false);
        put(fields, "ml.webhook.known", false);
        return;
    };
    let (host, reach) = (host_of(&parsed), reach::of(parsed.host_str().unwrap_or_default()));
    let path = if reach == reach::Reach::Public { "/…" } else { parsed.path() };
    let shown = format!("{}://{host}{}", parsed.scheme(), shorten(path, TEXT_CHARS_MAX));
    put(fields, "ml.webhook.url", shown);
    put(fields, "ml.webhook.scheme", parsed.scheme());
    put(fields, "ml.webhook.host", parsed.host_str().unwrap_or_default());
    put(fields, "ml.webhook.reach", reach.as_str());
    let allowed = config.allowed_webhooks.iter().any(|prefix| begins(&bare(&parsed), prefix));
    put(fields, "ml.webhook.allowed", allowed);
    put(fields, "ml.webhook.known", allowed || hosts.contains(&host));
}

/// The address without query, and without what stands before `@`, which is no host however much it looks like one.
fn bare(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for addresses that cannot have credentials.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn unseen(failure: &Failure) -> String {
    match failure {
        Failure::Denied { .. } => {
            "webhooks are not listed: only administrators of the registry may; give the agent's user that permission to \
             have their addresses watched"
                .to_owned()
        }
        Failure::Gone | Failure::Rejected { .. } => {
            "webhooks are not listed: the server knows none; they came with MLflow 3".to_owned()
        }
        failure => format!("webhooks are not listed: {failure}"),
    }
}

/// How a change of a webhook is told.
pub fn changes(old: Option<&Fields>, new: Option<&Fields>) -> Vec<Change> {
    match (old, new) {
        (None, Some(_)) => vec![change("webhook.registered", [])],
        (Some(_), None) => vec![change("webhook.deleted", [])],
        (Some(old), Some(new)) => {
            let events = |fields| list(fields, "ml.webhook.events").map(str::to_owned).collect::<Vec<_>>();
            let differs = |path| text(old, path) != text(new, path);
            let what = [
                ("url", differs("ml.webhook.digest")),
                ("events", events(old) != events(new)),
                ("status", differs("ml.webhook.status")),
                ("name", differs("ml.webhook.name")),
            ];
            let what: Vec<&str> = what.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
            if what.is_empty() {
                return Vec::new();
            }
            let before = Value::from(text(old, "ml.webhook.url"));
            vec![change("webhook.changed", [("ml.webhook.changed", what.into()), ("ml.webhook.previous_url", before)])]
        }
        (None, None) => Vec::new(),
    }
}
