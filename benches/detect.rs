//! How fast rules are matched, as ratios to the crate `rsigma-eval` on the same rules and events in
//! the same run.
//!
//! `cargo bench --bench detect`. Rules and events are of our own making, in the manner of public
//! ones; `LANNER_SIGMA_RULES` names a folder of rules to use instead, `LANNER_SIGMA_EVENTS` a file
//! with one event a line. Times are CPU time of the thread; medians.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark prints ratios, and reads what the kernel says of itself"
)]

mod corpus;

use std::path::Path;

use lanner::detect::{self, Labels, RuleSet, Schema, Source};
use lanner::event::{Event, EventKind, Place, Subject, subject::SubjectKind, value};
use rsigma_eval::event::JsonEvent;
use rsigma_parser::{SigmaCollection, parse_sigma_yaml};

const ROUNDS: usize = 7;
/// Few enough, at some 5 kB each, to stay in a core's own cache of 1 MiB, as an event does that was just made.
const EVENTS: usize = 100;
/// Times that they are run through in one round.
const TIMES: usize = 200;
/// Far too many for it: they come from memory, as they do out of a backlog.
const BACKLOG: usize = 10_000;
const PROCESS: Labels<'static> = Labels { category: Some("process_creation"), product: Some("windows"), service: None };

fn main() {
    let processes = match std::env::var("LANNER_SIGMA_EVENTS") {
        Ok(path) => std::fs::read_to_string(path).expect("the events can be read").lines().map(str::to_owned).collect(),
        Err(_) => corpus::events::processes(20_000),
    };
    let bytes: usize = processes.iter().map(String::len).sum();
    println!("{} events of {} bytes each; {ROUNDS} rounds in turn, medians", processes.len(), bytes / processes.len());
    let sources = public_rules();
    let mut bars = Vec::new();
    println!("\nload");
    let before = rss_mib();
    let (set, seconds) = timed(|| load(&sources));
    // The program of a logsource is made by its first event.
    let (_, building) = timed(|| hits(&set, &processes[..1]));
    let grown = rss_mib() - before;
    println!(
        "lanner       {} rules in {:.2} CPU-s and {building:.2} CPU-s for the program; {grown:.0} MiB",
        set.rules().len(),
        seconds
    );
    bars.push(("3,000 rules load in 1 CPU-s", seconds + building, 1.0, Bar::Most));
    bars.push(("3,000 rules in 80 MB", grown * 1.048_576, 80.0, Bar::Most));
    let before = rss_mib();
    let (rival, seconds) = timed(|| rival_of(&sources, true));
    println!(
        "rsigma       {} rules of the logsource in {seconds:.2} CPU-s; {:.0} MiB",
        rival.rule_count(),
        rss_mib() - before
    );

    println!("\nprocess creation, parse and match");
    let (ours, theirs) =
        race(|| hits(&set, &processes), || processes.iter().map(|event| rival_hits(&rival, event)).sum::<usize>());
    bars.push(("ratio to rsigma, all rules", report(processes.len(), ours, theirs), 4.0, Bar::Least));

    println!("\n100 MLOps rules, parse and match");
    let rules = corpus::mlops::rules(100);
    let events = corpus::mlops::events(EVENTS);
    let match_with = |set: &RuleSet, events: &[(&str, String)]| -> usize {
        let hits = |(category, json): &(&str, String)| {
            let labels = Labels { category: Some(category), ..Labels::default() };
            set.json_hits(json, Some(labels)).expect("it is JSON").len()
        };
        events.iter().map(hits).sum()
    };
    let before = rss_mib();
    let more = load(&corpus::mlops::rules(150));
    match_with(&more, &events[..10]);
    let grown = rss_mib() - before;
    println!("lanner       {grown:.1} MiB for {} rules", more.rules().len());
    bars.push(("150 rules in 8 MB", grown * 1.048_576, 8.0, Bar::Most));
    let set = load(&rules);
    let match_json = |events: &[(&str, String)]| match_with(&set, events);
    let rival = rival_of(&rules, false);
    let logsources: Vec<_> = events
        .iter()
        .map(|(category, _)| rsigma_parser::LogSource { category: Some((*category).to_owned()), ..Default::default() })
        .collect();
    let (ours, theirs) = race(
        || (0..TIMES).map(|_| match_json(&events)).sum::<usize>(),
        || {
            let one = |((_, json), logsource): (&(&str, String), &rsigma_parser::LogSource)| {
                let value: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
                rival.evaluate_with_logsource(&JsonEvent::borrow(&value), logsource).len()
            };
            (0..TIMES).map(|_| events.iter().zip(&logsources).map(one).sum::<usize>()).sum::<usize>()
        },
    );
    report(EVENTS * TIMES, ours, theirs);
    bars.push(("events with JSON per CPU-s", (EVENTS * TIMES) as f64 / ours, 750_000.0, Bar::Least));

    println!("\n100 MLOps rules, events that are no JSON");
    let plain = |events: &[(&str, String)], times: usize, from: &str| {
        let events: Vec<Event> = events.iter().map(|(category, json)| event_of(category, json)).collect();
        let all = || events.iter().map(|event| set.hits(event).len()).sum::<usize>();
        let (ours, _) = race(|| (0..times).map(|_| all()).sum(), || 0);
        let count = (events.len() * times) as f64;
        println!("lanner       {:.0} ns an event, {:.0} events/CPU-s, from {from}", ours * 1e9 / count, count / ours);
        count / ours
    };
    let rate = plain(&events, TIMES, "the cache");
    bars.push(("events without JSON per CPU-s", rate, 1_500_000.0, Bar::Least));
    plain(&corpus::mlops::events(BACKLOG), EVENTS * TIMES / BACKLOG, "memory");

    println!();
    for (what, found, bar, kind) in bars {
        let holds = match kind {
            Bar::Least => found >= bar,
            Bar::Most => found <= bar,
        };
        println!("{} {what}: {found:.2} (bar: {bar})", if holds { "holds " } else { "FAILS " });
    }
}

enum Bar {
    Least,
    Most,
}

fn public_rules() -> Vec<Source> {
    if let Ok(folder) = std::env::var("LANNER_SIGMA_RULES") {
        return lanner::agent::rules::read(Path::new(&folder)).expect("the rules can be read");
    }
    let named = corpus::rules::all(3_141).into_iter().enumerate();
    named.map(|(number, text)| Source::new(format!("{number}.yml"), text)).collect()
}

fn load(sources: &[Source]) -> RuleSet {
    detect::load(sources, &Schema::open()).unwrap_or_else(|found| panic!("{}", found[0]))
}

fn hits(set: &RuleSet, events: &[String]) -> usize {
    events.iter().map(|event| set.json_hits(event, Some(PROCESS)).expect("it is JSON").len()).sum()
}

/// The other engine at its best: only the rules of the events' logsource.
fn rival_of(sources: &[Source], one_logsource: bool) -> rsigma_eval::Engine {
    let mut all = SigmaCollection::default();
    for source in sources {
        let parsed = parse_sigma_yaml(&source.text).expect("it reads the rule");
        all.rules.extend(parsed.rules.into_iter().filter(|rule| {
            let (category, product) = (rule.logsource.category.as_deref(), rule.logsource.product.as_deref());
            !one_logsource
                || (category.is_none_or(|category| category == "process_creation")
                    && product.is_none_or(|product| product == "windows")
                    && rule.logsource.service.is_none())
        }));
    }
    let mut engine = rsigma_eval::Engine::new();
    engine.add_collection(&all).expect("it compiles the rules");
    engine
}

fn rival_hits(engine: &rsigma_eval::Engine, json: &str) -> usize {
    let value: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
    engine.evaluate(&JsonEvent::borrow(&value)).len()
}

fn event_of(category: &str, json: &str) -> Event {
    let fields = value::from_json(serde_json::from_str(json).expect("it is JSON"));
    Event {
        id: String::new(),
        kind: EventKind::from_category(category).expect("it is a category of ours"),
        time: jiff::Timestamp::UNIX_EPOCH,
        source: "models".to_owned(),
        product: fields.get("event.dataset").and_then(|value| value.as_text()).unwrap_or_default().to_owned(),
        service: None,
        subject: Subject::new(SubjectKind::Artifact, "model"),
        artifact: None,
        digest: None,
        place: Place::default(),
        fields,
    }
}

/// Median CPU seconds of each, run in turn.
fn race(ours: impl Fn() -> usize, theirs: impl Fn() -> usize) -> (f64, f64) {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    let (mut our_hits, mut their_hits) = (0, 0);
    for _ in 0..ROUNDS {
        let (found, seconds) = timed(&ours);
        our_hits = found;
        our_times.push(seconds);
        let (found, seconds) = timed(&theirs);
        their_hits = found;
        their_times.push(seconds);
    }
    println!("matches      lanner {our_hits}, rsigma {their_hits}");
    (median(our_times), median(their_times))
}

fn report(events: usize, ours: f64, theirs: f64) -> f64 {
    let each = |seconds: f64| seconds * 1e6 / events as f64;
    println!("lanner       {:.2} us an event, {:.0} events/CPU-s", each(ours), events as f64 / ours);
    println!("rsigma       {:.2} us an event, {:.0} events/CPU-s", each(theirs), events as f64 / theirs);
    println!("ratio        {:.2}", theirs / ours);
    theirs / ours
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// What a call gives, and the CPU seconds that it took.
fn timed<T>(call: impl FnOnce() -> T) -> (T, f64) {
    let begin = cpu_secs();
    let result = call();
    (result, cpu_secs() - begin)
}

/// CPU time of this thread so far.
fn cpu_secs() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn rss_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the kernel keeps account");
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number is pages");
    pages * 4096.0 / 1_048_576.0
}
