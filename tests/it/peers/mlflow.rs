//! A real `MLflow` server, shared by all tests that need one, each with models of its own.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// How long the server may take until it answers.
const START: Duration = Duration::from_mins(2);

/// The server; it stops when the last test lets go of it.
pub struct Mlflow {
    process: Child,
    pub url: String,
    folder: TempDir,
}

static SHARED: Mutex<Weak<Mlflow>> = Mutex::const_new(Weak::new());

/// The shared server, started by whoever comes first.
pub async fn shared() -> Arc<Mlflow> {
    let mut shared = SHARED.lock().await;
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Mlflow::start().await);
    *shared = Arc::downgrade(&server);
    server
}

/// Folder of the peers that `make peers` installs.
pub fn folder() -> PathBuf {
    std::env::var_os("LANNER_PEERS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers"), Into::into)
}

pub use crate::support::free_port;

/// One for each call: a connection that is kept ends with the runtime of the test that made it.
fn client() -> Client {
    lanner::base::http::client(&lanner::base::http::Options::default()).unwrap()
}

impl Mlflow {
    pub async fn start() -> Self {
        Self::start_with(&["--serve-artifacts", "--artifacts-destination", "artifacts"]).await
    }

    /// The same with further settings; it works in its folder.
    pub async fn start_with(settings: &[&str]) -> Self {
        let program = folder().join("venv/bin/mlflow");
        assert!(program.exists(), "there is no `{}`: run `make peers`, or set LANNER_PEERS", program.display());
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let log = std::fs::File::create(folder.path().join("server.log")).unwrap();
        let process = Command::new(program)
            .arg("server")
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}/mlflow.db", folder.path().display()))
            .args(settings)
            .current_dir(folder.path())
            .args(["--host", "127.0.0.1", "--workers", "1", "--port"])
            .arg(port.to_string())
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("DO_NOT_TRACK", "1")
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            // Its webhooks may go to an agent beside it, and their secrets are kept.
            .env("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
            .env("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
            .env("MLFLOW_WEBHOOK_CACHE_TTL", "0")
            .env("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "bGFubmVyLXRlc3Qta2V5LWxhbm5lci10ZXN0LWtleSE=")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // Its workers are in the same group, to be stopped with it.
            .process_group(0)
            .spawn()
            .unwrap();
        let server = Self { process, url: format!("http://127.0.0.1:{port}"), folder };
        server.wait().await;
        server
    }

    /// The file in which the server keeps everything.
    pub fn database(&self) -> String {
        self.folder.path().join("mlflow.db").to_string_lossy().into_owned()
    }

    async fn wait(&self) {
        let deadline = Instant::now() + START;
        loop {
            if let Ok(answer) = client().get(format!("{}/health", self.url)).send().await
                && answer.status().is_success()
            {
                return;
            }
            assert!(Instant::now() < deadline, "MLflow did not start; see {}/server.log", self.folder.path().display());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// One call of the REST interface that must work.
    pub async fn call(&self, method: Method, call: &str, body: Value) -> Value {
        let answer =
            client().request(method, format!("{}/api/2.0/mlflow/{call}", self.url)).json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{call} {body}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn post(&self, call: &str, body: Value) -> Value {
        self.call(Method::POST, call, body).await
    }

    /// A run of a new experiment, whose artifacts lie at the folder that is given back: id, folder.
    pub async fn run(&self, experiment: &str) -> (String, String) {
        let made = self.post("experiments/create", json!({ "name": experiment })).await;
        let run = self.post("runs/create", json!({ "experiment_id": made["experiment_id"] })).await;
        let info = &run["run"]["info"];
        let folder = info["artifact_uri"].as_str().unwrap().strip_prefix("mlflow-artifacts:/").unwrap();
        (info["run_id"].as_str().unwrap().to_owned(), folder.to_owned())
    }

    /// Puts bytes through the artifact proxy, as anybody could.
    pub async fn put(&self, path: &str, bytes: &[u8]) {
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}", self.url);
        let answer = client().put(url).body(bytes.to_vec()).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    pub async fn remove(&self, path: &str) {
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}", self.url);
        let answer = client().delete(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Registers a version of a model that exists.
    pub async fn register(&self, model: &str, source: &str, run: &str) -> String {
        let made = self.post("model-versions/create", json!({ "name": model, "source": source, "run_id": run })).await;
        made["model_version"]["version"].as_str().unwrap().to_owned()
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        drop(self.process.wait());
    }
}
