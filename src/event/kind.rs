//! The closed set of things that can happen, and the Sigma category that each is matched under.

/// What an event says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// Bytes appeared, changed or went away.
    ArtifactChange,
    /// Facts of one static inspection.
    ArtifactScan,
    /// What differs between two versions of one artifact.
    ArtifactDiff,
    /// A registry's record was created, changed or deleted.
    ModelRegistry,
    /// One line of a job's log.
    TrainingLog,
    /// What a model was asked, and what it said.
    Inference,
    /// The agent about itself: loss, blindness, failed reload.
    AgentHealth,
}

impl EventKind {
    pub const ALL: [Self; 7] = [
        Self::ArtifactChange,
        Self::ArtifactScan,
        Self::ArtifactDiff,
        Self::ModelRegistry,
        Self::TrainingLog,
        Self::Inference,
        Self::AgentHealth,
    ];

    /// The Sigma `logsource.category` under which rules match this kind.
    pub const fn category(self) -> &'static str {
        match self {
            Self::ArtifactChange => "artifact_change",
            Self::ArtifactScan => "artifact_scan",
            Self::ArtifactDiff => "artifact_diff",
            Self::ModelRegistry => "model_registry",
            Self::TrainingLog => "training_log",
            Self::Inference => "inference",
            Self::AgentHealth => "agent_health",
        }
    }

    /// The kind that a rule's `logsource.category` names.
    pub fn from_category(category: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.category() == category)
    }
}
