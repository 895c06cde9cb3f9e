//! Signatures, statements and certificates damaged at random, for `LANNER_VERIFY_FUZZ_SECS` seconds (2): nothing
//! panics, nothing takes long, and nothing is verified that nobody signed. The fuzz target `signatures` does
//! the same with a view of which code is reached.

use std::time::{Duration, Instant};

use lanner::event::Sha256;
use lanner::provenance::chain::Authorities;
use lanner::provenance::cosign::{self, Attached};
use lanner::provenance::{Kind, Request, Trust, slsa, verify};
use serde_json::Value;

use super::maker::{self, Scene, bytes, encode, pki, text};
use crate::support::Numbers;

/// Longest that one trial may take, in a build that is not optimised, on a machine that does other things.
const SLOW: Duration = Duration::from_secs(10);

const WORDS: [&[u8]; 24] = [
    b"\"resources\":",
    b"\"ignore_paths\":[",
    b"\"..\"",
    b"\".\"",
    b"null",
    b"1e400",
    b"-1",
    b"18446744073709551616",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0000",
    b"\"sha256\":",
    b"\"certificate\":",
    b"\"publicKey\":",
    b"\x30\x82",
    b"\x06\x03\x55\x1d\x0f",
    b"\x01\x01\xff",
    b"\x02\x01\x00",
    b"-----BEGIN CERTIFICATE-----\n",
    b"\xff",
];

/// Some damage: bits, cuts, repeats, words, parts of another.
fn damage(numbers: &mut Numbers, sound: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=numbers.below(6) {
        let length = bytes.len().max(1) as u64;
        let mut pick = |below: u64| usize::try_from(numbers.below(below.max(1))).unwrap();
        let (at, until) = (pick(length).min(bytes.len()), pick(64));
        let until = (at + until).min(bytes.len());
        match pick(9) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << pick(8),
            2 if at < bytes.len() => bytes[at] = u8::try_from(pick(256)).unwrap(),
            3 => drop(bytes.drain(at..until)),
            4 => {
                let part = bytes[at..until].to_vec();
                drop(bytes.splice(at..at, part));
            }
            5 | 6 => {
                let word = WORDS[pick(WORDS.len() as u64)];
                drop(bytes.splice(at..at, word.iter().copied()));
            }
            7 => {
                let from = pick(other.len() as u64).min(other.len());
                let part = other[from..(from + 200).min(other.len())].to_vec();
                drop(bytes.splice(at..until, part));
            }
            8 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

/// Whether every file of the scene has its digest in a statement, and every resource of it is a file.
fn covers(payload: &[u8], scene: &Scene) -> bool {
    let Ok(statement) = serde_json::from_slice::<Value>(payload) else { return false };
    let whole = statement.to_string();
    let digests = whole.to_lowercase();
    scene.content.files.iter().all(|(name, bytes)| {
        whole.contains(&Value::String(name.clone()).to_string()) && digests.contains(&Sha256::of(bytes).to_string())
    })
}

#[test]
fn nothing_damaged_is_verified() {
    let seconds = std::env::var("LANNER_VERIFY_FUZZ_SECS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let (began, mut trials, mut verified) = (Instant::now(), [0_u64; 4], 0_u64);
    let mut numbers = Numbers(u64::from(std::process::id()));
    println!("seed {}", numbers.0);
    let scenes = [Scene::key(), Scene::certificate()];
    let now = scenes[0].now.parse().unwrap();
    let bundles: Vec<Vec<u8>> = scenes.iter().map(Scene::written).collect();
    let payload = scenes[0].signed_payload();
    let ders: Vec<Vec<u8>> = std::fs::read_dir(pki())
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "der"))
        .map(|entry| std::fs::read(entry.path()).unwrap())
        .collect();
    let mut authorities = Authorities::default();
    authorities.add(&text("root.pem")).unwrap();
    let sound = [bytes("proud.der"), bytes("leaf.der")];
    let identity = Trust::identity("a@example.com", "https://issuer.example.com", None).unwrap();
    while began.elapsed() < Duration::from_secs(seconds) {
        let trial = Instant::now();
        let mode = usize::try_from(numbers.below(4)).unwrap();
        trials[mode] += 1;
        let mut pick = |below: usize| usize::try_from(numbers.below(below as u64)).unwrap();
        match mode {
            // The signature file.
            0 => {
                let (one, other) = (pick(2), pick(2));
                let damaged = damage(&mut numbers, &bundles[one], &bundles[other]);
                for trust in [&scenes[0].trust, &scenes[1].trust, &identity] {
                    for kind in [Kind::Model, Kind::Slsa] {
                        let scene = &scenes[one];
                        let request = Request {
                            signature: &damaged,
                            trust,
                            kind,
                            allowed: scene.allowed.clone(),
                            expected: None,
                            wanted: slsa::Wanted::default(),
                            now,
                        };
                        let outcome = verify(&request, &scene.content);
                        // Damage may fall on what means nothing; then the payload is still the one that was signed.
                        verified += u64::from(outcome.is_verified());
                        assert!(
                            !outcome.is_verified() || String::from_utf8_lossy(&damaged).contains(&encode(&payload)),
                            "{}",
                            String::from_utf8_lossy(&damaged)
                        );
                    }
                }
                let digest = Sha256::of(b"x");
                let request = cosign::Request { trust: &scenes[0].trust, digest, provenance: None, now };
                assert!(!cosign::verify(&request, &[Attached::Bundle(damaged)]).is_verified());
            }
            // What an honest key signs, and should not have.
            1 => {
                let mut scene = Scene::key();
                let damaged = damage(&mut numbers, &payload, &payload);
                scene.payload = Some(damaged.clone());
                let outcome = scene.verify();
                verified += u64::from(outcome.is_verified());
                assert!(!outcome.is_verified() || covers(&damaged, &scene), "{}", String::from_utf8_lossy(&damaged));
            }
            // Certificates.
            2 => {
                let (one, other) = (pick(2), pick(ders.len()));
                let damaged = damage(&mut numbers, &sound[one], &ders[other]);
                let same = sound.contains(&damaged);
                let chain = vec![damaged, bytes("between.der")];
                assert!(authorities.verify(&chain, now).is_err() || same, "{}", maker::hex(&chain[0]));
                assert!(authorities.verify_by_walk(&chain, now).is_err() || same, "{}", maker::hex(&chain[0]));
                let above = damage(&mut numbers, &chain[1], &ders[other]);
                drop(authorities.verify(&[sound[one].clone(), above], now));
            }
            // Keys, authorities, and signatures of older images.
            _ => {
                let other = pick(ders.len());
                let pem = damage(&mut numbers, text("leaf.pem").as_bytes(), &ders[other]);
                let pem = String::from_utf8_lossy(&pem).into_owned();
                let key = damage(&mut numbers, text("key-p256.pub").as_bytes(), &[]);
                drop((Trust::authorities([pem.as_str()]), Trust::key(&String::from_utf8_lossy(&key))));
                let simple = Attached::Simple {
                    payload: damage(&mut numbers, &payload, &ders[other]),
                    signature: encode(&ders[other]),
                    certificate: Some(pem.clone()),
                    chain: Some(pem),
                };
                let request =
                    cosign::Request { trust: &scenes[1].trust, digest: Sha256::of(b"x"), provenance: None, now };
                assert!(!cosign::verify(&request, &[simple]).is_verified());
            }
        }
        assert!(trial.elapsed() < SLOW, "one trial of kind {mode} took {:?}", trial.elapsed());
    }
    println!("{trials:?} trials by kind; {verified} were verified, in which nothing that counts was damaged");
    assert!(trials.iter().all(|count| *count > 0));
}
