//! Digests in one pass, and differences between versions.

use std::cell::Cell;

use lanner::artifact::{Limits, Memory, Segment, Version, diff, fields, hash, segments};
use lanner::event::{Fields, Sha256, Value};

use super::build::{self, tensors};
use super::report;

fn version(bytes: &[u8], name: &str) -> Version {
    let memory = Memory(bytes.to_vec());
    let hashed =
        hash(&memory, segments(&memory, &Limits::default()), &|| false).expect("memory reads").expect("nobody stops");
    let report = report(bytes, name);
    Version { hash: hashed.sha256, format: report.format, facts: report.facts, segments: hashed.segments }
}

#[test]
fn one_pass_gives_every_digest() {
    let data: Vec<u8> = (0..700_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let part = |name: &str, start: u64, end: u64| Segment {
        name: name.into(),
        dtype: "U8".into(),
        shape: vec![end - start],
        start,
        end,
        digest: None,
    };
    let parts = vec![
        part("b", 262_000, 600_001),
        part("a", 0, 262_144),
        part("empty", 5, 5),
        part("inside", 300_000, 300_001),
        part("outside", 699_000, 800_000),
    ];
    let hashed = hash(&Memory(data.clone()), parts, &|| false).expect("memory reads").expect("nobody stops");
    assert_eq!(hashed.sha256, Sha256::of(&data));
    assert_eq!(hashed.size, 700_000);
    for segment in &hashed.segments {
        let bytes =
            data.get(usize::try_from(segment.start).expect("small")..usize::try_from(segment.end).expect("small"));
        assert_eq!(segment.digest, bytes.map(|bytes| blake3::hash(bytes).to_hex().to_string()), "{}", segment.name);
    }
}

#[test]
fn hashing_stops_when_told() {
    let rounds = Cell::new(0);
    let stop = || {
        rounds.set(rounds.get() + 1);
        rounds.get() > 1
    };
    assert_eq!(hash(&Memory(vec![0; 1 << 20]), Vec::new(), &stop).expect("memory reads"), None);
    assert_eq!(rounds.get(), 2);
}

#[test]
fn equal_versions_differ_in_nothing() {
    let old = version(&tensors::safetensors_benign(), "m.safetensors");
    let delta = diff(&old, &old.clone());
    assert!(delta.is_empty());
    assert_eq!(delta.fields().get("artifact.diff.tensors.equal"), Some(&Value::Bool(true)));
}

#[test]
fn a_poisoned_version_shows_what_it_gained() {
    let old = version(&build::pickle_benign(), "m.pkl");
    let delta = diff(&old, &version(&build::pickle_os_system(), "m.pkl"));
    assert!(!delta.is_empty());
    let facts = delta.fields();
    let gained = Value::from(vec!["os.system"]);
    assert_eq!(facts.get("artifact.diff.added.pickle.dangerous_calls"), Some(&gained));
    assert_eq!(facts.get("artifact.previous_hash"), Some(&Value::from(format!("sha256:{}", old.hash))));
    declared(&facts);
    let back = diff(&version(&build::pickle_os_system(), "m.pkl"), &old).fields();
    assert_eq!(back.get("artifact.diff.removed.pickle.dangerous_calls"), Some(&gained));
}

#[test]
fn tensors_are_compared_one_by_one() {
    let old = version(&tensors::safetensors_benign(), "m.safetensors");
    let mut bytes = tensors::safetensors_benign();
    *bytes.last_mut().expect("it has bytes") ^= 1;
    let changed = diff(&old, &version(&bytes, "m.safetensors"));
    assert_eq!((changed.tensors.changed.as_slice(), changed.tensors.equal), (["b".to_owned()].as_slice(), false));
    let header =
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"c":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#;
    let delta = diff(&old, &version(&tensors::safetensors(header, &[1, 2, 3, 4, 5, 6, 7, 8]), "m.safetensors"));
    assert_eq!(
        (delta.tensors.added, delta.tensors.removed, delta.tensors.reshaped),
        (vec!["c".into()], vec!["b".into()], vec!["a".into()])
    );
    declared(&changed.fields());
}

#[test]
fn a_report_survives_storage() {
    let report = report(&build::pickle_os_system(), "m.pkl");
    let text = serde_json::to_string(&report).expect("it is data");
    assert_eq!(report, serde_json::from_str(&text).expect("it was just written"));
}

fn declared(facts: &Fields) {
    for path in facts.keys() {
        assert!(fields().iter().any(|field| field.path == path), "`{path}` is not declared");
    }
}
