//! A million events through fifty correlations and a hundred thousand groups.
//!
//! Prints throughput, what was held, and the peak of the process's memory against the stated bound;
//! fails when the bound does not hold.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads what it wrote, and prints")]

use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use lanner::cli::replay::{Out, Progress, Replay};
use lanner::cli::rules::Format;
use lanner::detect::correlation::{Correlator, Limits};
use lanner::detect::{self, Schema, Source};

/// A repeatable source of numbers (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[path = "../tests/it/support/traffic.rs"]
mod traffic;

/// Beyond what correlations account for: the program, its rules, buffers, and what the allocator keeps.
const BESIDE_MIB: u64 = 128;

fn main() {
    let events: u64 = std::env::var("EVENTS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("events.jsonl");
    traffic::events(&path, events, 50_000).expect("there is space");
    let source = Source::new("rules.yml", traffic::rules());
    let set = detect::load(&[source], &Schema::open()).unwrap_or_else(|found| panic!("{}", found[0]));
    let limits = Limits::default();
    let mut correlator = Correlator::new(&set, limits, false);
    let name = Path::new("events.jsonl");
    let replay = Replay { set: &set, open: true, format: Format::Json, name, time_field: None, profile: None };
    let mut input = BufReader::new(std::fs::File::open(&path).expect("it is there"));
    let (mut progress, mut nowhere) = (Progress::default(), std::io::sink());
    let begun = Instant::now();
    replay
        .run(&mut input, &mut Out::Plain(&mut nowhere), &mut std::io::stderr(), &mut correlator, &mut progress, &|_| ())
        .expect("the events can be replayed");
    let seconds = begun.elapsed().as_secs_f64();
    let counts = correlator.counts();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = progress.counts.events as f64 / seconds;
    println!(
        "{} events, {} alerts, {seconds:.1} s, {rate:.0} events/s",
        progress.counts.events, progress.counts.alerts
    );
    println!("{counts:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    let (peak, bound) = (peak.unwrap_or(0) >> 10, (limits.bytes_max >> 20) as u64 + BESIDE_MIB);
    println!("peak of memory {peak} MiB, bound {bound} MiB");
    assert!(counts.bytes <= limits.bytes_max, "correlations hold more than they may");
    assert!(peak <= bound, "the process holds more than it says");
}
