//! Whether loading a model, or starting Python, runs a source as it is: then it has no reason to do
//! what a script may do that somebody starts on purpose.

/// Beginnings of names that the loaders of Transformers look for.
const BEGINNINGS: &[&str] = &[
    "modeling_",
    "configuration_",
    "tokenization_",
    "processing_",
    "image_processing_",
    "video_processing_",
    "feature_extraction_",
];
/// Names that a loader, a server or the interpreter itself looks for.
const NAMES: &[&str] =
    &["modeling.py", "hubconf.py", "sitecustomize.py", "usercustomize.py", "custom_generate/generate.py"];
/// Classes and functions that servers and loaders call, whatever the file is called.
const ENTRIES: &[&str] = &[
    "class TritonPythonModel",
    "class EndpointHandler",
    "from ts.torch_handler",
    "(PreTrainedModel)",
    "(PretrainedConfig)",
    "(PreTrainedConfig)",
    "(PreTrainedTokenizer)",
    "(PreTrainedTokenizerFast)",
    "(DiffusionPipeline)",
    "\ndef model_fn(model_dir",
    "\ndef handle(data, context",
];

/// True for a source that is run by whoever loads or serves the model.
pub fn is_loaded(name: &str, text: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let file = lower.rsplit('/').next().unwrap_or(&lower);
    let named = BEGINNINGS.iter().any(|beginning| file.starts_with(beginning))
        || NAMES.iter().any(|known| lower == *known || lower.ends_with(&format!("/{known}")));
    named || ENTRIES.iter().any(|entry| memchr::memmem::find(text.as_bytes(), entry.as_bytes()).is_some())
}
