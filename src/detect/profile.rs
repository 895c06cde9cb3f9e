//! What each rule costs over many events, and why.
//!
//! Nothing here reads a clock by itself: the caller hands one in. Every reading belongs to what was
//! done since the one before. What several rules ask is answered once for each event and paid by the
//! first that asks; texts are searched for all rules together, so that no rule pays for them.

mod reasons;

use std::collections::HashMap;
use std::sync::Arc;

use super::correlation::{Correlator, Fired};
use super::program::Program;
use super::program::meter::{Meter, Wake};
use super::ruleset::RuleSet;
use crate::event::{Event, Fields};

pub use reasons::Reason;

/// Readings of the clock by which its own cost is estimated.
const CALIBRATION: usize = 1000;

/// What is done with each event for all rules together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A line becomes an event.
    Parse,
    /// What rules ask about is put where they look.
    Read,
    /// Texts are searched, and rules woken.
    Search,
    /// Matches are correlated.
    Correlate,
}

impl Stage {
    pub const ALL: [Self; 4] = [Self::Parse, Self::Read, Self::Search, Self::Correlate];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Read => "read",
            Self::Search => "search",
            Self::Correlate => "correlate",
        }
    }
}

/// An event as its caller has it.
#[derive(Clone, Copy)]
pub enum Facts<'e> {
    /// One of ours: rules look at it by their logsource.
    Ours(&'e Event),
    /// Somebody else's: every rule looks at it, names are paths.
    Open(&'e Fields),
}

/// One rule's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Events of its logsource.
    pub evaluated: u64,
    /// Those with which it was looked at: something woke it, or nothing has to.
    pub woken: u64,
    pub matched: u64,
    pub nanos: u64,
}

/// One correlation's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Events that matched a rule that it counts.
    pub events: u64,
    pub fired: u64,
    /// Groups that it holds now.
    pub groups: usize,
}

/// One rule as a report has it.
#[derive(Debug, Clone)]
pub struct Line {
    /// Number in the set.
    pub rule: usize,
    pub cost: Cost,
    pub reasons: Vec<Reason>,
}

/// Costs of a run so far.
pub struct Profile {
    now: fn() -> u64,
    /// What one reading of the clock takes.
    reading: u64,
    last: u64,
    stages: [u64; Stage::ALL.len()],
    rules: Vec<Cost>,
    /// By number of a rule the correlations that count it.
    counted_by: Vec<Vec<usize>>,
    correlations: HashMap<usize, Counted>,
    /// Each program that ran, and how often. Programs live as long as this does, so that no two
    /// have the same address.
    programs: HashMap<usize, (Arc<Program>, u64)>,
}

impl Profile {
    /// `now` tells nanoseconds since any fixed moment.
    pub fn new(set: &RuleSet, now: fn() -> u64) -> Self {
        let mut counted_by = vec![Vec::new(); set.rules().len()];
        let mut correlations = HashMap::new();
        for (number, rule) in set.rules().iter().enumerate() {
            let Some(plan) = &rule.correlation else { continue };
            correlations.insert(number, Counted::default());
            for part in &plan.parts {
                if let Some(counting) = counted_by.get_mut(part.rule).filter(|counting| !counting.contains(&number)) {
                    counting.push(number);
                }
            }
        }
        let readings: Vec<u64> = (0..CALIBRATION).map(|_| now()).collect();
        let mut steps: Vec<u64> = readings.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        steps.sort_unstable();
        Self {
            now,
            reading: steps.get(steps.len() / 2).copied().unwrap_or_default(),
            last: now(),
            stages: [0; Stage::ALL.len()],
            rules: vec![Cost::default(); set.rules().len()],
            counted_by,
            correlations,
            programs: HashMap::new(),
        }
    }

    /// Forgets the time since the last reading: it was spent on something else.
    pub fn begin(&mut self) {
        self.last = (self.now)();
    }

    /// Books the time since the last reading.
    pub fn lap(&mut self, stage: Stage) {
        let spent = self.spent();
        self.stages[stage as usize] += spent;
    }

    /// As [`RuleSet::hits`] and [`RuleSet::open_hits`].
    pub fn hits(&mut self, set: &RuleSet, facts: Facts<'_>) -> Vec<usize> {
        let program = match facts {
            Facts::Ours(event) => set.program_of(event),
            Facts::Open(_) => set.open_program(),
        };
        let key = Arc::as_ptr(&program).addr();
        self.programs.entry(key).or_insert_with(|| (Arc::clone(&program), 0)).1 += 1;
        self.begin();
        match facts {
            Facts::Ours(event) => program.metered_flat(&event.fields, self),
            Facts::Open(fields) => program.metered_nested(fields, self),
        }
    }

    /// One event was correlated; books the time since the last reading.
    pub fn correlated(&mut self, hits: &[usize], fired: &[Fired]) {
        self.lap(Stage::Correlate);
        let matched = hits.iter().copied().chain(fired.iter().map(|fired| fired.rule));
        let mut counting: Vec<usize> =
            matched.filter_map(|rule| self.counted_by.get(rule)).flatten().copied().collect();
        counting.sort_unstable();
        counting.dedup();
        for number in counting {
            self.correlations.entry(number).or_default().events += 1;
        }
        for fired in fired {
            self.correlations.entry(fired.rule).or_default().fired += 1;
        }
    }

    /// Nanoseconds of a stage.
    pub const fn stage(&self, stage: Stage) -> u64 {
        self.stages[stage as usize]
    }

    /// Nanoseconds of everything.
    pub fn total(&self) -> u64 {
        self.stages.iter().sum::<u64>() + self.rules.iter().map(|cost| cost.nanos).sum::<u64>()
    }

    /// Rules that some event was for, the most expensive first.
    pub fn lines(&self, set: &RuleSet) -> Vec<Line> {
        let mut wakes: HashMap<usize, Wake> = HashMap::new();
        let mut costs = self.rules.clone();
        for (program, runs) in self.programs.values() {
            for (number, wake) in program.wakes() {
                wakes.insert(number, wake);
                if let Some(cost) = costs.get_mut(number) {
                    cost.evaluated += runs;
                }
            }
        }
        let line = |(rule, cost): (usize, Cost)| {
            let wake = *wakes.get(&rule)?;
            Some(Line { rule, cost, reasons: set.reasons(rule, wake) })
        };
        let mut lines: Vec<Line> = costs.into_iter().enumerate().filter_map(line).collect();
        lines.sort_by(|a, b| (b.cost.nanos, b.cost.woken, a.rule).cmp(&(a.cost.nanos, a.cost.woken, b.rule)));
        lines
    }

    /// Correlations with what they counted, the busiest first; by numbers of their rules.
    pub fn correlations(&self, correlator: &Correlator) -> Vec<(usize, Counted)> {
        let groups: HashMap<usize, usize> = correlator.groups_by_rule().into_iter().collect();
        let counted = |(rule, counted): (&usize, &Counted)| {
            (*rule, Counted { groups: groups.get(rule).copied().unwrap_or_default(), ..*counted })
        };
        let mut all: Vec<(usize, Counted)> = self.correlations.iter().map(counted).collect();
        all.sort_by_key(|(rule, counted)| (std::cmp::Reverse(counted.events), *rule));
        all
    }

    fn spent(&mut self) -> u64 {
        let now = (self.now)();
        let spent = now.saturating_sub(self.last).saturating_sub(self.reading);
        self.last = now;
        spent
    }
}

impl Meter for Profile {
    fn read(&mut self) {
        self.lap(Stage::Read);
    }

    fn found(&mut self) {
        self.lap(Stage::Search);
    }

    fn looked(&mut self, rule: usize, matched: bool) {
        let spent = self.spent();
        if let Some(cost) = self.rules.get_mut(rule) {
            cost.woken += 1;
            cost.matched += u64::from(matched);
            cost.nanos += spent;
        }
    }
}
