//! What a version's source says about itself, by its text alone.

/// Schemes by which `MLflow` names its own things.
const OWN: [&str; 3] = ["models", "mlflow-artifacts", "runs"];
/// How often an address may be encoded upon itself before decoding stops.
const DECODE_MAX: usize = 5;
/// Hexadecimal digits of a git commit.
const COMMIT_DIGITS: usize = 40;

/// Scheme in lower case; empty for a plain path.
pub fn scheme(source: &str) -> String {
    let Some((scheme, _)) = source.split_once(':') else { return String::new() };
    let mut characters = scheme.chars();
    let valid = characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|character| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.'));
    if valid { scheme.to_ascii_lowercase() } else { String::new() }
}

/// Whether it climbs with `..`, however encoded, behind whatever separator.
pub fn traversal(source: &str) -> bool {
    let mut text = source.to_owned();
    for _ in 0..DECODE_MAX {
        if text.split(['/', '\\', '#', '?', ';', '&', '=', ':']).any(|part| part == "..") {
            return true;
        }
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    // Nobody encodes an honest path that often.
    true
}

/// Whether the place is allowed. With a list, `MLflow`'s own schemes and what begins as listed.
/// Without one, everything but plain HTTP and local files; a local file is allowed if it lies in
/// the folder that the server made for the run of this version, as with servers that keep
/// artifacts on their own disk.
pub fn allowed(source: &str, run_id: &str, list: &[String]) -> bool {
    if traversal(source) {
        return false;
    }
    let scheme = scheme(source);
    if OWN.contains(&&*scheme) || list.iter().any(|prefix| begins(source, prefix)) {
        return true;
    }
    if !list.is_empty() {
        return false;
    }
    match &*scheme {
        "http" => false,
        "file" | "" => !run_id.is_empty() && source.contains(&format!("/{run_id}/artifacts")),
        _ => true,
    }
}

/// `s3://models` is the beginning of `s3://models/a`, but not of `s3://models-of-others/a`.
pub fn begins(source: &str, prefix: &str) -> bool {
    source.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

/// Whether an external reference names a commit; `None` if it is no such reference.
pub fn pinned(source: &str) -> Option<bool> {
    let external = matches!(&*scheme(source), "hf" | "huggingface")
        || ["https://huggingface.co/", "http://huggingface.co/", "https://hf.co/"]
            .iter()
            .any(|prefix| source.starts_with(prefix));
    external.then(|| {
        source
            .split(|character: char| !character.is_ascii_alphanumeric())
            .any(|part| part.len() == COMMIT_DIGITS && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}
