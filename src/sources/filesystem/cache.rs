//! The cache of the Hugging Face Hub: what its layout promises about the files in it.
//!
//! `models--org--name/snapshots/COMMIT/file` is a link to `../../blobs/NAME`, and of large files NAME is the SHA-256
//! of their content: so the cache can be held against itself, without asking anybody. Small files bear the SHA-1 that
//! Git gives them: two files of the same can be made, but none that has that of a given file. What a commit has is in
//! `trees/COMMIT.json`, where the client listed it.

mod listing;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::base::files;
use crate::event::{Fields, Sha256, identity};
use listing::{Entry, Listings};

/// Bytes of a file that the hub keeps in Git itself: larger ones are in LFS.
const SMALL_BYTES_MAX: u64 = 10 << 20;
const REFERENCE_BYTES_MAX: u64 = 256;
/// Entries of a folder that are looked at for a link.
const ENTRIES_MAX: usize = 256;

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
        (Ok(repository), Ok(real)) => !real.starts_with(repository),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// Holds files of caches against what their commits have.
#[derive(Debug, Default)]
pub struct Cache {
    listings: Listings,
}

impl Cache {
    /// Adds what speaks against a file, which is known by its path and, where it is a link, by what it leads to.
    pub fn note(&mut self, attributes: &mut Fields, path: &Path, target: Option<&Path>) {
        if is_dangling(path) {
            put(attributes, "file.cache.dangling");
        }
        let Some(place) = Place::of(path) else { return };
        let identity = place.file.to_str().and_then(|file| identity::of_commit(place.commit, file));
        if let Some(identity) = identity {
            attributes.insert(identity::FIELD.to_owned(), vec![identity].into());
        }
        let entry = place.file.to_str().zip(self.listings.of(place.repository, place.commit));
        let entry = entry.map(|(file, files)| files.get(file));
        if entry == Some(None) {
            put(attributes, "file.cache.unlisted");
        }
        let entry = entry.flatten();
        let name = target.and_then(|target| blob(&place, target));
        if is_other(path, name.as_deref(), entry) {
            put(attributes, "file.cache.other");
        }
        if target.is_none() && is_detached(&place, path) {
            put(attributes, "file.cache.detached");
        }
        // The name of a blob promises the same, or another digest, and then it is another blob.
        let promised = entry.filter(|_| name.as_deref().is_none_or(|name| !is_hex(name, 64)));
        let promised = promised.and_then(|entry| entry.lfs_sha256.as_ref()?.parse::<Sha256>().ok());
        if let Some(promised) = promised {
            attributes.insert("artifact.claimed_hash".to_owned(), format!("sha256:{promised}").into());
        }
    }
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
    let pairs = digest.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    let promised: Vec<u8> = pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    let is = |header: &str| {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(header.as_bytes());
        context.update(&bytes);
        context.finish().as_ref() == promised
    };
    !is(&format!("blob {}\0", bytes.len())) && !is("")
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

/// Whether a reference names a commit of which the cache has nothing.
fn is_dangling(path: &Path) -> bool {
    let Some(repository) = path.ancestors().skip(1).find(|folder| is_repository(folder)) else { return false };
    if !path.strip_prefix(repository).is_ok_and(|below| below.starts_with("refs")) {
        return false;
    }
    let commit = files::read_text(path, REFERENCE_BYTES_MAX).ok();
    let commit = commit.as_deref().map(str::trim).filter(|text| text.len() == 40);
    let commit = commit.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    commit.is_some_and(|commit| !repository.join("snapshots").join(commit).is_dir())
}
