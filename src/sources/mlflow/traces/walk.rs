//! From the oldest that may come to now, in stretches of time that are short enough to be listed whole.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::after;
use super::known::{Key, Known};
use super::telling::Teller;
use crate::base::clock;
use crate::base::http::Failure;
use crate::sources::mlflow::Shared;
use crate::sources::mlflow::api::{Space, TRACES_PAGE, Trace, TracePage, Wanted};
use crate::sources::mlflow::engine::Stop;
use crate::sources::{Context, Observation};

/// Experiments in one question.
const EXPERIMENTS: usize = 500;
/// Experiments whose traces are watched.
const EXPERIMENTS_MAX: usize = 5_000;
/// Questions by which it is found out which experiments may be read.
const PROBES_MAX: usize = 100;
/// Pages of one stretch of time; what has more is listed by shorter stretches.
const STRETCH_PAGES: usize = 10;
/// Pages of one look; the next goes on from there.
const LOOK_PAGES: usize = 30;
/// What is listed by shorter stretches of time is divided by so much, and stretches grow by so much.
const FACTOR: i64 = 4;
/// Being behind by more than this, beside what may come late, means that what happens now is not seen.
const BEHIND_MS: i64 = 300_000;
/// A small look begins so long before what was listed already.
const OVERLAP_MS: i64 = 15_000;
/// Clocks may differ by so much.
const AHEAD_MS: i64 = 60_000;
/// Traces that say that they end later than that are told up to this number.
const AHEAD_MAX: usize = 1_000;
/// Longest traces that a small look finds; servers keep them by when they began.
const HOUR_MS: i64 = 3_600_000;
/// Longest traces that are found at all.
const DAY_MS: i64 = 86_400_000;
/// Milliseconds that are known to hold too much.
const BROKEN_MAX: usize = 1_000;

/// Whom to ask, and whom to tell.
pub struct Eye<'e> {
    pub shared: &'e Shared,
    pub context: &'e Context,
    pub space: Space<'e>,
    /// When a look is to end, which goes on with the next one.
    pub until: Instant,
}

impl Eye<'_> {
    async fn send(&self, observation: Observation) -> Result<(), Stop> {
        self.context.out.send(observation).await.map_err(|_| Stop::Unheard)
    }

    fn millis(secs: u64) -> i64 {
        i64::try_from(secs.saturating_mul(1_000)).unwrap_or(i64::MAX / 4)
    }
}

/// By which time a server can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    End,
    /// Servers that do not know the end of a trace as something to ask for.
    Start,
}

/// The traces of one workspace.
pub struct Watch {
    known: Known,
    /// Names by numbers of those that may be read.
    experiments: BTreeMap<String, String>,
    /// Where the look that is under way goes on.
    at: Option<i64>,
    /// How long a trace may have taken to be found by this look.
    longest: i64,
    /// How long a stretch of time is tried next.
    width: i64,
    /// The end of the last stretch of which not all could be listed; up to there stretches stay as short as they are.
    fence: i64,
    /// The newest end that this look saw.
    newest: i64,
    /// Milliseconds of which not all can be listed.
    broken: BTreeSet<i64>,
    by: By,
    /// The first look is under way, which tells nothing.
    silent: bool,
    /// Some experiments may not be read.
    doubt: bool,
    next_sweep: Instant,
    rests: bool,
    /// What may not be read.
    unread: Option<String>,
    pub why: Option<(&'static str, String)>,
    pub notes: BTreeMap<&'static str, String>,
}

impl Watch {
    pub fn new(known: Known) -> Self {
        Self {
            known,
            experiments: BTreeMap::new(),
            at: None,
            longest: DAY_MS,
            width: DAY_MS,
            fence: 0,
            newest: 0,
            broken: BTreeSet::new(),
            by: By::End,
            silent: false,
            doubt: false,
            next_sweep: Instant::now(),
            rests: false,
            unread: None,
            why: None,
            notes: BTreeMap::new(),
        }
    }

    /// Whether it failed, and is not asked for again yet.
    pub fn rests(&self) -> bool {
        self.rests && Instant::now() < self.next_sweep
    }

    pub fn fails(&mut self, failure: &Failure, why: (&'static str, String), again_secs: u64) {
        // What was listed in part is listed again.
        (self.at, self.fence) = (None, 0);
        match failure {
            Failure::Denied { status: 403 } if !self.doubt && self.experiments.len() > 1 => self.doubt = true,
            Failure::Rejected { status: 400 } if self.by == By::End => {
                self.by = By::Start;
                let text = "the server cannot be asked for the end of traces; those that take long may be missed";
                self.notes.insert("traces_by_start", text.to_owned());
            }
            _ => {
                (self.rests, self.why) = (true, Some(why));
                self.next_sweep = after(again_secs);
                return;
            }
        }
        self.next_sweep = Instant::now();
    }

    pub async fn look(&mut self, eye: &Eye<'_>) -> Result<(), Stop> {
        let (now, settings) = (clock::now().as_millisecond(), &eye.shared.config.traces);
        let late = Eye::millis(settings.late_secs);
        self.rests = false;
        if self.at.is_none() && Instant::now() >= self.next_sweep {
            self.next_sweep = after(eye.shared.config.sweep_interval_secs);
            self.notes.remove("traces_left_out");
            self.broken = self.broken.split_off(&self.known.floor());
            self.note_broken();
            if self.known.is_new() {
                self.silent = true;
                self.known.begin(now.saturating_sub(late));
            }
            self.find_experiments(eye).await?;
            self.look_at_unfinished(eye, now).await?;
            self.look_ahead(eye, now).await?;
            self.at = Some(self.known.floor());
            self.longest = DAY_MS;
        }
        let at = self.at.unwrap_or_else(|| self.known.mark().saturating_sub(OVERLAP_MS).max(self.known.floor()));
        self.walk(eye, at, now).await?;
        if self.at.is_none() {
            (self.longest, self.fence) = (HOUR_MS, 0);
            self.known.reach(self.newest.min(now).max(now.saturating_sub(late)));
            self.silent = false;
        }
        self.why = self.unread.clone().map(|text| ("traces_forbidden", text));
        let behind = now.saturating_sub(self.known.mark()).saturating_sub(late);
        if self.at.is_some() && behind > BEHIND_MS {
            let text =
                format!("traces are read {} minutes late: too many, too large, or a slow server", behind / 60_000);
            self.why.get_or_insert(("traces_behind", text));
        }
        if !self.silent {
            self.settle(eye, late).await?;
        }
        Ok(())
    }

    async fn settle(&mut self, eye: &Eye<'_>, late: i64) -> Result<(), Stop> {
        let settled = self.known.settle(late);
        if settled.early {
            eye.context.metrics.dropped("trace_memory_full");
        }
        match self.known.forgets(late) {
            Some(more) => drop(self.notes.insert("traces_forgotten", more)),
            None => drop(self.notes.remove("traces_forgotten")),
        }
        for checkpoint in settled.keep {
            eye.send(Observation::Checkpoint(checkpoint)).await?;
        }
        Ok(())
    }

    /// Lists what ended from a time on, as far as one look goes.
    async fn walk(&mut self, eye: &Eye<'_>, mut at: i64, now: i64) -> Result<(), Stop> {
        let (end, mut pages) = (now.saturating_add(AHEAD_MS), 0);
        while at < end && pages < LOOK_PAGES && (pages == 0 || Instant::now() < eye.until) {
            self.at = Some(at);
            if self.broken.contains(&at) {
                at += 1;
                continue;
            }
            let to = at.saturating_add(self.width).min(end);
            let to = self.broken.range(at..to).next().copied().unwrap_or(to);
            let whole = match self.list(eye, (at, to), now, &mut pages).await {
                Ok(whole) => whole,
                Err(Stop::Failed(Failure::TooLarge { .. })) => false,
                Err(stop) => return Err(stop),
            };
            if whole {
                at = to;
                if at >= self.fence {
                    self.width = self.width.saturating_mul(FACTOR).min(DAY_MS);
                }
                if !self.silent && to < end {
                    self.known.reach(to);
                }
            } else if to - at <= 1 {
                self.leave_out(eye, at);
            } else {
                (self.width, self.fence) = (((to - at) / FACTOR).max(1), to);
            }
        }
        self.at = (at < end).then_some(at);
        let behind = self.at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        match behind.filter(|_| !self.silent) {
            Some(at) => drop(self.notes.insert("traces_behind", format!("traces are read as far as those of {at}"))),
            None => drop(self.notes.remove("traces_behind")),
        }
        Ok(())
    }

    /// Lists all that ended in a stretch of time; false if there is more than is listed at once.
    async fn list(&mut self, eye: &Eye<'_>, (from, to): (i64, i64), now: i64, pages: &mut usize) -> Result<bool, Stop> {
        let within = match self.by {
            By::End => format!(
                "attributes.end_time_ms >= {from} AND attributes.end_time_ms < {to} AND attributes.timestamp_ms >= {}",
                from.saturating_sub(self.longest)
            ),
            By::Start => format!("attributes.timestamp_ms >= {from} AND attributes.timestamp_ms < {to}"),
        };
        self.ask(eye, &format!("{within} AND attributes.status != 'IN_PROGRESS'"), now, pages).await
    }

    /// Tells all that a filter gives; false if there is more than is listed at once.
    async fn ask(&mut self, eye: &Eye<'_>, filter: &str, now: i64, pages: &mut usize) -> Result<bool, Stop> {
        let ids: Vec<String> = self.experiments.keys().cloned().collect();
        for experiments in ids.chunks(EXPERIMENTS) {
            let wanted = Wanted { experiments, filter, most: TRACES_PAGE };
            let mut token = String::new();
            for _ in 0..STRETCH_PAGES {
                // A page that cannot be read costs as much as others.
                *pages += 1;
                let page = eye.shared.api.traces(eye.space, wanted, &token).await?;
                let next = self.tell(eye, page, now).await?;
                token = next.unwrap_or_default();
                if token.is_empty() {
                    break;
                }
            }
            if !token.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells what is new on a page, in the order in which it ended; where the next begins.
    async fn tell(&mut self, eye: &Eye<'_>, mut page: TracePage, now: i64) -> Result<Option<String>, Stop> {
        page.traces.sort_by_key(Trace::ended);
        let settings = &eye.shared.config.traces;
        for trace in &page.traces {
            let unfinished = trace.state == "IN_PROGRESS";
            if unfinished && trace.started > now.saturating_sub(Eye::millis(settings.unfinished_secs)) {
                continue;
            }
            // What ends after all has been told.
            let until = if unfinished { now.saturating_add(DAY_MS) } else { trace.ended() };
            if until <= now {
                self.newest = self.newest.max(until);
            }
            let key = if unfinished { Key::unfinished(&trace.id) } else { Key::of(&trace.id) };
            let told = self.known.has(&key) || unfinished && self.known.has(&Key::of(&trace.id));
            let Some(checkpoint) = self.known.remember(key, until) else { continue };
            if told || self.silent {
                eye.send(Observation::Checkpoint(checkpoint)).await?;
                continue;
            }
            let teller = Teller {
                registry: eye.shared.api.registry(),
                space: eye.space,
                experiments: &self.experiments,
                text: settings.text,
            };
            eye.send(Observation::Inference(Box::new(teller.tell(trace, checkpoint)))).await?;
        }
        for digest in &page.unreadable {
            let key = Key::of(digest);
            if !self.known.has(&key) {
                eye.context.metrics.dropped("trace_unreadable");
            }
            if let Some(checkpoint) = self.known.remember(key, now) {
                eye.send(Observation::Checkpoint(checkpoint)).await?;
            }
        }
        Ok(page.next)
    }

    /// Tells traces that began long ago and have not ended.
    async fn look_at_unfinished(&mut self, eye: &Eye<'_>, now: i64) -> Result<(), Stop> {
        let age = Eye::millis(eye.shared.config.traces.unfinished_secs);
        let filter = format!(
            "attributes.status = 'IN_PROGRESS' AND attributes.timestamp_ms >= {} AND attributes.timestamp_ms < {}",
            self.known.floor().saturating_sub(age),
            now.saturating_sub(age)
        );
        match self.ask(eye, &filter, now, &mut 0).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(Stop::Failed(Failure::TooLarge { .. })) => {
                self.note_left_out("more traces do not end than are looked at");
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }

    /// Tells traces that say that they end in the future, which is no reason not to look at them.
    async fn look_ahead(&mut self, eye: &Eye<'_>, now: i64) -> Result<(), Stop> {
        let from = now.saturating_add(AHEAD_MS);
        let within = match self.by {
            By::End => format!(
                "attributes.end_time_ms >= {from} AND attributes.timestamp_ms >= {}",
                now.saturating_sub(DAY_MS)
            ),
            By::Start => format!("attributes.timestamp_ms >= {from}"),
        };
        let filter = format!("{within} AND attributes.status != 'IN_PROGRESS'");
        let whole = if self.known.after(from) < AHEAD_MAX {
            match self.ask(eye, &filter, now, &mut 0).await {
                Ok(whole) => whole,
                Err(Stop::Failed(Failure::TooLarge { .. })) => false,
                Err(stop) => return Err(stop),
            }
        } else {
            false
        };
        if whole {
            self.notes.remove("traces_ahead");
        } else {
            let text = "more traces than are looked at say that they end in the future; mend the clock of whoever records them";
            self.notes.insert("traces_ahead", text.to_owned());
        }
        Ok(())
    }

    /// Not all that ended in one millisecond can be listed.
    fn leave_out(&mut self, eye: &Eye<'_>, at: i64) {
        if self.broken.len() >= BROKEN_MAX {
            self.broken.pop_first();
        }
        self.broken.insert(at);
        eye.context.metrics.dropped("trace_left_out");
        self.note_broken();
    }

    fn note_broken(&mut self) {
        if !self.broken.is_empty() {
            self.note_left_out("too much ended in one millisecond, or one trace is larger than a page may be");
        }
    }

    fn note_left_out(&mut self, why: &str) {
        self.notes.insert("traces_left_out", format!("some traces were left out: {why}"));
    }

    /// Finds out which experiments there are, and which of them may be read.
    async fn find_experiments(&mut self, eye: &Eye<'_>) -> Result<(), Stop> {
        let wanted = &eye.shared.config.traces.experiments;
        let all = eye.shared.api.experiments(eye.space).await?;
        let missing = wanted
            .iter()
            .find(|name| *name != "*" && !all.iter().any(|one| one.name == **name || one.experiment_id == **name));
        let wants = |name: &String| wanted.iter().any(|one| one == "*" || one == name);
        let mut found: BTreeMap<String, String> = all
            .into_iter()
            .filter(|experiment| wants(&experiment.name) || wants(&experiment.experiment_id))
            .map(|experiment| (experiment.experiment_id, experiment.name))
            .collect();
        let mut note = missing.map(|name| format!("there is no experiment `{name}`, or it may not be seen"));
        if found.len() > EXPERIMENTS_MAX {
            note = Some(format!("there are more than {EXPERIMENTS_MAX} experiments; name fewer in `traces`"));
            found = found.into_iter().take(EXPERIMENTS_MAX).collect();
        }
        match note {
            Some(note) => drop(self.notes.insert("traces_missing", note)),
            None => drop(self.notes.remove("traces_missing")),
        }
        self.unread = None;
        if self.doubt {
            self.sort_out(eye, &mut found).await?;
        }
        self.experiments = found;
        Ok(())
    }

    /// Leaves out those that may not be read: one of them is enough for a question to be refused.
    async fn sort_out(&mut self, eye: &Eye<'_>, found: &mut BTreeMap<String, String>) -> Result<(), Stop> {
        let mut groups = vec![found.keys().cloned().collect::<Vec<_>>()];
        let (mut asked, mut refused) = (0, Vec::new());
        while let Some(mut group) = groups.pop() {
            if asked >= PROBES_MAX {
                refused.append(&mut group);
                continue;
            }
            asked += 1;
            let wanted = Wanted { experiments: &group, filter: "", most: 1 };
            match eye.shared.api.traces(eye.space, wanted, "").await {
                Ok(_) => {}
                Err(Failure::Denied { status: 403 }) if group.len() > 1 => {
                    let rest = group.split_off(group.len() / 2);
                    groups.extend([group, rest]);
                }
                Err(Failure::Denied { status: 403 }) => refused.append(&mut group),
                Err(failure) => return Err(failure.into()),
            }
        }
        if refused.len() == found.len() && !refused.is_empty() {
            return Err(Failure::Denied { status: 403 }.into());
        }
        self.doubt = !refused.is_empty();
        self.unread = refused.first().map(|id| {
            let name = found.get(id).map_or("", String::as_str);
            format!("traces of {} experiments may not be read, for example of `{name}`", refused.len())
        });
        found.retain(|id, _| !refused.contains(id));
        Ok(())
    }
}
