//! From the configuration as written to one that can be run: every problem, each at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use super::load::{Places, Problem};
use super::raw::Config;
use crate::alert::Mute;
use crate::artifact::{Limits, Vetted};
use crate::base::files;
use crate::base::http;
use crate::base::secret::Secret;
use crate::provenance::policy::{self, Policy};
use crate::sinks::{self, Sinks, alertmanager::Alertmanager, file::File, otlp::Otlp, stdout::Stdout, webhook::Webhook};
use crate::sources::hints::Verifier;
use crate::sources::{Settings as _, Source};

/// A configuration that can be run.
pub struct Checked {
    pub config: Config,
    pub sources: Vec<Arc<dyn Source>>,
    /// Who may give hints, by the name of the source.
    pub receivers: BTreeMap<String, Verifier>,
    pub sinks: Sinks,
    pub mutes: Vec<Mute>,
    pub listen: SocketAddr,
    pub limits: Limits,
    /// Which models must be signed.
    pub policy: Policy,
}

/// Secrets are short; a larger file is not one.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Bytes of a key, a certificate or a trusted root.
const TRUST_BYTES_MAX: u64 = 4 << 20;

/// Checks everything that can be checked without touching the network.
pub fn check(config: Config, places: &Places) -> Result<Checked, Vec<Problem>> {
    let mut checker = Checker { places, problems: Vec::new(), names: BTreeSet::new() };
    let listen = checker.listen(&config.http.listen);
    let sources = checker.sources(&config);
    let receivers = checker.receivers(&config, &sources, listen);
    checker.leases(&config, &sources);
    let sinks = checker.sinks(&config);
    let mutes = checker.mutes(&config);
    checker.rules(&config);
    checker.correlation(&config);
    checker.log(&config);
    if let Some(endpoint) = &config.telemetry.endpoint {
        checker.url("telemetry.endpoint", endpoint);
    }
    let limits = Limits {
        read_bytes_max: config.inspection.read_bytes_max,
        inflate_bytes_max: config.inspection.inflate_bytes_max,
        parts_bytes_max: config.inspection.parts_bytes_max,
        vetted: checker.vetted(&config.inspection.vetted),
        ..Limits::default()
    };
    let policy = checker.policy(&config);
    match listen {
        Some(listen) if checker.problems.is_empty() => {
            Ok(Checked { config, sources, receivers, sinks, mutes, listen, limits, policy })
        }
        Some(_) | None => {
            checker.problems.sort_by_key(|problem| problem.line);
            Err(checker.problems)
        }
    }
}

struct Checker<'a> {
    places: &'a Places,
    problems: Vec<Problem>,
    names: BTreeSet<String>,
}

impl Checker<'_> {
    fn fail(&mut self, setting: &str, message: impl Into<String>, hint: Option<&str>) {
        self.problems.push(self.places.problem(setting, message, hint.map(str::to_owned)));
    }

    /// Bounds that would let everything go at once.
    fn correlation(&mut self, config: &Config) {
        let bounds = &config.correlation;
        let least = [
            ("correlation.groups_max", bounds.groups_max, 1),
            ("correlation.group_entries_max", bounds.group_entries_max, 1),
            ("correlation.bytes_max", bounds.bytes_max, 1 << 20),
        ];
        for (setting, value, least) in least {
            if value < least {
                self.fail(setting, format!("{value} is too little"), Some(&format!("write {least} or more")));
            }
        }
    }

    fn policy(&mut self, config: &Config) -> Policy {
        let written =
            policy::Config { rules: config.signatures.rules.clone(), superseded: config.signatures.superseded.clone() };
        let read = |path: &Path| files::read_text(path, TRUST_BYTES_MAX).map_err(|error| error.to_string());
        written.check(&read).unwrap_or_else(|problems| {
            for problem in problems {
                self.fail("signatures", problem, None);
            }
            Policy::default()
        })
    }

    fn vetted(&mut self, patterns: &[String]) -> Arc<Vetted> {
        match Vetted::new(patterns.iter().map(String::as_str)) {
            Ok(vetted) => Arc::new(vetted),
            Err(messages) => {
                for message in messages {
                    self.fail("inspection.vetted", message, None);
                }
                Arc::default()
            }
        }
    }

    fn listen(&mut self, text: &str) -> Option<SocketAddr> {
        let listen = text.parse().ok();
        if listen.is_none() {
            self.fail(
                "http.listen",
                format!("`{text}` is no address with a port"),
                Some("write for example `127.0.0.1:9464`"),
            );
        }
        listen
    }

    fn name(&mut self, setting: &str, name: &str) {
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !valid {
            self.fail(setting, format!("`{name}` is no name"), Some("use letters, digits, `-`, `_` and `.`"));
        } else if !self.names.insert(name.to_owned()) {
            self.fail(
                setting,
                format!("the name `{name}` is used twice"),
                Some("state is kept under it: choose another"),
            );
        }
    }

    fn sources(&mut self, config: &Config) -> Vec<Arc<dyn Source>> {
        let mut built = Vec::new();
        let sources = &config.sources;
        for (index, source) in sources.filesystem.iter().enumerate() {
            self.source(&format!("sources.filesystem[{index}]"), source.clone().build(), &mut built);
        }
        for (index, source) in sources.mlflow.iter().enumerate() {
            self.source(&format!("sources.mlflow[{index}]"), source.clone().build(), &mut built);
        }
        for (index, source) in sources.huggingface.iter().enumerate() {
            self.source(&format!("sources.huggingface[{index}]"), source.clone().build(), &mut built);
        }
        for (index, source) in sources.oci.iter().enumerate() {
            self.source(&format!("sources.oci[{index}]"), source.clone().build(), &mut built);
        }
        for (index, source) in sources.git.iter().enumerate() {
            self.source(&format!("sources.git[{index}]"), source.clone().build(), &mut built);
        }
        for (index, source) in sources.objects.iter().enumerate() {
            self.source(&format!("sources.objects[{index}]"), source.clone().build(), &mut built);
        }
        for (index, source) in sources.cloudevents.iter().enumerate() {
            let setting = format!("sources.cloudevents[{index}]");
            if !config.receivers.iter().any(|receiver| receiver.source == source.name) {
                let message = format!("nobody may tell `{}` anything", source.name);
                self.fail(&setting, message, Some("add it to `receivers`, with a secret"));
            }
            self.source(&setting, source.clone().build(), &mut built);
        }
        for (index, source) in sources.index.iter().enumerate() {
            self.source(&format!("sources.index[{index}]"), source.clone().build(), &mut built);
        }
        for (index, source) in sources.logs.iter().enumerate() {
            self.source(&format!("sources.logs[{index}]"), source.clone().build(), &mut built);
        }
        built
    }

    fn source(
        &mut self,
        setting: &str,
        source: Result<Arc<dyn Source>, Vec<String>>,
        built: &mut Vec<Arc<dyn Source>>,
    ) {
        match source {
            Ok(source) => {
                self.name(&format!("{setting}.name"), source.name());
                built.push(source);
            }
            Err(messages) => messages.into_iter().for_each(|message| self.fail(setting, message, None)),
        }
    }

    fn leases(&mut self, config: &Config, sources: &[Arc<dyn Source>]) {
        for (index, lease) in config.leases.iter().enumerate() {
            let setting = format!("leases[{index}]");
            if !sources.iter().any(|source| source.name() == lease.source) {
                self.fail(&format!("{setting}.source"), format!("`{}` is no source", lease.source), None);
            }
            match (&lease.file, &lease.kubernetes) {
                (Some(file), None) if !parent_exists(file) => {
                    let message = format!("the directory of `{}` does not exist", file.display());
                    self.fail(&format!("{setting}.file"), message, Some("make it, or name another"));
                }
                (None, Some(kubernetes)) if !is_label(&kubernetes.name) => {
                    let message = format!("`{}` is no name of a Lease", kubernetes.name);
                    self.fail(
                        &format!("{setting}.kubernetes.name"),
                        message,
                        Some("use small letters, digits, `-` and `.`"),
                    );
                }
                (Some(_), Some(_)) | (None, None) => {
                    self.fail(&setting, "it names no lease, or two", Some("write either `file` or `kubernetes`"));
                }
                (Some(_), None) | (None, Some(_)) => {}
            }
        }
    }

    fn receivers(
        &mut self,
        config: &Config,
        sources: &[Arc<dyn Source>],
        listen: Option<SocketAddr>,
    ) -> BTreeMap<String, Verifier> {
        let mut built = BTreeMap::new();
        let outside = listen.is_some_and(|listen| !listen.ip().is_loopback());
        for (index, receiver) in config.receivers.iter().enumerate() {
            let setting = format!("receivers[{index}]");
            let known = sources.iter().find(|source| source.name() == receiver.source);
            if known.is_none_or(|source| !source.hears()) {
                let message = if known.is_none() { "is no source" } else { "is a source that takes no hints" };
                let message = format!("`{}` {message}", receiver.source);
                self.fail(&format!("{setting}.source"), message, Some("name a source of a registry or store"));
            }
            let (file, env) = (receiver.secret_file.as_deref(), receiver.secret_env.as_deref());
            let secret = self.secret(&setting, "secret", file, env);
            if outside && file.is_none() && env.is_none() {
                let hint = "write `secret_file` or `secret_env`, or listen on loopback";
                self.fail(&setting, "anybody who reaches `http.listen` could give hints", Some(hint));
            }
            let verifier = Verifier { scheme: receiver.scheme, secret };
            if built.insert(receiver.source.clone(), verifier).is_some() {
                let message = format!("`{}` has two receivers", receiver.source);
                self.fail(&format!("{setting}.source"), message, Some("leave one"));
            }
        }
        built
    }

    fn sinks(&mut self, config: &Config) -> Sinks {
        let mut built: Sinks = Vec::new();
        if let Some(stdout) = &config.sinks.stdout {
            self.name("sinks.stdout", "stdout");
            built.push(Arc::new(Stdout::new(stdout.clone())));
        }
        for (index, file) in config.sinks.file.iter().enumerate() {
            let setting = format!("sinks.file[{index}]");
            self.name(&format!("{setting}.name"), &file.name);
            if file.format == sinks::stdout::Format::Text {
                self.fail(&format!("{setting}.format"), "a file takes `json` or `ocsf`", None);
            }
            if !parent_exists(&file.path) {
                let message = format!("the directory of `{}` does not exist", file.path.display());
                self.fail(&format!("{setting}.path"), message, Some("make it, or name another"));
            }
            built.push(Arc::new(File::new(file.clone())));
        }
        self.webhooks(config, &mut built);
        self.alertmanagers(config, &mut built);
        self.otlp(config, &mut built);
        built
    }

    fn webhooks(&mut self, config: &Config, built: &mut Sinks) {
        for (index, webhook) in config.sinks.webhook.iter().enumerate() {
            let setting = format!("sinks.webhook[{index}]");
            self.name(&format!("{setting}.name"), &webhook.name);
            let secret = self.secret(&setting, "secret", webhook.secret_file.as_deref(), webhook.secret_env.as_deref());
            let url = self.url(&format!("{setting}.url"), &webhook.url);
            if let (Some(url), Some(client)) = (url, self.client(&setting, webhook.timeout_secs)) {
                let name = webhook.name.clone();
                built.push(Arc::new(Webhook::new(name, url, secret, webhook.minimum_severity, client)));
            }
        }
    }

    fn alertmanagers(&mut self, config: &Config, built: &mut Sinks) {
        for (index, alertmanager) in config.sinks.alertmanager.iter().enumerate() {
            let setting = format!("sinks.alertmanager[{index}]");
            self.name(&format!("{setting}.name"), &alertmanager.name);
            let (file, env) = (alertmanager.token_file.as_deref(), alertmanager.token_env.as_deref());
            let token = self.secret(&setting, "token", file, env);
            let url = self.url(&format!("{setting}.url"), &alertmanager.url);
            if let (Some(url), Some(client)) = (url, self.client(&setting, alertmanager.timeout_secs)) {
                built.push(Arc::new(Alertmanager::new(alertmanager, &url, token, client)));
            }
        }
    }

    fn otlp(&mut self, config: &Config, built: &mut Sinks) {
        for (index, otlp) in config.sinks.otlp.iter().enumerate() {
            let setting = format!("sinks.otlp[{index}]");
            self.name(&format!("{setting}.name"), &otlp.name);
            let url = self.url(&format!("{setting}.url"), &otlp.url);
            if let (Some(url), Some(client)) = (url, self.client(&setting, otlp.timeout_secs)) {
                match Otlp::new(otlp, &url, client) {
                    Ok(otlp) => built.push(Arc::new(otlp)),
                    Err(message) => self.fail(&format!("{setting}.headers"), message, None),
                }
            }
        }
    }

    fn client(&mut self, setting: &str, timeout_secs: u64) -> Option<reqwest::Client> {
        let timeout = Some(Duration::from_secs(timeout_secs.max(1)));
        match http::client(&http::Options { timeout, ..http::Options::default() }) {
            Ok(client) => Some(client),
            Err(error) => {
                self.fail(setting, format!("no HTTP client can be made: {error}"), None);
                None
            }
        }
    }

    fn url(&mut self, setting: &str, text: &str) -> Option<Url> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            Ok(_) | Err(_) => {
                // What stands before `@` may be a password.
                let shown = text.rsplit('@').next().unwrap_or_default();
                self.fail(setting, format!("`{shown}` is no URL"), Some("write for example `http://127.0.0.1:9093`"));
                None
            }
        }
    }

    fn secret(&mut self, setting: &str, what: &str, file: Option<&Path>, env: Option<&str>) -> Option<Secret> {
        match (file, env) {
            (Some(_), Some(_)) => {
                self.fail(setting, format!("`{what}_file` and `{what}_env` are both set"), Some("keep one of them"));
                None
            }
            (Some(path), None) => match files::read_text(path, SECRET_BYTES_MAX) {
                Ok(text) => Some(Secret::new(text.trim())),
                Err(error) => {
                    let message = format!("`{}` cannot be read: {error}", path.display());
                    self.fail(&format!("{setting}.{what}_file"), message, None);
                    None
                }
            },
            (None, Some(name)) => {
                let secret = std::env::var(name).ok().map(Secret::new);
                if secret.is_none() {
                    self.fail(&format!("{setting}.{what}_env"), format!("the variable `{name}` is not set"), None);
                }
                secret
            }
            (None, None) => None,
        }
    }

    fn mutes(&mut self, config: &Config) -> Vec<Mute> {
        let mut mutes = Vec::new();
        for (index, mute) in config.mutes.iter().enumerate() {
            let setting = format!("mutes[{index}]");
            let until: Option<Timestamp> = mute.until.parse().ok();
            let Some(until) = until else {
                let message = format!("`{}` is no date and time", mute.until);
                self.fail(&format!("{setting}.until"), message, Some("write for example `2027-01-31T00:00:00Z`"));
                continue;
            };
            match Mute::new(mute.rule.clone(), &mute.subject, until) {
                Ok(mute) => mutes.push(mute),
                Err(error) => self.fail(&format!("{setting}.subject"), format!("no valid glob: {error}"), None),
            }
        }
        mutes
    }

    fn rules(&mut self, config: &Config) {
        for (key, paths) in [("paths", &config.rules.paths), ("values", &config.rules.values)] {
            for (index, path) in paths.iter().enumerate().filter(|(_, path)| !path.exists()) {
                self.fail(&format!("rules.{key}[{index}]"), format!("`{}` does not exist", path.display()), None);
            }
        }
        for (index, path) in config.rules.overrides.iter().enumerate() {
            if !path.is_file() {
                let message = format!("`{}` is no file", path.display());
                self.fail(&format!("rules.overrides[{index}]"), message, Some("name a file of overrides"));
            }
        }
    }

    fn log(&mut self, config: &Config) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log.level) {
            self.fail("log.level", format!("`{}` is no log level: {error}", config.log.level), Some("write `info`"));
        }
    }
}

fn parent_exists(path: &Path) -> bool {
    path.parent().is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir())
}

/// Whether Kubernetes takes it as the name of an object (RFC 1123).
fn is_label(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&name.len()) && name.chars().all(inside) && name.starts_with(end) && name.ends_with(end)
}
