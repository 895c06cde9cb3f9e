//! Facts of files that are shipped with a model: configurations, sources, notebooks, packaging, texts.

use crate::event::field::{Field, FieldType, field};

pub const FIELDS: &[Field] = &[
    field(
        "artifact.code_files",
        FieldType::TextList,
        "Python or notebook sources that loading would run or could import.",
    ),
    field(
        "artifact.remote_code",
        FieldType::TextList,
        "References to code that a loader would import: `auto_map:…`, `py/object:…`, `lc:…`, `loader_module:…`, `code_paths:…`, `handler:…`, `op_library:…`, `triton_backend:…`, `execution_env:…`.",
    ),
    field(
        "artifact.code.sinks",
        FieldType::TextList,
        "Calls in shipped code that execute, reach the network or read the environment.",
    ),
    field(
        "artifact.code.loaded_sinks",
        FieldType::TextList,
        "Those of them in code that loading a model, serving it or starting Python runs: in an archive, in a file that loaders look for by its name or classes, in a path file.",
    ),
    field(
        "artifact.code.dangers",
        FieldType::TextList,
        "What no script needs to do: `fetched:exec`, `decoded:…` and `computed:…` when that is run, `hidden:os.system`, `text:…` in a text that is run, `shell:…`, `pipes:…` in a script that runs what a host with a name sends it encrypted, `loads:…` for a pickle that was fetched, `bytecode:…`, `terminal:…`, `file:…` for data that is run, `gives_away:…`, `persists:…` for a write to what a shell, a scheduler or a session runs later, `encoding:…` of the source itself, `native_code`.",
    ),
    field(
        "artifact.packaging.dangers",
        FieldType::TextList,
        "Dangers in MLmodel, conda and requirements files: `git_url`, `direct_url`, `extra_index`, `index`, `insecure_url`, `trusted_host`, `remote_requirements`, `interpolation`, `yaml_tag`, `loader_module`.",
    ),
    field("artifact.notebook.commands", FieldType::TextList, "Commands that a notebook hands to a shell."),
    field(
        "artifact.notebook.dangers",
        FieldType::TextList,
        "What no lesson needs: `shell` when a command fetches and runs or opens a way in, `script` when a host with a name sends it encrypted, `installer` when it is that of a known maker, `output_drives_kernel`, `output_gives_away`, `cell_gives_away`, `handler` in a text cell, `fetched` when a magic takes code from an address without a name or without encryption.",
    ),
    field(
        "artifact.hidden_unicode",
        FieldType::TextList,
        "Characters that a reader does not see, with their line: `tags@line 3`, `zero_width@…`, `selectors@…`, `bidi@…`.",
    ),
    field("artifact.requirements", FieldType::TextList, "Requirements as written, one each."),
    field(
        "artifact.secrets",
        FieldType::TextList,
        "Kinds and places of secrets, never their text: `aws_access_key@line 3`, `environment:DB_PASSWORD`.",
    ),
    field(
        "artifact.config.targets",
        FieldType::TextList,
        "Everything that a Hydra, OmegaConf, NeMo or Lightning configuration has its loader build, by `module.name`.",
    ),
    field(
        "artifact.config.dangerous_targets",
        FieldType::TextList,
        "Those of them that execute, deserialise, or reach files or the network.",
    ),
    field(
        "artifact.config.interpolations",
        FieldType::TextList,
        "Resolvers of a configuration that run commands or evaluate code: `eval:__import__(…)`; shortened.",
    ),
    field(
        "artifact.config.duplicate_keys",
        FieldType::TextList,
        "Keys that decide what is loaded and are written twice with different values, so that two readers differ.",
    ),
    field(
        "artifact.config.base_models",
        FieldType::TextList,
        "Models that a configuration or an adapter builds on, as written.",
    ),
    field(
        "artifact.config.foreign_paths",
        FieldType::TextList,
        "Those of them that are addresses or shares of another machine.",
    ),
    field(
        "artifact.config.environment_secrets",
        FieldType::TextList,
        "Variables of the environment that a loader of LangChain puts where no secret belongs, with the key: `content:AWS_SECRET_ACCESS_KEY`.",
    ),
    field(
        "artifact.site_file.lines",
        FieldType::TextList,
        "Lines of a Python path file that every start of the interpreter runs: `import:…`, or `code:…` when they do more.",
    ),
    field("artifact.config.label_map", FieldType::TextList, "`id=label` pairs of `id2label`."),
    field("artifact.config.architectures", FieldType::TextList, "Architectures that a configuration names."),
    field("artifact.tokenizer.digest", FieldType::Text, "SHA-256 over the tokenizer's vocabulary, in id order."),
    field("artifact.tokenizer.tokens", FieldType::Integer, "Entries of the vocabulary."),
    field("artifact.tokenizer.pipeline", FieldType::Text, "SHA-256 over normalizer, pre-tokenizer and decoder."),
];
