//! PyTorch's archives beside plain checkpoints: scripts, bytecode for mobile, exported programs, packages and
//! shards. Laid out as the real library lays them out, with what an attacker would change.

use super::build::{self, pickle, zip};
use super::{ALARMING, list, report};

const FACT: &str = "artifact.torch.operators";

fn script(code: &str) -> Vec<zip::Member> {
    let mut members = zip::torch(&build::pickle_benign());
    members.push(zip::member("archive/constants.pkl", b"\x80\x02)."));
    members.push(zip::member("archive/code/__torch__/model.py", code.as_bytes()));
    members
}

const FORWARD: &str = "class Net(Module):\n  __parameters__ = []\n  def forward(self: __torch__.model.Net,\n    x: Tensor) -> Tensor:\n    ";

fn quiet(bytes: &[u8], name: &str, format: &str) {
    let report = report(bytes, name);
    let facts: Vec<_> = ALARMING.iter().filter_map(|path| report.facts.get(*path).map(|value| (path, value))).collect();
    assert!(facts.is_empty(), "{name}: {facts:?}");
    assert!(report.issues.is_empty(), "{name}: {:?}", report.issues);
    assert_eq!(report.format, format, "{name}");
}

#[test]
fn torchscript_that_leaves_the_graph_is_told_and_text_about_it_is_not() {
    for (body, found) in [
        ("torch.save(x, \"/srv/out\")", "aten::save"),
        ("_0 = ops.aten.save(x, _1)", "aten::save"),
        ("x = torch.from_file(\"/etc/hostname\", False, 10)", "aten::from_file"),
        ("_2 = ops.image.write_file(\"f\", x)", "image::write_file"),
        ("_3 = ops.acme.system(\"echo lanner\")", "acme::system"),
        ("_3 = ops.acme.run_shell(\"echo lanner\")", "acme::run_shell"),
        ("fut = rpc_async(\"worker\", self.f, (x,))", "prim::rpc_async"),
    ] {
        let bytes = zip::archive(&script(&format!("{FORWARD}{body}\n    return x\n")));
        let report = report(&bytes, "a.pt");
        assert_eq!(report.format, "torchscript");
        assert_eq!(list(&report, FACT), [found], "{body}");
    }
    for body in [
        "ops.prim.RaiseException(\"torch.save(x) is not for you\", \"builtins.ValueError\")",
        "_1 = torch.relu((self.save).forward(x, ))",
        "_1 = (self.torch.save_all).forward(x, )  # torch.save(x)",
        "_1 = ops.quantized.linear_dynamic(x, self._packed, True)",
        "_1 = ops.torchvision.nms(x, x, 0.5)",
        "_1 = ops.xnnpack.executor(x)",
    ] {
        quiet(&zip::archive(&script(&format!("{FORWARD}{body}\n    return x\n"))), "a.pt", "torchscript");
    }
}

#[test]
fn mobile_bytecode_names_its_operators() {
    let with = |operator: &str| {
        let mut members = script(FORWARD);
        let code = pickle::whole(2, &[b"(K\x06(", &pickle::long_text(operator), b"X\0\0\0\0K\x02tt"]);
        members.push(zip::member("archive/bytecode.pkl", &code));
        zip::archive(&members)
    };
    assert_eq!(list(&report(&with("aten::save"), "a.ptl"), FACT), ["aten::save"]);
    quiet(&with("aten::linear"), "a.ptl", "torchscript");
    quiet(&with("aten::saved"), "a.ptl", "torchscript");
    assert_eq!(list(&report(&with("acme::gate"), "a.ptl"), "artifact.torch.foreign"), ["operator:acme::gate"]);
}

fn exported(target: &str, expression: &str) -> Vec<u8> {
    let program = format!(
        r#"{{"graph_module": {{"graph": {{"nodes": [{{"target": "{target}", "inputs": [{{"name": "x", "arg":
           {{"as_expr": {{"expr_str": "{expression}"}}}}}}], "metadata": {{"stack_trace": "File \"/home/u/a.py\", in torch.os.system",
           "target": "torch.os.system"}}}}]}}}}, "schema_version": {{"major": 8, "minor": 2}}}}"#
    );
    let weights = r#"{"config": {"0.weight": {"path_name": "weight_0", "use_pickle": false}}}"#;
    zip::archive(&[
        zip::member("m/archive_format", b"pt2"),
        zip::member("m/archive_version", b"0"),
        zip::member("m/models/model.json", program.as_bytes()),
        zip::member("m/data/weights/weight_0", &[7; 64]),
        zip::member("m/data/weights/model_weights_config.json", weights.as_bytes()),
        zip::member("m/data/sample_inputs/model.pt", &zip::archive(&zip::torch(&build::pickle_benign()))),
        zip::member("m/byteorder", b"little"),
        zip::member("m/.data/version", b"3\n"),
        zip::member("m/.data/serialization_id", b"0123456789012345678901234567890123456789"),
    ])
}

#[test]
fn an_exported_program_calls_operators_and_nothing_else() {
    for target in [
        "torch.ops.aten.linear.default",
        "torch.ops.higher_order.cond",
        "_operator.floordiv",
        "math.trunc",
        "torch.sym_max",
        "torch._sym_sqrt",
        "torch.ops.torchvision.nms.default",
    ] {
        quiet(&exported(target, "2*s0 + Max(1, s77//2)"), "a.pt2", "pt2");
    }
    for (target, found) in [
        ("torch.os.system", "target:torch.os.system"),
        ("torch.hub.load", "target:torch.hub.load"),
        ("torch.utils.collect_env.run", "target:torch.utils.collect_env.run"),
        ("_operator.call", "target:_operator.call"),
        ("math.__loader__.load_module", "target:math.__loader__.load_module"),
        ("torch.sym_max.__globals__", "target:torch.sym_max.__globals__"),
        ("torch.ops.aten.save.default", "aten::save"),
        ("torch.ops.aten.from_file.default", "aten::from_file"),
        ("torch.ops.acme.exec.default", "acme::exec.default"),
    ] {
        let report = report(&exported(target, "s0"), "a.pt2");
        assert_eq!(report.format, "pt2");
        assert_eq!(list(&report, FACT), [found], "{target}");
    }
}

#[test]
fn an_expression_of_an_exported_program_is_arithmetic() {
    for text in
        ["__import__('os').system('echo lanner')", "(lambda: 1)()", "s0.__class__", "Symbol('x').subs(1, 2)", "[s0]"]
    {
        let found = list(&report(&exported("torch.ops.aten.add.Tensor", text), "a.pt2"), FACT);
        assert_eq!(found, [format!("expression:{text}")]);
    }
    for text in ["s0", "Mod(s77, 8)", "1.5*u0", "Max(1, FloorDiv(s0, 2))", "-s0 + 3", "Eq(s0, 4)", "s0 >= 2"] {
        quiet(&exported("torch.ops.aten.add.Tensor", text), "a.pt2", "pt2");
    }
}

#[test]
fn what_lies_in_an_exported_program_is_looked_into() {
    let mut members = vec![
        zip::member("m/archive_format", b"pt2"),
        zip::member("m/models/model.json", br#"{"graph_module": {}}"#),
        zip::member("m/data/constants/constant_0.pt", &zip::archive(&zip::torch(&build::pickle_os_system()))),
    ];
    let found = report(&zip::archive(&members), "a.pt2");
    assert_eq!(list(&found, "artifact.pickle.dangerous_calls"), ["os.system"]);
    members.push(zip::member("m/data/aotinductor/model/c.so", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0"));
    assert!(!list(&report(&zip::archive(&members), "a.pt2"), "artifact.embedded_executables").is_empty());
    members.push(zip::member("m/data/weights/weight_0", &build::pickle_os_system()));
    assert_eq!(list(&report(&zip::archive(&members[3..]), "a.pt2"), "artifact.embedded_executables").len(), 1);
    let old = zip::archive(&[
        zip::member("serialized_exported_program.json", br#"{"graph_module": {"target": "torch.os.popen"}}"#),
        zip::member("version", b"5.3"),
    ]);
    assert_eq!(list(&report(&old, "a.pt2"), FACT), ["target:torch.os.popen"]);
}

/// Long enough that every second byte of it spells a text.
const MODULES: &[u8] = b"torch.nn.modules.container\nbuiltins\ncollections\ntorch.nn.modules.linear\ntorch._utils\ntorch\ntorch.nn.modules.activation\nmath\n";

fn package(source: &str, pickle: &[u8]) -> Vec<u8> {
    zip::archive(&[
        zip::member("p/.data/0.storage", &[3; 64]),
        zip::member("p/model/model.pkl", pickle),
        zip::member("p/config/config.json", br#"{"hidden": 4}"#),
        zip::member("p/acme/shape.py", source.as_bytes()),
        zip::member("p/.data/extern_modules", MODULES),
        zip::member("p/.data/python_version", b"3.11.7"),
        zip::member("p/.data/version", b"3\n"),
    ])
}

#[test]
fn a_package_is_its_sources_and_its_pickles() {
    let benign = build::pickle_benign();
    quiet(&package("import math\n\ndef area(r):\n    return math.pi * r * r\n", &benign), "p.pt", "torch-package");
    let sinks = report(&package("import os\nos.system('echo lanner')\n", &benign), "p.pt");
    assert_eq!(list(&sinks, "artifact.code.sinks"), ["os.system"]);
    let calls = report(&package("x = 1\n", &build::pickle_os_system()), "p.pt");
    assert_eq!(list(&calls, "artifact.pickle.dangerous_calls"), ["os.system"]);
    // A persistent id of this kind is a call: the importer makes it.
    let id = [
        pickle::text("reduce_package"),
        b"K\x01".to_vec(),
        pickle::stack_global("subprocess", "getoutput"),
        pickle::text("echo lanner"),
        b"\x85".to_vec(),
    ]
    .concat();
    let called = report(&package("x = 1\n", &pickle::whole(4, &[b"(", &id, b"tQ"])), "p.pt");
    assert_eq!(list(&called, "artifact.pickle.dangerous_calls"), ["subprocess.getoutput"]);
}

#[test]
fn shards_of_a_distributed_checkpoint_are_a_row_of_archives() {
    let part = |data: &[u8]| zip::archive(&zip::torch(data));
    let benign = [part(&build::pickle_benign()), part(&build::pickle_benign()), part(&build::pickle_benign())].concat();
    quiet(&benign, "__0_0.distcp", "pytorch");
    let hostile =
        [part(&build::pickle_benign()), part(&build::pickle_os_system()), part(&build::pickle_benign())].concat();
    let found = report(&hostile, "__0_0.distcp");
    assert_eq!(list(&found, "artifact.pickle.dangerous_calls"), ["os.system"]);
    assert!(!list(&report(&benign, "model.pt"), "artifact.container.anomalies").is_empty());
}
