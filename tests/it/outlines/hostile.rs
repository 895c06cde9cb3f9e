//! Outlines of hostile bytes, and hostile outlines: nothing panics, everything ends, within the bounds.

use lanner::artifact::outline::{Outline, compare, outline};
use lanner::artifact::{Limits, Memory};
use proptest::prelude::*;

use super::{differences, taken};

/// Formats that an inspection names, and names of files that lead to each family.
const KINDS: &[(&str, &str)] = &[
    ("onnx", "m.onnx"),
    ("tensorflow", "m.pb"),
    ("savedmodel", "saved_model.pb"),
    ("tflite", "m.tflite"),
    ("gguf", "m.gguf"),
    ("safetensors", "m.safetensors"),
    ("sentencepiece", "tokenizer.model"),
    ("json", "tokenizer.json"),
    ("json", "vocab.json"),
    ("json", "config.json"),
    ("json", "package-lock.json"),
    ("text", "vocab.txt"),
    ("text", "merges.txt"),
    ("text", "poetry.lock"),
    ("requirements", "requirements.txt"),
    ("yaml", "environment.yml"),
    ("yaml", "config.yaml"),
    ("jinja", "chat_template.jinja"),
    ("csv", "t.csv"),
    ("csv", "t.tsv"),
    ("jsonl", "t.jsonl"),
    ("parquet", "t.parquet"),
    ("arrow", "t.arrow"),
    ("hdf5", "m.h5"),
    ("pickle", "m.pkl"),
    ("keras", "m.keras"),
    ("pytorch", "m.pt"),
    ("tar", "m.tar"),
    ("python", "m.py"),
    ("notebook", "m.ipynb"),
    ("unknown", "m.bin"),
];

/// Small enough for many trials, large enough for each family to say something.
fn limits() -> Limits {
    Limits { read_bytes_max: 8 << 20, inflate_bytes_max: 8 << 20, item_bytes_max: 1 << 20, ..Limits::default() }
}

fn survives(bytes: &[u8]) {
    let limits = limits();
    let memory = Memory(bytes.to_vec());
    let made: Vec<Option<Outline>> =
        KINDS.iter().map(|(format, name)| outline(&memory, name, format, &limits)).collect();
    for pair in made.windows(2) {
        if let [Some(old), Some(new)] = pair {
            compare(old, new, Some(&memory), &limits);
        }
    }
}

#[test]
fn damaged_files_end_in_an_outline_or_in_none() {
    let samples: Vec<Vec<u8>> = vec![
        crate::formats::build::pickle_benign(),
        crate::formats::build::tensors::safetensors_benign(),
        br#"{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]},"normalizer":{"type":"NFC"},"added_tokens":[{"id":1,"content":"b"}]}"#.to_vec(),
        br#"{"class_name":"Sequential","config":{"layers":[{"class_name":"Dense","config":{"name":"d","units":3}}]}}"#.to_vec(),
        b"text,label\nthe film was good,1\nthe film was bad,0\n\"open".to_vec(),
        b"{\"text\":\"a b\",\"label\":1}\n{\"text\":\n[1,2]\n".to_vec(),
        b"numpy==2.0 --hash=sha256:aa\n-i http://x\n".to_vec(),
        b"[[package]]\nname = \"x\"\nversion = \"1\"\n[package.source]\nurl = \"y\"\n".to_vec(),
        b"def f():\n    return (\n\n@x\nclass".to_vec(),
    ];
    for sample in samples {
        for at in 0..=sample.len() {
            if at % 3 == 0 || at == sample.len() {
                survives(&sample[..at]);
            }
            let mut flipped = sample.clone();
            if let Some(byte) = flipped.get_mut(at).filter(|_| at % 5 == 0) {
                *byte ^= 0x41;
                survives(&flipped);
            }
        }
    }
}

#[test]
fn bombs_stay_within_bounds() {
    let deep = "[".repeat(60_000);
    survives(deep.as_bytes());
    survives(format!("{{\"model\":{deep}").as_bytes());
    // Numbers of tokens that no memory holds, and a row that never ends.
    let far = br#"{"model":{"type":"BPE","vocab":{"a":18446744073709551615,"b":99999999999},"merges":[]}}"#;
    let made = outline(&Memory(far.to_vec()), "tokenizer.json", "json", &Limits::default()).expect("it has settings");
    assert!(!made.cut.is_empty(), "{made:?}");
    survives(format!("a,b\n\"{}", "x".repeat(2 << 20)).as_bytes());
    // More distinct settings, texts and layers than are kept.
    let parts = |parts: &mut dyn Iterator<Item = String>| parts.collect::<Vec<_>>().concat();
    let many = parts(&mut (0..50_000).map(|number| format!("\"key{number}\":\"{}\",", "v".repeat(50))));
    let made = taken(format!("{{{many}\"end\":1}}").as_bytes(), "config.json").expect("it has settings");
    assert!(!made.cut.is_empty());
    let prompts = parts(&mut (0..60).map(|number| format!("\"p{number}_prompt\":\"{}\",", "words ".repeat(5000))));
    let made = taken(format!("{{{prompts}\"end\":1}}").as_bytes(), "config.json").expect("it has settings");
    assert!(!made.cut.is_empty());
}

#[test]
fn what_was_cut_is_told() {
    let row = |number: u32| format!("a row that is about the number {number} and says little,{}\n", number % 2);
    let table: String = std::iter::once("text,label\n".to_owned()).chain((0..235_000).map(row)).collect();
    let limits = Limits::default();
    let made = outline(&Memory(table.into_bytes()), "train.csv", "csv", &limits).expect("it has rows");
    assert!(made.cut.iter().any(|cut| cut.contains("one in 2")), "{:?}", made.cut);
    let other = taken(b"text,label\na row that is short,1\n", "train.csv").expect("it has a row");
    let found = compare(&made, &other, None, &limits);
    assert!(found.iter().any(|difference| difference.class == "outline.cut"), "{found:?}");
}

#[test]
fn hostile_outlines_are_refused_or_compared() {
    assert_eq!(Outline::from_json(b""), None);
    assert_eq!(Outline::from_json(&vec![b'['; 1 << 20]), None);
    assert_eq!(Outline::from_json(&vec![b' '; 64 << 20]), None);
    let pairs = [
        (b"text,label\na b c,1\nd e f,0\n".as_slice(), "t.csv"),
        (b"[PAD]\n[unused1]\nthe\n", "vocab.txt"),
        (br#"{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}"#, "tokenizer.json"),
        (b"\x00\x01\x02\x03 something that has no format", "x.bin"),
    ];
    for (bytes, name) in pairs {
        let Some(made) = taken(bytes, name) else { continue };
        let text = serde_json::to_string(&made).expect("it is data");
        let tree: serde_json::Value = serde_json::from_str(&text).expect("it was just written");
        let mut trees = Vec::new();
        mutate(&tree, &mut |changed| trees.push(changed));
        for tree in trees {
            let Some(changed) = Outline::from_json(tree.to_string().as_bytes()) else { continue };
            let memory = Memory(bytes.to_vec());
            for bytes in [None, Some(&memory as &dyn lanner::artifact::Bytes)] {
                compare(&made, &changed, bytes, &limits());
                compare(&changed, &made, bytes, &limits());
            }
        }
    }
}

/// The same tree with each of its leaves replaced by what was not expected there.
fn mutate(tree: &serde_json::Value, out: &mut dyn FnMut(serde_json::Value)) {
    use serde_json::{Value, json};
    match tree {
        Value::Object(members) => {
            for (key, value) in members {
                mutate(value, &mut |changed| {
                    let mut members = members.clone();
                    members.insert(key.clone(), changed);
                    out(Value::Object(members));
                });
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                mutate(item, &mut |changed| {
                    let mut items = items.clone();
                    items[at] = changed;
                    out(Value::Array(items));
                });
            }
            out(json!([]));
        }
        Value::Number(_) => {
            [json!(0), json!(1), json!(255), json!(u32::MAX), json!(u64::MAX)].into_iter().for_each(out);
        }
        Value::String(text) => {
            for text in [String::new(), "AAAA".into(), "////////////".into(), text.repeat(3)] {
                out(json!(text));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_have_an_outline_that_equals_itself(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        survives(&bytes);
        let limits = limits();
        let memory = Memory(bytes);
        for (format, name) in KINDS {
            let (one, two) = (outline(&memory, name, format, &limits), outline(&memory, name, format, &limits));
            prop_assert_eq!(&one, &two);
            if let Some(made) = one {
                prop_assert_eq!(compare(&made, &made.clone(), Some(&memory), &limits), Vec::new());
            }
        }
    }

    #[test]
    fn any_two_tables_can_be_compared(
        old in proptest::collection::vec(("[a-c]{1,2}( [a-c]{1,2}){0,5}", 0..3_u8), 0..40),
        new in proptest::collection::vec(("[a-c]{1,2}( [a-c]{1,2}){0,5}", 0..3_u8), 0..40),
    ) {
        let write = |rows: &[(String, u8)]| {
            let lines: Vec<String> = rows.iter().map(|(text, label)| format!("{text},{label}\n")).collect();
            format!("text,label\n{}", lines.concat())
        };
        differences(write(&old).as_bytes(), write(&new).as_bytes(), "t.csv");
    }
}
