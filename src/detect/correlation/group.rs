//! One group of a correlation: its entries in time, its window, and what it has told.

use std::collections::{HashMap, VecDeque};

use crate::detect::number::Number;
use crate::event::correlation::GroupKey;

use super::aggregate::{Aggregate, Spreading, Window};
use super::entry::Entry;
use super::limits::{EVIDENCE_FIRST, EVIDENCE_LAST, Limits};
use super::order::Steps;
use super::plan::Plan;

/// From so many entries on their ids are also kept in a set.
const IDS_FROM: usize = 16;

/// Entries that one group keeps, oldest first.
#[derive(Debug, Clone)]
pub struct Group {
    pub key: GroupKey,
    /// The values by which it is told apart, as first written.
    pub values: Vec<String>,
    /// Number of the source that it last heard of.
    pub source: u16,
    pub entries: VecDeque<Entry>,
    /// Ends of windows that were told.
    pub fired: Vec<i64>,
    /// First entry of the window that ends with the newest one.
    start: usize,
    aggregate: Aggregate,
    /// How often each id occurs, by digest, when there are many entries.
    ids: Option<HashMap<u64, u32, Spreading>>,
    /// Entries that keep their evidence.
    evident: usize,
    /// Weight of all entries.
    weight: usize,
}

/// A window in which the condition holds, and of which nothing was told yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Time of the window's last entry, and of its first.
    pub until: i64,
    pub from: i64,
    pub figure: Number,
    /// Different events in the window.
    pub events: usize,
    /// Those that are shown: time, rule within the correlation, evidence. The first ones and the last.
    pub shown: Vec<(i64, u16, Option<Box<str>>)>,
}

/// What an arrival changed, beside the entries themselves.
#[derive(Debug, Default)]
pub struct Effect {
    pub findings: Vec<Finding>,
    /// Entries whose evidence was given up: time, order of arrival, rule.
    pub stripped: Vec<(i64, i64, u16)>,
    /// Entries before this place are gone, marks before this time too.
    pub trimmed: Option<(i64, i64, i64)>,
    /// Entries that went although they might have mattered.
    pub evicted: usize,
    /// Its newest entry is another one.
    pub touched: bool,
}

impl Group {
    pub fn new(key: GroupKey, values: Vec<String>, source: u16, plan: &Plan) -> Self {
        Self {
            key,
            values,
            source,
            entries: VecDeque::new(),
            fired: Vec::new(),
            start: 0,
            aggregate: Aggregate::new(plan),
            ids: None,
            evident: 0,
            weight: 0,
        }
    }

    /// Bytes that it accounts for, a function of its content alone.
    pub fn weight(&self) -> usize {
        let values: usize = self.values.iter().map(|value| 40 + value.len()).sum();
        // The slot in the pool, and twice that in its index for what both keep in reserve.
        2 * size_of::<Self>() + 96 + values + self.weight + self.fired.len() * 16
    }

    pub fn newest(&self) -> Option<i64> {
        self.entries.back().map(|entry| entry.time)
    }

    /// Order of arrival of the newest entry: how long ago the group was touched.
    pub fn touched(&self) -> i64 {
        self.entries.back().map_or(i64::MIN, |entry| entry.seq)
    }

    /// Whether the event is there already, as far as one window could hold both.
    pub fn has(&self, event: u64, time: i64, plan: &Plan) -> bool {
        if self.ids.as_ref().is_some_and(|ids| !ids.contains_key(&event)) {
            return false;
        }
        let near = |entry: &Entry| entry.time.abs_diff(time) <= plan.timespan_millis.unsigned_abs();
        self.entries.iter().any(|entry| entry.event == event && near(entry))
    }

    /// Puts the entries of one event, all of one time and arrival, where they belong, and looks at
    /// every window that they are part of.
    pub fn insert(&mut self, entries: Vec<Entry>, plan: &Plan, limits: &Limits) -> Effect {
        let mut effect = Effect::default();
        let Some(time) = entries.first().map(|entry| entry.time) else { return effect };
        let newest = self.newest();
        effect.touched = newest.is_none_or(|newest| time >= newest);
        let place =
            if effect.touched { self.entries.len() } else { self.entries.partition_point(|entry| entry.time <= time) };
        let within = newest.is_none_or(|newest| time >= newest.saturating_sub(plan.timespan_millis));
        for (offset, entry) in entries.into_iter().enumerate() {
            self.weight += entry.weight();
            self.evident += usize::from(entry.evidence.is_some());
            if let Some(ids) = &mut self.ids {
                *ids.entry(entry.event).or_insert(0) += 1;
            }
            if within {
                self.aggregate.add(&entry);
            } else {
                self.start += 1;
            }
            self.entries.insert(place + offset, entry);
        }
        if effect.touched {
            self.slide(plan);
            self.look_at_newest(time, plan, &mut effect);
        } else {
            self.look_again(place, time, plan, &mut effect);
        }
        self.strip(&mut effect);
        self.trim(plan, limits, &mut effect);
        self.tidy();
        effect
    }

    /// Entries and marks as they were remembered, before [`Self::restored`].
    pub fn restore(&mut self, entry: Entry) {
        self.weight += entry.weight();
        self.evident += usize::from(entry.evidence.is_some());
        self.entries.push_back(entry);
    }

    /// Computes anew what follows from the entries.
    pub fn restored(&mut self, plan: &Plan) {
        self.entries.make_contiguous().sort_by_key(|entry| (entry.time, entry.seq, entry.part));
        self.fired.sort_unstable();
        self.aggregate = Aggregate::new(plan);
        let oldest = self.newest().unwrap_or(0).saturating_sub(plan.timespan_millis);
        self.start = self.entries.partition_point(|entry| entry.time < oldest);
        for entry in self.entries.range(self.start..) {
            self.aggregate.add(entry);
        }
        self.tidy();
    }

    /// Lets what is older than the window leave it.
    fn slide(&mut self, plan: &Plan) {
        let Some(newest) = self.newest() else { return };
        let oldest = newest.saturating_sub(plan.timespan_millis);
        while let Some(entry) = self.entries.get(self.start).filter(|entry| entry.time < oldest) {
            self.aggregate.remove(entry);
            self.start += 1;
        }
    }

    fn look_at_newest(&mut self, time: i64, plan: &Plan, effect: &mut Effect) {
        if self.is_quiet(time, plan) {
            return;
        }
        let window = Window { entries: &self.entries, range: self.start..self.entries.len() };
        if let Some(figure) = self.aggregate.holds(plan, &window, None) {
            effect.findings.push(found(&window, time, figure));
            self.mark(time);
        }
    }

    /// An event came after later ones: looks at the windows that end with it or with those.
    fn look_again(&mut self, place: usize, time: i64, plan: &Plan, effect: &mut Effect) {
        let last = time.saturating_add(plan.timespan_millis);
        let mut sweep: Option<(Aggregate, Steps, usize, usize)> = None;
        let mut at = place;
        while let Some(end) = self.entries.get(at).map(|entry| entry.time).filter(|end| *end <= last) {
            let high = at + self.entries.range(at..).take_while(|entry| entry.time == end).count();
            at = high;
            if self.is_quiet(end, plan) {
                continue;
            }
            let oldest = end.saturating_sub(plan.timespan_millis);
            let low = self.entries.partition_point(|entry| entry.time < oldest);
            let (aggregate, steps, old_low, old_high) =
                sweep.get_or_insert_with(|| (Aggregate::new(plan), Steps::new(plan), low, low));
            for (number, entry) in (*old_high..high).zip(self.entries.range(*old_high..high)) {
                aggregate.add(entry);
                steps.add(number, entry);
            }
            self.entries.range(*old_low..low).for_each(|entry| aggregate.remove(entry));
            (*old_low, *old_high) = (low, high);
            let window = Window { entries: &self.entries, range: low..high };
            if let Some(figure) = aggregate.holds(plan, &window, Some(steps)) {
                effect.findings.push(found(&window, end, figure));
                self.mark(end);
            }
        }
    }

    /// After an alert the group is quiet until event time has passed its window by a timespan; what
    /// comes late, before the alert, likewise.
    fn is_quiet(&self, end: i64, plan: &Plan) -> bool {
        self.fired.iter().any(|fired| end.abs_diff(*fired) <= plan.timespan_millis.unsigned_abs())
    }

    fn mark(&mut self, end: i64) {
        let place = self.fired.partition_point(|fired| *fired < end);
        self.fired.insert(place, end);
    }

    /// Keeps the evidence of the first entries and of the last ones.
    fn strip(&mut self, effect: &mut Effect) {
        while self.evident > EVIDENCE_FIRST + EVIDENCE_LAST {
            let middle = self.entries.iter_mut().rev().filter(|entry| entry.evidence.is_some()).nth(EVIDENCE_LAST);
            let Some(entry) = middle else { return };
            self.weight -= entry.weight();
            entry.evidence = None;
            self.weight += entry.weight();
            self.evident -= 1;
            effect.stripped.push((entry.time, entry.seq, entry.part));
        }
    }

    /// Drops what no window can reach any more, and the oldest of more than are allowed.
    fn trim(&mut self, plan: &Plan, limits: &Limits, effect: &mut Effect) {
        let Some(newest) = self.newest() else { return };
        let horizon = newest.saturating_sub(plan.timespan_millis).saturating_sub(limits.lateness_millis);
        let (entries, marks) = (self.entries.len(), self.fired.len());
        while self.entries.front().is_some_and(|entry| entry.time < horizon) {
            self.pop();
        }
        while self.entries.len() > limits.group_entries_max.max(1) {
            // All entries of one event go together, unless there is nothing else.
            let seq = self.entries.front().map(|entry| entry.seq);
            if self.entries.back().map(|entry| entry.seq) == seq {
                break;
            }
            while self.entries.front().map(|entry| entry.seq) == seq {
                self.pop();
                effect.evicted += 1;
            }
        }
        self.fired.retain(|fired| *fired >= horizon);
        if (entries, marks) != (self.entries.len(), self.fired.len()) {
            effect.trimmed = self.entries.front().map(|front| (front.time, front.seq, horizon));
        }
    }

    fn pop(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.weight -= entry.weight();
        self.evident -= usize::from(entry.evidence.is_some());
        if self.start > 0 {
            self.start -= 1;
        } else {
            self.aggregate.remove(&entry);
        }
        if let Some(ids) = &mut self.ids
            && let Some(count) = ids.get_mut(&entry.event)
        {
            *count -= 1;
            if *count == 0 {
                ids.remove(&entry.event);
            }
        }
    }

    /// Keeps room in proportion to content, and ids in a set where a search would be long.
    fn tidy(&mut self) {
        let length = self.entries.len();
        if self.entries.capacity() > 2 * length + 4 {
            self.entries.shrink_to(length + length / 2 + 2);
            self.ids = None;
        }
        if length < IDS_FROM {
            self.ids = None;
        } else if self.ids.is_none() && length >= 2 * IDS_FROM {
            let mut ids = HashMap::default();
            for entry in &self.entries {
                *ids.entry(entry.event).or_insert(0) += 1;
            }
            self.ids = Some(ids);
        }
    }
}

fn found(window: &Window<'_>, until: i64, figure: Number) -> Finding {
    let mut events = 0;
    let mut seq = None;
    for entry in window.iter() {
        events += usize::from(seq.replace(entry.seq) != Some(entry.seq));
    }
    let show = |entry: &super::entry::Entry| (entry.time, entry.part, entry.evidence.clone());
    let length = window.range.len();
    // Entries without evidence lie in the middle: the ends are what is shown.
    let shown = if length <= EVIDENCE_FIRST + EVIDENCE_LAST {
        window.iter().map(show).collect()
    } else {
        let first = window.iter().take(EVIDENCE_FIRST);
        first.chain(window.iter().skip(length - EVIDENCE_LAST)).map(show).collect()
    };
    Finding { until, from: window.iter().next().map_or(until, |entry| entry.time), figure, events, shown }
}
