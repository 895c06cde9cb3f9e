//! Declared fields: the names that a rule may use.

/// A name that a rule may use, declared by whoever produces the fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Dotted path: OpenTelemetry's name where there is one, else ECS's, else ours.
    pub path: &'static str,
    pub kind: FieldType,
    /// One sentence: what it says, with its unit or its set of values.
    pub doc: &'static str,
}

/// The type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    Bool,
    Integer,
    Float,
    Text,
    /// A list of texts: a rule matches when any member does.
    TextList,
    /// RFC 3339 time.
    Time,
    /// A family of fields that users name, for example `ml.model.tags.*`; the path ends in `.*`.
    Open,
}

impl FieldType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Text => "text",
            Self::TextList => "list of text",
            Self::Time => "time",
            Self::Open => "any",
        }
    }
}

/// Shorthand for declaring a field in a table.
pub const fn field(path: &'static str, kind: FieldType, doc: &'static str) -> Field {
    Field { path, kind, doc }
}

/// Fields that every event carries, and those of [`super::Place`].
pub const COMMON: &[Field] = &[
    field("@timestamp", FieldType::Time, "When it happened."),
    field("event.id", FieldType::Text, "Stable identifier of the event."),
    field("event.provider", FieldType::Text, "Name of the source as configured."),
    field("event.dataset", FieldType::Text, "Telemetry origin, for example `mlflow` or `filesystem`."),
    field("event.category", FieldType::Text, "The Sigma logsource category."),
    field("event.action", FieldType::Text, "What happened, for example `alias.moved`; see the source."),
    field(
        "subject.kind",
        FieldType::Text,
        "What the event is about: artifact, model_version, model, webhook, logged_model, job, trace, agent.",
    ),
    field("subject.name", FieldType::Text, "Its name, for example a path or `model/version`."),
    field("artifact.hash", FieldType::Text, "Digest of the bytes, `sha256:` and 64 hexadecimal digits."),
    field("host.name", FieldType::Text, "Host on which it happened."),
    field("k8s.namespace.name", FieldType::Text, "Kubernetes namespace."),
    field("k8s.pod.name", FieldType::Text, "Kubernetes pod."),
    field("k8s.pod.uid", FieldType::Text, "Unique id of the pod."),
    field("k8s.container.name", FieldType::Text, "Container in the pod."),
    field("k8s.container.restart_count", FieldType::Integer, "How often the container was restarted before."),
    field("container.id", FieldType::Text, "Container id, 64 hexadecimal digits."),
];
