//! Tags: `atlas.aml.t0018.002`, `attack.t1195`.

use crate::detect::catalogue;
use crate::detect::diagnostic::{Level, Reporter, Span};
use crate::event::TechniqueId;

/// The techniques that the tags name. Malformed tags and ids that ATLAS does not have are
/// reported: as errors in our rules, as warnings in foreign ones.
pub fn techniques(tags: &[(String, Span)], strict: bool, reporter: &mut Reporter<'_>) -> Vec<TechniqueId> {
    let severity = if strict { Level::Error } else { Level::Warning };
    let mut found: Vec<TechniqueId> = Vec::new();
    for (index, (tag, span)) in tags.iter().enumerate() {
        if !well_formed(tag) {
            let hint = "a tag is a namespace, a dot and a name, in lower case: `atlas.aml.t0018.002`".to_owned();
            reporter.report(severity, "R031", *span, format!("malformed tag `{tag}`"), Some(hint));
            continue;
        }
        if tags.iter().take(index).any(|(before, _)| before == tag) {
            reporter.report(severity, "R031", *span, format!("the tag `{tag}` is written twice"), None);
        }
        if !tag.starts_with("atlas.") {
            continue;
        }
        match catalogue::from_tag(tag) {
            None => {
                let message = format!("`{tag}` names nothing in ATLAS {}", crate::event::atlas::VERSION);
                reporter.report(severity, "R030", *span, message, None);
            }
            Some(entry) => {
                if let Some(next) = entry.replaced_by {
                    let hint = format!("write `atlas.{}`", next.to_ascii_lowercase());
                    let message = format!("{} is retired", entry.id);
                    reporter.report(Level::Warning, "R030", *span, message, Some(hint));
                }
                found.extend(TechniqueId::from_tag(tag).filter(|id| !found.contains(id)));
            }
        }
    }
    found
}

/// The pattern of Sigma's JSON schema: `^[a-z0-9_-]+\.[a-z0-9._-]+$`.
fn well_formed(tag: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    tag.split_once('.').is_some_and(|(namespace, name)| {
        !namespace.is_empty()
            && !name.is_empty()
            && namespace.bytes().all(plain)
            && name.bytes().all(|byte| plain(byte) || byte == b'.')
    })
}
