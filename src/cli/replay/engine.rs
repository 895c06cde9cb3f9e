//! Rules against a stream of lines.

use std::cell::RefCell;
use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::rules::Format;
use crate::detect::correlation::{Correlator, Fired, Limits, Sight, View};
use crate::detect::profile::{Facts, Profile, Stage};
use crate::detect::{Rule, RuleSet};
use crate::event::Fields;

use super::event::{event_of, fields_of, id_of, time_of};
use super::lines::{LINE_BYTES_MAX, Read, next_line};
use super::resume::{CHANGES_BETWEEN, Resumable};

/// What became of the lines.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub events: u64,
    pub alerts: u64,
    /// Lines that were no event, each reported.
    pub unreadable: u64,
    /// Events that do not say when they happened, or not so that it can be read.
    #[serde(default)]
    pub untimed: u64,
}

/// How far a replay came.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of the events.
    pub read: u64,
    /// Bytes of the output.
    pub written: u64,
    /// Lines.
    pub index: u64,
    pub counts: Counts,
    /// Milliseconds since 1970 of the last event that said when it happened.
    pub time_millis: Option<i64>,
}

/// Rules against a stream of lines.
pub struct Replay<'r> {
    pub set: &'r RuleSet,
    /// Fields as they are, and every rule.
    pub open: bool,
    pub format: Format,
    /// What messages call the events' file.
    pub name: &'r Path,
    /// Where events say when they happened, if not in `@timestamp`.
    pub time_field: Option<&'r str>,
    /// Where costs are booked, if somebody asks for them.
    pub profile: Option<RefCell<Profile>>,
}

/// Where alerts go.
pub enum Out<'o> {
    Plain(&'o mut dyn Write),
    /// With notes to go on from, made every so many lines.
    Resumable(Box<std::io::BufWriter<Resumable>>, u64),
}

/// One event with what it matched.
struct Matched {
    /// Places at which the line had to be put right.
    mended: usize,
    fields: Fields,
    source: String,
    hits: Vec<usize>,
}

impl Replay<'_> {
    /// Replays all lines, with nothing remembered. A line that is no event is reported to `errors`,
    /// and the others go on.
    pub fn all(&self, input: &mut dyn BufRead, out: &mut dyn Write, errors: &mut dyn Write) -> anyhow::Result<Counts> {
        let mut correlator = Correlator::new(self.set, Limits::default(), false);
        let mut progress = Progress::default();
        self.run(input, &mut Out::Plain(out), errors, &mut correlator, &mut progress, &|_| ())?;
        Ok(progress.counts)
    }

    /// Replays lines from where `progress` says, and tells `watch` now and then how far it came.
    pub fn run(
        &self,
        input: &mut dyn BufRead,
        out: &mut Out<'_>,
        errors: &mut dyn Write,
        correlator: &mut Correlator,
        progress: &mut Progress,
        watch: &dyn Fn(&Progress),
    ) -> anyhow::Result<()> {
        let mut line = Vec::new();
        let mut noted = progress.index;
        loop {
            let (read, taken) =
                next_line(input, &mut line).with_context(|| format!("cannot read {}", self.name.display()))?;
            let matched = match read {
                Read::End => break,
                Read::TooLong => Some(Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"))),
                Read::Line if line.iter().all(u8::is_ascii_whitespace) => None,
                Read::Line => Some(self.matches(&line, progress)),
            };
            match matched {
                None => {}
                Some(Ok(matched)) => {
                    progress.counts.events += 1;
                    if matched.mended > 0 {
                        let (name, line, places) = (self.name.display(), progress.index + 1, matched.mended);
                        writeln!(errors, "{name}:{line}: the JSON is wrong in {places} place(s), put right and read")?;
                    }
                    self.tell(&matched, correlator, progress, out.writer())?;
                }
                Some(Err(reason)) => {
                    progress.counts.unreadable += 1;
                    writeln!(errors, "{}:{}: {reason}", self.name.display(), progress.index + 1)?;
                }
            }
            progress.index += 1;
            progress.read += taken;
            if progress.index.is_multiple_of(4096) {
                watch(progress);
            }
            if progress.index - noted >= out.lines_between() || correlator.pending() >= CHANGES_BETWEEN {
                noted = progress.index;
                out.note(progress, correlator)?;
            }
        }
        out.note(progress, correlator)?;
        watch(progress);
        Ok(())
    }

    fn matches(&self, line: &[u8], progress: &mut Progress) -> Result<Matched, String> {
        self.booked(Profile::begin);
        let (fields, mended) = fields_of(line)?;
        let said = time_of(&fields, self.time_field);
        // An event without a time happened with the one before it; where none has a time, each line is
        // a second.
        let before = || progress.time_millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        let time = said.or_else(before);
        let untimed = u64::from(said.is_none());
        if self.open {
            let hits = self.hits(Facts::Open(&fields));
            progress.time_millis = time.map(Timestamp::as_millisecond).or(progress.time_millis);
            progress.counts.untimed += untimed;
            return Ok(Matched { fields, mended, source: String::new(), hits });
        }
        let event = event_of(fields, time.unwrap_or(Timestamp::UNIX_EPOCH))?;
        progress.time_millis = time.map(Timestamp::as_millisecond).or(progress.time_millis);
        progress.counts.untimed += untimed;
        let hits = self.hits(Facts::Ours(&event));
        Ok(Matched { fields: event.fields, mended, source: event.source, hits })
    }

    fn hits(&self, facts: Facts<'_>) -> Vec<usize> {
        if let Some(profile) = &self.profile {
            let mut profile = profile.borrow_mut();
            profile.lap(Stage::Parse);
            return profile.hits(self.set, facts);
        }
        match facts {
            Facts::Ours(event) => self.set.hits(event),
            Facts::Open(fields) => self.set.open_hits(fields),
        }
    }

    fn booked(&self, book: impl FnOnce(&mut Profile)) {
        if let Some(profile) = &self.profile {
            book(&mut profile.borrow_mut());
        }
    }

    fn tell(
        &self,
        matched: &Matched,
        correlator: &mut Correlator,
        progress: &mut Progress,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let index = progress.index;
        for rule in matched.hits.iter().filter_map(|number| self.set.rule(*number)).filter(|rule| !rule.silent) {
            progress.counts.alerts += 1;
            self.print(rule, index, out)?;
        }
        let line;
        let id = if let Some(id) = id_of(&matched.fields) {
            id
        } else {
            line = format!("line {}", index + 1);
            &line
        };
        let lines = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(1000);
        let sight = Sight {
            id,
            time_millis: progress.time_millis.unwrap_or(lines),
            arrival_millis: None,
            source: &matched.source,
            view: View { fields: &matched.fields, nested: self.open },
        };
        self.booked(Profile::begin);
        let fired = correlator.observe(self.set, &matched.hits, &sight);
        self.booked(|profile| profile.correlated(&matched.hits, &fired));
        for fired in fired {
            if let Some(rule) = self.set.rule(fired.rule).filter(|rule| !rule.silent) {
                progress.counts.alerts += 1;
                self.print_fired(rule, &fired, index, out)?;
            }
        }
        Ok(())
    }

    fn print(&self, rule: &Rule, index: u64, out: &mut dyn Write) -> anyhow::Result<()> {
        let (id, severity) = (rule.display_id(), rule.severity.as_str());
        match self.format {
            Format::Json => writeln!(out, "{}", alert(rule, index))?,
            Format::Text => writeln!(out, "line {}: {id} {severity} {}", index + 1, rule.title)?,
        }
        Ok(())
    }

    fn print_fired(&self, rule: &Rule, fired: &Fired, index: u64, out: &mut dyn Write) -> anyhow::Result<()> {
        let (id, severity) = (rule.display_id(), rule.severity.as_str());
        match self.format {
            Format::Json => {
                let mut alert = alert(rule, index);
                if let Some(alert) = alert.as_object_mut() {
                    alert.insert("id".to_owned(), json!(fired.id));
                    alert.insert("evidence".to_owned(), json!(fired.evidence()));
                }
                writeln!(out, "{alert}")?;
            }
            Format::Text => {
                let group = if fired.group.is_empty() { String::new() } else { format!("{}: ", fired.group_text()) };
                let time =
                    |millis| Timestamp::from_millisecond(millis).map(|time| time.to_string()).unwrap_or_default();
                let (from, until) = (time(fired.from_millis), time(fired.until_millis));
                let title = &rule.title;
                let (line, events) = (index + 1, fired.events);
                writeln!(out, "line {line}: {id} {severity} {title} ({group}{events} events, {from} to {until})")?;
            }
        }
        Ok(())
    }
}

impl Out<'_> {
    const fn lines_between(&self) -> u64 {
        match self {
            Self::Plain(_) => u64::MAX,
            Self::Resumable(_, lines) => *lines,
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(out) => *out,
            Self::Resumable(out, _) => out,
        }
    }

    fn note(&mut self, progress: &mut Progress, correlator: &mut Correlator) -> anyhow::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Resumable(out, _) => {
                out.flush()?;
                out.get_mut().note(progress, correlator)
            }
        }
    }
}

fn alert(rule: &Rule, index: u64) -> serde_json::Value {
    json!({
        "event_index": index,
        "line": index + 1,
        "rule": rule.display_id(),
        "title": rule.title,
        "severity": rule.severity,
        "atlas": rule.atlas,
    })
}
