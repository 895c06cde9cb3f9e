//! Keras: what rebuilding a model would run, import or read.

use serde_json::{Value, json};

use super::build::{self, hdf5, keras, zip};
use super::{ALARMING, list, report};

const CODE: &str = "artifact.keras.code";
const LAMBDAS: &str = "artifact.keras.lambdas";
const GADGETS: &str = "artifact.keras.gadgets";
const REFERENCES: &str = "artifact.keras.references";
const PATHS: &str = "artifact.keras.paths";
const ANOMALIES: &str = "artifact.keras.anomalies";

/// The same configuration in each place that Keras reads one from.
fn everywhere(config: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let text = config.to_string();
    vec![
        ("model.keras", keras::archive(text.as_bytes())),
        ("model.h5", hdf5::keras(&text, true)),
        ("new.h5", hdf5::keras(&text, false)),
        ("architecture.json", text.into_bytes()),
    ]
}

fn found(config: &Value, fact: &str) -> Vec<String> {
    let mut found: Vec<_> = everywhere(config).iter().map(|(name, bytes)| list(&report(bytes, name), fact)).collect();
    found.dedup();
    assert_eq!(found.len(), 1, "places differ: {found:?}");
    found.remove(0)
}

#[test]
fn lambdas_are_found_wherever_they_stand() {
    let lambda = keras::lambda(&["os", "system", "echo lanner"]);
    let wrapped = keras::object("keras.layers", "TimeDistributed", &json!({"name": "t", "layer": lambda}));
    let nested = keras::model(&[keras::dense(), keras::model(std::slice::from_ref(&wrapped))]);
    let mut compiled = keras::model(&[keras::dense()]);
    compiled["compile_config"] = json!({"loss": {"config": {"fn": lambda["config"]["function"]}}});
    let legacy = json!({"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {
        "name": "old", "function": [keras::bytecode(&["posix", "popen"]), null, null], "function_type": "lambda"}}]}});
    for config in [keras::model(std::slice::from_ref(&lambda)), keras::model(&[wrapped]), nested, compiled] {
        assert_eq!(found(&config, CODE), ["os", "system"]);
        assert!(!found(&config, LAMBDAS).is_empty());
    }
    assert_eq!(found(&legacy, CODE), ["posix", "popen"]);
    assert_eq!(found(&legacy, LAMBDAS), ["old"]);
}

#[test]
fn a_lambda_that_computes_names_nothing_bad() {
    let config = keras::model(&[keras::lambda(&["x", "tf", "expand_dims", "math", "<lambda>"])]);
    assert!(found(&config, CODE).is_empty());
    assert!(!found(&config, LAMBDAS).is_empty());
    let hidden = json!({"class_name": "Lambda", "config": {"name": "l", "function": ["no base64!", null, null]}});
    assert_eq!(found(&keras::model(&[hidden]), CODE), ["opaque"]);
}

#[test]
fn references_are_told_apart() {
    for (module, name) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.utils", "get_file"),
        ("keras.src.saving.saving_api", "load_model"),
        ("keras.src.utils.file_utils", "copy"),
        ("keras.src.utils.python_utils", "func_load"),
        ("tensorflow.io", "write_file"),
    ] {
        let loss = keras::object("keras.losses", "LossFunctionWrapper", &json!({"fn": keras::function(module, name)}));
        let mut config = keras::model(&[keras::dense()]);
        config["compile_config"] = json!({"loss": loss});
        assert_eq!(found(&config, GADGETS), [format!("{module}.{name}")]);
    }
    let class = keras::model(&[keras::object("os", "system", &json!("echo lanner"))]);
    assert_eq!(found(&class, GADGETS), ["os.system"]);
    let foreign = keras::model(&[keras::object("acme.layers", "Gate", &json!({"name": "gate"}))]);
    assert_eq!(found(&foreign, REFERENCES), ["acme.layers.Gate"]);
    assert!(found(&foreign, GADGETS).is_empty());
    let legacy = json!({"class_name": "TFOpLambda", "config": {"name": "op", "function": "io.read_file"}});
    assert_eq!(found(&keras::model(&[legacy]), GADGETS), ["tensorflow.io.read_file"]);
}

#[test]
fn wrapped_modules_of_pytorch_are_looked_into() {
    use base64::Engine as _;
    let module = zip::archive(&zip::torch(&build::pickle_os_system()));
    let module = base64::engine::general_purpose::STANDARD.encode(module);
    let layer = keras::object("keras.src.utils.torch_utils", "TorchModuleWrapper", &json!({"module": module}));
    let config = keras::model(&[layer]);
    assert!(found(&config, GADGETS).contains(&"TorchModuleWrapper".to_owned()));
    assert_eq!(found(&config, "artifact.pickle.dangerous_calls"), ["os.system"]);
}

#[test]
fn vocabularies_lie_inside() {
    let lookup = |class: &str, vocabulary: Value| {
        found(&keras::model(&[keras::object("keras.layers", class, &json!({"vocabulary": vocabulary}))]), PATHS)
    };
    for class in ["StringLookup", "IntegerLookup", "TextVectorization"] {
        for path in ["/etc/hostname", "file:///etc/hostname", "http://192.0.2.7/v", "../../v.txt", "~/v.txt", "C:\\v"] {
            assert_eq!(lookup(class, json!(path)), [format!("{class}:{path}")]);
        }
        assert!(lookup(class, json!(["/etc/hostname", "http", "b"])).is_empty());
        assert!(lookup(class, json!("vocabulary.txt")).is_empty());
        assert!(lookup(class, Value::Null).is_empty());
    }
}

#[test]
fn a_key_written_twice_hides_nothing() {
    let lambda = keras::lambda(&["os", "system"]).to_string();
    let text =
        format!(r#"{{"class_name": "Sequential", "config": {{"layers": [{lambda}]}}, "config": {{"layers": []}}}}"#);
    let class =
        r#"{"module": "keras.layers", "module": "os", "class_name": "Dense", "class_name": "system", "config": {}}"#;
    for (text, fact, item) in [(text.as_str(), CODE, "system"), (class, GADGETS, "os.system")] {
        for (name, bytes) in [("a.keras", keras::archive(text.as_bytes())), ("a.h5", hdf5::keras(text, true))] {
            let report = report(&bytes, name);
            assert!(list(&report, fact).contains(&item.to_owned()), "{name}: {:?}", report.facts);
            assert_eq!(list(&report, ANOMALIES), ["duplicate_key"], "{name}");
        }
    }
}

#[test]
fn what_only_python_reads_is_read() {
    let text = keras::model(&[keras::lambda(&["os", "system"])]).to_string();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let nan = text.replace("null", "NaN");
    let half = text.replace("sequential", "\\ud800");
    for config in [wide, nan.into_bytes(), half.into_bytes()] {
        let report = report(&keras::archive(&config), "a.keras");
        assert_eq!(list(&report, CODE), ["os", "system"]);
        assert_eq!(list(&report, ANOMALIES), ["unusual_json"]);
    }
    let broken = report(&keras::archive(b"{\"class_name\": "), "a.keras");
    assert_eq!(list(&broken, ANOMALIES), ["unparsed"]);
    assert!(!broken.issues.is_empty());
}

#[test]
fn members_that_are_no_weights_are_found() {
    let config = keras::model(&[keras::dense()]).to_string();
    let mut members = keras::members(config.as_bytes());
    members.push(zip::member("assets/layers/a.pkl", &build::pickle_os_system()));
    members.push(zip::member("assets/run.py", b"print('lanner')\n"));
    let report = report(&zip::archive(&members), "a.keras");
    assert_eq!(report.format, "keras");
    assert_eq!(list(&report, "artifact.pickle.dangerous_calls"), ["os.system"]);
    assert_eq!(list(&report, "artifact.code_files"), ["assets/run.py"]);
}

#[test]
fn honest_models_are_silent() {
    let custom = json!({"module": null, "class_name": "Gate", "config": {}, "registered_name": "Acme>Gate"});
    let plain =
        keras::object("keras.layers", "Activation", &json!({"activation": keras::function("builtins", "swish")}));
    let ragged = keras::object("keras.layers", "InputLayer", &json!({"dtype": {"class_name": "__typespec__"}}));
    let functional = keras::object("keras.src.models.functional", "Functional", &json!({"layers": [keras::dense()]}));
    let config = keras::model(&[keras::dense(), custom, plain, ragged, functional]);
    for (name, bytes) in everywhere(&config) {
        let report = report(&bytes, name);
        let facts: Vec<_> = ALARMING.iter().filter(|path| report.facts.contains_key(**path)).collect();
        assert!(facts.is_empty() && report.issues.is_empty(), "{name}: {:?} {:?}", report.facts, report.issues);
    }
}
