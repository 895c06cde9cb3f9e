//! What a replay cost: time, processor, memory.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::base::files;
use crate::detect::correlation::{Counts, Eviction};

/// Clock ticks in a second, as Linux tells them to programs on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// What has been used since the replay began.
pub struct Usage {
    begun: Instant,
    cpu_seconds: Option<f64>,
}

impl Usage {
    pub fn begin() -> Self {
        Self { begun: Instant::now(), cpu_seconds: cpu_seconds() }
    }

    /// Says how fast it was and what correlations hold.
    pub fn report(&self, events: u64, held: Option<&Counts>, out: &mut dyn Write) -> std::io::Result<()> {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-9);
        write!(out, "{seconds:.1} s, {} events/s", per_second(events, seconds))?;
        if let (Some(before), Some(now)) = (self.cpu_seconds, cpu_seconds()) {
            let cpu = now - before;
            write!(out, "; {cpu:.1} CPU-s, {} events per CPU-s", per_second(events, cpu.max(0.01)))?;
        }
        if let Some(peak) = status("VmHWM:") {
            write!(out, "; peak {} MiB", peak / 1024)?;
        }
        writeln!(out)?;
        let Some(held) = held else { return Ok(()) };
        let evictions: Vec<String> = Eviction::ALL
            .iter()
            .zip(held.evictions)
            .map(|(reason, count)| format!("{} {count}", reason.as_str()))
            .collect();
        let Counts { groups, entries, bytes, late, .. } = held;
        writeln!(
            out,
            "correlation: {groups} groups, {entries} entries, {} MiB; evictions: {}; {late} late",
            bytes >> 20,
            evictions.join(", ")
        )
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn per_second(events: u64, seconds: f64) -> u64 {
    (events as f64 / seconds) as u64
}

/// User and system time of this process; nothing where `/proc` does not say.
fn cpu_seconds() -> Option<f64> {
    let stat = files::read_text(Path::new("/proc/self/stat"), 1 << 12).ok()?;
    // The name of the program may hold spaces; what follows it does not.
    let rest = stat.rsplit_once(") ")?.1;
    let mut ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

/// A line of the process's status, in KiB.
fn status(name: &str) -> Option<u64> {
    let status = files::read_text(Path::new("/proc/self/status"), 1 << 16).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}
