//! The fields that sources produce.

use crate::event::field::{Field, FieldType, field};

/// Of files, wherever they lie.
pub const FILE: &[Field] = &[
    field("file.path", FieldType::Text, "Path of the file, or path inside a registered version."),
    field("file.name", FieldType::Text, "Last part of the path."),
    field("file.extension", FieldType::Text, "What follows the last dot of the name, in lower case, without the dot."),
    field("file.size", FieldType::Integer, "Bytes."),
    field("file.inode", FieldType::Integer, "Inode number."),
    field("file.mode", FieldType::Text, "Permission bits in octal, for example `0644`."),
    field(
        "file.links",
        FieldType::Integer,
        "Names that the file has: more than one means that it can be written by another.",
    ),
    field("file.writable_by", FieldType::TextList, "Who may write beside the owner, by the mode: group, others."),
    field("file.served", FieldType::Bool, "The configuration says that a model is served from here."),
    field("file.exclusive", FieldType::Bool, "The configuration says that nobody else may write to the file."),
    field("file.owner.id", FieldType::Integer, "User id of the owner."),
    field("file.modified", FieldType::Time, "When the content was last modified, as the file system says."),
    field(
        "artifact.claimed_hash",
        FieldType::Text,
        "Digest that the registry or store promises: `sha256:` and 64 hexadecimal digits.",
    ),
    field("file.leads_outside", FieldType::Bool, "A link in a repository of the hub's cache that leads out of it."),
    field("file.cache.other", FieldType::Bool, "A file in the hub's cache that is not what its commit has there."),
    field(
        "file.cache.unlisted",
        FieldType::Bool,
        "A file in a snapshot of the hub's cache that its commit does not have.",
    ),
    field(
        "file.cache.detached",
        FieldType::Bool,
        "A file of its own among links, in a snapshot of the hub's cache: nothing says that it was fetched.",
    ),
    field("file.cache.dangling", FieldType::Bool, "A reference of the hub's cache to a commit that was never fetched."),
    field(
        "file.cache.not_fetched",
        FieldType::Text,
        "Of a reference of the hub's cache that was written long after the snapshot that it names was made: older, if \
         that which it led to before is newer; unlisted, if it is not and nobody listed what its commit has; newest else.",
    ),
    field(
        "file.cache.commit",
        FieldType::Text,
        "Commit of a file in the hub's cache, where nobody listed what it has.",
    ),
    field("file.target_path", FieldType::Text, "Where a symbolic link leads, where the path is one."),
];

/// Of records of a model registry.
pub const REGISTRY: &[Field] = &[
    field("ml.model.registry", FieldType::Text, "URL of the registry, without credentials."),
    field("ml.model.name", FieldType::Text, "Name of the registered model."),
    field("ml.model.workspace", FieldType::Text, "Workspace of the model, where workspaces are watched."),
    field("ml.model.version", FieldType::Text, "Its version."),
    field("ml.model.stage", FieldType::Text, "Stage of the version: None, Staging, Production or Archived."),
    field("ml.model.description", FieldType::Text, "What its owner wrote about it; shortened."),
    field("ml.model.source", FieldType::Text, "Where the version says that its bytes come from."),
    field("ml.model.source.scheme", FieldType::Text, "Scheme of that place, for example `s3`; empty for a plain path."),
    field("ml.model.source.allowed", FieldType::Bool, "The place is on the configured allow-list."),
    field("ml.model.source.traversal", FieldType::Bool, "The place contains `..`, plain or encoded."),
    field("ml.model.source.pinned", FieldType::Bool, "An external reference names a commit; absent for others."),
    field("ml.model.artifact.location", FieldType::Text, "Where the registry serves the version's bytes from."),
    field("ml.model.aliases", FieldType::TextList, "Aliases that point to the version, or all of the model."),
    field("ml.model.alias", FieldType::Text, "The alias that was set, moved or deleted."),
    field("ml.model.alias_versions", FieldType::TextList, "All aliases of the model, as `alias=version`."),
    field("ml.model.previous_version", FieldType::Text, "Version to which the alias pointed before."),
    field("ml.model.previous_stage", FieldType::Text, "Stage of the version before."),
    field("ml.model.gate.configured", FieldType::Bool, "The alias asks for approval tags."),
    field("ml.model.gate.missing", FieldType::TextList, "Approval tags that the version lacks."),
    field("ml.model.gate.open", FieldType::TextList, "Approval tags that are lacking, as `alias=tag`, on a model."),
    field("ml.model.deleted_together", FieldType::Integer, "Versions found deleted in the same sweep."),
    field(
        "ml.model.aliases_lost",
        FieldType::TextList,
        "Aliases that led to the version until it went, or until shortly before, and lead to no other now.",
    ),
    field("ml.model.tags.*", FieldType::Open, "Tags of the model."),
    field("ml.model.version.tags.*", FieldType::Open, "Tags of the version."),
    field("ml.model.private", FieldType::Bool, "Only those who are let in can read it."),
    field("ml.model.gated", FieldType::Bool, "Everybody sees it, and has to ask before reading it."),
    field("ml.model.scan.done", FieldType::Bool, "The registry's own scanners have looked at all of it."),
    field("ml.model.scan.issues", FieldType::TextList, "Files that they flag, as `path=level`."),
    field("ml.artifact.scan.level", FieldType::Text, "How they flag the file: unsafe, suspicious, caution."),
    field("ml.model.created", FieldType::Time, "When the registry says that it was created."),
    field("ml.model.owner.id", FieldType::Text, "What its registry knows the repository by, whatever it is called."),
    field(
        "ml.model.rewritten",
        FieldType::TextList,
        "Branches whose history lacks the commit before, as `branch=commit`.",
    ),
    field("ml.model.previous_created", FieldType::Time, "When what had this name before was created."),
    field("ml.prompt.name", FieldType::Text, "Name of the prompt, where a version or file is one."),
    field("ml.run.id", FieldType::Text, "Run that made the version."),
    field("ml.run.user", FieldType::Text, "User whose run made the version, as the run says."),
    field("ml.experiment.id", FieldType::Text, "Experiment of that run."),
    field("ml.dataset.digests", FieldType::TextList, "Data that the run says it read, as `name=digest`."),
    field("ml.dataset.sources", FieldType::TextList, "Where that came from, as `name=address`, without credentials."),
    field(
        "ml.dataset.changed",
        FieldType::TextList,
        "Names under which the version before had other data; absent where the run tells of no data.",
    ),
    field("ml.run.state", FieldType::Text, "State of that run: active, deleted, missing or none."),
];

/// Of models as runs log them.
pub const LOGGED: &[Field] = &[
    field("ml.logged_model.id", FieldType::Text, "What the registry knows it by."),
    field("ml.logged_model.name", FieldType::Text, "What the run called it; others may be called so as well."),
    field("ml.logged_model.status", FieldType::Text, "PENDING, READY or UPLOAD_FAILED."),
    field("ml.logged_model.type", FieldType::Text, "What its maker says that it is, for example Agent."),
    field("ml.logged_model.tags.*", FieldType::Open, "Its tags."),
    field("ml.logged_model.changed", FieldType::TextList, "What of it changed: status, location, run, tags."),
    field("ml.experiment.name", FieldType::Text, "Name of its experiment."),
];

/// Of webhooks that are registered with a registry.
pub const WEBHOOK: &[Field] = &[
    field("ml.webhook.id", FieldType::Text, "What the registry knows it by."),
    field("ml.webhook.name", FieldType::Text, "What whoever registered it called it."),
    field(
        "ml.webhook.url",
        FieldType::Text,
        "Where it sends to, without credentials and query; at public hosts without the path, which often is a secret.",
    ),
    field("ml.webhook.digest", FieldType::Text, "Of the whole address, to tell one from another."),
    field("ml.webhook.scheme", FieldType::Text, "http or https."),
    field("ml.webhook.host", FieldType::Text, "Name or address of the host."),
    field(
        "ml.webhook.reach",
        FieldType::Text,
        "Where that leads, by its text: public, internal, private, loopback, link_local, metadata, rebinding, nowhere.",
    ),
    field("ml.webhook.allowed", FieldType::Bool, "The address is on the configured allow-list."),
    field("ml.webhook.known", FieldType::Bool, "Allowed, or its host had webhooks when they were first listed."),
    field("ml.webhook.events", FieldType::TextList, "What it is sent, as `model_version.created`."),
    field("ml.webhook.status", FieldType::Text, "ACTIVE or DISABLED."),
    field("ml.webhook.changed", FieldType::TextList, "What of it changed: url, events, status, name."),
    field("ml.webhook.previous_url", FieldType::Text, "Where it sent to before."),
];

/// Of objects in buckets.
pub const OBJECT: &[Field] = &[
    field("ml.artifact.url", FieldType::Text, "Address of the object, for example `s3://models/fraud/model.pkl`."),
    field("ml.artifact.etag", FieldType::Text, "Entity tag of the object, without quotes; no digest of its bytes."),
    field("ml.artifact.generation", FieldType::Text, "Generation or version of the object, another with each write."),
    field(
        "ml.artifact.restored_from",
        FieldType::Text,
        "Older version of the object that had the same size and tag, where others or a deletion came between.",
    ),
];

/// Of records of an OCI registry, beside those of every registry: a repository is a model there, a manifest a version,
/// and a tag an alias.
pub const OCI: &[Field] = &[
    field("oci.tag", FieldType::Text, "The tag that was set, moved or deleted."),
    field(
        "oci.manifest.digest",
        FieldType::Text,
        "Digest of the manifest: of the version, or where the tag leads now.",
    ),
    field("oci.manifest.previous_digest", FieldType::Text, "Digest of the manifest to which the tag led before."),
    field(
        "oci.packaging",
        FieldType::Text,
        "Who packed it, by its types: modelpack, kitops, docker-ai, ollama, modelcar, image, oras or index.",
    ),
    field("oci.artifact.type", FieldType::Text, "Type of the artifact, else of its configuration."),
    field("oci.media_type", FieldType::Text, "Media type of the blob."),
    field(
        "oci.signed",
        FieldType::Bool,
        "A signature lies beside the manifest; whether it is a good one was not asked.",
    ),
];

/// Of records of a Git repository, beside those of every registry: a repository is a model there, a commit a version,
/// and a branch or tag an alias.
pub const GIT: &[Field] = &[
    field("git.ref", FieldType::Text, "Whole name of the branch or tag, for example `refs/heads/main`."),
    field("git.kept_by", FieldType::Text, "Who keeps the bytes of the file: git, lfs or dvc."),
    field("git.bytes_here", FieldType::Bool, "The bytes are on this host; else only their digest is known."),
    field("git.pointer_problem", FieldType::Text, "Why a pointer of LFS or an entry of DVC is not as it should be."),
    field("git.default.branch", FieldType::Text, "What people get who name no branch; of bare repositories."),
    field("git.default.commit", FieldType::Text, "Where that leads."),
    field("git.default.previous", FieldType::Text, "The default branch before."),
    field(
        "git.default.history",
        FieldType::Text,
        "What the new default branch has of the one before: same commit, continued, other, unknown.",
    ),
    field("git.claimed.author", FieldType::Text, "Who the commit says wrote it: anybody can claim to be anybody."),
    field("git.claimed.committer", FieldType::Text, "Who the commit says made it; not who pushed it."),
    field("git.claimed.time", FieldType::Time, "When the commit says that it was made."),
];

/// Of log lines.
pub const LOG: &[Field] = &[
    field("log.line", FieldType::Text, "The message, without colour codes; the last state of a progress bar."),
    field("log.file.path", FieldType::Text, "Path of the log file."),
    field("log.iostream", FieldType::Text, "stdout or stderr."),
    field("log.level", FieldType::Text, "Level that a JSON line names, in lower case."),
    field("log.json.*", FieldType::Open, "Top-level members of a JSON line."),
    field("log.shortened", FieldType::Bool, "The line was longer than the bound, and cut."),
];

/// Of questions to models and their answers. Names of OpenTelemetry where it has one.
pub const INFERENCE: &[Field] = &[
    field(
        "gen_ai.request.model",
        FieldType::Text,
        "Name of the model that the outermost call asked for, where it names one.",
    ),
    field("gen_ai.response.model", FieldType::Text, "Name of the model that answered it, where the answer names one."),
    field("gen_ai.conversation.id", FieldType::Text, "Conversation or session to which the question belongs."),
    field("gen_ai.usage.input_tokens", FieldType::Integer, "Tokens of all questions to models together."),
    field("gen_ai.usage.output_tokens", FieldType::Integer, "Tokens of all their answers together."),
    field("enduser.id", FieldType::Text, "Who asked, as the application says."),
    field(
        "ml.inference.request",
        FieldType::Text,
        "What was asked, as far as the source has it: of a trace the preview, mostly the last message of the user.",
    ),
    field("ml.inference.response", FieldType::Text, "What was said, as far as the source has it."),
    field(
        "ml.inference.request.hidden_unicode",
        FieldType::TextList,
        "Kinds of characters in the question that a reader does not see: tags, zero_width, selectors, bidi.",
    ),
    field("ml.inference.response.hidden_unicode", FieldType::TextList, "The same in the answer."),
    field(
        "ml.inference.request.secrets",
        FieldType::TextList,
        "Kinds of credentials in the question, as in `artifact.secrets`, without their places.",
    ),
    field(
        "ml.inference.response.secrets",
        FieldType::TextList,
        "Kinds of those in the answer that were not in the question.",
    ),
    field(
        "ml.inference.response.images_with_data",
        FieldType::TextList,
        "Hosts from which images of the answer are fetched with data in their address, as `host=kind`: text, base64, base32, hex, catcher.",
    ),
    field("ml.inference.duration_ms", FieldType::Integer, "Milliseconds from the question to the end of the answer."),
    field("ml.trace.id", FieldType::Text, "What the server knows the trace by."),
    field("ml.trace.name", FieldType::Text, "Name of its outermost call."),
    field("ml.trace.state", FieldType::Text, "OK, ERROR, IN_PROGRESS or STATE_UNSPECIFIED."),
    field(
        "ml.trace.recorded_by",
        FieldType::Text,
        "User who recorded it, as the server knows, else as the client says.",
    ),
    field("ml.trace.tags.*", FieldType::Open, "Tags of the trace, without those of MLflow's own."),
    field("ml.trace.metadata.*", FieldType::Open, "Its metadata, without those of MLflow's own."),
];

/// All of them.
pub fn fields() -> Vec<Field> {
    [FILE, REGISTRY, LOGGED, WEBHOOK, OBJECT, OCI, GIT, LOG, INFERENCE].concat()
}
