//! The source of OCI registries against answers that the registry of the Docker project does not give: pages, tokens,
//! and lies.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanner::event::Sha256;
use lanner::sources::oci::Config;
use serde_json::{Value, json};

use super::oci::{running, version};
use crate::peers::stub::{self, Answer};

fn answer(value: &Value) -> Answer {
    (200, Vec::new(), value.to_string().into_bytes())
}

/// A page of a list, with where it goes on.
fn page(value: &Value, next: Option<&str>) -> Answer {
    let link = next.map(|next| ("link", format!("<{next}>; rel=\"next\"")));
    (200, link.into_iter().collect(), value.to_string().into_bytes())
}

#[test]
fn pages_are_turned_and_each_repository_has_its_own_token() {
    let manifest = json!({ "config": { "mediaType": "application/vnd.oci.empty.v1+json" }, "layers": [] }).to_string();
    let digest = format!("sha256:{}", Sha256::of(manifest.as_bytes()));
    let (given, promised) = (manifest.clone(), digest.clone());
    let scopes = Arc::new(Mutex::new(BTreeSet::new()));
    let asked_for = Arc::clone(&scopes);
    let server = stub::start(move |asked| {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        if path == "/token" {
            let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap();
            asked_for.lock().unwrap().insert(scope.to_owned());
            return answer(&json!({ "token": scope }));
        }
        // Whoever comes with the token of another place is asked again.
        let repository =
            path.strip_prefix("/v2/").and_then(|rest| rest.split_once("/manifests/").or(rest.split_once("/tags/")));
        let wanted = match repository {
            Some((name, _)) => format!("repository%3A{}%3Apull", name.replace('/', "%2F")),
            None => "registry%3Acatalog%3A*".to_owned(),
        };
        if asked.header("authorization") != Some(&format!("Bearer {wanted}")) {
            let realm = format!("Bearer realm=\"http://{}/token\",service=\"models\"", asked.header("host").unwrap());
            return (401, vec![("www-authenticate", realm)], Vec::new());
        }
        match (path, query.contains("last=")) {
            ("/v2/_catalog", false) => {
                page(&json!({ "repositories": ["team/a"] }), Some("/v2/_catalog?last=team%2Fa&n=1"))
            }
            ("/v2/_catalog", true) => page(&json!({ "repositories": ["team/b"] }), None),
            ("/v2/team/a/tags/list", false) => page(&json!({ "tags": ["v1"] }), Some("/v2/team/a/tags/list?last=v1")),
            ("/v2/team/a/tags/list", true) => page(&json!({ "tags": ["v2"] }), None),
            ("/v2/team/b/tags/list", _) => page(&json!({ "tags": null }), None),
            // Some registries do not tell the digest with a HEAD.
            ("/v2/team/a/manifests/v1", _) => (200, Vec::new(), given.clone().into_bytes()),
            (path, _) if path.starts_with("/v2/team/a/manifests/") => {
                (200, vec![("docker-content-digest", promised.clone())], given.clone().into_bytes())
            }
            (path, _) => panic!("nobody asks for {path}"),
        }
    });
    let (running, runtime) = running(Config { registry: server.host.clone(), ..Config::default() });
    assert!(running.state().blind.is_empty(), "{:?}", running.state());
    let record = &running.records["model/team%2Fa"];
    assert_eq!(
        record.attributes["ml.model.alias_versions"],
        lanner::event::Value::from(vec![format!("v1={digest}"), format!("v2={digest}")])
    );
    assert!(running.records.contains_key(&version("team/a", &digest)));
    assert!(!running.records.contains_key("model/team%2Fb"), "no tag leads there");
    let expected = ["registry%3Acatalog%3A*", "repository%3Ateam%2Fa%3Apull", "repository%3Ateam%2Fb%3Apull"];
    assert_eq!(*scopes.lock().unwrap(), expected.map(str::to_owned).into_iter().collect());
    runtime.block_on(running.stop());
}

#[test]
fn a_registry_that_lies_is_told_and_leads_nowhere() {
    let elsewhere = stub::start(|_| panic!("nobody asks a stranger"));
    let digest = format!("sha256:{}", Sha256::of(b"promised"));
    let (link, told) = (format!("<http://{}/v2/_catalog?n=1>; rel=\"next\"", elsewhere.host), digest.clone());
    let server = stub::start(move |asked| match asked.path.split('?').next().unwrap() {
        "/v2/_catalog" => answer(&json!({ "repositories": ["team/llm", "../etc", "a//b", "UPPER", "team/paged"] })),
        "/v2/team/llm/tags/list" => answer(&json!({ "tags": ["v1", "../../x", "a b", ""] })),
        "/v2/team/paged/tags/list" => (200, vec![("link", link.clone())], b"{\"tags\":[\"v1\"]}".to_vec()),
        path if path.starts_with("/v2/team/llm/manifests/") => {
            (200, vec![("docker-content-digest", told.clone())], b"{\"layers\":[]}".to_vec())
        }
        path => panic!("nobody asks for {path}"),
    });
    let (mut running, runtime) =
        running(Config { registry: server.host.clone(), sweep_interval_secs: 1, ..Config::default() });
    let blind = running.state().blind;
    assert!(blind["name"].contains("no repository"), "{blind:?}");
    assert!(blind["manifest"].contains(&digest), "{blind:?}");
    assert!(blind["garbage"].contains("team/paged"), "{blind:?}");
    assert_eq!(running.records.keys().collect::<Vec<_>>(), ["model/team%2Fllm"]);
    assert!(running.kept.contains(&version("team/llm", &digest)), "{:?}", running.kept);
    runtime.block_on(running.during(Duration::from_secs(2)));
    assert!(running.log.is_empty(), "{:?}", running.log);
    runtime.block_on(running.stop());
}
