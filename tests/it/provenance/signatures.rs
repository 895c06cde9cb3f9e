//! The signature itself: keys, methods, encodings, and bundles that are none.

use lanner::provenance::{Reason, Trust};
use serde_json::json;

use super::maker::{self, Scene, encode, hint, pae, text};
use super::{Case, hold};

const SOUND: &[Case] = &[
    ("p256", None, |_| {}),
    ("p384", None, |s| s.by("key-p384")),
    ("p521", None, |s| s.by("key-p521")),
    ("no hint, as before 1.1", None, |s| {
        s.material = json!({ "publicKey": { "rawBytes": "AAAA", "keyDetails": "X" } });
    }),
    ("empty hint", None, |s| s.material = json!({ "publicKey": { "hint": "" } })),
    ("hint of cosign", None, |s| {
        let Trust::Key(key) = &s.trust else { return };
        s.material = json!({ "publicKey": { "hint": encode(key.sha256().as_bytes()) } });
    }),
    ("high s", None, |s| s.signature = Some(|der| high_s(&der))),
    ("key id that says anything", None, |s| {
        s.bundle = Some(|b| b["dsseEnvelope"]["signatures"][0]["keyid"] = json!("somebody"));
    }),
    ("members that nobody knows", None, |s| s.bundle = Some(|b| b["extra"] = json!({ "a": [1] }))),
    ("null for what is not there", None, |s| {
        s.bundle = Some(|b| b["verificationMaterial"]["certificate"] = json!(null));
    }),
];

const KEYS: &[Case] = &[
    ("secp256k1", Some(Reason::UnsupportedKey), |s| s.by("key-secp256k1")),
    ("ed25519", Some(Reason::UnsupportedKey), |s| s.by("key-ed25519")),
    ("rsa", Some(Reason::UnsupportedKey), |s| s.by("key-rsa")),
    ("hint of another key", Some(Reason::KeyMismatch), |s| s.material["publicKey"]["hint"] = json!(hint("key-p384"))),
    ("hint that is none", Some(Reason::KeyMismatch), |s| s.material["publicKey"]["hint"] = json!("0")),
    ("signed by another key", Some(Reason::BadSignature), |s| s.key = "key-attacker"),
    ("signed by another key, which the bundle carries", Some(Reason::BadSignature), |s| {
        s.key = "key-attacker";
        let der: String = text("key-attacker.pub").lines().filter(|line| !line.starts_with('-')).collect();
        s.material = json!({ "publicKey": { "rawBytes": der, "keyDetails": "PKIX_ECDSA_P256_SHA_256" } });
    }),
    ("signed and hinted by another key", Some(Reason::KeyMismatch), |s| {
        let trust = s.trust.clone();
        s.by("key-attacker");
        s.trust = trust;
    }),
    ("a key where a certificate is asked for", Some(Reason::WrongMethod), |s| {
        s.trust = Trust::authorities([text("root.pem").as_str()]).unwrap();
    }),
    ("a key where an identity is asked for", Some(Reason::WrongMethod), |s| {
        s.trust = Trust::identity("a@example.com", "https://issuer.example.com", None).unwrap();
    }),
    ("a certificate where a key is asked for", Some(Reason::WrongMethod), |s| {
        let trust = s.trust.clone();
        s.certified(&["leaf", "between"], &["root"]);
        s.trust = trust;
    }),
    ("a certificate of the very key that is asked for", Some(Reason::WrongMethod), |s| {
        s.certified(&["leaf", "between"], &["root"]);
        s.trust = Trust::key(&text("leaf.pub")).unwrap();
    }),
    ("a certificate where an identity is asked for", Some(Reason::WrongMethod), |s| {
        s.certified(&["leaf", "between"], &["root"]);
        s.trust = Trust::identity("a@example.com", "https://issuer.example.com", None).unwrap();
    }),
    ("an identity where a key is asked for", Some(Reason::WrongMethod), |s| {
        s.material = json!({ "certificate": { "rawBytes": encode(&maker::bytes("leaf.der")) } });
    }),
    ("a certificate of nobody where an identity is asked for", Some(Reason::Tlog), |s| {
        s.key = "leaf";
        s.material = json!({ "certificate": { "rawBytes": encode(&maker::bytes("leaf.der")) }, "tlogEntries": [] });
        s.trust = Trust::identity("a@example.com", "https://issuer.example.com", None).unwrap();
    }),
];

const SIGNATURES: &[Case] = &[
    ("cut", Some(Reason::BadSignature), |s| {
        s.signature = Some(|mut sig| {
            sig.pop();
            sig
        });
    }),
    ("one bit flipped", Some(Reason::BadSignature), |s| {
        s.signature = Some(|mut sig| {
            sig[12] ^= 1;
            sig
        });
    }),
    ("bytes behind it", Some(Reason::BadSignature), |s| {
        s.signature = Some(|mut sig| {
            sig.push(0);
            sig
        });
    }),
    ("zero and zero", Some(Reason::BadSignature), |s| s.signature = Some(|_| vec![0x30, 6, 2, 1, 0, 2, 1, 0])),
    ("as two numbers of one length", Some(Reason::BadSignature), |s| s.signature = Some(|sig| fixed(&sig))),
    ("of the payload alone", Some(Reason::BadSignature), |s| s.message = Some(<[u8]>::to_vec)),
    ("of the encoding of version 0.2", Some(Reason::BadSignature), |s| {
        s.message = Some(|payload| {
            let text = String::from_utf8_lossy(payload).replace('\n', "\\n");
            format!("DSSEV1 {} {} {} b'{text}'", maker::TYPE.len(), maker::TYPE, payload.len()).into_bytes()
        });
    }),
    ("of another type", Some(Reason::BadSignature), |s| s.message = Some(|payload| pae("text/plain", payload))),
    ("with lengths left out", Some(Reason::BadSignature), |s| {
        s.message = Some(|payload| [b"DSSEv1 ".as_slice(), maker::TYPE.as_bytes(), b" ", payload].concat());
    }),
    ("of the payload written anew", Some(Reason::BadSignature), |s| {
        s.message = Some(|payload| {
            let value: serde_json::Value = serde_json::from_slice(payload).unwrap();
            pae(maker::TYPE, value.to_string().as_bytes())
        });
    }),
    ("of another payload", Some(Reason::BadSignature), |s| {
        s.bundle =
            Some(|b| b["dsseEnvelope"]["payload"] = json!(encode(br#"{"_type":"https://in-toto.io/Statement/v1"}"#)));
    }),
    ("one blank more in the payload", Some(Reason::BadSignature), |s| {
        s.bundle = Some(|b| {
            let payload = b["dsseEnvelope"]["payload"].as_str().unwrap().to_owned();
            let mut bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload).unwrap();
            bytes.push(b' ');
            b["dsseEnvelope"]["payload"] = json!(encode(&bytes));
        });
    }),
    ("empty", Some(Reason::BadBundle), |s| s.signature = Some(|_| Vec::new())),
    ("larger than any", Some(Reason::BadBundle), |s| s.signature = Some(|_| vec![0x30; 20_000])),
    ("two, both sound", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| {
            let one = b["dsseEnvelope"]["signatures"][0].clone();
            b["dsseEnvelope"]["signatures"] = json!([one, one]);
        });
    }),
    ("two, the second bad", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| {
            let one = b["dsseEnvelope"]["signatures"][0].clone();
            b["dsseEnvelope"]["signatures"] = json!([one, { "sig": "AAAA" }]);
        });
    }),
    ("none", Some(Reason::BadBundle), |s| s.bundle = Some(|b| b["dsseEnvelope"]["signatures"] = json!([]))),
];

const BUNDLES: &[Case] = &[
    ("version 0.1", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.1"));
    }),
    ("version 0.2", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.2"));
    }),
    ("version 0.3 as it was written before", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.3"));
    }),
    ("version 0.4", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.4+json"));
    }),
    ("no type", Some(Reason::BadBundle), |s| s.bundle = Some(|b| drop(b.as_object_mut().unwrap().remove("mediaType")))),
    ("type in capitals", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["mediaType"] = json!("APPLICATION/vnd.dev.sigstore.bundle.v0.3+json"));
    }),
    ("no material", Some(Reason::BadBundle), |s| s.material = json!({})),
    ("a key and a chain", Some(Reason::BadBundle), |s| {
        s.material["x509CertificateChain"] = json!({ "certificates": [] });
    }),
    ("a key and a certificate", Some(Reason::BadBundle), |s| s.material["certificate"] = json!({ "rawBytes": "AAAA" })),
    ("no envelope", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| drop(b.as_object_mut().unwrap().remove("dsseEnvelope")));
    }),
    ("a bare signature instead", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| {
            b.as_object_mut().unwrap().remove("dsseEnvelope");
            b["messageSignature"] = json!({ "signature": "AAAA" });
        });
    }),
    ("a bare signature beside", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["messageSignature"] = json!({ "signature": "AAAA" }));
    }),
    ("payload of another type", Some(Reason::BadBundle), |s| s.payload_type = "application/json"),
    ("payload of a type with a blank", Some(Reason::BadBundle), |s| s.payload_type = "application/vnd.in-toto+json "),
    ("envelope twice", Some(Reason::BadBundle), |s| {
        s.bytes = Some(|text| text.replacen('{', "{\"dsseEnvelope\": {\"payload\": \"AAAA\"},", 1).into_bytes());
    }),
    ("payload twice", Some(Reason::BadBundle), |s| {
        s.bytes = Some(|text| text.replacen("\"payload\":", "\"payload\":\"AAAA\",\"payload\":", 1).into_bytes());
    }),
    ("payload no base64", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["dsseEnvelope"]["payload"] = json!("a*b="));
    }),
    ("payload with line ends", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| {
            let payload = b["dsseEnvelope"]["payload"].as_str().unwrap().to_owned();
            b["dsseEnvelope"]["payload"] = json!(format!("{}\n{}", &payload[..8], &payload[8..]));
        });
    }),
    ("signature without padding or with other bits", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["dsseEnvelope"]["signatures"][0]["sig"] = json!("AB=="));
    }),
    ("signature for addresses", Some(Reason::BadBundle), |s| {
        s.bundle = Some(|b| b["dsseEnvelope"]["signatures"][0]["sig"] = json!("__--"));
    }),
    ("cut in the middle", Some(Reason::BadBundle), |s| {
        s.bytes = Some(|text| text.as_bytes()[..text.len() / 2].to_vec());
    }),
    ("something behind it", Some(Reason::BadBundle), |s| s.bytes = Some(|text| format!("{text}{{}}").into_bytes())),
    ("a mark before it", Some(Reason::BadBundle), |s| s.bytes = Some(|text| format!("\u{feff}{text}").into_bytes())),
    ("empty file", Some(Reason::BadBundle), |s| s.bytes = Some(|_| Vec::new())),
    ("a list", Some(Reason::BadBundle), |s| s.bytes = Some(|text| format!("[{text}]").into_bytes())),
    ("no text", Some(Reason::BadBundle), |s| s.bytes = Some(|_| vec![0xff; 1000])),
    ("deep", Some(Reason::BadBundle), |s| {
        s.bytes = Some(|_| ["[".repeat(200_000), "]".repeat(200_000)].concat().into_bytes());
    }),
    ("deep in a member that nobody knows", Some(Reason::BadBundle), |s| {
        s.bytes = Some(|text| {
            let deep = format!("{{\"x\":{}{},", "[".repeat(200_000), "]".repeat(200_000));
            text.replacen('{', &deep, 1).into_bytes()
        });
    }),
    ("a member twice that nobody knows", Some(Reason::BadBundle), |s| {
        s.bytes = Some(|text| text.replacen('{', "{\"x\": 1, \"x\": 1,", 1).into_bytes());
    }),
    ("a member twice in one that nobody knows", Some(Reason::BadBundle), |s| {
        s.bytes = Some(|text| text.replacen('{', "{\"x\": [{\"y\": 1, \"\\u0079\": 2}],", 1).into_bytes());
    }),
    ("larger than any bundle", Some(Reason::TooLarge), |s| {
        s.bytes = Some(|text| [text.into_bytes(), vec![b' '; 65 << 20]].concat());
    }),
];

/// The two numbers of a signature in DER.
fn numbers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = |start: usize| {
        let length = usize::from(der[start + 1]);
        (der[start + 2..start + 2 + length].to_vec(), start + 2 + length)
    };
    let (r, next) = at(2);
    (r, at(next).0)
}

fn fixed(der: &[u8]) -> Vec<u8> {
    let (r, s) = numbers(der);
    let padded = |number: Vec<u8>| {
        let plain: Vec<u8> = number.into_iter().skip_while(|byte| *byte == 0).collect();
        [vec![0; 32 - plain.len()], plain].concat()
    };
    [padded(r), padded(s)].concat()
}

/// The other signature that fits as well: the order of P-256 less `s`, if that is larger.
fn high_s(der: &[u8]) -> Vec<u8> {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&ORDER[2 * i..2 * i + 2], 16).unwrap()).collect();
    let both = fixed(der);
    let (r, s) = both.split_at(32);
    let mut other = vec![0; 32];
    let mut borrow = 0;
    for i in (0..32).rev() {
        let mut left = i16::from(order[i]) - i16::from(s[i]) - borrow;
        borrow = i16::from(left < 0);
        left += 256 * borrow;
        other[i] = u8::try_from(left).unwrap();
    }
    let s = s.max(other.as_slice());
    let number = |bytes: &[u8]| {
        let plain: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if plain[0] >= 0x80 { vec![0] } else { Vec::new() };
        let body = [sign, plain].concat();
        [vec![2, u8::try_from(body.len()).unwrap()], body].concat()
    };
    let body = [number(r), number(s)].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}

#[test]
fn sound_signatures_are_verified() {
    hold(SOUND, Scene::key);
}

#[test]
fn other_keys_and_methods_are_refused() {
    hold(KEYS, Scene::key);
}

#[test]
fn signatures_that_do_not_fit_are_refused() {
    hold(SIGNATURES, Scene::key);
}

#[test]
fn bundles_that_can_be_read_in_two_ways_are_refused() {
    hold(BUNDLES, Scene::key);
}

#[test]
fn the_digest_goes_with_the_curve() {
    let mut scene = Scene::key();
    scene.by("key-p384");
    let mut bundle: serde_json::Value = serde_json::from_slice(&scene.written()).unwrap();
    let message = pae(maker::TYPE, &scene.signed_payload());
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!(encode(&maker::sign_with_sha256("key-p384", &message)));
    let signature = serde_json::to_vec(&bundle).unwrap();
    let request = lanner::provenance::Request {
        signature: &signature,
        trust: &scene.trust,
        kind: scene.kind,
        allowed: scene.allowed.clone(),
        expected: None,
        wanted: scene.wanted.clone(),
        now: scene.now.parse().unwrap(),
    };
    assert_eq!(lanner::provenance::verify(&request, &scene.content).reason, Some(Reason::BadSignature));
}

#[test]
fn keys_are_read_as_people_keep_them() {
    let sound = text("key-p256.pub");
    assert!(Trust::key(&format!("words before it\n\n{sound}\nand behind")).is_ok());
    assert!(Trust::key(&sound.replace('\n', "\r\n")).is_ok());
    for (what, wrong) in [
        ("nothing", String::new()),
        ("two keys", format!("{sound}{sound}")),
        ("no end", sound.replace("-----END PUBLIC KEY-----", "")),
        ("a certificate", text("leaf.pem")),
        ("a private key", text("key-p256.pem.key")),
        ("cut", sound.replacen("MFk", "MFl", 1)),
    ] {
        assert!(Trust::key(&wrong).is_err(), "{what}");
    }
    assert!(Trust::authorities([sound.as_str()]).is_err());
    assert!(Trust::identity("", "https://issuer.example.com", None).is_err());
    assert!(Trust::identity("a@example.com", "https://issuer.example.com", Some("{}")).is_err());
}
