//! `TensorFlow` Lite, `ExecuTorch`, `PyTorch` for mobile devices, MNN.

use super::build::{self, flatbuffer};
use super::{ALARMING, list, report, survives};

const CUSTOM: &str = "artifact.tflite.custom_operators";
const STRONG: &str = "artifact.tensorflow.operators";

#[test]
fn operators_that_the_interpreter_lacks_are_told() {
    let sample = flatbuffer::tflite(
        &["FlexErf", "FlexReadFile", "FlexEagerPyFunc", "Gate", "TFLite_Detection_PostProcess"],
        &[7; 64],
    );
    let report = report(&sample, "model.bin");
    assert_eq!(report.format, "tflite");
    assert_eq!(list(&report, CUSTOM), ["Gate"]);
    assert_eq!(list(&report, "artifact.tflite.flex_operators"), ["Erf", "ReadFile", "EagerPyFunc"]);
    assert_eq!(list(&report, STRONG), ["ReadFile", "EagerPyFunc"]);
}

#[test]
fn a_plain_model_is_silent() {
    let report = report(&flatbuffer::tflite(&[], &[7; 64]), "model.tflite");
    assert!(report.issues.is_empty(), "{report:?}");
    for fact in [CUSTOM, STRONG, "artifact.tensors.anomalies", "artifact.extension_mismatch"] {
        assert!(!report.facts.contains_key(fact), "{fact}: {report:?}");
    }
}

#[test]
fn buffers_hold_no_programs() {
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 57]].concat();
    let native = report(&flatbuffer::tflite(&[], &elf), "m.tflite");
    assert!(list(&native, "artifact.embedded_executables").iter().any(|item| item.starts_with("elf@")), "{native:?}");
    let pickled = report(&flatbuffer::tflite(&[], &build::pickle_os_system()), "m.tflite");
    assert_eq!(list(&pickled, "artifact.pickle.dangerous_calls"), ["os.system"]);
    let noted = report(&flatbuffer::tflite(&[], b"__import__('os').system('echo lanner')"), "m.tflite");
    assert_eq!(list(&noted, "artifact.metadata.suspicious"), ["notes"]);
}

#[test]
fn offsets_that_lie_are_told() {
    for lie in [[0xff; 4], [0xff, 0xff, 0xff, 0x7f], [0; 4]] {
        let mut sample = flatbuffer::tflite(&["Gate"], &[7; 64]);
        sample.splice(..4, lie);
        let report = report(&sample, "m.tflite");
        assert_eq!(list(&report, "artifact.tensors.anomalies"), ["out_of_bounds"]);
        assert!(!report.issues.is_empty());
    }
}

#[test]
fn programs_of_executorch_are_looked_into() {
    let sample = flatbuffer::executorch("XnnpackBackend", "aten::add", &[7; 64]);
    let plain = report(&sample, "m.pte");
    assert_eq!(plain.format, "executorch");
    assert_eq!(list(&plain, "artifact.executorch.delegates"), ["XnnpackBackend"]);
    assert!(plain.issues.is_empty() && list(&plain, "artifact.executorch.operators").is_empty(), "{plain:?}");
    let own = report(&flatbuffer::executorch("Acme", "acme::gate", &build::pickle_os_system()), "m.pte");
    assert_eq!(list(&own, "artifact.executorch.operators"), ["acme::gate"]);
    assert_eq!(list(&own, "artifact.pickle.dangerous_calls"), ["os.system"]);
    let cut = report(sample.get(..sample.len() - 8).expect("it is longer"), "m.pte");
    assert_eq!(list(&cut, "artifact.tensors.anomalies"), ["out_of_bounds"]);
}

#[test]
fn mobile_models_are_looked_into() {
    let ordinary =
        flatbuffer::mobile(&["aten::linear", "quantized::conv2d", "prepacked::linear_clamp_run"], "text", &[7; 64]);
    let plain = report(&ordinary, "m.ptl");
    assert_eq!(plain.format, "torch-mobile");
    assert_eq!(list(&plain, "artifact.torch.functions"), ["__torch__.M.forward"]);
    assert_eq!(list(&plain, "artifact.torch.types"), ["__torch__.M"]);
    assert!(plain.issues.is_empty(), "{plain:?}");
    assert!(ALARMING.iter().all(|path| !plain.facts.contains_key(*path)), "{plain:?}");
    let acting = report(&flatbuffer::mobile(&["aten::save", "acme::gate"], "text", &[7; 64]), "m.ptl");
    assert_eq!(list(&acting, "artifact.torch.operators"), ["aten::save"]);
    assert_eq!(list(&acting, "artifact.torch.foreign"), ["operator:acme::gate"]);
    let named =
        report(&flatbuffer::mobile(&[], "__import__('os').system('echo lanner')", &build::pickle_os_system()), "m.ptl");
    assert_eq!(list(&named, "artifact.metadata.suspicious"), ["constant"]);
    assert_eq!(list(&named, "artifact.pickle.dangerous_calls"), ["os.system"]);
    let cut = report(ordinary.get(..ordinary.len() - 80).expect("longer"), "m.ptl");
    assert_eq!(list(&cut, "artifact.tensors.anomalies"), ["out_of_bounds"], "{cut:?}");
    survives(&ordinary, "m.ptl");
}

#[test]
fn plugins_of_mnn_are_told() {
    let plain = report(&flatbuffer::mnn(13, "conv"), "m.mnn");
    assert_eq!(plain.format, "mnn");
    assert!(plain.issues.is_empty() && list(&plain, "artifact.mnn.custom").is_empty(), "{plain:?}");
    let plugin = report(&flatbuffer::mnn(256, "gate"), "m.mnn");
    assert_eq!(list(&plugin, "artifact.mnn.custom"), ["plugin:gate"]);
    let extra = report(&flatbuffer::mnn(512, "gate"), "m.mnn");
    assert_eq!(list(&extra, "artifact.mnn.custom"), ["extra::gate"]);
    survives(&flatbuffer::mnn(256, "gate"), "m.mnn");
}
