//! The fields that inspections and comparisons produce.

mod formats;
mod shipped;

use std::sync::LazyLock;

use crate::event::field::{Field, FieldType, field};

pub use formats::FORMATS;

/// Facts of one inspection. Each list fact `artifact.X` also has `artifact.diff.added.X` and
/// `artifact.diff.removed.X` in an `artifact_diff` event.
pub const FIELDS: &[Field] = &[
    field("artifact.format", FieldType::Text, "Format by content, for example `pickle` or `safetensors`."),
    field("artifact.declared_format", FieldType::Text, "Format that the file name claims, where it claims one."),
    field("artifact.extension_mismatch", FieldType::Bool, "The name claims a format that the content is not."),
    field("artifact.size", FieldType::Integer, "Bytes."),
    field("artifact.issues", FieldType::TextList, "Codes of what was broken or not looked at."),
    field("artifact.members", FieldType::TextList, "Paths inside the container."),
    // Pickle
    field("artifact.pickle.protocol", FieldType::Integer, "Highest protocol seen, 0 to 5."),
    field("artifact.pickle.streams", FieldType::Integer, "Pickle streams in the artifact and its members."),
    field("artifact.pickle.globals", FieldType::TextList, "Every `module.name` that loading would import."),
    field("artifact.pickle.calls", FieldType::TextList, "Every `module.name` that loading would call."),
    field(
        "artifact.pickle.dangerous",
        FieldType::TextList,
        "Globals that are known means of execution, file or network access.",
    ),
    field(
        "artifact.pickle.dangerous_calls",
        FieldType::TextList,
        "Those of them that loading would call, directly or through another callable.",
    ),
    field(
        "artifact.pickle.unlisted",
        FieldType::TextList,
        "Globals that are neither vetted nor known to be dangerous.",
    ),
    field("artifact.pickle.unlisted_calls", FieldType::TextList, "Those of them that loading would call."),
    field(
        "artifact.pickle.suspicious_arguments",
        FieldType::TextList,
        "Arguments of unlisted calls that look like commands, URLs, paths or code; shortened.",
    ),
    field(
        "artifact.pickle.suspicious_state",
        FieldType::TextList,
        "The same in the state of objects of unlisted classes, where paths and addresses may well be data; shortened.",
    ),
    field(
        "artifact.pickle.code_by_value",
        FieldType::TextList,
        "Functions whose code cloudpickle wrote into the pickle, by name, and what in it executes or reaches out: `sink:os.system`.",
    ),
    field("artifact.pickle.arguments", FieldType::TextList, "Texts handed to dangerous calls; shortened."),
    field(
        "artifact.pickle.nested_loaders",
        FieldType::TextList,
        "Callables that would deserialise further bytes, for example `pickle.loads`.",
    ),
    field(
        "artifact.pickle.nested",
        FieldType::Integer,
        "Pickles found inside byte strings or texts of a pickle, or in object arrays where none belong.",
    ),
    field("artifact.pickle.broken", FieldType::Bool, "A stream ends in an error."),
    field(
        "artifact.pickle.broken_after_call",
        FieldType::Bool,
        "A stream ends in an error after a dangerous or unlisted call was made.",
    ),
    field(
        "artifact.pickle.anomalies",
        FieldType::TextList,
        "Tricks against parsers: `frame_boundary`, `extension_registry`, `dotted_name`, `computed_name`, `misplaced_proto`, `expansion`, `attribute_write`.",
    ),
    // XML
    field(
        "artifact.xml.anomalies",
        FieldType::TextList,
        "What an XML model has no use for: `doctype`, `entity`, `external_entity`, `parameter_entity`, `external_subset`, `expansion`, `xinclude`, `xml_base`, `script`, `extension_code`, `stylesheet`, `encoding:…`, `function:…` of a foreign class, `offset:…` that is no number.",
    ),
    // R
    field("artifact.r.objects", FieldType::TextList, "Objects of an R workspace, by name."),
    field(
        "artifact.r.code",
        FieldType::TextList,
        "Kinds of code in an R object, as ordinary models have them too: `closure`, `promise`, `bytecode`.",
    ),
    field(
        "artifact.r.active",
        FieldType::TextList,
        "What runs when an R object is read or used, or executes: `promise` outside of an environment, `promise:system`, `closure:…`, `language:…`, `expression:…`, `startup:.First`.",
    ),
    // skops
    field("artifact.skops.types", FieldType::TextList, "Every `module.name` that a skops file would become."),
    field(
        "artifact.skops.dangerous",
        FieldType::TextList,
        "Those of them, and methods, that execute, deserialise, or reach files or the network.",
    ),
    field("artifact.skops.untrusted", FieldType::TextList, "Those that are neither vetted nor known to be dangerous."),
    field(
        "artifact.skops.anomalies",
        FieldType::TextList,
        "Nodes that lie about themselves: `loader_mismatch:…` when the loader makes no such class, `unknown_loader:…`.",
    ),
    // Containers
    field(
        "artifact.container.anomalies",
        FieldType::TextList,
        "Disagreements inside the container: `duplicate_entry`, `hidden_entry`, `name_mismatch`, `crc_mismatch`, `flag_bits`, `prefix_data`, `trailing_data`, `several_directories`, `size_mismatch`, `unexpected_container`, `no_directory`, `several_data_pickles`, `legacy_magic`, `encrypted`.",
    ),
    field(
        "artifact.container.escapes",
        FieldType::TextList,
        "Members that would leave the directory: traversal, absolute paths, links, devices.",
    ),
    field("artifact.container.bomb", FieldType::TextList, "Resource bombs: `ratio`, `size`, `overlap`, `depth`."),
    field(
        "artifact.digest.mismatches",
        FieldType::TextList,
        "What states another digest or size than the bytes have: `name:sha256:…`, `size:…`, or the member of an archive.",
    ),
    // Images and packaged models
    field("artifact.oci.media_types", FieldType::TextList, "Types that an image's manifest names."),
    field("artifact.oci.artifact_types", FieldType::TextList, "What a manifest says that it is, if no image."),
    field(
        "artifact.oci.packaging",
        FieldType::TextList,
        "How a model was packaged: `modelpack`, `kitops`, `docker-ai`, `ollama`, `modelcar`.",
    ),
    field(
        "artifact.oci.layers",
        FieldType::TextList,
        "Layers of an image, by type and digest: `application/vnd.ollama.image.template@sha256:…`.",
    ),
    field("artifact.oci.titles", FieldType::TextList, "Names under which the layers of a packaged model are written."),
    field(
        "artifact.oci.urls",
        FieldType::TextList,
        "Addresses from which layers are fetched that are not with the image, but for Windows' own.",
    ),
    field("artifact.oci.commands", FieldType::TextList, "What an image starts: its entry point and its arguments."),
    field(
        "artifact.oci.dangers",
        FieldType::TextList,
        "What no image needs to start: `command:…` that fetches and runs or opens a way in, `preload:…` of a library that anybody can write.",
    ),
    field(
        "artifact.oci.prompts",
        FieldType::TextList,
        "What a packaged model is told before its user speaks, with its digest: `template:sha256:…`, `system:sha256:…`.",
    ),
    field("artifact.oci.whiteouts", FieldType::Integer, "Marks of a layer that delete what a layer below it has."),
    field(
        "artifact.programs",
        FieldType::TextList,
        "A program or library that is called like one: `elf`, `pe`, `mach-o`.",
    ),
    field(
        "artifact.embedded_executables",
        FieldType::TextList,
        "Native or script payloads with their place, for example `elf@4096`.",
    ),
    // Tensors
    field("artifact.tensors.count", FieldType::Integer, "Tensors declared."),
    field("artifact.tensors.bytes", FieldType::Integer, "Bytes that the tensors declare."),
    field(
        "artifact.tensors.anomalies",
        FieldType::TextList,
        "Header lies: `overlap`, `gap`, `out_of_bounds`, `duplicate_name`, `header_size`, `shape_mismatch`, `trailing_data`, `unknown_type`, `overflow`, `no_such_buffer`.",
    ),
    field(
        "artifact.tensors.hidden_payloads",
        FieldType::TextList,
        "What the lowest bits of a tensor's numbers spell, for example `elf in the lowest 1 of each 32 bits`.",
    ),
    field(
        "artifact.metadata.suspicious",
        FieldType::TextList,
        "Metadata keys whose value holds code, a URL or a pickle.",
    ),
    // GGUF and chat templates
    field("artifact.gguf.version", FieldType::Integer, "Version of the GGUF header."),
    field(
        "artifact.gguf.anomalies",
        FieldType::TextList,
        "Header lies: `count`, `length`, `type`, `alignment`, `duplicate_key`, `offset`, `dimensions`.",
    ),
    field("artifact.chat_template.digest", FieldType::Text, "SHA-256 of the chat template's text."),
    field(
        "artifact.chat_template.unsafe",
        FieldType::TextList,
        "What in the template's syntax tree could run code: `dunder:__class__`, `include`, `import`, `call:…`, `format`.",
    ),
    field(
        "artifact.chat_template.instructions",
        FieldType::TextList,
        "Orders to the model that are kept from its user: `hidden` together with `override`, `address`, `script` or `evaluation`.",
    ),
    field("artifact.chat_template.unparsed", FieldType::Bool, "The template is no valid Jinja."),
    // Keras and HDF5
    field(
        "artifact.keras.lambdas",
        FieldType::TextList,
        "Layers and functions whose bytecode a Keras configuration carries, by name.",
    ),
    field(
        "artifact.keras.code",
        FieldType::TextList,
        "Names in that bytecode that execute, import or reach out; `text` for a command or an address, `opaque` for what is no bytecode.",
    ),
    field(
        "artifact.keras.gadgets",
        FieldType::TextList,
        "References of a Keras configuration that execute, load, fetch or write: `os.system`, `keras.utils.get_file`.",
    ),
    field(
        "artifact.keras.references",
        FieldType::TextList,
        "Other references to modules outside of Keras and its kin, which rebuilding the model would import.",
    ),
    field(
        "artifact.keras.paths",
        FieldType::TextList,
        "Files and addresses outside of the artifact that rebuilding the model would read, with the class: `StringLookup:/etc/passwd`.",
    ),
    field(
        "artifact.keras.anomalies",
        FieldType::TextList,
        "Configurations that readers understand differently: `duplicate_key`, `unusual_json`, `unparsed`.",
    ),
    field(
        "artifact.hdf5.external",
        FieldType::TextList,
        "Ways out of an HDF5 file: `link:file:path`, `storage:file`, `virtual:file`, `user_defined:name`.",
    ),
    field(
        "artifact.hdf5.anomalies",
        FieldType::TextList,
        "What lies around an HDF5 file: `user_block`, `trailing_data`.",
    ),
    // Graphs
    field(
        "artifact.onnx.external_data",
        FieldType::TextList,
        "Locations of tensors outside of the model's directory: absolute, upwards, or addresses.",
    ),
    field(
        "artifact.onnx.domains",
        FieldType::TextList,
        "Domains of operators that are neither of the standard, nor of a runtime, nor defined in the model.",
    ),
    field("artifact.onnx.operators", FieldType::TextList, "Operators that run Python, as `domain:operator`."),
    // PyTorch's own programs
    field(
        "artifact.torch.operators",
        FieldType::TextList,
        "What TorchScript or an exported program calls that leaves the graph: `aten::save`, `target:torch.os.…`, `expression:…`.",
    ),
    field("artifact.torch.functions", FieldType::TextList, "Functions of a PyTorch model for mobile devices."),
    field("artifact.torch.types", FieldType::TextList, "Types of the objects in a PyTorch model for mobile devices."),
    field(
        "artifact.torch.foreign",
        FieldType::TextList,
        "Operators and classes of mobile bytecode that do not come with PyTorch: `operator:acme::gate`, `class:…`.",
    ),
    field(
        "artifact.tensorflow.operators",
        FieldType::TextList,
        "Operators that leave the graph: `PyFunc`, `ReadFile`, `PrintV2:file:///…`.",
    ),
    field(
        "artifact.tensorflow.data_operators",
        FieldType::TextList,
        "Operators that read datasets or write records, as training needs them.",
    ),
    field(
        "artifact.tflite.custom_operators",
        FieldType::TextList,
        "Operators of a TensorFlow Lite model that neither its interpreter nor TensorFlow has.",
    ),
    field(
        "artifact.tflite.flex_operators",
        FieldType::TextList,
        "Operators of a TensorFlow Lite model that TensorFlow's own kernels run.",
    ),
    field(
        "artifact.executorch.delegates",
        FieldType::TextList,
        "Libraries to which an ExecuTorch program hands parts of itself.",
    ),
    field(
        "artifact.executorch.operators",
        FieldType::TextList,
        "Operators of an ExecuTorch program that are none of its own.",
    ),
    field(
        "artifact.coreml.custom",
        FieldType::TextList,
        "Classes of the application that a Core ML model runs, and models that it links: `layer:Gate`, `linked:other`.",
    ),
    field(
        "artifact.paddle.operators",
        FieldType::TextList,
        "Operators of a Paddle program that call Python, load, save or listen.",
    ),
    field("artifact.arrow.extensions", FieldType::TextList, "Extension types of the columns of a table."),
    field(
        "artifact.arrow.pickled_types",
        FieldType::TextList,
        "Columns whose type is a pickle in the metadata, which older readers load with the schema: `x:arrow.py_extension_type`.",
    ),
    field(
        "artifact.table.unread",
        FieldType::TextList,
        "Columns of a table that are packed in a way that is not unpacked: `brotli:text`.",
    ),
    field("artifact.torch7.classes", FieldType::TextList, "Classes of the objects in a Torch 7 file."),
    field(
        "artifact.torch7.functions",
        FieldType::TextList,
        "Functions in a Torch 7 file, and words in them that execute or reach out: `luajit`, `lua:popen`, `source:execute`.",
    ),
    field(
        "artifact.llamafile.program",
        FieldType::TextList,
        "What kind of program a llamafile is: `ape`, `elf`, `pe`, `mach-o`.",
    ),
    field(
        "artifact.llamafile.arguments",
        FieldType::TextList,
        "Arguments of a llamafile that open it to the network, read elsewhere or run something: `listens:0.0.0.0`, `reads:…`, `command:…`.",
    ),
    field(
        "artifact.mxnet.custom",
        FieldType::TextList,
        "Operators of an MXNet graph that the application defines, and libraries: `Custom:gate`, `library:…`.",
    ),
    field(
        "artifact.cntk.custom",
        FieldType::TextList,
        "Functions of the user's in a CNTK model, by key: `module:gate`.",
    ),
    field(
        "artifact.mnn.custom",
        FieldType::TextList,
        "Operators of an MNN model that the application brings: `plugin:gate`, `extra:engine:type`.",
    ),
    field("artifact.tensorrt.plugins", FieldType::TextList, "Plugins that a TensorRT engine names."),
    field(
        "artifact.tensorrt.foreign_plugins",
        FieldType::TextList,
        "Those of them that do not come with TensorRT: a library has to bring them.",
    ),
    field("artifact.tensorrt.libraries", FieldType::TextList, "Shared libraries that a TensorRT engine names."),
    field(
        "artifact.rknn.libraries",
        FieldType::TextList,
        "Shared libraries that the description of an RKNN model names.",
    ),
    field(
        "artifact.dataset.formulas",
        FieldType::TextList,
        "Cells of a table that start a program or fetch something in a spreadsheet, with their line.",
    ),
    field(
        "artifact.dataset.links",
        FieldType::TextList,
        "Cells of a table that make an address of other cells, with their line.",
    ),
];

/// Facts that only a comparison has. The previous version is the last one of the same lineage.
pub const DIFF_FIELDS: &[Field] = &[
    field("artifact.previous_hash", FieldType::Text, "Digest of the previous version."),
    field(
        "artifact.previous_stood_secs",
        FieldType::Integer,
        "How long the previous version lay at this place, in seconds since it was first seen there.",
    ),
    field("artifact.previous_format", FieldType::Text, "Its format."),
    field("artifact.diff.changed", FieldType::TextList, "Paths of the facts that differ."),
    field("artifact.diff.tensors.added", FieldType::TextList, "Names of tensors that are new."),
    field("artifact.diff.tensors.removed", FieldType::TextList, "Names of tensors that are gone."),
    field("artifact.diff.tensors.changed", FieldType::TextList, "Names of tensors whose bytes differ."),
    field("artifact.diff.tensors.reshaped", FieldType::TextList, "Names of tensors whose shape differs."),
    field("artifact.diff.tensors.retyped", FieldType::TextList, "Names of tensors of the same shape and another type."),
    field(
        "artifact.diff.tensors.equal",
        FieldType::Bool,
        "Both versions have tensors, and their names, types, shapes and bytes agree.",
    ),
];

/// Facts of one inspection, of models and of what is shipped with them.
fn facts() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().chain(shipped::FIELDS)
}

/// All fields that this room produces: the facts, [`DIFF_FIELDS`], and what derives from lists.
pub fn fields() -> &'static [Field] {
    static ALL: LazyLock<Vec<Field>> = LazyLock::new(|| {
        let derived = facts().filter(|fact| fact.kind == FieldType::TextList).flat_map(|fact| {
            [("added", "Items that the previous version did not have: "), ("removed", "Items that are gone: ")]
                .into_iter()
                .filter_map(|(way, prefix)| {
                    let path: &'static str = Box::leak(diff_path(way, fact.path)?.into_boxed_str());
                    let doc: &'static str = Box::leak(format!("{prefix}{}", fact.doc).into_boxed_str());
                    Some(field(path, FieldType::TextList, doc))
                })
        });
        facts().chain(DIFF_FIELDS).copied().chain(derived).collect()
    });
    &ALL
}

/// Path of what was `added` to or `removed` from the list fact `path`; `None` for other facts.
pub fn diff_path(way: &str, path: &str) -> Option<String> {
    let list = facts().any(|fact| fact.path == path && fact.kind == FieldType::TextList);
    path.strip_prefix("artifact.").filter(|_| list).map(|rest| format!("artifact.diff.{way}.{rest}"))
}
