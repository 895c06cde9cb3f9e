//! Chains of certificates: who may sign, until when, and for what; also where signers say to be authorities.

use lanner::provenance::Reason;
use lanner::provenance::chain::Authorities;
use serde_json::json;

use super::maker::{self, Scene, bytes, encode, text};
use super::{Case, hold};

const SOUND: &[Case] = &[
    ("chain", None, |_| {}),
    ("p384", None, |s| s.certified(&["leaf-384", "between"], &["root"])),
    ("p521", None, |s| s.certified(&["leaf-521", "between"], &["root"])),
    ("directly under the root", None, |s| s.certified(&["leaf-direct"], &["root"])),
    ("with the root in the chain", None, |s| s.certified(&["leaf", "between", "root"], &["root"])),
    ("certificates above in any order", None, |s| s.certified(&["leaf", "root", "between"], &["root"])),
    ("others beside", None, |s| s.certified(&["leaf", "between-tls", "between"], &["root-rsa", "root"])),
    ("what is between is trusted itself", None, |s| s.certified(&["leaf"], &["between"])),
    ("what is between is given along with the root", None, |s| s.certified(&["leaf"], &["root", "between"])),
    ("under RSA", None, |s| s.certified(&["leaf-rsa-root", "between-rsa"], &["root-rsa"])),
    ("under P-521", None, |s| s.certified(&["leaf-p521-root"], &["root-p521"])),
    ("constraints that say it is none", None, |s| s.certified(&["leaf-not-ca", "between"], &["root"])),
    ("usage only", None, |s| s.certified(&["leaf-usage-only", "between"], &["root"])),
    ("extended usage only", None, |s| s.certified(&["leaf-extended-only", "between"], &["root"])),
    ("length 0", None, |s| s.certified(&["leaf-length-0", "between-length-0"], &["root"])),
    ("an extension that is not critical", None, |s| s.certified(&["leaf-unknown-harmless", "between"], &["root"])),
    ("an expired root beside", None, |s| s.certified(&["leaf", "between"], &["root-expired", "root"])),
    ("the signer's own certificate is given", None, |s| s.certified(&["leaf"], &["leaf"])),
    ("a self-signed certificate is given", None, |s| s.certified(&["leaf-self"], &["leaf-self"])),
    ("directly under a root of length 0", None, |s| s.certified(&["leaf-under-root-length-0"], &["root-length-0"])),
    ("proud, its own certificate is given", None, |s| s.certified(&["proud-self"], &["proud-self"])),
    ("proud", None, |s| s.certified(&["proud", "between"], &["root"])),
    ("proud under RSA", None, |s| s.certified(&["proud-rsa", "between-rsa"], &["root-rsa"])),
    ("proud under P-521", None, |s| s.certified(&["proud-p521-root"], &["root-p521"])),
    ("proud directly under the root", None, |s| s.certified(&["proud-direct"], &["root"])),
    ("proud, length 0", None, |s| s.certified(&["proud-length-0", "between-length-0"], &["root"])),
];

const TIMES: &[Case] = &[
    ("expired", Some(Reason::CertExpired), |s| s.certified(&["leaf-expired", "between"], &["root"])),
    ("not yet valid", Some(Reason::CertNotYetValid), |s| s.certified(&["leaf-future", "between"], &["root"])),
    ("expired above", Some(Reason::CertExpired), |s| {
        s.certified(&["leaf-under-expired", "between-expired"], &["root"]);
    }),
    ("expired root", Some(Reason::CertExpired), |s| s.certified(&["leaf-under-expired-root"], &["root-expired"])),
    ("proud, expired", Some(Reason::CertExpired), |s| s.certified(&["proud-expired", "between"], &["root"])),
    ("proud, not yet valid", Some(Reason::CertNotYetValid), |s| s.certified(&["proud-future", "between"], &["root"])),
    ("proud, expired above", Some(Reason::CertExpired), |s| {
        s.certified(&["proud-under-expired", "between-expired"], &["root"]);
    }),
    ("proud, expired root", Some(Reason::CertExpired), |s| {
        s.certified(&["proud-under-expired-root"], &["root-expired"]);
    }),
    ("long after", Some(Reason::CertExpired), |s| s.now = "2050-01-01T00:00:00Z"),
    ("long before", Some(Reason::CertNotYetValid), |s| s.now = "2020-01-01T00:00:00Z"),
    ("before all time", Some(Reason::CertNotYetValid), |s| s.now = "1960-01-01T00:00:00Z"),
];

const USAGES: &[Case] = &[
    ("no usage at all", Some(Reason::CertUsage), |s| s.certified(&["leaf-no-usage", "between"], &["root"])),
    ("for encryption", Some(Reason::CertUsage), |s| s.certified(&["leaf-encipher", "between"], &["root"])),
    ("only for encryption", Some(Reason::CertUsage), |s| s.certified(&["leaf-encipher-only", "between"], &["root"])),
    ("for servers", Some(Reason::CertUsage), |s| s.certified(&["leaf-tls", "between"], &["root"])),
    ("for anything", Some(Reason::CertUsage), |s| s.certified(&["leaf-any-usage", "between"], &["root"])),
    ("under one for servers", Some(Reason::CertUsage), |s| s.certified(&["leaf-under-tls", "between-tls"], &["root"])),
    ("proud, for servers", Some(Reason::CertUsage), |s| s.certified(&["proud-tls", "between"], &["root"])),
    ("proud, only to issue", Some(Reason::CertUsage), |s| s.certified(&["proud-issues-only", "between"], &["root"])),
    ("proud, under one for servers", Some(Reason::CertUsage), |s| {
        s.certified(&["proud-under-tls", "between-tls"], &["root"]);
    }),
];

const PATHS: &[Case] = &[
    ("another root", Some(Reason::Untrusted), |s| s.certified(&["leaf", "between"], &["root-rsa"])),
    ("another root of that name", Some(Reason::Untrusted), |s| s.certified(&["leaf", "between"], &["root-twin"])),
    ("under another root of that name", Some(Reason::Untrusted), |s| s.certified(&["leaf-twin"], &["root"])),
    ("a link is missing", Some(Reason::Untrusted), |s| s.certified(&["leaf"], &["root"])),
    ("its own root in the chain", Some(Reason::Untrusted), |s| s.certified(&["leaf-twin", "root-twin"], &["root"])),
    ("self-signed", Some(Reason::Untrusted), |s| s.certified(&["leaf-self"], &["root"])),
    ("under one that may not issue", Some(Reason::Untrusted), |s| {
        s.certified(&["leaf-under-leaf", "leaf", "between"], &["root"]);
    }),
    ("under one whose key may not issue", Some(Reason::Untrusted), |s| {
        s.certified(&["leaf-under-no-usage", "between-no-usage"], &["root"]);
    }),
    ("longer than allowed", Some(Reason::Untrusted), |s| {
        s.certified(&["leaf-too-long", "between-under-length-0", "between-length-0"], &["root"]);
    }),
    ("something critical", Some(Reason::Untrusted), |s| s.certified(&["leaf-unknown", "between"], &["root"])),
    ("something critical above", Some(Reason::Untrusted), |s| {
        s.certified(&["leaf-under-unknown", "between-unknown"], &["root"]);
    }),
    ("by SHA-1", Some(Reason::Untrusted), |s| {
        s.certified(&["leaf-sha1"], &["root-rsa"]);
        s.now = "2040-01-01T00:00:00Z";
    }),
    ("under RSA of 1024 bits", Some(Reason::Untrusted), |s| s.certified(&["leaf-under-rsa1024"], &["root-rsa1024"])),
    ("under a leaf that is given", Some(Reason::Untrusted), |s| s.certified(&["leaf-under-leaf"], &["leaf"])),
    ("under a key that is given, which may not issue", Some(Reason::Untrusted), |s| {
        s.certified(&["leaf-under-no-usage"], &["between-no-usage"]);
    }),
    ("longer than the root allows", Some(Reason::Untrusted), |s| {
        s.certified(&["leaf-too-long-for-root", "between-under-root-length-0"], &["root-length-0"]);
    }),
    ("proud, longer than the root allows", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-too-long-for-root", "between-under-root-length-0"], &["root-length-0"]);
    }),
    ("proud, under a leaf that is given", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-leaf"], &["leaf-not-ca"]);
    }),
    ("proud, under a proud one that is given", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-proud"], &["proud"]);
    }),
    ("proud, names constrained softly above", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-constrained-softly", "between-constrained-softly"], &["root"]);
    }),
    ("proud, names constrained by the root", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-constrained-root"], &["root-constrained"]);
    }),
    ("proud, another root", Some(Reason::Untrusted), |s| s.certified(&["proud", "between"], &["root-rsa"])),
    ("proud, under another root of that name", Some(Reason::Untrusted), |s| s.certified(&["proud-twin"], &["root"])),
    ("proud, self-signed", Some(Reason::Untrusted), |s| s.certified(&["proud-self"], &["root"])),
    ("proud, a link is missing", Some(Reason::Untrusted), |s| s.certified(&["proud"], &["root"])),
    ("proud, under one that may not issue", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-leaf", "leaf-not-ca", "between"], &["root"]);
    }),
    ("proud, under a proud one", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-proud", "proud", "between"], &["root"]);
    }),
    ("proud, under one whose key may not issue", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-no-usage", "between-no-usage"], &["root"]);
    }),
    ("proud, longer than allowed", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-too-long", "between-under-length-0", "between-length-0"], &["root"]);
    }),
    ("proud, names constrained above", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-constrained", "between-constrained"], &["root"]);
    }),
    ("proud, something critical above", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-unknown", "between-unknown"], &["root"]);
    }),
    ("proud, something critical", Some(Reason::Untrusted), |s| s.certified(&["proud-unknown", "between"], &["root"])),
    ("proud, by SHA-1", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-sha1"], &["root-rsa"]);
        s.now = "2040-01-01T00:00:00Z";
    }),
    ("proud, under RSA of 1024 bits", Some(Reason::Untrusted), |s| {
        s.certified(&["proud-under-rsa1024"], &["root-rsa1024"]);
    }),
];

const CHAINS: &[Case] = &[
    ("the authority first", Some(Reason::CertUsage), |s| s.certified(&["between", "leaf"], &["root"])),
    ("signed by the authority's key", Some(Reason::BadSignature), |s| s.key = "between"),
    ("signed by another key", Some(Reason::BadSignature), |s| s.key = "key-attacker"),
    ("key of RSA", Some(Reason::UnsupportedKey), |s| s.certified(&["leaf-rsa", "between"], &["root"])),
    ("key of Ed25519", Some(Reason::UnsupportedKey), |s| s.certified(&["leaf-ed25519", "between"], &["root"])),
    ("key on secp256k1", Some(Reason::UnsupportedKey), |s| s.certified(&["leaf-secp256k1", "between"], &["root"])),
    ("empty", Some(Reason::BadBundle), |s| s.material["x509CertificateChain"]["certificates"] = json!([])),
    ("of too many", Some(Reason::BadBundle), |s| {
        let one = s.material["x509CertificateChain"]["certificates"][0].clone();
        s.material["x509CertificateChain"]["certificates"] = json!(vec![one; 17]);
    }),
    ("of sixteen alike, which is only slow", None, |s| {
        let certificates = s.material["x509CertificateChain"]["certificates"].as_array_mut().unwrap();
        let above = certificates[1].clone();
        certificates.resize(16, above);
    }),
    ("cut", Some(Reason::BadBundle), |s| {
        certificate(s, |mut der| {
            der.pop();
            der
        });
    }),
    ("something behind a certificate", Some(Reason::BadBundle), |s| {
        certificate(s, |mut der| {
            der.push(0);
            der
        });
    }),
    ("no certificate", Some(Reason::BadBundle), |s| certificate(s, |_| vec![0x30, 0])),
    ("a huge certificate", Some(Reason::BadBundle), |s| certificate(s, |_| vec![0x30; 100_000])),
    ("one bit of what is signed", Some(Reason::Untrusted), |s| {
        certificate(s, |mut der| {
            // In the name of the subject, which is a text.
            let at = der.windows(4).position(|four| four == b"leaf").unwrap();
            der[at] = b'L';
            der
        });
    }),
    ("another key in the certificate", Some(Reason::Untrusted), |s| {
        certificate(s, |der| {
            let (own, other) = (point("leaf"), point("key-attacker"));
            let at = der.windows(own.len()).position(|window| window == own).unwrap();
            [&der[..at], &other, &der[at + own.len()..]].concat()
        });
        s.key = "key-attacker";
    }),
];

/// The last 65 bytes of a key on P-256: its point.
fn point(name: &str) -> Vec<u8> {
    let base64: String = text(&format!("{name}.pub")).lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
    der[der.len() - 65..].to_vec()
}

fn certificate(scene: &mut Scene, change: fn(Vec<u8>) -> Vec<u8>) {
    let der = change(bytes("leaf.der"));
    scene.material["x509CertificateChain"]["certificates"][0] = json!({ "rawBytes": encode(&der) });
}

#[test]
fn sound_chains_are_verified() {
    hold(SOUND, Scene::certificate);
}

#[test]
fn certificates_count_only_in_their_time() {
    hold(TIMES, Scene::certificate);
}

#[test]
fn certificates_count_only_for_what_they_are_made() {
    hold(USAGES, Scene::certificate);
}

#[test]
fn chains_lead_to_an_authority_that_was_given() {
    hold(PATHS, Scene::certificate);
}

#[test]
fn chains_that_are_none_are_refused() {
    hold(CHAINS, Scene::certificate);
}

/// The library that builds paths and our own walk, which is only asked where the library is not, must say the
/// same of every signer that does not say to be an authority.
#[test]
fn our_walk_agrees_with_the_library() {
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let names: Vec<String> = std::fs::read_dir(maker::pki())
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".der").map(str::to_owned))
        .collect();
    let (above, leaves): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| name.starts_with("between") || name.starts_with("root"));
    let chain: Vec<Vec<u8>> =
        above.iter().filter(|name| name.starts_with("between")).map(|name| bytes(&format!("{name}.der"))).collect();
    let mut counts = [0, 0];
    for root in above.iter().filter(|name| name.starts_with("root")) {
        let mut authorities = Authorities::default();
        authorities.add(&text(&format!("{root}.pem"))).unwrap();
        for leaf in leaves.iter().filter(|name| name.starts_with("leaf")) {
            let whole: Vec<Vec<u8>> = [vec![bytes(&format!("{leaf}.der"))], chain.clone()].concat();
            let library = authorities.verify(&whole, now).is_ok();
            let walk = authorities.verify_by_walk(&whole, now).is_ok();
            assert_eq!(library, walk, "{leaf} under {root}");
            counts[usize::from(library)] += 1;
        }
    }
    assert!(counts[0] > 50 && counts[1] > 10, "{counts:?}");
}

#[test]
fn the_signer_is_told() {
    let outcome = Scene::certificate().verify();
    let signer = serde_json::to_value(outcome.signer.unwrap()).unwrap();
    assert_eq!(signer["kind"], "certificate");
    assert_eq!((signer["subject"].as_str(), signer["issuer"].as_str()), (Some("CN=leaf"), Some("CN=between")));
    assert_eq!(signer["not_after"], "2044-01-01T00:00:00Z");
}
