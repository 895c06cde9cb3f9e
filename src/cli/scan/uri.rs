//! Where SARIF says that a finding is.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::base::uri;
use crate::sources::remote;

/// The path with `/` as it is.
pub fn encoded(path: &Path) -> String {
    uri::encode_path_bytes(path.as_os_str().as_bytes())
}

/// A SARIF `artifactLocation`: relative to the current directory, which is the checkout in CI, for
/// whatever lies in it.
pub fn location(path: &Path) -> Value {
    if let Some((scheme, rest)) =
        path.to_str().filter(|text| remote::is_address(text)).and_then(|text| text.split_once(':'))
    {
        return json!({ "uri": format!("{scheme}:{}", encoded(Path::new(rest))) });
    }
    let here = std::env::current_dir().unwrap_or_default();
    let relative = if path.is_absolute() { path.strip_prefix(&here).ok() } else { Some(path) };
    match relative {
        Some(path) => json!({ "uri": encoded(path), "uriBaseId": "%SRCROOT%" }),
        None => json!({ "uri": format!("file://{}", encoded(path)) }),
    }
}
