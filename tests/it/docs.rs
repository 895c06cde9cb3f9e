//! Every command in the documents works, and every link leads somewhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::peers::hub;
use crate::support::program::{Agent, LANNER};
use crate::support::wait_for;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn documents() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut found: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "deploy/examples/ci.md"]
            .iter()
            .map(|name| root.join(name))
            .collect();
    let docs = walkdir::WalkDir::new(root.join("docs")).sort_by_file_name().into_iter();
    found.extend(
        docs.map(|entry| entry.expect("it can be read").into_path())
            .filter(|path| path.extension().is_some_and(|end| end == "md")),
    );
    found
}

/// Blocks of shell commands: what stands between ```sh and ```.
fn blocks(text: &str) -> Vec<String> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// A directory in which the documents' commands make sense, with an agent that has run there.
fn stage() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::create_dir_all(root.join("models")).expect("it is empty");
    std::fs::create_dir_all(root.join("my/rules")).expect("it is empty");
    let rule = Path::new(ROOT).join("detections/training-log/trn-004-reverse-shell-or-tunnel.yml");
    std::fs::copy(rule, root.join("my/rules/rule.yml")).expect("the rule is there");
    std::fs::write(root.join("EVENTS.jsonl"), "{\"event.category\": \"training_log\", \"log.line\": \"epoch 1\"}\n")
        .expect("there is space");
    std::fs::write(root.join("models/v1.pkl"), b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.")
        .expect("there is space");
    let config = "sources: {filesystem: [{name: models, paths: [models], settle_millis: 50}]}\n\
                  sinks: {file: [{name: file, path: alerts.jsonl}]}\n";
    let agent = Agent::start(root, config).ready();
    std::fs::write(root.join("models/v2.pkl"), super::end_to_end::calls_os_system("x")).expect("there is space");
    wait_for("an alert", Duration::from_secs(30), || {
        std::fs::read_to_string(root.join("alerts.jsonl")).ok().filter(|text| text.contains("SCN-002"))
    });
    assert_eq!(agent.stop(), Some(0));
    std::fs::rename(root.join("state"), root.join(".lanner")).expect("it can be renamed");
    std::fs::remove_file(root.join("lanner.yaml")).expect("it can be removed");
    directory
}

#[test]
fn every_command_in_the_documents_works() {
    let stage = stage();
    let hub = hub::start(&[("org/model", &[("config.json", b"{}"), ("weights.bin", b"\x80\x02}q\x00.")])]);
    let folder = Path::new(LANNER).parent().expect("the program lies in a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut count = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("it can be read");
        for block in blocks(&text) {
            count += 1;
            // `make` would build and test all over again: that it knows what to do is enough here.
            let makes = block.lines().any(|line| line.starts_with("make "));
            let script = if makes { block.replace("make ", "make -n ") } else { block.clone() };
            std::fs::remove_file(stage.path().join("lanner.yaml")).ok();
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &script])
                .current_dir(if makes { Path::new(ROOT) } else { stage.path() })
                .env("PATH", &path)
                .env("HF_ENDPOINT", &hub.url)
                .env_remove("MLFLOW_TRACKING_URI")
                .output()
                .expect("bash can be run");
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "in {}:\n{block}\nsaid:\n{said}", document.display());
            assert!(
                !said.contains("panicked") && !said.contains("error:"),
                "in {}:\n{block}\nsaid:\n{said}",
                document.display()
            );
        }
    }
    assert!(count >= 10, "only {count} blocks of commands");
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("it can be read");
        let folder = document.parent().expect("it lies in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{}: `{link}` leads nowhere", document.display());
            }
        }
    }
}

#[test]
fn the_documented_configuration_is_valid() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/configuration.md")).expect("it can be read");
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3);
    let sources =
        documents().into_iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("sources")));
    let sources: Vec<String> = sources.map(|path| std::fs::read_to_string(path).expect("it can be read")).collect();
    let of_sources = sources.iter().flat_map(|text| text.split("```yaml\n").skip(1));
    for block in blocks.into_iter().chain(of_sources.filter_map(|rest| rest.split("```").next())) {
        // What it names on a host is not here; the settings are what is tried.
        let loaded = lanner::config::load("configuration.md", block);
        assert!(loaded.is_ok(), "{block}\n{:?}", loaded.err());
    }
}
