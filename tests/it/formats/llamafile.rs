//! Programs with a model behind them.

use super::build::{tensors, zip};
use super::{list, report};

const ARGUMENTS: &str = "artifact.llamafile.arguments";

fn sample(arguments: &str, template: &str) -> Vec<u8> {
    let model = tensors::gguf(&[("general.name", "lanner"), ("tokenizer.chat_template", template)]);
    let archive = zip::archive(&[zip::member("model.gguf", &model), zip::member(".args", arguments.as_bytes())]);
    [b"MZqFpD='\n".as_slice(), &[b' '; 64], &archive].concat()
}

#[test]
fn the_program_is_told_and_nothing_else() {
    let report = report(&sample("-m\nmodel.gguf\n--host\n127.0.0.1\n-ngl\n999\n", "{{ x }}"), "model.llamafile");
    assert_eq!(report.format, "llamafile", "{report:?}");
    assert_eq!(list(&report, "artifact.llamafile.program"), ["ape"]);
    for fact in
        [ARGUMENTS, "artifact.embedded_executables", "artifact.container.anomalies", "artifact.extension_mismatch"]
    {
        assert!(!report.facts.contains_key(fact), "{fact}: {report:?}");
    }
}

#[test]
fn arguments_and_the_model_are_looked_into() {
    let open = report(&sample("-m\nmodel.gguf\n--host\n0.0.0.0\n--unsecure\n", "{{ x }}"), "model.llamafile");
    assert_eq!(list(&open, ARGUMENTS), ["listens:0.0.0.0", "--unsecure"]);
    let elsewhere = report(&sample("-m\nhttps://example.com/m.gguf\n", "{{ x }}"), "model.llamafile");
    assert_eq!(list(&elsewhere, ARGUMENTS), ["reads:https://example.com/m.gguf"]);
    let disk = report(&sample("--path\n/\n", "{{ x }}"), "model.llamafile");
    assert_eq!(list(&disk, ARGUMENTS), ["serves:/"]);
    let command = report(&sample("-p\n$(echo lanner)\n", "{{ x }}"), "model.llamafile");
    assert_eq!(list(&command, ARGUMENTS), ["command:$(echo lanner)"]);
    let template = report(&sample("", "{{ x.__class__.__mro__ }}"), "model.llamafile");
    assert!(!list(&template, "artifact.chat_template.unsafe").is_empty(), "{template:?}");
}

#[test]
fn another_name_does_not_hide_the_program() {
    let mut bytes = sample("", "{{ x }}");
    let elsewhere = report(&bytes, "model.safetensors");
    assert!(elsewhere.facts.contains_key("artifact.extension_mismatch"), "{elsewhere:?}");
    bytes.splice(..9, [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 2]].concat());
    let elf = report(&bytes, "model.bin");
    assert_eq!(elf.format, "llamafile");
    assert_eq!(list(&elf, "artifact.embedded_executables"), ["elf@0"]);
}
