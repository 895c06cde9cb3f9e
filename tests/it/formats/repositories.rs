//! Files of model repositories and model servers that lead somewhere else or run something.

use super::build::zip;
use super::{ALARMING, list, report};

const ESCAPES: &str = "artifact.container.escapes";
const REMOTE: &str = "artifact.remote_code";
const DANGEROUS: &str = "artifact.config.dangerous_targets";
const SITE: &str = "artifact.site_file.lines";

fn json(value: &serde_json::Value, name: &str) -> lanner::artifact::Report {
    report(value.to_string().as_bytes(), name)
}

#[test]
fn path_files_of_python_are_told_from_weights() {
    for (text, told) in [
        ("import subprocess; subprocess.run(['echo', 'lanner'])\n", "code:"),
        ("/opt/x\nimport base64;exec(base64.b64decode('cHJpbnQoMSk='))\n", "code:"),
        ("import\tos; os.system('echo lanner')\n", "code:"),
        ("import acme_hook\n", "import:"),
    ] {
        let report = report(text.as_bytes(), "model/x.pth");
        assert_eq!(report.format, "site-path", "{text}");
        let lines = list(&report, SITE);
        assert!(lines.len() == 1 && lines.iter().all(|line| line.starts_with(told)), "{lines:?}");
        assert!(!report.facts.contains_key("artifact.extension_mismatch"));
    }
    for text in [
        "/usr/lib/python3/dist-packages\n../src\n# import os; os.system('x')\n",
        "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; enabled and __import__('_distutils_hack').add_shim(); \n",
        "import __editable___acme_1_0_finder; __editable___acme_1_0_finder.install()\n",
        "import _virtualenv\n",
    ] {
        let report = report(text.as_bytes(), "site-packages/x.pth");
        assert!(
            list(&report, SITE).is_empty() && list(&report, "artifact.code.sinks").is_empty(),
            "{:?}",
            report.facts
        );
    }
    let weights = zip::archive(&zip::torch(&super::build::pickle_benign()));
    assert_eq!(report(&weights, "x.pth").format, "pytorch");
}

#[test]
fn keys_that_decide_are_written_once() {
    let keys = |text: &str, name: &str| list(&report(text.as_bytes(), name), "artifact.config.duplicate_keys");
    assert_eq!(keys(r#"{"auto_map": {}, "auto_map": {"AutoModel": "m.M"}}"#, "config.json"), ["auto_map"]);
    assert_eq!(keys(r#"{"a": [{"type": "x", "type": "y"}]}"#, "modules.json"), ["type"]);
    assert!(keys(r#"{"type": "x", "a": {"type": "y"}}"#, "config.json").is_empty());
    assert!(keys(r#"{"hidden_size": 1, "hidden_size": 2}"#, "config.json").is_empty());
    let hidden = r#"{"chat_template": "{{ x }}", "chat_template": "{{ x.__class__ }}"}"#;
    let unsafe_ones = list(&report(hidden.as_bytes(), "tokenizer_config.json"), "artifact.chat_template.unsafe");
    assert_eq!(unsafe_ones, ["dunder:__class__"]);
    let shards = r#"{"weight_map": {"a": "x.bin"}, "weight_map": {"a": "../x.bin"}}"#;
    assert_eq!(list(&report(shards.as_bytes(), "m.bin.index.json"), ESCAPES), ["../x.bin"]);
}

#[test]
fn adapters_and_pipelines_name_what_is_imported() {
    let adapter = |module: &str| {
        json(
            &serde_json::json!({"auto_mapping": {"parent_library": module, "base_model_class": "M"}}),
            "adapter_config.json",
        )
    };
    assert_eq!(list(&adapter("subprocess"), DANGEROUS), ["subprocess"]);
    assert_eq!(list(&adapter("os"), DANGEROUS), ["os"]);
    assert_eq!(list(&adapter("acme_models"), REMOTE), ["module:acme_models"]);
    for quiet in ["transformers.models.llama.modeling_llama", "transformers_modules.x", "__main__"] {
        let report = adapter(quiet);
        assert!(list(&report, REMOTE).is_empty() && list(&report, DANGEROUS).is_empty(), "{quiet}");
    }
    let types =
        |class: &str, path: &str| json(&serde_json::json!([{"idx": 0, "type": class, "path": path}]), "modules.json");
    assert_eq!(list(&types("os.system", ""), DANGEROUS), ["os.system"]);
    assert_eq!(list(&types("sentence_transformers.util.os.system", ""), DANGEROUS).len(), 1);
    assert_eq!(list(&types("acme.Pooling", ""), REMOTE), ["_target_:acme.Pooling"]);
    assert_eq!(list(&types("sentence_transformers.models.Pooling", "../x"), ESCAPES), ["../x"]);
    let quiet = types("sentence_transformers.models.Pooling", "1_Pooling");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
    let index = serde_json::json!({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30",
        "unet": ["diffusers", "UNet2DConditionModel"], "safety_checker": [null, null],
        "feature_extractor": ["transformers", "CLIPImageProcessor"]});
    let quiet = json(&index, "model_index.json");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
    assert_eq!(
        list(&json(&serde_json::json!({"unet": ["os", "system"]}), "model_index.json"), DANGEROUS),
        ["os.system"]
    );
    let custom = serde_json::json!({"_class_name": ["my_pipeline", "Mine"]});
    assert_eq!(list(&json(&custom, "model_index.json"), REMOTE), ["custom_pipelines:my_pipeline.Mine"]);
}

#[test]
fn base_models_of_other_machines_are_told() {
    let foreign = |base: &str| {
        let config = serde_json::json!({"base_model_name_or_path": base});
        list(&json(&config, "adapter_config.json"), "artifact.config.foreign_paths")
    };
    for told in ["\\\\203.0.113.7\\share\\base", "http://example.org/base", "//host/share"] {
        assert_eq!(foreign(told).len(), 1, "{told}");
    }
    for quiet in ["meta-llama/Llama-3", "./out", "../base", "/home/user/base", "s3://bucket/base", "C:\\models\\base"] {
        assert!(foreign(quiet).is_empty(), "{quiet}");
    }
}

fn mar(manifest: &serde_json::Value, handler: &str) -> lanner::artifact::Report {
    let manifest = manifest.to_string();
    let members = [
        zip::member("MAR-INF/MANIFEST.json", manifest.as_bytes()),
        zip::member("handler.py", handler.as_bytes()),
        zip::member("model.pt", &super::build::pickle_benign()),
    ];
    report(&zip::archive(&members), "model.mar")
}

#[test]
fn a_model_archive_names_its_handler() {
    let manifest = |handler: &str, file: &str| {
        serde_json::json!({"runtime": "python", "model": {"modelName": "x", "serializedFile": file, "handler": handler,
            "requirementsFile": "requirements.txt", "modelVersion": "1.0"}, "archiverVersion": "0.12.0"})
    };
    let quiet = mar(&manifest("image_classifier", "model.pt"), "class Handler:\n    pass\n");
    assert_eq!(quiet.format, "mar");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
    let own = mar(&manifest("handler.py:handle", "model.pt"), "import subprocess\nsubprocess.run(['echo', x])\n");
    assert_eq!(list(&own, REMOTE), ["handler:handler.py:handle"]);
    assert_eq!(list(&own, "artifact.code.sinks"), ["subprocess.run"]);
    assert_eq!(list(&mar(&manifest("os:system", "model.pt"), ""), DANGEROUS), ["os:system"]);
    for path in ["../../x.pt", "/etc/passwd"] {
        assert_eq!(list(&mar(&manifest("image_classifier", path), ""), ESCAPES), [path]);
    }
}

#[test]
fn a_triton_repository_names_what_its_server_loads() {
    let config = |text: &str| report(text.as_bytes(), "models/x/config.pbtxt");
    let python = config("name: \"x\"\nbackend: \"python\"\nmax_batch_size: 8\n");
    assert_eq!(list(&python, REMOTE), ["triton_backend:python"]);
    let library = config(
        "name: \"x\"\nplatform: \"tensorflow_savedmodel\"\nmodel_operations { op_library_filename: \"ops.so\" }\n",
    );
    assert_eq!(list(&library, REMOTE), ["op_library:ops.so"]);
    for (text, path) in [
        ("backend: \"../../x\"\n", "../../x"),
        ("default_model_filename: '/etc/x.onnx'\n", "/etc/x.onnx"),
        (
            "parameters: { key: \"EXECUTION_ENV_PATH\", value: { string_value: \"../../env.tar.gz\" } }\n",
            "../../env.tar.gz",
        ),
        (
            "parameters: {\n key: \"EXECUTION_ENV_PATH\"\n value: {string_value: \"s3://x/env.tar.gz\"}}\n",
            "s3://x/env.tar.gz",
        ),
    ] {
        assert_eq!(list(&config(text), ESCAPES), [path], "{text}");
    }
    let quiet = config(
        "name: \"x\"\nplatform: \"onnxruntime_onnx\"\n# backend: \"python\"\ninput [{ name: \"INPUT__0\" data_type: TYPE_FP32 dims: [ 3 ] }]\n",
    );
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
}

#[test]
fn an_mlmodel_names_files_beside_it() {
    let model = |flavor: &str| {
        report(
            format!("flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\n    {flavor}\n").as_bytes(),
            "MLmodel",
        )
    };
    for flavor in ["python_model: ../../x.pkl", "data: ../x", "code: ../../src"] {
        assert_eq!(list(&model(flavor), ESCAPES).len(), 1, "{flavor}");
    }
    let quiet = model("python_model: python_model.pkl\n    data: model.pkl\n    env: {conda: conda.yaml}");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
}
