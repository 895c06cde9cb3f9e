//! `lanner doctor` against servers that work, that refuse, that are not there, and whose clock is wrong.

use axum::Router;
use axum::http::header::DATE;
use axum::response::IntoResponse as _;
use serde_json::Value;

use crate::peers::hub::start;
use crate::support::program::{lanner_in, stderr, stdout};
use crate::support::{free_port, runtime};

pub fn findings(directory: &std::path::Path, config: &str) -> (Option<i32>, Vec<Value>) {
    std::fs::write(directory.join("c.yaml"), config).expect("there is space");
    let output = lanner_in(directory, &["doctor", "--config", "c.yaml", "--format", "json", "--timeout", "20"]);
    let lines = stdout(&output);
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    (output.status.code(), lines)
}

pub fn of<'f>(findings: &'f [Value], name: &str) -> Vec<(&'f str, &'f str)> {
    let text = |finding: &'f Value, key: &str| finding[key].as_str().unwrap_or_default();
    let named = findings.iter().filter(|finding| finding["name"] == name);
    named.map(|finding| (text(finding, "health"), text(finding, "reason"))).collect()
}

#[test]
fn each_source_is_tried_and_what_is_wrong_has_a_remedy() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::create_dir(directory.path().join("models")).expect("there is space");
    let hub = start(&[("team/open", &[("config.json", b"{}")]), ("team/closed", &[])]);
    hub.hub.lock().expect("nobody panicked").repositories.get_mut("team/closed").expect("it is there").private = true;
    let config = format!(
        "state: {{path: state}}\nhttp: {{listen: \"127.0.0.1:{}\"}}\nsources:\n\
         \x20 filesystem:\n    - {{name: there, paths: [models]}}\n    - {{name: missing, paths: [nowhere]}}\n\
         \x20 huggingface:\n    - {{name: open, endpoint: \"{}\", repositories: [team/open]}}\n\
         \x20   - {{name: closed, endpoint: \"{}\", repositories: [team/closed]}}\n\
         \x20 mlflow:\n    - {{name: silent, tracking_uri: \"http://127.0.0.1:{}\"}}\n",
        free_port(),
        hub.url,
        hub.url,
        free_port()
    );
    let (code, all) = findings(directory.path(), &config);
    assert_eq!(code, Some(1), "{all:?}");
    assert_eq!(of(&all, "there"), [("ok", "ok")]);
    assert_eq!(of(&all, "missing"), [("failed", "missing_root")]);
    assert_eq!(of(&all, "open"), [("ok", "ok")]);
    assert_eq!(of(&all, "closed"), [("failed", "unauthorized")]);
    assert_eq!(of(&all, "silent"), [("failed", "unreachable")]);
    assert_eq!(of(&all, "state"), [("ok", "ok")]);
    let closed = all.iter().find(|finding| finding["name"] == "closed").expect("it was told");
    assert!(closed["detail"].as_str().is_some_and(|text| text.contains("HF_TOKEN")), "{closed}");

    // For people, and with nothing wrong.
    let config = "state: {path: state}\nsources: {filesystem: [{name: there, paths: [models]}]}\n";
    std::fs::write(directory.path().join("c.yaml"), config).expect("there is space");
    let output = lanner_in(directory.path(), &["doctor", "--config", "c.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("it can be read"), "{}", stdout(&output));
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let answer = || async { ([(DATE, "Thu, 01 Jan 2026 00:00:00 GMT")], "{}").into_response() };
    runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let config = format!(
        "state: {{path: state}}\nsources: {{mlflow: [{{name: late, tracking_uri: \"http://127.0.0.1:{port}\"}}]}}\n"
    );
    let (code, all) = findings(directory.path(), &config);
    assert_eq!(code, Some(1), "{all:?}");
    assert_eq!(of(&all, "late"), [("ok", "ok"), ("failed", "clock")], "{all:?}");
}
