//! What `lanner doctor` says of sinks, without sending them anything, and of places that are not what was written.

use std::path::Path;

use serde_json::Value;

use super::doctor::{findings, of};
use super::servers::alertmanager;
use crate::peers::git::git_in;
use crate::peers::mlflow::Mlflow;
use crate::peers::registry::Registry;
use crate::peers::stub;
use crate::peers::web::Web;
use crate::support::receiver::Receiver;
use crate::support::{free_port, get, runtime};

fn detail<'f>(findings: &'f [Value], name: &str) -> &'f str {
    let mut all = findings.iter().filter(|finding| finding["name"] == name);
    all.next_back().and_then(|finding| finding["detail"].as_str()).unwrap_or_default()
}

fn config(rest: &str) -> String {
    format!("state: {{path: state}}\nhttp: {{listen: \"127.0.0.1:{}\"}}\n{rest}", free_port())
}

#[test]
fn each_sink_is_reached_without_an_alert_and_what_is_wrong_has_a_remedy() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("folder")).expect("there is space");
    let server = alertmanager(root);
    let (receiver, plain, tls, closed) = (Receiver::start(), Web::start(), Web::with_tls(), free_port());
    let (hook, alerts) = (receiver.port, server.url(""));
    let config = config(&format!(
        "sources: {{filesystem: [{{name: there, paths: [folder]}}]}}\nsinks:\n\
         \x20 file:\n    - {{name: written, path: alerts.jsonl}}\n    - {{name: folder, path: folder}}\n\
         \x20   - {{name: unwritable, path: /proc/alerts.jsonl}}\n\
         \x20 webhook:\n    - {{name: hook, url: \"http://127.0.0.1:{hook}/hidden\"}}\n\
         \x20   - {{name: closed, url: \"http://127.0.0.1:{closed}/hidden\"}}\n\
         \x20   - {{name: no-tls, url: \"https://{}/hidden\"}}\n\
         \x20   - {{name: tls, url: \"http://{}/hidden\"}}\n\
         \x20   - {{name: distrusted, url: \"https://{}/hidden\"}}\n\
         \x20 alertmanager:\n    - {{name: manager, url: \"{alerts}\"}}\n\
         \x20   - {{name: no-manager, url: \"{}\"}}\n    - {{name: tls-manager, url: \"http://{}\"}}\n\
         \x20 otlp:\n    - {{name: logs, url: \"http://127.0.0.1:{hook}\"}}\n",
        plain.host,
        tls.host,
        tls.host,
        plain.url(""),
        tls.host
    ));
    let (code, all) = findings(root, &config);
    assert_eq!(code, Some(1), "{all:?}");
    for name in ["written", "hook", "manager", "logs"] {
        assert_eq!(of(&all, name), [("ok", "ok")], "{all:?}");
    }
    for (name, reason, words) in [
        ("folder", "directory", "name a file"),
        ("unwritable", "unwritable", "let the agent write"),
        ("closed", "unreachable", "is it running"),
        ("no-tls", "scheme", "write `http://`"),
        ("tls", "scheme", "write `https://`"),
        ("distrusted", "certificate", "authority"),
        ("no-manager", "not_alertmanager", "address of an Alertmanager"),
        ("tls-manager", "scheme", "write `https://`"),
    ] {
        assert_eq!(of(&all, name), [("failed", reason)], "{all:?}");
        let detail = detail(&all, name);
        assert!(detail.contains(words) && !detail.contains("hidden"), "{detail}");
    }
    assert!(detail(&all, "hook").contains("nothing was sent"), "{all:?}");
    assert!(receiver.deliveries().is_empty(), "whoever takes alerts was sent something");
    assert_eq!(get(&server.url("/api/v2/alerts")).map(|(_, text)| text.trim().to_owned()), Some("[]".to_owned()));
    assert!(!root.join("alerts.jsonl").exists(), "nothing is left behind");
}

#[test]
fn a_manager_whose_clock_is_wrong_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::create_dir(directory.path().join("models")).expect("there is space");
    let date = || vec![("date", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned())];
    let late = stub::start(move |_| (200, date(), br#"{"cluster":{},"versionInfo":{"version":"0.28.0"}}"#.to_vec()));
    // One that answers whatever it is asked is no manager.
    let other = stub::start(move |_| (200, date(), b"<html>welcome</html>".to_vec()));
    let (code, all) = findings(
        directory.path(),
        &config(&format!(
            "sources: {{filesystem: [{{name: there, paths: [models]}}]}}\n\
             sinks: {{alertmanager: [{{name: late, url: \"http://{}\"}}, {{name: other, url: \"http://{}\"}}]}}\n",
            late.host, other.host
        )),
    );
    assert_eq!(code, Some(1), "{all:?}");
    assert_eq!(of(&all, "late"), [("ok", "ok"), ("failed", "clock")], "{all:?}");
    assert_eq!(of(&all, "other"), [("failed", "not_alertmanager")], "{all:?}");
}

/// A working tree with one commit, one whose Git folder is elsewhere and gone, one with an empty one, and no repository.
fn trees(root: &Path) {
    for folder in ["good", "plain", "moved", "empty/.git"] {
        std::fs::create_dir_all(root.join(folder)).expect("there is space");
    }
    for file in ["file", "plain/notes.txt"] {
        std::fs::write(root.join(file), "text").expect("there is space");
    }
    std::fs::write(root.join("moved/.git"), format!("gitdir: {}/gone\n", root.join("moved").display()))
        .expect("there is space");
    git_in(&root.join("good"), root, &["init", "-q"], b"");
    git_in(&root.join("good"), root, &["commit", "-q", "--allow-empty", "-m", "first"], b"");
}

#[test]
fn a_place_that_is_not_what_was_written_is_told_as_what_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    trees(root);
    let (plain, tls) = (Web::start(), Web::with_tls());
    let (code, all) = findings(
        root,
        &config(&format!(
            "sources:\n  filesystem: [{{name: a-file, paths: [file]}}]\n  git:\n\
             \x20   - {{name: good, repositories: [good]}}\n    - {{name: no-repository, repositories: [plain]}}\n\
             \x20   - {{name: git-file, repositories: [file]}}\n    - {{name: moved, repositories: [moved]}}\n\
             \x20   - {{name: empty, repositories: [empty]}}\n    - {{name: nowhere, repositories: [nowhere]}}\n\
             \x20 index:\n    - {{name: no-tls, url: \"https://{}/index.json\"}}\n\
             \x20   - {{name: tls, url: \"http://{}/index.json\"}}\n\
             \x20 mlflow: [{{name: distrusted, tracking_uri: \"https://{}\"}}]\n",
            plain.host, tls.host, tls.host
        )),
    );
    assert_eq!(code, Some(1), "{all:?}");
    assert_eq!(of(&all, "good"), [("ok", "ok")]);
    for (name, words) in [
        ("a-file", "no directories"),
        ("no-repository", "no Git repository"),
        ("git-file", "no folder"),
        ("moved", "leads to a folder that is not there"),
        ("empty", "no `HEAD`"),
        ("nowhere", "it is not there"),
        ("no-tls", "write `http://`"),
        ("tls", "write `https://`"),
        ("distrusted", "server_cert_path"),
    ] {
        assert_eq!(of(&all, name).first().map(|(health, _)| *health), Some("failed"), "{name}: {all:?}");
        assert!(detail(&all, name).contains(words), "{name}: {}", detail(&all, name));
    }
}

#[test]
fn names_that_are_not_there_are_notes_and_workspaces_of_a_server_without_are_no_error_of_its() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let registry = Registry::start();
    registry.artifact("team/llm", "v1", &[("model.bin", b"first")]);
    let runtime = runtime();
    let server = runtime.block_on(Mlflow::start());
    let (host, url) = (&registry.host, &server.url);
    let (code, all) = findings(
        directory.path(),
        &config(&format!(
            "sources:\n  oci:\n    - {{name: there, registry: \"{host}\", repositories: [team/llm]}}\n\
             \x20   - {{name: absent, registry: \"{host}\", repositories: [team/llm, team/lim]}}\n\
             \x20   - {{name: mixed, registry: \"{host}\", repositories: [\"team/*\", team/lim]}}\n  mlflow:\n\
             \x20   - {{name: default, tracking_uri: \"{url}\", experiments: [Default, \"*\"]}}\n\
             \x20   - {{name: experiment, tracking_uri: \"{url}\", experiments: [Default, fruad]}}\n\
             \x20   - {{name: space, tracking_uri: \"{url}\", workspaces: [team-a]}}\n\
             \x20   - {{name: spaces, tracking_uri: \"{url}\", workspaces: [\"*\"]}}\n"
        )),
    );
    assert_eq!(code, Some(1), "{all:?}");
    for name in ["there", "default"] {
        assert_eq!(of(&all, name), [("ok", "ok")], "{all:?}");
    }
    for (name, word) in [("absent", "`team/lim`"), ("mixed", "`team/lim`"), ("experiment", "`fruad`")] {
        assert_eq!(of(&all, name), [("ok", "ok"), ("note", "missing")], "{all:?}");
        assert!(detail(&all, name).contains(word) && !detail(&all, name).contains("llm"), "{}", detail(&all, name));
    }
    for name in ["space", "spaces"] {
        assert_eq!(of(&all, name), [("failed", "no_workspaces")], "{all:?}");
        assert!(detail(&all, name).contains("leave `workspaces` out"), "{}", detail(&all, name));
    }
}
