//! The payload of OpenSSF Model Signing, version 1: which files a model has, with their digests.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Unexpected, Visitor};

use super::hash::{Algorithm, Hasher, from_hex};
use super::names;
use super::outcome::{Failure, Reason};
use super::statement::{Head, Statement};
use crate::event::Sha256;

/// Entries of what is left out.
const IGNORED_MAX: usize = 1_000;
/// Beginning of the types of predicate; any minor version of 1 may follow.
const PREDICATE: &str = "https://model_signing/signature/v1.";
/// What versions before 1.0 wrote: no list of what is left out, and no word of how files are hashed.
const PREDICATE_OLD: &str = "https://model_signing/Digests/v0.1";
/// How a single file is called in its own payload.
pub const ITSELF: &str = ".";

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Identity: SHA-256 over all digests in their order.
    pub root: Sha256,
    pub algorithm: Algorithm,
    /// Files by name, each with its pieces in order; a file that is hashed whole has one without an end.
    pub files: BTreeMap<String, Vec<Piece>>,
    /// Whether links may stand for files.
    pub symlinks: bool,
    /// What the signer left out: names from the root of the model.
    pub ignored: Vec<String>,
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// First byte behind it; `None` means the end of the file.
    pub end: Option<u64>,
    pub digest: Vec<u8>,
}

#[derive(Deserialize)]
struct Predicate {
    resources: Vec<Resource>,
    serialization: Serialization,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
    shard_size: Option<Whole>,
}

/// A number of bytes, which signers also write as `1000.0`.
struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of bytes, at least 1")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Whole, E> {
                if number == 0 { Err(E::invalid_value(Unexpected::Unsigned(0), &self)) } else { Ok(Whole(number)) }
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Whole, E> {
                // Up to 2⁵³ every whole number has a place of its own.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was checked")]
                if number.fract() == 0.0 && (1.0..=9_007_199_254_740_992.0).contains(&number) {
                    Ok(Whole(number as u64))
                } else {
                    Err(E::invalid_value(Unexpected::Float(number), &self))
                }
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

fn bad(detail: impl Into<String>) -> Failure {
    Failure::new(Reason::BadStatement, detail)
}

/// A name in quotes, short enough for a sentence.
fn quoted(name: &str) -> String {
    format!("`{}`", crate::base::text::shorten(name, 120))
}

/// Whether a payload says to be of a version before 1.0.
pub fn is_old(payload: &[u8]) -> bool {
    Head::parse(payload).is_ok_and(|head| head.predicate_type == PREDICATE_OLD)
}

impl Model {
    /// Reads a payload. Call it only with bytes whose signature was verified, or to find out which digest a
    /// signature should be about.
    pub fn parse(payload: &[u8]) -> Result<Self, Failure> {
        let head = Head::parse(payload)?;
        let minor = head.predicate_type.strip_prefix(PREDICATE);
        if !minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())) {
            let (reason, what) = if head.predicate_type == PREDICATE_OLD {
                (Reason::LegacyPredicate, "is of a version before 1.0")
            } else {
                (Reason::WrongPredicate, "is not the signature of a model")
            };
            return Err(Failure::new(reason, format!("the statement {what}: {}", quoted(&head.predicate_type))));
        }
        let Statement { subject, predicate, .. } = Statement::<Predicate>::parse(payload)?;
        let [subject] = subject.as_slice() else {
            return Err(bad(format!("the statement has {} subjects, not one", subject.len())));
        };
        let root = subject.digest.sha256().ok_or_else(|| bad("the subject has no SHA-256"))?;
        let Predicate { resources, serialization } = predicate;
        let algorithm = Algorithm::named(&serialization.hash_type)
            .ok_or_else(|| bad(format!("the digest {} is not known", quoted(&serialization.hash_type))))?;
        let shard = match (serialization.method.as_str(), serialization.shard_size) {
            ("files", None) => None,
            ("shards", Some(Whole(size))) => Some(size),
            ("files", Some(_)) => return Err(bad("files are hashed whole, but a size of shards is given")),
            ("shards", None) => return Err(bad("files are hashed in shards of no size")),
            (other, _) => return Err(bad(format!("the method {} is not known", quoted(other)))),
        };
        let model = Self {
            root,
            algorithm,
            files: files(&resources, algorithm, shard, root)?,
            symlinks: serialization.allow_symlinks,
            ignored: serialization.ignore_paths,
        };
        if model.ignored.len() > IGNORED_MAX {
            return Err(bad(format!("it leaves out more than {IGNORED_MAX} names")));
        }
        model.check_ignored(&model.ignored)?;
        Ok(model)
    }

    /// Refuses what is left out when that is no plain name, or something that is signed.
    pub fn check_ignored(&self, entries: &[String]) -> Result<(), Failure> {
        for entry in entries {
            let refuse =
                |why: &str| Err(Failure::new(Reason::BadIgnore, format!("{} is left out: {why}", quoted(entry))));
            if let Some(fault) = names::ignore_fault(entry) {
                return refuse(fault);
            }
            if let Some(name) = self.overlapping(entry) {
                return refuse(&format!("that is {}, which is signed", quoted(name)));
            }
        }
        Ok(())
    }

    /// A signed file that is this entry, lies under it, or is written as a folder above it.
    fn overlapping(&self, entry: &str) -> Option<&String> {
        let above = entry.match_indices('/').filter_map(|(at, _)| entry.get(..at));
        let known = above.chain([entry]).find_map(|name| self.files.get_key_value(name));
        let folder = format!("{entry}/");
        let below = self.files.range(folder.clone()..).next().filter(|(name, _)| name.starts_with(&folder));
        known.or(below).map(|(name, _)| name)
    }
}

/// One resource as it is written.
struct Named<'r> {
    path: &'r str,
    start: u64,
    end: Option<u64>,
}

/// Checks names, order, algorithms, digests and the root; gives the files.
fn files(
    resources: &[Resource],
    algorithm: Algorithm,
    shard: Option<u64>,
    root: Sha256,
) -> Result<BTreeMap<String, Vec<Piece>>, Failure> {
    let written =
        shard.map_or_else(|| algorithm.name().to_owned(), |size| format!("{}-sharded-{size}", algorithm.name()));
    let mut over_all = Algorithm::Sha256.start();
    let mut files: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    let mut ordered = Order::default();
    let mut before: Option<(&Resource, Named<'_>)> = None;
    for resource in resources {
        let name = quoted(&resource.name);
        let named = match shard {
            None => Named { path: &resource.name, start: 0, end: None },
            Some(size) => {
                part(&resource.name, size).ok_or_else(|| bad(format!("{name} is no shard of {size} bytes")))?
            }
        };
        if !names::is_plain(named.path) && named.path != ITSELF {
            return Err(bad(format!("{name} is not the name of a file in the model")));
        }
        if resource.algorithm != written {
            return Err(bad(format!("{name} is hashed with {}, not {written}", quoted(&resource.algorithm))));
        }
        let digest = from_hex(&resource.digest, algorithm.bytes())
            .ok_or_else(|| bad(format!("the digest of {name} is none of {written}")))?;
        if let Some((other, of)) = &before {
            ordered.see(other, of, resource, &named).map_err(bad)?;
        }
        over_all.update(&digest);
        let pieces = files.entry(named.path.to_owned()).or_default();
        let behind = pieces.last().map_or(Some(0), |piece| piece.end);
        // Whole shards one after the other; only the last may be shorter.
        let whole = behind.zip(shard).is_none_or(|(behind, size)| behind % size == 0);
        if behind != Some(named.start) || !whole {
            return Err(bad(format!("{name} does not begin where the shard before it ends")));
        }
        pieces.push(Piece { end: named.end, digest });
        before = Some((resource, named));
    }
    if resources.is_empty() {
        return Err(bad("it covers no file at all"));
    }
    if root_of(over_all) != Some(root) {
        return Err(bad("the digest of its subject is not that of its files"));
    }
    Ok(files)
}

fn root_of(hasher: Hasher) -> Option<Sha256> {
    Some(Sha256::from_bytes(hasher.finish().try_into().ok()?))
}

/// `path:start:end`; the path itself may hold colons.
fn part(name: &str, size: u64) -> Option<Named<'_>> {
    let mut parts = name.rsplitn(3, ':');
    let (end, start, path) = (number(parts.next()?)?, number(parts.next()?)?, parts.next()?);
    let length = end.checked_sub(start)?;
    (length > 0 && length <= size && start % size == 0).then_some(Named { path, start, end: Some(end) })
}

/// Decimal digits without a sign or needless zeros.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// In which order names may be: that of their parts, or that of their bytes, each name once.
#[derive(Default)]
struct Order {
    not_by_parts: bool,
    not_by_bytes: bool,
}

impl Order {
    fn see(&mut self, one: &Resource, of: &Named<'_>, other: &Resource, by: &Named<'_>) -> Result<(), String> {
        let parts = names::by_parts(of.path, by.path).then(of.start.cmp(&by.start));
        self.not_by_parts |= parts != Ordering::Less;
        let bytes = of.path.as_bytes().cmp(by.path.as_bytes()).then(of.start.cmp(&by.start));
        self.not_by_bytes |= bytes != Ordering::Less;
        if one.name == other.name {
            return Err(format!("{} is there twice", quoted(&one.name)));
        }
        if self.not_by_parts && self.not_by_bytes {
            return Err(format!("{} is out of order", quoted(&other.name)));
        }
        Ok(())
    }
}
