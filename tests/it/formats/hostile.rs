//! Damaged and malicious input: no panic, bounded reading, and never silence.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use lanner::artifact::{Bytes, Limits, Memory, inspect};

use super::build::protobuf::{self, onnx, tensorflow};
use super::build::values::{self, msgpack, torch7, ubjson};
use super::build::{self, arrays, flatbuffer, hdf5, keras, oci, pickle, tables, tensors, zip};
use super::{declared, list, report};

/// Bytes that count what is read of them.
struct Counting {
    bytes: Vec<u8>,
    read: AtomicU64,
    /// Length that is claimed; bytes beyond what is there are zero.
    len: u64,
}

impl Bytes for Counting {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        for (at, byte) in buffer.iter_mut().take(count).enumerate() {
            *byte = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset + at)).copied().unwrap_or(0);
        }
        Ok(count)
    }
}

/// One sample of each format, with a name that claims it.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let payload = build::pickle_os_system();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&payload).expect("memory takes it");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(payload.len() as u64);
    builder.append_data(&mut header, "model/data.pkl", payload.as_slice()).expect("memory takes it");
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n";
    let length = u8::try_from(header.len()).expect("short");
    let graph = tensorflow::graph(&[tensorflow::node("MatMul", &[])], &[]);
    let layer = oci::tar(&[oci::file("models/clf.pkl", &payload)]);
    let image = oci::Image::new((oci::CONFIG, b"{}"), &[(oci::descriptor(oci::LAYER, &layer, None), &layer)]);
    let npy = [b"\x93NUMPY\x01\0".as_slice(), &[length, 0], header.as_bytes(), &payload].concat();
    vec![
        ("a.pkl", pickle::stack_call("os", "system", &["echo lanner"])),
        ("b.pkl", b"cos\nsystem\n(S'echo lanner'\ntR.".to_vec()),
        ("a.pt", zip::archive(&zip::torch(&payload))),
        ("a.safetensors", tensors::safetensors_benign()),
        ("a.gguf", tensors::gguf(&[("general.name", "lanner"), ("tokenizer.chat_template", "{{ x }}")])),
        ("a.pkl.gz", encoder.finish().expect("memory takes it")),
        ("a.tar", builder.into_inner().expect("memory takes it")),
        ("a.npy", npy),
        ("a.keras", keras::archive(keras::model(&[keras::lambda(&["os", "system"])]).to_string().as_bytes())),
        ("old.h5", hdf5::keras(&keras::model(&[keras::dense()]).to_string(), true)),
        ("a.onnx", onnx::model(&onnx::graph(&onnx::node("", "MatMul", &[]), &onnx::tensor(&[7; 16])), &[])),
        ("saved_model.pb", tensorflow::saved(&tensorflow::meta(&graph, &[]))),
        ("a.meta", tensorflow::meta(&graph, &[])),
        ("a.tflite", flatbuffer::tflite(&["FlexErf"], &[7; 64])),
        ("a.pte", flatbuffer::executorch("Backend", "aten::add", &[7; 64])),
        ("new.h5", hdf5::keras(&keras::model(&[keras::dense()]).to_string(), false)),
        ("a.arrow", tables::file(&[("ARROW:extension:name", b"arrow.uuid")], &[("notes", b"plain")], 0)),
        ("a.parquet", tables::parquet(4, None, &[("notes", b"plain")])),
        ("a.msgpack", msgpack::map(&[("w", msgpack::array(&[2, 4], "float32", &[7; 32]))])),
        (
            "a.t7",
            torch7::object(1, "nn.Linear", &torch7::table(2, &[(torch7::text("w"), torch7::tensor(3, 8, &[7; 32]))])),
        ),
        ("a.ubj", ubjson::object(&[("learner", ubjson::object(&[("weights", ubjson::numbers(4, &[7; 16]))]))])),
        ("a.ptl", flatbuffer::mobile(&["aten::linear"], "text", &[7; 64])),
        ("manifest.ocdbt", arrays::manifest(&["d/0123456789abcdef0123456789abcdef"])),
        ("b.parquet", tables::parquet_page(0, b"\x04\0\0\0abcd", 8)),
        ("image.tar", image.archive()),
        ("a.index", values::checkpoint(&[("w", vec![protobuf::number(5, 8)])])),
    ]
}

/// What unfolds, nests or lies: small files that ask for much memory.
pub fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![0; 1 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..512 {
        encoder.write_all(&zeros).expect("memory takes it");
    }
    let mut nested = build::pickle_benign();
    for _ in 0..20 {
        nested = zip::archive(&[zip::member("inner.zip", &nested)]);
    }
    let wide: Vec<_> = (0..2000).map(|_| zip::member("archive/data.pkl", &zeros[..64])).collect();
    let tail = pickle::reduce("os", "system", &["echo lanner"]);
    let long = |filler: Vec<u8>| pickle::whole(4, &[&filler, &tail]);
    vec![
        ("model.pkl.gz", encoder.finish().expect("memory takes it")),
        ("nested.zip", nested),
        ("wide.pt", zip::archive(&wide)),
        ("marks.pkl", long(b"(".repeat(4_000_000))),
        ("lists.pkl", long(b"]".repeat(4_000_000))),
        ("tuples.pkl", long([b"N".to_vec(), b"\x85".repeat(4_000_000)].concat())),
        ("memo.pkl", long(b"N\x94".repeat(3_000_000))),
        ("doubling.pkl", long([b"N".to_vec(), b"2\x86".repeat(60)].concat())),
        ("lies.pkl", b"\x80\x04\x8e\0\0\0\0\x02\0\0\0rest.".to_vec()),
        ("lies.gguf", b"GGUF\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0".to_vec()),
        ("lies.safetensors", [(1_u64 << 33).to_le_bytes().as_slice(), b"{}"].concat()),
    ]
}

#[test]
fn every_truncation_is_survived_and_told() {
    for (name, bytes) in samples() {
        let step = (bytes.len() / 2000).max(1);
        for end in (1..bytes.len()).step_by(step) {
            let report = report(bytes.get(..end).expect("within"), name);
            // Zeros at the end of an archive may be missing without any loss.
            let padding = bytes.get(end..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
            let told = !report.issues.is_empty()
                || report.facts.contains_key("artifact.extension_mismatch")
                || report.facts.contains_key("artifact.tensors.anomalies")
                || report.facts.contains_key("artifact.container.anomalies")
                || report.facts.contains_key("artifact.pickle.dangerous");
            assert!(told || padding, "{name} cut at {end} of {} is silent: {:?}", bytes.len(), report.facts);
        }
    }
}

#[test]
fn every_bit_flip_is_survived() {
    for (name, bytes) in samples() {
        let step = (bytes.len() / 500).max(1);
        for at in (0..bytes.len()).step_by(step) {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                if let Some(byte) = flipped.get_mut(at) {
                    *byte ^= 1 << bit;
                }
                report(&flipped, name);
            }
        }
    }
}

#[test]
fn bombs_are_named_and_not_unfolded() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..512 {
        encoder.write_all(&zeros).expect("memory takes it");
    }
    let bomb = encoder.finish().expect("memory takes it");
    assert!(bomb.len() < 1 << 20);
    let found = list(&report(&bomb, "model.pkl.gz"), "artifact.container.bomb");
    assert_eq!(found, ["ratio"]);
    let mut nested = build::pickle_benign();
    for _ in 0..20 {
        nested = zip::archive(&[zip::member("inner.zip", &nested)]);
    }
    assert!(list(&report(&nested, "model.zip"), "artifact.container.bomb").contains(&"depth".to_owned()));
}

#[test]
fn deep_and_long_pickles_end_in_an_issue_or_a_finding() {
    let tail = pickle::reduce("os", "system", &["echo lanner"]);
    for filler in [
        b"(".repeat(200_000),
        b"]".repeat(200_000),
        [b"N".to_vec(), b"\x85".repeat(300_000)].concat(),
        b"N0".repeat(600_000),
    ] {
        let report = report(&pickle::whole(4, &[&filler, &tail]), "a.pkl");
        assert!(
            list(&report, "artifact.pickle.dangerous_calls").contains(&"os.system".to_owned()),
            "{:?}",
            report.issues
        );
    }
    let limits = Limits { opcodes_max: 1000, ..Limits::default() };
    let flood = inspect(&Memory(pickle::whole(4, &[&b"N0".repeat(5000), &tail])), "a.pkl", &limits);
    declared(&flood);
    assert!(flood.issues.iter().any(|issue| issue.code == "budget_exceeded"), "{:?}", flood.issues);
}

#[test]
fn a_run_of_letters_behind_a_pickle_is_read_once_and_not_for_each_letter() {
    // Each `c` may be the opcode of an import, whose names would be what follows.
    let seconds = |run: &[u8]| {
        let bytes = [b"\x80\x04N.", run.repeat((4 << 20) / run.len()).as_slice()].concat();
        let began = std::time::Instant::now();
        report(&bytes, "a.pkl");
        began.elapsed().as_secs_f64()
    };
    let (none, run) = (seconds(b"x"), seconds(b"c"));
    println!("{run} s for a run of imports, {none} s for other letters");
    assert!(run < none * 30.0, "{run} s for a run of imports, {none} s for other letters");
    for (rest, found) in [
        (&b"cccccos\nsystem\n(V\ntR."[..], true),
        (b"c.os\nsystem\n(V\ntR.", false),
        (b"!!cos\nsystem\n(Vcccc\ntR.", true),
        (b"cos\n\nsystem\n(V\ntR.", false),
    ] {
        let report = report(&[b"\x80\x04N.\xff\xff", rest].concat(), "a.pkl");
        let told = !list(&report, "artifact.pickle.globals").is_empty();
        assert_eq!(told, found, "{}", String::from_utf8_lossy(rest));
    }
}

#[test]
fn declared_lengths_of_8_gib_allocate_nothing() {
    for bytes in [
        b"\x80\x04\x8e\0\0\0\0\x02\0\0\0rest.".to_vec(),
        b"\x80\x04\x8d\0\0\0\0\x02\0\0\0rest.".to_vec(),
        b"\x80\x04\x95\0\0\0\0\x02\0\0\0N.".to_vec(),
        b"\x80\x04\x8b\xff\xff\xff\x7fN.".to_vec(),
        b"GGUF\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0".to_vec(),
        [(1_u64 << 33).to_le_bytes().as_slice(), b"{}"].concat(),
    ] {
        for len in [bytes.len() as u64, 1 << 34] {
            let counting = Counting { bytes: bytes.clone(), read: AtomicU64::new(0), len };
            let report = inspect(&counting, "model.safetensors", &Limits::default());
            declared(&report);
            assert!(!report.issues.is_empty(), "{bytes:?}: {:?}", report.facts);
            let read = counting.read.load(Ordering::Relaxed);
            assert!(read < 600 << 20, "{bytes:?}: {read} bytes read");
        }
    }
}

#[test]
fn big_tensors_cost_no_reading() {
    let size = 2_u64 << 30;
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{size}],"data_offsets":[0,{size}]}}}}"#);
    let bytes = tensors::safetensors(&header, b"");
    let len = bytes.len() as u64 + size;
    let counting = Counting { bytes, read: AtomicU64::new(0), len };
    let report = inspect(&counting, "model.safetensors", &Limits::default());
    assert!(report.issues.is_empty() && !report.facts.contains_key("artifact.tensors.anomalies"), "{report:?}");
    assert!(counting.read.load(Ordering::Relaxed) < 64 << 10);
}
