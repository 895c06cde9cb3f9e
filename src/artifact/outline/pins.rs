//! What is installed: requirements files, lock files and environments, as packages with versions, digests and sources.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::take::{Taking, ending};
use super::{Body, Told};
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Packages of one file, and digests of one package, that are kept.
const PACKAGES_MAX: usize = 2500;
const HASHES_MAX: usize = 6;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pins {
    packages: BTreeMap<String, Pin>,
    /// Options of the installer: indexes, hosts that are trusted, other files.
    options: BTreeSet<String>,
}

/// One package.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Pin {
    /// The version, or what versions may be.
    version: String,
    /// Some of its digests, shortened, in order; and a digest of all of them.
    hashes: BTreeSet<String>,
    /// Where it comes from, if not from the index: an address or a repository; or the index, where it is said.
    source: String,
}

/// True for a file of one of these kinds, by its name in lower case.
pub fn is_one(file: &str, format: &str) -> bool {
    let requirements = ending(file) == "txt" && (file.contains("requirements") || file.contains("constraints"));
    format == "requirements"
        || requirements
        || matches!(
            file,
            "poetry.lock"
                | "uv.lock"
                | "pdm.lock"
                | "pipfile.lock"
                | "package-lock.json"
                | "npm-shrinkwrap.json"
                | "conda.yaml"
                | "conda.yml"
                | "environment.yml"
                | "environment.yaml"
                | "cargo.lock"
                | "pylock.toml"
        )
}

pub fn take(taking: &mut Taking, text: &str, file: &str) {
    let mut reading = read::Reading::default();
    if ending(file) == "json" || file == "pipfile.lock" {
        reading.json(text);
    } else if matches!(ending(file), "lock" | "toml") {
        reading.toml(text);
    } else if matches!(ending(file), "yaml" | "yml") {
        reading.conda(text);
    } else {
        reading.requirements(text);
    }
    let (pins, cut) = reading.finish();
    if cut {
        taking.cut("the file has more packages than are kept, or cannot be read");
    }
    if pins != Pins::default() {
        taking.add("", Body::Pins(pins));
    }
}

/// A source over which anybody on the way may send something else, or that is a bare host.
fn is_open(source: &str) -> bool {
    let Some((scheme, rest)) = source.split_once("://") else { return false };
    let scheme = scheme.rsplit(['+', ' ', '=']).next().unwrap_or(scheme);
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or(host);
    let near = matches!(host, "localhost" | "127.0.0.1");
    let bare = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !near && (matches!(scheme, "http" | "git" | "ftp" | "svn") || bare)
}

/// The number that a version begins with, part by part.
fn parts(version: &str) -> Option<Vec<u64>> {
    let bare = version.trim_start_matches(['=', ' ', 'v']);
    let release: String = bare.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let parts: Vec<u64> = release.split('.').filter_map(|part| part.parse().ok()).collect();
    (!parts.is_empty()).then_some(parts)
}

fn is_exact(version: &str) -> bool {
    let bare = version.trim_start_matches("===").trim_start_matches("==").trim();
    !bare.is_empty() && bare.starts_with(|c: char| c.is_ascii_digit()) && !bare.contains([',', '*', '<', '>', '~', '|'])
}

pub fn compare(told: &mut Told, place: &str, old: &Pins, new: &Pins) {
    for option in new.options.difference(&old.options) {
        let open = is_open(option) || option.contains("trusted-host");
        let index = ["index-url", "find-links", "trusted-host", "index", "source", "channel"]
            .iter()
            .any(|word| option.contains(word));
        let (class, grade) = match (open, index) {
            (true, _) => ("pins.source", Grade::Hostile),
            (false, true) => ("pins.source", Grade::Notable),
            (false, false) => ("pins.option", Grade::Notable),
        };
        told.say(class, grade, place, format!("`{option}` is new"));
    }
    for option in old.options.difference(&new.options) {
        told.say("pins.option", Grade::Notable, place, format!("`{option}` is gone"));
    }
    // All digests gone at once: the file was written without them. One alone: somebody took it out.
    let hashed = |pins: &Pins| pins.packages.values().filter(|pin| !pin.hashes.is_empty()).count();
    let all_gone = hashed(new) == 0 && hashed(old) > 1;
    if all_gone {
        let words = format!("none of the packages is pinned to a digest any more; {} were", hashed(old));
        told.say("pins.hash_removed", Grade::Notable, place, words);
    }
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, pin) in &new.packages {
        let Some(before) = old.packages.get(name) else {
            added.push(format!("`{name}` {}", pin.version));
            if is_open(&pin.source) {
                told.say(
                    "pins.source",
                    Grade::Hostile,
                    format!("{place}{name}"),
                    format!("`{name}` is new, and comes from `{}`", pin.source),
                );
            }
            continue;
        };
        package(told, &format!("{place}{name}"), name, before, pin, all_gone);
        if before.version != pin.version {
            changed.push(format!("`{name}` {} → {}", before.version, pin.version));
        }
    }
    removed
        .extend(old.packages.keys().filter(|name| !new.packages.contains_key(*name)).map(|name| format!("`{name}`")));
    let list = |names: &[String]| shorten(&names.iter().take(12).cloned().collect::<Vec<_>>().join(", "), 500);
    if !added.is_empty() && !old.packages.is_empty() {
        told.say("pins.added", Grade::Notable, place, format!("{} packages were added: {}", added.len(), list(&added)));
    }
    if !changed.is_empty() {
        told.say(
            "pins.changed",
            Grade::Routine,
            place,
            format!("{} packages have other versions: {}", changed.len(), list(&changed)),
        );
    }
    if !removed.is_empty() {
        told.say(
            "pins.changed",
            Grade::Routine,
            place,
            format!("{} packages are gone: {}", removed.len(), list(&removed)),
        );
    }
}

fn package(told: &mut Told, place: &str, name: &str, old: &Pin, new: &Pin, all_gone: bool) {
    if !old.hashes.is_empty() && new.hashes.is_empty() && !all_gone {
        let words = format!("`{name}` was pinned to a digest and is no longer, while others are");
        told.say("pins.hash_removed", Grade::Hostile, place, words);
    }
    let same_version = old.version == new.version && is_exact(&new.version);
    if same_version && !new.hashes.is_empty() && !old.hashes.is_empty() && old.hashes.is_disjoint(&new.hashes) {
        let words = format!(
            "`{name}` {} has other digests, and none of those that it had: files of a version do not change",
            new.version
        );
        let difference = Difference::new("pins.hash_changed", Grade::Hostile, place, words);
        let text = |pin: &Pin| pin.hashes.iter().cloned().collect::<Vec<_>>().join(", ");
        told.push(difference.texts(text(old), text(new)));
    }
    if old.source != new.source {
        let grade = if is_open(&new.source) && !is_open(&old.source) { Grade::Hostile } else { Grade::Notable };
        let from = |source: &str| if source.is_empty() { "the index".to_owned() } else { source.to_owned() };
        let words = format!("`{name}` comes from elsewhere");
        told.push(Difference::new("pins.source", grade, place, words).texts(from(&old.source), from(&new.source)));
    }
    if is_exact(&old.version) && !is_exact(&new.version) && old.source == new.source {
        let words = format!(
            "`{name}` was {} and may be {} now",
            old.version,
            if new.version.is_empty() { "any" } else { &new.version }
        );
        told.say("pins.loosened", Grade::Notable, place, words);
    } else if let (Some(before), Some(after)) = (parts(&old.version), parts(&new.version))
        && after < before
    {
        told.say(
            "pins.downgraded",
            Grade::Notable,
            place,
            format!("`{name}` is older: {} → {}", old.version, new.version),
        );
    }
}
