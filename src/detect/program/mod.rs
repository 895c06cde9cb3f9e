//! Rules of one logsource as one program: what they all ask is found once for each event.
//!
//! ```text
//! build    expressions → atoms, nodes, witnesses
//! gate     what a regular expression needs to be worth a try
//! meter    what each step costs, for those who ask
//! crowd    texts that are too much alike for that
//! index    all texts asked of one field, found in one pass
//! table    hash → entries
//! paths    keys of a JSON object → fields
//! read     an event → scratch
//! recall   what short values had when they were last seen
//! scratch  one event while it is matched; reused
//! ```
//!
//! Every different question (field, kind, text) is an atom. Texts of some length are found in
//! passing over each value; other questions are asked when a rule needs the answer, and once. A rule
//! is looked at only when one of its witnesses was found: atoms of which at least one holds whenever
//! the rule does. What a rule means is said by [`super::predicate`]; a test holds the two together.

mod build;
mod crowd;
pub(super) mod gate;
mod index;
pub(super) mod meter;
mod paths;
mod read;
mod recall;
mod scratch;
mod table;

use std::sync::{Mutex, PoisonError};

use crate::event::Fields;

use super::number::Number;
use super::predicate::Matcher;
use super::relation::Relation;

pub use build::Builder;
use index::FieldIndex;
use meter::{Meter, Off};
use paths::Paths;
use read::Reader;
use recall::Recall;
use scratch::Scratch;

/// Values of two fields that are compared pair by pair, without making lists of them.
const FEW_PAIRS: usize = 64;
/// Scratches kept for the next events.
const POOL_MAX: usize = 8;

/// How an atom is answered.
#[derive(Debug)]
enum Ask {
    /// In passing: what was not found does not hold.
    Found,
    Match {
        field: u32,
        matcher: Matcher,
    },
    Null {
        field: u32,
    },
    Exists {
        field: u32,
        wanted: bool,
    },
    Present {
        field: u32,
    },
    Reference {
        field: u32,
        other: u32,
        relation: Relation,
        cased: bool,
    },
}

/// A part of a rule's expression. Ranges are first and count in the list of kids.
#[derive(Debug, Clone, Copy)]
enum Node {
    Constant(bool),
    Found(u32),
    Ask(u32),
    Not(u32),
    All(u32, u32),
    Any(u32, u32),
    /// Kids are atoms that are found in passing.
    AnyFound(u32, u32),
}

/// Rules ready to run.
#[derive(Debug, Default)]
pub struct Program {
    paths: Paths,
    keywords: Option<u32>,
    slots: usize,
    indexes: Vec<FieldIndex>,
    asks: Vec<Ask>,
    /// For each atom the range of rules that it wakes.
    wakes: Vec<(u32, u32)>,
    woken: Vec<u32>,
    /// Rules without witnesses.
    always: Vec<u32>,
    nodes: Vec<Node>,
    kids: Vec<u32>,
    /// Number in the set, and the node of the whole expression.
    rules: Vec<(usize, u32)>,
    pool: Mutex<Vec<Scratch>>,
}

impl Program {
    /// Numbers of the rules that match facts of our own, which are flat; in the order of the set.
    pub fn run_flat(&self, fields: &Fields) -> Vec<usize> {
        self.metered_flat(fields, &mut Off)
    }

    /// The same for foreign facts, which may be nested.
    pub fn run_nested(&self, fields: &Fields) -> Vec<usize> {
        self.metered_nested(fields, &mut Off)
    }

    /// The same for one JSON object. The error is the parser's.
    pub fn run_json(&self, json: &str) -> Result<Vec<usize>, serde_json::Error> {
        self.metered_json(json, &mut Off)
    }

    fn run<E>(
        &self,
        meter: &mut impl Meter,
        fill: impl FnOnce(&mut Reader<'_, '_>) -> Result<(), E>,
    ) -> Result<Vec<usize>, E> {
        let mut scratch = self.take();
        scratch.begin();
        let read = fill(&mut Reader { paths: &self.paths, keywords: self.keywords, scratch: &mut scratch });
        let hits = read.map(|()| {
            meter.read();
            self.find(&mut scratch);
            meter.found();
            self.judge(&mut scratch, meter)
        });
        self.give_back(scratch);
        hits
    }

    /// Looks at the rules that were woken. Nothing is allocated when nothing matches.
    fn judge(&self, scratch: &mut Scratch, meter: &mut impl Meter) -> Vec<usize> {
        for rule in &self.always {
            scratch.wake(*rule);
        }
        let woken = std::mem::take(&mut scratch.woken);
        let candidates = woken.iter().filter_map(|local| self.rules.get(*local as usize));
        let looked = candidates.filter(|(number, root)| {
            let matched = self.holds(*root, scratch);
            meter.looked(*number, matched);
            matched
        });
        let mut hits: Vec<usize> = looked.map(|(number, _)| *number).collect();
        scratch.woken = woken;
        hits.sort_unstable();
        hits
    }

    /// Finds every text that some rule asks for, and wakes whom it may concern.
    fn find(&self, scratch: &mut Scratch) {
        let mut finder = scratch.take_finder();
        for field in &finder.touched {
            let Some(index) = self.indexes.get(*field as usize).filter(|index| !index.is_empty()) else {
                continue;
            };
            let mut next = scratch.first(*field);
            while let Some((range, after)) = scratch.value(next) {
                next = after;
                let value = finder.folded.as_bytes().get(range).unwrap_or_default();
                let hash = index::hash(value);
                if let Some(atoms) = finder.recall.get(*field, hash, value) {
                    for atom in atoms {
                        self.found(*atom, scratch);
                    }
                    continue;
                }
                finder.found.clear();
                let short = Recall::takes(value);
                index.scan(value, hash, |atom| {
                    if short {
                        finder.found.push(atom);
                    }
                    self.found(atom, scratch);
                });
                if short {
                    finder.recall.put(*field, hash, value, &finder.found);
                }
            }
        }
        scratch.give_finder(finder);
    }

    #[inline]
    fn found(&self, atom: u32, scratch: &mut Scratch) {
        if scratch.holds(atom) {
            return;
        }
        scratch.set(atom, true);
        let (first, count) = self.wakes.get(atom as usize).copied().unwrap_or_default();
        for rule in self.woken.get(first as usize..(first + count) as usize).unwrap_or_default() {
            scratch.wake(*rule);
        }
    }

    fn holds(&self, node: u32, scratch: &mut Scratch) -> bool {
        match self.nodes.get(node as usize).copied().unwrap_or(Node::Constant(false)) {
            Node::Constant(value) => value,
            Node::Found(atom) => scratch.holds(atom),
            Node::Ask(atom) => self.ask(atom, scratch),
            Node::Not(inner) => !self.holds(inner, scratch),
            Node::All(first, count) => self.kids(first, count).iter().all(|kid| self.holds(*kid, scratch)),
            Node::Any(first, count) => self.kids(first, count).iter().any(|kid| self.holds(*kid, scratch)),
            Node::AnyFound(first, count) => self.kids(first, count).iter().any(|atom| scratch.holds(*atom)),
        }
    }

    fn kids(&self, first: u32, count: u32) -> &[u32] {
        self.kids.get(first as usize..(first + count) as usize).unwrap_or_default()
    }

    fn ask(&self, atom: u32, scratch: &mut Scratch) -> bool {
        if let Some(answer) = scratch.answer(atom) {
            return answer;
        }
        let answer = match self.asks.get(atom as usize) {
            Some(Ask::Match { field, matcher }) => scratch.values(*field).any(|value| matcher.matches(&value)),
            Some(Ask::Null { field }) => scratch.slot(*field).is_none_or(|slot| slot.null),
            Some(Ask::Exists { field, wanted }) => scratch.slot(*field).is_some() == *wanted,
            Some(Ask::Present { field }) => {
                scratch.slot(*field).is_some_and(|slot| !slot.null) || scratch.values(*field).next().is_some()
            }
            Some(Ask::Reference { field, other, relation, cased }) => {
                let texts = |field| scratch.values(field).map(|value| value.spelt(*cased));
                if texts(*field).count() * texts(*other).count() <= FEW_PAIRS {
                    texts(*field).any(|a| texts(*other).any(|b| relation.holds(a, b)))
                } else {
                    relation.any(&texts(*field).collect::<Vec<_>>(), &texts(*other).collect::<Vec<_>>())
                }
            }
            Some(Ask::Found) | None => false,
        };
        scratch.set(atom, answer);
        answer
    }

    fn take(&self) -> Scratch {
        let pooled = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| Scratch::new(self.slots, self.asks.len(), self.rules.len()))
    }

    fn give_back(&self, scratch: Scratch) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOL_MAX {
            pool.push(scratch);
        }
    }
}
