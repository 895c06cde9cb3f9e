//! What was approved, carried to another node in a signed file, and held against what lies there.

use std::path::Path;
use std::process::Command;

use lanner::state::{Mode, State};

use crate::support::program::{lanner_in, stderr, stdout};
use crate::support::run_python;

const WEIGHTS: &str = r#"
import sys
import numpy
from safetensors.numpy import save_file
random = numpy.random.default_rng(int(sys.argv[2]))
tensors = {f"layers.{layer}.weight": (random.normal(size=(64, 64)) * 0.05).astype("float32") for layer in range(4)}
if len(sys.argv) > 3:
    tensors[sys.argv[3]][7] *= 3
save_file(tensors, sys.argv[1])
"#;

fn keys(root: &Path, name: &str) {
    let openssl = |arguments: &[&str]| {
        let status = Command::new("openssl").args(arguments).current_dir(root).status().expect("openssl is installed");
        assert!(status.success());
    };
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &format!("{name}.key")]);
    openssl(&["pkey", "-in", &format!("{name}.key"), "-pubout", "-out", &format!("{name}.pub")]);
}

fn run(root: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = lanner_in(root, arguments);
    (output.status.code(), stdout(&output) + &stderr(&output))
}

#[test]
fn a_node_is_held_against_what_another_one_approved() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    for name in ["approved", "served", "other"] {
        std::fs::create_dir(root.join(name)).expect("it is empty");
    }
    let weights = |path: &str, seed: &str, edited: Option<&str>| {
        let path = root.join(path).display().to_string();
        let all: Vec<&str> = [&*path, seed].into_iter().chain(edited).collect();
        run_python(WEIGHTS, &all);
    };
    weights("approved/model.safetensors", "1", None);
    weights("served/model.safetensors", "1", None);
    keys(root, "site");
    keys(root, "foreign");
    for state in ["here", "there"] {
        drop(State::open(&root.join(state), Mode::Agent).expect("a new state can be made"));
    }
    let export = ["baseline", "--state", "here", "export", "base.json", "--key", "site.key"];
    let (code, text) = run(root, &export);
    assert_eq!(code, Some(2), "there is nothing to export: {text}");
    let approve = ["inventory", "--state", "here", "approve", "encoder", "--from", "approved", "--reason", "reviewed"];
    assert_eq!(run(root, &approve).0, Some(0));
    let (code, text) = run(root, &export);
    assert_eq!(code, Some(0), "{text}");

    let check =
        ["baseline", "check", "served", "--baseline", "base.json", "--public-key", "site.pub", "--format", "json"];
    let (code, text) = run(root, &check);
    assert_eq!((code, text.contains("\"status\":\"approved\"")), (Some(0), true), "{text}");
    weights("served/model.safetensors", "1", Some("layers.2.weight"));
    let (code, text) = run(root, &check);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\"status\":\"differs\"") && text.contains("encoder"), "{text}");

    std::fs::remove_file(root.join("served/model.safetensors")).expect("it is there");
    std::fs::write(root.join("served/readme.txt"), "hello").expect("there is space");
    let (code, text) = run(root, &[check.as_slice(), &["--model", "encoder"]].concat());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\"status\":\"missing\"") && text.contains("model.safetensors"), "{text}");

    // Another node takes it over, and its agent knows from then on.
    let import = ["baseline", "--state", "there", "import", "base.json", "--public-key", "site.pub"];
    assert_eq!(run(root, &import), (Some(0), "1 approvals were new or changed\n".to_owned()));
    assert_eq!(run(root, &import).1, "0 approvals were new or changed\n");
    let (_, text) = run(root, &["inventory", "--state", "there", "--format", "json", "approvals"]);
    assert!(text.contains("\"origin\":\"baseline\"") && text.contains("\"model\":\"encoder\""), "{text}");

    // An old baseline takes nothing back of what was decided since.
    let revoke = ["inventory", "--state", "there", "approve", "encoder", "--revoke", "--reason", "a fault was found"];
    assert_eq!(run(root, &revoke).0, Some(0));
    assert_eq!(run(root, &import).1, "0 approvals were new or changed\n");
    let (_, text) = run(root, &["inventory", "--state", "there", "--format", "json", "approvals"]);
    assert!(text.contains("\"status\":\"revoked\""), "{text}");

    // Nobody else may say what is approved.
    let foreign = ["baseline", "--state", "there", "import", "base.json", "--public-key", "foreign.pub"];
    let (code, text) = run(root, &foreign);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("was not signed by"), "{text}");
    let sealed = std::fs::read_to_string(root.join("base.json")).expect("it was written");
    for broken in [sealed.replacen('A', "B", 1), sealed.replace("\"sig\":\"", "\"sig\":\"AA"), "{}".to_owned()] {
        std::fs::write(root.join("base.json"), broken).expect("there is space");
        let (code, text) = run(root, &import);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("base.json"), "the error names the file: {text}");
    }
}

#[test]
fn approved_files_in_each_others_place_differ_and_an_export_replaces_a_file_whole() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    for folder in ["approved", "served"] {
        std::fs::create_dir(root.join(folder)).expect("it is empty");
    }
    let put = |path: &str, text: &str| std::fs::write(root.join(path), text).expect("there is space");
    for folder in ["approved", "served"] {
        put(&format!("{folder}/a.bin"), "one");
        put(&format!("{folder}/b.bin"), "two");
    }
    keys(root, "site");
    drop(State::open(&root.join("state"), Mode::Agent).expect("a new state can be made"));
    let approve = ["inventory", "--state", "state", "approve", "encoder", "--from", "approved", "--reason", "reviewed"];
    assert_eq!(run(root, &approve).0, Some(0));
    put("base.json", "what was there before");
    std::fs::hard_link(root.join("base.json"), root.join("old.json")).expect("a link can be made");
    let export = ["baseline", "--state", "state", "export", "base.json", "--key", "site.key"];
    assert_eq!(run(root, &export).0, Some(0));
    let old = std::fs::read_to_string(root.join("old.json")).expect("it is there");
    assert_eq!(old, "what was there before", "nobody ever sees half of the new one");

    let check = ["baseline", "check", "served", "--baseline", "base.json", "--public-key", "site.pub"];
    assert_eq!(run(root, &check).0, Some(0));
    put("served/a.bin", "two");
    let (code, text) = run(root, &check);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("exchanged") && text.contains("1 files are as approved, 1 are not, 0 are missing"), "{text}");
    put("served/b.bin", "one");
    let (code, text) = run(root, &check);
    assert_eq!((code, text.matches("exchanged ").count()), (Some(1), 2), "{text}");
}

#[test]
fn a_node_of_one_of_several_models_lacks_nothing_and_models_that_changed_places_are_seen() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    keys(root, "site");
    drop(State::open(&root.join("here"), Mode::Agent).expect("a new state can be made"));
    let write = |path: String, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is space");
        std::fs::write(path, text).expect("there is space");
    };
    for model in ["p", "q"] {
        for folder in ["approved", "node"] {
            write(format!("{folder}/{model}/weights.bin"), &format!("weights of {model}"));
            write(format!("{folder}/{model}/tokenizer.json"), "{}");
        }
        let from = format!("approved/{model}");
        let approve = ["inventory", "--state", "here", "approve", model, "--from", &from, "--reason", "reviewed"];
        assert_eq!(run(root, &approve).0, Some(0));
    }
    assert_eq!(run(root, &["baseline", "--state", "here", "export", "base.json", "--key", "site.key"]).0, Some(0));
    let check =
        |folder: &str| run(root, &["baseline", "check", folder, "--baseline", "base.json", "--public-key", "site.pub"]);
    let (code, text) = check("node");
    assert_eq!(code, Some(0), "{text}");
    std::fs::create_dir(root.join("single")).expect("it is new");
    std::fs::rename(root.join("node/p"), root.join("single/p")).expect("it is there");
    for folder in ["single", "single/p"] {
        let (code, text) = check(folder);
        assert_eq!(
            (code, text.contains("missing  ")),
            (Some(0), false),
            "what two models share says nothing of q: {text}"
        );
    }
    write("single/q/weights.bin".to_owned(), "weights of p");
    write("single/p/weights.bin".to_owned(), "weights of q");
    let (code, text) = check("single");
    assert_eq!((code, text.matches("exchanged ").count()), (Some(1), 2), "{text}");
}

#[test]
fn a_mounted_config_map_and_any_name_can_be_approved() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    keys(root, "site");
    drop(State::open(&root.join("here"), Mode::Agent).expect("a new state can be made"));
    let volume = root.join("node/..2026_01_31_12_00_00.1");
    std::fs::create_dir_all(&volume).expect("it is new");
    std::fs::write(volume.join("model.bin"), "weights").expect("there is space");
    symlink("..2026_01_31_12_00_00.1", root.join("node/..data")).expect("it is new");
    symlink("..data/model.bin", root.join("node/model.bin")).expect("it is new");
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(root.join("node").join(odd), "odd").expect("there is space");
    let approve = ["inventory", "--state", "here", "approve", "m", "--from", "node", "--reason", "reviewed"];
    let (code, text) = run(root, &approve);
    assert_eq!((code, text.contains("2 files")), (Some(0), true), "{text}");
    assert_eq!(run(root, &["baseline", "--state", "here", "export", "base.json", "--key", "site.key"]).0, Some(0));
    let check = ["baseline", "check", "node", "--baseline", "base.json", "--public-key", "site.pub"];
    let (code, text) = run(root, &check);
    assert_eq!((code, text.contains("2 files are as approved, 0 are not")), (Some(0), true), "{text}");
    assert_eq!(
        run(root, &["inventory", "--state", "here", "approve", "", "--from", "node", "--reason", "x"]).0,
        Some(2)
    );
}
