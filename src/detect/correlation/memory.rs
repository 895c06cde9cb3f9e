//! What a correlator remembers beyond a reload and beyond a restart.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::detect::ruleset::RuleSet;
use crate::event::correlation::{GroupKey, Memo};

use super::correlator::Correlator;
use super::entry::Entry;
use super::group::Group;
use super::limits::Limits;
use super::pool::Pool;
use super::program::Program;

/// A correlator under way from what was written down.
#[derive(Debug)]
pub struct Restoring {
    correlator: Correlator,
    groups: HashMap<(usize, GroupKey), Group>,
    /// Correlations that are no longer there.
    gone: BTreeSet<Arc<str>>,
    /// Rows that could not be read.
    unreadable: u64,
}

impl Correlator {
    /// Puts other rules in force. A correlation that asks the same as before keeps what it
    /// remembers; what the others remember is dropped.
    pub fn adopt(&mut self, set: &RuleSet) {
        let program = Program::new(set);
        let old = std::mem::replace(&mut self.program, program);
        let pool = std::mem::replace(&mut self.pool, Pool::new(self.program.correlations.len()));
        for (number, group) in pool.into_groups() {
            let now = old.correlations.get(number).and_then(|of| self.program.find(&of.key));
            if let Some(now) = now {
                self.pool.add(now, group);
            }
        }
        if let Some(memos) = &mut self.memos {
            let gone = old.correlations.into_iter().filter(|of| self.program.find(&of.key).is_none());
            memos.extend(gone.map(|of| Memo::Drop { correlation: of.key }));
        }
    }

    /// Begins to restore what was written down.
    pub fn restore(set: &RuleSet, limits: Limits) -> Restoring {
        let correlator = Self::new(set, limits, true);
        Restoring { correlator, groups: HashMap::new(), gone: BTreeSet::new(), unreadable: 0 }
    }
}

impl Restoring {
    /// One row: groups before their entries, entries of a group in the order of time and arrival.
    pub fn take(&mut self, memo: Memo) {
        match memo {
            Memo::Group { correlation, group, values, source } => {
                let Some(number) = self.known(&correlation) else { return };
                let source = self.correlator.watermarks.number(&source);
                let Some(of) = self.correlator.program.correlations.get(number) else { return };
                self.groups.insert((number, group), Group::new(group, values, source, &of.plan));
            }
            Memo::Count { correlation, group, counted } => {
                let Some(number) = self.known(&correlation) else { return };
                let kind = self.correlator.program.correlations.get(number).map(|of| of.plan.kind);
                let entry = kind.and_then(|kind| Entry::restore(&counted, kind));
                match (self.groups.get_mut(&(number, group)), entry) {
                    (Some(group), Some(entry)) => {
                        self.correlator.next = self.correlator.next.max(entry.seq.saturating_add(1));
                        group.restore(entry);
                    }
                    (None, _) | (_, None) => self.unreadable += 1,
                }
            }
            Memo::Fired { correlation, group, time } => {
                let Some(number) = self.known(&correlation) else { return };
                match self.groups.get_mut(&(number, group)) {
                    Some(group) => group.fired.push(time),
                    None => self.unreadable += 1,
                }
            }
            Memo::Watermark { source, time } => {
                let number = self.correlator.watermarks.number(&source);
                self.correlator.watermarks.advance(number, time);
            }
            Memo::Next { seq } => self.correlator.next = self.correlator.next.max(seq),
            // Changes, not what is left after them.
            Memo::Strip { .. } | Memo::Trim { .. } | Memo::Forget { .. } | Memo::Drop { .. } => self.unreadable += 1,
        }
    }

    /// The correlator as it was, and how many rows could not be read. What its rules no longer ask
    /// for is dropped with the next memos.
    pub fn done(self) -> (Correlator, u64) {
        let Self { mut correlator, groups, gone, unreadable } = self;
        correlator.watermarks.take_moved();
        let memos = correlator.memos.get_or_insert_default();
        memos.extend(gone.into_iter().map(|correlation| Memo::Drop { correlation }));
        let mut restored: Vec<(usize, Group)> = Vec::with_capacity(groups.len());
        for ((number, _), mut group) in groups {
            let Some(of) = correlator.program.correlations.get(number) else { continue };
            if group.entries.is_empty() {
                memos.push(Memo::Forget { correlation: Arc::clone(&of.key), group: group.key });
                continue;
            }
            group.restored(&of.plan);
            restored.push((number, group));
        }
        restored.sort_by_key(|(number, group)| (group.touched(), *number, group.key));
        for (number, group) in restored {
            correlator.pool.add(number, group);
        }
        // The bounds may be tighter than they were.
        correlator.enforce();
        (correlator, unreadable)
    }

    fn known(&mut self, key: &Arc<str>) -> Option<usize> {
        let number = self.correlator.program.find(key);
        if number.is_none() {
            self.gone.insert(Arc::clone(key));
        }
        number
    }
}
