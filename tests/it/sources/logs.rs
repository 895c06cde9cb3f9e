//! Log files: every line once, whatever happens to the files.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use lanner::event::Value;
use lanner::sources::logs::{Config, StartAt};
use tempfile::TempDir;

use super::harness::{Running, start, start_with};

pub fn config(folder: &Path) -> Config {
    Config {
        paths: vec![format!("{}/**/*.log", folder.display())],
        start_at: StartAt::Beginning,
        poll_millis: 10,
        rescan_millis: 20,
        linger_millis: 200,
        ..Config::default()
    }
}

pub fn append(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

pub fn texts(running: &Running) -> Vec<&str> {
    running.lines.iter().map(|line| &*line.text).collect()
}

async fn lines(running: &mut Running, count: usize) {
    running.until("lines", |running| running.lines.len() >= count).await;
    assert_eq!(running.lines.len(), count, "{:?}", texts(running));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_speak_in_two_streams_and_in_pieces() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("jobs_train-0_0b1c/pytorch/3.log");
    append(
        &log,
        "2026-11-22T18:31:17.8632Z stdout P {\"level\":\"WARN\",\n\
         2026-11-22T18:31:17.863238165Z stderr F \x1b[31merror\x1b[0m: bad\n\
         2026-11-22T18:31:17.9Z stdout P \"loss\":0.5,\n\
         2026-11-22T18:31:18Z stdout F \"step\":7}\n\
         2026-11-22T18:31:19Z stdout F \n\
         2026-11-22T18:31:20Z stdout F 1%\r50%\r100%\n",
    );
    let mut running = start(config(folder.path()));
    lines(&mut running, 3).await;
    assert_eq!(texts(&running), ["error: bad", "{\"level\":\"WARN\",\"loss\":0.5,\"step\":7}", "100%"]);
    let line = &running.lines[1];
    assert_eq!(line.product, "kubernetes");
    assert_eq!(line.subject.name, "jobs/train-0/pytorch");
    assert_eq!(line.place.pod_uid.as_deref(), Some("0b1c"));
    assert_eq!(line.place.restart_count, Some(3));
    assert_eq!(line.attributes["log.level"], Value::from("warn"));
    assert_eq!(line.attributes["log.json.step"], Value::Int(7));
    assert_eq!(line.attributes["log.iostream"], Value::from("stdout"));
    assert_eq!(line.time.unwrap().to_string(), "2026-11-22T18:31:18Z");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_survives_rotation_and_restart() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("ns_p_u/c/0.log");
    append(&log, "2026-11-22T18:31:17Z stdout P one, \n2026-11-22T18:31:17Z stderr F other\n");
    let mut running = start(config(folder.path()));
    lines(&mut running, 1).await;
    let source = running.source.clone();
    let (checkpoints, _) = running.abort();
    fs::rename(&log, log.with_extension("log.20261122-183000")).unwrap();
    append(&log, "2026-11-22T18:31:18Z stdout P two, \n2026-11-22T18:31:18Z stdout F three\n");
    let mut running = start_with(source, checkpoints, 16);
    lines(&mut running, 1).await;
    assert_eq!(texts(&running), ["one, two, three"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_and_plain_files_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let id = "0123456789abcdef".repeat(4);
    append(
        &folder.path().join(format!("{id}/{id}-json.log")),
        "{\"log\":\"half \",\"stream\":\"stderr\",\"time\":\"2026-11-22T18:31:17.5Z\"}\n\
         {\"log\":\"whole\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-22T18:31:18Z\"}\n",
    );
    append(&folder.path().join("job.log"), b"plain \xff text\r\n\0\0\0\0after a hole\n");
    let mut running = start(config(folder.path()));
    lines(&mut running, 3).await;
    let docker = running.lines.iter().find(|line| line.product == "docker").unwrap();
    assert_eq!((docker.text.as_str(), docker.place.container_id.as_deref()), ("half whole", Some(&*id)));
    let mut plain: Vec<&str> =
        running.lines.iter().filter(|line| line.product == "file").map(|line| &*line.text).collect();
    plain.sort_unstable();
    assert_eq!(plain, ["after a hole", "plain \u{fffd} text"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lines_are_cut_and_counted() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("job.log");
    append(&log, format!("{}\nshort\n", "x".repeat(3 << 20)));
    let mut settings = config(folder.path());
    settings.line_bytes_max = 1000;
    let mut running = start(settings);
    lines(&mut running, 2).await;
    assert_eq!(running.lines[0].text.len(), 1000);
    assert_eq!(running.lines[0].attributes["log.shortened"], Value::from(true));
    assert_eq!(running.lines[1].text, "short");
    assert!((running.metric("lanner_log_lines_shortened_total") - 1.0).abs() < 0.5);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_start_begins_at_the_end_and_a_later_one_where_it_stopped() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("job.log");
    append(&log, "history\n");
    let mut settings = config(folder.path());
    settings.start_at = StartAt::End;
    let mut running = start(settings.clone());
    running.listed().await;
    append(&log, "news\n");
    append(&folder.path().join("new.log"), "from the beginning\n");
    lines(&mut running, 2).await;
    let running = running.stop().await;
    append(&log, "while away\n");
    append(&folder.path().join("newer.log"), "made while away\n");
    let mut running = start_with(running.source.clone(), running.checkpoints.clone(), 16);
    lines(&mut running, 2).await;
    running.during(Duration::from_millis(200)).await;
    let mut told = texts(&running);
    told.sort_unstable();
    assert_eq!(told, ["made while away", "while away"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_compressed_while_away_is_read_to_its_end() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("job.log");
    append(&log, "one\ntwo\n");
    let mut running = start(config(folder.path()));
    lines(&mut running, 2).await;
    let running = running.stop().await;
    append(&log, "three\n");
    let mut packed = flate2::write::GzEncoder::new(
        File::create(folder.path().join("job.log.1.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    packed.write_all(&lanner::base::files::read(&log, 1 << 20).unwrap()).unwrap();
    packed.finish().unwrap();
    fs::remove_file(&log).unwrap();
    append(&log, "four\n");
    let mut running = start_with(running.source.clone(), running.checkpoints.clone(), 16);
    lines(&mut running, 2).await;
    assert_eq!(texts(&running), ["three", "four"]);
    assert!(running.metric("lanner_log_possible_loss_total") < 0.5);
    // And a part that is nowhere is said to be lost.
    let running = running.stop().await;
    fs::remove_file(&log).unwrap();
    fs::write(&log, "five, in another file\n").unwrap();
    let mut running = start_with(running.source.clone(), running.checkpoints.clone(), 16);
    lines(&mut running, 1).await;
    assert!((running.metric("lanner_log_possible_loss_total{reason=\"gone\"") - 1.0).abs() < 0.5);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_cut_is_read_anew_and_the_loss_counted() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("job.log");
    append(&log, "one\ntwo\n");
    let mut running = start(config(folder.path()));
    lines(&mut running, 2).await;
    File::create(&log).unwrap();
    append(&log, "three\n");
    lines(&mut running, 3).await;
    assert!((running.metric("lanner_log_possible_loss_total{reason=\"truncated\"") - 1.0).abs() < 0.5);
    // Cut, and at once longer than before: only the bytes before tell.
    fs::write(&log, "four, and longer than all that was there\nfive\n").unwrap();
    running.until("the new content", |running| texts(running).ends_with(&["five"])).await;
    assert!(running.metric("lanner_log_possible_loss_total{reason=\"truncated\"") >= 2.0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_files_than_places_take_turns() {
    let folder = TempDir::new().unwrap();
    for file in 0..20 {
        append(&folder.path().join(format!("{file}.log")), format!("a{file}\n"));
    }
    let mut settings = config(folder.path());
    settings.open_files_max = 3;
    let mut running = start(settings);
    lines(&mut running, 20).await;
    assert!(running.state().notes.contains_key("open_files_max"));
    for file in 0..20 {
        append(&folder.path().join(format!("{file}.log")), format!("b{file}\n"));
    }
    lines(&mut running, 40).await;
    let mut told = texts(&running);
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 40);
    running.stop().await;
}
