//! Other rules and mutes for a running agent, swapped in whole or not at all.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::health::Voice;
use super::judge::{Judge, Law};
use super::rules;
use super::tell::Notice;
use crate::base::clock;
use crate::base::files;
use crate::base::metrics::Metrics;
use crate::config::{self, Checked, raw};

/// A configuration file; a larger one is none.
pub const CONFIG_BYTES_MAX: u64 = 4 << 20;
/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a reload happens, when nobody asked for it.
const FILE_CHANGED: &str = "file changed";

/// Reads, checks and compiles, then swaps; on any error what is in force stays.
pub struct Reloader {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    pub config: raw::Config,
    pub judge: Judge,
    pub metrics: Metrics,
    pub voice: Voice,
    pub requests: mpsc::Receiver<&'static str>,
    pub stop: CancellationToken,
}

impl Reloader {
    pub async fn run(mut self) {
        let mut seen = self.print().await;
        let mut ended = None;
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let why = tokio::select! {
                () = self.stop.cancelled() => return,
                request = self.requests.recv() => match request {
                    Some(why) => why,
                    None => return,
                },
                _ = tick.tick() => FILE_CHANGED,
            };
            // Taken before the files are read: what is written meanwhile is seen as a change again.
            let now = self.print().await;
            // An override that ends is tried once: what is wrong with other files does not mend itself.
            let ends = self.judge.law().rules.ends().filter(|ends| *ends <= clock::now() && ended != Some(*ends));
            let why = if ends.is_some() && why == FILE_CHANGED { "override ended" } else { why };
            if why == FILE_CHANGED && (now == seen || !self.config.rules.watch) {
                continue;
            }
            ended = ends.or(ended);
            self.reload(why).await;
            seen = now;
        }
    }

    async fn reload(&mut self, why: &'static str) {
        let (file, config) = (self.file.clone(), self.config.clone());
        let result = tokio::task::spawn_blocking(move || prepare(file.as_deref(), config)).await;
        match result.unwrap_or_else(|error| Err(error.to_string())) {
            Ok((config, law)) => {
                let rules = law.rules.rules().len();
                let ruleset = law.rules.digest().to_string();
                self.judge.replace(law);
                if needs_restart(&self.config, &config) {
                    tracing::warn!("sources, sinks, state and http keep their settings until the agent is restarted");
                }
                self.config = config;
                self.succeeded();
                tracing::info!(why, rules, ruleset, "rules and mutes were reloaded");
            }
            Err(problem) => {
                self.metrics.config_reload_success.set(0);
                self.metrics.config_reloads.with_label_values(&["failure"]).inc();
                tracing::error!(why, "the reload failed, what was in force stays in force:\n{problem}");
                let detail = crate::base::text::shorten(&problem, 500);
                self.voice.say(Notice {
                    action: "reload.failed",
                    component: "rules".to_owned(),
                    reason: "invalid",
                    detail,
                });
            }
        }
    }

    fn succeeded(&self) {
        self.metrics.config_reload_success.set(1);
        self.metrics.config_reloads.with_label_values(&["success"]).inc();
        #[expect(clippy::cast_precision_loss, reason = "a metric in seconds")]
        self.metrics.config_last_reload_success_timestamp.set(clock::now().as_second() as f64);
    }

    /// What the files look like now: names, inodes, sizes, times. Following links, so that the swap of a
    /// mounted ConfigMap is seen.
    async fn print(&self) -> Vec<(PathBuf, [i64; 5])> {
        let rules = &self.config.rules;
        let beside = rules.paths.iter().chain(&rules.values).chain(&rules.overrides);
        let roots: Vec<PathBuf> = self.file.iter().chain(beside).cloned().collect();
        tokio::task::spawn_blocking(move || {
            let mut print = Vec::new();
            for entry in
                roots.iter().flat_map(|root| walkdir::WalkDir::new(root).follow_links(true)).flatten().take(50_000)
            {
                if let Ok(metadata) = entry.metadata() {
                    let inode = metadata.ino().cast_signed();
                    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime_nsec()];
                    let [modified, modified_nanos, changed_nanos] = times;
                    let size = metadata.size().cast_signed();
                    print.push((entry.path().to_owned(), [inode, size, modified, modified_nanos, changed_nanos]));
                }
            }
            print.sort();
            print
        })
        .await
        .unwrap_or_default()
    }
}

fn prepare(file: Option<&std::path::Path>, current: raw::Config) -> Result<(raw::Config, Law), String> {
    let lines =
        |problems: Vec<config::Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let (config, mutes) = match file {
        Some(path) => {
            let name = path.display().to_string();
            let text = files::read_text(path, CONFIG_BYTES_MAX)
                .map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            let (config, places) = config::load(&name, &text).map_err(lines)?;
            let Checked { config, mutes, .. } = config::check(config, &places).map_err(lines)?;
            (config, mutes)
        }
        None => (current, Vec::new()),
    };
    let rules = rules::load(&config.rules).map_err(|error| error.explain())?;
    let failures = rules.test();
    if let Some(failure) = failures.first() {
        return Err(format!("{} test(s) in the rules fail, the first: {failure}", failures.len()));
    }
    let repeat_after_millis = repeat_millis(&config);
    Ok((config, Law { rules, mutes, repeat_after_millis }))
}

/// Milliseconds for which the same finding is not told again.
pub fn repeat_millis(config: &raw::Config) -> i64 {
    i64::try_from(config.alerts.repeat_after_secs.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// Whether something changed that only a restart puts in force.
fn needs_restart(old: &raw::Config, new: &raw::Config) -> bool {
    let rest = |config: &raw::Config| {
        let mut config = config.clone();
        config.rules = raw::Rules::default();
        config.mutes = Vec::new();
        config.alerts.repeat_after_secs = 0;
        serde_json::to_value(config).ok()
    };
    rest(old) != rest(new)
}
