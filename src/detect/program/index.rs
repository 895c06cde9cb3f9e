//! All texts that rules ask of one field, found together in one pass over a value.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use super::crowd::Crowd;
use super::table::{Table, index};

/// Bits that tell in one look whether a gram may be of interest.
const SIEVE_BITS: u32 = 17;
const SIEVE_WORDS: usize = 1 << (SIEVE_BITS - 6);
/// Texts inside values are found by so many bytes of theirs in a row, looked for at every second
/// byte: each text has one gram for even places and one for odd ones, so it is longer than its grams.
const GRAMS: [usize; 3] = [4, 3, 2];
/// Only so many bytes at the beginning of a text are tried for its gram: rare ones are found soon.
const GRAM_WITHIN: usize = 256;
/// So many texts with one gram are compared one by one.
const CROWD_MIN: usize = 16;
/// Ends of texts are told apart by so many bytes, the longest that the text has.
const ENDS: [usize; 3] = [8, 4, 2];
/// What machines' paths, commands and logs are full of: texts in here make bad witnesses.
const COMMON: &str = "c:\\windows\\system32\\cmd.exe /c c:\\program files (x86)\\microsoft\\ c:\\windows\\syswow64\\ \
     powershell.exe -command \\users\\public\\appdata\\local\\temp\\appdata\\roaming\\ c:\\programdata\\ .dll .exe \
     svchost.exe rundll32.exe explorer.exe microsoft corporation windows operating system application service \
     http://localhost https://www.github.com /usr/bin/python3 /home/user/.cache/ /opt/ /var/log/ /tmp/ .json .yaml \
     model.safetensors pytorch_model.bin checkpoint training import from error: info: warning: exception";

/// The grams of that.
static COMMON_GRAMS: LazyLock<HashSet<&'static [u8]>> =
    LazyLock::new(|| GRAMS.into_iter().flat_map(|size| COMMON.as_bytes().windows(size)).collect());

/// How a text stands in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Whole,
    Start,
    End,
    Inside,
    /// Any value will do: the text is empty.
    Anything,
}

/// Whether the pass finds such a text; others are asked one by one.
pub const fn finds(place: Place, length: usize) -> bool {
    match place {
        Place::Whole | Place::Anything => true,
        Place::Start | Place::End => length >= 2,
        Place::Inside => length > GRAMS[1],
    }
}

/// Whether the pass finds such a text at some more cost, which spares regular expressions.
pub const fn finds_short(length: usize) -> bool {
    length > GRAMS[2]
}

/// A guess at the share of values in which a text is found: what wakes rules should be rare.
pub fn frequency(place: Place, text: &str) -> f64 {
    let common = text.len() >= 2 && COMMON.contains(text);
    let long = f64::from(u8::try_from(text.len()).unwrap_or(u8::MAX));
    match place {
        // Behind everything that is told apart better.
        Place::Anything => 10.0,
        Place::Whole => 0.02 + 0.2 / (1.0 + long),
        Place::Start | Place::End | Place::Inside if common => 0.2 + 0.3 / long,
        Place::Start | Place::End => 0.01 + 0.1 / long,
        Place::Inside => 0.005 + 0.1 / (long * long),
    }
}

/// One text: where it lies, how it stands in a value, and the atom that it answers.
#[derive(Debug)]
struct Literal {
    start: u32,
    length: u32,
    /// Where in the text the grams lie by which it is found, at an even place and at an odd one.
    grams: [u32; 2],
    atom: u32,
}

#[derive(Debug, Default)]
pub struct FieldIndex {
    literals: Vec<Literal>,
    texts: Vec<u8>,
    anything: Vec<u32>,
    whole: Table,
    starts: [Table; ENDS.len()],
    ends: [Table; ENDS.len()],
    grams: [Grams; GRAMS.len()],
    /// Texts of which too many have one gram.
    crowd: Crowd,
}

/// Grams of one length.
#[derive(Debug, Default)]
struct Grams {
    table: Table,
    /// One bit for each hash of a gram.
    sieve: Vec<u64>,
}

impl Grams {
    fn new(numbers: HashMap<u32, Vec<u32>>) -> Self {
        if numbers.is_empty() {
            return Self::default();
        }
        let mut sieve = vec![0; SIEVE_WORDS];
        for gram in numbers.keys() {
            let bit = sieve_bit(*gram);
            sieve[bit >> 6] |= 1 << (bit & 63);
        }
        let pairs =
            numbers.into_iter().flat_map(|(gram, all)| all.into_iter().map(move |number| (gram.into(), number)));
        Self { table: Table::new(pairs.collect()), sieve }
    }
}

impl FieldIndex {
    pub fn new(asked: &[(Place, &str, u32)]) -> Self {
        let mut made = Self::default();
        let mut whole = Vec::new();
        let (mut starts, mut ends): ([Vec<_>; ENDS.len()], [Vec<_>; ENDS.len()]) = Default::default();
        let mut grams: [HashMap<u32, Vec<u32>>; GRAMS.len()] = Default::default();
        // The longest first: they have the widest choice of grams.
        let mut asked: Vec<_> = asked.to_vec();
        asked.sort_by_key(|(_, text, _)| text.len());
        for (place, text, atom) in asked {
            let number = index(made.literals.len());
            let bytes = text.as_bytes();
            let mut grams_at = [0; 2];
            match place {
                Place::Anything => made.anything.push(atom),
                Place::Whole => whole.push((hash(bytes), number)),
                Place::Start | Place::End => {
                    let class = ENDS.iter().position(|size| bytes.len() >= *size).unwrap_or(ENDS.len() - 1);
                    let (sets, part) = match place {
                        Place::Start => (&mut starts, bytes.get(..ENDS[class])),
                        _ => (&mut ends, bytes.get(bytes.len().saturating_sub(ENDS[class])..)),
                    };
                    sets[class].push((end_key(part.unwrap_or_default()), number));
                }
                Place::Inside => {
                    let class = GRAMS.iter().position(|size| bytes.len() > *size).unwrap_or(GRAMS.len() - 1);
                    for (parity, gram_at) in grams_at.iter_mut().enumerate() {
                        let crowd = |gram: u32| grams[class].get(&gram).map_or(0, Vec::len);
                        let cost = |window: &[u8]| gram_cost(window) * (2.0 + f64::from(index(crowd(gram_of(window)))));
                        let within = bytes.get(..bytes.len().min(GRAM_WITHIN)).unwrap_or_default();
                        let windows = within.windows(GRAMS[class]).enumerate().skip(parity).step_by(2);
                        let best = windows.min_by(|(_, a), (_, b)| cost(a).total_cmp(&cost(b)));
                        if let Some((at, window)) = best {
                            *gram_at = index(at);
                            grams[class].entry(gram_of(window)).or_default().push(number << 1 | index(parity));
                        }
                    }
                }
            }
            let start = index(made.texts.len());
            made.texts.extend_from_slice(bytes);
            made.literals.push(Literal { start, length: index(bytes.len()), grams: grams_at, atom });
        }
        made.whole = Table::new(whole);
        made.starts = starts.map(Table::new);
        made.ends = ends.map(Table::new);
        let crowded: BTreeSet<u32> = grams
            .iter()
            .flat_map(HashMap::values)
            .filter(|entries| entries.len() > CROWD_MIN)
            .flat_map(|entries| entries.iter().map(|entry| entry >> 1))
            .collect();
        let literals = crowded.iter().filter_map(|number| made.literals.get(*number as usize));
        made.crowd = Crowd::new(literals.map(|literal| (made.text(literal), literal.atom)));
        made.grams = grams.map(Grams::new);
        made
    }

    pub const fn is_empty(&self) -> bool {
        self.literals.is_empty()
    }

    /// Whether any value of the field will do for this atom.
    pub fn is_anything(&self, atom: usize) -> bool {
        self.anything.iter().any(|anything| *anything as usize == atom)
    }

    /// Calls `found` with the atom of each text that the value, whose hash is given, has; now and then twice.
    #[inline]
    pub fn scan(&self, value: &[u8], hash: u64, mut found: impl FnMut(u32)) {
        self.anything.iter().copied().for_each(&mut found);
        if !self.whole.is_empty() {
            for number in self.whole.get(hash) {
                let literal = &self.literals[*number as usize];
                if self.text(literal) == value {
                    found(literal.atom);
                }
            }
        }
        for (class, size) in ENDS.into_iter().enumerate() {
            if value.len() < size {
                continue;
            }
            let (starts, ends) = (&self.starts[class], &self.ends[class]);
            if !starts.is_empty() {
                for number in starts.get(end_key(&value[..size])) {
                    let literal = &self.literals[*number as usize];
                    if value.starts_with(self.text(literal)) {
                        found(literal.atom);
                    }
                }
            }
            if !ends.is_empty() {
                for number in ends.get(end_key(&value[value.len() - size..])) {
                    let literal = &self.literals[*number as usize];
                    if value.ends_with(self.text(literal)) {
                        found(literal.atom);
                    }
                }
            }
        }
        let mut crowded = false;
        crowded |= self.scan_grams::<{ GRAMS[0] }>(&self.grams[0], value, &mut found);
        crowded |= self.scan_grams::<{ GRAMS[1] }>(&self.grams[1], value, &mut found);
        crowded |= self.scan_grams::<{ GRAMS[2] }>(&self.grams[2], value, &mut found);
        if crowded {
            self.crowd.scan(value, &mut found);
        }
    }

    /// `true`: the crowd is to be looked for, too.
    #[inline]
    fn scan_grams<const SIZE: usize>(&self, grams: &Grams, value: &[u8], found: &mut impl FnMut(u32)) -> bool {
        let mut crowded = false;
        let Ok(sieve) = <&[u64; SIEVE_WORDS]>::try_from(grams.sieve.as_slice()) else {
            return crowded;
        };
        for (at, window) in value.array_windows::<SIZE>().enumerate().step_by(2) {
            let gram = gram_of(window);
            let bit = sieve_bit(gram);
            if sieve[bit >> 6] & (1 << (bit & 63)) != 0 {
                crowded |= self.probe(&grams.table, value, at, gram, found);
            }
        }
        crowded
    }

    #[inline(never)]
    fn probe(&self, table: &Table, value: &[u8], at: usize, gram: u32, found: &mut impl FnMut(u32)) -> bool {
        let entries = table.get(gram.into());
        if entries.len() > CROWD_MIN && !self.crowd.is_empty() {
            return true;
        }
        for entry in entries {
            let literal = &self.literals[(*entry >> 1) as usize];
            let Some(start) = at.checked_sub(literal.grams[(*entry & 1) as usize] as usize) else {
                continue;
            };
            if value.get(start..start + literal.length as usize).is_some_and(|part| part == self.text(literal)) {
                found(literal.atom);
            }
        }
        false
    }

    #[inline]
    fn text(&self, literal: &Literal) -> &[u8] {
        &self.texts[literal.start as usize..(literal.start + literal.length) as usize]
    }
}

/// Hash of a whole value. Collisions only cost a comparison.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(bytes)
}

/// Two to eight bytes as a number.
#[inline]
fn end_key(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

#[inline]
fn gram_of(window: &[u8]) -> u32 {
    match *window {
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        _ => 0,
    }
}

#[inline]
const fn sieve_bit(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (32 - SIEVE_BITS)) as usize
}

/// Grams of common texts, digits and frequent letters are met more often.
fn gram_cost(window: &[u8]) -> f64 {
    let common = COMMON_GRAMS.contains(window);
    let letters: f64 = window
        .iter()
        .map(|byte| match byte {
            b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b' ' => 3.0,
            b'\\' | b'/' | b'.' | b'-' | b'c' | b'd' | b'l' | b'm' | b'p' | b'u' | b'0'..=b'9' => 2.0,
            _ => 1.0,
        })
        .product();
    letters * if common { 100.0 } else { 1.0 }
}
