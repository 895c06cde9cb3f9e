//! Fields of registry records, files, log lines and the agent itself.

use crate::event::Field;
use crate::event::FieldType::{Bool, Integer, Open, Text, TextList, Time};
use crate::event::field::field;

/// What sources and the agent add to events.
pub const SOURCE_FIELDS: &[Field] = &[
    // Registries
    field("ml.model.registry", Text, "URL of the registry, without credentials."),
    field("ml.model.name", Text, "Name of the registered model."),
    field("ml.model.version", Text, "Version of the registered model."),
    field("ml.model.previous_version", Text, "Version that an alias named before."),
    field("ml.model.stage", Text, "Stage of the version, for example `Production`."),
    field("ml.model.source", Text, "Where the version was registered from."),
    field("ml.model.source.scheme", Text, "Scheme of that place: s3, gs, mlflow-artifacts, models, runs, file, http …"),
    field("ml.model.source.allowed", Bool, "The place is in the source's allow-list, or a store of the server itself."),
    field("ml.model.source.traversal", Bool, "The place has `..` in it, plain or encoded."),
    field("ml.model.source.pinned", Bool, "An external reference names a commit; absent for other places."),
    field("ml.run.id", Text, "Run that produced the version."),
    field("ml.run.state", Text, "State of that run: active, deleted, missing, none."),
    field("ml.model.alias", Text, "Alias that was set, moved or deleted."),
    field("ml.model.aliases", TextList, "Aliases of the version."),
    field("ml.model.gate.configured", Bool, "A gate is configured for this alias or stage."),
    field("ml.model.gate.missing", TextList, "Approval tags that the gate asks for and the version lacks."),
    field("ml.model.deleted_together", Integer, "Versions found deleted in the same sweep."),
    field("ml.model.tags.*", Open, "Tags of the model."),
    field("ml.model.version.tags.*", Open, "Tags of the version."),
    // Files
    field("file.path", Text, "Path of the file."),
    field("file.name", Text, "Last part of the path."),
    field("file.extension", Text, "Extension in lower case, without its dot."),
    field("file.size", Integer, "Bytes."),
    field("file.inode", Text, "Inode number."),
    field("file.mode", Text, "Permission bits in octal."),
    field("file.owner.id", Integer, "Numeric id of the owner."),
    field("file.modified", Time, "When the file was last modified."),
    // Logs
    field("log.line", Text, "The message, without terminal codes; of a progress bar its last state."),
    field("log.file.path", Text, "Path of the log file."),
    field("log.iostream", Text, "`stdout` or `stderr`."),
    field("log.level", Text, "Level, where the line tells it."),
    field("log.shortened", Bool, "The line was longer than is kept."),
    field("log.json.*", Open, "Top-level members of a line that is a JSON object."),
    // The agent itself
    field("agent.component", Text, "Part of the agent that reports, for example a source's name."),
    field("agent.reason", Text, "Why, from a closed set."),
    field("agent.detail", Text, "One sentence with the remedy."),
];
