//! Whether rules matched one after the other.
//!
//! Entries of a window come in the order of event time, and of arrival where times are equal. One
//! event is one step: it never counts for two rules of an order.

use std::collections::BTreeSet;

use super::aggregate::Window;
use super::entry::Entry;
use super::plan::{Condition, Kind, Parts, Plan};

/// Whether the rules that the condition asks for, and that matched, did so in the order in which
/// they are written.
pub fn in_order(parts: &Parts, counts: &[u32], window: &Window<'_>, steps: Option<&mut Steps>) -> bool {
    let mut asked = BTreeSet::new();
    positive(parts, false, &mut asked);
    let wanted = asked.into_iter().filter(|part| counts.get(*part).is_some_and(|count| *count > 0)).collect();
    let mut fresh = Steps::default();
    let steps = steps.unwrap_or(&mut fresh);
    steps.follow(wanted, window);
    steps.of_all(window.range.start)
}

/// The most rules that matched one after the other, in the order in which they are written.
pub fn longest(parts: usize, window: &Window<'_>, steps: Option<&mut Steps>) -> usize {
    match steps {
        Some(steps) => steps.longest(window.range.start),
        None => scanned(parts, window),
    }
}

fn scanned(parts: usize, window: &Window<'_>) -> usize {
    // Length of the longest chain that ends with each rule, before the event at hand and with it.
    let mut before = vec![0_usize; parts];
    let mut with = before.clone();
    let mut seq = None;
    for entry in window.iter() {
        if seq != Some(entry.seq) {
            before.clone_from(&with);
            seq = Some(entry.seq);
        }
        let part = usize::from(entry.part);
        let chain = 1 + before.iter().take(part).max().copied().unwrap_or(0);
        if let Some(length) = with.get_mut(part) {
            *length = (*length).max(chain);
        }
    }
    with.into_iter().max().unwrap_or(0)
}

/// Chains of rules that matched one after the other, followed while windows go on in time: of each
/// kind of chain the one that began last, for a window holds it if it holds its beginning.
#[derive(Debug, Default)]
pub struct Steps {
    chains: Chains,
    /// The event at hand, and what it adds once it is over: chain, its last rule, its beginning.
    seq: Option<i64>,
    added: Vec<(usize, usize, usize)>,
}

#[derive(Debug)]
enum Chains {
    /// Of all these rules: for each one where the last chain up to it began, one more than that.
    All { rules: Vec<usize>, begun: Vec<usize> },
    /// Of any rules: for each length where the last such chain began, by the rule with which it ends.
    Any(Vec<Latest>),
}

impl Default for Chains {
    fn default() -> Self {
        Self::All { rules: Vec::new(), begun: Vec::new() }
    }
}

impl Steps {
    pub fn new(plan: &Plan) -> Self {
        let chains = match (&plan.condition, plan.kind) {
            (Condition::Bounds(_), Kind::TemporalOrdered) => {
                Chains::Any(vec![Latest::new(plan.parts.len()); plan.parts.len()])
            }
            (Condition::Bounds(_) | Condition::Parts(_), _) => Chains::default(),
        };
        Self { chains, ..Self::default() }
    }

    /// The next entry, with its number in the group.
    pub fn add(&mut self, number: usize, entry: &Entry) {
        if self.seq != Some(entry.seq) {
            self.settle();
            self.seq = Some(entry.seq);
        }
        let part = usize::from(entry.part);
        match &self.chains {
            Chains::All { rules, begun } => {
                if let Some(at) = rules.iter().position(|rule| *rule == part) {
                    let start = at.checked_sub(1).map_or(number + 1, |before| begun.get(before).copied().unwrap_or(0));
                    self.added.push((at, part, start));
                }
            }
            Chains::Any(lengths) => {
                self.added.push((0, part, number + 1));
                let longer = lengths.iter().enumerate().map(|(length, latest)| (length + 1, part, latest.before(part)));
                self.added.extend(longer.take_while(|(_, _, start)| *start > 0));
            }
        }
    }

    /// What the last event added counts for the next one.
    fn settle(&mut self) {
        for (chain, part, start) in self.added.drain(..) {
            match &mut self.chains {
                Chains::All { begun, .. } => {
                    if let Some(begun) = begun.get_mut(chain) {
                        *begun = start.max(*begun);
                    }
                }
                Chains::Any(lengths) => {
                    if let Some(latest) = lengths.get_mut(chain) {
                        latest.put(part, start);
                    }
                }
            }
        }
    }

    /// Follows these rules from now on; what the window holds is looked at again if they are others.
    fn follow(&mut self, wanted: Vec<usize>, window: &Window<'_>) {
        if matches!(&self.chains, Chains::All { rules, .. } if *rules == wanted) {
            return;
        }
        let begun = vec![0; wanted.len()];
        *self = Self { chains: Chains::All { rules: wanted, begun }, ..Self::default() };
        for (number, entry) in window.range.clone().zip(window.iter()) {
            self.add(number, entry);
        }
    }

    /// Whether all rules that are followed matched in order, from this entry on.
    fn of_all(&mut self, from: usize) -> bool {
        self.settle();
        match &self.chains {
            Chains::All { begun, .. } => begun.last().is_none_or(|start| *start > from),
            Chains::Any(_) => false,
        }
    }

    /// The longest chain from this entry on.
    fn longest(&mut self, from: usize) -> usize {
        self.settle();
        match &self.chains {
            Chains::All { .. } => 0,
            Chains::Any(lengths) => lengths.iter().take_while(|latest| latest.before(usize::MAX) > from).count(),
        }
    }
}

/// The largest number put at any of the first places: a tree in which each node holds the largest of
/// a stretch that ends with it (Fenwick 1994).
#[derive(Debug, Clone)]
struct Latest {
    nodes: Vec<usize>,
}

impl Latest {
    fn new(places: usize) -> Self {
        Self { nodes: vec![0; places] }
    }

    fn put(&mut self, place: usize, number: usize) {
        let mut node = place + 1;
        while let Some(largest) = self.nodes.get_mut(node - 1) {
            *largest = number.max(*largest);
            node += node & node.wrapping_neg();
        }
    }

    /// The largest of those before a place; 0 when there is none.
    fn before(&self, place: usize) -> usize {
        let (mut node, mut largest) = (place.min(self.nodes.len()), 0);
        while let Some(found) = node.checked_sub(1).and_then(|index| self.nodes.get(index)) {
            largest = largest.max(*found);
            node -= node & node.wrapping_neg();
        }
        largest
    }
}

/// Rules that the condition wants to have matched: those that no `not` stands before.
fn positive(parts: &Parts, negated: bool, asked: &mut BTreeSet<usize>) {
    match parts {
        Parts::Part(number) => {
            if !negated {
                asked.insert(*number);
            }
        }
        Parts::All(members) | Parts::Any(members) => {
            for member in members {
                positive(member, negated, asked);
            }
        }
        Parts::Not(inner) => positive(inner, !negated, asked),
    }
}
