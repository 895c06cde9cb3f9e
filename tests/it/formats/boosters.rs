//! `XGBoost`, `LightGBM`, `CatBoost`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::build::flatbuffer::{Builder, Field};
use super::build::{self, values::ubjson};
use super::{ALARMING, list, report, survives};

const SUSPICIOUS: &str = "artifact.metadata.suspicious";
const ANOMALIES: &str = "artifact.tensors.anomalies";

fn json(note: &str) -> Vec<u8> {
    let learner = serde_json::json!({
        "attributes": {"note": note}, "feature_names": ["age", "height of it"], "feature_types": [],
        "gradient_booster": {"model": {"trees": []}, "name": "gbtree"},
        "learner_model_param": {"base_score": "5E-1"}, "objective": {"name": "binary:logistic"},
    });
    serde_json::json!({"learner": learner, "version": [3, 2, 0]}).to_string().into_bytes()
}

fn binary_json(note: &str) -> Vec<u8> {
    let attributes = ubjson::object(&[("note", ubjson::text(note))]);
    let booster = ubjson::object(&[("weights", ubjson::numbers(4, &[7; 16]))]);
    ubjson::object(&[("learner", ubjson::object(&[("attributes", attributes), ("gradient_booster", booster)]))])
}

fn lightgbm(note: &str) -> Vec<u8> {
    format!(
        "tree\nversion=v4\nnum_class=1\nfeature_names=age height\nnote={note}\n\nTree=0\nnum_leaves=2\n\nend of trees\n"
    )
    .into_bytes()
}

fn catboost(note: &str) -> Vec<u8> {
    let pair = vec![Field::Text("note".to_owned()), Field::Text(note.to_owned())];
    let root = [Field::Text("FlabuffersModel_v1".to_owned()), Field::None, Field::Tables(vec![pair])];
    let core = Builder::build([0; 4], &[], &root);
    [b"CBM1".as_slice(), &u32::try_from(core.len()).expect("short").to_le_bytes(), &core].concat()
}

fn all(note: &str) -> [(Vec<u8>, &'static str, &'static str); 4] {
    [
        (json(note), "model.json", "xgboost"),
        (binary_json(note), "model.ubj", "xgboost"),
        (lightgbm(note), "model.txt", "lightgbm"),
        (catboost(note), "model.cbm", "catboost"),
    ]
}

#[test]
fn plain_models_have_their_names_and_are_silent() {
    for (sample, name, format) in all("trained on the first of May") {
        for name in [name, "model.bin"] {
            let report = report(&sample, name);
            assert_eq!(report.format, format, "{report:?}");
            assert!(report.issues.is_empty(), "{name}: {report:?}");
            assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{name}: {report:?}");
        }
    }
}

#[test]
fn texts_hold_neither_pickles_nor_code() {
    let pickled = STANDARD.encode(build::pickle_os_system());
    for note in [pickled.as_str(), "__import__('os').system('echo lanner')"] {
        for (sample, name, format) in all(note) {
            let report = report(&sample, name);
            let told = list(&report, SUSPICIOUS);
            assert!(told.iter().any(|key| key == "note" || key.starts_with("model@line")), "{format}: {report:?}");
        }
    }
    for (sample, name, format) in all(&pickled) {
        assert_eq!(list(&report(&sample, name), "artifact.pickle.dangerous_calls"), ["os.system"], "{format}");
    }
    for (sample, name, format) in all("seen\u{e0041}\u{e0042}\u{e0043} by nobody") {
        assert!(!list(&report(&sample, name), "artifact.hidden_unicode").is_empty(), "{format}");
    }
}

#[test]
fn lengths_that_lie_are_told() {
    let weights =
        |count| ubjson::object(&[("learner", ubjson::object(&[("weights", ubjson::numbers(count, &[7; 16]))]))]);
    let key = [b"{L".as_slice(), &1_u64.to_be_bytes(), b"a", b"SL", &u64::MAX.to_be_bytes()].concat();
    let negative = [b"{i\x01aSi\xff".as_slice(), b"abc}"].concat();
    for sample in [weights(1 << 60), weights(u64::MAX), weights(5), key, negative] {
        assert_eq!(list(&report(&sample, "model.ubj"), ANOMALIES), ["out_of_bounds"], "{sample:?}");
    }
    let deep = [b"{i\x01a".as_slice(), &b"[".repeat(100_000)].concat();
    assert!(!report(&deep, "model.ubj").issues.is_empty());
    let mut sample = catboost("note");
    sample.splice(4..8, [0xff, 0xff, 0xff, 0x7f]);
    let broken = report(&sample, "model.cbm");
    assert_eq!(broken.format, "catboost");
    assert_eq!(list(&broken, ANOMALIES), ["out_of_bounds"]);
    let behind = [catboost("note"), build::pickle_os_system()].concat();
    assert_eq!(list(&report(&behind, "model.cbm"), "artifact.pickle.dangerous_calls"), ["os.system"]);
}

#[test]
fn what_is_broken_is_searched() {
    for payload in [build::elf(), build::pickle_os_system()] {
        let sample = [b"CBM1\x40\0\0\0".as_slice(), &[7; 64], &payload].concat();
        let report = report(&sample, "m.cbm");
        let told = ["artifact.embedded_executables", "artifact.pickle.dangerous_calls"];
        assert!(told.iter().any(|fact| report.facts.contains_key(*fact)), "{report:?}");
    }
}

#[test]
fn parameters_name_no_folder_of_the_system() {
    let model =
        |path: &str| format!("tree\nversion=v4\n\nend of trees\n\nparameters:\n[forcedsplits_filename: {path}]\n");
    let outside = report(model("/etc/shadow").as_bytes(), "model.txt");
    assert_eq!(list(&outside, "artifact.container.escapes"), ["/etc/shadow"]);
    let own = report(model("/home/someone/splits.json").as_bytes(), "model.txt");
    assert!(ALARMING.iter().all(|path| !own.facts.contains_key(*path)), "{own:?}");
}

#[test]
fn a_text_in_braces_is_a_text() {
    let text = format!("{{if {} then}}", "something ".repeat(40));
    assert_eq!(report(text.as_bytes(), "page.tpl").format, "text");
}

#[test]
fn the_old_binary_is_known() {
    let name = |name: &str| [(name.len() as u64).to_le_bytes().as_slice(), name.as_bytes()].concat();
    let param = [0.5_f32.to_le_bytes().as_slice(), &[0; 132]].concat();
    let plain = [b"binf".as_slice(), &param, &name("binary:logistic"), &name("gbtree"), &[7; 64]].concat();
    let quiet = report(&plain, "old.model");
    assert_eq!(quiet.format, "xgboost");
    assert!(quiet.issues.is_empty(), "{quiet:?}");
    let cut = report(plain.get(..150).expect("it is longer"), "old.model");
    assert_eq!(list(&cut, ANOMALIES), ["out_of_bounds"]);
}

#[test]
fn damage_is_survived() {
    for (sample, name, _) in all("trained on the first of May") {
        survives(&sample, name);
    }
}
