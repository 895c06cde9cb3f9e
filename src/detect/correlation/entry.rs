//! One counted event in a group.

use crate::detect::number::Number;
use crate::event::correlation::Counted;

use super::plan::Kind;

/// What an entry adds to what is computed.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// Itself.
    Nothing,
    /// One value, as a digest.
    Value(u64),
    /// The values of a list.
    Values(Box<[u64]>),
    Numbers(Box<[Number]>),
}

/// An event that counts, or one of the rules that it matched. Entries of one event share `seq`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub time: i64,
    pub seq: i64,
    /// Digest of the event's id.
    pub event: u64,
    pub part: u16,
    pub datum: Datum,
    pub evidence: Option<Box<str>>,
}

/// What collections keep beside an entry, on average: spare room in the queue, the set of ids, and
/// the share of what is computed.
const BESIDE: usize = 96;

impl Entry {
    /// Bytes that it accounts for. A function of its content alone, so that what is restored weighs
    /// as much as what was remembered.
    pub fn weight(&self) -> usize {
        let heap = match &self.datum {
            Datum::Nothing | Datum::Value(_) => 0,
            Datum::Values(values) => 16 + values.len() * (8 + 24),
            Datum::Numbers(numbers) => 16 + numbers.len() * (32 + 48),
        };
        let evidence = self.evidence.as_ref().map_or(0, |kept| 16 + kept.len());
        2 * size_of::<Self>() + BESIDE + heap + evidence
    }

    pub fn to_counted(&self) -> Counted {
        Counted {
            time: self.time,
            seq: self.seq,
            event: self.event.cast_signed(),
            part: self.part,
            value: self.datum.write(),
            evidence: self.evidence.as_ref().map(ToString::to_string),
        }
    }

    /// `None` when what is stored is not ours.
    pub fn restore(counted: &Counted, kind: Kind) -> Option<Self> {
        Some(Self {
            time: counted.time,
            seq: counted.seq,
            event: counted.event.cast_unsigned(),
            part: counted.part,
            datum: Datum::read(&counted.value, kind)?,
            evidence: counted.evidence.as_deref().map(Into::into),
        })
    }
}

impl Datum {
    pub fn of_values(mut values: Vec<u64>) -> Option<Self> {
        match values.len() {
            0 => None,
            1 => values.pop().map(Self::Value),
            _ => Some(Self::Values(values.into())),
        }
    }

    pub fn of_numbers(numbers: Vec<Number>) -> Option<Self> {
        (!numbers.is_empty()).then(|| Self::Numbers(numbers.into()))
    }

    /// Words between spaces: digests in hexadecimal; whole numbers; floats by their bits after `f`.
    fn write(&self) -> String {
        let words: Vec<String> = match self {
            Self::Nothing => Vec::new(),
            Self::Value(value) => vec![format!("{value:x}")],
            Self::Values(values) => values.iter().map(|value| format!("{value:x}")).collect(),
            Self::Numbers(numbers) => numbers
                .iter()
                .map(|number| match number {
                    Number::Int(whole) => whole.to_string(),
                    Number::Float(float) => format!("f{:x}", float.to_bits()),
                })
                .collect(),
        };
        words.join(" ")
    }

    fn read(text: &str, kind: Kind) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        match kind {
            Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => {
                words.next().is_none().then_some(Self::Nothing)
            }
            Kind::ValueCount => {
                let values: Option<Vec<u64>> = words.map(|word| u64::from_str_radix(word, 16).ok()).collect();
                Self::of_values(values?)
            }
            Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile(_) | Kind::ValueMedian => {
                let number = |word: &str| match word.strip_prefix('f') {
                    Some(bits) => {
                        let float = f64::from_bits(u64::from_str_radix(bits, 16).ok()?);
                        float.is_finite().then_some(Number::Float(float))
                    }
                    None => word.parse().ok().map(Number::Int),
                };
                let numbers: Option<Vec<Number>> = words.map(number).collect();
                Self::of_numbers(numbers?)
            }
        }
    }
}
