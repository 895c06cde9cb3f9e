//! Provenance: who built files, and from what.

use lanner::event::Sha256;
use lanner::provenance::{Kind, Reason, Trust};
use serde_json::{Value, json};

use super::maker::{self, Memory, Scene, encode, files, pae, sign, text};
use super::{Case, hold};

const BUILDER: &str = "https://builder.example.com/trusted@v1";
const SOURCE: &str = "https://example.com/team/model";

fn statement(content: &Memory) -> Value {
    let subjects: Vec<Value> = content
        .files
        .iter()
        .map(|(name, bytes)| json!({ "name": name, "digest": { "sha256": Sha256::of(bytes).to_string() } }))
        .collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://example.com/train/v1",
                "externalParameters": { "workflow": { "repository": SOURCE, "ref": "refs/heads/main" } },
                "resolvedDependencies": [
                    { "uri": "git+https://example.com/team/model", "digest": { "gitCommit": "0123" } },
                    { "name": "train.jsonl", "uri": "s3://data/train.jsonl", "digest": { "sha256": "ab".repeat(32) } },
                ],
            },
            "runDetails": { "builder": { "id": BUILDER }, "metadata": { "invocationId": "1" } },
        },
    })
}

fn scene() -> Scene {
    let mut scene = Scene::key();
    scene.kind = Kind::Slsa;
    scene.statement = statement(&scene.content);
    scene
}

/// Envelopes without a bundle, one a line.
fn lines(statements: &[(&'static str, Value)]) -> String {
    let line = |(key, statement): &(&'static str, Value)| {
        let payload = serde_json::to_vec(statement).unwrap();
        let signature = encode(&sign(key, &pae(maker::TYPE, &payload)));
        json!({ "payload": encode(&payload), "payloadType": maker::TYPE, "signatures": [{ "keyid": "", "sig": signature }] })
            .to_string()
    };
    statements.iter().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

const CASES: &[Case] = &[
    ("as it was built", None, |_| {}),
    ("the builder that is asked for", None, |s| {
        s.wanted.builder = Some(BUILDER.to_owned());
        s.wanted.source = Some(SOURCE.to_owned());
    }),
    ("by an Ed25519 key, which many builders have", None, |s| s.by("key-ed25519")),
    ("with a certificate", None, |s| s.certified(&["leaf", "between"], &["root"])),
    ("another builder", Some(Reason::BuilderMismatch), |s| s.wanted.builder = Some(format!("{BUILDER}/x"))),
    ("another source", Some(Reason::BuilderMismatch), |s| s.wanted.source = Some(format!("{SOURCE}.git"))),
    ("a signature of a model instead", Some(Reason::WrongPredicate), |s| {
        s.statement = maker::statement(&s.content, "sha256");
    }),
    ("provenance of version 0.2", Some(Reason::WrongPredicate), |s| {
        s.statement["predicateType"] = json!("https://slsa.dev/provenance/v0.2");
    }),
    ("no builder", Some(Reason::BadStatement), |s| s.statement["predicate"]["runDetails"] = json!({})),
    ("a changed file", Some(Reason::DigestMismatch), |s| {
        s.content.files.insert("config.json".to_owned(), b"{}".to_vec());
    }),
    ("a file that was not built", Some(Reason::UnsignedFile), |s| {
        s.content.files.insert("evil.py".to_owned(), b"x".to_vec());
    }),
    ("a file twice", Some(Reason::BadStatement), |s| {
        let one = s.statement["subject"][0].clone();
        s.statement["subject"].as_array_mut().unwrap().push(one);
    }),
    ("a name that climbs", Some(Reason::BadStatement), |s| s.statement["subject"][0]["name"] = json!("../x")),
    ("a subject without a digest", Some(Reason::BadStatement), |s| s.statement["subject"][0]["digest"] = json!({})),
    ("signed by another", Some(Reason::BadSignature), |s| s.key = "key-attacker"),
    ("about what is expected", None, |s| {
        s.expected = Some(Sha256::of(&s.content.files["config.json"]));
    }),
    ("about something else than expected", Some(Reason::SubjectMismatch), |s| s.expected = Some(Sha256::of(b"x"))),
];

#[test]
fn provenance_is_about_these_files() {
    hold(CASES, scene);
}

#[test]
fn what_went_in_is_told() {
    let provenance = scene().verify().provenance.unwrap();
    assert_eq!((provenance.builder.as_str(), provenance.source.as_deref()), (BUILDER, Some(SOURCE)));
    let data = provenance.dependencies.iter().find(|one| one.name.as_deref() == Some("train.jsonl")).unwrap();
    assert_eq!(data.digest["sha256"], "ab".repeat(32));
    // Nothing of it is told when nobody trustworthy says it.
    let mut forged = scene();
    forged.key = "key-attacker";
    assert_eq!(forged.verify().provenance, None);
}

#[test]
fn one_of_several_statements_is_enough() {
    let mut scene = scene();
    let mut other = scene.statement.clone();
    other["subject"] = json!([{ "name": "other", "digest": { "sha256": "00".repeat(32) } }]);
    let verify = |text: String, trust: &Trust| {
        let request = lanner::provenance::Request {
            signature: text.as_bytes(),
            trust,
            kind: Kind::Slsa,
            allowed: scene.allowed.clone(),
            expected: None,
            wanted: scene.wanted.clone(),
            now: scene.now.parse().unwrap(),
        };
        lanner::provenance::verify(&request, &scene.content).reason
    };
    let sound = ("key-p256", scene.statement.clone());
    assert_eq!(verify(lines(std::slice::from_ref(&sound)), &scene.trust), None);
    assert_eq!(
        verify(lines(&[("key-attacker", other.clone()), ("key-p256", other.clone()), sound.clone()]), &scene.trust),
        None
    );
    assert_eq!(verify(lines(&[("key-attacker", scene.statement.clone())]), &scene.trust), Some(Reason::BadSignature));
    assert_eq!(verify(lines(&[("key-p256", other)]), &scene.trust), Some(Reason::MissingFile));
    let authority = Trust::authorities([text("root.pem").as_str()]).unwrap();
    assert_eq!(verify(lines(&[sound]), &authority), Some(Reason::WrongMethod));
    assert_eq!(verify("\n\n".to_owned(), &scene.trust), Some(Reason::BadBundle));
    // Bundles, one a line, as GitHub gives them.
    let bundle = String::from_utf8(scene.written()).unwrap();
    assert_eq!(verify(format!("{bundle}\n{bundle}\n"), &scene.trust), None);
    scene.content = Memory { single: Some("config.json".to_owned()), ..files(&[(".", b"{\"a\": 1}")]) };
    assert_eq!(scene.verify().reason, None);
    scene.content.files.insert(".".to_owned(), b"{}".to_vec());
    assert_eq!(scene.verify().reason, Some(Reason::DigestMismatch));
    scene.content.single = Some("elsewhere.json".to_owned());
    assert_eq!(scene.verify().reason, Some(Reason::SubjectMismatch));
}
