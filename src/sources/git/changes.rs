//! How a change of a repository is told.

use gix_hash::ObjectId;
use jiff::Timestamp;

use super::history::Claims;
use crate::event::{Fields, Value};
use crate::sources::models::changes::{aliases, change, list, text};
use crate::sources::{Change, RecordKind};

/// Tells whether the first commit is part of the history of the second; `None` if that cannot be told.
pub type Ancestry<'h> = Box<dyn Fn(&ObjectId, &ObjectId) -> Option<bool> + 'h>;

/// What a source knows of the commits that its refs led to.
pub trait Histories {
    /// Whether a ref must lead where it always did.
    fn is_fixed(&self, reference: &str) -> bool;
    /// Whether its history may be rewritten.
    fn is_rebased(&self, reference: &str) -> bool;
    /// Where a tag that must not move, or a protected branch, led before it went away, if it came back as another.
    fn left(&self, repository: &str, reference: &str) -> Option<ObjectId>;
    /// The default branch before the one that there is now, with its last commit.
    fn default_left(&self, repository: &str) -> Option<(String, ObjectId)>;
    fn ancestry<'h>(&'h self, repository: &'h str) -> Ancestry<'h>;
    fn claims(&self, repository: &str, commit: &ObjectId) -> Option<Claims>;
}

pub fn changes(kind: RecordKind, old: Option<&Fields>, new: Option<&Fields>, histories: &dyn Histories) -> Vec<Change> {
    match (kind, old, new) {
        (RecordKind::Model, None, Some(_)) => vec![change("model.created", [])],
        (RecordKind::Model, Some(_), None) => vec![change("model.deleted", [])],
        (RecordKind::Model, Some(old), Some(new)) => repository(old, new, histories),
        (RecordKind::Artifact | RecordKind::VersionArtifact, Some(old), Some(new)) => file(kind, old, new),
        (..) => Vec::new(),
    }
}

fn repository(old: &Fields, new: &Fields, histories: &dyn Histories) -> Vec<Change> {
    let repository = text(new, "ml.model.registry");
    let (before, now) = (pairs(old), pairs(new));
    let is_ancestor = histories.ancestry(repository);
    // What whoever names no branch gets is protected, whatever it is called.
    let (old_default, default_branch) = (text(old, "git.default.branch"), text(new, "git.default.branch"));
    let was_default = old_default.is_empty() || old_default == default_branch;
    let is_rebased = |reference: &str| histories.is_rebased(reference) && !(was_default && reference == default_branch);
    let mut changes = Vec::new();
    for (reference, commit) in &now {
        let last = before.iter().find(|(name, _)| name == reference).map(|(_, commit)| *commit);
        if last == Some(*commit) {
            continue;
        }
        // Even if it was away in between.
        let last = last.or_else(|| histories.left(repository, reference));
        let rewritten = if histories.is_fixed(reference) {
            last
        } else {
            let last = last.filter(|_| !is_rebased(reference));
            last.filter(|last| is_ancestor(last, commit) == Some(false))
        };
        if let Some(old) = rewritten.filter(|old| old != commit) {
            let fields = [
                ("ml.model.alias", Value::from(*reference)),
                ("ml.model.version", Value::from(commit.to_string())),
                ("ml.model.previous_version", Value::from(old.to_string())),
            ];
            changes.push(change("history.rewritten", fields));
        }
    }
    changes.extend(aliases(old, new, &|_| false));
    let is_told = now.iter().any(|(name, _)| *name == default_branch);
    changes.extend(default(old, new, is_told, &is_ancestor, || histories.default_left(repository)));
    for change in &mut changes {
        claim(change, repository, histories);
    }
    changes
}

/// Another branch is what people get who name none. Where the one before has the same commit, it was renamed. What is
/// watched by no name, such as a commit that `HEAD` names itself, is another where it does not go on.
fn default(
    old: &Fields,
    new: &Fields,
    is_told: bool,
    is_ancestor: &Ancestry<'_>,
    left: impl FnOnce() -> Option<(String, ObjectId)>,
) -> Option<Change> {
    let of = |fields: &Fields| {
        let commit = ObjectId::from_hex(text(fields, "git.default.commit").as_bytes()).ok()?;
        Some((text(fields, "git.default.branch").to_owned(), commit))
    };
    let (name, commit) = of(new)?;
    let (before, last) = of(old).or_else(left).filter(|(before, _)| *before != name || !is_told)?;
    if before == name && (last == commit || is_ancestor(&last, &commit) != Some(false)) {
        return None;
    }
    let history = match () {
        () if last == commit => "same",
        () => match is_ancestor(&last, &commit) {
            Some(true) => "continued",
            Some(false) => "other",
            None => "unknown",
        },
    };
    let fields = [
        ("ml.model.alias", Value::from(name)),
        ("ml.model.version", Value::from(commit.to_string())),
        ("ml.model.previous_version", Value::from(last.to_string())),
        ("git.default.previous", Value::from(before)),
        ("git.default.history", Value::from(history)),
    ];
    Some(change("default.changed", fields))
}

/// Adds what the commit says of itself.
fn claim(change: &mut Change, repository: &str, histories: &dyn Histories) {
    let commit = ObjectId::from_hex(text(&change.fields, "ml.model.version").as_bytes()).ok();
    let Some(claims) = commit.and_then(|commit| histories.claims(repository, &commit)) else { return };
    let mut put = |path: &str, value: Value| drop(change.fields.insert(path.to_owned(), value));
    put("git.claimed.author", claims.author.into());
    put("git.claimed.committer", claims.committer.into());
    if let Ok(time) = Timestamp::from_second(claims.seconds) {
        put("git.claimed.time", time.to_string().into());
    }
}

/// Of bytes that are not on this host the pointer's word is all there is.
fn file(kind: RecordKind, old: &Fields, new: &Fields) -> Vec<Change> {
    let (before, after) = (text(old, "ml.artifact.etag"), text(new, "ml.artifact.etag"));
    if before == after || before.is_empty() || after.is_empty() || new.get("git.bytes_here") == Some(&true.into()) {
        return Vec::new();
    }
    // A file that became a pointer, or the other way round: only its bytes would tell whether they are others.
    let scheme = |text: &str| text.split_once(':').map(|(scheme, _)| scheme.to_owned());
    let comparable = scheme(before) == scheme(after);
    let fixed = kind == RecordKind::VersionArtifact && comparable;
    let action = if fixed { "artifact.tampered" } else { "artifact.repointed" };
    let fields = [("artifact.previous_hash", Value::from(before)), ("artifact.hash", Value::from(after))];
    vec![change(action, fields)]
}

/// A list of `ref=commit`.
fn pairs(fields: &Fields) -> Vec<(&str, ObjectId)> {
    let pair = |pair: &'_ str| -> Option<(usize, ObjectId)> {
        let (name, commit) = pair.rsplit_once('=')?;
        Some((name.len(), ObjectId::from_hex(commit.as_bytes()).ok()?))
    };
    list(fields, "ml.model.alias_versions")
        .filter_map(|text| {
            let (length, commit) = pair(text)?;
            Some((text.get(..length)?, commit))
        })
        .collect()
}
