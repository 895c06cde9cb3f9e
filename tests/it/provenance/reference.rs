//! Signatures made by the reference implementation, its command and its library: whatever it signs is verified
//! here, with the same root, and a changed byte is not.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::maker::{file, pki};
use crate::support::program::{lanner_in, stderr, stdout};
use crate::support::{peers, run_python};

/// Signs the same models in every way that the library knows.
const SIGN: &str = r"
import pathlib, sys
import model_signing
from model_signing import hashing, signing
folder, pki = map(pathlib.Path, sys.argv[1:])
def model(name, files):
    root = folder / name
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root
FILES = {'config.json': b'{}', 'sub/a.txt': b'a' * 1500, 'sub.b/a.txt': b'b', 'weights.bin': bytes(range(256)) * 20, 'empty': b''}
def key(name): return signing.Config().use_elliptic_key_signer(private_key=pki / f'{name}.pem.key')
def certificate(leaf, *chain):
    chain = [pki / f'{one}.pem' for one in chain]
    return signing.Config().use_certificate_signer(private_key=pki / f'{leaf}.pem.key', signing_certificate=pki / f'{leaf}.pem', certificate_chain=chain)
def sign(name, signer, config=None, files=FILES, path='.'):
    root = model(name, files)
    if config is not None: signer.set_hashing_config(config)
    signer.sign(root / path, folder / f'{name}.sig')
for name in ('key-p256', 'key-p384', 'key-p521'): sign(name, key(name))
sign('leaf', certificate('leaf', 'between'))
sign('leaf-521', certificate('leaf-521', 'between', 'root'))
sign('leaf-rsa-root', certificate('leaf-rsa-root', 'between-rsa'))
sign('proud', certificate('proud', 'between'))
files = lambda algorithm, **more: hashing.Config().use_file_serialization(hashing_algorithm=algorithm, **more)
shards = lambda algorithm, size: hashing.Config().use_shard_serialization(hashing_algorithm=algorithm, shard_size=size)
sign('blake2', key('key-p256'), files('blake2'))
sign('blake3', key('key-p256'), files('blake3'))
whole = {name: data for name, data in FILES.items() if data}
sign('shards', key('key-p256'), shards('sha256', 1000), whole)
sign('shards-blake3', key('key-p256'), shards('blake3', 4096), whole)
sign('shards-exact', key('key-p256'), shards('blake2', 1280), whole)
sign('single', key('key-p256'), path='weights.bin')
root = model('links', FILES)
(root / 'link.bin').symlink_to('weights.bin')
key('key-p256').set_hashing_config(hashing.Config().set_allow_symlinks(True)).sign(root, folder / 'links.sig')
model('ignoring', FILES | {'.git/config': b'x', 'notes/x.txt': b'y'})
ignoring = files('sha256').set_ignored_paths(paths=[folder / 'ignoring/notes'], ignore_git_paths=True)
key('key-p256').set_hashing_config(ignoring).sign(folder / 'ignoring', folder / 'ignoring.sig')
";

fn verify(folder: &Path, path: &str, signature: &str, trust: &[&str]) -> (i32, Value) {
    let output = lanner_in(folder, &[&["verify", path, "--signature", signature, "--format", "json"], trust].concat());
    let json = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (output.status.code().unwrap(), json)
}

#[test]
fn what_the_reference_signs_is_verified() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    run_python(SIGN, &[root.to_str().unwrap(), pki().to_str().unwrap()]);
    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    let key = |name: &str| vec!["--public-key".to_owned(), path(&format!("{name}.pub"))];
    let ca = |name: &str| vec!["--ca".to_owned(), path(&format!("{name}.pem"))];
    let cases = [
        ("key-p256", key("key-p256"), [].as_slice()),
        ("key-p384", key("key-p384"), &[]),
        ("key-p521", key("key-p521"), &[]),
        ("leaf", ca("root"), &[]),
        ("leaf-521", ca("root"), &[]),
        ("leaf-rsa-root", ca("root-rsa"), &[]),
        ("proud", ca("root"), &[]),
        ("blake2", key("key-p256"), &[]),
        ("blake3", key("key-p256"), &[]),
        ("shards", key("key-p256"), &[]),
        ("shards-blake3", key("key-p256"), &[]),
        ("shards-exact", key("key-p256"), &[]),
        ("links", key("key-p256"), &[]),
        ("ignoring", key("key-p256"), &[".git/config", "notes/x.txt"]),
        ("single", key("key-p256"), &[]),
    ];
    for (name, trust, unsigned) in &cases {
        let trust: Vec<&str> = trust.iter().map(String::as_str).collect();
        let model = if *name == "single" { "single/weights.bin" } else { name };
        let signature = format!("{name}.sig");
        let (code, found) = verify(root, model, &signature, &trust);
        assert_eq!((code, &found["reason"]), (0, &"".into()), "{name}: {found}");
        assert_eq!(found["unsigned"], serde_json::json!(unsigned), "{name}");
        let weights = root.join(name).join("weights.bin");
        let mut bytes = std::fs::read(&weights).unwrap();
        bytes[2000] ^= 1;
        std::fs::write(&weights, &bytes).unwrap();
        let (code, found) = verify(root, model, &signature, &trust);
        assert_eq!((code, &found["reason"]), (1, &"digest_mismatch".into()), "{name}: {found}");
    }
}

/// The command itself, as its users call it.
#[test]
fn what_the_reference_command_signs_is_verified() {
    let command = peers().join("venv/bin/model_signing");
    assert!(command.exists(), "`{}` is not installed; run `make peers`", command.display());
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("model")).unwrap();
    std::fs::write(root.join("model/weights.bin"), b"weights").unwrap();
    std::fs::write(root.join("model/notes.txt"), b"notes").unwrap();
    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    let sign = |arguments: &[&str]| {
        let output = Command::new(&command).current_dir(root).arg("sign").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    };
    sign(&[
        "key",
        "model",
        "--signature",
        "model/model.sig",
        "--private_key",
        &path("key-p384.pem.key"),
        "--ignore-paths",
        "model/notes.txt",
    ]);
    let trust = ["--public-key".to_owned(), path("key-p384.pub")];
    let trust: Vec<&str> = trust.iter().map(String::as_str).collect();
    let (code, found) = verify(root, "model", "model/model.sig", &trust);
    assert_eq!((code, &found["unsigned"]), (0, &serde_json::json!(["notes.txt"])), "{found}");
    std::fs::remove_file(root.join("model/model.sig")).unwrap();
    sign(&[
        "certificate",
        "model",
        "--signature",
        "model.sig",
        "--private_key",
        &path("leaf.pem.key"),
        "--signing_certificate",
        &path("leaf.pem"),
        "--certificate_chain",
        &path("between.pem"),
    ]);
    let (code, found) = verify(root, "model", "model.sig", &["--ca", &path("root.pem")]);
    assert_eq!((code, &found["signer"]["subject"]), (0, &"CN=leaf".into()), "{found}");
    std::fs::write(root.join("model/more.txt"), b"x").unwrap();
    let (code, found) = verify(root, "model", "model.sig", &["--ca", &path("root.pem")]);
    assert_eq!((code, &found["reason"]), (1, &"unsigned_file".into()), "{found}");
}
