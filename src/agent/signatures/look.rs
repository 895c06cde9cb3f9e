//! One model: whether something of it changed, and what its signature is worth.

use std::path::{Path, PathBuf};

use crate::artifact::Stop;
use crate::base::{clock, files};
use crate::event::digest;
use crate::provenance::policy::Policy;
use crate::provenance::{BUNDLE_BYTES_MAX, Failure, Kind, Outcome, Reason};
use crate::sources::folder::Local;
use crate::sources::signatures;

/// Files of one model whose names and times are looked at for changes.
const FILES_MAX: usize = 100_000;

/// A digest over the files that differ, and those that nobody signed: another one is another finding.
pub fn names(outcome: &Outcome) -> String {
    let more = [outcome.files.more.to_string(), outcome.unsigned.more.to_string()];
    let lists = [&outcome.files.names, &outcome.unsigned.names];
    let all: Vec<&str> =
        more.iter().chain(lists.into_iter().flat_map(|list| list.iter())).map(String::as_str).collect();
    digest::of_parts(&all).short()
}

/// Verifies what lies at a place, with each trust of the rule that counts for it until one fits.
pub fn verify(place: &Path, policy: &Policy, name: &str, stop: &Stop) -> Option<Outcome> {
    let rule = policy.rule(name)?;
    let failed = |reason, detail: String| Some(Outcome::failed(Failure::new(reason, detail)));
    let content = match Local::open(place, stop.clone()) {
        Ok(content) => content,
        Err(error) => return failed(Reason::Unreadable, format!("`{name}` cannot be opened: {error}")),
    };
    let path = match signatures::beside(place, Kind::Model) {
        Ok(Some(path)) => path,
        Ok(None) => return failed(Reason::Unsigned, format!("there is no signature in or beside `{name}`")),
        Err(why) => return failed(Reason::BadBundle, why),
    };
    let signature = match files::read(&path, BUNDLE_BYTES_MAX) {
        Ok(signature) => signature,
        Err(error) => return failed(Reason::Unreadable, format!("`{}` cannot be read: {error}", path.display())),
    };
    Some(rule.verify(&signature, content.name_of(&path).as_deref(), &content, clock::now()))
}

/// Names, sizes and times of everything in a model, and the folders in which that may change.
pub fn fingerprint(place: &Path) -> (String, Vec<PathBuf>) {
    let mut hash = String::new();
    // A file, or a signature beside the model.
    let mut folders: Vec<PathBuf> = place.parent().map(Path::to_owned).into_iter().collect();
    // A signature beside the model counts as well.
    let beside = signatures::beside(place, Kind::Model).ok().flatten();
    let all = walkdir::WalkDir::new(place).sort_by_file_name().into_iter().take(FILES_MAX).flatten();
    let all = all.map(|entry| (entry.file_type().is_dir() || entry.path().is_dir(), entry.into_path()));
    for (folder, path) in all.chain(beside.map(|path| (false, path))) {
        let signature = path.symlink_metadata().map(|metadata| crate::sources::filesystem::signature(&metadata));
        hash = digest::of_parts(&[&hash, &path.to_string_lossy(), &signature.unwrap_or_default()]).short();
        folders.extend(Some(path).filter(|_| folder));
    }
    (hash, folders)
}
