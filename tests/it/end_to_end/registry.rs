//! The attack that nobody else sees: the bytes of a registered model overwritten through the
//! registry's own artifact proxy, against real servers; and its benign twin.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

use super::servers::{alertmanager, prometheus};
use super::{calls_os_system, rules};
use crate::peers::mlflow::Mlflow;
use crate::support::program::{Agent, lanner_in, stdout};
use crate::support::receiver::{Delivery, Receiver};
use crate::support::{client, get, run_python, runtime, wait_for};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SWEEP_SECS: u64 = 15;

/// Registers a version of `fraud-clf` as a training job would, and points `champion` at it.
const REGISTER: &str = r#"
import mlflow, numpy, pickle, sys
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("fraud")
seed = int(sys.argv[2])
x = numpy.random.default_rng(seed).normal(size=(60, 4))
model = LogisticRegression().fit(x, x[:, 0] > 0)
with mlflow.start_run():
    mlflow.sklearn.log_model(model, name="model", registered_model_name="fraud-clf",
                             serialization_format="pickle", pip_requirements=["scikit-learn==1.9.1"])
client = MlflowClient()
version = max(client.search_model_versions("name='fraud-clf'"), key=lambda v: int(v.version))
client.set_registered_model_alias("fraud-clf", "champion", version.version)
print(client.get_model_version_download_uri("fraud-clf", version.version))
"#;

/// The version's address below `mlflow-artifacts:/`.
fn register(server: &Mlflow, seed: u32) -> String {
    let output = run_python(REGISTER, &[&server.url, &seed.to_string()]);
    let uri = output.lines().last().unwrap_or_default().to_owned();
    uri.strip_prefix("mlflow-artifacts:/")
        .unwrap_or_else(|| panic!("the server serves its artifacts: {output}"))
        .to_owned()
}

fn timestamps(server: &Mlflow) -> String {
    let (_, text) = get(&format!("{}/api/2.0/mlflow/model-versions/search", server.url)).expect("the registry answers");
    let json: serde_json::Value = serde_json::from_str(&text).expect("it answers JSON");
    let versions = json["model_versions"].as_array().cloned().unwrap_or_default();
    versions.iter().map(|version| version["last_updated_timestamp"].to_string()).collect::<Vec<_>>().join(" ")
}

fn verify(delivery: &Delivery) {
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).expect("it is base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any length will do");
    let (id, timestamp) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    mac.update(format!("{id}.{timestamp}.{}", delivery.body).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(delivery.header("webhook-signature"), expected, "the signature is that of Standard Webhooks");
    assert_eq!(delivery.json()["id"], id, "the event's id is the webhook's");
}

#[test]
fn an_overwritten_champion_reaches_people_and_its_benign_twin_does_not() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let server = runtime().block_on(Mlflow::start());
    let first = register(&server, 1);
    let manager = alertmanager(root);
    let receiver = Receiver::start();
    std::fs::write(root.join("secret"), SECRET).expect("there is space");
    let config = format!(
        "sources:\n  mlflow: [{{name: registry, tracking_uri: \"{}\", sweep_interval_secs: {SWEEP_SECS}, hot_poll_interval_secs: 1}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\", secret_file: secret}}]\n\
         \x20 alertmanager: [{{name: manager, url: \"{}\", resend_secs: 5}}]\n",
        server.url,
        receiver.url(),
        manager.url("")
    );
    let agent = Agent::start(root, &config).ready();
    let prometheus = prometheus(root, agent.port);

    // The benign twin: a second version, registered and aliased as usual.
    let second = register(&server, 2);
    assert_ne!(first, second);
    let looked_into = || {
        let verb = ["inventory", "--config", "lanner.yaml", "--format", "json", "list", "fraud-clf/2/model.pkl"];
        stdout(&lanner_in(root, &verb)).contains("\"sha256\":\"")
    };
    wait_for("the second version to be looked into", Duration::from_secs(120), || looked_into().then_some(()));
    let quiet_until = std::time::Instant::now() + Duration::from_secs(2 * SWEEP_SECS + 2);
    wait_for("two sweeps", Duration::from_secs(120), || (std::time::Instant::now() > quiet_until).then_some(()));
    assert_eq!(rules(&receiver), Vec::<String>::new(), "a normal release raises nothing");

    // The attack: one PUT, and the registry notices nothing.
    let stamps = timestamps(&server);
    let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{second}/model.pkl", server.url);
    let status = runtime().block_on(async { client().put(url).body(calls_os_system("owned")).send().await });
    assert_eq!(status.expect("the proxy answers").status().as_u16(), 200, "the proxy takes it");
    let attacked = std::time::Instant::now();
    assert_eq!(timestamps(&server), stamps, "no timestamp of the registry moved");

    let both = |rules: &[String]| ["REG-001", "SCN-002"].iter().all(|wanted| rules.iter().any(|rule| rule == wanted));
    wait_for("the signed webhook", Duration::from_secs(60), || both(&rules(&receiver)).then_some(()));
    let took = attacked.elapsed();
    assert!(took < Duration::from_secs(2 * SWEEP_SECS), "within two sweep intervals, not {took:?}");
    receiver.taken().iter().for_each(verify);
    wait_for("Alertmanager", Duration::from_secs(30), || {
        let (_, text) = get(&manager.url("/api/v2/alerts"))?;
        let alerts: Vec<serde_json::Value> = serde_json::from_str(&text).ok()?;
        let ids: Vec<String> =
            alerts.iter().map(|alert| alert["labels"]["rule_id"].as_str().unwrap_or_default().to_owned()).collect();
        both(&ids).then_some(())
    });
    wait_for("the shipped rule in Prometheus", Duration::from_secs(60), || {
        let (_, text) = get(&prometheus.url("/api/v1/alerts"))?;
        (text.contains("LannerDetection") && text.contains("\"firing\"") && text.contains("REG-001")).then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}
