//! `lanner verify` as a person or a script runs it.

use std::path::Path;

use lanner::provenance::Reason;
use serde_json::Value;
use tempfile::TempDir;

use super::maker::{Scene, file};
use crate::support::program::{lanner, lanner_in, stderr, stdout};

/// A model in a folder `model`, with its signature in `model.sig` beside it.
fn stage(scene: &Scene) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in &scene.content.files {
        let path = folder.path().join("model").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::write(folder.path().join("model.sig"), scene.written()).unwrap();
    folder
}

/// The exit code and the outcome.
fn run(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let output = lanner_in(folder, &[&["verify", "--format", "json"], arguments].concat());
    let json = serde_json::from_str(&stdout(&output));
    let json = json.unwrap_or_else(|_| panic!("no JSON: {} {}", stdout(&output), stderr(&output)));
    (output.status.code().unwrap(), json)
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_signed_model_is_verified_and_a_changed_one_is_not() {
    let folder = stage(&Scene::key());
    let key = file("key-p256.pub");
    let trust = ["--public-key", name(&key)];
    let (code, found) = run(folder.path(), &[&["model", "--signature", "model.sig"], trust.as_slice()].concat());
    assert_eq!((code, &found["verdict"], &found["reason"]), (0, &"verified".into(), &"".into()), "{found}");
    for member in ["files", "unsigned"] {
        assert_eq!(found[member], serde_json::json!([]));
    }
    assert_eq!(found["root_digest"].as_str().unwrap().len(), 64);
    assert_eq!(found["signer"]["algorithm"], "ecdsa-p256");
    // Found beside the folder.
    assert_eq!(run(folder.path(), &[&["model"], trust.as_slice()].concat()).0, 0);
    std::fs::write(folder.path().join("model/weights.bin"), b"other").unwrap();
    std::fs::write(folder.path().join("model/evil.py"), b"import os").unwrap();
    let (code, found) = run(folder.path(), &[&["model"], trust.as_slice()].concat());
    assert_eq!((code, &found["reason"]), (1, &"digest_mismatch".into()));
    assert_eq!(
        (&found["files"], &found["unsigned"]),
        (&serde_json::json!(["weights.bin"]), &serde_json::json!(["evil.py"]))
    );
    let output = lanner_in(folder.path(), &["verify", "model", "--public-key", name(&key)]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    for word in ["FAILED", "digest_mismatch", "weights.bin", "evil.py", Reason::DigestMismatch.advice()] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn what_is_not_signed_needs_a_word() {
    let folder = stage(&Scene::key());
    let key = file("key-p256.pub");
    std::fs::write(folder.path().join("model/notes.txt"), b"x").unwrap();
    let verify = |more: &[&str]| run(folder.path(), &[&["model", "--public-key", name(&key)], more].concat());
    assert_eq!(verify(&[]).1["reason"], "unsigned_file");
    for more in [["--ignore", "notes.txt"].as_slice(), &["--allow-unsigned"]] {
        let (code, found) = verify(more);
        assert_eq!((code, &found["unsigned"]), (0, &serde_json::json!(["notes.txt"])), "{found}");
    }
    for wrong in ["*", "..", "/", "weights.bin", "sub"] {
        let (code, found) = verify(&["--ignore", wrong, "--ignore", "notes.txt"]);
        assert_eq!((code, &found["reason"]), (1, &"bad_ignore".into()), "{wrong}: {found}");
    }
    let root = verify(&["--allow-unsigned"]).1["root_digest"].as_str().unwrap().to_owned();
    assert_eq!(verify(&["--allow-unsigned", "--expected-subject", &root]).0, 0);
    let other = "0".repeat(64);
    assert_eq!(verify(&["--allow-unsigned", "--expected-subject", &other]).1["reason"], "subject_mismatch");
}

#[test]
fn pipes_and_links_that_nobody_signed_are_listed_and_left_alone() {
    let key = file("key-p256.pub");
    let folder = stage(&Scene::key());
    let at = |path: &str| folder.path().join("model").join(path);
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("/etc/hostname", at("outside")).unwrap();
    std::os::unix::fs::symlink("weights.bin", at("inside")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("nowhere")).unwrap();
    let verify = |more: &[&str]| run(folder.path(), &[&["model", "--public-key", name(&key)], more].concat());
    let all = serde_json::json!(["inside", "nowhere", "outside", "pipe"]);
    let (code, found) = verify(&[]);
    assert_eq!((code, &found["reason"], &found["unsigned"]), (1, &"special_file".into(), &all), "{found}");
    let ignored = ["--ignore", "pipe", "--ignore", "outside", "--ignore", "inside", "--ignore", "nowhere"];
    for more in [["--allow-unsigned"].as_slice(), &ignored] {
        let (code, found) = verify(more);
        assert_eq!((code, &found["unsigned"]), (0, &all), "{found}");
    }
    // In the place of a signed file neither is allowed.
    std::fs::rename(at("weights.bin"), at("other")).unwrap();
    std::os::unix::fs::symlink("other", at("weights.bin")).unwrap();
    let (code, found) = verify(&["--allow-unsigned"]);
    assert_eq!((code, &found["reason"]), (1, &"symlink".into()), "{found}");
    std::fs::remove_file(at("weights.bin")).unwrap();
    std::fs::rename(at("pipe"), at("weights.bin")).unwrap();
    let (code, found) = verify(&["--allow-unsigned"]);
    assert_eq!((code, &found["reason"]), (1, &"special_file".into()), "{found}");
}

#[test]
fn signatures_are_found_where_publishers_leave_them() {
    let scene = Scene::key();
    let key = file("key-p256.pub");
    for place in [
        "model/model.sig",
        "model/skill.oms.sig",
        "model/any.sig",
        "model/x.sigstore.json",
        "model.sig",
        "model.oms.sig",
        "model.sigstore.json",
    ] {
        let folder = stage(&scene);
        std::fs::rename(folder.path().join("model.sig"), folder.path().join("aside")).unwrap();
        let (code, found) = run(folder.path(), &["model", "--public-key", name(&key)]);
        assert_eq!((code, &found["reason"]), (1, &"unsigned".into()));
        std::fs::rename(folder.path().join("aside"), folder.path().join(place)).unwrap();
        let (code, found) = run(folder.path(), &["model", "--public-key", name(&key)]);
        assert_eq!((code, &found["unsigned"]), (0, &serde_json::json!([])), "{place}: {found}");
    }
    let folder = stage(&scene);
    for place in ["model/a.sig", "model/b.sig"] {
        std::fs::copy(folder.path().join("model.sig"), folder.path().join(place)).unwrap();
    }
    let output = lanner_in(folder.path(), &["verify", "model", "--public-key", name(&key)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--signature"), "{}", stderr(&output));
}

#[test]
fn certificates_and_authorities_are_files() {
    let folder = stage(&Scene::certificate());
    let (root, other, between) = (file("root.pem"), file("root-rsa.pem"), file("between.pem"));
    let (code, found) = run(folder.path(), &["model", "--ca", name(&other), "--ca", name(&root)]);
    assert_eq!((code, &found["signer"]["subject"]), (0, &"CN=leaf".into()), "{found}");
    assert_eq!(run(folder.path(), &["model", "--ca", name(&between)]).0, 0);
    assert_eq!(run(folder.path(), &["model", "--ca", name(&other)]).1["reason"], "untrusted");
    let identity = ["model", "--identity", "a@example.com", "--issuer", "https://issuer.example.com"];
    assert_eq!(run(folder.path(), &identity).1["reason"], "wrong_method");
}

#[test]
fn mistakes_on_the_command_line_are_told() {
    let folder = stage(&Scene::key());
    let (key, root) = (file("key-p256.pub"), file("root.pem"));
    let model = folder.path().join("model");
    for (arguments, word) in [
        (vec![name(&model)], "required"),
        (vec![name(&model), "--public-key", name(&key), "--ca", name(&root)], "cannot be used"),
        (vec![name(&model), "--identity", "a@example.com"], "--issuer"),
        (vec![name(&model), "--public-key", "/nowhere.pem"], "/nowhere.pem"),
        (vec![name(&model), "--public-key", name(&root)], "BEGIN PUBLIC KEY"),
        (vec![name(&model), "--ca", name(&key)], "BEGIN CERTIFICATE"),
        (vec!["/nowhere", "--public-key", name(&key)], "/nowhere"),
        (vec![name(&model), "--public-key", name(&key), "--signature", "/nowhere.sig"], "/nowhere.sig"),
        (vec![name(&model), "--public-key", name(&key), "--expected-subject", "abc"], "64 hexadecimal"),
        (vec![name(&model), "--public-key", name(&key), "--builder", "x"], "--type slsa"),
        (vec!["s3://bucket/x", "--public-key", name(&key)], "oci://"),
        (vec!["oci://127.0.0.1:1/x", "--public-key", name(&key), "--allow-unsigned"], "about files"),
    ] {
        let output = lanner(&[&["verify"], arguments.as_slice()].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stdout(&output));
        assert!(stderr(&output).contains(word), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_signature_that_never_ends_is_not_read() {
    let folder = stage(&Scene::key());
    let key = file("key-p256.pub");
    let pipe = folder.path().join("pipe.sig");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (code, found) = run(folder.path(), &["model", "--signature", "pipe.sig", "--public-key", name(&key)]);
    assert_eq!((code, &found["reason"]), (1, &"bad_bundle".into()));
    let large = std::fs::File::create(folder.path().join("large.sig")).unwrap();
    large.set_len(1 << 40).unwrap();
    let (code, found) = run(folder.path(), &["model", "--signature", "large.sig", "--public-key", name(&key)]);
    assert_eq!((code, &found["reason"]), (1, &"too_large".into()));
}

/// The names of reasons are promised, and each is in the documents.
#[test]
fn every_reason_is_documented() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.md")).unwrap();
    for reason in Reason::ALL {
        assert!(text.contains(&format!("| `{reason}` |")), "docs/verify.md does not name `{reason}`");
        let json = serde_json::to_value(reason).unwrap();
        assert_eq!(json, reason.as_str());
        assert_eq!(serde_json::from_value::<Reason>(json).unwrap(), reason);
        assert!(!reason.advice().is_empty());
    }
}

/// What the hub's own client has fetched, in its cache, is what the hub has; until somebody changes it.
#[test]
fn a_copy_is_compared_with_the_hub() {
    let files: crate::peers::hub::Files<'_> =
        &[("config.json", b"{\"a\": 1}"), ("sub/vocab.txt", b"a b"), ("weights.bin", &[3; 5000])];
    let hub = crate::peers::hub::start(&[("org/model", files)]);
    let folder = TempDir::new().unwrap();
    let fetch = "import sys; from huggingface_hub import snapshot_download; \
                 print(snapshot_download('org/model', cache_dir=sys.argv[1]))";
    let output = std::process::Command::new(crate::support::python())
        .args(["-c", fetch])
        .arg(folder.path())
        .env("HF_ENDPOINT", &hub.url)
        .env("HF_HUB_DISABLE_XET", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let snapshot = std::path::PathBuf::from(stdout(&output).trim());
    assert!(snapshot.join("weights.bin").is_symlink(), "as the cache has it");
    let verify = |path: &Path, address: &str| {
        let output = std::process::Command::new(crate::support::program::LANNER)
            .args(["verify", path.to_str().unwrap(), "--against", address, "--format", "json"])
            .env("HF_ENDPOINT", &hub.url)
            .output()
            .unwrap();
        let json: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        (output.status.code().unwrap(), json)
    };
    let (code, found) = verify(&snapshot, "hf://org/model");
    assert_eq!((code, &found["signer"]), (0, &Value::Null), "{found}");
    assert_eq!(verify(&snapshot.join("weights.bin"), "hf://org/model/weights.bin").0, 0);
    assert_eq!(verify(&snapshot, "hf://org/model/weights.bin").1["reason"], "subject_mismatch");
    for (name, bytes) in [("weights.bin", b"other".as_slice()), ("config.json", b"{}")] {
        let path = snapshot.join(name);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(path.canonicalize().unwrap(), bytes).unwrap();
        let (code, found) = verify(&snapshot, "hf://org/model");
        assert_eq!((code, &found["files"]), (1, &serde_json::json!([name])), "{found}");
        std::fs::write(path.canonicalize().unwrap(), before).unwrap();
    }
    std::fs::write(snapshot.join("evil.py"), b"x").unwrap();
    assert_eq!(verify(&snapshot, "hf://org/model").1["reason"], "unsigned_file");
    std::fs::remove_file(snapshot.join("evil.py")).unwrap();
    std::fs::remove_file(snapshot.join("config.json")).unwrap();
    assert_eq!(verify(&snapshot, "hf://org/model").1["reason"], "missing_file");
}
