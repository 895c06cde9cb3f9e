//! Trees that are made to stop a scan, to mislead it, or to keep it busy for ever.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::calls_os_system;
use super::choosing::statuses;
use crate::support::program::{LANNER, lanner_in, stderr, stdout};

const GOOD: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.";

#[test]
fn names_that_are_no_text_are_told_apart() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    for name in [&b"a\xff.pkl"[..], b"a\xfe.pkl", b"b\x1b[31m\n.pkl"] {
        std::fs::write(root.join(OsStr::from_bytes(name)), calls_os_system("x")).expect("there is space");
    }
    let output = lanner_in(root, &["scan", "--format", "json", "."]);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let encoded: Vec<&str> = lines.iter().filter_map(|line| line["path_encoded"].as_str()).collect();
    assert_eq!(encoded, ["a%FE.pkl", "a%FF.pkl"], "only where the path is no text");
    assert!(lines.iter().all(|line| line["status"] == "findings"), "{lines:?}");
    let text = stdout(&lanner_in(root, &["scan", "."]));
    assert!(!text.contains('\x1b'), "no name speaks to the terminal: {text:?}");
    let sarif: Value =
        serde_json::from_str(&stdout(&lanner_in(root, &["scan", "--format", "sarif", "."]))).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("a list");
    let uri = |result: &Value| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone();
    let uris: std::collections::BTreeSet<String> = results.iter().map(|result| uri(result).to_string()).collect();
    assert_eq!(uris.len(), 3, "{uris:?}");
}

#[test]
fn pipes_devices_and_sockets_are_told_and_not_opened() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    assert!(Command::new("mkfifo").arg(root.join("a-pipe")).status().is_ok_and(|status| status.success()));
    let _socket = std::os::unix::net::UnixListener::bind(root.join("a-socket")).expect("it can be bound");
    std::fs::write(root.join("z.pkl"), calls_os_system("x")).expect("there is space");
    let output = lanner_in(root, &["scan", "--format", "json", ".", "/dev/zero", "/dev/tty"]);
    let told = statuses(&output);
    assert_eq!(output.status.code(), Some(1), "what was found counts more");
    assert_eq!(told.iter().filter(|(_, status)| status == "unreadable").count(), 4, "{told:?}");
    assert!(told.contains(&("z.pkl".to_owned(), "findings".to_owned())));
    let text = stdout(&output);
    for kind in ["but a pipe", "but a socket", "but a device"] {
        assert!(text.contains(kind), "{kind}: {text}");
    }
    std::fs::remove_file(root.join("z.pkl")).expect("it is there");
    assert_eq!(lanner_in(root, &["scan", "."]).status.code(), Some(4));
}

#[test]
fn loops_of_links_end() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let link = |target: &str, name: String| {
        std::os::unix::fs::symlink(target, root.join(name)).expect("it can be made");
    };
    link("b", "tree-b".to_owned());
    std::fs::create_dir(root.join("tree")).expect("it is empty");
    link("b", "tree/a".to_owned());
    link("a", "tree/b".to_owned());
    link("self", "tree/self".to_owned());
    // Twenty folders, each with links to all of them: as many paths as there are ways through.
    for folder in 0..20 {
        std::fs::create_dir(root.join(format!("tree/{folder:02}"))).expect("it is empty");
        std::fs::write(root.join(format!("tree/{folder:02}/m.pkl")), GOOD).expect("there is space");
        for other in 0..20 {
            link(&format!("../{other:02}"), format!("tree/{folder:02}/to-{other:02}"));
        }
        link("../..", format!("tree/{folder:02}/up"));
    }
    for follow in [&["scan", "--format", "json", "tree"][..], &["scan", "--format", "json", "tree", "--follow-links"]] {
        let output = lanner_in(root, follow);
        let told = statuses(&output);
        assert!(told.len() < 1000, "{} lines", told.len());
        let clean = told.iter().filter(|(_, status)| status == "clean").count();
        assert_eq!(clean, 20, "each file once");
        assert_eq!(output.status.code(), Some(4), "three links lead nowhere");
    }
}

#[test]
fn ten_thousand_files_come_in_the_same_order_whoever_is_first() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    for folder in 0..100 {
        std::fs::create_dir(root.join(format!("{folder}"))).expect("it is empty");
        for file in 0..100 {
            let path = root.join(format!("{folder}/{file}.pkl"));
            if file == 50 { std::fs::write(path, calls_os_system("x")) } else { std::fs::write(path, GOOD) }
                .expect("there is space");
        }
    }
    // The first one is slow, so that others wait for it.
    std::fs::write(root.join("0.bin"), vec![0_u8; 32 << 20]).expect("there is space");
    let run = |jobs: &str| lanner_in(root, &["scan", "--format", "json", "--jobs", jobs, "."]);
    let (one, many) = (run("1"), run("7"));
    assert_eq!(one.status.code(), Some(1));
    assert_eq!(one.stdout, many.stdout);
    assert_eq!(stderr(&many), "", "no bar where nobody sees it");
    let told = statuses(&one);
    assert_eq!(told.len(), 10_001);
    assert!(told.windows(2).all(|pair| pair[0].0.as_bytes() < pair[1].0.as_bytes()), "sorted by path");
    assert_eq!(told.iter().filter(|(_, status)| status == "findings").count(), 100);
    assert_eq!(lanner_in(root, &["scan", "--jobs", "0", "."]).status.code(), Some(2));
}

#[test]
fn files_that_vanish_meanwhile_do_not_stop_the_others() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let path = |number: usize| root.join(format!("{number:05}.pkl"));
    for number in 0..4000 {
        std::fs::write(path(number), GOOD).expect("there is space");
    }
    let child = Command::new(LANNER)
        .args(["scan", "--format", "json", "--jobs", "1", "."])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    for number in (0..4000).rev() {
        match number % 4 {
            0 => std::fs::remove_file(path(number)),
            1 => std::fs::write(path(number), b""),
            // What was a file becomes a link that leads out.
            2 => std::fs::remove_file(path(number))
                .and_then(|()| std::os::unix::fs::symlink("/etc/passwd", path(number))),
            _ => Ok(()),
        }
        .expect("it is ours");
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(matches!(output.status.code(), Some(0 | 4)), "{:?}", output.status);
    for (path, status) in statuses(&output) {
        let number: usize = path.trim_end_matches(".pkl").parse().expect("it is a number");
        assert!(number % 4 != 3 || status == "clean", "{path} {status}");
        assert_ne!(status, "findings", "{path}");
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_told_and_passed_over() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("closed")).expect("it is empty");
    std::fs::write(root.join("closed/a.pkl"), calls_os_system("x")).expect("there is space");
    std::fs::write(root.join("secret.pkl"), calls_os_system("x")).expect("there is space");
    std::fs::write(root.join("z.pkl"), GOOD).expect("there is space");
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode("closed", 0);
    mode("secret.pkl", 0);
    // To root nothing is closed, unless it gives that up.
    let is_root = std::fs::metadata(root).expect("it is there").uid() == 0;
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", LANNER]);
        command
    } else {
        Command::new(LANNER)
    };
    let output = command.args(["scan", "--format", "json", "."]).current_dir(root).output().expect("it can be run");
    mode("closed", 0o700);
    let expected = [("closed", "unreadable"), ("secret.pkl", "unreadable"), ("z.pkl", "clean")];
    let expected = expected.map(|(path, status)| (path.to_owned(), status.to_owned()));
    assert_eq!(statuses(&output), expected, "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(4));
}
