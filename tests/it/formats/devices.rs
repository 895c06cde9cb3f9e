//! `MXNet`, CNTK, `TensorRT`, RKNN, NCNN.

use super::build::{self, protobuf};
use super::{ALARMING, list, report, survives};

const ANOMALIES: &str = "artifact.tensors.anomalies";
const CALLS: &str = "artifact.pickle.dangerous_calls";

fn symbol(op: &str, attributes: &str) -> String {
    format!(
        r#"{{"nodes": [{{"op": "null", "name": "data", "inputs": []}},
        {{"op": "{op}", "name": "a", "attrs": {attributes}, "inputs": [[0, 0, 0]]}}],
        "arg_nodes": [0], "heads": [[1, 0, 0]], "attrs": {{"mxnet_version": ["int", 10700]}}}}"#
    )
}

fn params(elements: u64, data: &[u8]) -> Vec<u8> {
    [
        0x112_u64.to_le_bytes().as_slice(),
        &[0; 8],
        &1_u64.to_le_bytes(),
        &0xf993_fac9_u32.to_le_bytes(),
        &0_u32.to_le_bytes(),
        &1_u32.to_le_bytes(),
        &elements.to_le_bytes(),
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &0_u32.to_le_bytes(),
        data,
        &1_u64.to_le_bytes(),
        &10_u64.to_le_bytes(),
        b"arg:weight",
    ]
    .concat()
}

/// An array of rows of which only some are stored: their numbers, and their places behind them.
fn sparse(rows: u64, data: &[u8]) -> Vec<u8> {
    let shape = |dimensions: &[u64]| {
        let lengths: Vec<u8> = dimensions.iter().flat_map(|length| length.to_le_bytes()).collect();
        [u32::try_from(dimensions.len()).expect("short").to_le_bytes().as_slice(), &lengths].concat()
    };
    [
        0x112_u64.to_le_bytes().as_slice(),
        &[0; 8],
        &1_u64.to_le_bytes(),
        &0xf993_fac9_u32.to_le_bytes(),
        &1_u32.to_le_bytes(),
        &shape(&[rows, 4]),
        &shape(&[1000, 4]),
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &0_u32.to_le_bytes(),
        &6_u32.to_le_bytes(),
        &shape(&[rows]),
        data,
        &vec![0; usize::try_from(rows.min(64)).expect("short") * 8],
        &[0; 8],
    ]
    .concat()
}

/// A dictionary of texts, as CNTK writes one, with a dictionary in it.
fn cntk(key: &str, text: &str) -> Vec<u8> {
    let value = |number: u64, bytes: &[u8]| [protobuf::number(1, 1), protobuf::bytes(number, bytes)].concat();
    let inner = [
        protobuf::number(1, 1),
        protobuf::entry(2, key, &value(8, text.as_bytes())),
        protobuf::entry(2, "uid", &value(8, b"Plus4")),
    ]
    .concat();
    let list = protobuf::bytes(1, &value(12, &inner));
    [
        protobuf::number(1, 1),
        protobuf::entry(2, "primitive_functions", &value(11, &list)),
        protobuf::entry(2, "root_uid", &value(8, b"Plus4")),
    ]
    .concat()
}

fn rknn(json: &str, model: &[u8], lie: u64) -> Vec<u8> {
    let size = model.len() as u64 + lie;
    let header = [b"RKNN\0\0\0\0".as_slice(), &6_u64.to_le_bytes(), &size.to_le_bytes(), &[0; 40]].concat();
    [header.as_slice(), model, &(json.len() as u64).to_le_bytes(), json.as_bytes()].concat()
}

fn engine(text: &str) -> Vec<u8> {
    [b"ftrt\0\0\0\0\x78\0\0\0".as_slice(), &[7; 64], b"EfficientNMS_TRT\0", text.as_bytes(), &[0; 64]].concat()
}

#[test]
fn plain_models_are_silent() {
    for (sample, name, format) in [
        (symbol("Convolution", r#"{"kernel": "(3, 3)"}"#).into_bytes(), "a-symbol.json", "mxnet"),
        (params(8, &[7; 32]), "a-0000.params", "mxnet"),
        (sparse(2, &[7; 32]), "rows.params", "mxnet"),
        (cntk("name", "a plain layer"), "a.dnn", "cntk"),
        (rknn(r#"{"name": "a plain model"}"#, &[7; 64], 0), "a.rknn", "rknn"),
        (engine("ResNet50"), "a.engine", "tensorrt"),
        (b"7767517\n2 2\nInput data 0 1 data\nReLU relu 1 1 data out\n".to_vec(), "a.param", "ncnn"),
    ] {
        let report = report(&sample, name);
        assert_eq!(report.format, format, "{report:?}");
        assert!(report.issues.is_empty(), "{name}: {report:?}");
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{name}: {report:?}");
    }
}

#[test]
fn operators_of_somebody_are_told() {
    let custom = report(symbol("Custom", r#"{"op_type": "gate"}"#).as_bytes(), "a-symbol.json");
    assert_eq!(list(&custom, "artifact.mxnet.custom"), ["Custom:gate"]);
    let library = report(symbol("Gate", r#"{"library": "./gate.so"}"#).as_bytes(), "a.json");
    assert_eq!(list(&library, "artifact.mxnet.custom"), ["library:./gate.so"]);
    let module = report(&cntk("module", "gate"), "a.bin");
    assert_eq!(list(&module, "artifact.cntk.custom"), ["module:gate"]);
    let outside = report(&cntk("module", "../gate.so"), "a.dnn");
    assert_eq!(list(&outside, "artifact.container.escapes"), ["../gate.so"]);
    let native = report(&cntk("type", "NativeUserDefinedFunction"), "a.dnn");
    assert_eq!(list(&native, "artifact.cntk.custom"), ["type:NativeUserDefinedFunction"]);
    let shared = report(&cntk("state", "gate.so"), "a.dnn");
    assert_eq!(list(&shared, "artifact.cntk.custom"), ["library:gate.so"]);
    let library = report(&rknn(r#"{"custom_op_lib": "/opt/gate.so"}"#, &[7; 64], 0), "a.rknn");
    assert_eq!(list(&library, "artifact.rknn.libraries"), ["/opt/gate.so"]);
    let climbing = report(symbol("Convolution", r#"{"weights": "../../other.bin"}"#).as_bytes(), "a-symbol.json");
    assert_eq!(list(&climbing, "artifact.container.escapes"), ["../../other.bin"]);
    let plugin = report(&engine("GatePlugin"), "a.plan");
    assert_eq!(list(&plugin, "artifact.tensorrt.foreign_plugins"), ["GatePlugin"]);
    let named = report(&engine("/opt/gate.so"), "a.engine");
    assert_eq!(list(&named, "artifact.tensorrt.libraries"), ["/opt/gate.so"]);
}

#[test]
fn weights_hold_neither_programs_nor_pickles() {
    let payload = build::pickle_os_system();
    let padded = [payload.as_slice(), &vec![0; payload.len().next_multiple_of(4) - payload.len()]].concat();
    for (sample, name) in [
        (params(padded.len() as u64 / 4, &padded), "a.params"),
        (rknn("{}", &payload, 0), "a.rknn"),
        ([engine("x"), payload.clone()].concat(), "a.engine"),
        ([params(8, &[7; 32]), payload.clone()].concat(), "a.params"),
    ] {
        assert_eq!(list(&report(&sample, name), CALLS), ["os.system"], "{name}");
    }
    for (sample, name) in [
        (params(16, &build::elf()), "a.params"),
        (rknn("{}", &build::elf(), 0), "a.rknn"),
        ([engine("x"), build::elf()].concat(), "a.engine"),
    ] {
        let report = report(&sample, name);
        assert!(
            list(&report, "artifact.embedded_executables").iter().any(|item| item.starts_with("elf@")),
            "{report:?}"
        );
    }
    let first = report(&[b"B\0C\0N\0\0\0".as_slice(), &[0; 64], &build::elf()].concat(), "a.dnn");
    assert_eq!(list(&first, "artifact.embedded_executables"), ["elf@72"]);
    let inside = [[0; 64].as_slice(), b"/bin/sh -c 'echo lanner'", &[0; 64]].concat();
    assert!(!list(&report(&rknn("{}", &inside, 0), "a.rknn"), "artifact.metadata.suspicious").is_empty());
    let noted = report(&rknn(r#"{"note": "__import__('os').system('echo lanner')"}"#, &[7; 64], 0), "a.rknn");
    assert_eq!(list(&noted, "artifact.metadata.suspicious"), ["note"]);
}

#[test]
fn code_for_the_device_is_what_an_engine_is_made_of() {
    let mut cubin = build::elf();
    cubin.splice(18..20, [0xbe, 0]);
    let sample = [engine("libcublas.so.12"), cubin].concat();
    let report = report(&sample, "a.engine");
    assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{report:?}");
}

#[test]
fn lengths_that_lie_are_told() {
    for (sample, name) in [
        (params(1 << 62, &[7; 32]), "a.params"),
        (params(1000, &[7; 32]), "a.params"),
        (sparse(1 << 60, &[7; 32]), "a.params"),
        (rknn("{}", &[7; 64], 1 << 40), "a.rknn"),
        (rknn("{}", &[7; 64], u64::MAX - 80), "a.rknn"),
    ] {
        assert_eq!(list(&report(&sample, name), ANOMALIES), ["out_of_bounds"], "{name}");
    }
    let old = report(b"B\0C\0N\0T\0K\0\0\0", "a.dnn");
    assert_eq!(old.format, "cntk");
    assert!(old.issues.iter().any(|issue| issue.code == "malformed"), "{old:?}");
}

#[test]
fn damage_is_survived() {
    survives(symbol("Custom", r#"{"op_type": "gate"}"#).as_bytes(), "a-symbol.json");
    survives(&params(8, &[7; 32]), "a.params");
    survives(&cntk("module", "gate"), "a.dnn");
    survives(&rknn(r#"{"name": "a plain model"}"#, &[7; 64], 0), "a.rknn");
    survives(&engine("GatePlugin"), "a.engine");
}
