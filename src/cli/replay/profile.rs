//! What each rule cost, for people and for programs.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

use serde_json::{Value, json};

use crate::detect::RuleSet;
use crate::detect::correlation::Correlator;
use crate::detect::profile::{Counted, Line, Profile, Stage};

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Reasons of one rule that the table shows; JSON has all.
const REASONS_SHOWN: usize = 2;

/// Nanoseconds since this was first asked.
pub fn now() -> u64 {
    u64::try_from(BEGUN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A profile, ready to be printed.
pub struct Told<'t> {
    set: &'t RuleSet,
    stages: Vec<(Stage, u64)>,
    lines: Vec<Line>,
    /// Rules that some event was for.
    rules: usize,
    /// All rules together, also those that are not shown.
    rules_nanos: u64,
    correlations: Vec<(usize, Counted)>,
    total: u64,
}

impl<'t> Told<'t> {
    /// With the `count` most expensive rules, and as many correlations.
    pub fn new(profile: &Profile, set: &'t RuleSet, correlator: &Correlator, count: usize) -> Self {
        let mut lines = profile.lines(set);
        let rules = lines.len();
        let rules_nanos = lines.iter().map(|line| line.cost.nanos).sum();
        lines.truncate(count);
        let mut correlations = profile.correlations(correlator);
        correlations.truncate(count);
        let stages = Stage::ALL.map(|stage| (stage, profile.stage(stage))).to_vec();
        Self { set, stages, lines, rules, rules_nanos, correlations, total: profile.total() }
    }

    /// Lines with a heading.
    pub fn table(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let heading = ["time ms", "share", "events", "woken", "matched", "ns each"];
        let [time, share, events, woken, matched, each] = heading;
        writeln!(out, "{time:>10} {share:>6} {events:>10} {woken:>10} {matched:>9} {each:>8}  rule")?;
        for (stage, nanos) in &self.stages {
            self.row(*nanos, stage.as_str(), out)?;
        }
        self.row(self.rules_nanos, &format!("rules, of which {} of {}:", self.lines.len(), self.rules), out)?;
        for line in &self.lines {
            let cost = line.cost;
            let (millis, share) = (millis(cost.nanos), self.share(cost.nanos));
            let each = cost.nanos.checked_div(cost.woken).unwrap_or_default();
            let mut reasons: Vec<String> = line.reasons.iter().take(REASONS_SHOWN).map(ToString::to_string).collect();
            if let Some(more @ 1..) = line.reasons.len().checked_sub(REASONS_SHOWN) {
                reasons.push(format!("{more} more"));
            }
            let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
            writeln!(
                out,
                "{millis:>10.1} {share:>5.1}% {:>10} {:>10} {:>9} {each:>8}  {}{why}",
                cost.evaluated,
                cost.woken,
                cost.matched,
                self.id(line.rule)
            )?;
        }
        for (rule, counted) in &self.correlations {
            let Counted { events, fired, groups } = counted;
            writeln!(out, "correlation {}: {events} events counted, {groups} groups, fired {fired}", self.id(*rule))?;
        }
        Ok(())
    }

    /// One object a line; `profile` says what it is of, which no alert has.
    pub fn objects(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for (stage, nanos) in &self.stages {
            let (stage, share) = (stage.as_str(), self.share(*nanos) / 100.0);
            writeln!(out, "{}", json!({"profile": "stage", "stage": stage, "nanos": nanos, "share": share}))?;
        }
        for line in &self.lines {
            writeln!(out, "{}", self.object(line))?;
        }
        for (rule, counted) in &self.correlations {
            let Counted { events, fired, groups } = counted;
            let id = self.id(*rule);
            let told = json!({
                "profile": "correlation", "rule": id, "events": events, "groups": groups, "fired": fired,
            });
            writeln!(out, "{told}")?;
        }
        Ok(())
    }

    fn object(&self, line: &Line) -> Value {
        let cost = line.cost;
        let why: Vec<Value> =
            line.reasons.iter().map(|reason| json!({"code": reason.code(), "message": reason.to_string()})).collect();
        json!({
            "profile": "rule",
            "rule": self.id(line.rule),
            "evaluated": cost.evaluated,
            "woken": cost.woken,
            "matched": cost.matched,
            "nanos": cost.nanos,
            "share": self.share(cost.nanos) / 100.0,
            "why": why,
        })
    }

    fn row(&self, nanos: u64, name: &str, out: &mut dyn Write) -> std::io::Result<()> {
        let (millis, share) = (millis(nanos), self.share(nanos));
        writeln!(out, "{millis:>10.1} {share:>5.1}% {:>10} {:>10} {:>9} {:>8}  {name}", "", "", "", "")
    }

    fn id(&self, rule: usize) -> &str {
        self.set.rule(rule).map_or("", |rule| rule.display_id())
    }

    /// Of the whole, in per cent.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn share(&self, nanos: u64) -> f64 {
        nanos as f64 * 100.0 / self.total.max(1) as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time for people")]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
