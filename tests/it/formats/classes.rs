//! Classes of attack beyond the advisories: each sample must have the fact that names it.

use std::io::Write as _;

use super::build::{self, pickle, tensors, zip};
use super::{list, report};

const CALLS: &str = "artifact.pickle.dangerous_calls";
const TRICKS: &str = "artifact.container.anomalies";
const ODDITIES: &str = "artifact.pickle.anomalies";
const TEMPLATE: &str = "artifact.chat_template.unsafe";

fn holds(bytes: &[u8], name: &str, fact: &str, item: &str) {
    let report = report(bytes, name);
    let found = list(&report, fact);
    assert!(
        found.iter().any(|known| known == item),
        "{name}: `{item}` is not in {fact}: {:?} {:?}",
        report.facts,
        report.issues
    );
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("four bits");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[test]
fn text_protocols_are_recognised_without_a_magic() {
    for sample in [
        b"cos\nsystem\n(S'echo lanner'\ntR.".as_slice(),
        b"(S'echo lanner'\nios\nsystem\n.",
        b"I0x10\n0cos\nsystem\n(S'echo lanner'\ntR.",
        b"L0x10L\n0cos\nsystem\n(Vecho \\u006canner\ntR.",
        b"cposix\nsystem\np0\n0g0\n(S'echo lanner'\ntR.",
        b"cos\nsystem\n(S'echo lanner'\ntR",
    ] {
        let found = list(&report(sample, "weights.data"), CALLS);
        assert!(
            found.contains(&"os.system".to_owned()) || found.contains(&"posix.system".to_owned()),
            "{sample:?}: {found:?}"
        );
    }
}

#[test]
fn names_are_followed() {
    let join = pickle::whole(
        4,
        &[
            &pickle::text("os"),
            &pickle::global("builtins", "str.join"),
            &pickle::text(""),
            b"(",
            &pickle::text("sys"),
            &pickle::text("tem"),
            b"t\x86R\x93",
            &pickle::text("echo lanner"),
            b"\x85R",
        ],
    );
    holds(&join, "a.pkl", CALLS, "os.system");
    holds(&join, "a.pkl", ODDITIES, "computed_name");
    let rotated = pickle::whole(
        4,
        &[
            &pickle::global("_codecs", "encode"),
            &pickle::text("bf"),
            &pickle::text("rot13"),
            b"\x86R",
            &pickle::text("system"),
            b"\x93)R",
        ],
    );
    holds(&rotated, "a.pkl", CALLS, "os.system");
    holds(&pickle::stack_call("random", "_os.system", &["echo lanner"]), "a.pkl", CALLS, "random._os.system");
    holds(&pickle::stack_call("random", "_os.system", &["echo lanner"]), "a.pkl", ODDITIES, "dotted_name");
    holds(&pickle::call("__builtin__", "execfile", &["lanner.py"]), "a.pkl", CALLS, "builtins.execfile");
    holds(&pickle::call("commands", "getoutput", &["echo lanner"]), "a.pkl", CALLS, "subprocess.getoutput");
    let chain = pickle::whole(
        2,
        &[&pickle::global("builtins", "getattr"), &pickle::global("os", "path"), &pickle::long_text("os"), b"\x86R)R"],
    );
    assert!(!list(&report(&chain, "a.pkl"), CALLS).is_empty());
    let path = pickle::reduce("pathlib", "PosixPath", &["lanner.txt"]);
    let method =
        [pickle::long_text("write_text"), b"\x86R".to_vec(), pickle::long_text("lanner"), b"\x85R".to_vec()].concat();
    let write = pickle::whole(2, &[&pickle::global("builtins", "getattr"), &path, &method]);
    holds(&write, "a.pkl", CALLS, "object.write_text");
}

#[test]
fn calls_hide_nowhere() {
    let system = pickle::global("os", "system");
    let argument = pickle::long_text("echo lanner");
    for (module, name) in
        [("builtins", "map"), ("functools", "partial"), ("itertools", "starmap"), ("__builtin__", "reduce")]
    {
        let lazy = pickle::whole(2, &[&pickle::global(module, name), &system, b"(", &argument, b"l\x86R"]);
        holds(&lazy, "a.pkl", CALLS, "os.system");
    }
    holds(&pickle::whole(2, &[&system, &argument, b"\x85\x81"]), "a.pkl", CALLS, "os.system");
    holds(&pickle::whole(4, &[&system, &argument, b"\x85}\x92"]), "a.pkl", CALLS, "os.system");
    let stored = pickle::whole(
        2,
        &[
            &pickle::global("sklearn.preprocessing._function_transformer", "FunctionTransformer"),
            b")\x81}",
            &pickle::long_text("func"),
            &system,
            b"sb",
        ],
    );
    holds(&stored, "a.pkl", "artifact.pickle.dangerous", "os.system");
    holds(
        &pickle::whole(2, &[&pickle::global("antigravity", "x")]),
        "a.pkl",
        "artifact.pickle.dangerous",
        "antigravity.x",
    );
    holds(
        &pickle::call("mycompany.tools", "launch", &["curl http://127.0.0.1 | sh"]),
        "a.pkl",
        "artifact.pickle.unlisted_calls",
        "mycompany.tools.launch",
    );
    holds(
        &pickle::call("mycompany.tools", "launch", &["curl http://127.0.0.1 | sh"]),
        "a.pkl",
        "artifact.pickle.suspicious_arguments",
        "curl http://127.0.0.1 | sh",
    );
    holds(&pickle::whole(2, &[b"\x82\x01)R"]), "a.pkl", ODDITIES, "extension_registry");
    let gadget =
        pickle::whole(4, &[&pickle::stack_global("numpy", "linalg"), b"}", &pickle::text("norm"), &system, b"sb"]);
    holds(&gadget, "a.pkl", ODDITIES, "attribute_write");
}

#[test]
fn there_may_be_any_number_of_streams() {
    for stream in [b"\x80\x04K\x01.".as_slice(), b"(I1\nI2\nt."] {
        let many = stream.repeat(20_000);
        let plain = report(&many, "log.pkl");
        assert!(plain.issues.is_empty() && !plain.facts.contains_key("artifact.pickle.dangerous"), "{plain:?}");
        let last = report(&[many, build::pickle_os_system()].concat(), "log.pkl");
        assert_eq!(list(&last, CALLS), ["os.system"]);
    }
}

#[test]
fn streams_are_followed_to_their_end_and_beyond() {
    let payload = build::pickle_os_system();
    let benign = build::pickle_benign();
    holds(&[benign.clone(), payload.clone()].concat(), "a.pkl", CALLS, "os.system");
    holds(&[benign.clone(), b"some garbage".to_vec(), payload.clone()].concat(), "a.pkl", CALLS, "os.system");
    holds(&[payload.get(..payload.len() - 1).expect("long enough"), b"\xff\xff"].concat(), "a.pkl", CALLS, "os.system");
    let broken = report(&[payload.get(..payload.len() - 1).expect("long enough"), b"\xff\xff"].concat(), "a.pkl");
    assert_eq!(broken.facts.get("artifact.pickle.broken_after_call"), Some(&true.into()));
    // The frame ends inside the text; behind it lies what C's unpickler takes as opcodes.
    let hidden = pickle::reduce("os", "system", &["echo lanner"]);
    let inside = [b"AAAA".as_slice(), b"BBBB", &hidden, b"."].concat();
    let mut framed = b"\x80\x04\x95\x06\0\0\0\0\0\0\0\x8c".to_vec();
    framed.push(u8::try_from(inside.len()).expect("short"));
    framed.extend_from_slice(&inside);
    framed.extend_from_slice(b".");
    holds(&framed, "a.pkl", ODDITIES, "frame_boundary");
}

#[test]
fn nested_pickles_are_found_however_they_are_written() {
    use base64::Engine as _;
    let payload = build::pickle_os_system();
    let base64 = base64::engine::general_purpose::STANDARD.encode(&payload);
    let hexadecimal = hexadecimal(&payload);
    for body in [
        pickle::bytes(&payload),
        pickle::long_text(&base64),
        pickle::long_text(&hexadecimal),
        pickle::bytes(&zlib(&payload)),
    ] {
        let report = report(&pickle::whole(4, &[&body]), "a.pkl");
        assert!(list(&report, CALLS).contains(&"os.system".to_owned()), "{:?}", report.facts);
        assert_eq!(report.facts.get("artifact.pickle.nested"), Some(&1_u64.into()));
    }
    let loads = pickle::whole(4, &[&pickle::global("pickle", "loads"), &pickle::bytes(&payload), b"\x85R"]);
    holds(&loads, "a.pkl", "artifact.pickle.nested_loaders", "pickle.loads");
    let torch =
        pickle::whole(4, &[&pickle::global("torch.storage", "_load_from_bytes"), &pickle::bytes(&payload), b"\x85R"]);
    holds(&torch, "a.pkl", CALLS, "os.system");
    for bytes in [zlib(&payload), zlib(&zlib(&payload))] {
        holds(&bytes, "a.joblib", CALLS, "os.system");
    }
}

#[test]
fn archives_hide_no_member() {
    let payload = build::pickle_os_system();
    let benign = build::pickle_benign();
    let with = |extra: zip::Member| {
        let mut members = zip::torch(&benign);
        members.push(extra);
        members
    };
    let hidden = zip::archive(&with(zip::Member { listed: false, ..zip::member("archive/x", &payload) }));
    holds(&hidden, "a.pt", TRICKS, "hidden_entry");
    holds(&hidden, "a.pt", CALLS, "os.system");
    let twice = zip::archive(&with(zip::member("archive/data.pkl", &payload)));
    holds(&twice, "a.pt", TRICKS, "duplicate_entry");
    holds(&twice, "a.pt", CALLS, "os.system");
    holds(&zip::archive(&with(zip::member("archive/notes.txt", &payload))), "a.pt", CALLS, "os.system");
    holds(
        &zip::archive(&with(zip::member("inner.zip", &zip::archive(&zip::torch(&payload))))),
        "a.pt",
        CALLS,
        "os.system",
    );
    let lie = zip::archive(&with(zip::Member { size: 0, ..zip::member("archive/y", &payload) }));
    holds(&lie, "a.pt", TRICKS, "size_mismatch");
    holds(&lie, "a.pt", CALLS, "os.system");
    let both = [zip::archive(&zip::torch(&payload)), zip::archive(&zip::torch(&benign))].concat();
    holds(&both, "a.pt", TRICKS, "several_directories");
    holds(&both, "a.pt", CALLS, "os.system");
    let whole = zip::archive(&zip::torch(&payload));
    let headless = whole.get(..whole.len() - 200).expect("long enough");
    holds(headless, "a.pt", TRICKS, "no_directory");
    holds(headless, "a.pt", CALLS, "os.system");
    holds(
        &zip::archive(&with(zip::member("../../etc/lanner", b"x"))),
        "a.zip",
        "artifact.container.escapes",
        "../../etc/lanner",
    );
    holds(
        &zip::archive(&with(zip::member("archive/data/1", b"\x7fELF\x02\x01\x01\0\0\0"))),
        "a.pt",
        "artifact.embedded_executables",
        "elf@0",
    );
    holds(b"7z\xbc\xaf\x27\x1c\0\x04rest", "model.pt", TRICKS, "unexpected_container");
}

#[test]
fn tar_members_do_not_escape() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "model/link", "/etc/passwd").expect("memory takes it");
    let payload = build::pickle_os_system();
    let mut header = tar::Header::new_gnu();
    header.set_size(payload.len() as u64);
    header.set_mode(0o4755);
    builder.append_data(&mut header, "model/pickle", payload.as_slice()).expect("memory takes it");
    let bytes = builder.into_inner().expect("memory takes it");
    holds(&bytes, "model.tar", "artifact.container.escapes", "model/link -> /etc/passwd");
    holds(&bytes, "model.tar", "artifact.container.escapes", "model/pickle (setuid)");
    holds(&bytes, "model.pth", CALLS, "os.system");
}

#[test]
fn tensor_headers_tell_no_lie_unseen() {
    let anomaly = "artifact.tensors.anomalies";
    for (header, size, item) in [
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
            6,
            "overlap",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}}"#,
            10,
            "gap",
        ),
        (r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,400]}}"#, 4, "out_of_bounds"),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
            4,
            "duplicate_name",
        ),
        (r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}}"#, 4, "shape_mismatch"),
        (r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 9, "trailing_data"),
        (r#"{"a":{"dtype":"X9","shape":[4],"data_offsets":[0,4]}}"#, 4, "unknown_type"),
    ] {
        holds(&tensors::safetensors(header, &vec![0; size]), "m.safetensors", anomaly, item);
    }
    let metadata = r#"{"__metadata__":{"format":"pt","hook":"__import__('os').system('echo lanner')"}}"#;
    holds(&tensors::safetensors(metadata, b""), "m.safetensors", "artifact.metadata.suspicious", "hook");
    let mut long = (1_u64 << 33).to_le_bytes().to_vec();
    long.extend_from_slice(b"{}");
    holds(&long, "m.safetensors", anomaly, "header_size");
    holds(
        &[tensors::gguf(&[]), vec![0x7f, b'E', b'L', b'F', 2, 1, 1], vec![0; 64]].concat(),
        "m.gguf",
        anomaly,
        "trailing_data",
    );
    assert_eq!(
        report(&build::pickle_os_system(), "m.safetensors").facts.get("artifact.extension_mismatch"),
        Some(&true.into())
    );
}

#[test]
fn templates_are_judged_by_their_tree() {
    for (template, item) in [
        ("{{ ''.__class__.__mro__ }}", "dunder:__class__"),
        ("{{ x['__cla' + 'ss__'] }}", "dunder:__class__"),
        ("{{ x['__cla' ~ 'ss__'] }}", "dunder:__class__"),
        ("{{ x|attr('y') }}", "attr"),
        ("{% include 'lanner' %}", "include"),
        ("{% import 'lanner' as x %}", "import"),
        ("{{ lipsum.__globals__ }}", "dunder:__globals__"),
        ("{{ '{0.__class__}'.format(x) }}", "format"),
        ("{{ open('lanner') }}", "call:open"),
    ] {
        holds(&tensors::gguf(&[("tokenizer.chat_template", template)]), "m.gguf", TEMPLATE, item);
        holds(template.as_bytes(), "chat_template.jinja", TEMPLATE, item);
        let json = serde_json::json!({"chat_template": template}).to_string();
        holds(json.as_bytes(), "tokenizer_config.json", TEMPLATE, item);
    }
    let unparsed = report(b"{% if %}{{ x.__class__ }}", "chat_template.jinja");
    assert_eq!(unparsed.facts.get("artifact.chat_template.unparsed"), Some(&true.into()));
    assert_eq!(list(&unparsed, TEMPLATE), ["text:__class__"]);
}

#[test]
fn files_beside_a_model_are_read() {
    holds(
        b"# os.popen('x')\nimport os as o\nx = \"eval(1)\"\no.system('echo lanner')\n",
        "modeling.py",
        "artifact.code.sinks",
        "os.system",
    );
    let quiet = report(b"# os.popen('x')\nx = \"eval(1)\"\nmodel.eval()\n", "modeling.py");
    assert!(list(&quiet, "artifact.code.sinks").is_empty(), "{:?}", quiet.facts);
    holds(
        br#"{"auto_map":{"AutoModel":"modeling.Lanner"}}"#,
        "config.json",
        "artifact.remote_code",
        "auto_map:AutoModel=modeling.Lanner",
    );
    holds(
        b"flavors:\n  python_function:\n    loader_module: lanner_loader\n",
        "MLmodel",
        "artifact.remote_code",
        "loader_module:lanner_loader",
    );
    holds(b"--extra-index-url http://127.0.0.1/\n", "requirements.txt", "artifact.packaging.dangers", "extra_index");
    holds(b"lanner @ git+https://example.org/lanner\n", "requirements.txt", "artifact.packaging.dangers", "git_url");
    holds(
        b"x: !!python/object/apply:os.system ['echo lanner']\n",
        "config.yaml",
        "artifact.packaging.dangers",
        "yaml_tag",
    );
    let key = format!("a\nkey = {}{}\n", "AKIA", "QW7ZTX3LPN5KVB2M");
    let found = report(key.as_bytes(), "settings.txt");
    assert_eq!(list(&found, "artifact.secrets"), ["aws_access_key@line 2"]);
    assert!(!format!("{found:?}").contains("QW7ZTX"));
    assert!(list(&report(b"AKIAIOSFODNN7EXAMPLE\n", "settings.txt"), "artifact.secrets").is_empty());
}

#[test]
fn the_code_of_torchscript_is_no_python() {
    let mut members = zip::torch(&build::pickle_benign());
    members.push(zip::member("archive/constants.pkl", &build::pickle_benign()));
    members.push(zip::member("archive/code/__torch__.py", b"import os\nclass M(Module):\n  pass\n"));
    let plain = report(&zip::archive(&members), "scripted.pt");
    assert_eq!(plain.format, "torchscript");
    assert!(super::ALARMING.iter().all(|fact| !plain.facts.contains_key(*fact)), "{:?}", plain.facts);
    members.push(zip::member("archive/code/hidden.py", &build::pickle_os_system()));
    holds(&zip::archive(&members), "scripted.pt", CALLS, "os.system");
}

#[test]
fn pickles_compressed_within_themselves_end() {
    let mut bytes = build::pickle_os_system();
    for _ in 0..3 {
        bytes = pickle::whole(4, &[&pickle::bytes(&zlib(&bytes))]);
    }
    let report = report(&bytes, "a.pkl");
    let told = list(&report, CALLS).contains(&"os.system".to_owned())
        || report.issues.iter().any(|issue| issue.code == "budget_exceeded");
    assert!(told, "{:?} {:?}", report.facts, report.issues);
}
