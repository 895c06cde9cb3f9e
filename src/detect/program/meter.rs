//! What matching costs: told to whoever asks, and not there at all when nobody does.

use std::convert::Infallible;

use crate::event::Fields;

use super::{Program, read};

/// Told of each step as soon as it is done; programs are compiled apart for each meter.
pub trait Meter {
    /// The event lies in the scratch.
    fn read(&mut self);
    /// All texts of it were found.
    fn found(&mut self);
    /// The rule with this number in the set was looked at.
    fn looked(&mut self, rule: usize, matched: bool);
}

/// Nobody asks.
pub struct Off;

impl Meter for Off {
    #[inline]
    fn read(&mut self) {}

    #[inline]
    fn found(&mut self) {}

    #[inline]
    fn looked(&mut self, _rule: usize, _matched: bool) {}
}

/// What wakes a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Nothing: it is looked at with every event.
    Always,
    /// Any value of a field, among other things perhaps.
    AnyValue,
    /// A text, of so many that do.
    Texts(usize),
}

impl Program {
    /// As [`Program::run_flat`], step by step.
    pub fn metered_flat(&self, fields: &Fields, meter: &mut impl Meter) -> Vec<usize> {
        let Ok(hits) = self.run(meter, |reader| {
            reader.flat(fields);
            Ok::<(), Infallible>(())
        });
        hits
    }

    /// As [`Program::run_nested`], step by step.
    pub fn metered_nested(&self, fields: &Fields, meter: &mut impl Meter) -> Vec<usize> {
        let Ok(hits) = self.run(meter, |reader| {
            reader.nested(fields);
            Ok::<(), Infallible>(())
        });
        hits
    }

    /// As [`Program::run_json`], step by step.
    pub fn metered_json(&self, json: &str, meter: &mut impl Meter) -> Result<Vec<usize>, serde_json::Error> {
        self.run(meter, |reader| read::json(json, reader))
    }

    /// Numbers in the set of the rules of this program.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        self.rules.iter().map(|(number, _)| *number)
    }

    /// For each rule of this program its number in the set, and what wakes it.
    pub fn wakes(&self) -> Vec<(usize, Wake)> {
        let mut wakes = vec![Wake::Texts(0); self.rules.len()];
        for (atom, (first, count)) in self.wakes.iter().enumerate() {
            let any_value = self.indexes.iter().any(|index| index.is_anything(atom));
            for local in self.woken.get(*first as usize..(first + count) as usize).unwrap_or_default() {
                if let Some(wake) = wakes.get_mut(*local as usize) {
                    *wake = match *wake {
                        Wake::Texts(count) if !any_value => Wake::Texts(count + 1),
                        Wake::Texts(_) | Wake::AnyValue => Wake::AnyValue,
                        Wake::Always => Wake::Always,
                    };
                }
            }
        }
        for local in &self.always {
            if let Some(wake) = wakes.get_mut(*local as usize) {
                *wake = Wake::Always;
            }
        }
        self.numbers().zip(wakes).collect()
    }
}
