//! Workspaces of a real server: models of the same name in several, none taken for another.

use lanner::sources::Hint;
use lanner::sources::mlflow::Config;
use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Running, start};
use crate::peers::mlflow::Mlflow;
use crate::support::client;

struct Spaces(Mlflow);

impl Spaces {
    async fn start() -> Self {
        let settings = ["--serve-artifacts", "--artifacts-destination", "artifacts", "--enable-workspaces"];
        Self(Mlflow::start_with(&settings).await)
    }

    async fn send(&self, space: &str, method: Method, call: &str, body: Vec<u8>) -> String {
        let request = client().request(method, format!("{}/api/{call}", self.0.url)).body(body);
        let answer = request.header("X-MLFLOW-WORKSPACE", space).header("content-type", "application/json");
        let answer = answer.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{call} in {space}: {status} {text}");
        text
    }

    async fn post(&self, space: &str, call: &str, body: Value) -> Value {
        let text = self.send(space, Method::POST, &format!("2.0/mlflow/{call}"), body.to_string().into_bytes()).await;
        serde_json::from_str(&text).unwrap()
    }

    /// Puts bytes of a version of `fraud`, and registers it; where they lie.
    async fn version(&self, space: &str, experiment: &str, bytes: &str) -> String {
        let made = self.post(space, "experiments/create", json!({ "name": experiment })).await;
        let body = json!({ "experiment_id": made["experiment_id"], "user_id": format!("ada of {space}") });
        let made = self.post(space, "runs/create", body).await;
        let info = &made["run"]["info"];
        let uri = info["artifact_uri"].as_str().unwrap();
        let folder = uri.strip_prefix("mlflow-artifacts:/").unwrap().to_owned();
        self.put(space, &folder, bytes).await;
        let body = json!({ "name": "fraud", "source": format!("{uri}/model"), "run_id": info["run_id"] });
        self.post(space, "model-versions/create", body).await;
        folder
    }

    async fn put(&self, space: &str, folder: &str, bytes: &str) {
        let call = format!("2.0/mlflow-artifacts/artifacts/{folder}/model/weights.bin");
        self.send(space, Method::PUT, &call, bytes.as_bytes().to_vec()).await;
    }
}

fn config(url: &str, workspaces: &[&str]) -> Config {
    Config {
        tracking_uri: Some(url.to_owned()),
        workspaces: workspaces.iter().map(|&name| name.to_owned()).collect(),
        hot_poll_interval_secs: 1,
        sweep_interval_secs: 2,
        ..Config::default()
    }
}

async fn bytes(running: &Running, key: &str) -> String {
    let artifact = running.records[key].artifact.clone().unwrap();
    let opened = running.source.store().unwrap().open(&artifact).await.unwrap();
    let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
    assert_eq!(opened.read_at(0, &mut bytes).unwrap(), bytes.len());
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_of_one_name_in_several_workspaces_are_kept_apart() {
    let server = Spaces::start().await;
    let spaces = ["default", "team-a", "team-b"];
    let mut folders = Vec::new();
    for space in spaces {
        if space != "default" {
            let body = json!({ "name": space }).to_string().into_bytes();
            server.send("default", Method::POST, "3.0/mlflow/workspaces", body).await;
        }
        server.post(space, "registered-models/create", json!({ "name": "fraud" })).await;
        folders.push(server.version(space, "first", &format!("weights of {space}")).await);
    }

    // Whoever says nothing of workspaces sees the default one, and is told that there are others.
    let mut running = start(config(&server.0.url, &[]));
    running.listed().await;
    assert!(running.records.contains_key("version/fraud/1"), "{:?}", running.records.keys());
    running.until("a note", |running| running.state().notes.contains_key("workspaces_unseen")).await;
    running.stop().await;

    let mut running = start(config(&server.0.url, &["*"]));
    running.listed().await;
    for space in spaces {
        let key = format!("version/{space}%2Ffraud/1");
        let fields = &running.records[&key].attributes;
        assert_eq!(fields["ml.model.name"], format!("{space}/fraud").into());
        assert_eq!(fields["ml.model.workspace"], space.into());
        assert_eq!(fields["ml.run.user"], format!("ada of {space}").into(), "runs are asked for where they are");
        assert_eq!(
            bytes(&running, &format!("artifact/{space}%2Ffraud/1/weights.bin")).await,
            format!("weights of {space}")
        );
    }
    running.during(std::time::Duration::from_secs(5)).await;
    assert_eq!(running.log, [""; 0], "nothing happened");

    // Overwritten in one of them: told of that one alone.
    server.put("team-b", &folders[2], "poison for team-b").await;
    running.until("the overwritten bytes", |running| running.log == ["+artifact/team-b%2Ffraud/1/weights.bin"]).await;
    running.log.clear();
    // A new version, and an alias of which a webhook tells.
    server.version("team-a", "second", "more").await;
    running.until("it", |running| running.records.contains_key("artifact/team-a%2Ffraud/2/weights.bin")).await;
    assert_eq!(bytes(&running, "artifact/team-a%2Ffraud/2/weights.bin").await, "more");
    server
        .post("team-a", "registered-models/alias", json!({ "name": "fraud", "alias": "champion", "version": "1" }))
        .await;
    let body = json!({ "workspace": "team-a", "data": { "name": "fraud", "alias": "champion", "version": "1" } });
    running.hints.push(1, body);
    running
        .until("the alias", |running| {
            let told = running.applied.iter().find(|record| record.key == "model/team-a%2Ffraud");
            told.is_some_and(|record| matches!(record.hint, Hint::Webhook | Hint::Sweep))
        })
        .await;
    assert!(running.log.iter().all(|told| told.contains("team-a")), "{:?}", running.log);
    running.stop().await;

    // One that is deleted with all that it held is gone, and no other is.
    let mut running = start(config(&server.0.url, &["*"]));
    running.listed().await;
    server.post("team-b", "registered-models/create", json!({ "name": "last" })).await;
    running.until("its last model", |running| running.records.contains_key("model/team-b%2Flast")).await;
    server.send("default", Method::DELETE, "3.0/mlflow/workspaces/team-b?mode=CASCADE", b"{}".to_vec()).await;
    running.until("it to be gone", |running| !running.records.keys().any(|key| key.contains("team-b%2F"))).await;
    assert!(running.records.contains_key("version/team-a%2Ffraud/2") && running.state().blind.is_empty());
    running.stop().await;

    // One that is not there is told, and the others are seen.
    let mut running = start(config(&server.0.url, &["team-a", "nowhere"]));
    running.listed().await;
    assert!(running.records.contains_key("version/team-a%2Ffraud/2"));
    assert!(!running.records.contains_key("version/team-b%2Ffraud/1"));
    assert!(running.kept.contains(&"model/nowhere%2F".to_owned()), "{:?}", running.kept);
    let blind = format!("{:?}", running.state().blind);
    assert!(blind.contains("`nowhere`"), "{blind}");
    running.stop().await;
}
