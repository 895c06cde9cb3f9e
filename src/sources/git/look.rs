//! One look at a repository: where its refs lead, which files are there, and which of their bytes are on this host.
//!
//! A ref that leads where it led before costs nothing; a tree that is known costs nothing either.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gix_hash::ObjectId;

use super::config::Checked;
use super::dvc::{self, Md5, Out};
use super::files::{Fault, Patience};
use super::history::{self, Claims, Tip};
use super::layout::Layout;
use super::objects::Objects;
use super::records::{Identity, Item};
use super::refs::{self, Refs};
use super::stored::{Local, Stores};
use super::tree::{Bounds, Cache, File, Listing, Walk, What};
use crate::event::Sha256;
use crate::sources::filesystem::escape;

/// Time to read histories in one look.
const JUDGING: Duration = Duration::from_mins(5);
/// Answers about histories that are kept.
const JUDGED_MAX: usize = 10_000;
/// Tags and protected branches that are remembered after they went.
const LAST_MAX: usize = 100_000;

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Elsewhere, or nowhere.
    Away,
    /// In the repository's own objects, so many.
    Inside(u64),
    /// In a file of their own.
    Here(Local),
}

impl Stored {
    pub const fn is_here(&self) -> bool {
        !matches!(self, Self::Away)
    }

    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Here(Local { broken: true, .. }))
    }

    pub const fn size(&self) -> Option<u64> {
        match self {
            Self::Away => None,
            Self::Inside(size) => Some(*size),
            Self::Here(local) => Some(local.size),
        }
    }

    /// Changes when somebody wrote to them.
    pub fn stamp(&self) -> String {
        match self {
            Self::Away => "away".to_owned(),
            Self::Inside(_) => String::new(),
            Self::Here(local) => format!("{}{}", local.stamp, if local.broken { " broken" } else { "" }),
        }
    }
}

/// One ref that is watched.
#[derive(Debug, Clone)]
pub struct Branch {
    pub name: String,
    pub target: ObjectId,
    /// Its commit; `None` where it leads to no files.
    pub tip: Option<Tip>,
    /// It must lead where it always did.
    pub fixed: bool,
    pub files: Arc<Listing>,
}

/// What a look found.
pub struct Look {
    pub name: String,
    /// Path of the repository, as it is written in events.
    pub place: String,
    pub branches: Vec<Branch>,
    /// Refs with the commits that they lead to, also those whose files could not be read; by their names.
    pub tips: Vec<(String, ObjectId)>,
    /// The default branch, of a repository without a working tree.
    pub default: Option<(String, ObjectId)>,
    /// Refs that could not be looked at, with the reason.
    pub unread: Vec<(String, Fault)>,
    /// What is not as it should be and concerns all refs.
    pub problems: Vec<Fault>,
    pub cut: bool,
    lfs: HashMap<Sha256, Local>,
    dvc: HashMap<(Md5, bool), Local>,
    /// Listing of folders that DVC keeps, by their paths in them.
    lists: HashMap<Md5, Result<Arc<Vec<Out>>, String>>,
    /// Objects and bytes read.
    pub cost: (u64, u64),
}

/// What a look leaves for the next.
#[derive(Default)]
pub struct Memory {
    tips: HashMap<ObjectId, Option<Tip>>,
    cache: Cache,
    stores: Stores,
    known: Arc<Mutex<Known>>,
}

/// What others may ask of a repository, also while it is being looked at.
#[derive(Default)]
pub struct Known {
    refs: Refs,
    /// As they were read last, whatever became of the look.
    pub glanced: Refs,
    /// What was told last, with what was left out of that: these come before others that are as important.
    pub told: BTreeMap<String, ObjectId>,
    /// Where tags that must not move and protected branches led last, also those that went away.
    last: BTreeMap<String, ObjectId>,
    /// Those of them that lead elsewhere than before, with where that was.
    pub left: BTreeMap<String, ObjectId>,
    /// The default branch when there was one last, and the one before that.
    default: Option<(String, ObjectId)>,
    pub default_left: Option<(String, ObjectId)>,
    /// Of two commits, whether the first is part of the history of the second.
    pub judged: HashMap<(ObjectId, ObjectId), Option<bool>>,
    pub claims: HashMap<ObjectId, Claims>,
}

impl Memory {
    pub fn new(known: Arc<Mutex<Known>>) -> Self {
        Self { known, ..Self::default() }
    }
}

/// Looks at a repository.
pub fn look(
    checked: &Checked,
    name: &str,
    path: &Path,
    memory: &mut Memory,
    patience: &Patience,
) -> Result<Look, Fault> {
    let layout = Layout::find(path, checked)?;
    let before = known(memory).told.clone();
    let found = Refs::read(&layout, checked, &before)?;
    known(memory).glanced.clone_from(&found);
    // As when they were chosen: what is bounded below is not used up by a flood of others.
    let default = found.default.as_ref().map(|(name, _)| &**name);
    let mut order: Vec<(&String, &ObjectId)> = found.targets.iter().collect();
    order.sort_by_cached_key(|(name, _)| (checked.rank(name, default), !before.contains_key(*name)));
    let objects = Objects::new(&layout, patience.clone());
    let mut look = Look {
        name: name.to_owned(),
        place: escape(path),
        branches: Vec::new(),
        tips: Vec::new(),
        default: None,
        unread: Vec::new(),
        problems: layout.refused.clone(),
        cut: found.cut,
        lfs: HashMap::new(),
        dvc: HashMap::new(),
        lists: HashMap::new(),
        cost: (0, 0),
    };
    for (name, why) in &found.broken {
        look.unread.push((name.clone(), Fault::Corrupt(why.clone())));
    }
    let cache = std::mem::take(&mut memory.cache);
    let bounds = Bounds {
        bytes: checked.config.artifact_bytes_max,
        files: checked.config.files_max,
        told: checked.config.records_max.saturating_mul(2),
    };
    let mut walk = Walk::new(&objects, &checked.filter, bounds, cache);
    let mut tips = HashMap::new();
    for &(name, target) in &order {
        let tip = match tips.get(target).or_else(|| memory.tips.get(target)).cloned() {
            Some(tip) => Ok(tip),
            None => history::tip(&objects, target),
        };
        if let Ok(tip) = &tip {
            tips.insert(*target, tip.clone());
        }
        // A branch is moved by whoever can push; it says so itself, whatever it leads to.
        let commit = tip.as_ref().ok().and_then(Option::as_ref).map_or(*target, |tip| tip.commit);
        look.tips.push((name.clone(), commit));
        match tip.and_then(|tip| branch(name, target, tip, checked, &mut walk)) {
            Ok(branch) => look.branches.push(branch),
            Err(fault @ (Fault::Stopped | Fault::Slow)) => {
                memory.cache = walk.broken_off();
                return Err(fault);
            }
            Err(fault) => look.unread.push((name.clone(), fault)),
        }
    }
    if let Some((name, target)) = &found.default {
        let known = tips.get(target).or_else(|| memory.tips.get(target)).cloned();
        let tip = known.or_else(|| history::tip(&objects, target).ok());
        tips.extend(tip.clone().map(|tip| (*target, tip)));
        look.default = Some((name.clone(), tip.flatten().map_or(*target, |tip| tip.commit)));
    }
    // Nothing is known of where these lead now, and it is not said that they are gone.
    let mut left_out: Vec<(&String, &ObjectId)> =
        found.left_out.iter().filter_map(|name| before.get_key_value(name)).collect();
    left_out.sort_by_cached_key(|(name, _)| checked.rank(name, default));
    left_out.truncate(refs::REFS_MAX);
    look.tips.extend(left_out.into_iter().map(|(name, commit)| (name.clone(), *commit)));
    look.tips.sort_unstable();
    memory.cache = walk.end();
    memory.tips = tips;
    let histories = Objects::new(&layout, patience.within(JUDGING));
    order.retain(|(name, _)| checked.protects(refs::short(name)) || Some(&***name) == default);
    judge(&histories, &order, memory);
    memory.stores.begin(checked.config.artifact_bytes_max);
    look.find_bytes(&layout, &mut memory.stores, patience)?;
    known(memory).remember(checked, &found, &look);
    let (one, other) = (objects.cost.get(), histories.cost.get());
    look.cost = (one.0 + other.0, one.1 + other.1);
    Ok(look)
}

fn branch(
    name: &str,
    target: &ObjectId,
    tip: Option<Tip>,
    checked: &Checked,
    walk: &mut Walk<'_>,
) -> Result<Branch, Fault> {
    let files = match &tip {
        Some(tip) => walk.files(&tip.tree)?,
        None => Arc::default(),
    };
    Ok(Branch { name: name.to_owned(), target: *target, tip, fixed: checked.fixes(refs::short(name)), files })
}

fn known(memory: &Memory) -> MutexGuard<'_, Known> {
    memory.known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Learns of every protected branch that moved whether what it was before is still part of it.
fn judge(objects: &Objects<'_>, branches: &[(&String, &ObjectId)], memory: &Memory) {
    let commit = |target: &ObjectId| memory.tips.get(target).and_then(|tip| Some(tip.as_ref()?.commit));
    let before = known(memory).refs.targets.clone();
    for &(name, target) in branches {
        let Some((old, new)) = before.get(name).filter(|before| *before != target).zip(commit(target)) else {
            continue;
        };
        let answer = history::is_ancestor(objects, old, &new).unwrap_or_else(|fault| {
            tracing::warn!(reference = name, %fault, "whether a history was rewritten cannot be told");
            // No ordinary history holds commits that cannot be read: what they hide is as good as gone.
            matches!(fault, Fault::Corrupt(_) | Fault::TooLarge(_)).then_some(false)
        });
        let mut known = known(memory);
        if known.judged.len() >= JUDGED_MAX {
            known.judged.clear();
        }
        known.judged.insert((*old, new), answer);
    }
}

impl Known {
    /// What an earlier run told last.
    pub fn recall(&mut self, told: BTreeMap<String, ObjectId>) {
        self.last.clone_from(&told);
        self.told = told;
    }

    fn remember(&mut self, checked: &Checked, found: &Refs, look: &Look) {
        self.refs.clone_from(found);
        self.told = look.tips.iter().cloned().collect();
        match &look.default {
            Some(default) => {
                let before = self.default.replace(default.clone());
                if let Some(before) = before.filter(|(name, _)| *name != default.0) {
                    self.default_left = Some(before);
                }
            }
            // Whatever comes next follows the one that there was last.
            None => self.default_left = None,
        }
        let default = look.default.as_ref().map(|(name, _)| name);
        let tips = look.branches.iter().filter_map(|branch| branch.tip.as_ref());
        self.claims = tips.map(|tip| (tip.commit, tip.claims.clone())).collect();
        // What is away may come back as it was.
        self.left.retain(|name, _| found.targets.contains_key(name));
        let kept = |branch: &&Branch| {
            branch.fixed || checked.protects(refs::short(&branch.name)) || Some(&branch.name) == default
        };
        for branch in look.branches.iter().filter(kept) {
            if self.last.len() >= LAST_MAX && !self.last.contains_key(&branch.name) {
                continue;
            }
            let commit = branch.tip.as_ref().map_or(branch.target, |tip| tip.commit);
            let before = self.last.insert(branch.name.clone(), commit);
            if let Some(before) = before.filter(|before| *before != commit) {
                self.left.insert(branch.name.clone(), before);
            }
        }
    }
}

impl Look {
    /// Finds which bytes are on this host.
    fn find_bytes(&mut self, layout: &Layout, stores: &mut Stores, patience: &Patience) -> Result<(), Fault> {
        let trees: BTreeMap<ObjectId, Arc<Listing>> = self
            .branches
            .iter()
            .filter_map(|branch| Some((branch.tip.as_ref()?.tree, Arc::clone(&branch.files))))
            .collect();
        for file in trees.values().flat_map(|files| &files.told) {
            patience.check()?;
            match &file.what {
                What::Lfs(pointer) => self.lfs(layout, &pointer.sha256),
                What::Dvc(outs) => {
                    for out in outs.iter() {
                        self.dvc(layout, stores, out, patience)?;
                    }
                }
                What::Plain | What::Malformed(_) => {}
            }
        }
        Ok(())
    }

    fn lfs(&mut self, layout: &Layout, digest: &Sha256) {
        if self.lfs.contains_key(digest) {
            return;
        }
        for path in lfs_paths(layout, digest) {
            match layout.ground.stat(&path) {
                Ok(Some(stat)) => {
                    self.lfs.insert(*digest, Local::of(&stat));
                    break;
                }
                Ok(None) => {}
                Err(fault) => self.problem(fault),
            }
        }
    }

    fn dvc(&mut self, layout: &Layout, stores: &mut Stores, out: &Out, patience: &Patience) -> Result<(), Fault> {
        if self.dvc.contains_key(&(out.md5.clone(), out.folder)) {
            return Ok(());
        }
        let Some((path, local)) = self.cached(layout, stores, out, patience)? else { return Ok(()) };
        self.dvc.insert((out.md5.clone(), out.folder), local.clone());
        if !out.folder || self.lists.contains_key(&out.md5) {
            return Ok(());
        }
        let listed = match layout.ground.read(&path, dvc::LIST_BYTES_MAX) {
            _ if local.broken => Err("it is not what its name says".to_owned()),
            Ok(bytes) => dvc::list(&bytes.unwrap_or_default()).map(Arc::new),
            Err(fault) => Err(fault.to_string()),
        };
        for file in listed.iter().flat_map(|outs| outs.iter()) {
            self.dvc(layout, stores, file, patience)?;
        }
        self.lists.insert(out.md5.clone(), listed);
        Ok(())
    }

    fn cached(
        &mut self,
        layout: &Layout,
        stores: &mut Stores,
        out: &Out,
        patience: &Patience,
    ) -> Result<Option<(PathBuf, Local)>, Fault> {
        for path in dvc_paths(layout, &out.md5, out.folder) {
            match stores.held_against(&layout.ground, &path, &out.md5, patience) {
                Ok(Some(local)) => return Ok(Some((path, local))),
                Ok(None) => {}
                Err(fault @ (Fault::Slow | Fault::Stopped)) => return Err(fault),
                Err(fault) => self.problem(fault),
            }
        }
        Ok(None)
    }

    fn problem(&mut self, fault: Fault) {
        if !self.problems.contains(&fault) && self.problems.len() < 100 {
            self.problems.push(fault);
        }
    }

    /// The artifacts that a file is, or names; and why some of them are not known.
    pub fn items(&self, file: &File) -> (Vec<Item>, Option<String>) {
        let item = |identity, size, stored, problem| Item { path: file.path.clone(), identity, size, stored, problem };
        match &file.what {
            What::Plain => (vec![item(Identity::Git(file.blob), None, Stored::Inside(file.size), None)], None),
            What::Malformed(why) => {
                (vec![item(Identity::Git(file.blob), None, Stored::Inside(file.size), Some(*why))], None)
            }
            What::Lfs(pointer) => {
                let stored = self.lfs.get(&pointer.sha256).cloned().map_or(Stored::Away, Stored::Here);
                let problem = pointer.too_long.then_some("it is longer than a pointer may be");
                (vec![item(Identity::Lfs(pointer.sha256), Some(pointer.size), stored, problem)], None)
            }
            What::Dvc(outs) => {
                let mut items = Vec::new();
                let mut problem = None;
                for out in outs.iter() {
                    let list = self.lists.get(&out.md5).filter(|_| out.folder);
                    if let Some(Err(why)) = list {
                        problem = Some(format!("the list of the folder `{}`: {why}", out.path));
                    }
                    items.push(self.out(out, &out.path));
                    if let Some(Ok(files)) = list {
                        items.extend(files.iter().map(|file| self.out(file, &format!("{}/{}", out.path, file.path))));
                    }
                }
                (items, problem)
            }
        }
    }

    fn out(&self, out: &Out, path: &str) -> Item {
        let local = self.dvc.get(&(out.md5.clone(), out.folder)).cloned();
        Item {
            path: path.as_bytes().into(),
            identity: Identity::Dvc(out.md5.clone()),
            // The list of a folder is small; what the folder holds is not.
            size: out.size.filter(|_| !out.folder),
            stored: local.filter(|local| !out.folder || local.broken).map_or(Stored::Away, Stored::Here),
            problem: None,
        }
    }
}

/// Where LFS keeps an object.
pub fn lfs_paths<'p>(layout: &'p Layout, digest: &Sha256) -> impl Iterator<Item = PathBuf> + 'p {
    let hex = digest.to_string();
    let place = format!("{}/{}/{hex}", hex.get(..2).unwrap_or_default(), hex.get(2..4).unwrap_or_default());
    layout.lfs.iter().map(move |folder| folder.join(&place))
}

/// Where DVC keeps a file.
pub fn dvc_paths<'p>(layout: &'p Layout, md5: &Md5, folder: bool) -> impl Iterator<Item = PathBuf> + 'p {
    let places = md5.places(folder);
    layout.dvc.iter().flat_map(move |cache| places.clone().map(|place| cache.join(place)))
}
