//! Protocol buffers without a schema: fields of messages by number and wire type.
//!
//! A message that is small enough is held; a larger one is read forward, and what in it is large
//! (weights, mostly) is stepped over without being read.

use std::borrow::Cow;
use std::cell::Cell;

use super::{cursor, executable, pickle};
use crate::artifact::Memory;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Longest message that is held while its fields are looked at.
const HELD_MAX: u64 = 64 << 10;
/// Bytes read at once from a longer one.
const CHUNK: usize = 16 << 10;
/// Fields of one file.
const FIELDS_MAX: u64 = 8_000_000;
/// Messages in messages.
pub const DEPTH_MAX: u32 = 64;

/// Bytes of one field: held already, or still in the file.
#[derive(Clone, Copy)]
pub enum Span<'a> {
    Held(&'a [u8]),
    Far(Input<'a>),
}

/// The value of one field.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Number(u64),
    Span(Span<'a>),
}

impl<'a> Value<'a> {
    pub fn span(self) -> Option<Span<'a>> {
        match self {
            Self::Span(span) => Some(span),
            Self::Number(_) => None,
        }
    }
}

/// Why a message was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A field reaches beyond the end of its message, or is none.
    Malformed,
    /// There are more fields than are looked at.
    Fields,
}

/// Fields that may still be looked at.
pub struct Reader {
    left: Cell<u64>,
    /// A message inside was no message.
    pub broken: Cell<Option<Broken>>,
}

impl Reader {
    pub fn new() -> Self {
        Self { left: Cell::new(FIELDS_MAX), broken: Cell::new(None) }
    }

    /// One that gives up early: to tell what a file may be.
    pub fn brief(fields: u64) -> Self {
        Self { left: Cell::new(fields), broken: Cell::new(None) }
    }

    /// Hands every field of a message to `look`; remembers when the message is broken.
    pub fn fields(&self, span: Span<'_>, look: &mut dyn FnMut(u64, Value<'_>)) -> Result<(), Broken> {
        let result = match span {
            Span::Held(bytes) => self.held(bytes, look),
            Span::Far(input) if input.len() <= HELD_MAX => {
                let bytes = input.read(0, usize::try_from(input.len()).unwrap_or(usize::MAX));
                if (bytes.len() as u64) < input.len() { Err(Broken::Malformed) } else { self.held(&bytes, look) }
            }
            Span::Far(input) => self.far(input, look),
        };
        if let Err(why) = result {
            self.broken.set(Some(why));
        }
        result
    }

    /// The first value of a field that is a text or a message.
    pub fn text(&self, span: Span<'_>, wanted: u64) -> Option<String> {
        let mut found = None;
        let _known = self.fields(span, &mut |number, value| {
            if number == wanted
                && found.is_none()
                && let Some(span) = value.span()
            {
                found = Some(span.text());
            }
        });
        found
    }

    fn spend(&self) -> Result<(), Broken> {
        let left = self.left.get().checked_sub(1).ok_or(Broken::Fields)?;
        self.left.set(left);
        Ok(())
    }

    fn held(&self, bytes: &[u8], look: &mut dyn FnMut(u64, Value<'_>)) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.spend()?;
            let head = head(rest)?;
            let after = rest.get(head.length..).unwrap_or_default();
            match head.value {
                Head::Number(number) => {
                    look(head.field, Value::Number(number));
                    rest = after;
                }
                Head::Length(length) => {
                    let length = usize::try_from(length).map_err(|_| Broken::Malformed)?;
                    let (inner, outer) = after.split_at_checked(length).ok_or(Broken::Malformed)?;
                    look(head.field, Value::Span(Span::Held(inner)));
                    rest = outer;
                }
            }
        }
        Ok(())
    }

    fn far(&self, input: Input<'_>, look: &mut dyn FnMut(u64, Value<'_>)) -> Result<(), Broken> {
        let mut position = 0_u64;
        let mut chunk = Vec::new();
        let mut start = 0_u64;
        while position < input.len() {
            self.spend()?;
            let at = |start: u64| usize::try_from(position.saturating_sub(start)).unwrap_or(usize::MAX);
            if chunk.get(at(start)..).is_none_or(|rest: &[u8]| rest.len() < 24) {
                chunk = input.read(position, CHUNK);
                start = position;
            }
            let head = head(chunk.get(at(start)..).unwrap_or_default())?;
            position = position.saturating_add(head.length as u64);
            match head.value {
                Head::Number(number) => look(head.field, Value::Number(number)),
                Head::Length(length) => {
                    let end =
                        position.checked_add(length).filter(|end| *end <= input.len()).ok_or(Broken::Malformed)?;
                    look(head.field, Value::Span(Span::Far(input.window(position, length))));
                    position = end;
                }
            }
        }
        Ok(())
    }
}

impl<'a> Span<'a> {
    pub fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Far(input) => input.len(),
        }
    }

    /// The first bytes.
    pub fn start(&self, length: usize) -> Cow<'a, [u8]> {
        match self {
            Self::Held(bytes) => Cow::Borrowed(bytes.get(..length).unwrap_or(bytes)),
            Self::Far(input) => Cow::Owned(input.read(0, length)),
        }
    }

    /// The text, up to a length that names and paths never reach.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.start(64 << 10)).into_owned()
    }
}

enum Head {
    Number(u64),
    Length(u64),
}

struct Parsed {
    field: u64,
    value: Head,
    /// Bytes that it took.
    length: usize,
}

fn head(bytes: &[u8]) -> Result<Parsed, Broken> {
    let (key, first) = varint(bytes)?;
    let rest = bytes.get(first..).unwrap_or_default();
    let field = key >> 3;
    if field == 0 || field >= 1 << 29 {
        return Err(Broken::Malformed);
    }
    let (value, second) = match key & 7 {
        0 => varint(rest).map(|(number, length)| (Head::Number(number), length))?,
        1 if rest.len() >= 8 => (Head::Number(fixed(rest, 8)), 8),
        2 => varint(rest).map(|(number, length)| (Head::Length(number), length))?,
        5 if rest.len() >= 4 => (Head::Number(fixed(rest, 4)), 4),
        _ => return Err(Broken::Malformed),
    };
    Ok(Parsed { field, value, length: first.saturating_add(second) })
}

fn fixed(bytes: &[u8], width: usize) -> u64 {
    bytes.iter().take(width).rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn varint(bytes: &[u8]) -> Result<(u64, usize), Broken> {
    let mut rest = bytes.iter();
    let number = cursor::varint(|| rest.next().copied()).ok_or(Broken::Malformed)?;
    Ok((number, bytes.len().saturating_sub(rest.len())))
}

/// Which fields stand at the top of a message: numbers with the count of texts or messages and of
/// numbers under each. `whole` is false when the message is broken or was too long to see.
#[derive(Default)]
pub struct Outline {
    pub fields: std::collections::BTreeMap<u64, (u32, u32)>,
    pub whole: bool,
}

impl Outline {
    pub fn of(span: Span<'_>, fields_max: u64) -> Self {
        let mut outline = Self::default();
        let reader = Reader::brief(fields_max);
        let result = reader.fields(span, &mut |number, value| {
            let (spans, numbers) = outline.fields.entry(number).or_default();
            let count = if value.span().is_some() { spans } else { numbers };
            *count = count.saturating_add(1);
        });
        outline.whole = result != Err(Broken::Malformed);
        outline
    }

    /// True when every field is one of these: numbers of fields that hold texts or messages, and
    /// of fields that hold numbers.
    pub fn only(&self, spans: &[u64], numbers: &[u64]) -> bool {
        !self.fields.is_empty()
            && self.fields.iter().all(|(number, (as_span, as_number))| {
                (*as_span == 0 || spans.contains(number)) && (*as_number == 0 || numbers.contains(number))
            })
    }

    pub fn spans(&self, number: u64) -> u32 {
        self.fields.get(&number).map_or(0, |(spans, _)| *spans)
    }

    pub fn numbers(&self, number: u64) -> u32 {
        self.fields.get(&number).map_or(0, |(_, numbers)| *numbers)
    }
}

/// The first message under a number.
pub fn first<R>(span: Span<'_>, wanted: u64, look: impl FnOnce(Span<'_>) -> R) -> Option<R> {
    let mut look = Some(look);
    let mut found = None;
    let reader = Reader::brief(4096);
    let _known = reader.fields(span, &mut |number, value| {
        if number == wanted
            && let (Some(span), Some(look)) = (value.span(), look.take_if(|_| value.span().is_some()))
        {
            found = Some(look(span));
        }
    });
    found
}

/// Programs and pickles where numbers, names or messages should be. `file` is what the span is of.
pub fn payload(inspection: &mut Inspection<'_>, span: Span<'_>, file: Input<'_>) {
    let head = span.start(512);
    if executable::kind(&head).is_some_and(|kind| kind != "script") || head.starts_with(b"#!/") {
        executable::look(inspection, &head, 0);
    }
    if !head.starts_with(&[0x80]) || !pickle::may_be_pickle(&head, span.len()) {
        return;
    }
    let found = match span {
        Span::Far(input) => pickle::attempt(inspection, input),
        Span::Held(bytes) => {
            let bytes = Memory(bytes.to_vec());
            pickle::attempt(inspection, Input::new(&bytes, file.budget))
        }
    };
    if found {
        inspection.add("artifact.pickle.nested", 1);
    }
}
