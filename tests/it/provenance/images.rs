//! Images at a real registry, signed as cosign signs them. cosign itself is no package of this system; its
//! signatures are made here after its specification.

use serde_json::{Value, json};

use super::maker::{TYPE, encode, file, hint, pae, sign, text};
use crate::peers::registry::Registry;
use crate::support::program::{lanner, stderr, stdout};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const COSIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const REPOSITORY: &str = "team/model";

struct Stage {
    registry: Registry,
    /// `sha256:…` of the image.
    digest: String,
    image: String,
}

fn stage() -> Stage {
    let registry = Registry::start();
    let digest = registry.artifact(REPOSITORY, "v1", &[("model.safetensors", b"weights")]);
    let image = format!("oci://{}/{REPOSITORY}:v1", registry.host);
    Stage { registry, digest, image }
}

/// A statement about a digest, signed, as a bundle.
fn bundle(key: &str, predicate: &str, digest: &str, body: &Value) -> Vec<u8> {
    let payload = serde_json::to_vec(&json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": digest.trim_start_matches("sha256:") } }],
        "predicateType": predicate,
        "predicate": body,
    }))
    .unwrap();
    let signature = sign(key, &pae(TYPE, &payload));
    serde_json::to_vec(&json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": hint(key) } },
        "dsseEnvelope": { "payload": encode(&payload), "payloadType": TYPE, "signatures": [{ "sig": encode(&signature) }] },
    }))
    .unwrap()
}

fn simple(digest: &str, kind: &str) -> Vec<u8> {
    serde_json::to_vec(&json!({
        "critical": {
            "identity": { "docker-reference": "registry.example.com/team/model" },
            "image": { "docker-manifest-digest": digest },
            "type": kind,
        },
        "optional": null,
    }))
    .unwrap()
}

const SIMPLE: &str = "cosign container image signature";

impl Stage {
    fn config(&self) -> Value {
        json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": self.registry.blob(REPOSITORY, b"{}"), "size": 2 })
    }

    /// Lays bundles beside the image, as cosign 3 does where a registry knows no referrers: under a tag.
    fn attach(&self, bundles: &[Vec<u8>]) {
        let referrers: Vec<Value> = bundles
            .iter()
            .enumerate()
            .map(|(number, bundle)| {
                let manifest = json!({
                    "schemaVersion": 2,
                    "mediaType": MANIFEST,
                    "artifactType": BUNDLE,
                    "config": self.config(),
                    "layers": [{ "mediaType": BUNDLE, "digest": self.registry.blob(REPOSITORY, bundle), "size": bundle.len() }],
                    "annotations": { "number": number.to_string() },
                });
                let digest = self.registry.manifest(REPOSITORY, &format!("bundle-{number}"), &manifest);
                let size = serde_json::to_vec(&manifest).unwrap().len();
                json!({ "mediaType": MANIFEST, "artifactType": BUNDLE, "digest": digest, "size": size })
            })
            .collect();
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": referrers,
        });
        self.registry.manifest(REPOSITORY, &self.digest.replace(':', "-"), &index);
    }

    /// Lays payloads with their signatures beside the image, as cosign 1 and 2 do.
    fn attach_simple(&self, signed: &[(Vec<u8>, Value)]) {
        let layers: Vec<Value> = signed
            .iter()
            .map(|(payload, annotations)| {
                json!({
                    "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                    "digest": self.registry.blob(REPOSITORY, payload), "size": payload.len(), "annotations": annotations,
                })
            })
            .collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": self.config(), "layers": layers });
        self.registry.manifest(REPOSITORY, &format!("{}.sig", self.digest.replace(':', "-")), &manifest);
    }

    fn verify(&self, arguments: &[&str]) -> (i32, Value) {
        let output = lanner(&[&["verify", &self.image, "--format", "json"], arguments].concat());
        let json = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        (output.status.code().unwrap(), json)
    }

    #[track_caller]
    fn expect(&self, arguments: &[&str], reason: &str) {
        let (code, found) = self.verify(arguments);
        assert_eq!((code, found["reason"].as_str()), (i32::from(!reason.is_empty()), Some(reason)), "{found}");
    }
}

fn annotated(key: &str, payload: &[u8]) -> Value {
    json!({ "dev.cosignproject.cosign/signature": encode(&sign(key, payload)) })
}

#[test]
fn bundles_beside_an_image_are_verified() {
    let stage = stage();
    let key = file("key-p256.pub");
    let trust = ["--public-key", key.to_str().unwrap()];
    stage.expect(&trust, "unsigned");
    let sound = bundle("key-p256", COSIGN, &stage.digest, &json!({}));
    stage.attach(std::slice::from_ref(&sound));
    let (code, found) = stage.verify(&trust);
    assert_eq!((code, &found["reason"]), (0, &"".into()), "{found}");
    assert_eq!(found["root_digest"], stage.digest.trim_start_matches("sha256:"));
    stage.expect(&[&trust, ["--expected-subject", stage.digest.as_str()].as_slice()].concat(), "");
    stage.expect(&[&trust, ["--expected-subject", &"0".repeat(64)].as_slice()].concat(), "subject_mismatch");
    // Others may sign as well, and what they say does not matter.
    let other = bundle("key-attacker", COSIGN, &stage.digest, &json!({}));
    stage.attach(&[other.clone(), b"{}".to_vec(), sound]);
    stage.expect(&trust, "");
    stage.attach(&[other]);
    stage.expect(&trust, "key_mismatch");
    let elsewhere = bundle("key-p256", COSIGN, &"0".repeat(64), &json!({}));
    stage.attach(&[elsewhere]);
    stage.expect(&trust, "subject_mismatch");
    // The same signer says other things about images too.
    stage.attach(&[bundle("key-p256", "https://cosign.sigstore.dev/attestation/vuln/v1", &stage.digest, &json!({}))]);
    stage.expect(&trust, "wrong_predicate");
    let of_model = super::maker::Scene::key().written();
    stage.attach(&[of_model]);
    stage.expect(&trust, "wrong_predicate");
}

#[test]
fn a_bundle_may_lie_in_a_file() {
    let stage = stage();
    let key = file("key-p256.pub");
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("image.sigstore.json");
    std::fs::write(&path, bundle("key-p256", COSIGN, &stage.digest, &json!({}))).unwrap();
    stage.expect(&["--public-key", key.to_str().unwrap(), "--signature", path.to_str().unwrap()], "");
}

#[test]
fn provenance_beside_an_image_is_verified() {
    let stage = stage();
    let key = file("key-p256.pub");
    let body = json!({
        "buildDefinition": { "buildType": "t", "externalParameters": { "source": "git+https://example.com/x" },
            "resolvedDependencies": [{ "uri": "s3://data/train", "digest": { "sha256": "ab".repeat(32) } }] },
        "runDetails": { "builder": { "id": "https://builder.example.com" } },
    });
    let signature = bundle("key-p256", COSIGN, &stage.digest, &json!({}));
    stage.attach(&[signature, bundle("key-p256", "https://slsa.dev/provenance/v1", &stage.digest, &body)]);
    let trust = ["--public-key", key.to_str().unwrap(), "--type", "slsa"];
    let (code, found) = stage.verify(&[&trust, ["--builder", "https://builder.example.com"].as_slice()].concat());
    assert_eq!((code, &found["provenance"]["builder"]), (0, &"https://builder.example.com".into()), "{found}");
    assert_eq!(found["provenance"]["dependencies"][0]["digest"]["sha256"], "ab".repeat(32));
    stage.expect(&[&trust, ["--builder", "https://else.example.com"].as_slice()].concat(), "builder_mismatch");
    stage.expect(&[&trust, ["--source", "git+https://example.com/y"].as_slice()].concat(), "builder_mismatch");
}

#[test]
fn tags_of_older_versions_are_verified() {
    let stage = stage();
    let key = file("key-p256.pub");
    let trust = ["--public-key", key.to_str().unwrap()];
    let payload = simple(&stage.digest, SIMPLE);
    stage.attach_simple(&[(payload.clone(), annotated("key-p256", &payload))]);
    stage.expect(&trust, "");
    stage.expect(&[&trust, ["--type", "slsa"].as_slice()].concat(), "wrong_predicate");
    stage.attach_simple(&[(payload.clone(), annotated("key-attacker", &payload))]);
    stage.expect(&trust, "bad_signature");
    let other = simple(&format!("sha256:{}", "0".repeat(64)), SIMPLE);
    stage.attach_simple(&[(other.clone(), annotated("key-p256", &other))]);
    stage.expect(&trust, "subject_mismatch");
    let kind = simple(&stage.digest, "something else");
    stage.attach_simple(&[(kind.clone(), annotated("key-p256", &kind))]);
    stage.expect(&trust, "wrong_predicate");
    // The annotation repeats what the payload does not say.
    let mut annotations = annotated("key-p256", &other);
    annotations["dev.sigstore.cosign/digest"] = json!(stage.digest);
    stage.attach_simple(&[(other, annotations)]);
    stage.expect(&trust, "subject_mismatch");
    stage.attach_simple(&[(b"{}".to_vec(), annotated("key-p256", b"{}"))]);
    stage.expect(&trust, "bad_statement");
    stage.attach_simple(&[(payload.clone(), json!({ "dev.cosignproject.cosign/signature": "*" }))]);
    stage.expect(&trust, "bad_bundle");
    // By a certificate, with the chain beside it.
    let mut annotations = annotated("leaf", &payload);
    annotations["dev.sigstore.cosign/certificate"] = json!(text("leaf.pem"));
    annotations["dev.sigstore.cosign/chain"] = json!(text("between.pem") + &text("root.pem"));
    stage.attach_simple(&[(payload.clone(), annotations.clone())]);
    stage.expect(&["--ca", file("root.pem").to_str().unwrap()], "");
    stage.expect(&["--ca", file("root-rsa.pem").to_str().unwrap()], "untrusted");
    stage.expect(&["--identity", "a@example.com", "--issuer", "https://issuer.example.com"], "wrong_method");
    stage.expect(&trust, "wrong_method");
    // Both ways side by side: one that fits is enough.
    stage.attach(&[bundle("key-p256", COSIGN, &stage.digest, &json!({}))]);
    stage.expect(&trust, "");
}

#[test]
fn what_a_registry_changes_behind_a_digest_is_an_error() {
    let stage = stage();
    let key = file("key-p256.pub");
    let payload = simple(&stage.digest, SIMPLE);
    stage.attach_simple(&[(payload.clone(), annotated("key-p256", &payload))]);
    let digest = stage.registry.blob(REPOSITORY, &payload);
    std::fs::write(stage.registry.blob_file(&digest), vec![b' '; payload.len()]).unwrap();
    let output = lanner(&["verify", &stage.image, "--public-key", key.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("other bytes"), "{}", stderr(&output));
    let output = lanner(&["verify", "oci://127.0.0.1:1/nobody/there:v1", "--public-key", key.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
}
