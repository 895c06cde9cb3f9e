//! Packs of objects: <https://git-scm.com/docs/gitformat-pack>.
//!
//! They are read by position and never mapped into memory: whoever can cut a mapped file short ends the process that
//! mapped it. What lies in the middle of a chain of differences goes through files without names, like its end.

mod peek;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use gix_hash::{Kind, ObjectId};
use gix_object::Kind as ObjectKind;

use super::files::{Fault, Ground, Patience};
use super::inflate::{Held, Stream, cut_off};
use crate::sources::filesystem::escape;

/// Bytes of the table of how many names begin with which byte, or less.
const FAN: u64 = 4 * 256;
/// How indexes begin, and those of version 2; those of version 1 begin with the table.
const ANY_MAGIC: &[u8] = b"\xfftOc";
const MAGIC: &[u8] = b"\xfftOc\0\0\0\x02";
/// Objects in one pack.
const OBJECTS_MAX: u64 = 200_000_000;
/// Differences on one another; Git itself makes no more than 4,095.
const CHAIN_MAX: usize = 4096;
/// Bytes of an entry before its data: type and size, and where its base is.
const ENTRY_BYTES: usize = 64;

/// A pack with its index.
pub struct Pack {
    path: PathBuf,
    index: File,
    data: File,
    fan: Vec<u32>,
    hash: Kind,
    /// In version 1 each name follows its offset; in version 2 all names come first.
    first_version: bool,
}

/// How an object lies in a pack.
struct Entry {
    what: What,
    /// Bytes when unpacked: of the object, or of the difference.
    size: u64,
    /// Where the packed bytes begin.
    data: u64,
}

enum What {
    Whole(ObjectKind),
    /// A difference to what lies there.
    From(u64),
}

impl Pack {
    /// Opens `pack-….idx` and the pack beside it.
    pub fn open(ground: &Ground, index: &Path, hash: Kind) -> Result<Self, Fault> {
        let path = index.with_extension("pack");
        let file = ground.file(index)?;
        let data = ground.file(&path)?;
        let broken = |why: &str| Fault::Corrupt(format!("`{}`: {why}", escape(index)));
        let mut head = vec![0; MAGIC.len() + usize::try_from(FAN).unwrap_or_default()];
        file.read_exact_at(&mut head, 0).map_err(|_| broken("it breaks off"))?;
        let first_version = !head.starts_with(ANY_MAGIC);
        if !first_version && !head.starts_with(MAGIC) {
            let why = format!("`{}` is an index of a kind that is not read here", escape(index));
            return Err(Fault::Unsupported(why));
        }
        let (_, fan) = head.split_at(if first_version { 0 } else { MAGIC.len() });
        let fan: Vec<u32> = fan.as_chunks::<4>().0.iter().take(256).map(|bytes| u32::from_be_bytes(*bytes)).collect();
        let count = u64::from(fan.last().copied().unwrap_or_default());
        let each = hash.len_in_bytes() as u64 + if first_version { 4 } else { 8 };
        let least = FAN + count * each + 2 * hash.len_in_bytes() as u64;
        let size = file.metadata().map_err(|error| Fault::of_io(&error, index))?.len();
        if !fan.is_sorted() || count > OBJECTS_MAX || size < least {
            return Err(broken("it says what cannot be"));
        }
        Ok(Self { path, index: file, data, fan, hash, first_version })
    }

    /// Where an object begins.
    pub fn find(&self, id: &ObjectId) -> Result<Option<u64>, Fault> {
        let width = self.hash.len_in_bytes() as u64;
        let names = if self.first_version { FAN + 4 } else { FAN + MAGIC.len() as u64 };
        let step = if self.first_version { width + 4 } else { width };
        let first = usize::from(id.as_bytes().first().copied().unwrap_or_default());
        let bound = |index: usize| self.fan.get(index).copied().map_or(0, u64::from);
        let (mut low, mut high) = (first.checked_sub(1).map_or(0, bound), bound(first));
        let mut name = [0; 32];
        let name = name.get_mut(..self.hash.len_in_bytes()).unwrap_or_default();
        while low < high {
            let middle = low.midpoint(high);
            self.read(&self.index, names + middle * step, name)?;
            match (*name).cmp(id.as_bytes()) {
                std::cmp::Ordering::Equal => return self.offset(middle).map(Some),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    fn offset(&self, number: u64) -> Result<u64, Fault> {
        let (width, count) = (self.hash.len_in_bytes() as u64, u64::from(self.fan.last().copied().unwrap_or_default()));
        let mut short = [0; 4];
        if self.first_version {
            self.read(&self.index, FAN + number * (width + 4), &mut short)?;
            return Ok(u64::from(u32::from_be_bytes(short)));
        }
        // Names and check sums come before.
        let table = MAGIC.len() as u64 + FAN + count * (width + 4);
        self.read(&self.index, table + number * 4, &mut short)?;
        let offset = u32::from_be_bytes(short);
        if offset >> 31 == 0 {
            return Ok(u64::from(offset));
        }
        let mut long = [0; 8];
        self.read(&self.index, table + count * 4 + u64::from(offset & 0x7fff_ffff) * 8, &mut long)?;
        Ok(u64::from_be_bytes(long))
    }

    fn read(&self, file: &File, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        file.read_exact_at(buffer, offset).map_err(|_| self.broken("it breaks off"))
    }

    fn broken(&self, why: &str) -> Fault {
        Fault::Corrupt(format!("`{}`: {why}", escape(&self.path)))
    }

    fn entry(&self, offset: u64) -> Result<Entry, Fault> {
        let mut head = [0; ENTRY_BYTES];
        let count = self.data.read_at(&mut head, offset).map_err(|error| Fault::of_io(&error, &self.path))?;
        let mut bytes = head.iter().take(count).copied();
        let mut used = 0_u64;
        let mut next = || {
            used += 1;
            bytes.next().ok_or_else(cut_off)
        };
        let first = next()?;
        let (mut size, mut shift, mut last) = (u64::from(first & 0x0f), 4_u32, first);
        while last & 0x80 != 0 {
            last = next()?;
            let part = u64::from(last & 0x7f);
            size |= part
                .checked_shl(shift)
                .filter(|moved| moved >> shift == part)
                .ok_or_else(|| self.broken("a size is none"))?;
            shift += 7;
        }
        let what = match first >> 4 & 7 {
            1 => What::Whole(ObjectKind::Commit),
            2 => What::Whole(ObjectKind::Tree),
            3 => What::Whole(ObjectKind::Blob),
            4 => What::Whole(ObjectKind::Tag),
            6 => {
                let mut byte = next()?;
                let mut distance = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = next()?;
                    distance = distance
                        .checked_add(1)
                        .and_then(|next| next.checked_mul(128))
                        .ok_or_else(|| self.broken("a base is nowhere"))?
                        | u64::from(byte & 0x7f);
                }
                let base = offset.checked_sub(distance).filter(|_| distance > 0);
                What::From(base.ok_or_else(|| self.broken("a base is nowhere"))?)
            }
            7 => {
                let name: Vec<u8> = (0..self.hash.len_in_bytes()).map(|_| next()).collect::<Result<_, _>>()?;
                let name = ObjectId::try_from(&*name).map_err(|_| cut_off())?;
                What::From(self.find(&name)?.ok_or_else(|| Fault::NoObject(name.to_string()))?)
            }
            _ => return Err(self.broken("an object is of no kind")),
        };
        Ok(Entry { what, size, data: offset + used })
    }

    /// What an object is made from: itself or the differences to be applied, last first, and the whole one below.
    fn chain(&self, offset: u64) -> Result<(ObjectKind, Entry, Vec<Entry>), Fault> {
        let mut differences = Vec::new();
        let mut at = offset;
        loop {
            let entry = self.entry(at)?;
            match entry.what {
                What::Whole(kind) => return Ok((kind, entry, differences)),
                What::From(_) if differences.len() >= CHAIN_MAX => {
                    return Err(self.broken("an object is made of too many differences"));
                }
                What::From(base) => {
                    at = base;
                    differences.push(entry);
                }
            }
        }
    }

    /// The size of an object: nothing but its beginning is unpacked.
    pub fn size(&self, offset: u64) -> Result<u64, Fault> {
        let entry = self.entry(offset)?;
        match entry.what {
            What::Whole(_) => Ok(entry.size),
            What::From(_) => {
                let mut stream = Stream::new(&self.data, entry.data);
                number(&mut stream)?;
                number(&mut stream)
            }
        }
    }

    /// An object; `fits` is asked of each size before room is made for it.
    pub fn object(
        &self,
        offset: u64,
        patience: &Patience,
        fits: &dyn Fn(u64) -> Result<(), Fault>,
    ) -> Result<(ObjectKind, Held), Fault> {
        let (kind, whole, differences) = self.chain(offset)?;
        fits(whole.size)?;
        let mut held = Held::of(whole.size)?;
        let mut stream = Stream::new(&self.data, whole.data);
        stream.copy(whole.size, patience, &mut |block| held.push(block))?;
        stream.end()?;
        for difference in differences.iter().rev() {
            held = self.apply(&held, difference, patience, fits)?;
        }
        Ok((kind, held))
    }

    /// One difference applied.
    fn apply(
        &self,
        base: &Held,
        difference: &Entry,
        patience: &Patience,
        fits: &dyn Fn(u64) -> Result<(), Fault>,
    ) -> Result<Held, Fault> {
        let mut stream = Stream::new(&self.data, difference.data);
        let (from, size) = (number(&mut stream)?, number(&mut stream)?);
        if from != base.len() {
            return Err(self.broken("a difference is to something else"));
        }
        fits(size)?;
        let mut made = Held::of(size)?;
        while made.len() < size {
            patience.check()?;
            let left = size - made.len();
            let code = stream.byte()?;
            if code & 0x80 == 0 {
                let count = u64::from(code);
                if count == 0 || count > left {
                    return Err(self.broken("a difference is none"));
                }
                stream.copy(count, patience, &mut |block| made.push(block))?;
                continue;
            }
            let (offset, mut count) = (argument(&mut stream, code, 4)?, argument(&mut stream, code >> 4, 3)?);
            if count == 0 {
                count = 0x10000;
            }
            if count > left || !base.copy(offset, count, &mut |block| made.push(block))? {
                return Err(self.broken("a difference is none"));
            }
        }
        stream.end()?;
        Ok(made)
    }
}

/// A number of as many bytes as there are bits set, the lowest first.
fn argument(stream: &mut Stream<'_>, bits: u8, most: u32) -> Result<u64, Fault> {
    let mut value = 0;
    for index in (0..most).filter(|index| bits >> index & 1 == 1) {
        value |= u64::from(stream.byte()?) << (8 * index);
    }
    Ok(value)
}

/// A size at the beginning of a difference.
fn number(stream: &mut Stream<'_>) -> Result<u64, Fault> {
    let (mut value, mut shift) = (0_u64, 0_u32);
    loop {
        let byte = stream.byte()?;
        let part = u64::from(byte & 0x7f);
        value |= part.checked_shl(shift).filter(|moved| moved >> shift == part).ok_or_else(cut_off)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
}
