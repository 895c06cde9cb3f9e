//! The classes of differences that outlines tell, each with what it may be graded and one sentence. `docs/diff.md`
//! explains the same set; a test holds the two together.

use crate::event::difference::Grade::{self, Hostile, Notable, Routine};

/// One class of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    pub id: &'static str,
    /// The worst grade that it is given.
    pub grade: Grade,
    pub says: &'static str,
}

const fn class(id: &'static str, grade: Grade, says: &'static str) -> Class {
    Class { id, grade, says }
}

/// All of them, by family.
pub const CLASSES: &[Class] = &[
    class("graph.inserted_nodes", Hostile, "Operators were put in and none was taken out: no export does that."),
    class("graph.appended_nodes", Notable, "A few operators that cannot decide anything were put in."),
    class("graph.rewritten", Notable, "Operators were taken out and put in: a new export, or another model."),
    class(
        "graph.removed_nodes",
        Notable,
        "Operators were taken out and none was put in: a simplifier, or a missing filter.",
    ),
    class("graph.rewired", Hostile, "The same operators are connected otherwise."),
    class(
        "graph.new_domain",
        Hostile,
        "Operators of a domain that the graph did not use: a library has to bring them.",
    ),
    class("graph.ports", Notable, "Inputs or outputs of the graph have other names, types or shapes."),
    class("graph.opset", Routine, "The graph asks for another version of the operators."),
    class("layers.code_added", Hostile, "A layer that runs code of its own: `Lambda`, `TFOpLambda` and their kin."),
    class("layers.added", Notable, "Layers were added."),
    class("layers.removed", Notable, "Layers were taken out."),
    class("layers.changed", Notable, "Layers have another class or configuration."),
    class("layers.training", Routine, "What the model was compiled with differs: optimizer, loss, metrics."),
    class("tokenizer.remapped", Hostile, "Numbers that meant one token mean another now."),
    class("tokenizer.removed", Hostile, "Tokens are gone, and numbers with them."),
    class("tokenizer.appended", Routine, "Tokens were added behind all others."),
    class("tokenizer.replaced", Notable, "Most of the vocabulary differs: another tokenizer."),
    class("tokenizer.pipeline", Hostile, "Text is normalised, split, framed or decoded otherwise."),
    class("tokenizer.merges", Hostile, "Rules by which pieces are joined were changed or taken out."),
    class("tokenizer.scores", Notable, "The pieces are the same, but weighed otherwise."),
    class("tokenizer.added_tokens", Notable, "Tokens beside the vocabulary were added, removed or made special."),
    class("tokenizer.padding", Routine, "Padding or truncation differs."),
    class("template.added", Notable, "There is a template or prompt where none was."),
    class("template.removed", Notable, "A template or prompt is gone."),
    class("template.changed", Notable, "The text of a template or prompt differs."),
    class("template.reformatted", Routine, "Only white space differs."),
    class("template.hidden", Hostile, "Characters that nobody sees were put into a template or prompt."),
    class("template.encoded", Hostile, "A long text in base64 was put into a template or prompt."),
    class("template.address", Notable, "An address was put into a template or prompt."),
    class("template.override", Hostile, "A text that orders the model to set earlier instructions aside."),
    class("template.condition", Hostile, "What the model is told depends on what its user says."),
    class("template.role", Notable, "What the model is told depends on a role that did not matter before."),
    class("document.changed", Routine, "A document that people read differs."),
    class("document.hidden", Notable, "Characters that nobody sees were put into a document."),
    class("config.remote_code", Hostile, "Loading the model runs code that is shipped with it or fetched."),
    class("config.code", Hostile, "A setting holds code or the address of a bare host, which it did not."),
    class("config.labels_swapped", Hostile, "The same labels stand at other numbers."),
    class("config.labels", Notable, "Labels were renamed, added or removed."),
    class("config.architecture", Notable, "The model says that it is of another architecture or size."),
    class("config.special_tokens", Notable, "Which tokens begin, end or fill a text differs."),
    class("config.context", Notable, "Positions are computed otherwise, or reach otherwise far."),
    class("config.quantization", Notable, "The model says that it is quantised otherwise."),
    class("config.base_model", Notable, "The model or adapter says that it was made from another model."),
    class("config.generation", Notable, "What may be generated is forced, forbidden or weighed otherwise."),
    class("config.preprocessing", Notable, "Inputs are prepared otherwise."),
    class("config.changed", Routine, "Other settings differ."),
    class("metadata.changed", Routine, "What the file says of itself differs."),
    class("image.command", Notable, "A container starts something else."),
    class("image.environment", Notable, "A container starts with other variables."),
    class("image.preload", Hostile, "A variable has every program of a container load something first."),
    class("image.user", Notable, "A container runs as somebody else."),
    class("image.layers", Notable, "Layers of an image or packaged model were added, removed or exchanged."),
    class("dataset.trigger_inserted", Hostile, "New rows are old rows with the same word or words put in."),
    class("dataset.words_inserted", Notable, "New rows are old rows with words put in, but not as a trigger is."),
    class("dataset.labels_targeted", Hostile, "Rows have another label, nearly all the same one."),
    class("dataset.labels_changed", Notable, "Rows have another label."),
    class("dataset.labels_renamed", Notable, "Labels have other names, one for one."),
    class("dataset.class_balance", Notable, "A label has another share of the rows."),
    class("dataset.schema", Notable, "Columns were added, removed or have another type."),
    class("dataset.rows_added", Routine, "Rows were added."),
    class("dataset.rows_removed", Routine, "Rows were taken out."),
    class("dataset.rows_changed", Routine, "Rows have the same text and other values."),
    class("dataset.reordered", Routine, "The same rows stand in another order."),
    class("code.sinks_added", Hostile, "Code now executes, deserialises or reaches the network where it did not."),
    class("code.changed", Notable, "Functions, classes or cells were added, removed or changed."),
    class("pins.hash_removed", Hostile, "A requirement that was pinned to a digest is no longer."),
    class("pins.hash_changed", Hostile, "The same version of a package has another digest, and none of the old ones."),
    class("pins.source", Hostile, "A package comes from another index, address or repository."),
    class("pins.option", Notable, "Options of the installer differ."),
    class("pins.downgraded", Notable, "A package is older than before."),
    class("pins.loosened", Notable, "A package that had one version may have others."),
    class("pins.added", Notable, "A package was added."),
    class("pins.changed", Routine, "Packages have newer versions, or are gone."),
    class("imports.dangerous", Hostile, "Loading imports something with which code is run."),
    class("imports.added", Notable, "Loading imports something new."),
    class("imports.removed", Routine, "Loading imports less."),
    class("imports.opcodes", Notable, "The stream uses instructions that it did not use."),
    class("members.added", Notable, "Members were added."),
    class("members.removed", Notable, "Members are gone."),
    class("members.changed", Routine, "Members have other bytes."),
    class("members.code", Hostile, "A member that is code or a pickle was added."),
    class("bytes.changed", Routine, "Bytes differ; how much of the file is the same is said."),
    class("outline.part_added", Notable, "The file has a part that it did not have."),
    class("outline.part_removed", Notable, "The file lost a part."),
    class("outline.cut", Notable, "Something was left out of the comparison."),
];

/// What is known of a class.
pub fn find(id: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.id == id)
}
