//! Hits of rules in, findings of correlations out.
//!
//! Pure: no input or output and no clock. Time is the event's own, the order is that of the calls.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::detect::ruleset::RuleSet;
use crate::event::correlation::{GroupKey, Memo};
use crate::event::{Fields, Value};

use super::entry::{Datum, Entry};
use super::evidence;
use super::fired::Fired;
use super::group::{Effect, Group};
use super::limits::{Counts, Eviction, Limits, Uncounted};
use super::lookup::{Member, View, digest_of};
use super::plan::{Kind, Part};
use super::pool::Pool;
use super::program::Program;
use super::watermark::Watermarks;

/// Groups that are looked at for having expired, with each event that counts.
const EXPIRE_AT_ONCE: usize = 2;

/// An event as correlations see it.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'e> {
    /// The event's id: one id counts once.
    pub id: &'e str,
    /// When it happened, in milliseconds since 1970.
    pub time_millis: i64,
    /// When it came in, where that is known: no event time is taken to lie far beyond it.
    pub arrival_millis: Option<i64>,
    /// Whose event time it is.
    pub source: &'e str,
    pub view: View<'e>,
}

/// All correlations of a rule set with what they remember.
#[derive(Debug)]
pub struct Correlator {
    pub(super) program: Program,
    pub(super) limits: Limits,
    pub(super) pool: Pool,
    pub(super) watermarks: Watermarks,
    /// What the next arrival takes.
    pub(super) next: i64,
    pub(super) counts: Counts,
    /// What changed since it was last asked for; `None` when nobody will ask.
    pub(super) memos: Option<Vec<Memo>>,
}

/// A match on its way through the correlations.
struct Hit {
    rules: Vec<usize>,
    id: String,
    time: i64,
    fields: Fields,
}

impl Correlator {
    /// With nothing remembered. `durable`: whoever calls writes [`Self::take_memos`] down.
    pub fn new(set: &RuleSet, limits: Limits, durable: bool) -> Self {
        let program = Program::new(set);
        Self {
            pool: Pool::new(program.correlations.len()),
            program,
            limits,
            watermarks: Watermarks::default(),
            next: 0,
            counts: Counts::default(),
            memos: durable.then(Vec::new),
        }
    }

    /// Whether there is any correlation to run.
    pub fn is_idle(&self) -> bool {
        self.program.correlations.is_empty()
    }

    /// What is held, and what was counted so far.
    pub fn counts(&self) -> Counts {
        let (groups, entries, bytes) = (self.pool.groups(), self.pool.entries(), self.pool.bytes());
        Counts { groups, entries, bytes, ..self.counts }
    }

    /// Groups held by each correlation, by number of its rule.
    pub fn groups_by_rule(&self) -> Vec<(usize, usize)> {
        let groups = self.pool.groups_by_correlation();
        self.program.correlations.iter().zip(groups).map(|(correlation, groups)| (correlation.rule, groups)).collect()
    }

    /// How many changes wait for [`Self::take_memos`].
    pub fn pending(&self) -> usize {
        self.memos.as_ref().map_or(0, Vec::len)
    }

    /// What changed since this was last asked: to be written down, in this order, together with
    /// what the events led to.
    pub fn take_memos(&mut self) -> Vec<Memo> {
        let Some(memos) = &mut self.memos else { return Vec::new() };
        let mut taken = std::mem::take(memos);
        taken.extend(self.watermarks.take_moved().into_iter().map(|(source, time)| Memo::Watermark { source, time }));
        if !taken.is_empty() {
            taken.push(Memo::Next { seq: self.next });
        }
        taken
    }

    /// Takes one event with the numbers of the rules in `set` that it matched. Every event of a
    /// source counts for its time, those that match nothing, too.
    pub fn observe(&mut self, set: &RuleSet, hits: &[usize], sight: &Sight<'_>) -> Vec<Fired> {
        if self.is_idle() {
            return Vec::new();
        }
        let source = self.watermarks.number(sight.source);
        let time = self.event_time(sight);
        let fed = self.program.fed(hits);
        if time < self.watermarks.time(source).saturating_sub(self.limits.lateness_millis) {
            self.counts.late += u64::from(!fed.is_empty());
            return Vec::new();
        }
        self.watermarks.advance(source, sight.arrival_millis.map_or(time, |arrival| time.min(arrival)));
        if fed.is_empty() {
            return Vec::new();
        }
        let base = Sight { time_millis: time, ..*sight };
        let mut fired = self.feed(set, &fed, source, &base);
        self.chain(set, source, sight, &mut fired);
        self.enforce();
        fired
    }

    /// Every finding is itself a match for correlations that count it.
    fn chain(&mut self, set: &RuleSet, source: u16, sight: &Sight<'_>, fired: &mut Vec<Fired>) {
        let mut waiting: VecDeque<Hit> = fired.iter().map(hit).collect();
        while let Some(hit) = waiting.pop_front() {
            let fed = self.program.fed(&hit.rules);
            if fed.is_empty() {
                continue;
            }
            let view = View { fields: &hit.fields, nested: false };
            let sight = Sight { id: &hit.id, time_millis: hit.time, view, ..*sight };
            let more = self.feed(set, &fed, source, &sight);
            waiting.extend(more.iter().map(self::hit));
            fired.extend(more);
        }
    }

    /// A clock that runs far ahead, or a source that lies, is not followed beyond the arrival.
    fn event_time(&self, sight: &Sight<'_>) -> i64 {
        match sight.arrival_millis {
            Some(arrival) if sight.time_millis > arrival.saturating_add(self.limits.lateness_millis) => arrival,
            Some(_) | None => sight.time_millis,
        }
    }

    fn feed(&mut self, set: &RuleSet, fed: &[(usize, u16)], source: u16, sight: &Sight<'_>) -> Vec<Fired> {
        let mut fired = Vec::new();
        for parts in fed.chunk_by(|one, other| one.0 == other.0) {
            let Some((number, _)) = parts.first() else { continue };
            let parts: Vec<u16> = parts.iter().map(|(_, part)| *part).collect();
            for (member, entries) in self.entries(set, *number, &parts, sight) {
                fired.extend(self.count(set, *number, source, member, entries));
            }
            self.expire(*number, EXPIRE_AT_ONCE);
        }
        let others = i64::try_from(self.program.correlations.len()).unwrap_or(i64::MAX);
        // Those that nothing matches any more give their groups back, too.
        let other = usize::try_from(self.next.rem_euclid(others.max(1))).unwrap_or(0);
        self.expire(other, EXPIRE_AT_ONCE);
        fired
    }

    /// What the event adds, by the groups that it belongs to.
    fn entries(&mut self, set: &RuleSet, number: usize, parts: &[u16], sight: &Sight<'_>) -> Vec<(Member, Vec<Entry>)> {
        let mut by_group: Vec<(Member, Vec<Entry>)> = Vec::new();
        let Some(correlation) = self.program.correlations.get(number) else { return by_group };
        let plan = &correlation.plan;
        let steps = matches!(plan.kind, Kind::Temporal | Kind::TemporalOrdered);
        for part in parts {
            let Some(of) = plan.parts.get(usize::from(*part)) else { continue };
            let (members, many) = sight.view.groups(&of.group_fields);
            let (datum, many_values) = datum(plan.kind, of, sight.view);
            if many || many_values {
                self.counts.skipped(Uncounted::TooMany);
            }
            let Some(datum) = datum.filter(|_| !members.is_empty()) else {
                // What another of the rules counted is not left out.
                if steps || by_group.is_empty() {
                    self.counts.skipped(if members.is_empty() { Uncounted::NoGroup } else { Uncounted::NoValue });
                }
                continue;
            };
            let evidence = set.rule(of.rule).map(|rule| evidence::compose(sight.id, rule, sight.view));
            for member in members {
                let (datum, evidence) = (datum.clone(), evidence.clone());
                let event = digest_of(sight.id);
                let entry = Entry { time: sight.time_millis, seq: 0, event, part: *part, datum, evidence };
                match by_group.iter_mut().find(|(known, _)| known.key == member.key) {
                    Some((_, entries)) if steps => entries.push(entry),
                    // Elsewhere than in sequences an event counts once in a group, for the first of the
                    // rules that it matches.
                    Some(_) => {}
                    None => by_group.push((member, vec![entry])),
                }
            }
        }
        by_group
    }

    fn count(
        &mut self,
        set: &RuleSet,
        number: usize,
        source: u16,
        member: Member,
        mut entries: Vec<Entry>,
    ) -> Vec<Fired> {
        let Some(correlation) = self.program.correlations.get(number) else { return Vec::new() };
        let (rule, plan, key) = (correlation.rule, &correlation.plan, Arc::clone(&correlation.key));
        let Some((time, event)) = entries.first().map(|entry| (entry.time, entry.event)) else { return Vec::new() };
        let found = self.pool.find(number, member.key);
        if let Some(group) = found.and_then(|place| self.pool.get(place)) {
            if group.newest().is_some_and(|newest| time < newest.saturating_sub(self.limits.lateness_millis)) {
                self.counts.late += 1;
                return Vec::new();
            }
            if group.has(event, time, plan) {
                self.counts.skipped(Uncounted::Repeat);
                return Vec::new();
            }
        }
        let seq = self.next;
        self.next += 1;
        for entry in &mut entries {
            entry.seq = seq;
        }
        let group_key = member.key;
        let fresh = found.is_none();
        let place = found.unwrap_or_else(|| self.pool.add(number, Group::new(group_key, member.values, source, plan)));
        let counted: Vec<_> =
            if self.memos.is_some() { entries.iter().map(Entry::to_counted).collect() } else { Vec::new() };
        let limits = self.limits;
        let Some(effect) = self.pool.change(place, |group| group.insert(entries, plan, &limits)) else {
            return Vec::new();
        };
        let Some(group) = self.pool.get(place) else { return Vec::new() };
        let moved = effect.touched && group.source != source;
        let fired = effect.findings.iter().map(|finding| Fired::new(set, rule, plan, group, finding)).collect();
        if let Some(memos) = &mut self.memos {
            if fresh || moved {
                let (values, source) = (group.values.clone(), self.watermarks.name(source).to_owned());
                memos.push(Memo::Group { correlation: Arc::clone(&key), group: group_key, values, source });
            }
            let count = |counted| Memo::Count { correlation: Arc::clone(&key), group: group_key, counted };
            memos.extend(counted.into_iter().map(count));
            note(memos, &key, group_key, &effect);
        }
        for _ in 0..effect.evicted {
            self.counts.evicted(Eviction::Entries);
        }
        if effect.touched {
            self.pool.change(place, |group| group.source = source);
            self.pool.touch(place);
        }
        fired
    }

    /// Lets the groups of a correlation go that no event in time can reach any more.
    fn expire(&mut self, number: usize, most: usize) {
        let Some(timespan) = self.program.correlations.get(number).map(|of| of.plan.timespan_millis) else { return };
        for _ in 0..most {
            let Some((place, group)) = self.pool.oldest(number) else { return };
            let earliest = self.watermarks.time(group.source).saturating_sub(self.limits.lateness_millis);
            let over = group.newest().is_none_or(|newest| newest.saturating_add(timespan) < earliest);
            if !over {
                return;
            }
            self.forget(place);
        }
    }

    /// Keeps the bounds: first what has expired goes, then what was touched longest ago.
    pub(super) fn enforce(&mut self) {
        let exceeded = |correlator: &Self| {
            if correlator.pool.groups() > correlator.limits.groups_max {
                Some(Eviction::Groups)
            } else if correlator.pool.bytes() > correlator.limits.bytes_max {
                Some(Eviction::Bytes)
            } else {
                None
            }
        };
        if exceeded(self).is_some() {
            (0..self.program.correlations.len()).for_each(|number| self.expire(number, EXPIRE_AT_ONCE));
        }
        while let Some(reason) = exceeded(self) {
            let Some(place) = self.pool.oldest_of_all() else { return };
            self.forget(place);
            self.counts.evicted(reason);
        }
    }

    pub(super) fn forget(&mut self, place: u32) {
        let Some((number, group)) = self.pool.remove(place) else { return };
        if let (Some(memos), Some(of)) = (&mut self.memos, self.program.correlations.get(number)) {
            memos.push(Memo::Forget { correlation: Arc::clone(&of.key), group: group.key });
        }
    }
}

fn note(memos: &mut Vec<Memo>, key: &Arc<str>, group: GroupKey, effect: &Effect) {
    let fired = effect.findings.iter().map(|finding| finding.until);
    memos.extend(fired.map(|time| Memo::Fired { correlation: Arc::clone(key), group, time }));
    let stripped = effect.stripped.iter();
    memos.extend(stripped.map(|(time, seq, part)| {
        let (time, seq, part) = (*time, *seq, *part);
        Memo::Strip { correlation: Arc::clone(key), group, time, seq, part }
    }));
    memos.extend(effect.trimmed.map(|(time, seq, fired_before)| {
        let correlation = Arc::clone(key);
        Memo::Trim { correlation, group, time, seq, fired_before }
    }));
}

/// A finding as a match for other correlations: its group's values are its fields.
fn hit(fired: &Fired) -> Hit {
    let fields = fired.group.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    Hit { rules: vec![fired.rule], id: fired.id.clone(), time: fired.until_millis, fields }
}

fn datum(kind: Kind, part: &Part, view: View<'_>) -> (Option<Datum>, bool) {
    match kind {
        Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => (Some(Datum::Nothing), false),
        Kind::ValueCount => {
            let (values, more) = view.values(&part.value_fields);
            (Datum::of_values(values), more)
        }
        Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile(_) | Kind::ValueMedian => {
            let (numbers, more) = view.numbers(&part.value_fields);
            (Datum::of_numbers(numbers), more)
        }
    }
}
