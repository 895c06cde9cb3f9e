//! A bucket as it is asked: page by page of its listing, and bytes of an object.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Place;
use super::signer::Signer;
use crate::base::http::{self, Failure};
use crate::base::secret::Secret;
use crate::event::Sha256;
use crate::sources::remote::{Body, Entry, NAME_MAX, RemoteError};
use crate::sources::{BoxFuture, StoreError};

/// Objects of one page; their keys have 1,024 bytes at most, so that a page fits into one answer.
pub const PAGE: u32 = 1000;

/// One object, or one version of it, as a listing tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Not given by every server, and no digest of the bytes.
    pub etag: Option<String>,
    /// When it was written.
    pub modified: Option<Timestamp>,
    /// Another with each write: the generation of Google, the version of S3 where versions are listed.
    pub version: Option<String>,
    /// Not what is read under this key: an older version.
    pub older: bool,
    /// Says that the object was deleted; there are no bytes.
    pub marker: bool,
    /// The key is no text, or longer than any store allows.
    pub garbled: bool,
}

impl Object {
    /// What consoles make of a folder: a key with a slash at its end and nothing in it.
    pub fn is_folder(&self) -> bool {
        self.size == 0 && self.key.ends_with('/')
    }

    /// The entity tag without its quotes, which are not written by every server.
    pub fn tag(&self) -> Option<&str> {
        self.etag.as_deref().map(|etag| etag.trim_matches('"')).filter(|etag| !etag.is_empty())
    }
}

/// Where a listing goes on: parts of a query.
pub type Cursor = Vec<(&'static str, String)>;

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<Object>,
    pub next: Option<Cursor>,
}

/// Which page is asked for.
pub struct Ask<'a> {
    /// What keys begin with.
    pub prefix: &'a str,
    /// Objects of the page at most.
    pub most: u32,
    /// Older versions as well, where the store can tell them.
    pub versions: bool,
    pub from: &'a [(&'static str, String)],
}

/// How a bucket is opened.
pub struct Access {
    /// Variables that the store's own tools know.
    pub variables: Vec<(String, Secret)>,
    /// Time for one request that is no download.
    pub timeout: Duration,
}

impl Access {
    /// A variable that is set; the last of a name counts.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables().filter(|(known, _)| *known == name).last().map(|(_, value)| value)
    }

    /// All that are set; the last of a name counts.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.variables.iter().map(|(name, value)| (name.as_str(), value.expose()));
        all.filter(|(_, value)| !value.is_empty())
    }

    /// Clients for questions and for downloads.
    pub fn clients(&self) -> Result<(reqwest::Client, reqwest::Client), RemoteError> {
        let client = |timeout| http::client(&http::Options { timeout, ..http::Options::default() });
        let both = (client(Some(self.timeout)), client(None));
        Ok((both.0.map_err(RemoteError::Failed)?, both.1.map_err(RemoteError::Failed)?))
    }
}

/// A bucket of a store.
pub trait Bucket: Send + Sync {
    fn place(&self) -> &Place;

    /// What helps when access was denied.
    fn access(&self) -> &'static str;

    /// What signs requests to other services of the same provider; `None` where there are none that are asked.
    fn signer(&self) -> Option<Arc<Signer>> {
        None
    }

    /// Objects in the order of their keys; of one key the newest version first.
    fn page<'a>(&'a self, ask: &'a Ask<'a>) -> BoxFuture<'a, Result<Page, Failure>>;

    /// What an object is called when its bytes are read.
    fn entry(&self, object: &Object) -> Entry {
        Entry {
            address: self.place().of_key(&object.key),
            size: object.size,
            claimed: None,
            note: None,
            version: object.etag.clone(),
            unreadable: unreadable(object, climbs(&object.key)),
            key: object.key.clone(),
        }
    }

    /// The digest that the store keeps of all bytes of an object as it is listed: not one made of those of its parts.
    fn checksum<'a>(&'a self, _object: &'a Object) -> BoxFuture<'a, Result<Option<Sha256>, Failure>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Bytes of an object: those that were listed, or none.
    fn get<'a>(&'a self, entry: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>>;
}

/// A bucket that several can ask.
pub type Shared = Arc<dyn Bucket>;

/// Whether a key has `.` or `..` as a part: an address with these in it is another address before it is asked for.
fn climbs(key: &str) -> bool {
    key.split('/').any(|part| matches!(part, "." | ".."))
}

/// Why an object cannot be asked for.
pub fn unreadable(object: &Object, climbs: bool) -> Option<String> {
    let why = if object.garbled {
        "its key is no text"
    } else if object.key.len() > NAME_MAX {
        "its key is longer than that of any store"
    } else if climbs {
        "its key has `.` or `..` as a part, and can be no part of a request"
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// An entity tag as a condition has it.
pub fn quoted(etag: &str) -> String {
    if etag.ends_with('"') { etag.to_owned() } else { format!("\"{etag}\"") }
}

/// The pages of one listing, one after the other, to their end.
pub struct Pages<'a> {
    bucket: &'a dyn Bucket,
    prefix: &'a str,
    most: u32,
    versions: bool,
    turns_max: usize,
    from: Cursor,
    ended: bool,
    /// Digests of where it went on: whoever goes in circles has no end.
    seen: BTreeSet<u64>,
}

impl<'a> Pages<'a> {
    pub fn new(bucket: &'a dyn Bucket, prefix: &'a str, versions: bool, turns_max: usize) -> Self {
        let (most, from, seen) = (PAGE, Vec::new(), BTreeSet::new());
        Self { bucket, prefix, most, versions, turns_max, from, ended: false, seen }
    }

    /// The same, with fewer objects on a page.
    pub const fn of(mut self, most: u32) -> Self {
        self.most = most;
        self
    }

    /// The objects of the next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Object>>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let ask = Ask { prefix: self.prefix, most: self.most, versions: self.versions, from: &self.from };
        let page = self.bucket.page(&ask).await?;
        match page.next {
            None => self.ended = true,
            Some(next) => {
                let mut hasher = DefaultHasher::new();
                next.hash(&mut hasher);
                if self.seen.len() >= self.turns_max || !self.seen.insert(hasher.finish()) {
                    return Err(Failure::Garbage("a listing without end".to_owned()));
                }
                self.from = next;
            }
        }
        Ok(Some(page.objects))
    }
}
