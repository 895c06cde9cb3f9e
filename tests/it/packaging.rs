//! What is shipped beside the binary is valid, by the judgement of the real tools.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::program::{LANNER, lanner, stderr};
use crate::support::{peer, peers};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn in_root(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(ROOT).output().expect("it can be run")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn prometheus_takes_the_alerting_rules_and_their_tests_pass() {
    for arguments in
        [["check", "rules", "deploy/prometheus/alerts.yaml"], ["test", "rules", "deploy/prometheus/alerts_test.yaml"]]
    {
        let output = in_root(&peer("promtool"), &arguments);
        assert!(output.status.success(), "{}", told(&output));
    }
}

#[test]
fn alerting_rules_name_only_metrics_that_exist() {
    let metrics = String::from_utf8(lanner::base::metrics::Metrics::new("0").render()).expect("it is text");
    let source = std::fs::read_to_string(Path::new(ROOT).join("src/base/metrics.rs")).expect("it is there");
    let rules = std::fs::read_to_string(Path::new(ROOT).join("deploy/prometheus/alerts.yaml")).expect("it is there");
    for word in rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("lanner_"))
    {
        assert!(metrics.contains(word) || source.contains(&format!("\"{word}\"")), "`{word}` is no metric");
    }
}

#[test]
fn kubernetes_takes_the_manifests() {
    let validate = peers().join("venv/bin/kubernetes-validate");
    assert!(validate.exists(), "`{}` is not installed; run `make peers`", validate.display());
    for manifest in ["daemonset", "sidecar", "lease"].map(|name| format!("deploy/kubernetes/{name}.yaml")) {
        let output = in_root(&validate, &["--strict", &manifest]);
        assert!(output.status.success(), "{}", told(&output));
    }
}

#[test]
fn the_configurations_in_the_manifests_and_examples_are_valid() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let check = |name: &str, text: &str| {
        let path = directory.path().join("lanner.yaml");
        // The secret lies where the manifest mounts it; here it lies beside.
        std::fs::write(directory.path().join("secret"), "s").expect("there is space");
        let text = text.replace("/etc/lanner-secret/webhook", &directory.path().join("secret").display().to_string());
        std::fs::write(&path, text).expect("there is space");
        let output = lanner(&["config", "check", &path.display().to_string()]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
    };
    for name in ["deploy/kubernetes/daemonset.yaml", "deploy/kubernetes/sidecar.yaml"] {
        let text = std::fs::read_to_string(Path::new(ROOT).join(name)).expect("it is there");
        let documents = lanner::base::yaml::parse(&text).expect("it is YAML");
        let configs: Vec<&str> =
            documents.iter().filter_map(|document| document.get("data")?.get("lanner.yaml")?.as_text()).collect();
        assert_eq!(configs.len(), 1, "{name} holds one configuration");
        check(name, configs[0]);
    }
    let name = "deploy/examples/host.yaml";
    check(name, &std::fs::read_to_string(Path::new(ROOT).join(name)).expect("it is there"));
}

#[test]
fn the_hooks_for_pre_commit_take_names_for_names() {
    let text = std::fs::read_to_string(Path::new(ROOT).join(".pre-commit-hooks.yaml")).expect("it is there");
    let hooks = lanner::base::yaml::parse(&text).expect("it is YAML").remove(0);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let bad = crate::end_to_end::calls_os_system("x");
    for name in ["--exclude=*", "--help"] {
        std::fs::write(directory.path().join(name), &bad).expect("there is space");
    }
    for hook in hooks.as_list().expect("a list of hooks") {
        let word = |key: &str| hook.get(key).and_then(lanner::base::yaml::Node::as_text).expect("a text").to_owned();
        assert!(!word("id").is_empty() && !word("name").is_empty() && !word("language").is_empty());
        let entry = word("entry");
        let verb: Vec<&str> = entry.split(' ').skip(1).collect();
        let arguments = hook.get("args").and_then(lanner::base::yaml::Node::as_list).expect("a list");
        let output = Command::new(LANNER)
            .args(verb)
            .args(arguments.iter().filter_map(lanner::base::yaml::Node::as_text))
            .args(["--exclude=*", "--help"])
            .current_dir(directory.path())
            .output()
            .expect("it can be run");
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert_eq!(told(&output).matches("SCN-002").count(), 2, "{}", told(&output));
    }
}

#[test]
fn the_image_is_built_from_scratch_and_its_program_runs() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let storage = directory.path().display().to_string();
    let target = static_binary();
    let script = Path::new(ROOT).join("deploy/build-image.sh");
    peer("buildah");
    let arguments = ["--binary", target.as_str(), "--root", storage.as_str()];
    let built = in_root(&script, &arguments);
    assert!(built.status.success(), "{}", told(&built));
    let (root, run) = (format!("{storage}/root"), format!("{storage}/run"));
    let buildah = |rest: &[&str]| {
        let mut arguments = vec!["--root", &root, "--runroot", &run, "--storage-driver", "vfs"];
        arguments.extend(rest);
        in_root(&peer("buildah"), &arguments)
    };
    let from = buildah(&["from", "--pull-never", "lanner:0.1.0"]);
    assert!(from.status.success(), "{}", told(&from));
    let container = String::from_utf8_lossy(&from.stdout).trim().to_owned();
    let ran = buildah(&["run", "--isolation", "chroot", &container, "--", "/lanner", "version"]);
    assert!(told(&ran).contains("lanner 0.1.0"), "{}", told(&ran));
    let inspected = told(&buildah(&["inspect", "--type", "image", "lanner:0.1.0"]));
    assert!(inspected.contains("65532:65532"), "it does not run as root");
}

/// The program linked statically: what goes into an image from scratch.
fn static_binary() -> String {
    let host = Command::new("rustc").arg("-vV").output().expect("Rust is installed");
    let host = String::from_utf8_lossy(&host.stdout);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned();
    let folder = Path::new(LANNER).parent().and_then(Path::parent).expect("the program lies in target/<profile>");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--bin", "lanner", "--target", &host, "--target-dir"])
        .arg(folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(ROOT)
        .output()
        .expect("cargo can be run");
    assert!(built.status.success(), "{}", told(&built));
    folder.join(host).join("debug/lanner").display().to_string()
}
