//! The first bytes of an object, without unpacking all of it: a file of gigabytes may begin like a pointer.

use super::{Entry, Pack, argument, number};
use crate::sources::git::files::{Fault, Patience};
use crate::sources::git::inflate::{Stream, cut_off};

/// Bytes that come from one place of what an object is made from.
struct Wanted {
    /// Where they belong in what is asked for.
    to: usize,
    from: u64,
    length: usize,
}

impl Wanted {
    const fn end(&self) -> u64 {
        self.from + self.length as u64
    }

    /// The part of it that lies in a stretch.
    fn within(&self, start: u64, end: u64) -> Option<Self> {
        let (from, end) = (self.from.max(start), self.end().min(end));
        let length = usize::try_from(end.checked_sub(from)?).ok().filter(|length| *length > 0)?;
        Some(Self { to: self.to + usize::try_from(from - self.from).ok()?, from, length })
    }
}

impl Pack {
    /// The size of an object, and its first bytes, as many as there are of so many. They were not held against its name.
    pub fn peek(
        &self,
        offset: u64,
        most: usize,
        patience: &Patience,
        fits: &dyn Fn(u64) -> Result<(), Fault>,
    ) -> Result<(u64, Vec<u8>), Fault> {
        let size = self.size(offset)?;
        let length = usize::try_from(size).unwrap_or(most).min(most);
        let mut head = vec![0; length];
        let (_, whole, differences) = self.chain(offset)?;
        let mut wanted = vec![Wanted { to: 0, from: 0, length }];
        for difference in &differences {
            patience.check()?;
            wanted = self.through(difference, &wanted, &mut head, patience, fits)?;
        }
        let end = wanted.iter().map(Wanted::end).max().unwrap_or(0);
        if end > whole.size {
            return Err(cut_off());
        }
        fits(end)?;
        let mut at = 0;
        Stream::new(&self.data, whole.data).copy(end, patience, &mut |block| {
            let next = at + block.len() as u64;
            for part in wanted.iter().filter_map(|wanted| wanted.within(at, next)) {
                let start = usize::try_from(part.from - at).unwrap_or_default();
                fill(&mut head, part.to, block.get(start..start + part.length))?;
            }
            at = next;
            Ok(())
        })?;
        Ok((size, head))
    }

    /// Goes through one difference: what it holds itself is put in its place, and what it takes from elsewhere is
    /// wanted from there.
    fn through(
        &self,
        difference: &Entry,
        wanted: &[Wanted],
        head: &mut [u8],
        patience: &Patience,
        fits: &dyn Fn(u64) -> Result<(), Fault>,
    ) -> Result<Vec<Wanted>, Fault> {
        let mut stream = Stream::new(&self.data, difference.data);
        let (base, size) = (number(&mut stream)?, number(&mut stream)?);
        let end = wanted.iter().map(Wanted::end).max().unwrap_or(0);
        if end > size {
            return Err(cut_off());
        }
        let (mut next, mut at) = (Vec::new(), 0_u64);
        while at < end {
            patience.check()?;
            // Each step costs a few bytes, and looks at all that is wanted.
            fits(1 + wanted.len() as u64)?;
            let code = stream.byte()?;
            let (from, count) = if code & 0x80 == 0 {
                (None, u64::from(code))
            } else {
                let (from, count) = (argument(&mut stream, code, 4)?, argument(&mut stream, code >> 4, 3)?);
                (Some(from), if count == 0 { 0x10000 } else { count })
            };
            if count == 0 || from.is_some_and(|from| from + count > base) {
                return Err(self.broken("a difference is none"));
            }
            let mut own = [0; 0x7f];
            let own = own.get_mut(..if from.is_none() { usize::from(code) } else { 0 }).unwrap_or_default();
            if stream.fill(own)? < own.len() {
                return Err(cut_off());
            }
            for part in wanted.iter().filter_map(|wanted| wanted.within(at, at + count)) {
                let inside = part.from - at;
                if let Some(from) = from {
                    next.push(Wanted { from: from + inside, ..part });
                } else {
                    let start = usize::try_from(inside).unwrap_or_default();
                    fill(head, part.to, own.get(start..start + part.length))?;
                }
            }
            at += count;
        }
        Ok(next)
    }
}

fn fill(head: &mut [u8], to: usize, bytes: Option<&[u8]>) -> Result<(), Fault> {
    let bytes = bytes.unwrap_or_default();
    let place = head.get_mut(to..to + bytes.len()).ok_or_else(cut_off)?;
    place.copy_from_slice(bytes);
    Ok(())
}
