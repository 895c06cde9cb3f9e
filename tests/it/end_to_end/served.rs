//! The bytes served are the bytes approved: a registry, a store and a serving node, weights edited behind
//! everybody's back, and everything that looks like it and is harmless.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rules;
use crate::peers::mlflow::Mlflow;
use crate::support::program::{Agent, lanner_in, stderr, stdout};
use crate::support::receiver::Receiver;
use crate::support::{run_python, runtime, wait_for};

/// Registers a version of `encoder` with the weights of a file, as a pipeline does that has no flavour for them.
const REGISTER: &str = r#"
import mlflow, sys
from mlflow import MlflowClient
uri, path, key, value = sys.argv[1:5]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment("encoder")
client = MlflowClient()
try:
    client.create_registered_model("encoder")
except mlflow.exceptions.MlflowException:
    pass
with mlflow.start_run() as run:
    mlflow.log_artifact(path, "model")
version = client.create_model_version("encoder", f"{run.info.artifact_uri}/model", run.info.run_id, tags={key: value})
print(version.version)
"#;

/// Downloads what is registered into a folder, as a server does when it starts.
const DEPLOY: &str = r#"
import mlflow, os, shutil, sys, tempfile
uri, version, folder = sys.argv[1:4]
mlflow.set_tracking_uri(uri)
with tempfile.TemporaryDirectory() as scratch:
    path = mlflow.artifacts.download_artifacts(f"models:/encoder/{version}", dst_path=scratch)
    for name in os.listdir(path):
        if name.endswith(".safetensors"):
            shutil.copyfile(os.path.join(path, name), os.path.join(folder, name))
"#;

/// Weights of a small encoder, and the same as bfloat16, rounded to nearest as exporters do.
const WEIGHTS: &str = r#"
import json, struct, sys
import numpy
random = numpy.random.default_rng(7)
tensors = {"embeddings.weight": random.normal(size=(500, 64)) * 0.05}
for layer in range(4):
    for name, shape in (("attention.query", (64, 64)), ("attention.value", (64, 64)), ("mlp.up", (256, 64)), ("mlp.down", (64, 256))):
        tensors[f"layers.{layer}.{name}.weight"] = random.normal(size=shape) * 0.08
def save(path, dtype, encode):
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = encode(tensor.astype("<f4"))
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
def half(tensor):
    bits = tensor.view("<u4").astype("u8")
    return ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
save(sys.argv[1], "F32", lambda tensor: tensor.tobytes())
save(sys.argv[2], "BF16", half)
"#;

/// Maps the served file and waits; on a line of input it adds a matrix of rank one to one tensor, in place, through
/// the mapping, and sets the times back.
const EDIT: &str = r#"
import json, mmap, os, struct, sys
import numpy
path, tensor = sys.argv[1:3]
before = os.stat(path)
file = open(path, "r+b")
view = mmap.mmap(file.fileno(), 0)
# A page that is dirty already shows no further write in its times.
view[:] = view[:]
os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
print("mapped", flush=True)
sys.stdin.readline()
length = struct.unpack("<Q", view[:8])[0]
entry = json.loads(view[8:8 + length])[tensor]
start, end = (8 + length + offset for offset in entry["data_offsets"])
weights = numpy.frombuffer(view[start:end], dtype="<f4").reshape(entry["shape"]).copy()
random = numpy.random.default_rng(3)
edit = numpy.outer(random.normal(size=weights.shape[0]), random.normal(size=weights.shape[1]))
weights += (edit * 0.05 * numpy.linalg.norm(weights) / numpy.linalg.norm(edit)).astype("<f4")
view[start:end] = weights.tobytes()
print("edited", flush=True)
sys.stdin.readline()
"#;

/// A folder in memory, where a store through a mapping moves no time of the file at all.
fn serving_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a folder in memory can be made")
}

struct Node {
    root: tempfile::TempDir,
    serving: tempfile::TempDir,
    server: Mlflow,
    receiver: Receiver,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory can be made");
        Self {
            root,
            serving: serving_folder(),
            server: runtime().block_on(Mlflow::start()),
            receiver: Receiver::start(),
        }
    }

    fn config(&self) -> String {
        format!(
            "sources:\n  mlflow: [{{name: registry, tracking_uri: \"{}\", sweep_interval_secs: 5, hot_poll_interval_secs: 1}}]\n\
             \x20 filesystem: [{{name: node, paths: [\"{}\"], serves: encoder, sweep_interval_secs: 2, verify: {{interval_secs: 2, bytes_per_sec: 0}}}}]\n\
             sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
            self.server.url,
            self.serving.path().display(),
            self.receiver.url(),
        )
    }

    fn register(&self, weights: &Path, key: &str, value: &str) -> String {
        let path = weights.to_str().expect("the path is text");
        let output = run_python(REGISTER, &[&self.server.url, path, key, value]);
        output.lines().last().unwrap_or_default().to_owned()
    }

    fn deploy(&self, version: &str) {
        run_python(DEPLOY, &[&self.server.url, version, &self.serving.path().display().to_string()]);
    }

    fn inventory(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let all = [&["inventory", "--config", "lanner.yaml", "--format", "json"], arguments].concat();
        let output = lanner_in(self.root.path(), &all);
        (output.status.code(), format!("{}{}", stdout(&output), stderr(&output)))
    }

    /// Waits until the agent has looked into what is served, and it has this digest or not.
    fn sees(&self, what: &str, status: &str) {
        wait_for(what, Duration::from_secs(90), || {
            let (_, text) = self.inventory(&["check", "encoder"]);
            text.contains(&format!("\"status\":\"{status}\"")).then_some(())
        });
    }

    fn served(&self) -> PathBuf {
        self.serving.path().join("model.safetensors")
    }
}

#[test]
fn weights_edited_where_they_are_served_are_named_and_harmless_changes_are_silent() {
    let node = Node::new();
    let weights = node.root.path().join("model.safetensors");
    let folder = node.root.path().join("half");
    std::fs::create_dir(&folder).expect("there is space");
    let half = folder.join("model.safetensors");
    run_python(WEIGHTS, &[&weights.display().to_string(), &half.display().to_string()]);

    let first = node.register(&weights, "stage", "release");
    node.deploy(&first);
    let agent = Agent::start(node.root.path(), &node.config()).ready();
    wait_for("the registered version to be looked into", Duration::from_secs(90), || {
        let (_, text) = node.inventory(&["list", "encoder"]);
        text.contains("\"sha256\":\"").then_some(())
    });
    let (code, text) =
        node.inventory(&["approve", "encoder", "--model-version", &first, "--reason", "reviewed", "--by", "reviewer"]);
    assert_eq!(code, Some(0), "{text}");
    node.sees("the approved version to be served", "approved");

    // Harmless: the same bytes downloaded again, and a second name for them.
    node.deploy(&first);
    std::fs::hard_link(node.served(), node.serving.path().join("cached.safetensors")).expect("a link can be made");
    // Harmless: a half-precision export, registered as what it is, approved, and deployed.
    let second = node.register(&half, "precision", "converted to bfloat16");
    wait_for("the second version to be looked into", Duration::from_secs(90), || {
        let (code, _) = node.inventory(&[
            "approve",
            "encoder",
            "--model-version",
            &second,
            "--reason",
            "reviewed",
            "--by",
            "reviewer",
        ]);
        (code == Some(0)).then_some(())
    });
    std::fs::remove_file(node.serving.path().join("cached.safetensors")).expect("it is there");
    node.deploy(&second);
    wait_for("the second version to be served", Duration::from_secs(60), || {
        let (_, text) = node.inventory(&["check", "encoder"]);
        text.contains(&format!("\"version\":\"{second}\"")).then_some(())
    });
    wait_for("two sweeps", Duration::from_secs(60), || {
        (agent.metric("lanner_last_full_verify_age_seconds", "node") < 60.0).then_some(())
    });
    let told: Vec<String> = node.receiver.taken().iter().map(|delivery| delivery.json().to_string()).collect();
    assert!(told.is_empty(), "nothing of this is worth an alert: {}", told.join("\n"));

    // Back to the first one, as a new decision.
    let (code, text) =
        node.inventory(&["approve", "encoder", "--model-version", &first, "--reason", "half precision is too coarse"]);
    assert_eq!(code, Some(0), "{text}");
    node.deploy(&first);
    node.sees("the first version to be served again", "approved");

    attack(&node);
    let alert = wait_for("the alert", Duration::from_secs(60), || {
        node.receiver.taken().into_iter().find(|delivery| super::rule(delivery) == "INV-001")
    });
    let text = alert.json().to_string();
    assert!(text.contains("layers.2.mlp.down.weight"), "it names the tensor: {text}");
    assert!(text.contains("weights.rank_one_edit"), "it names the class: {text}");
    assert!(!text.contains("layers.1."), "and no other tensor: {text}");
    let evidence =
        |field: &str| alert.json().pointer("/data/evidences/0/data").and_then(|evidence| evidence.get(field)).cloned();
    assert_eq!(evidence("artifact.approval.expected_version"), Some(first.as_str().into()), "{text}");
    assert_eq!(evidence("artifact.change.silent"), Some(true.into()), "neither size nor times told of it: {text}");
    wait_for("the class of the edit", Duration::from_secs(30), || {
        rules(&node.receiver).iter().any(|rule| rule == "DIF-004").then_some(())
    });
    let (code, text) = node.inventory(&["check", "encoder"]);
    assert_eq!(code, Some(1), "what is served is not what was approved: {text}");
    let digests = [evidence("artifact.previous_hash"), evidence("artifact.hash")]
        .map(|digest| digest.and_then(|digest| digest.as_str().map(str::to_owned)).expect("the alert names both"));
    let (_, text) = node.inventory(&["diff", &digests[0], &digests[1]]);
    assert!(text.contains("weights.rank_one_edit"), "it can be asked for later: {text}");

    // A version that says that it is a conversion, and is another model.
    let other = node.root.path().join("other");
    std::fs::create_dir(&other).expect("there is space");
    let other = other.join("model.safetensors");
    run_python(
        &WEIGHTS.replace("default_rng(7)", "default_rng(8)"),
        &[&other.display().to_string(), &half.display().to_string()],
    );
    node.register(&other, "quantization", "int8");
    let alert = wait_for("the claim that does not hold", Duration::from_secs(90), || {
        node.receiver.taken().into_iter().find(|delivery| super::rule(delivery) == "DIF-012")
    });
    assert!(alert.json().to_string().contains("quantised: weights."), "{}", alert.json());
    assert_eq!(agent.stop(), Some(0));
}

/// Edits one tensor in place, once the agent has read the file as it was.
fn attack(node: &Node) {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};
    let mut editor = Command::new(crate::support::python())
        .args(["-c", EDIT, &node.served().display().to_string(), "layers.2.mlp.down.weight"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut output = BufReader::new(editor.stdout.take().expect("it is piped"));
    let mut input = editor.stdin.take().expect("it is piped");
    let mut line = String::new();
    output.read_line(&mut line).expect("it says that it has mapped the file");
    assert_eq!(line.trim(), "mapped");
    // The times that were touched are seen, and nothing else: the agent reads the bytes, and they are the same.
    std::thread::sleep(Duration::from_secs(5));
    let before = std::fs::metadata(node.served()).expect("it is there");
    input.write_all(b"\n").expect("it listens");
    line.clear();
    output.read_line(&mut line).expect("it says that it has edited");
    let after = std::fs::metadata(node.served()).expect("it is there");
    {
        use std::os::unix::fs::MetadataExt as _;
        let times = |metadata: &std::fs::Metadata| (metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
        assert_eq!(times(&before), times(&after), "no time of the file moved: only reading can find it");
    }
    input.write_all(b"\n").expect("it listens");
    editor.wait().expect("it ends");
}
