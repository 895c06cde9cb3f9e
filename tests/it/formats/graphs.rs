//! Graphs: ONNX, TensorFlow, Core ML and Paddle.

use serde_json::json;

use super::build::protobuf::{bytes, entry, message, number, onnx, tensorflow};
use super::build::{self, keras};
use super::{ALARMING, list, report};

const EXTERNAL: &str = "artifact.onnx.external_data";
const DOMAINS: &str = "artifact.onnx.domains";
const OPERATORS: &str = "artifact.tensorflow.operators";

fn silent(bytes: &[u8], name: &str, format: &str) {
    let report = report(bytes, name);
    assert_eq!(report.format, format, "{name}");
    let facts: Vec<_> = ALARMING.iter().filter(|path| report.facts.contains_key(**path)).collect();
    assert!(facts.is_empty() && report.issues.is_empty(), "{name}: {:?} {:?}", report.facts, report.issues);
}

fn plain_onnx() -> Vec<u8> {
    onnx::model(&onnx::graph(&onnx::node("", "MatMul", &[]), &onnx::tensor(&[7; 16])), &[])
}

#[test]
fn a_vocabulary_of_sentencepiece_is_read_and_what_hides_in_it_found() {
    let piece = |text: &str| message(1, &[bytes(1, text.as_bytes()), b"\x15\0\0\x80\xbf".to_vec()]);
    let whole = ["<unk>", "\u{2581}the", "import os", "\u{200b}"].map(piece).concat();
    let benign = report(&whole, "tokenizer.model");
    assert_eq!((benign.format.as_str(), benign.issues.len()), ("sentencepiece", 0), "{:?}", benign.issues);
    let hidden = |field: u64, data: &[u8]| [whole.clone(), bytes(field, data)].concat();
    let elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0";
    assert!(!list(&report(&hidden(3, elf), "tokenizer.model"), "artifact.embedded_executables").is_empty());
    let pickle = report(&hidden(4, &build::pickle_os_system()), "tokenizer.model");
    assert_eq!(list(&pickle, "artifact.pickle.dangerous_calls"), ["os.system"]);
    assert!(!report(&hidden(9, b"x"), "tokenizer.model").issues.is_empty());
}

#[test]
fn data_of_onnx_lies_beside_it() {
    let matmul = onnx::node("", "MatMul", &[]);
    let plain = onnx::tensor(&[7; 16]);
    for place in [
        "/etc/hostname",
        "../w.bin",
        "a/../../w.bin",
        "..\\w.bin",
        "C:\\w.bin",
        "file:///w",
        "https://x.example/w",
        "~/w",
    ] {
        let away = onnx::external(place);
        let attribute = [bytes(1, b"value"), number(20, 4), bytes(5, &away)].concat();
        let inner = onnx::graph(&matmul, &away);
        let branch = [bytes(1, b"then_branch"), number(20, 5), bytes(6, &inner)].concat();
        let sparse = [bytes(1, &away), bytes(2, &plain), number(3, 4)].concat();
        let constant = onnx::node("", "Constant", &[attribute]);
        let function = message(25, &[bytes(1, b"f"), bytes(7, &constant), bytes(10, b"mine")]);
        let graph = onnx::graph(&matmul, &plain);
        let models = [
            onnx::model(&onnx::graph(&matmul, &away), &[]),
            onnx::model(&onnx::graph(&constant, &plain), &[]),
            onnx::model(&onnx::graph(&onnx::node("", "If", &[branch]), &plain), &[]),
            onnx::model(&[graph.clone(), bytes(15, &sparse)].concat(), &[]),
            onnx::model(&graph, &[function]),
            onnx::model(&graph, &[message(20, &[bytes(1, &inner)])]),
        ];
        for (number, model) in models.iter().enumerate() {
            for name in ["model.onnx", "weights.data"] {
                assert_eq!(list(&report(model, name), EXTERNAL), [place], "{number} as {name}");
            }
        }
    }
    for place in ["w.bin", "data/w.bin", "./w.bin", "w..bin"] {
        let model = onnx::model(&onnx::graph(&matmul, &onnx::external(place)), &[]);
        silent(&model, "model.onnx", "onnx");
    }
}

#[test]
fn operators_of_onnx_are_those_of_the_standard() {
    let of = |domain: &str, operator: &str| {
        report(&onnx::model(&onnx::graph(&onnx::node(domain, operator, &[]), &onnx::tensor(&[0; 16])), &[]), "m.onnx")
    };
    for domain in ["", "ai.onnx.ml", "com.microsoft", "ai.onnx.training"] {
        assert!(list(&of(domain, "Gemm"), DOMAINS).is_empty());
    }
    assert_eq!(list(&of("acme", "Gate"), DOMAINS), ["acme"]);
    let python = of("ai.onnx.contrib", "PyOp");
    assert_eq!(list(&python, "artifact.onnx.operators"), ["ai.onnx.contrib:PyOp"]);
    assert_eq!(list(&of("com.microsoft.extensions", "PythonOp"), "artifact.onnx.operators").len(), 1);
    let local = message(25, &[bytes(1, b"F"), bytes(7, &onnx::node("", "Relu", &[])), bytes(10, b"mine")]);
    let graph = onnx::graph(&onnx::node("mine", "F", &[]), &onnx::tensor(&[0; 16]));
    silent(&onnx::model(&graph, &[local]), "model.onnx", "onnx");
}

#[test]
fn what_hides_in_onnx_is_found() {
    let matmul = onnx::node("", "MatMul", &[]);
    let hidden = onnx::model(&onnx::graph(&matmul, &onnx::tensor(&build::pickle_os_system())), &[]);
    assert_eq!(list(&report(&hidden, "m.onnx"), "artifact.pickle.dangerous_calls"), ["os.system"]);
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 57]].concat();
    let program = onnx::model(&onnx::graph(&matmul, &onnx::tensor(&elf)), &[]);
    assert!(!list(&report(&program, "m.onnx"), "artifact.embedded_executables").is_empty());
    let graph = onnx::graph(&matmul, &onnx::tensor(&[0; 16]));
    let noted = onnx::model(&graph, &[entry(14, "setup", b"__import__('os').system('echo lanner')")]);
    assert_eq!(list(&report(&noted, "m.onnx"), "artifact.metadata.suspicious"), ["setup"]);
    silent(&onnx::model(&graph, &[entry(14, "author", b"https://example.org/us")]), "m.onnx", "onnx");
    let large = onnx::model(&onnx::graph(&matmul, &onnx::tensor(&vec![1; 3 << 20])), &[entry(14, "a", b"b")]);
    silent(&large, "m.onnx", "onnx");
}

#[test]
fn operators_that_leave_the_graph_are_told() {
    let plain = tensorflow::node("MatMul", &[("T", number(6, 1))]);
    let everywhere = |node: Vec<u8>| {
        let direct = tensorflow::graph(std::slice::from_ref(&node), std::slice::from_ref(&plain));
        let inner = tensorflow::graph(std::slice::from_ref(&plain), std::slice::from_ref(&node));
        let samples = [
            ("saved_model.pb", tensorflow::saved(&tensorflow::meta(&direct, &[]))),
            ("renamed.bin", tensorflow::saved(&tensorflow::meta(&inner, &[]))),
            ("model.meta", tensorflow::meta(&inner, &[])),
            ("frozen.pb", direct),
        ];
        let mut found: Vec<_> = samples.iter().map(|(name, bytes)| list(&report(bytes, name), OPERATORS)).collect();
        found.dedup();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    for operator in ["PyFunc", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "ImmutableConst", "RunShellOp"]
    {
        assert_eq!(everywhere(tensorflow::node(operator, &[])), [operator]);
    }
    for operator in ["SaveV2", "RestoreV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2", "PrintV2"] {
        assert!(everywhere(tensorflow::node(operator, &[])).is_empty(), "{operator}");
    }
    let text = |text: &str| bytes(2, text.as_bytes());
    let to_file = tensorflow::node("PrintV2", &[("output_stream", text("file:///x"))]);
    assert_eq!(everywhere(to_file), ["PrintV2:file:///x"]);
    assert!(everywhere(tensorflow::node("PrintV2", &[("output_stream", text("stderr"))])).is_empty());
    let urls = message(1, &[text("grpc://192.0.2.7:1")]);
    let debug = tensorflow::node("DebugIdentityV2", &[("debug_urls", urls)]);
    assert_eq!(everywhere(debug), ["DebugIdentityV2:grpc://192.0.2.7:1"]);
    let written = "node {\n  name: \"n\"\n  op: \"ReadFile\"\n}\n";
    assert_eq!(list(&report(written.as_bytes(), "saved_model.pbtxt"), OPERATORS), ["ReadFile"]);
    let dataset = tensorflow::graph(&[tensorflow::node("TFRecordDataset", &[])], &[]);
    assert_eq!(list(&report(&dataset, "a.pb"), "artifact.tensorflow.data_operators"), ["TFRecordDataset"]);
}

#[test]
fn what_hides_in_graphs_of_tensorflow_is_found() {
    let graph = tensorflow::graph(&[tensorflow::node("MatMul", &[])], &[]);
    let payload = build::pickle_os_system();
    let collection = entry(4, "hooks", &message(2, &[bytes(1, &payload)]));
    let constant = tensorflow::node("Const", &[("value", message(8, &[number(1, 7), bytes(4, &payload)]))]);
    for meta in [tensorflow::meta(&graph, &[collection]), tensorflow::meta(&tensorflow::graph(&[constant], &[]), &[])] {
        let report = report(&tensorflow::saved(&meta), "saved_model.pb");
        assert_eq!(list(&report, "artifact.pickle.dangerous_calls"), ["os.system"]);
    }
    let asset = |name: &str| tensorflow::meta(&graph, &[message(6, &[bytes(2, name.as_bytes())])]);
    let away = report(&tensorflow::saved(&asset("../../x")), "saved_model.pb");
    assert_eq!(list(&away, "artifact.container.escapes"), ["../../x"]);
    silent(&tensorflow::saved(&asset("vocab.txt")), "saved_model.pb", "savedmodel");
    let variables = entry(4, "variables", &message(2, &[bytes(1, b"\x0a\x03v:0")]));
    silent(&tensorflow::meta(&graph, &[variables]), "model.meta", "tensorflow");
}

#[test]
fn the_configuration_of_keras_beside_a_graph_is_read() {
    let code = keras::bytecode(&["os", "system"]);
    let function = json!({"class_name": "__tuple__", "items": [code, null, null]});
    let layer =
        json!({"class_name": "Lambda", "config": {"name": "l", "function": function, "function_type": "lambda"}});
    let object = |layer: &serde_json::Value| {
        let fields =
            [number(2, 1), bytes(3, b"root"), bytes(4, b"_tf_keras_layer"), bytes(5, layer.to_string().as_bytes())];
        message(1, &[fields.concat(), message(6, &[number(1, 1)])])
    };
    for name in ["keras_metadata.pb", "renamed.pb"] {
        assert_eq!(list(&report(&object(&layer), name), "artifact.keras.code"), ["os", "system"]);
    }
    silent(&object(&keras::dense()), "keras_metadata.pb", "tensorflow");
    let inner = message(1, &[message(4, &[bytes(1, b"_tf_keras_layer"), bytes(3, layer.to_string().as_bytes())])]);
    let meta = tensorflow::meta(&tensorflow::graph(&[tensorflow::node("NoOp", &[])], &[]), &[bytes(7, &inner)]);
    assert_eq!(list(&report(&tensorflow::saved(&meta), "saved_model.pb"), "artifact.keras.code"), ["os", "system"]);
}

#[test]
fn core_ml_and_paddle_are_looked_into() {
    let custom = "artifact.coreml.custom";
    let head = [number(1, 4), message(2, &[bytes(1, b"x")])].concat();
    let layer = |kind: u64, inner: &[u8]| message(1, &[bytes(1, b"l"), bytes(kind, inner)]);
    let network = |layer: &[u8]| [head.clone(), bytes(500, layer)].concat();
    let gate = network(&layer(500, &bytes(10, b"Gate")));
    assert_eq!(list(&report(&gate, "m.mlmodel"), custom), ["layer:Gate"]);
    let pipeline = [head.clone(), message(202, &[bytes(1, &gate)])].concat();
    assert_eq!(list(&report(&pipeline, "m.bin"), custom), ["layer:Gate"]);
    let whole = [head.clone(), message(555, &[bytes(10, b"Whole")])].concat();
    assert_eq!(list(&report(&whole, "m.mlmodel"), custom), ["model:Whole"]);
    let linked = message(556, &[message(1, &[message(1, &[bytes(1, b"../other")])])]);
    let linked = report(&[head.clone(), linked].concat(), "m.mlmodel");
    assert_eq!(list(&linked, "artifact.container.escapes"), ["../other"]);
    silent(&network(&layer(140, &bytes(1, b"w"))), "m.mlmodel", "coreml");

    let program = |kind: &str| {
        let operator = message(4, &[message(1, &[bytes(1, b"X")]), bytes(3, kind.as_bytes())]);
        [
            message(1, &[number(1, 0), number(2, 0), message(3, &[bytes(1, b"x")]), operator]),
            message(4, &[number(1, 0)]),
        ]
        .concat()
    };
    for name in ["m.pdmodel", "m.bin"] {
        assert_eq!(list(&report(&program("py_func"), name), "artifact.paddle.operators"), ["py_func"]);
    }
    silent(&program("matmul_v2"), "m.pdmodel", "paddle");
}

#[test]
fn nesting_ends() {
    let mut graph = onnx::graph(&onnx::node("", "MatMul", &[]), &onnx::tensor(&[0; 16]));
    for _ in 0..200 {
        let branch = [bytes(1, b"b"), number(20, 5), bytes(6, &graph)].concat();
        graph = onnx::graph(&onnx::node("", "If", &[branch]), &onnx::tensor(&[0; 16]));
    }
    let report = report(&onnx::model(&graph, &[]), "m.onnx");
    assert!(report.issues.iter().any(|issue| issue.code == "budget_exceeded"), "{report:?}");
    silent(&plain_onnx(), "m.onnx", "onnx");
}
