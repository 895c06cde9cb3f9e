//! Whatever happens to a signature or a model, nothing is verified that was not signed, and nothing panics.

use lanner::provenance::{Kind, Request, verify};
use proptest::prelude::*;

use super::maker::{Scene, files, statement};

fn verified(scene: &Scene, signature: &[u8]) -> bool {
    let request = Request {
        signature,
        trust: &scene.trust,
        kind: Kind::Model,
        allowed: scene.allowed.clone(),
        expected: None,
        wanted: scene.wanted.clone(),
        now: scene.now.parse().unwrap(),
    };
    verify(&request, &scene.content).is_verified()
}

/// Bytes of a bundle that mean nothing: white space, and members that are not looked at.
fn harmless(sound: &[u8], changed: &[u8]) -> bool {
    let parsed = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let meaning = |value: serde_json::Value| {
        let envelope = &value["dsseEnvelope"];
        (
            value["mediaType"].clone(),
            value["verificationMaterial"]["publicKey"]["hint"].clone(),
            envelope["payload"].clone(),
            envelope["payloadType"].clone(),
            envelope["signatures"][0]["sig"].clone(),
        )
    };
    let (Some(one), Some(other)) = (parsed(sound), parsed(changed)) else { return false };
    let (one, other) = (meaning(one), meaning(other));
    // A hint may be missing, or be called something else, which is the same.
    (one.0, one.2, one.3, one.4) == (other.0, other.2, other.3, other.4) && (other.1 == one.1 || other.1.is_null())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_signature_is_not_verified(at in 0_usize..1_000_000, with: u8, cut in 0_usize..3) {
        for scene in [Scene::key(), Scene::certificate()] {
            let sound = scene.written();
            let mut changed = sound.clone();
            let at = at % changed.len();
            match cut {
                0 => changed[at] = with,
                1 => drop(changed.remove(at)),
                _ => changed.insert(at, with),
            }
            let same = scene.key == "leaf" || harmless(&sound, &changed);
            prop_assert!(!verified(&scene, &changed) || changed == sound || same, "{at} {with}");
        }
    }

    #[test]
    fn a_changed_model_is_not_verified(
        names in proptest::collection::btree_set("[a-c./]{1,6}", 1..6),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        algorithm in prop_oneof![Just("sha256"), Just("blake2b"), Just("blake3")],
        shard in proptest::option::of(1_u64..200),
        victim: prop::sample::Index,
        at: prop::sample::Index,
        how in 0_u8..5,
    ) {
        let plain = |name: &String| name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        let names: Vec<&String> = names.iter().filter(|name| plain(name)).collect();
        prop_assume!(!names.is_empty() && !bytes.is_empty());
        let mut scene = Scene::key();
        scene.content = files(&[]);
        for (number, name) in names.iter().enumerate() {
            let own = [bytes.as_slice(), &[u8::try_from(number).unwrap()]].concat();
            scene.content.files.insert((*name).clone(), own);
        }
        match shard {
            // In the order of the bytes of names, which is one of the two that signers have.
            Some(size) => scene.hashed(algorithm, Some(size)),
            None => scene.statement = statement(&scene.content, algorithm),
        }
        let sound = scene.written();
        let whole = scene.verify();
        prop_assert!(whole.is_verified(), "{:?} {}", whole.reason, whole.detail);
        let name = (*victim.get(&names)).clone();
        let content = scene.content.files.get_mut(&name).unwrap();
        match how {
            0 => { let at = at.index(content.len()); content[at] ^= 0x10; }
            1 => drop(content.pop()),
            2 => content.push(0),
            3 => drop(scene.content.files.remove(&name)),
            _ => drop(scene.content.files.insert(format!("{name}x"), Vec::new())),
        }
        prop_assert!(!verified(&scene, &sound));
    }

    #[test]
    fn any_bytes_are_told_as_what_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let scene = Scene::key();
        prop_assert!(!verified(&scene, &bytes));
    }
}
