//! Where one event lies while it is matched: reused from event to event, so that nothing is
//! allocated once the buffers have grown.

use std::fmt::Write as _;

use crate::detect::pattern::fold_character;
use crate::detect::predicate::{Look, Plain};

use super::recall::Recall;

/// No entry.
pub const NONE: u32 = u32::MAX;
/// Buffers that grew beyond this are given back after the event.
const KEEP_BYTES: usize = 1 << 20;

/// One scalar: where its text lies, and what it is.
#[derive(Debug, Clone, Copy)]
struct Kept {
    /// `None`: folding changes nothing, so the folded text serves for both.
    text: Option<(u32, u32)>,
    folded: (u32, u32),
    plain: Plain,
    next: u32,
}

/// What the event has at one field of the program.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    epoch: u32,
    first: u32,
    last: u32,
    /// One of its values is null.
    pub null: bool,
}

/// What texts are found in, and with: taken out while atoms are marked.
#[derive(Debug, Default)]
pub struct Finder {
    pub folded: String,
    /// Fields that the event has.
    pub touched: Vec<u32>,
    /// The atoms of one value.
    pub found: Vec<u32>,
    pub recall: Recall,
}

#[derive(Debug)]
pub struct Scratch {
    /// Number of the event, counted up by two: the lower bit of an atom's mark is its answer.
    epoch: u32,
    text: String,
    values: Vec<Kept>,
    slots: Vec<Slot>,
    finder: Finder,
    /// For each atom the epoch in which it was answered, and the answer.
    atoms: Vec<u32>,
    /// For each rule the epoch in which it was woken.
    rules: Vec<u32>,
    pub woken: Vec<u32>,
}

impl Scratch {
    pub fn new(slots: usize, atoms: usize, rules: usize) -> Self {
        let empty = Slot { epoch: 0, first: NONE, last: NONE, null: false };
        Self {
            epoch: 0,
            text: String::new(),
            values: Vec::new(),
            slots: vec![empty; slots],
            finder: Finder::default(),
            atoms: vec![0; atoms],
            rules: vec![0; rules],
            woken: Vec::new(),
        }
    }

    /// Forgets the event before.
    pub fn begin(&mut self) {
        self.epoch = self.epoch.checked_add(2).unwrap_or_else(|| {
            self.atoms.fill(0);
            self.rules.fill(0);
            self.slots.iter_mut().for_each(|slot| slot.epoch = 0);
            2
        });
        for buffer in [&mut self.text, &mut self.finder.folded] {
            buffer.clear();
            if buffer.capacity() > KEEP_BYTES {
                buffer.shrink_to(KEEP_BYTES);
            }
        }
        self.values.clear();
        self.finder.touched.clear();
        self.woken.clear();
    }

    pub fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize).filter(|slot| slot.epoch == self.epoch)
    }

    /// Makes the field present.
    pub fn touch(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize).filter(|slot| slot.epoch != self.epoch) else {
            return;
        };
        *slot = Slot { epoch: self.epoch, first: NONE, last: NONE, null: false };
        self.finder.touched.push(number);
    }

    pub fn put_null(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize) {
            slot.null = true;
        }
    }

    pub fn put_text(&mut self, number: u32, text: &str) {
        let (start, folded) = (self.text.len(), self.finder.folded.len());
        // Every byte is looked at, without a way out: so it goes by many at once.
        let folds = text.bytes().fold(false, |any, byte| any | byte.is_ascii_uppercase() | !byte.is_ascii());
        if folds {
            self.text.push_str(text);
            self.fold(start, folded);
        } else {
            self.finder.folded.push_str(text);
        }
        self.put(number, folds.then_some(start), folded, Plain::Text);
    }

    pub fn put_plain(&mut self, number: u32, plain: Plain) {
        let (start, folded) = (self.text.len(), self.finder.folded.len());
        let written = match plain {
            Plain::Bool(flag) => write!(self.text, "{flag}"),
            Plain::Int(whole) => write!(self.text, "{whole}"),
            // Minus zero is zero.
            Plain::Float(float) => write!(self.text, "{}", float + 0.0),
            Plain::Text => Ok(()),
        };
        written.expect("a text takes what is written into it");
        self.fold(start, folded);
        self.put(number, Some(start), folded, plain);
    }

    fn fold(&mut self, start: usize, folded: usize) {
        let text = self.text.get(start..).unwrap_or_default();
        let mut rest = text;
        // Texts that are not ASCII are so in a few places: the rest is folded as fast as the others.
        while !rest.is_ascii() {
            let at = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
            let (ascii, other) = rest.split_at(at);
            self.finder.folded.push_str(ascii);
            let mut characters = other.chars();
            self.finder.folded.extend(characters.next().map(fold_character));
            rest = characters.as_str();
        }
        self.finder.folded.push_str(rest);
        if let Some(added) = self.finder.folded.get_mut(folded..) {
            added.make_ascii_lowercase();
        }
    }

    #[inline]
    fn put(&mut self, number: u32, start: Option<usize>, folded: usize, plain: Plain) {
        let range = |start: usize, end: usize| Some((u32::try_from(start).ok()?, u32::try_from(end).ok()?));
        // Lines are far shorter than 4 GiB; beyond that the value is not looked at.
        let Some(folded) = range(folded, self.finder.folded.len()) else { return };
        let text = match start.map(|start| range(start, self.text.len())) {
            Some(None) => return,
            Some(text) => text,
            None => None,
        };
        let value = u32::try_from(self.values.len()).unwrap_or(NONE);
        self.values.push(Kept { text, folded, plain, next: NONE });
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        if slot.first == NONE {
            slot.first = value;
        } else if let Some(last) = self.values.get_mut(slot.last as usize) {
            last.next = value;
        }
        slot.last = value;
    }

    /// The values of a field.
    pub fn values(&self, number: u32) -> impl Iterator<Item = Seen<'_>> {
        let mut next = self.slot(number).map_or(NONE, |slot| slot.first);
        std::iter::from_fn(move || {
            let kept = *self.values.get(next as usize)?;
            next = kept.next;
            Some(self.seen(kept))
        })
    }

    /// The first value of a field; the next one by [`Self::value`].
    pub fn first(&self, number: u32) -> u32 {
        self.slot(number).map_or(NONE, |slot| slot.first)
    }

    /// A value's folded bytes, and the number of the value after it.
    #[inline]
    pub fn value(&self, number: u32) -> Option<(std::ops::Range<usize>, u32)> {
        let kept = self.values.get(number as usize)?;
        Some((kept.folded.0 as usize..kept.folded.1 as usize, kept.next))
    }

    /// To be given back: while values are looked at, atoms are marked.
    pub fn take_finder(&mut self) -> Finder {
        std::mem::take(&mut self.finder)
    }

    pub fn give_finder(&mut self, finder: Finder) {
        self.finder = finder;
    }

    fn seen(&self, kept: Kept) -> Seen<'_> {
        let folded = self.finder.folded.get(kept.folded.0 as usize..kept.folded.1 as usize).unwrap_or_default();
        let text = kept.text.map(|(start, end)| self.text.get(start as usize..end as usize).unwrap_or_default());
        Seen { text: text.unwrap_or(folded), folded, plain: kept.plain }
    }

    /// The answer, if there is one yet.
    #[inline]
    pub fn answer(&self, atom: u32) -> Option<bool> {
        let mark = self.atoms.get(atom as usize).copied().unwrap_or_default();
        (mark & !1 == self.epoch).then_some(mark & 1 == 1)
    }

    #[inline]
    pub fn holds(&self, atom: u32) -> bool {
        self.atoms.get(atom as usize).is_some_and(|mark| *mark == self.epoch | 1)
    }

    #[inline]
    pub fn set(&mut self, atom: u32, answer: bool) {
        if let Some(mark) = self.atoms.get_mut(atom as usize) {
            *mark = self.epoch | u32::from(answer);
        }
    }

    /// Puts a rule among those to look at, once.
    #[inline]
    pub fn wake(&mut self, rule: u32) {
        if let Some(mark) = self.rules.get_mut(rule as usize)
            && *mark != self.epoch
        {
            *mark = self.epoch;
            self.woken.push(rule);
        }
    }
}

/// One scalar of the event.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    text: &'s str,
    folded: &'s str,
    plain: Plain,
}

impl Look for Seen<'_> {
    fn plain(&self) -> Plain {
        self.plain
    }

    fn text(&self) -> &str {
        self.text
    }

    fn folded(&self) -> &str {
        self.folded
    }
}

impl<'s> Seen<'s> {
    /// Its text as it stands, or in lower case.
    pub const fn spelt(self, cased: bool) -> &'s str {
        if cased { self.text } else { self.folded }
    }
}
