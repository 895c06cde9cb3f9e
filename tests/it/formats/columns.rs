//! What the columns of tables hold, packed as pyarrow packs them.

use std::path::Path;
use std::process::Command;

use lanner::artifact::{FileBytes, Limits, Report, hash, inspect, inspect_with};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::build::{self, tables};
use super::{ALARMING, declared, list, report};
use crate::support::python;

const CALLS: &str = "artifact.pickle.dangerous_calls";
const PROGRAMS: &str = "artifact.embedded_executables";
const FORMULAS: &str = "artifact.dataset.formulas";

/// Has pyarrow write its tables around some bytes.
fn write(folder: &Path, payload: &[u8]) {
    let file = folder.join("payload");
    std::fs::write(&file, payload).expect("there is space");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/tables.py");
    let status = Command::new(python()).arg(script).arg(folder).arg(&file).status().expect("Python starts");
    assert!(status.success(), "the tables could not be written");
}

/// Every table whose name begins so, as a scan looks at it.
fn scanned(folder: &Path, start: &str) -> Vec<(String, Report)> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(start) && entry.file_type().is_file() {
            let bytes = FileBytes::open(entry.path()).expect("it can be read");
            let hashed = hash(&bytes, Vec::new(), &|| false).expect("it can be read").expect("nobody stops it");
            let report = inspect_with(&bytes, &name, &Limits::default(), &hashed.found);
            declared(&report);
            found.push((name, report));
        }
    }
    assert!(found.len() >= 10, "{start}: only {} tables", found.len());
    found
}

#[test]
fn packed_columns_hide_no_pickle_and_no_formula() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &build::pickle_os_system());
    for (name, report) in scanned(folder.path(), "plain") {
        assert!(report.issues.is_empty(), "{name}: {report:?}");
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{name}: {report:?}");
    }
    // Brotli is not unpacked, and said so.
    let unread = |name: &str| name.contains("BROTLI");
    for start in ["binary", "base64", "dictionary"] {
        for (name, report) in scanned(folder.path(), start) {
            if unread(&name) {
                assert!(
                    list(&report, "artifact.table.unread").contains(&"brotli:text".to_owned()),
                    "{name}: {report:?}"
                );
            } else {
                assert_eq!(list(&report, CALLS), ["os.system"], "{name}: {report:?}");
                assert!(!report.facts.contains_key("artifact.table.unread"), "{name}: {report:?}");
            }
        }
    }
    for (name, report) in scanned(folder.path(), "formula").into_iter().filter(|(name, _)| !unread(name)) {
        assert_eq!(list(&report, FORMULAS).len(), 1, "{name}: {report:?}");
    }
}

#[test]
fn the_beginning_of_a_buffer_longer_than_an_item_is_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &build::pickle_os_system());
    let bytes = FileBytes::open(&folder.path().join("base64-None.arrow")).expect("it was written");
    let report = inspect(&bytes, "a.arrow", &Limits { item_bytes_max: 1500, ..Limits::default() });
    assert_eq!(list(&report, CALLS), ["os.system"], "{report:?}");
    assert!(report.issues.iter().any(|issue| issue.code == "budget_exceeded"), "{report:?}");
}

#[test]
fn packed_columns_hide_no_program() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &[build::elf(), vec![0; 192]].concat());
    for start in ["binary", "base64", "dictionary"] {
        for (name, report) in scanned(folder.path(), start).into_iter().filter(|(name, _)| !name.contains("BROTLI")) {
            assert!(list(&report, PROGRAMS).iter().any(|item| item.starts_with("elf")), "{name}: {report:?}");
        }
    }
}

#[test]
fn damaged_tables_are_survived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &build::pickle_os_system());
    for name in [
        "binary-GZIP-1.0.parquet",
        "base64-LZ4-2.0.parquet",
        "binary-SNAPPY-2.0.parquet",
        "dictionary-ZSTD-2.0.parquet",
        "binary-lz4.arrow",
    ] {
        let bytes = std::fs::read(folder.path().join(name)).expect("it was written");
        let step = (bytes.len() / 150).max(1);
        for at in (0..bytes.len()).step_by(step) {
            report(bytes.get(..at).unwrap_or_default(), name);
            for value in [[0xff; 4], [0, 0, 0, 0], [0x7f, 0xff, 0xff, 0x7f]] {
                let mut damaged = bytes.clone();
                damaged.iter_mut().skip(at).zip(value).for_each(|(to, from)| *to = from);
                report(&damaged, name);
            }
        }
    }
}

#[test]
fn every_framing_of_lz4_is_read() {
    use std::io::Write as _;
    let text = STANDARD.encode(build::pickle_os_system());
    let length = u32::try_from(text.len()).expect("short");
    let values = [length.to_le_bytes().as_slice(), text.as_bytes()].concat();
    let size = u32::try_from(values.len()).expect("short");
    let block = lz4_flex::block::compress(&values);
    let packed = u32::try_from(block.len()).expect("short");
    let hadoop = [size.to_be_bytes().as_slice(), &packed.to_be_bytes(), &block].concat();
    let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
    frame.write_all(&values).expect("memory takes it");
    let frame = frame.finish().expect("memory takes it");
    for (codec, packed) in [(7, &block), (5, &hadoop), (5, &block), (5, &frame)] {
        let found = report(&tables::parquet_page(codec, packed, size.into()), "a.parquet");
        assert_eq!(list(&found, CALLS), ["os.system"], "{codec}: {found:?}");
        assert_eq!(list(&found, "artifact.metadata.suspicious").len(), 1, "{codec}: {found:?}");
    }
}

#[test]
fn a_page_that_unfolds_out_of_proportion_is_a_bomb() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).expect("memory takes it");
    }
    let packed = encoder.finish().expect("memory takes it");
    let report = report(&tables::parquet_page(2, &packed, 64 << 20), "a.parquet");
    assert_eq!(list(&report, "artifact.container.bomb"), ["ratio"], "{report:?}");
    // A page that is longer than its column says.
    let mut lies = tables::parquet_page(0, b"\x04\0\0\0abcd", 8);
    lies.splice(12..13, [0x7e]);
    let lies = super::report(&lies, "a.parquet");
    assert!(lies.issues.iter().any(|issue| issue.code == "malformed"), "{lies:?}");
}
