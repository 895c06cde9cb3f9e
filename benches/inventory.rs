//! What it costs to know: a million artifacts in the inventory, a million unchanged files looked at by `stat`, and
//! a hundred thousand small files read again, beside AIDE on the same files in the same run.
//!
//! `cargo bench --bench inventory [-- ARTIFACTS] [inventory|unchanged|small]`; `make peers` installs AIDE. CPU seconds are the kernel's own
//! account, in ticks of 10 ms.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark prints figures, none of them near 2^52, and reads what the kernel says of it"
)]

mod account;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lanner::artifact::Report;
use lanner::event::{Fields, Portrait, Sha256};
use lanner::sources::{Context, Observation, RecordKind, SourceMetrics, Status};
use lanner::state::commit::Seen;
use lanner::state::{Blob, Commit, Mode, RecordChange, State};

use account::{peak_mib, ticks};

const PARTS: [&str; 3] = ["inventory", "unchanged", "small"];
const LOOKUPS: u64 = 20_000;
const SMALL: u64 = 100_000;
const RSS_MIB_MAX: f64 = 64.0;
const LOOKUP_MICROS_MAX: f64 = 10.0;
const START_SECS_MAX: f64 = 1.0;
const STAT_SECS_MAX: f64 = 2.0;
const REREAD_SECS_MAX: f64 = 0.8;

fn main() {
    let argument = std::env::args().skip(1).find_map(|argument| argument.parse::<u64>().ok());
    // The child that opens the inventory of its parent and says what it cost.
    if let Ok(directory) = std::env::var("LANNER_BENCH_INVENTORY") {
        ask(Path::new(&directory), argument.unwrap_or(1));
        return;
    }
    let count = argument.unwrap_or(1_000_000);
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| PARTS.contains(&argument.as_str())).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let fine = PARTS.map(|part| match part {
        _ if !wanted(part) => true,
        "inventory" => inventory(count),
        "unchanged" => unchanged(count),
        _ => small(),
    });
    std::process::exit(i32::from(!fine.iter().all(|fine| *fine)));
}

fn say(what: &str, value: f64, unit: &str, most: f64) -> bool {
    let fine = value <= most;
    println!("  {what}: {value:.2} {unit} (at most {most}){}", if fine { "" } else { "  MISSED" });
    fine
}

fn digest(index: u64) -> Sha256 {
    Sha256::of(&index.to_le_bytes())
}

fn key(index: u64) -> String {
    format!("/srv/models/team-{:02}/model-{:05}/weights-{index:07}.safetensors", index % 50, index / 100)
}

/// Fills an inventory and asks it from a process of its own.
fn inventory(count: u64) -> bool {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let state = State::open(directory.path(), Mode::Agent).expect("a new state can be made").state;
    let (began, before) = (Instant::now(), ticks(false));
    for start in (0..count).step_by(1000) {
        let records = (start..(start + 1000).min(count)).map(record).collect();
        let commit = Commit { source: "models".to_owned(), seen: Timestamp::UNIX_EPOCH, records, ..Commit::default() };
        state.commit(&[commit]).expect("it commits");
    }
    drop(state);
    let size = std::fs::metadata(directory.path().join("lanner.db")).map_or(0, |metadata| metadata.len());
    println!(
        "{count} artifacts written in {:.1} CPU-s ({:.1} s), {:.0} MB",
        ticks(false) - before,
        began.elapsed().as_secs_f64(),
        size as f64 / 1e6
    );
    let program = std::env::current_exe().expect("it is known");
    let output = Command::new(program)
        .arg(count.to_string())
        .env("LANNER_BENCH_INVENTORY", directory.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("the program can be run");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    output.status.success()
}

fn record(index: u64) -> RecordChange {
    let report = Report { format: "safetensors".to_owned(), ..Report::default() };
    let attributes =
        Fields::from([("file.path".to_owned(), key(index).into()), ("file.size".to_owned(), (index * 7).into())]);
    RecordChange::Put(Box::new(Seen {
        key: key(index),
        kind: RecordKind::Artifact,
        signature: format!("2049:{index}:{}:1764000000.0:1764000000.0", index * 7),
        subject: key(index),
        lineage: Some(key(index)),
        path: Some(key(index)),
        version: None,
        blob: Some(Blob {
            sha256: digest(index),
            size: index * 7,
            hint: format!("weights-{index:07}.safetensors"),
            report,
            segments: Vec::new(),
        }),
        portrait: Portrait::default(),
        read: true,
        attributes,
    }))
}

fn ask(directory: &Path, count: u64) {
    let began = Instant::now();
    let state = State::open(directory, Mode::Agent).expect("it can be opened").state;
    let start = began.elapsed().as_secs_f64();
    let artifacts = state.artifacts_count().expect("it answers");
    assert_eq!(artifacts, count, "all of them are there");
    let step = (count / LOOKUPS).max(1);
    let lookup = |ask: &dyn Fn(u64)| {
        let before = ticks(false);
        (0..LOOKUPS).for_each(|index| ask(index * step * 7919 % count));
        (ticks(false) - before) * 1e6 / LOOKUPS as f64
    };
    let by_key = lookup(&|index| assert!(state.record("models", &key(index)).expect("it answers").is_some()));
    let by_digest = lookup(&|index| {
        assert!(!state.places(&digest(index), 10).expect("it answers").is_empty());
    });
    let standing = lookup(&|index| assert!(state.standings(&digest(index), None).expect("it answers").is_empty()));
    let fine = [
        say("start", start, "s", START_SECS_MAX),
        say("by path, the whole record", by_key, "µs CPU", LOOKUP_MICROS_MAX),
        say("by digest, every place", by_digest, "µs CPU", LOOKUP_MICROS_MAX),
        say("how bytes stand", standing, "µs CPU", LOOKUP_MICROS_MAX),
        say("most memory", peak_mib("self"), "MiB", RSS_MIB_MAX),
    ];
    std::process::exit(i32::from(!fine.iter().all(|fine| *fine)));
}

/// A walk of files that did not change, by the source that watches them.
fn unchanged(count: u64) -> bool {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for index in 0..count {
        let folder = directory.path().join(format!("model-{:05}", index / 100));
        if index % 100 == 0 {
            std::fs::create_dir(&folder).expect("there is space");
        }
        std::fs::File::create(folder.join(format!("{index:07}.bin"))).expect("there is space");
    }
    let settings = serde_json::json!({
        "paths": [directory.path()], "sweep_interval_secs": 1, "watch": "poll", "poll_interval_secs": 3600,
        "files_max": count + 1, "verify": { "interval_secs": 0 },
    });
    let kind = lanner::sources::KINDS.iter().find(|kind| kind.name == "filesystem").expect("there is one");
    let source = kind.build(settings).expect("the settings are valid");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("there are threads");
    let (listed, swept) = runtime.block_on(async move {
        let (out, mut observations) = tokio::sync::mpsc::channel(1024);
        let stop = tokio_util::sync::CancellationToken::new();
        let status = std::sync::Arc::new(Status::default());
        let metrics: SourceMetrics = lanner::base::metrics::Metrics::new("bench").source("models");
        let context = Context {
            out,
            stop: stop.clone(),
            checkpoints: std::collections::BTreeMap::new(),
            status: std::sync::Arc::clone(&status),
            metrics,
            hints: lanner::sources::reconcile::Hints::default(),
        };
        let before = ticks(false);
        let run = tokio::spawn(async move { source.run(context).await });
        while observations.recv().await.expect("it lists") != Observation::InitDone {}
        let listed = ticks(false) - before;
        // The first look is over; each that follows ends with a new time of success.
        let success = || status.read().last_success;
        let mut sweeps = Vec::new();
        let mut last = success();
        let mut cpu = ticks(false);
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut looks = 0;
        while looks < 3 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = ticks(false);
            if success() != last && now - cpu > 0.05 {
                sweeps.push(now - cpu);
                looks += 1;
            }
            if success() != last {
                (last, cpu) = (success(), now);
            }
        }
        stop.cancel();
        drop(run.await);
        sweeps.sort_by(f64::total_cmp);
        (listed, sweeps.get(sweeps.len() / 2).copied().unwrap_or(f64::INFINITY))
    });
    println!(
        "{count} files that did not change, listed in {listed:.2} CPU-s; `find` needs {:.2} to print their times",
        find(directory.path())
    );
    say("looked at again by stat", swept, "CPU-s", STAT_SECS_MAX)
}

/// CPU seconds that the usual program takes to look at every file.
fn find(root: &Path) -> f64 {
    let before = ticks(true);
    let status =
        Command::new("find").arg(root).args(["-printf", "%i %n %m %s %T@ %C@\n"]).stdout(Stdio::null()).status();
    assert!(status.expect("find is installed").success());
    ticks(true) - before
}

/// Small files read again: ours and AIDE, each against what it remembers.
fn small() -> bool {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let files = root.join("files");
    for index in 0..SMALL {
        let folder = files.join(format!("{:03}", index / 500));
        if index % 500 == 0 {
            std::fs::create_dir_all(&folder).expect("there is space");
        }
        std::fs::write(folder.join(format!("{index:06}.json")), format!("{{\"index\": {index}}}"))
            .expect("there is space");
    }
    let aide = aide(root, &files);
    drop(State::open(&root.join("state"), Mode::Agent).expect("a new state can be made"));
    openssl(root, &["genpkey", "-algorithm", "ed25519", "-out", "key.pem"]);
    openssl(root, &["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"]);
    lanner(root, &["inventory", "--state", "state", "approve", "small", "--from", "files", "--reason", "bench"]);
    lanner(root, &["baseline", "--state", "state", "export", "base.json", "--key", "key.pem"]);
    let check = ["baseline", "check", "files", "--baseline", "base.json", "--public-key", "key.pub", "--quiet"];
    let ours = (0..3).map(|_| lanner(root, &check)).fold(f64::INFINITY, f64::min);
    println!("{SMALL} small files read again: AIDE {aide:.2} CPU-s, {:.1} times ours", aide / ours);
    say("ours", ours, "CPU-s", REREAD_SECS_MAX)
}

fn aide(root: &Path, files: &Path) -> f64 {
    let mut text = String::new();
    writeln!(text, "database_in=file:{0}/aide.db\ndatabase_out=file:{0}/aide.db.new\ngzip_dbout=no", root.display())
        .expect("a String takes all");
    writeln!(text, "{} p+i+n+u+g+s+m+c+sha256", files.display()).expect("a String takes all");
    std::fs::write(root.join("aide.conf"), text).expect("there is space");
    let run = |verb: &str| {
        let before = ticks(true);
        let configuration = format!("--config={}", root.join("aide.conf").display());
        let status = Command::new("aide")
            .args([&configuration, verb])
            .stdout(Stdio::null())
            .status()
            .expect("AIDE is installed: run `make peers`");
        (ticks(true) - before, status.code())
    };
    run("--init");
    std::fs::rename(root.join("aide.db.new"), root.join("aide.db")).expect("it was written");
    let (cpu, code) = run("--check");
    assert_eq!(code, Some(0), "nothing changed");
    cpu
}

fn openssl(root: &Path, arguments: &[&str]) {
    let status = Command::new("openssl").args(arguments).current_dir(root).status().expect("openssl is installed");
    assert!(status.success(), "the key can be made");
}

/// Runs the program; CPU seconds.
fn lanner(root: &Path, arguments: &[&str]) -> f64 {
    let before = ticks(true);
    let output = Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(arguments)
        .current_dir(root)
        .output()
        .expect("the program can be run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    ticks(true) - before
}
