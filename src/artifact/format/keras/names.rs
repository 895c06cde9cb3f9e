//! Names of classes and functions that a configuration may refer to: those of Keras and its kin,
//! those with which a model is rebuilt into an attack, and all others.

use crate::artifact::format::pickle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of Keras or TensorFlow, or looked up among what the program has registered itself.
    Known,
    /// Of some other package, which rebuilding would import.
    Foreign,
    /// A known means of execution, file or network access.
    Gadget,
}

/// Functions and classes of Keras that load, fetch, write or switch the safe mode off.
const GADGETS: &[&str] = &[
    "get_file",
    "extract_archive",
    "enable_unsafe_deserialization",
    "deserialize_keras_object",
    "func_load",
    "load_model",
    "load_weights",
    "save_model",
    "save_weights",
    "save_weights_only",
    "model_from_json",
    "model_from_config",
    "model_from_yaml",
    "load_img",
    "save_img",
    "array_to_img",
    "TFSMLayer",
    "TorchModuleWrapper",
    "FlaxLayer",
    "JaxLayer",
    "image_dataset_from_directory",
    "text_dataset_from_directory",
    "audio_dataset_from_directory",
    "timeseries_dataset_from_directory",
    "index_directory",
    "path_to_string",
    "rmtree",
    "makedirs",
    "copy",
    "join",
    "File",
    "listdir",
    "remove",
    "export_model",
    "export_saved_model",
    "get_source_inputs_from_file",
    "PyDataset",
    "custom_object_scope",
    "set_backend",
    "run_tests",
    "ExportArchive",
    "ModelCheckpoint",
    "BackupAndRestore",
    "TensorBoard",
    "CSVLogger",
    "RemoteMonitor",
    "LambdaCallback",
];
/// Those of them that mean something else in other modules than the ones for files.
const ONLY_OF_FILES: &[&str] = &["copy", "join", "File", "listdir", "remove", "makedirs", "rmtree"];
/// Packages whose classes a configuration names by themselves.
const KIN: &[&str] = &[
    "keras",
    "tf_keras",
    "keras_core",
    "keras_hub",
    "keras_nlp",
    "keras_cv",
    "keras_tuner",
    "keras_rs",
    "keras_contrib",
    "tensorflow",
    "tensorflow_addons",
    "tensorflow_hub",
    "tensorflow_probability",
    "tensorflow_model_optimization",
    "tensorflow_text",
    "tensorflow_recommenders",
    "tf_agents",
    "autokeras",
    "kerastuner",
    "segmentation_models",
    "efficientnet",
    "vit_keras",
    "qkeras",
    "larq",
    "spektral",
    "tfimm",
];
/// Functions that Python itself has, with which code runs or hides.
const BUILTINS: &[&str] = &[
    "eval",
    "exec",
    "compile",
    "__import__",
    "open",
    "getattr",
    "setattr",
    "delattr",
    "globals",
    "locals",
    "vars",
    "breakpoint",
    "execfile",
    "__build_class__",
];
/// Parts of TensorFlow's public interface that are no computation.
const OPERATIONS: &[&str] = &[
    "io.read_file",
    "io.write_file",
    "io.matching_files",
    "io.gfile.",
    "py_function",
    "numpy_function",
    "py_func",
    "raw_ops.",
    "load_library",
    "load_op_library",
    "saved_model.",
    "compat.v1.py_func",
    "keras.models.load_model",
    "keras.utils.get_file",
];

/// Judges a reference by its module and its name.
pub fn judge(module: &str, name: &str) -> Kind {
    let root = module.split('.').next().unwrap_or(module);
    if module.is_empty() || root == "__main__" {
        return Kind::Known;
    }
    if root == "builtins" || root == "__builtin__" {
        // Keras writes every plain function as one of `builtins`, and looks it up elsewhere.
        return if BUILTINS.contains(&name) { Kind::Gadget } else { Kind::Known };
    }
    if KIN.contains(&root) {
        return if is_gadget(module, name) { Kind::Gadget } else { Kind::Known };
    }
    match pickle::judge(module, name) {
        pickle::Tier::Dangerous => Kind::Gadget,
        pickle::Tier::Allowed | pickle::Tier::Unlisted => Kind::Foreign,
    }
}

/// True for what Keras itself offers for an attack.
pub fn is_gadget(module: &str, name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let of_files = module.split('.').any(|part| matches!(part, "file_utils" | "io_utils" | "gfile" | "io"));
    let of_python = module.split('.').any(|part| matches!(part, "python_utils" | "load_library" | "py_func"));
    (GADGETS.contains(&last) && (of_files || !ONLY_OF_FILES.contains(&last)))
        || ((of_files || of_python) && last.starts_with(|first: char| first.is_ascii_lowercase()))
        || last.starts_with("__")
            && last.ends_with("__")
            && last.len() > 4
            && !last.starts_with("__lambda")
            && !is_marker(last)
        || is_operation_gadget(&format!("{}.{name}", module.split_once('.').map_or("", |(_, rest)| rest)))
            && module.starts_with("tensorflow")
}

/// Names with which Keras marks plain values.
fn is_marker(name: &str) -> bool {
    matches!(
        name,
        "__keras_tensor__"
            | "__tensor__"
            | "__numpy__"
            | "__bytes__"
            | "__ellipsis__"
            | "__slice__"
            | "__typespec__"
            | "__tuple__"
            | "__complex__"
    )
}

/// True for an operation of TensorFlow that reads, writes, loads or calls Python.
pub fn is_operation_gadget(function: &str) -> bool {
    let bare = function.strip_prefix("tf.").unwrap_or(function);
    let bare = bare.strip_prefix('.').unwrap_or(bare);
    OPERATIONS.iter().any(|known| bare == *known || (known.ends_with('.') && bare.starts_with(known)))
}
