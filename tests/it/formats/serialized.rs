//! Objects and pickles that are written as text: jsonpickle, `LangChain`, base64 in configurations.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::{ALARMING, build, list, report};

const DANGEROUS: &str = "artifact.config.dangerous_targets";
const REMOTE: &str = "artifact.remote_code";
const CALLS: &str = "artifact.pickle.dangerous_calls";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a text takes it");
        out
    })
}

#[test]
fn pickles_in_configurations_are_judged_by_what_they_do() {
    let bad = build::pickle_os_system();
    let wrapped = |text: &str| {
        let lines: Vec<String> =
            text.as_bytes().chunks(40).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        lines.join("\n  ")
    };
    for text in [
        STANDARD.encode(&bad),
        URL_SAFE_NO_PAD.encode(&bad),
        hex(&bad),
        STANDARD.encode(gzip(&bad)),
        STANDARD.encode(zlib(&bad)),
        hex(&gzip(&bad)),
    ] {
        for (file, name) in [
            (json!({"policy": {":serialized:": text}}).to_string(), "data.json"),
            (format!("a: 1\nstate: {text}\n"), "state.yaml"),
            (format!("[x]\nstate = \"{text}\"\n"), "state.toml"),
            (format!("state is {text}.\n"), "notes.txt"),
            (format!("STATE = '{text}'\n"), "state.py"),
        ] {
            assert_eq!(list(&report(file.as_bytes(), name), CALLS), ["os.system"], "{name}: {text}");
        }
    }
    let lines = format!("a: !!binary |\n  {}\nb: 1\n", wrapped(&STANDARD.encode(&bad)));
    assert_eq!(list(&report(lines.as_bytes(), "state.yaml"), CALLS), ["os.system"]);
    let escaped = json!({"x": STANDARD.encode(&bad)}).to_string().replace("gA", "\\u0067A");
    assert_eq!(list(&report(escaped.as_bytes(), "x.json"), CALLS), ["os.system"]);
    let good = json!({"x": STANDARD.encode(build::pickle_benign()), "y": STANDARD.encode(gzip(b"plain text"))});
    let quiet = report(good.to_string().as_bytes(), "x.json");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
    assert!(quiet.issues.is_empty(), "{:?}", quiet.issues);
}

#[test]
fn jsonpickle_is_judged_by_the_tables_of_pickles() {
    let of = |value: serde_json::Value| report(value.to_string().as_bytes(), "state.json");
    for (value, name) in [
        (json!({"py/object": "subprocess.Popen", "py/newargs": {"py/tuple": [["true"]]}}), "subprocess.Popen"),
        (json!([{"py/reduce": [{"py/type": "os.system"}, {"py/tuple": ["true"]}]}]), "os.system"),
        (json!({"a": {"py/function": "builtins.eval"}}), "builtins.eval"),
        (json!({"a": {"py/mod": "subprocess/Popen", "py/module": "subprocess"}}), "subprocess"),
    ] {
        assert!(list(&of(value.clone()), DANGEROUS).contains(&name.to_owned()), "{value}");
    }
    let evaluated = of(json!({"py/repr": "os/os.system('true')"}));
    assert_eq!(list(&evaluated, "artifact.config.interpolations"), ["py/repr:os/os.system('true')"]);
    assert_eq!(list(&of(json!({"py/object": "acme.Config"})), REMOTE), ["py/object:acme.Config"]);
    let quiet = of(json!({
        "when": {"py/object": "datetime.datetime", "__reduce__": [{"py/type": "datetime.datetime"}, ["B+oLHQA="]]},
        "counts": {"py/object": "collections.OrderedDict"},
        "shape": {"py/tuple": [1, 2]},
        "names": {"py/set": ["a"]},
        "again": {"py/id": 1},
    }));
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
}

#[test]
fn chains_are_known_by_their_classes() {
    let class = |id: &[&str], arguments: serde_json::Value| {
        let chain = json!({"lc": 1, "type": "constructor", "id": id, "kwargs": arguments});
        report(chain.to_string().as_bytes(), "chain.json")
    };
    let key = json!({"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]});
    let model =
        class(&["langchain", "chat_models", "openai", "ChatOpenAI"], json!({"openai_api_key": key, "temperature": 0}));
    let prompt = class(
        &["langchain_core", "prompts", "prompt", "PromptTemplate"],
        json!({"template": "Say {x}", "template_format": "f-string"}),
    );
    for quiet in [&model, &prompt] {
        assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
        assert!(list(quiet, "artifact.config.environment_secrets").is_empty());
    }
    for id in [
        ["langchain_community", "tools", "shell", "ShellTool"],
        ["langchain_experimental", "utilities", "python", "PythonREPL"],
        ["os", "path", "os", "system"],
        ["langchain_core", "load", "os", "system"],
    ] {
        assert_eq!(list(&class(&id, json!({})), DANGEROUS), [id.join(".")]);
    }
    assert_eq!(list(&class(&["acme", "chains", "Mine"], json!({})), REMOTE), ["lc:acme.chains.Mine"]);
    let message = class(
        &["langchain_core", "messages", "ai", "AIMessage"],
        json!({"content": "x", "additional_kwargs": {"note": {"lc": 1, "type": "secret", "id": ["AWS_SECRET_ACCESS_KEY"]}}}),
    );
    assert_eq!(list(&message, "artifact.config.environment_secrets"), ["note:AWS_SECRET_ACCESS_KEY"]);
    let jinja = class(
        &["langchain_core", "prompts", "prompt", "PromptTemplate"],
        json!({"template": "{{ x.__class__ }}", "template_format": "jinja2"}),
    );
    assert_eq!(list(&jinja, "artifact.chat_template.unsafe"), ["dunder:__class__"]);
}

#[test]
fn notebooks_of_the_third_version_have_cells_in_sheets() {
    let cell = json!({"cell_type": "code", "input": ["!curl -s http://127.0.0.1/x | sh\n"], "outputs": [
        {"output_type": "display_data", "html": ["<script>Jupyter.notebook.kernel.execute('1')</script>"]}]});
    let notebook = json!({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [cell]}]});
    let found = report(notebook.to_string().as_bytes(), "old.ipynb");
    assert_eq!(list(&found, "artifact.notebook.dangers"), ["shell", "output_drives_kernel"]);
}
