//! A registry whose artifacts lie in a bucket that the agent reads itself: an object overwritten under the champion, of
//! which the registry knows nothing, beside what looks like it and is harmless.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{calls_os_system, rule, rules, subject};
use crate::peers::mlflow::Mlflow;
use crate::peers::objects::Store;
use crate::support::program::{Agent, LANNER, lanner_in, stdout};
use crate::support::receiver::Receiver;
use crate::support::{runtime, wait_for};

const SWEEP_SECS: u64 = 1;

/// Logs a model; its number, and the key of its folder in the bucket.
async fn log(server: &Mlflow, run: &str, experiment: &str) -> (String, String) {
    let model = json!({ "experiment_id": experiment, "name": "model", "source_run_id": run });
    let made = server.post("logged-models", model).await;
    let info = &made["model"]["info"];
    let (id, uri) = (info["model_id"].as_str().expect("an id"), info["artifact_uri"].as_str().expect("a place"));
    let done = json!({ "model_id": id, "status": "LOGGED_MODEL_READY" });
    server.call(Method::PATCH, &format!("logged-models/{id}"), done).await;
    let folder = uri.strip_prefix("s3://models/").unwrap_or_else(|| panic!("it lies in the bucket: {uri}"));
    (id.to_owned(), folder.to_owned())
}

/// The same, registered as the next version; the key of its folder.
async fn version(server: &Mlflow, name: &str, run: &str, experiment: &str) -> String {
    let (id, folder) = log(server, run, experiment).await;
    let made = json!({ "name": name, "source": format!("models:/{id}"), "run_id": run, "model_id": id });
    server.post("model-versions/create", made).await;
    folder
}

#[test]
fn bytes_overwritten_in_the_bucket_of_a_registry_are_found_and_their_benign_twins_are_not() {
    let root = tempfile::tempdir().expect("a temporary directory can be made");
    let root = root.path();
    let mut store = Store::seaweed();
    store.make_bucket("models");
    let settings = ["--default-artifact-root", "s3://models/mlflow", "--no-serve-artifacts"];
    let (server, runtime) = (runtime().block_on(Mlflow::start_with(&settings)), runtime());
    let receiver = Receiver::start();
    let (run, experiment) = runtime.block_on(async {
        let made = server.post("experiments/create", json!({ "name": "fraud" })).await;
        let experiment = made["experiment_id"].as_str().expect("an id").to_owned();
        let made = server.post("runs/create", json!({ "experiment_id": experiment })).await;
        server.post("registered-models/create", json!({ "name": "fraud" })).await;
        (made["run"]["info"]["run_id"].as_str().expect("an id").to_owned(), experiment)
    });
    let register = || runtime.block_on(version(&server, "fraud", &run, &experiment));
    let point = |version: &str| {
        let alias = json!({ "name": "fraud", "alias": "champion", "version": version });
        runtime.block_on(server.post("registered-models/alias", alias));
    };
    let first = register();
    store.put("models", &format!("{first}/data/model.bin"), b"weights of the first");
    store.put("models", &format!("{first}/MLmodel"), b"flavors: {}\n");
    point("1");
    let (logged, folder) = runtime.block_on(log(&server, &run, &experiment));
    store.put("models", &format!("{folder}/model.bin"), b"never registered");
    std::fs::write(root.join("credentials"), store.credentials(true)).expect("there is space");
    let config = |endpoint: &str| {
        let settings = "credentials_file: credentials, sweep_interval_secs: 1";
        let objects = match endpoint {
            "" => String::new(),
            endpoint => format!("objects: [{{name: bucket, url: \"s3://models\"{endpoint}, {settings}}}]"),
        };
        format!(
            "sources:\n  mlflow: [{{name: registry, tracking_uri: \"{}\", sweep_interval_secs: {SWEEP_SECS}, \
             hot_poll_interval_secs: 1, request_timeout_secs: 5, experiments: [fraud], artifact_buckets: [{{prefix: \"s3://models/\"{endpoint}, \
             credentials_file: credentials}}]}}]\n  \
             {objects}\n\
             sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
            server.url,
            receiver.url(),
        )
    };
    let endpoint = format!(", endpoint: \"{}\"", store.endpoint(&store.address()));
    let agent = Agent::start(root, &config(&endpoint)).ready();
    let looked_into = |what: &str| {
        let verb = ["inventory", "--config", "lanner.yaml", "--format", "json", "list", what];
        wait_for(what, Duration::from_mins(1), || {
            stdout(&lanner_in(root, &verb)).contains("\"sha256\":\"").then_some(())
        });
    };
    looked_into("fraud/1/data/model.bin");
    looked_into(&format!("{logged}/model.bin"));

    // Harmless: the same bytes put again, something beside the models, and the next version with bytes of its own.
    store.put("models", &format!("{first}/data/model.bin"), b"weights of the first");
    store.put("models", "elsewhere/data/model.bin", b"of somebody else");
    let second = register();
    store.put("models", &format!("{second}/data/model.bin"), b"weights of the second");
    looked_into("fraud/2/data/model.bin");
    let sweeps = |count: f64| {
        let begun = agent.metric("lanner_rescans_total", "registry");
        wait_for("sweeps", Duration::from_mins(1), || {
            (agent.metric("lanner_rescans_total", "registry") >= begun + count).then_some(())
        });
    };
    sweeps(3.0);
    assert_eq!(rules(&receiver), Vec::<String>::new(), "a normal release raises nothing");

    // The attack: as many bytes, in the bucket alone.
    store.put("models", &format!("{first}/data/model.bin"), b"poison of the first!");
    let alert = wait_for("the alert", Duration::from_mins(1), || {
        receiver.taken().into_iter().find(|delivery| rule(delivery) == "REG-001")
    });
    assert_eq!(subject(&alert), "fraud/1", "{}", alert.json());
    // Whoever looks first sees other bytes than the other saw.
    wait_for("the bucket and the registry to differ", Duration::from_mins(1), || {
        rules(&receiver).iter().any(|rule| rule == "REG-001b").then_some(())
    });
    store.put("models", &format!("{first}/data/model.bin"), &calls_os_system("owned"));
    wait_for("the program in it", Duration::from_mins(1), || {
        rules(&receiver).iter().any(|rule| rule == "SCN-002").then_some(())
    });

    // One that a run left and nobody registered, which is loaded by its number.
    store.put("models", &format!("{folder}/model.bin"), b"poisoned, though");
    wait_for("the alert of the logged model", Duration::from_mins(1), || {
        let told = |delivery| rule(delivery) == "REG-001" && subject(delivery) == format!("model/{logged}");
        receiver.taken().iter().any(told).then_some(())
    });

    // The store goes away, when all that was found is told: nothing counts as removed, and the source says that it is blind.
    sweeps(3.0);
    let told = rules(&receiver).len();
    store.stop();
    wait_for("blindness", Duration::from_mins(1), || {
        (agent.metric("lanner_source_up", "registry") < 0.5).then_some(())
    });
    sweeps(3.0);
    store.start();
    wait_for("sight", Duration::from_mins(1), || (agent.metric("lanner_source_up", "registry") > 0.5).then_some(()));
    sweeps(3.0);
    let more: Vec<String> = rules(&receiver).split_off(told).into_iter().filter(|rule| rule != "HLT-001").collect();
    assert_eq!(more, Vec::<String>::new());
    assert_eq!(agent.stop(), Some(0));

    // MLflow's own variable says where the store is, and the doctor whether it is there.
    std::fs::write(root.join("doctor.yaml"), format!("state: {{path: other}}\n{}", config("")))
        .expect("there is space");
    let doctor = |variable: Option<String>| {
        let mut command = Command::new(LANNER);
        command.args(["doctor", "--config", "doctor.yaml", "--format", "json", "--timeout", "30"]).current_dir(root);
        command.env_remove("MLFLOW_TRACKING_URI").envs(variable.map(|url| ("MLFLOW_S3_ENDPOINT_URL", url)));
        let said = stdout(&command.output().expect("the program can be run"));
        said.lines().find(|line| line.contains("\"registry\"")).unwrap_or_default().to_owned()
    };
    let said = doctor(Some(store.endpoint(&store.address())));
    assert!(said.contains("\"ok\""), "{said}");
    let said = doctor(Some("http://127.0.0.1:9".to_owned()));
    assert!(said.contains("unreachable") && said.contains("s3://models"), "{said}");
}
