//! The cache of the Hugging Face Hub: what its layout promises about the files in it.
//!
//! `models--org--name/snapshots/COMMIT/file` is a link to `../../blobs/NAME`, and of large files NAME is the SHA-256
//! of their content: so the cache can be held against itself, without asking anybody. Small files bear the SHA-1 that
//! Git gives them: two files of the same can be made, but none that has that of a given file. What a commit has is in
//! `trees/COMMIT.json`, where the client listed it.

mod again;
mod listing;
mod reference;
mod shared;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::base::files;
use crate::event::{Fields, Sha256, identity};
use crate::sources::{CHECKED, Change, Checkpoint};
use listing::{Entry, Listings};
use reference::References;

pub use again::Again;

/// Bytes of a file that the hub keeps in Git itself: larger ones are in LFS.
const SMALL_BYTES_MAX: u64 = 10 << 20;
/// Entries of a folder that are looked at for a link.
const ENTRIES_MAX: usize = 256;
/// Blobs that are looked at for one of a certain size.
const BLOBS_MAX: usize = 4096;

/// How the repositories of a cache begin.
const REPOSITORIES: [&[u8]; 3] = [b"models--", b"datasets--", b"spaces--"];

/// Whether a folder is named as a repository in the cache is.
pub fn is_repository(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().as_bytes();
    REPOSITORIES.iter().any(|prefix| name.starts_with(prefix))
}

/// The digest that a blob's name promises.
pub fn claimed(target: &Path) -> Option<Sha256> {
    let folder = target.parent().filter(|folder| folder.file_name().is_some_and(|name| name == "blobs"))?;
    let name = target.file_name()?.to_str().filter(|_| folder.parent().is_some_and(is_repository))?;
    name.parse().ok()
}

/// A file in a snapshot: its repository, its commit, and its path in that.
struct Place<'p> {
    repository: &'p Path,
    commit: &'p str,
    file: &'p Path,
}

impl<'p> Place<'p> {
    /// The outermost repository counts: a snapshot may hold folders that are named like one.
    fn of(path: &'p Path) -> Option<Self> {
        let mut places = path.ancestors().skip(1).filter(|folder| is_repository(folder)).filter_map(|repository| {
            let mut below = path.strip_prefix(repository).ok()?.components();
            below.next().filter(|first| first.as_os_str() == "snapshots")?;
            let commit = below.next()?.as_os_str().to_str()?;
            let file = below.as_path();
            (!file.as_os_str().is_empty()).then_some(Self { repository, commit, file })
        });
        std::iter::from_fn(|| places.next()).last()
    }
}

/// Whether a file in a snapshot lies outside of its repository: it is a link, or lies behind one.
pub fn leads_outside(path: &Path) -> bool {
    let Some(place) = Place::of(path) else { return false };
    match (place.repository.canonicalize(), path.canonicalize()) {
        (Ok(repository), Ok(real)) => {
            !real.starts_with(repository) && shared::name(place.repository, path, &real).is_none()
        }
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// Holds files of caches against what their commits have.
#[derive(Debug, Default)]
pub struct Cache {
    listings: Listings,
    references: References,
}

impl Cache {
    /// With what earlier runs kept.
    pub fn new(checkpoints: &BTreeMap<String, serde_json::Value>) -> Self {
        Self { listings: Listings::default(), references: References::new(checkpoints) }
    }

    /// What is to be kept for later runs.
    pub fn news(&mut self) -> Vec<Checkpoint> {
        self.references.news()
    }

    /// Adds what speaks against a file, which is known by its path and, where it is a link, by what it leads to.
    pub fn note(&mut self, attributes: &mut Fields, path: &Path, target: Option<&Path>) {
        self.references.note(attributes, path);
        let Some(place) = Place::of(path) else { return };
        let identity = place.file.to_str().and_then(|file| identity::of_commit(place.commit, file));
        let listing = place.file.to_str().zip(self.listings.of(place.repository, place.commit));
        let listed = listing.map(|(file, files)| files.get(file));
        if let Some(identity) = identity {
            attributes.insert(identity::FIELD.to_owned(), vec![identity].into());
            if listed.is_none() {
                attributes.insert("file.cache.commit".to_owned(), place.commit.into());
            }
        }
        if listed == Some(None) {
            put(attributes, "file.cache.unlisted");
        }
        let entry = listed.flatten();
        let shared = target.and_then(|target| shared::name(place.repository, path, target));
        let name = target.and_then(|target| blob(&place, target)).or_else(|| shared.clone());
        let other = is_other(path, name.as_deref(), entry);
        if other {
            put(attributes, "file.cache.other");
        }
        // The name of a blob promises the same, or another digest, and then it is another blob.
        let promised = entry.filter(|_| name.as_deref().is_none_or(|name| !is_hex(name, 64)));
        let promised = promised.and_then(|entry| entry.lfs_sha256.as_ref()?.parse::<Sha256>().ok());
        let mut promised = promised.or_else(|| shared?.parse().ok());
        // What was copied without links is as good as fetched, as long as its bytes are those that were.
        let proven = entry.is_some() && !other;
        if target.is_none() && !proven && is_detached(&place, path) {
            match among_blobs(&place, path) {
                Blobs::Same => {}
                Blobs::Perhaps(digest) => promised = promised.or(Some(digest)),
                Blobs::None => put(attributes, "file.cache.detached"),
            }
        }
        if let Some(promised) = promised {
            attributes.insert("artifact.claimed_hash".to_owned(), format!("sha256:{promised}").into());
        }
    }
}

/// Whether the cache has grounds against a file that it had none for before, though its bytes are the same: what it is
/// held against came or changed.
pub fn changes(old: &Fields, new: &Fields) -> Option<Change> {
    let grounds = ["file.cache.other", "file.cache.unlisted", "file.cache.detached", "file.leads_outside"];
    let more = grounds.iter().any(|ground| new.contains_key(*ground) && !old.contains_key(*ground));
    more.then(|| Change { action: CHECKED, fields: Fields::new() })
}

/// Notes what speaks against a file.
fn put(attributes: &mut Fields, name: &str) {
    attributes.insert(name.to_owned(), true.into());
}

/// The name of the blob to which a link leads; `None` if it leads elsewhere, which is told as such.
fn blob(place: &Place<'_>, target: &Path) -> Option<String> {
    let blobs = place.repository.canonicalize().ok()?.join("blobs");
    target.file_name()?.to_str().filter(|_| target.parent() == Some(&*blobs)).map(str::to_owned)
}

/// Whether a file is not what its commit has, or, where nobody listed that, not what the name of its blob says. What a
/// file system without links holds is as good as a link, if its bytes are right.
fn is_other(path: &Path, name: Option<&str>, entry: Option<&Entry>) -> bool {
    match (entry, name) {
        (Some(Entry { lfs_sha256: Some(digest), .. }), Some(name)) => is_hex(name, 64) && name != digest,
        // Its digest is held against the bytes when they are read; of the last nothing is known.
        (Some(Entry { lfs_sha256: Some(_), .. }) | None, None) => false,
        (Some(Entry { blob_id, lfs_sha256: None }), _) => differs(path, blob_id),
        (None, Some(name)) => differs(path, name),
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a small file has other bytes than a SHA-1 says, be it that of Git or, as some mirrors have it, of the bytes
/// alone; of others nothing is said.
fn differs(path: &Path, digest: &str) -> bool {
    let read = Some(path).filter(|_| is_hex(digest, 40)).and_then(|path| files::read(path, SMALL_BYTES_MAX).ok());
    let Some(bytes) = read else { return false };
    let header = format!("blob {}\0", bytes.len());
    sha1(&[header.as_bytes(), &bytes]) != digest && sha1(&[&bytes]) != digest
}

/// In hexadecimal digits, as blobs are named.
fn sha1(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    let mut text = String::new();
    for byte in context.finish().as_ref() {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// Whether a file lies among links: where there are none, the cache is of a system without them.
fn is_detached(place: &Place<'_>, path: &Path) -> bool {
    let has_links = |folder: &Path| {
        let entries = folder.read_dir().into_iter().flatten().take(ENTRIES_MAX).flatten();
        entries.into_iter().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
    };
    let snapshot = place.repository.join("snapshots").join(place.commit);
    // Not behind a link to a folder: what lies there is told as outside.
    path.parent().is_some_and(has_links) || has_links(&snapshot)
}

/// What the blobs of a repository say of a file that is not a link to one.
enum Blobs {
    /// One is named by its digest, or several may be.
    Same,
    /// One alone has its size: it should have this digest.
    Perhaps(Sha256),
    None,
}

fn among_blobs(place: &Place<'_>, path: &Path) -> Blobs {
    let blobs = place.repository.join("blobs");
    let is_there = |name: String| blobs.join(name).symlink_metadata().is_ok_and(|blob| blob.is_file());
    if let Ok(bytes) = files::read(path, SMALL_BYTES_MAX) {
        let git = sha1(&[format!("blob {}\0", bytes.len()).as_bytes(), &bytes]);
        let same = is_there(git) || is_there(Sha256::of(&bytes).to_string());
        return if same { Blobs::Same } else { Blobs::None };
    }
    let Ok(size) = path.symlink_metadata().map(|file| file.len()) else { return Blobs::None };
    let entries = blobs.read_dir().into_iter().flatten().take(BLOBS_MAX).flatten();
    let mut digests = entries.into_iter().filter_map(|entry| {
        let digest = entry.file_name().to_str().filter(|name| is_hex(name, 64))?.parse().ok()?;
        entry.metadata().ok().filter(|blob| blob.is_file() && blob.len() == size).map(|_| digest)
    });
    match (digests.next(), digests.next()) {
        (Some(digest), None) => Blobs::Perhaps(digest),
        // Parts of a model are of one size: it may be any of them.
        (Some(_), Some(_)) => Blobs::Same,
        (None, _) => Blobs::None,
    }
}
