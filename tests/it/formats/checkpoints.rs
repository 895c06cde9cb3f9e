//! Checkpoints: `MessagePack` as Flax writes it, Torch 7, `TensorFlow`'s, Orbax.

use super::build::values::{checkpoint, msgpack, torch7};
use super::build::{self, protobuf};
use super::{ALARMING, list, report, survives};

const ANOMALIES: &str = "artifact.tensors.anomalies";
const CALLS: &str = "artifact.pickle.dangerous_calls";

#[test]
fn plain_checkpoints_are_silent() {
    let kernel = msgpack::array(&[2, 4], "float32", &[7; 32]);
    let flax =
        msgpack::map(&[("params", msgpack::map(&[("kernel", kernel), ("name", msgpack::text("a dense layer"))]))]);
    let network = torch7::table(
        3,
        &[
            (torch7::text("weight"), torch7::tensor(4, 8, &[7; 32])),
            (torch7::text("note"), torch7::text("a dense layer")),
        ],
    );
    let network = torch7::object(1, "nn.Linear", &network);
    let entry = vec![protobuf::number(1, 1), protobuf::number(4, 0), protobuf::number(5, 32)];
    let next = vec![protobuf::number(1, 1), protobuf::number(4, 32), protobuf::number(5, 32)];
    let index = checkpoint(&[("dense/bias", entry), ("dense/kernel", next)]);
    for (sample, name, format, tensors) in [
        (&flax, "flax_model.msgpack", "msgpack", 1),
        (&flax, "checkpoint_5", "msgpack", 1),
        (&network, "net.t7", "torch7", 1),
        (&network, "net.bin", "torch7", 1),
        (&index, "model.ckpt.index", "tf-checkpoint", 2),
        (&index, "index.bin", "tf-checkpoint", 2),
    ] {
        let report = report(sample, name);
        assert_eq!(report.format, format, "{name}: {report:?}");
        assert!(report.issues.is_empty(), "{name}: {report:?}");
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{name}: {report:?}");
        assert_eq!(report.facts.get("artifact.tensors.count"), Some(&lanner::event::Value::Int(tensors)), "{name}");
    }
}

#[test]
fn bytes_of_message_pack_hold_neither_pickles_nor_programs() {
    let payload = build::pickle_os_system();
    for value in [msgpack::bytes(&payload), msgpack::array(&[1], "uint8", &payload)] {
        let report = report(&msgpack::map(&[("params", value)]), "flax_model.msgpack");
        assert_eq!(list(&report, CALLS), ["os.system"], "{report:?}");
    }
    let native = report(&msgpack::map(&[("w", msgpack::array(&[64], "uint8", &build::elf()))]), "m.msgpack");
    assert!(list(&native, "artifact.embedded_executables").iter().any(|item| item.starts_with("elf@")), "{native:?}");
    let noted =
        report(&msgpack::map(&[("note", msgpack::text("__import__('os').system('echo lanner')"))]), "m.msgpack");
    assert_eq!(list(&noted, "artifact.metadata.suspicious"), ["note"]);
    let behind = [msgpack::map(&[("w", msgpack::array(&[4], "uint8", &[7; 4]))]), payload].concat();
    let behind = report(&behind, "m.msgpack");
    assert_eq!(list(&behind, ANOMALIES), ["trailing_data"]);
    assert_eq!(list(&behind, CALLS), ["os.system"]);
}

#[test]
fn lengths_of_message_pack_that_lie_are_told() {
    let long = |head: &[u8]| [&[0x81, 0xa1, b'w'], head, &[7; 32]].concat();
    for (sample, anomaly) in [
        (long(&[0xc6, 0xff, 0xff, 0xff, 0xff]), "out_of_bounds"),
        (long(&[0xdd, 0xff, 0xff, 0xff, 0xff]), "out_of_bounds"),
        (long(&[0xdf, 0xff, 0xff, 0xff, 0xff]), "out_of_bounds"),
        (long(&[0xc9, 0xff, 0xff, 0xff, 0xff, 1]), "out_of_bounds"),
        (msgpack::map(&[("w", msgpack::array(&[100], "float32", &[7; 32]))]), "shape_mismatch"),
        (msgpack::map(&[("w", msgpack::array(&[4], "object", &[7; 32]))]), "unknown_type"),
        (msgpack::map(&[("w", msgpack::array(&[127; 11], "float32", &[7; 32]))]), "shape_mismatch"),
    ] {
        let report = report(&sample, "m.msgpack");
        assert_eq!(list(&report, ANOMALIES), [anomaly], "{sample:?} {report:?}");
    }
    let deep = [[0x81, 0xa1, b'w'].repeat(100_000), vec![0xc0]].concat();
    assert_eq!(list(&report(&deep, "m.msgpack"), "artifact.container.bomb"), ["depth"]);
    assert!(report(&deep, "m.msgpack").issues.iter().any(|issue| issue.code == "budget_exceeded"));
}

#[test]
fn functions_of_torch_are_told() {
    let bytecode = b"\x1bLJ\x02\x02\x0cexecute\x07os";
    for sample in [
        torch7::function(1, bytecode),
        torch7::table(1, &[(torch7::text("hook"), torch7::function(2, bytecode))]),
        torch7::object(1, "nn.Linear", &torch7::table(2, &[(torch7::text("f"), torch7::function(3, bytecode))])),
    ] {
        let report = report(&sample, "net.bin");
        assert_eq!(report.format, "torch7", "{report:?}");
        assert_eq!(list(&report, "artifact.torch7.functions"), ["luajit", "luajit:execute"]);
    }
    let source = report(&torch7::function(1, b"io.popen('echo lanner')"), "net.t7");
    assert_eq!(list(&source, "artifact.torch7.functions"), ["source", "source:popen"]);
    let text = b"4\n1\n3\nV 1\n9\nnn.Linear\n3\n2\n1\n2\n1\nf\n8\n3\n23\nos.execute('echo lanner')\n0\n";
    let text = report(text, "net.t7");
    assert_eq!(text.format, "torch7");
    assert_eq!(list(&text, "artifact.torch7.functions"), ["source", "source:execute"], "{text:?}");
}

#[test]
fn longer_ways_to_write_an_array_hide_nothing() {
    let payload = build::pickle_os_system();
    let length = u8::try_from(payload.len()).expect("short");
    let inner = [
        [0xdc, 0, 3, 0xdc, 0, 1, 0xd3, 0, 0, 0, 0, 0, 0, 0, length, 0xa5].as_slice(),
        b"uint8",
        &[0xc4, length],
        &payload,
    ]
    .concat();
    let head = [0x81, 0xa1, b'w', 0xc7, u8::try_from(inner.len()).expect("short"), 1];
    let report = report(&[head.as_slice(), &inner].concat(), "m.msgpack");
    assert_eq!(list(&report, CALLS), ["os.system"]);
    assert!(!report.facts.contains_key(ANOMALIES), "{report:?}");
}

#[test]
fn places_of_arrays_stay_inside() {
    let place = report(&msgpack::map(&[("w", msgpack::text("PLACEHOLDER://../../other"))]), "checkpoint");
    assert_eq!(list(&place, "artifact.container.escapes"), ["PLACEHOLDER://../../other"]);
    let noted = br#"{"tree_metadata": {"ts_spec": {"kvstore": {"driver": "file", "path": "/etc/cron.d/"}}}}"#;
    assert_eq!(list(&report(noted, "run/_METADATA"), "artifact.container.escapes"), ["/etc/cron.d/"]);
    let inside = report(&msgpack::map(&[("w", msgpack::text("PLACEHOLDER://params.w"))]), "checkpoint");
    assert!(ALARMING.iter().all(|path| !inside.facts.contains_key(*path)), "{inside:?}");
}

#[test]
fn texts_and_keys_hold_no_code() {
    let lua = report(&torch7::table(1, &[(torch7::text("init"), torch7::text("os.execute('echo lanner')"))]), "net.t7");
    assert_eq!(list(&lua, "artifact.metadata.suspicious"), ["text"]);
    let words =
        report(&torch7::table(1, &[(torch7::text("note"), torch7::text("see os.execute in the manual"))]), "net.t7");
    assert!(!words.facts.contains_key("artifact.metadata.suspicious"), "{words:?}");
    let key = report(&msgpack::map(&[("__reduce__", msgpack::text("x"))]), "m.msgpack");
    assert_eq!(list(&key, "artifact.metadata.suspicious"), ["__reduce__"]);
    let noted = br#"{"item_handlers": "a.B", "custom_metadata": {"hook": "__import__('os').system('echo lanner')"}}"#;
    assert_eq!(list(&report(noted, "run/_CHECKPOINT_METADATA"), "artifact.metadata.suspicious"), ["hook"]);
}

#[test]
fn storages_of_torch_are_weights() {
    let native = report(&torch7::tensor(1, 16, &build::elf()), "net.t7");
    assert!(list(&native, "artifact.embedded_executables").iter().any(|item| item.starts_with("elf@")), "{native:?}");
    for lie in [1 << 40, i64::MAX, -1] {
        let report = report(&torch7::tensor(1, lie, &[7; 32]), "net.t7");
        assert_eq!(list(&report, ANOMALIES), ["out_of_bounds"], "{lie}");
    }
    let count = [torch7::int(3), torch7::int(1), torch7::int(i32::MAX), torch7::text("w")].concat();
    assert_eq!(list(&report(&count, "net.t7"), ANOMALIES), ["out_of_bounds"]);
}

#[test]
fn an_index_that_lies_is_told() {
    let place = |shard: u64, start: u64, size: u64| {
        vec![protobuf::number(1, 1), protobuf::number(3, shard), protobuf::number(4, start), protobuf::number(5, size)]
    };
    for (tensors, anomaly) in [
        (vec![("w", place(0, u64::MAX, 2))], "out_of_bounds"),
        (vec![("w", place(7, 0, 2))], "out_of_bounds"),
        (vec![("v", place(0, 0, 32)), ("w", place(0, 16, 32))], "overlap"),
    ] {
        assert_eq!(list(&report(&checkpoint(&tensors), "m.index"), ANOMALIES), [anomaly]);
    }
    let mut sample = checkpoint(&[("w", place(0, 0, 32))]);
    let footer = sample.len() - 48;
    sample.splice(footer + 2..footer + 8, [0xff, 0xff, 0xff, 0xff, 0x7f, 0x7f]);
    let broken = report(&sample, "m.index");
    assert_eq!(list(&broken, ANOMALIES), ["out_of_bounds"], "{broken:?}");
}

#[test]
fn shards_are_known_by_their_name_alone() {
    let name = "model.ckpt.data-00000-of-00001";
    let plain = report(&[0x3f; 64].map(|byte| byte ^ 0x80), name);
    assert_eq!(plain.format, "tf-checkpoint");
    assert!(plain.issues.is_empty(), "{plain:?}");
    let pickled = report(&build::pickle_os_system(), name);
    assert_eq!(list(&pickled, CALLS), ["os.system"]);
}

#[test]
fn the_latest_checkpoint_lies_in_its_folder() {
    let text = |path: &str| format!("model_checkpoint_path: \"{path}\"\nall_model_checkpoint_paths: \"{path}\"\n");
    for path in ["../../other/model.ckpt", "/etc/passwd", "~/.ssh/id"] {
        let report = report(text(path).as_bytes(), "run/checkpoint");
        assert_eq!(list(&report, "artifact.container.escapes"), [path]);
    }
    for path in ["model.ckpt-100", "/home/someone/run/model.ckpt-100", "gs://bucket/run/model.ckpt-100"] {
        let report = report(text(path).as_bytes(), "run/checkpoint");
        assert!(ALARMING.iter().all(|fact| !report.facts.contains_key(*fact)), "{path}: {report:?}");
    }
}

#[test]
fn arrays_of_zarr_that_unpickle_are_told() {
    let pickled = br#"{"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "zarr_format": 2}"#;
    assert_eq!(list(&report(pickled, "a/.zarray"), "artifact.pickle.nested_loaders"), ["numcodecs.pickles.Pickle"]);
    let plain = br#"{"dtype": "<f4", "compressor": {"id": "zstd", "level": 1}, "filters": null, "zarr_format": 2}"#;
    let plain = report(plain, "a/.zarray");
    assert!(ALARMING.iter().all(|path| !plain.facts.contains_key(*path)), "{plain:?}");
}

#[test]
fn damage_is_survived() {
    let flax =
        msgpack::map(&[("w", msgpack::array(&[2, 4], "float32", &[7; 32])), ("t", msgpack::text("a text of it"))]);
    survives(&flax, "m.msgpack");
    survives(&flax, "m.bin");
    let code = torch7::function(5, b"\x1bLJ execute");
    let network = torch7::table(2, &[(torch7::text("w"), torch7::tensor(3, 8, &[7; 32])), (torch7::text("f"), code)]);
    survives(&torch7::object(1, "nn.Linear", &network), "net.t7");
    let text = b"4\n1\n3\nV 1\n9\nnn.Linear\n3\n2\n1\n2\n1\nw\n4\n3\n3\nV 1\n18\ntorch.FloatStorage\n2\n1 2\n";
    survives(text, "net.t7");
    survives(&checkpoint(&[("w", vec![protobuf::number(4, 8), protobuf::number(5, 8)])]), "m.index");
}
