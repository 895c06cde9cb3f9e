//! Any bytes as a signature, a statement, certificates or keys: nothing that nobody signed is verified. The first
//! byte says which.

#![no_main]

use std::ops::ControlFlow;
use std::sync::OnceLock;

use lanner::provenance::chain::Authorities;
use lanner::provenance::cosign::{self, Attached};
use lanner::provenance::model::Model;
use lanner::provenance::{
    Allowed, Content, Entry, EntryKind, Kind, Outcome, ReadError, Request, Trust, content, slsa, verify,
};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgls5ZCoBWx8IXtMyQvTnXvqOmQNB
DqEfAxSr+AyqmWe34YH66951ot/F42b9EGo7QTmhNyqksPyMgHhsEmDqSg==
-----END PUBLIC KEY-----
";

/// One file, of no bytes.
struct One;

impl Content for One {
    fn single(&self) -> Option<&str> {
        None
    }

    fn walk(&self, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), ReadError> {
        let _ = visit(Entry { name: "a".to_owned(), kind: EntryKind::File });
        Ok(())
    }

    fn read(&self, _: &str, _: bool, take: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        take(b"a");
        Ok(())
    }
}

fn trusts() -> &'static [Trust] {
    static TRUSTS: OnceLock<Vec<Trust>> = OnceLock::new();
    TRUSTS.get_or_init(|| {
        let key = Trust::key(KEY).expect("it is a key");
        vec![key, Trust::identity("a@example.com", "https://issuer.example.com", None).expect("it is an identity")]
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else { return };
    let now = "2026-06-01T00:00:00Z".parse().expect("it is a time");
    match mode % 6 {
        0 => {
            for trust in trusts() {
                for kind in [Kind::Model, Kind::Slsa] {
                    let allowed = Allowed { unsigned: true, ..Allowed::default() };
                    let wanted = slsa::Wanted::default();
                    let request = Request { signature: bytes, trust, kind, allowed, expected: None, wanted, now };
                    let outcome = verify(&request, &One);
                    assert!(!outcome.is_verified() && outcome.signer.is_none(), "nobody signed it");
                }
            }
        }
        1 => {
            if let Ok(model) = Model::parse(bytes) {
                let mut outcome = Outcome::verified();
                content::compare(&One, &model, &Allowed::default(), &mut outcome);
                assert!(
                    model.files.keys().all(|name| !name.contains("..") || !name.split('/').any(|part| part == ".."))
                );
            }
        }
        2 => {
            let mut chain = vec![bytes.to_vec()];
            chain.extend(
                bytes.windows(2).position(|two| two == b"\x30\x82").and_then(|at| Some(bytes.get(at..)?.to_vec())),
            );
            let empty = Authorities::default();
            assert!(empty.verify(&chain, now).is_err() && empty.verify_by_walk(&chain, now).is_err());
        }
        3 => drop(slsa::parse(bytes)),
        4 => {
            let text = String::from_utf8_lossy(bytes);
            drop((Trust::key(&text), Trust::authorities([text.as_ref()])));
            drop(Trust::identity("a", "b", Some(&text)));
        }
        _ => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let digest = lanner::event::Sha256::of(b"");
            let simple = Attached::Simple {
                payload: bytes.to_vec(),
                signature: "MAYCAQECAQE=".to_owned(),
                certificate: Some(text.clone()).filter(|_| mode % 2 == 0),
                chain: Some(text),
            };
            for trust in trusts() {
                let request = cosign::Request { trust, digest, provenance: None, now };
                let outcome = cosign::verify(&request, &[Attached::Bundle(bytes.to_vec()), simple.clone()]);
                assert!(!outcome.is_verified(), "nobody signed it");
            }
        }
    }
});
