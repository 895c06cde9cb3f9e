//! What commits say: their trees, what came before, and who says to have made them.

use std::collections::{BTreeSet, BinaryHeap};

use gix_hash::ObjectId;
use gix_object::{CommitRefIter, Kind, TagRefIter};

use super::files::Fault;
use super::objects::Objects;
use crate::base::text::shorten;

/// Commits that are looked at to learn whether one comes before another.
const COMMITS_MAX: usize = 100_000;
/// Clocks of those who commit differ by less.
const SLACK_SECS: i64 = 30 * 24 * 3600;
/// Tags of tags.
const TAGS_MAX: usize = 8;
const NAME_CHARS: usize = 200;

/// A commit as it describes itself: anybody can write anything into it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    pub author: String,
    pub committer: String,
    /// Seconds since 1970, as the committer says.
    pub seconds: i64,
}

/// Where a ref leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    pub commit: ObjectId,
    pub tree: ObjectId,
    pub claims: Claims,
}

/// Follows a ref to its commit, through tags; `None` if it leads to something else than files.
pub fn tip(objects: &Objects<'_>, target: &ObjectId) -> Result<Option<Tip>, Fault> {
    let mut id = *target;
    for _ in 0..TAGS_MAX {
        let (kind, bytes) = objects.structure(&id)?;
        match kind {
            Kind::Commit => {
                let commit = parse(&bytes, objects, &id)?;
                return Ok(Some(Tip { commit: id, tree: commit.tree, claims: commit.claims }));
            }
            Kind::Tag => {
                let next = TagRefIter::from_bytes(&bytes, objects.hash()).target_id();
                id = next.map_err(|_| Fault::Corrupt(format!("tag {id} names nothing")))?;
            }
            // A tag of a tree has files too, and no history.
            Kind::Tree => return Ok(Some(Tip { commit: id, tree: id, claims: Claims::default() })),
            Kind::Blob => return Ok(None),
        }
    }
    Err(Fault::TooLarge(format!("tag {target} leads through more than {TAGS_MAX} tags")))
}

struct Commit {
    tree: ObjectId,
    parents: Vec<ObjectId>,
    claims: Claims,
}

fn parse(bytes: &[u8], objects: &Objects<'_>, id: &ObjectId) -> Result<Commit, Fault> {
    let iter = || CommitRefIter::from_bytes(bytes, objects.hash());
    let tree = iter().tree_id().map_err(|_| Fault::Corrupt(format!("commit {id} names no files")))?;
    let name = |signature: &gix_object::bstr::BStr, mail: &gix_object::bstr::BStr| {
        shorten(&format!("{signature} <{mail}>"), NAME_CHARS)
    };
    let author = iter().author().map(|author| name(author.name, author.email)).unwrap_or_default();
    let (committer, seconds) = iter()
        .committer()
        .map(|one| (name(one.name, one.email), one.time().map_or(0, |time| time.seconds)))
        .unwrap_or_default();
    Ok(Commit { tree, parents: iter().parent_ids().collect(), claims: Claims { author, committer, seconds } })
}

/// Whether `old` is part of the history of `new`; `None` if that cannot be told: commits are missing, or too many.
///
/// Neither grafts, replacements nor the commit graph are asked: anybody who can write to the repository can write
/// anything into them.
pub fn is_ancestor(objects: &Objects<'_>, old: &ObjectId, new: &ObjectId) -> Result<Option<bool>, Fault> {
    let mut seen = BTreeSet::from([*new]);
    // Those that say to be newest first: an ordinary push is found after a few steps.
    let mut waiting = BinaryHeap::from([(i64::MAX, *new)]);
    let mut missing = false;
    while let Some((_, id)) = waiting.pop() {
        if id == *old {
            return Ok(Some(true));
        }
        if seen.len() > COMMITS_MAX {
            return Ok(older_than(objects, old, waiting.peek().map_or(i64::MAX, |(seconds, _)| *seconds)));
        }
        let commit = match read(objects, &id) {
            Ok(commit) => commit,
            Err(Fault::NoObject(_)) => {
                missing = true;
                continue;
            }
            Err(fault) => return Err(fault),
        };
        for parent in commit.parents {
            if seen.insert(parent) {
                waiting.push((commit.claims.seconds, parent));
            }
        }
    }
    Ok((!missing).then_some(false))
}

/// Of histories too long to be read whole: what is left is so much older than the commit that it cannot be behind it.
fn older_than(objects: &Objects<'_>, old: &ObjectId, newest: i64) -> Option<bool> {
    let seconds = read(objects, old).ok()?.claims.seconds;
    (seconds.saturating_sub(SLACK_SECS) > newest).then_some(false)
}

fn read(objects: &Objects<'_>, id: &ObjectId) -> Result<Commit, Fault> {
    match objects.structure(id)? {
        (Kind::Commit, bytes) => parse(&bytes, objects, id),
        (..) => Err(Fault::Corrupt(format!("{id} is no commit"))),
    }
}
