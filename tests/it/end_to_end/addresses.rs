//! `lanner scan` of addresses: real registries and stores, and a hub that the hub's own client knows.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::calls_os_system;
use crate::peers::objects::Store;
use crate::peers::registry::{PASSWORD, Registry, USER};
use crate::peers::{hub, mlflow};
use crate::support::program::{LANNER, stderr, stdout};
use crate::support::{peer, python, runtime};

/// A scan with nothing of this machine's credentials, only with these variables.
pub fn scan(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let home = TempDir::new().unwrap();
    Command::new(LANNER)
        .arg("scan")
        .args(arguments)
        .args(if arguments.contains(&"--format") { [].as_slice() } else { ["--format", "json"].as_slice() })
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

pub fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Path, verdict and the rules that matched, of each file.
fn told(output: &Output) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines(output)
        .iter()
        .map(|line| {
            let rules = line["findings"].as_array().unwrap().iter().map(|finding| text(&finding["rule"])).collect();
            (text(&line["path"]), text(&line["verdict"]), rules)
        })
        .collect()
}

pub fn verdicts(output: &Output) -> Vec<(String, String)> {
    told(output).into_iter().map(|(path, verdict, _)| (path, verdict)).collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn an_image_is_looked_into_layer_by_layer() {
    let registry = Registry::start();
    registry.artifact("team/model", "v1", &[("model.pkl", &calls_os_system("oci")), ("config.json", b"{\"a\": 1}")]);
    let image = format!("oci://{}/team/model:v1", registry.host);
    let output = scan(&[&image], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let found = verdicts(&output);
    assert_eq!(found.len(), 4, "configuration, two layers and the manifest: {found:?}");
    assert!(found.contains(&(format!("{image}/model.pkl"), "malicious".to_owned())), "{found:?}");
    assert!(found.contains(&(format!("{image}/config.json"), "clean".to_owned())), "{found:?}");
    // What is not there is said, and is no finding.
    let output = scan(&[&format!("oci://{}/team/model:v2", registry.host)], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("does not exist"), "{}", stderr(&output));
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_is_found() {
    let registry = Registry::start();
    let honest = b"{\"weights\": [1, 2]}";
    registry.artifact("team/model", "v1", &[("weights.json", honest)]);
    let image = format!("oci://{}/team/model:v1", registry.host);
    assert_eq!(scan(&[&image], &[]).status.code(), Some(0));
    let digest = format!("sha256:{}", lanner::event::Sha256::of(honest));
    std::fs::write(registry.blob_file(&digest), b"{\"weights\": [1, 3]}").unwrap();
    let output = scan(&[&image], &[]);
    let found = told(&output);
    let tampered = found.iter().find(|(path, ..)| path.ends_with("weights.json")).unwrap();
    assert!(tampered.2.contains(&"SCN-040".to_owned()), "{found:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_image_of_a_real_tool_is_followed_through_its_index() {
    let registry = Registry::start();
    let folder = TempDir::new().unwrap();
    // A layer as `buildah` and `skopeo` make it, from a real image layout.
    let script = "
import hashlib, io, json, os, sys, tarfile
root = sys.argv[1]
os.makedirs(f'{root}/blobs/sha256')
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f'{root}/blobs/sha256/{digest}', 'wb').write(data)
    return {'digest': f'sha256:{digest}', 'size': len(data)}
tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode='w:gz') as archive:
    data = b\"cos\\nsystem\\n(S'echo layer'\\ntR.\"
    info = tarfile.TarInfo('models/model.pkl'); info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
layer = put(tar.getvalue()) | {'mediaType': 'application/vnd.oci.image.layer.v1.tar+gzip'}
config = put(json.dumps({'architecture': 'amd64', 'os': 'linux', 'config': {}, 'rootfs': {'type': 'layers', 'diff_ids': []}}).encode())
config |= {'mediaType': 'application/vnd.oci.image.config.v1+json'}
kind = 'application/vnd.oci.image.manifest.v1+json'
manifest = put(json.dumps({'schemaVersion': 2, 'mediaType': kind, 'config': config, 'layers': [layer]}).encode())
manifest |= {'mediaType': kind, 'platform': {'os': 'linux', 'architecture': 'amd64'}}
inner = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json', 'manifests': [manifest]}
index = put(json.dumps(inner).encode()) | {'mediaType': inner['mediaType'], 'annotations': {'org.opencontainers.image.ref.name': 'v1'}}
json.dump({'schemaVersion': 2, 'manifests': [index]}, open(f'{root}/index.json', 'w'))
json.dump({'imageLayoutVersion': '1.0.0'}, open(f'{root}/oci-layout', 'w'))
";
    let layout = folder.path().join("layout");
    let made = Command::new(python()).args(["-c", script]).arg(&layout).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let copied = Command::new(peer("skopeo"))
        .args(["copy", "--all", "--dest-tls-verify=false"])
        .arg(format!("oci:{}:v1", layout.display()))
        .arg(format!("docker://{}/team/image:v1", registry.host))
        .output()
        .unwrap();
    assert!(copied.status.success(), "{}", stderr(&copied));
    let output = scan(&[&format!("oci://{}/team/image:v1", registry.host)], &[]);
    let found = verdicts(&output);
    let layer = found.iter().find(|(path, _)| path.ends_with(".tar.gz")).unwrap();
    assert!(layer.0.contains("/linux-amd64/"), "{found:?}");
    assert_eq!(layer.1, "malicious", "{found:?}");
}

#[test]
fn credentials_are_those_of_docker_login() {
    let registry = Registry::with_password();
    registry.artifact("team/model", "v1", &[("config.json", b"{}")]);
    let image = format!("oci://{}/team/model:v1", registry.host);
    let refused = scan(&[&image], &[]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(stdout(&refused).contains("docker login"), "{}", stdout(&refused));
    let home = TempDir::new().unwrap();
    let logged_in = Command::new(peer("skopeo"))
        .args(["login", "--tls-verify=false", "-u", USER, "--password-stdin", &registry.host, "--authfile"])
        .arg(home.path().join("auth.json"))
        .stdin({
            let path = home.path().join("password");
            std::fs::write(&path, PASSWORD).unwrap();
            std::fs::File::open(path).unwrap()
        })
        .output()
        .unwrap();
    assert!(logged_in.status.success(), "{}", stderr(&logged_in));
    let file = home.path().join("auth.json");
    let allowed = scan(&[&image], &[("REGISTRY_AUTH_FILE", file.to_str().unwrap())]);
    assert_eq!(allowed.status.code(), Some(0), "{}{}", stdout(&allowed), stderr(&allowed));
}

#[test]
fn a_bucket_of_s3_is_listed_and_read_with_signatures() {
    let store = Store::seaweed();
    store.make_bucket("models");
    store.put("models", "fraud/model.pkl", &calls_os_system("s3"));
    store.put("models", "fraud/sub/na me+ü&<.json", b"{}");
    store.put("models", "fraudulent/other.pkl", &calls_os_system("not asked for"));
    let variables = store.variables();
    let output = scan(&["s3://models/fraud"], &variables);
    assert_eq!(
        verdicts(&output),
        owned(&[("s3://models/fraud/model.pkl", "malicious"), ("s3://models/fraud/sub/na me+ü&<.json", "clean"),]),
        "{}",
        stderr(&output)
    );
    // One object, globs, and what is not there.
    assert_eq!(verdicts(&scan(&["s3://models/fraud/model.pkl"], &variables)).len(), 1);
    let some = scan(&["s3://models", "--include", "*.json"], &variables);
    assert_eq!(lines(&some).iter().filter(|line| line["status"] != "skipped").count(), 1);
    assert_eq!(scan(&["s3://models/nothing"], &variables).status.code(), Some(2));
    // Wrong credentials are no empty bucket.
    let wrong: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, if *name == "AWS_SECRET_ACCESS_KEY" { "wrong" } else { value }))
        .collect();
    let refused = scan(&["s3://models"], &wrong);
    assert_eq!(refused.status.code(), Some(4));
    assert!(stdout(&refused).contains("AWS_ACCESS_KEY_ID"), "{}", stdout(&refused));
    assert!(!stdout(&refused).contains("not-much-of-a-secret"));
}

#[test]
fn buckets_of_google_and_azure_are_listed_and_read() {
    let bad = calls_os_system("cloud");
    let objects: [(&str, &[u8]); 2] = [("fraud/model.pkl", &bad), ("fraud/config.json", b"{}")];
    let google = Store::google(
        &objects
            .map(|(key, bytes)| (format!("models/{key}"), bytes))
            .each_ref()
            .map(|(key, bytes)| (key.as_str(), *bytes)),
    );
    let azure = Store::azure("models", &objects);
    for (store, scheme) in [(google, "gs"), (azure, "az")] {
        let output = scan(&[&format!("{scheme}://models/fraud")], &store.variables());
        let expected = [
            (format!("{scheme}://models/fraud/config.json"), "clean".to_owned()),
            (format!("{scheme}://models/fraud/model.pkl"), "malicious".to_owned()),
        ];
        assert_eq!(verdicts(&output), expected, "{}{}", stdout(&output), stderr(&output));
        assert_eq!(verdicts(&scan(&[&format!("{scheme}://models/fraud/model.pkl")], &store.variables())).len(), 1);
        assert_eq!(scan(&[&format!("{scheme}://models/nothing")], &store.variables()).status.code(), Some(2));
    }
}

#[test]
fn the_stand_in_of_the_hub_is_taken_by_its_own_client() {
    let files: [(&str, &[u8]); 2] = [("config.json", b"{}"), ("pytorch_model.bin", b"weights")];
    let hub = hub::start(&[("team/model", &files), ("team/secret", &[])]);
    let commit = {
        let mut hub = hub.hub.lock().unwrap();
        hub.repositories.get_mut("team/secret").unwrap().private = true;
        let repository = hub.repositories.get_mut("team/model").unwrap();
        repository.tags.insert("v1".to_owned(), repository.commit.clone());
        repository.commit.clone()
    };
    let script = "
import sys
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError
hub = HfApi()
info = hub.model_info('team/model')
folder = snapshot_download('team/model', cache_dir=sys.argv[1])
print(info.sha, open(folder + '/pytorch_model.bin').read(), sep='\\n')
tagged = snapshot_download('team/model', revision='v1', cache_dir=sys.argv[1])
print(open(tagged + '/config.json').read())
infos = hub.get_paths_info('team/model', ['pytorch_model.bin', 'none'])
print([(one.path, one.size, one.lfs and one.lfs.sha256) for one in infos])
print(sorted(one.path for one in hub.list_repo_tree('team/model', recursive=True)))
refs, commits = hub.list_repo_refs('team/model'), hub.list_repo_commits('team/model')
print([one.name for one in refs.branches + refs.tags], [one.commit_id for one in commits] == [info.sha])
print([one.id for one in hub.list_models(author='team')], info.private, info.gated)
try:
    hub.model_info('team/secret')
except RepositoryNotFoundError:
    print('not for everybody')
";
    let cache = TempDir::new().unwrap();
    let output = Command::new(python())
        .args(["-c", script])
        .arg(cache.path())
        .env("HF_ENDPOINT", &hub.url)
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_XET", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let told = [
        commit,
        "weights".to_owned(),
        "{}".to_owned(),
        format!("[('pytorch_model.bin', 7, '{}')]", lanner::event::Sha256::of(b"weights")),
        "['config.json', 'pytorch_model.bin']".to_owned(),
        "['main', 'v1'] True".to_owned(),
        "['team/model'] False False".to_owned(),
        "not for everybody".to_owned(),
    ];
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), told);
}

#[test]
fn a_repository_of_the_hub_is_read_at_one_commit() {
    let bad = calls_os_system("hub");
    let files: [(&str, &[u8]); 5] =
        [("config.json", b"{}"), ("a/model.pkl", &bad), ("b.json", b"{}"), ("c.json", b"{}"), ("é è/d.json", b"{}")];
    let hub = hub::start(&[("team/model", &files)]);
    let environment = [("HF_ENDPOINT", hub.url.as_str())];
    let output = scan(&["hf://team/model"], &environment);
    let found = verdicts(&output);
    assert_eq!(found.len(), 5, "{found:?} {}", stderr(&output));
    assert!(found.contains(&("hf://team/model/a/model.pkl".to_owned(), "malicious".to_owned())), "{found:?}");
    // Reports name the address as what it is.
    let sarif = scan(&["hf://team/model", "--format", "sarif"], &environment);
    assert!(stdout(&sarif).contains("\"uri\":\"hf://team/model/a/model.pkl\""), "{}", stdout(&sarif));
    let commit = hub.hub.lock().unwrap().repositories["team/model"].commit.clone();
    let line = &lines(&output)[0];
    assert_eq!(line["remote"]["version"], commit.as_str());
    let asked = hub.hub.lock().unwrap().asked.clone();
    assert!(
        asked.iter().filter(|(_, path, ..)| path.contains("/resolve/")).all(|(_, path, ..)| path.contains(&commit))
    );
    // A part of it, at a commit.
    let part = scan(&[&format!("hf://team/model@{commit}/a")], &environment);
    assert_eq!(verdicts(&part), [(format!("hf://team/model@{commit}/a/model.pkl"), "malicious".to_owned())]);
    for missing in ["hf://team/model@no-such", "hf://team/nobody", "hf://team/model/nothing"] {
        assert_eq!(scan(&[missing], &environment).status.code(), Some(2), "{missing}");
    }
}

#[test]
fn a_token_opens_what_is_private_and_goes_nowhere_else() {
    let hub = hub::start(&[("team/secret", &[("model.pkl", &calls_os_system("private"))])]);
    hub.hub.lock().unwrap().repositories.get_mut("team/secret").unwrap().private = true;
    let refused = scan(&["hf://team/secret"], &[("HF_ENDPOINT", &hub.url)]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(stdout(&refused).contains("HF_TOKEN"), "{}", stdout(&refused));
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("token"), format!("{}\n", hub::TOKEN)).unwrap();
    let allowed =
        scan(&["hf://team/secret"], &[("HF_ENDPOINT", &hub.url), ("HF_HOME", folder.path().to_str().unwrap())]);
    assert_eq!(allowed.status.code(), Some(1), "{}", stdout(&allowed));
    assert!(!stdout(&allowed).contains(hub::TOKEN));
    let asked = hub.hub.lock().unwrap().asked.clone();
    let of_store: Vec<_> = asked.iter().filter(|(_, path, ..)| path.starts_with("/lfs/")).collect();
    assert!(!of_store.is_empty() && of_store.iter().all(|(.., token)| !token), "{asked:?}");
}

#[test]
fn large_files_are_read_in_parts_and_that_is_said() {
    // A zip of PyTorch's kind, with a pickle that calls and 8 MiB of weights before it.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.pt");
    let script = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as archive:
    archive.writestr('model/data/0', bytes(8 << 20))
    archive.writestr('model/data.pkl', b\"cos\\nsystem\\n(S'echo parts'\\ntR.\")
    archive.writestr('model/version', b'3')
";
    assert!(Command::new(python()).args(["-c", script]).arg(&path).status().unwrap().success());
    let bytes = std::fs::read(&path).unwrap();
    let hub = hub::start(&[("team/model", &[("model.pt", &bytes)])]);
    let environment = [("HF_ENDPOINT", hub.url.as_str())];
    let output = scan(&["hf://team/model", "--whole-max", "1000000"], &environment);
    let line = &lines(&output)[0];
    assert_eq!(line["verdict"], "malicious", "{line}");
    assert!(line["sha256"].is_null());
    assert_eq!(line["remote"]["claimed_sha256"], lanner::event::Sha256::of(&bytes).to_string());
    let fetched = line["remote"]["fetched_bytes"].as_u64().unwrap();
    assert!(fetched < 2 << 20, "{fetched} of {}", bytes.len());
    assert!(line["issues"].to_string().contains("not_fetched"), "{line}");
    // Clean in parts is not the same as clean.
    let benign = scan(
        &["hf://team/model", "--whole-max", "1000000", "--fail-on", "critical", "--fail-on-incomplete"],
        &environment,
    );
    assert_ne!(benign.status.code(), Some(0));
    // A store without ranges is told so, and read whole on wish.
    hub.hub.lock().unwrap().without_ranges = true;
    let refused = scan(&["hf://team/model", "--whole-max", "1000000"], &environment);
    assert!(stdout(&refused).contains("--whole-max"), "{}", stdout(&refused));
    assert_eq!(lines(&scan(&["hf://team/model"], &environment))[0]["verdict"], "malicious");
}

#[test]
fn bytes_that_are_not_those_the_hub_promises_are_found() {
    let honest = b"\x80\x04K\x01.";
    let hub = hub::start(&[("team/model", &[("model.pkl", honest)])]);
    let environment = [("HF_ENDPOINT", hub.url.as_str())];
    assert_eq!(scan(&["hf://team/model"], &environment).status.code(), Some(0));
    let digest = lanner::event::Sha256::of(honest).to_string();
    hub.hub.lock().unwrap().tampered.insert(digest, b"\x80\x04K\x02.".to_vec());
    let output = scan(&["hf://team/model"], &environment);
    assert!(told(&output)[0].2.contains(&"SCN-040".to_owned()), "{}", stdout(&output));
}

#[test]
fn a_hub_in_trouble_is_asked_again_and_a_download_goes_on() {
    let bytes = vec![7; 100_000];
    let files: [(&str, &[u8]); 1] = [("model.bin", &bytes)];
    let hub = hub::start(&[("team/model", &files)]);
    let environment = [("HF_ENDPOINT", hub.url.as_str())];
    {
        let mut hub = hub.hub.lock().unwrap();
        hub.throttled = 2;
        hub.breaks_after = Some(40_000);
    }
    let output = scan(&["hf://team/model"], &environment);
    assert_eq!(lines(&output)[0]["sha256"], lanner::event::Sha256::of(&bytes).to_string(), "{}", stdout(&output));
    // A download that never ends well is an error of that file.
    hub.hub.lock().unwrap().breaks_after = Some(1000);
    let output = scan(&["hf://team/model"], &environment);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    assert!(stdout(&output).contains("broke off"), "{}", stdout(&output));
}

#[test]
fn a_version_of_a_model_is_found_by_number_alias_and_stage() {
    let server = runtime().block_on(mlflow::shared());
    let name = "scanned-by-address";
    runtime().block_on(async {
        let (run, folder) = server.run(name).await;
        server.put(&format!("{folder}/model/model.pkl"), &calls_os_system("registry")).await;
        server.put(&format!("{folder}/model/MLmodel"), b"flavors: {}\n").await;
        server.post("registered-models/create", serde_json::json!({ "name": name })).await;
        let version = server.register(name, &format!("mlflow-artifacts:/{folder}/model"), &run).await;
        assert_eq!(version, "1");
        server
            .post("registered-models/alias", serde_json::json!({ "name": name, "alias": "champion", "version": "1" }))
            .await;
    });
    let environment = [("MLFLOW_TRACKING_URI", server.url.as_str())];
    for address in
        ["models:/scanned-by-address/1", "models:/scanned-by-address@champion", "models:/scanned-by-address/latest"]
    {
        let output = scan(&[address], &environment);
        let found = verdicts(&output);
        assert!(
            found.contains(&(format!("{address}/model.pkl"), "malicious".to_owned())),
            "{found:?} {}",
            stderr(&output)
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }
    for missing in ["models:/scanned-by-address/7", "models:/scanned-by-address@nobody", "models:/nobody/1"] {
        let output = scan(&[missing], &environment);
        assert_eq!(output.status.code(), Some(2), "{missing} {}{}", stdout(&output), stderr(&output));
    }
    let unset = scan(&["models:/scanned-by-address/1"], &[]);
    assert!(stdout(&unset).contains("MLFLOW_TRACKING_URI"), "{}", stdout(&unset));
}

#[test]
fn what_is_no_address_is_said_without_asking_anybody() {
    for (address, needle) in [
        ("foo://bar/baz", "known are hf://"),
        ("hf://one/two/../three", "no path in a repository"),
        ("hf://a b/c", "no address of a repository"),
        ("oci://127.0.0.1:1/UPPER case", "no image"),
        ("models:/", "names no model"),
        ("s3://", "names no bucket"),
    ] {
        let output =
            scan(&[address], &[("HF_ENDPOINT", "http://127.0.0.1:1"), ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")]);
        assert_eq!(output.status.code(), Some(2), "{address}: {}", stdout(&output));
        assert!(stdout(&output).contains(needle), "{address}: {}", stdout(&output));
    }
    // One address that leads nowhere does not keep the others from being looked at.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.pkl");
    std::fs::write(&path, calls_os_system("here")).unwrap();
    let output = scan(&["oci://127.0.0.1:1/nobody", path.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).len(), 2);
}

#[test]
fn a_store_that_does_not_answer_costs_no_more_than_the_time_of_one_file() {
    let bytes = vec![7; 600_000];
    let hub = hub::start(&[("team/model", &[("a.bin", &bytes), ("b.json", b"{}")])]);
    hub.hub.lock().unwrap().stalls = true;
    for whole in ["1000000", "1000"] {
        let began = std::time::Instant::now();
        let output = scan(&["hf://team/model", "--timeout", "1", "--whole-max", whole], &[("HF_ENDPOINT", &hub.url)]);
        assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
        let lines = lines(&output);
        assert_eq!(lines.len(), 2, "{}", stdout(&output));
        assert_ne!(lines[0]["status"], "clean", "{}", stdout(&output));
        assert_eq!(lines[1]["status"], "clean", "{}", stdout(&output));
    }
}
