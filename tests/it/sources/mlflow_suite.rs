//! The contract of all sources, for `MLflow` without and with basic authentication: its entries are the artifacts of
//! one version, and the many of its large listing are models.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lanner::base::uri::encode_path;
use lanner::sources::mlflow::Config;
use lanner::sources::{Settings as _, Source};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::suite::{World, everything};
use crate::peers::process::Process;
use crate::support::{client, free_port, peers, run_python, runtime};

const PASSWORD: &str = "Adm1n-of-the-tests!";
/// Puts models into the database, as no client could in this time; the server sees them at once.
const FILL: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
names = open(sys.argv[2]).read().split("\n")
columns = [row[1] for row in database.execute("PRAGMA table_info(registered_models)")]
known = {"creation_time": 1, "last_updated_time": 1, "workspace": "default"}
extra = [column for column in columns if column in known]
marks = ", ".join("?" for _ in range(len(extra) + 1))
database.executemany(
    f"INSERT INTO registered_models (name, {', '.join(extra)}) VALUES ({marks})",
    [(name, *[known[column] for column in extra]) for name in names],
)
database.commit()
"#;

/// The same for versions of those models.
const FILL_VERSIONS: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
names, each = open(sys.argv[2]).read().split("\n"), int(sys.argv[3])
columns = [row[1] for row in database.execute("PRAGMA table_info(model_versions)")]
known = {"creation_time": 1, "last_updated_time": 1, "current_stage": "None", "status": "READY", "workspace": "default"}
extra = [column for column in columns if column in known]
marks = ", ".join("?" for _ in range(len(extra) + 3))
rows = (
    (name, version, f"s3://bucket/models/{name}/{version}", *[known[column] for column in extra])
    for name in names for version in range(1, each + 1)
)
database.executemany(f"INSERT INTO model_versions (name, version, source, {', '.join(extra)}) VALUES ({marks})", rows)
database.commit()
"#;

pub struct Registry {
    process: Process,
    url: String,
    password: bool,
    /// Where the artifacts of the version lie.
    folder: String,
}

impl Registry {
    pub fn start(password: bool) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let mut command = Command::new(peers().join("venv/bin/mlflow"));
        command.args(["server", "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination"]);
        command.arg(folder.path().join("artifacts"));
        command.args(["--serve-artifacts", "--host", "127.0.0.1", "--workers", "1", "--port", &port.to_string()]);
        command.env("MLFLOW_DISABLE_TELEMETRY", "true").env("DO_NOT_TRACK", "1");
        command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
        if password {
            let settings = "[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///auth.db\n\
                            admin_username = admin\nauth_cache_ttl_seconds = 600\n\
                            authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n";
            std::fs::write(folder.path().join("auth.ini"), settings).unwrap();
            command.args(["--app-name", "basic-auth"]);
            command.env("MLFLOW_FLASK_SERVER_SECRET_KEY", "tests").env("MLFLOW_AUTH_ADMIN_PASSWORD", PASSWORD);
            command.env("MLFLOW_AUTH_CONFIG_PATH", folder.path().join("auth.ini"));
        }
        let url = format!("http://127.0.0.1:{port}");
        let process = Process::start(folder, command, &format!("{url}/health"));
        let mut registry = Self { process, url, password, folder: String::new() };
        let made = registry.call("experiments/create", &json!({ "name": "suite" }));
        let run = registry.call("runs/create", &json!({ "experiment_id": made["experiment_id"] }));
        let info = &run["run"]["info"];
        let folder = info["artifact_uri"].as_str().unwrap().strip_prefix("mlflow-artifacts:/").unwrap();
        registry.folder = format!("{folder}/model");
        registry.call("registered-models/create", &json!({ "name": "suite" }));
        let source = format!("mlflow-artifacts:/{}", registry.folder);
        registry.call("model-versions/create", &json!({ "name": "suite", "source": source, "run_id": info["run_id"] }));
        registry
    }

    fn request(&self, method: Method, call: &str) -> reqwest::RequestBuilder {
        let request = client().request(method, format!("{}/api/2.0/{call}", self.url));
        if self.password { request.basic_auth("admin", Some(PASSWORD)) } else { request }
    }

    fn send(request: reqwest::RequestBuilder) -> String {
        runtime().block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert!(status.is_success(), "{status} {text}");
            text
        })
    }

    fn call(&self, call: &str, body: &Value) -> Value {
        let method = if call.ends_with("/delete") { Method::DELETE } else { Method::POST };
        serde_json::from_str(&Self::send(self.request(method, &format!("mlflow/{call}")).json(body))).unwrap()
    }

    fn config(&self, url: &str, password: &str) -> Config {
        let file = self.process.folder().join(password);
        std::fs::write(&file, password).unwrap();
        Config {
            tracking_uri: Some(url.to_owned()),
            username: self.password.then(|| "admin".to_owned()),
            password_file: self.password.then_some(file),
            hot_poll_interval_secs: 3600,
            sweep_interval_secs: 1,
            ..Config::default()
        }
    }

    /// Settings that say how often it is looked at, and that leave the bytes out.
    pub fn paced(&self, hot_secs: u64, sweep_secs: u64, stretch: u64) -> Config {
        Config {
            hot_poll_interval_secs: hot_secs,
            sweep_interval_secs: sweep_secs,
            sweep_stretch_max: stretch,
            artifact_requests_max: 1,
            ..self.config(&self.url, PASSWORD)
        }
    }

    /// Gives each model that was put into the database so many versions.
    pub fn fill_versions(&self, each: u32) {
        let folder = self.process.folder();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        run_python(FILL_VERSIONS, &[&text(&folder.join("mlflow.db")), &text(&folder.join("names")), &each.to_string()]);
    }

    /// Points an alias, as a client would.
    pub fn alias(&self, name: &str, version: &str) {
        let body = json!({ "name": model(name), "alias": "champion", "version": version });
        self.call("registered-models/alias", &body);
    }

    fn artifact(&self, name: &str) -> String {
        format!("mlflow-artifacts/artifacts/{}/{}", self.folder, encode_path(name))
    }
}

/// Models have no slash in their names.
fn model(name: &str) -> String {
    name.replace('/', "-")
}

impl World for Registry {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        self.config(&format!("http://{by}"), PASSWORD).build().unwrap()
    }

    fn address(&self) -> String {
        self.url.strip_prefix("http://").unwrap().to_owned()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        self.password.then(|| self.config(&self.url, "guessed").build().unwrap())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        Self::send(self.request(Method::PUT, &self.artifact(name)).body(bytes.to_vec()));
    }

    fn delete(&mut self, name: &str) {
        if name.starts_with("many/") {
            self.call("registered-models/delete", &json!({ "name": model(name) }));
        } else {
            Self::send(self.request(Method::DELETE, &self.artifact(name)));
        }
    }

    fn key(&self, name: &str, _bytes: &[u8]) -> String {
        format!("artifact/suite/1/{}", encode_path(name))
    }

    fn stop(&mut self) {
        self.process.stop();
    }

    fn start(&mut self) {
        self.process.again();
    }

    fn fill(&mut self, names: &[String]) {
        let list = self.process.folder().join("names");
        let names: Vec<String> = names.iter().map(|name| model(name)).collect();
        std::fs::write(&list, names.join("\n")).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        run_python(FILL, &[&text(&self.process.folder().join("mlflow.db")), &text(&list)]);
    }

    fn odd_names(&self) -> Vec<&'static str> {
        vec!["späte/mo del.bin", "a+b c.pkl", "🤗.safetensors", "deep/er/and/deep/er/config.json"]
    }
}

#[test]
fn a_plain_server_keeps_the_contract_of_all_sources() {
    everything(&mut Registry::start(false));
}

#[test]
fn a_server_with_passwords_keeps_it_too() {
    everything(&mut Registry::start(true));
}

#[test]
fn a_reader_is_told_that_webhooks_are_for_administrators_and_sees_everything_else() {
    let registry = Registry::start(true);
    registry.call("users/create", &json!({ "username": "reader", "password": "Just-a-reader-1!" }));
    let file = registry.process.folder().join("reader");
    std::fs::write(&file, "Just-a-reader-1!").unwrap();
    let config = Config {
        username: Some("reader".to_owned()),
        password_file: Some(file),
        ..registry.config(&registry.url, PASSWORD)
    };
    runtime().block_on(async {
        let mut running = super::harness::start(config);
        running.listed().await;
        assert!(running.records.contains_key("version/suite/1"));
        let state = running.state();
        assert!(state.notes["webhooks_unseen"].contains("administrators"), "{state:?}");
        assert!(state.blind.is_empty(), "{state:?}");
        running.stop().await;
    });
    runtime().block_on(async {
        let mut running = super::harness::start(registry.config(&registry.url, PASSWORD));
        running.listed().await;
        assert!(!running.state().notes.contains_key("webhooks_unseen"), "{:?}", running.state());
        running.stop().await;
    });
}
