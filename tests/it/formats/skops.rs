//! skops: what its tree would become, and nodes that lie.

use serde_json::{Value, json};

use super::build::zip;
use super::{ALARMING, list, report};

const DANGEROUS: &str = "artifact.skops.dangerous";
const ANOMALIES: &str = "artifact.skops.anomalies";
const UNTRUSTED: &str = "artifact.skops.untrusted";

fn node(loader: &str, module: &str, class: &str, content: &Value) -> Value {
    json!({"__class__": class, "__module__": module, "__loader__": loader, "__id__": 1, "content": content})
}

fn text(text: &str) -> Value {
    let mut node = node("JsonNode", "builtins", "str", &json!(format!("\"{text}\"")));
    node["is_json"] = json!(true);
    node
}

fn file(root: Value) -> lanner::artifact::Report {
    let mut root = root;
    root["protocol"] = json!(2);
    root["_skops_version"] = json!("0.16.0");
    raw(&root.to_string())
}

fn raw(schema: &str) -> lanner::artifact::Report {
    report(&zip::archive(&[zip::member("schema.json", schema.as_bytes())]), "model.skops")
}

/// An estimator with one attribute.
fn estimator(attribute: &Value) -> lanner::artifact::Report {
    let attributes = json!({"steps": attribute});
    file(node("ObjectNode", "sklearn.pipeline", "Pipeline", &node("DictNode", "builtins", "dict", &attributes)))
}

#[test]
fn what_executes_is_told_wherever_it_stands() {
    let operator = |class: &str, attribute: &str| {
        let mut made = node("OperatorFuncNode", "operator", class, &Value::Null);
        made["attrs"] = node("TupleNode", "builtins", "tuple", &json!([text(attribute)]));
        made
    };
    let method = |function: &str| {
        let object = node("ObjectNode", "pandas.core.frame", "DataFrame", &Value::Null);
        node("MethodNode", "pandas.core.frame", "DataFrame", &json!({"func": function, "obj": object}))
    };
    let partial =
        node("PartialNode", "functools", "partial", &json!({"func": node("FunctionNode", "os", "system", &json!({}))}));
    for (what, found) in [
        (node("FunctionNode", "os", "system", &json!({})), "os.system"),
        (node("TypeNode", "subprocess", "Popen", &json!({})), "subprocess.Popen"),
        (node("ObjectNode", "subprocess", "Popen", &json!({})), "subprocess.Popen"),
        (node("ListNode", "builtins", "exec", &json!([])), "builtins.exec"),
        (node("ConstructorFromReduceNode", "pathlib", "os.system", &json!([])), "pathlib.os.system"),
        (partial, "os.system"),
        (operator("call", "x"), "operator.call"),
        (operator("methodcaller", "system"), "operator.methodcaller"),
        (operator("attrgetter", "__class__.__globals__"), "operator.attrgetter"),
        (method("eval"), "pandas.core.frame.DataFrame.eval"),
        (method("__reduce__"), "pandas.core.frame.DataFrame.__reduce__"),
    ] {
        let report = estimator(&what);
        assert_eq!(report.format, "skops");
        assert!(list(&report, DANGEROUS).contains(&found.to_owned()), "{found}: {:?}", report.facts);
    }
}

#[test]
fn nodes_that_lie_are_told() {
    let object = node("ObjectNode", "builtins", "int", &Value::Null);
    for what in [
        node("MethodNode", "builtins", "str", &json!({"func": "split", "obj": object})),
        node("OperatorFuncNode", "sklearn.preprocessing", "Scaler", &json!({})),
        node("JsonNode", "sklearn.base", "BaseEstimator", &json!("1")),
        node("TreeNode", "sklearn.svm._libsvm", "Tree", &json!({})),
        node("EvalNode", "builtins", "str", &json!("1")),
        node("NdArrayNode", "numpyx", "ndarray", &json!({})),
    ] {
        let report = estimator(&what);
        assert_eq!(list(&report, ANOMALIES).len(), 1, "{what}: {:?}", report.facts);
    }
}

#[test]
fn what_is_not_vetted_is_told_apart() {
    let report = estimator(&node("ObjectNode", "acme.models", "Net", &json!({})));
    assert_eq!(list(&report, UNTRUSTED), ["acme.models.Net"]);
    assert!(list(&report, DANGEROUS).is_empty() && list(&report, ANOMALIES).is_empty());
    let attributes = json!([text("os.system"), node("NdArrayNode", "numpy", "ndarray", &json!({"file": "1.npy"}))]);
    let quiet = estimator(&node("ListNode", "builtins", "list", &attributes));
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
}

#[test]
fn neither_depth_nor_a_second_key_hides_a_name() {
    let deep = format!(
        "{}{{\"__class__\": \"system\", \"__module__\": \"os\", \"__loader__\": \"FunctionNode\"}}{}",
        "{\"a\":".repeat(300),
        "}".repeat(300)
    );
    assert_eq!(list(&raw(&deep), DANGEROUS), ["os"]);
    let twice = r#"{"__class__": "int", "__module__": "builtins", "__loader__": "FunctionNode", "protocol": 2,
                    "__class__": "system", "__module__": "os"}"#;
    let twice = raw(twice);
    assert_eq!(list(&twice, DANGEROUS), ["os.system"]);
    assert_eq!(list(&twice, "artifact.config.duplicate_keys"), ["__module__", "__class__"]);
}

#[test]
fn a_schema_that_is_cut_or_flipped_is_survived() {
    let root = node("ObjectNode", "sklearn.pipeline", "Pipeline", &node("FunctionNode", "os", "system", &json!({})));
    let whole = zip::archive(&[zip::member("schema.json", root.to_string().as_bytes())]);
    for end in (1..whole.len()).step_by(3) {
        report(whole.get(..end).expect("within"), "m.skops");
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        report(&flipped, "m.skops");
    }
}
