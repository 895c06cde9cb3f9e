//! The configuration as written in a file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detect::correlation::Limits;
use crate::provenance::policy;
use crate::sinks::{alertmanager, file, otlp, stdout, webhook};
use crate::sources::hints::Scheme;
use crate::sources::{cloudevents, filesystem, git, huggingface, logs, mlflow, objects, oci};

/// All settings of an agent. Everything has a default; an empty file is a configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub state: State,
    pub http: Http,
    pub rules: Rules,
    pub correlation: Correlation,
    pub sources: Sources,
    /// Who may tell that something happened at a source: `POST /api/v1/hints/SOURCE`.
    pub receivers: Vec<Receiver>,
    /// Sources that several agents could poll, and of which one shall.
    pub leases: Vec<Lease>,
    pub sinks: Sinks,
    pub alerts: Alerts,
    pub inspection: Inspection,
    pub signatures: Signatures,
    /// Alerts not to be told, until a date.
    pub mutes: Vec<Mute>,
    pub log: Log,
    pub telemetry: Telemetry,
}

/// The embedded database.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Directory, made if it is missing.
    pub path: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self { path: PathBuf::from(".lanner") }
    }
}

/// Metrics, health and status.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port. Bind to more than loopback only where a network policy guards it.
    pub listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".to_owned() }
    }
}

/// Which rules are in force.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Use the rules that are built in.
    pub shipped: bool,
    /// Further rule files, or directories of them.
    pub paths: Vec<PathBuf>,
    /// Lists of values for `expand`: files `NAME.txt` or `NAME.yml`, or folders of them.
    pub values: Vec<PathBuf>,
    /// Short ids or UUIDs of rules not to use.
    pub disabled: Vec<String>,
    /// Files of overrides: rules to switch off, other levels, other tags, each with its reason.
    pub overrides: Vec<PathBuf>,
    /// Load again when a file changes; a SIGHUP always does.
    pub watch: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            shipped: true,
            paths: Vec::new(),
            values: Vec::new(),
            disabled: Vec::new(),
            overrides: Vec::new(),
            watch: true,
        }
    }
}

/// Bounds of what correlation rules remember.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Correlation {
    /// Seconds by which an event may come after newer ones of its source or group and still count.
    pub lateness_secs: u64,
    /// Groups of all correlations together; beyond, those that were touched longest ago go.
    pub groups_max: usize,
    /// Events in one group; beyond, the oldest go.
    pub group_entries_max: usize,
    /// Bytes of memory for all groups together; beyond, those that were touched longest ago go.
    pub bytes_max: usize,
}

impl Default for Correlation {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            lateness_secs: limits.lateness_millis.unsigned_abs() / 1000,
            groups_max: limits.groups_max,
            group_entries_max: limits.group_entries_max,
            bytes_max: limits.bytes_max,
        }
    }
}

impl Correlation {
    pub fn limits(&self) -> Limits {
        Limits {
            groups_max: self.groups_max,
            group_entries_max: self.group_entries_max,
            bytes_max: self.bytes_max,
            lateness_millis: i64::try_from(self.lateness_secs.saturating_mul(1000)).unwrap_or(i64::MAX),
        }
    }
}

/// What to watch.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sources {
    pub filesystem: Vec<filesystem::Config>,
    pub mlflow: Vec<mlflow::Config>,
    pub huggingface: Vec<huggingface::Config>,
    pub objects: Vec<objects::Config>,
    pub oci: Vec<oci::Config>,
    pub cloudevents: Vec<cloudevents::Config>,
    pub index: Vec<cloudevents::IndexConfig>,
    pub git: Vec<git::Config>,
    pub logs: Vec<logs::Config>,
}

/// Takes hints of one source, so that it looks at once and not only at its next listing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Name of the source.
    pub source: String,
    /// How senders prove that they know the secret.
    #[serde(default)]
    pub scheme: Scheme,
    /// File that holds the secret; none is needed only where `http.listen` is on loopback.
    pub secret_file: Option<PathBuf>,
    /// Variable that holds it, instead.
    pub secret_env: Option<String>,
}

/// Lets one of several agents poll a source: whoever holds the lock on a file that all of them see, or a Lease of
/// Kubernetes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Name of the source.
    pub source: String,
    /// The file; it is made, and stays empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A Lease of the cluster that the agent runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesLease>,
}

/// An object of the kind Lease (`coordination.k8s.io/v1`); it is made if it is missing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesLease {
    pub name: String,
    /// That of the pod if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Address of the cluster, if it is not that which a pod is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Folder with `token`, `ca.crt` and `namespace`.
    #[serde(default = "service_account")]
    pub service_account: PathBuf,
}

fn service_account() -> PathBuf {
    PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount")
}

/// Where alerts go.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sinks {
    pub stdout: Option<stdout::Config>,
    pub file: Vec<file::Config>,
    pub webhook: Vec<webhook::Config>,
    pub alertmanager: Vec<alertmanager::Config>,
    pub otlp: Vec<otlp::Config>,
}

/// When a finding is told again, and how long alerts are kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Seconds for which the same rule about the same bytes or job is not told again.
    pub repeat_after_secs: u64,
    /// Days for which delivered alerts are kept.
    pub keep_days: u32,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { repeat_after_secs: 3600, keep_days: 90 }
    }
}

/// Bounds of looking into artifacts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inspection {
    /// Artifacts of up to 256 MiB looked into at the same time, and as many that must be fetched first; beside them half
    /// as many of up to 16 GiB, and one larger. 0: one for each processor.
    pub workers: usize,
    /// Bytes read for one inspection; hashing is not counted.
    pub read_bytes_max: u64,
    /// Bytes that decompression may yield for one artifact.
    pub inflate_bytes_max: u64,
    /// Bytes fetched of an artifact that is larger than the `artifact_bytes_max` of its source; each request counts as
    /// 256 KiB at least. 0: such artifacts are not looked into.
    pub parts_bytes_max: u64,
    /// Seconds until an inspection counts as hung and is given up; what cannot be read in that time is given up as
    /// soon as that is clear.
    pub timeout_secs: u64,
    /// Classes of yours that pickles may name: `package.module.Class`, `package.*`, `package.^`.
    pub vetted: Vec<String>,
}

impl Default for Inspection {
    fn default() -> Self {
        let limits = crate::artifact::Limits::default();
        Self {
            workers: 0,
            read_bytes_max: limits.read_bytes_max,
            inflate_bytes_max: limits.inflate_bytes_max,
            parts_bytes_max: limits.parts_bytes_max,
            timeout_secs: 900,
            vetted: Vec::new(),
        }
    }
}

/// Which models must be signed, and by whom.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signatures {
    /// Each model is verified when something of it changed, and again after so many seconds though nothing did.
    pub interval_secs: u64,
    /// The first rule whose glob fits a path counts; what no rule names is not asked for a signature.
    pub rules: Vec<policy::RuleConfig>,
    /// Root digests that nobody should serve any more, whichever rule counts: 64 hexadecimal digits each.
    pub superseded: Vec<String>,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { interval_secs: 21_600, rules: Vec::new(), superseded: Vec::new() }
    }
}

/// Alerts that a person has decided not to be told of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mute {
    /// Short id of a rule; every rule when it is left out.
    #[serde(default)]
    pub rule: Option<String>,
    /// Glob over subjects, for example `fraud-clf/*`.
    pub subject: String,
    /// Date and time, RFC 3339, after which alerts come again.
    pub until: String,
    /// Why, for whoever reads this next.
    pub reason: String,
}

/// The agent's own log, on standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A level, or directives such as `info,lanner::sources=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// The agent's own spans, logs and metrics over OTLP; off unless an endpoint is named.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Base URL of an OTLP/HTTP receiver, for example `http://127.0.0.1:4318`.
    pub endpoint: Option<String>,
    /// Seconds between two exports of metrics.
    pub interval_secs: u64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { endpoint: None, interval_secs: 30 }
    }
}
