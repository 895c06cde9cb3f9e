//! OCDBT and Zarr: what stands under the keys of a store, and in the chunks of arrays.

use super::build::{self, arrays};
use super::{ALARMING, list, report, survives};

const CALLS: &str = "artifact.pickle.dangerous_calls";
const DATA: &str = "run/ocdbt.process_0/d/0123456789abcdef0123456789abcdef";

fn quiet(bytes: &[u8], name: &str, format: &str) -> lanner::artifact::Report {
    let report = report(bytes, name);
    assert_eq!(report.format, format);
    assert!(report.issues.is_empty(), "{name}: {report:?}");
    let alarms: Vec<_> = ALARMING.iter().filter(|path| report.facts.contains_key(**path)).collect();
    assert!(alarms.is_empty(), "{name}: {alarms:?} {report:?}");
    report
}

fn noise(count: usize) -> Vec<u8> {
    (0..count).map(|at| u8::try_from(at * 31 % 251).expect("small")).collect()
}

#[test]
fn entries_of_a_store_are_told_by_their_keys() {
    quiet(&arrays::manifest(&["", "d/0123456789abcdef0123456789abcdef"]), "run/manifest.ocdbt", "ocdbt");
    let plain = br#"{"dtype": "<f4", "compressor": {"id": "zstd"}, "zarr_format": 2}"#;
    for packed in [false, true] {
        let leaf = arrays::leaf(&["d/other"], &[("params.w/.zarray", plain)], &[("params.w/0.0", 0, 64)], packed);
        let honest = quiet(&leaf, DATA, "ocdbt");
        assert_eq!(list(&honest, "artifact.members"), ["params.w/.zarray", "params.w/0.0"]);
        let pickled = br#"{"dtype": "|O", "filters": [{"id": "pickle"}], "zarr_format": 2}"#;
        let leaf = arrays::leaf(&[], &[("params.w/.zarray", pickled)], &[], packed);
        let objects = report(&leaf, DATA);
        assert_eq!(list(&objects, "artifact.pickle.nested_loaders"), ["numcodecs.pickles.Pickle"], "{objects:?}");
        let leaf = arrays::leaf(&[], &[("note", &build::pickle_os_system())], &[], packed);
        assert_eq!(list(&report(&[noise(100), leaf].concat(), DATA), CALLS), ["os.system"]);
    }
}

#[test]
fn files_of_a_store_lie_in_its_folder() {
    for (path, told) in
        [("../../etc/x", true), ("/etc/x", true), ("s3://other/x", true), ("ocdbt.process_1/d/ab", false)]
    {
        for (sample, name) in [
            (arrays::manifest(&[path]), "run/manifest.ocdbt"),
            (arrays::leaf(&[path], &[], &[("w/0.0", 0, 64)], true), DATA),
        ] {
            let escapes = list(&report(&sample, name), "artifact.container.escapes");
            assert_eq!(escapes.first().map(String::as_str), told.then_some(path), "{name}");
        }
    }
}

#[test]
fn values_in_the_same_file_are_looked_into() {
    let chunk = arrays::zstd(&build::pickle_os_system());
    for (chunk, told) in [(chunk, true), (arrays::zstd(&noise(512)), false)] {
        let start = noise(300);
        let place = [("w/0.0", 300, chunk.len() as u64)];
        let leaf = arrays::leaf(&["d/0123456789abcdef0123456789abcdef"], &[], &place, true);
        let sample = report(&[start, chunk, leaf].concat(), DATA);
        assert_eq!(sample.format, "ocdbt");
        assert_eq!(!list(&sample, CALLS).is_empty(), told, "{sample:?}");
    }
    let beyond = arrays::leaf(&["d/0123456789abcdef0123456789abcdef"], &[], &[("w/0.0", 300, 1 << 40)], false);
    assert_eq!(list(&report(&beyond, DATA), "artifact.tensors.anomalies"), ["out_of_bounds"]);
    quiet(&noise(4000), DATA, "ocdbt");
    // A description in front of numbers that some codec packed.
    let described =
        br#"{"chunks":[64,64],"compressor":{"blocksize":0,"clevel":5,"cname":"lz4","id":"blosc","shuffle":-1}}"#;
    quiet(&[described.as_slice(), &noise(4000)].concat(), DATA, "ocdbt");
    quiet(&arrays::zstd(&noise(4000)), DATA, "ocdbt");
}

#[test]
fn chunks_of_shards_are_looked_into() {
    let (one, two) = (arrays::zstd(&noise(512)), arrays::zstd(&noise(300)));
    quiet(&arrays::shard(&[&one, &two]), "w/c/0/1", "zarr");
    quiet(&one, "w/0.1", "zarr");
    let evil = arrays::zstd(&build::pickle_os_system());
    for (sample, name) in [(arrays::shard(&[&one, &evil]), "w/c/0/1"), (evil.clone(), "w/0.1"), (evil, "w/c/0")] {
        assert_eq!(list(&report(&sample, name), CALLS), ["os.system"], "{name}");
    }
    // A name alone makes no chunk.
    assert_eq!(list(&report(&build::pickle_os_system(), "w/0.1"), CALLS), ["os.system"]);
}

#[test]
fn damage_is_survived() {
    let place = [("w/0.0", 0, 64)];
    survives(&arrays::manifest(&["", "d/ab"]), "manifest.ocdbt");
    survives(&arrays::leaf(&["d/0123456789abcdef0123456789abcdef"], &[("k", b"value")], &place, false), DATA);
    survives(&arrays::leaf(&["d/ab"], &[("k", b"value")], &place, true), DATA);
    survives(&arrays::shard(&[&arrays::zstd(&noise(64)), &noise(10)]), "w/c/0");
}
