//! Where the hub's own client keeps its token.

use std::path::PathBuf;

use crate::base::environment::Environment;
use crate::base::files;
use crate::base::secret::Secret;

const FILE_BYTES_MAX: u64 = 64 << 10;

/// The token, unless there is none or nobody wants it to be sent.
pub fn find(environment: Environment<'_>) -> Option<Secret> {
    if environment("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|text| text != "0") {
        return None;
    }
    let written = environment("HF_TOKEN").or_else(|| environment("HUGGING_FACE_HUB_TOKEN"));
    let token = written.or_else(|| files::read_text(&path(environment)?, FILE_BYTES_MAX).ok())?;
    let token = token.trim();
    (!token.is_empty()).then(|| Secret::new(token))
}

fn path(environment: Environment<'_>) -> Option<PathBuf> {
    if let Some(path) = environment("HF_TOKEN_PATH") {
        return Some(path.into());
    }
    let home = environment("HF_HOME").map(PathBuf::from).or_else(|| {
        let cache = environment("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
        Some(cache.join("huggingface"))
    })?;
    Some(home.join("token"))
}
