//! Objects by their names, loose or packed. Whatever is read is held against its name.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use gix_hash::{Kind, ObjectId, hasher};
use gix_object::Kind as ObjectKind;

use super::files::{Fault, Patience};
use super::inflate::{Held, Stream, cut_off};
use super::layout::Layout;
use super::pack::Pack;

/// Bytes of a commit, a tree or a tag: a tree of 100,000 names has some 6 MB.
pub const STRUCTURE_BYTES_MAX: u64 = 32 << 20;
/// Packs of one repository.
const PACKS_MAX: usize = 2_000;
/// Files of packs that are open at the same time.
const OPEN_MAX: usize = 32;
/// Packs are listed again for what is missing, if the last time is so long ago.
const RELIST: Duration = Duration::from_millis(200);
/// Bytes that one object may cost beside its own size, for those that it is made from.
const WORK_MAX: u64 = 1 << 30;
/// The same for the beginning of one.
const PEEK_MAX: u64 = 256 << 20;
/// Bytes of a loose object before its content: kind and size.
const LOOSE_HEADER: usize = 32;

/// The objects of one repository, for one look: packs stay open, and are read as they were then.
pub struct Objects<'l> {
    layout: &'l Layout,
    patience: Patience,
    packs: RefCell<Packs>,
    /// Objects and bytes read so far.
    pub cost: Cell<(u64, u64)>,
}

#[derive(Default)]
struct Packs {
    listed: Option<Instant>,
    /// Indexes, those that gave something last in front.
    paths: Vec<PathBuf>,
    open: Vec<(PathBuf, Rc<Pack>)>,
    /// Why a pack could not be opened.
    broken: Option<Fault>,
}

/// Where an object lies.
enum Found {
    Loose(std::fs::File),
    Packed(Rc<Pack>, u64),
}

impl<'l> Objects<'l> {
    pub fn new(layout: &'l Layout, patience: Patience) -> Self {
        Self { layout, patience, packs: RefCell::default(), cost: Cell::new((0, 0)) }
    }

    pub const fn hash(&self) -> Kind {
        self.layout.hash
    }

    /// The size of an object.
    pub fn size(&self, id: &ObjectId) -> Result<u64, Fault> {
        self.patience.check()?;
        self.count(0);
        match self.find(id)? {
            Found::Loose(file) => Ok(loose(&mut Stream::new(&file, 0))?.1),
            Found::Packed(pack, offset) => pack.size(offset),
        }
    }

    /// The size of an object, and its first bytes, as many as there are of so many: not held against its name.
    pub fn peek(&self, id: &ObjectId, most: usize) -> Result<(u64, Vec<u8>), Fault> {
        self.patience.check()?;
        self.count(0);
        match self.find(id)? {
            Found::Loose(file) => {
                let mut stream = Stream::new(&file, 0);
                let (_, size, mut head) = loose(&mut stream)?;
                let length = usize::try_from(size).unwrap_or(most).min(most);
                let known = head.len().min(length);
                head.resize(length, 0);
                let rest = head.get_mut(known..).unwrap_or_default();
                if stream.fill(rest)? < rest.len() { Err(cut_off()) } else { Ok((size, head)) }
            }
            Found::Packed(pack, offset) => {
                let work = Cell::new(0_u64);
                let fits = |more: u64| {
                    work.set(work.get().saturating_add(more));
                    let why = || Fault::TooLarge(format!("the beginning of object {id} is made of too much"));
                    if work.get() > PEEK_MAX { Err(why()) } else { Ok(()) }
                };
                pack.peek(offset, most, &self.patience, &fits)
            }
        }
    }

    /// A commit, a tree or a tag with its bytes.
    pub fn structure(&self, id: &ObjectId) -> Result<(ObjectKind, Vec<u8>), Fault> {
        let (kind, held) = self.read(id, STRUCTURE_BYTES_MAX)?;
        Ok((kind, held.into_memory()?))
    }

    /// An object of no more than so many bytes.
    pub fn read(&self, id: &ObjectId, bytes_max: u64) -> Result<(ObjectKind, Held), Fault> {
        self.patience.check()?;
        let fits = |size: u64, most: u64| {
            let why = || Fault::TooLarge(format!("object {id} has more than {bytes_max} bytes, or is made of such"));
            if size > most { Err(why()) } else { Ok(()) }
        };
        let (kind, held) = match self.find(id)? {
            Found::Packed(pack, offset) => {
                fits(pack.size(offset)?, bytes_max)?;
                // What it is made from may be larger, as a file is that became shorter.
                let work_max = bytes_max.saturating_mul(64).saturating_add(WORK_MAX >> 4);
                let work_max = work_max.min(bytes_max.saturating_mul(2).saturating_add(WORK_MAX));
                let work = Cell::new(0_u64);
                let count = |size: u64| {
                    work.set(work.get().saturating_add(size));
                    fits(work.get(), work_max)
                };
                pack.object(offset, &self.patience, &count)?
            }
            Found::Loose(file) => {
                let mut stream = Stream::new(&file, 0);
                let (kind, size, rest) = loose(&mut stream)?;
                fits(size, bytes_max)?;
                let mut held = Held::of(size)?;
                let Some(left) = size.checked_sub(rest.len() as u64) else { return Err(cut_off()) };
                held.push(&rest)?;
                stream.copy(left, &self.patience, &mut |block| held.push(block))?;
                stream.end()?;
                (kind, held)
            }
        };
        self.count(held.len());
        self.verify(id, kind, &held)?;
        Ok((kind, held))
    }

    /// Nobody else compares an object with its name on the way to a loader.
    fn verify(&self, id: &ObjectId, kind: ObjectKind, held: &Held) -> Result<(), Fault> {
        let mut hasher = hasher(self.layout.hash);
        hasher.update(format!("{kind} {}\0", held.len()).as_bytes());
        held.copy(0, held.len(), &mut |block| {
            hasher.update(block);
            self.patience.check()
        })?;
        match hasher.try_finalize() {
            Ok(found) if found == *id => Ok(()),
            Ok(_) => Err(Fault::Corrupt(format!("object {id} is not what its name says"))),
            Err(_) => Err(Fault::Corrupt(format!("object {id} was made to collide with another"))),
        }
    }

    fn count(&self, bytes: u64) {
        let (objects, before) = self.cost.get();
        self.cost.set((objects + 1, before + bytes));
    }

    fn find(&self, id: &ObjectId) -> Result<Found, Fault> {
        for again in [false, true] {
            if let Some(found) = self.packed(id, again)? {
                return Ok(found);
            }
            let hex = id.to_string();
            let (folder, name) = hex.split_at_checked(2).unwrap_or_default();
            for objects in &self.layout.objects {
                match self.layout.ground.file(&objects.join(folder).join(name)) {
                    Ok(file) => return Ok(Found::Loose(file)),
                    Err(Fault::Missing) => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        let broken = self.packs.borrow().broken.clone();
        Err(broken.unwrap_or_else(|| Fault::NoObject(id.to_string())))
    }

    /// Looks in the packs; what was packed meanwhile is found when they are listed `again`.
    fn packed(&self, id: &ObjectId, again: bool) -> Result<Option<Found>, Fault> {
        let mut packs = self.packs.borrow_mut();
        let fresh = packs.listed.is_some_and(|listed| !again || listed.elapsed() < RELIST);
        if again && fresh {
            return Ok(None);
        }
        if !fresh {
            packs.paths = self.indexes()?;
            packs.listed = Some(Instant::now());
        }
        for number in 0..packs.paths.len() {
            let Some(path) = packs.paths.get(number).cloned() else { break };
            let pack = match packs.opened(&path, self.layout) {
                Ok(pack) => pack,
                // Packed anew meanwhile; or broken, which says nothing of the others.
                Err(Fault::Missing) => continue,
                Err(fault) => {
                    packs.broken = Some(fault);
                    continue;
                }
            };
            if let Some(offset) = pack.find(id)? {
                if number > 0 {
                    packs.paths.swap(0, number);
                }
                return Ok(Some(Found::Packed(pack, offset)));
            }
        }
        Ok(None)
    }

    fn indexes(&self) -> Result<Vec<PathBuf>, Fault> {
        let mut paths = Vec::new();
        for objects in &self.layout.objects {
            let folder = objects.join("pack");
            let names = self.layout.ground.list(&folder, PACKS_MAX * 8)?.into_iter().map(|(name, _)| folder.join(name));
            paths.extend(names.filter(|path| path.extension().is_some_and(|extension| extension == "idx")));
        }
        if paths.len() > PACKS_MAX {
            return Err(Fault::TooLarge(format!("it has more than {PACKS_MAX} packs; pack it anew with `git gc`")));
        }
        paths.sort_unstable();
        Ok(paths)
    }
}

impl Packs {
    fn opened(&mut self, path: &PathBuf, layout: &Layout) -> Result<Rc<Pack>, Fault> {
        if let Some((_, pack)) = self.open.iter().find(|(open, _)| open == path) {
            return Ok(Rc::clone(pack));
        }
        let pack = Rc::new(Pack::open(&layout.ground, path, layout.hash)?);
        if self.open.len() >= OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push((path.clone(), Rc::clone(&pack)));
        Ok(pack)
    }
}

/// Kind and size of a loose object, and what was read of its content with them.
fn loose(stream: &mut Stream<'_>) -> Result<(ObjectKind, u64, Vec<u8>), Fault> {
    let mut head = [0; LOOSE_HEADER];
    let count = stream.fill(&mut head)?;
    let head = head.get(..count).unwrap_or_default();
    let parsed = head.iter().position(|byte| *byte == 0).and_then(|end| {
        let (text, rest) = head.split_at_checked(end)?;
        let (kind, size) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        let size = size.parse().ok().filter(|_| size.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some((ObjectKind::from_bytes(kind.as_bytes()).ok()?, size, rest.get(1..)?.to_vec()))
    });
    parsed.ok_or_else(|| Fault::Corrupt("a loose object says neither what it is nor how large".to_owned()))
}
