//! Makes signatures, good and bad: keys and certificates come from a script, signatures from here.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanner::event::Sha256;
use lanner::provenance::{Allowed, Content, Entry, EntryKind, Kind, Outcome, ReadError, Request, Trust, slsa, verify};
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;

use crate::support::python;

pub const TYPE: &str = "application/vnd.in-toto+json";
pub const PREDICATE: &str = "https://model_signing/signature/v1.0";

/// The folder of keys and certificates, made once for all tests.
pub fn pki() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/certificates.py");
        let output = Command::new(python()).arg(script).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
    });
    made.path()
}

pub fn file(name: &str) -> PathBuf {
    pki().join(name)
}

pub fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).unwrap()
}

/// Signs with the key of this name, with the digest that fits its curve.
pub fn sign(key: &str, message: &[u8]) -> Vec<u8> {
    let der = bytes(&format!("{key}.key"));
    let of_curves = [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
        &ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ];
    if let Some(pair) = of_curves.into_iter().find_map(|algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &der).ok()) {
        return pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    }
    match Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
        Ok(pair) => pair.sign(message).as_ref().to_vec(),
        // Keys of RSA are refused before anybody looks at a signature.
        Err(_) => vec![0x30, 0x06, 2, 1, 1, 2, 1, 1],
    }
}

/// SHA-256 with a key on P-384, which no version of the specification does.
pub fn sign_with_sha256(key: &str, message: &[u8]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("message");
    std::fs::write(&path, message).unwrap();
    let mut command = Command::new("openssl");
    let output =
        command.args(["dgst", "-sha256", "-sign"]).arg(file(&format!("{key}.pem.key"))).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

pub fn hint(key: &str) -> String {
    Sha256::of(text(&format!("{key}.pub")).as_bytes()).to_string()
}

pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub single: Option<String>,
    pub files: BTreeMap<String, Vec<u8>>,
    /// What is there beside files, or in their place.
    pub kinds: BTreeMap<String, EntryKind>,
    /// What reading a file ends with.
    pub errors: BTreeMap<String, ReadError>,
    /// What only later walks see.
    pub late: Option<String>,
    pub walks: std::cell::Cell<u32>,
}

impl Content for Memory {
    fn single(&self) -> Option<&str> {
        self.single.as_deref()
    }

    fn walk(&self, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), ReadError> {
        self.walks.set(self.walks.get() + 1);
        let files =
            self.files.keys().filter(|name| !self.kinds.contains_key(*name)).map(|name| (name, EntryKind::File));
        let late = self.late.iter().filter(|_| self.walks.get() > 1).map(|name| (name, EntryKind::File));
        let kinds = self.kinds.iter().map(|(name, kind)| (name, *kind));
        for (name, kind) in files.chain(kinds).chain(late) {
            if visit(Entry { name: name.clone(), kind }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn read(&self, name: &str, _links: bool, take: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let bytes = self.files.get(name).ok_or(ReadError::Gone)?;
        // Parts whose ends are those of no shard.
        bytes.chunks(7).for_each(take);
        self.errors.get(name).map_or(Ok(()), |error| Err(error.clone()))
    }
}

/// What is signed, made of a payload.
type Encoding = fn(&[u8]) -> Vec<u8>;

/// A model, its signature and what is asked of them; sound as it is made.
pub struct Scene {
    pub content: Memory,
    /// What is signed.
    pub statement: Value,
    /// What is signed instead, as it is.
    pub payload: Option<Vec<u8>>,
    pub payload_type: &'static str,
    /// The name of the key that signs.
    pub key: &'static str,
    /// What is signed in the place of the right encoding.
    pub message: Option<Encoding>,
    /// What the signature becomes.
    pub signature: Option<fn(Vec<u8>) -> Vec<u8>>,
    pub material: Value,
    /// What the bundle becomes.
    pub bundle: Option<fn(&mut Value)>,
    /// What its bytes become.
    pub bytes: Option<fn(String) -> Vec<u8>>,
    pub trust: Trust,
    pub kind: Kind,
    pub wanted: slsa::Wanted,
    pub allowed: Allowed,
    pub expected: Option<Sha256>,
    pub now: &'static str,
}

impl Scene {
    /// Three files, signed with a key on P-256.
    pub fn key() -> Self {
        let content =
            files(&[("config.json", b"{\"a\": 1}"), ("sub/tokens.txt", b"a b c"), ("weights.bin", &[7; 2500])]);
        let statement = statement(&content, "sha256");
        Self {
            content,
            statement,
            payload: None,
            payload_type: TYPE,
            key: "key-p256",
            message: None,
            signature: None,
            material: json!({ "publicKey": { "hint": hint("key-p256") }, "tlogEntries": [] }),
            bundle: None,
            bytes: None,
            trust: Trust::key(&text("key-p256.pub")).unwrap(),
            kind: Kind::Model,
            wanted: slsa::Wanted::default(),
            allowed: Allowed::default(),
            expected: None,
            now: "2026-06-01T00:00:00Z",
        }
    }

    /// The same, signed with a certificate.
    pub fn certificate() -> Self {
        let mut scene = Self::key();
        scene.certified(&["leaf", "between"], &["root"]);
        scene
    }

    pub fn by(&mut self, key: &'static str) {
        self.key = key;
        self.material = json!({ "publicKey": { "hint": hint(key) } });
        self.trust = Trust::key(&text(&format!("{key}.pub"))).unwrap();
    }

    pub fn certified(&mut self, chain: &[&'static str], roots: &[&str]) {
        self.key = chain[0];
        let ders: Vec<Value> =
            chain.iter().map(|name| json!({ "rawBytes": encode(&bytes(&format!("{name}.der"))) })).collect();
        self.material = json!({ "x509CertificateChain": { "certificates": ders } });
        let pems: Vec<String> = roots.iter().map(|name| text(&format!("{name}.pem"))).collect();
        self.trust = Trust::authorities(pems.iter().map(String::as_str)).unwrap();
    }

    pub fn resources(&mut self) -> &mut Vec<Value> {
        self.statement["predicate"]["resources"].as_array_mut().unwrap()
    }

    pub fn serialization(&mut self) -> &mut Value {
        &mut self.statement["predicate"]["serialization"]
    }

    /// The subject becomes the digest of the resources as they stand.
    pub fn root_again(&mut self) {
        let mut over_all = sha2::Sha256::new();
        for one in self.resources() {
            let hex = one["digest"].as_str().unwrap().to_owned();
            let pairs: Vec<char> = hex.chars().collect();
            let bytes = pairs.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap_or(0));
            over_all.update(bytes.collect::<Vec<_>>());
        }
        let root = Sha256::from_bytes(over_all.finalize().into());
        self.statement["subject"][0]["digest"]["sha256"] = json!(root.to_string());
    }

    /// The first resource gets another name.
    pub fn rename(&mut self, name: &str) {
        self.resources()[0]["name"] = json!(name);
    }

    /// Signed again with another digest of files, or in shards.
    pub fn hashed(&mut self, algorithm: &str, shard: Option<u64>) {
        self.statement = match shard {
            None => statement(&self.content, algorithm),
            Some(size) => sharded(&self.content, algorithm, size),
        };
    }

    pub fn ignored(&mut self, names: &[&str]) {
        self.serialization()["ignore_paths"] = json!(names);
    }

    pub fn signed_payload(&self) -> Vec<u8> {
        self.payload.clone().unwrap_or_else(|| serde_json::to_vec_pretty(&self.statement).unwrap())
    }

    /// The bytes of the signature file.
    pub fn written(&self) -> Vec<u8> {
        let payload = self.signed_payload();
        let message = self.message.map_or_else(|| pae(self.payload_type, &payload), |message| message(&payload));
        let mut signature = sign(self.key, &message);
        if let Some(change) = self.signature {
            signature = change(signature);
        }
        let mut bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": self.material,
            "dsseEnvelope": {
                "payload": encode(&payload),
                "payloadType": self.payload_type,
                "signatures": [{ "sig": encode(&signature), "keyid": "" }],
            },
        });
        if let Some(change) = self.bundle {
            change(&mut bundle);
        }
        let text = bundle.to_string();
        self.bytes.map_or_else(|| text.clone().into_bytes(), |change| change(text.clone()))
    }

    pub fn verify(&self) -> Outcome {
        let signature = self.written();
        let request = Request {
            signature: &signature,
            trust: &self.trust,
            kind: self.kind,
            allowed: self.allowed.clone(),
            expected: self.expected,
            wanted: self.wanted.clone(),
            now: self.now.parse().unwrap(),
        };
        verify(&request, &self.content)
    }
}

pub fn files(files: &[(&str, &[u8])]) -> Memory {
    let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
    Memory { files, ..Memory::default() }
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub fn digest(algorithm: &str, bytes: &[u8]) -> String {
    match algorithm {
        "blake2b" => hex(&blake2::Blake2b512::digest(bytes)),
        "blake3" => blake3::hash(bytes).to_hex().to_string(),
        _ => hex(&sha2::Sha256::digest(bytes)),
    }
}

/// The statement that a signer makes of these files, in the order of the parts of their names.
pub fn statement(content: &Memory, algorithm: &str) -> Value {
    let mut names: Vec<&String> = content.files.keys().collect();
    names.sort_by_key(|name| name.split('/').map(str::to_owned).collect::<Vec<_>>());
    let resources = names.iter().map(
        |name| json!({ "name": name, "algorithm": algorithm, "digest": digest(algorithm, &content.files[*name]) }),
    );
    whole(
        &resources.collect::<Vec<_>>(),
        &json!({ "method": "files", "hash_type": algorithm, "allow_symlinks": false }),
    )
}

fn sharded(content: &Memory, algorithm: &str, size: u64) -> Value {
    let mut resources = Vec::new();
    for (name, bytes) in &content.files {
        for (number, part) in bytes.chunks(usize::try_from(size).unwrap()).enumerate() {
            let start = number as u64 * size;
            resources.push(json!({
                "name": format!("{name}:{start}:{}", start + part.len() as u64),
                "algorithm": format!("{algorithm}-sharded-{size}"),
                "digest": digest(algorithm, part),
            }));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "signers write it so")]
    let float = size as f64;
    whole(
        &resources,
        &json!({ "method": "shards", "hash_type": algorithm, "allow_symlinks": false, "shard_size": float }),
    )
}

fn whole(resources: &[Value], serialization: &Value) -> Value {
    let mut scene = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "model", "digest": { "sha256": "" } }],
        "predicateType": PREDICATE,
        "predicate": { "resources": resources, "serialization": serialization },
    });
    let mut over_all = sha2::Sha256::new();
    for one in scene["predicate"]["resources"].as_array().unwrap() {
        let hex: Vec<char> = one["digest"].as_str().unwrap().chars().collect();
        let bytes = hex.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap());
        over_all.update(bytes.collect::<Vec<_>>());
    }
    scene["subject"][0]["digest"]["sha256"] = json!(hex(&over_all.finalize()));
    scene
}
