//! What it means that a setting differs.

use super::Purport;
use crate::artifact::format::shipped;
use crate::event::difference::Grade::{self, Hostile, Notable, Routine};

/// Parts of paths after which the model has code loaded that is shipped with it, or fetched.
const CODE: &[&str] = &[
    "auto_map",
    "custom_pipelines",
    "custom_pipeline",
    "trust_remote_code",
    "custom_object",
    "remote_code",
    "auto_mapping",
];
/// Variables after which every program of a container loads or runs something first.
const PRELOADS: &[&str] = &[
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "PYTHONSTARTUP",
    "PYTHONPATH",
    "PYTHONHOME",
    "BASH_ENV",
    "ENV",
    "NODE_OPTIONS",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "GIT_SSH_COMMAND",
    "HF_ENDPOINT",
];

/// Class and grade of a setting that was added (`old` is none), removed (`new` is none) or changed.
pub fn judge(of: Purport, path: &str, old: Option<&str>, new: Option<&str>) -> (&'static str, Grade) {
    let lower = path.to_ascii_lowercase();
    let last = lower.rsplit('.').next().unwrap_or(&lower);
    let part = |words: &[&str]| lower.split(['.', '[', ']']).any(|part| words.contains(&part));
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if part(CODE) {
        // What is taken out, or said to be false, runs nothing.
        let runs = new.is_some_and(|new| !matches!(new, "" | "false" | "null" | "{}" | "[]"));
        return ("config.remote_code", if runs { Hostile } else { Routine });
    }
    if new.is_some_and(shipped::holds_code)
        && !old.is_some_and(shipped::holds_code)
        && !matches!(of, Purport::Image | Purport::Manifest)
    {
        return ("config.code", Hostile);
    }
    match of {
        Purport::Image | Purport::Manifest => return image(path, last, new),
        Purport::Metadata => return ("metadata.changed", Routine),
        Purport::SpecialTokens => return ("config.special_tokens", Notable),
        Purport::AddedTokens if old.is_some() && new.is_some() => return ("tokenizer.remapped", Hostile),
        Purport::AddedTokens => return ("tokenizer.added_tokens", Notable),
        Purport::Preprocessor => {
            let named = has(&["_type", "_class", "version", "name_or_path"]);
            return if named { ("config.changed", Routine) } else { ("config.preprocessing", Notable) };
        }
        Purport::Tokenizer => {
            if let Some(found) = tokenizer(&lower, last, old, new) {
                return found;
            }
        }
        Purport::Gguf => {
            if let Some(found) = gguf(&lower, last) {
                return found;
            }
        }
        Purport::Config | Purport::Generation | Purport::Adapter => {}
    }
    if has(&["token_id", "bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"]) {
        ("config.special_tokens", Notable)
    } else if has(&[
        "suppress_tokens",
        "forced_",
        "bad_words",
        "sequence_bias",
        "no_repeat",
        "begin_suppress",
        "force_words",
        "stop_strings",
        "logits_processor",
        "safety_checker",
        "guard",
    ]) {
        ("config.generation", Notable)
    } else if matches!(
        last,
        "architectures"
            | "model_type"
            | "hidden_size"
            | "num_hidden_layers"
            | "num_attention_heads"
            | "num_key_value_heads"
            | "intermediate_size"
            | "vocab_size"
            | "hidden_act"
            | "_class_name"
            | "peft_type"
    ) || last.starts_with("architectures")
    {
        ("config.architecture", Notable)
    } else if has(&["rope", "max_position", "sliding_window", "context_length", "model_max_length", "max_seq_len"]) {
        ("config.context", Notable)
    } else if has(&["quantization", "quant_method", "load_in_"]) {
        ("config.quantization", Notable)
    } else if matches!(last, "base_model_name_or_path" | "base_model" | "base_model_class" | "revision") {
        // A folder on somebody's disk and the same name on a hub are the same model.
        let name = |value: Option<&str>| value.and_then(|value| value.rsplit('/').next().map(str::to_ascii_lowercase));
        let same = old.is_some()
            && name(old) == name(new)
            && [old, new].iter().flatten().any(|value| value.starts_with(['.', '/']));
        ("config.base_model", if same { Routine } else { Notable })
    } else {
        ("config.changed", Routine)
    }
}

fn tokenizer(lower: &str, last: &str, old: Option<&str>, new: Option<&str>) -> Option<(&'static str, Grade)> {
    if lower.starts_with("added_tokens_decoder.") {
        let content = last == "content" && old.is_some() && new.is_some();
        return Some(if content { ("tokenizer.remapped", Hostile) } else { ("tokenizer.added_tokens", Notable) });
    }
    if matches!(
        last,
        "model_max_length"
            | "padding_side"
            | "truncation_side"
            | "max_length"
            | "truncation"
            | "padding"
            | "stride"
            | "pad_to_multiple_of"
    ) {
        return Some(("tokenizer.padding", Routine));
    }
    if matches!(
        last,
        "do_lower_case"
            | "add_prefix_space"
            | "strip_accents"
            | "tokenize_chinese_chars"
            | "tokenizer_class"
            | "add_bos_token"
            | "add_eos_token"
            | "split_special_tokens"
            | "do_basic_tokenize"
            | "never_split"
    ) {
        // The tokenizer's own file says how text is split: here only what wraps it is named.
        return Some(("tokenizer.pipeline", Notable));
    }
    None
}

fn gguf(lower: &str, last: &str) -> Option<(&'static str, Grade)> {
    if matches!(lower, "tokenizer.ggml.pre" | "tokenizer.ggml.model" | "tokenizer.ggml.precompiled_charsmap") {
        return Some(("tokenizer.pipeline", Hostile));
    }
    if lower.starts_with("tokenizer.ggml.add_") || lower == "tokenizer.ggml.remove_extra_whitespaces" {
        return Some(("tokenizer.pipeline", Notable));
    }
    if lower == "tokenizer.ggml.token_type" {
        return Some(("tokenizer.added_tokens", Notable));
    }
    if lower == "tokenizer.ggml.scores" {
        return Some(("tokenizer.scores", Notable));
    }
    if lower == "general.architecture"
        || matches!(last, "block_count" | "embedding_length" | "feed_forward_length" | "head_count" | "expert_count")
    {
        return Some(("config.architecture", Notable));
    }
    if lower.starts_with("general.base_model") {
        return Some(("config.base_model", Notable));
    }
    if matches!(lower, "general.file_type" | "general.quantization_version") || lower.starts_with("quantize.") {
        return Some(("config.quantization", Routine));
    }
    lower.starts_with("general.").then_some(("metadata.changed", Routine))
}

fn image(path: &str, last: &str, new: Option<&str>) -> (&'static str, Grade) {
    if path.contains(".Env.") || path.starts_with("Env.") {
        let name = path.rsplit('.').next().unwrap_or(path);
        // An image that never had one of these gets it for a reason; a path of libraries is ordinary with GPUs.
        let preload = PRELOADS.contains(&name) && !matches!(name, "LD_LIBRARY_PATH" | "PYTHONPATH");
        return if preload && new.is_some() { ("image.preload", Hostile) } else { ("image.environment", Notable) };
    }
    if path.contains("@sha") && path.contains('[') || path.contains("diff_ids") {
        return ("image.layers", Notable);
    }
    match last {
        "entrypoint" | "cmd" | "test" | "shell" | "onbuild" => ("image.command", Notable),
        "user" => ("image.user", Notable),
        "template" | "system" | "params" => ("image.layers", Notable),
        _ => ("config.changed", Routine),
    }
}
