//! Arrow, Feather and Parquet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::build::{self, pickle, tables};
use super::{ALARMING, list, report, survives};

const PICKLED: &str = "artifact.arrow.pickled_types";
const CALLS: &str = "artifact.pickle.dangerous_calls";

#[test]
fn a_type_that_is_a_pickle_is_told_wherever_the_schema_stands() {
    let payload = build::pickle_os_system();
    let column: tables::Pairs<'_> =
        &[("ARROW:extension:name", b"arrow.py_extension_type"), ("ARROW:extension:metadata", &payload)];
    let schema = STANDARD.encode(tables::schema_message(column, &[]));
    for (sample, format) in [
        (tables::stream(column, (0, 64), &[7; 64]), "arrow"),
        (tables::file(column, &[], 0), "arrow"),
        (tables::parquet(4, None, &[("ARROW:schema", schema.as_bytes())]), "parquet"),
    ] {
        let report = report(&sample, "data.bin");
        assert_eq!(report.format, format);
        assert_eq!(list(&report, PICKLED), ["x:arrow.py_extension_type"], "{report:?}");
        assert_eq!(list(&report, CALLS), ["os.system"]);
    }
    let own: tables::Pairs<'_> = &[("ARROW:extension:name", b"acme.tensor"), ("ARROW:extension:metadata", &payload)];
    let own = report(&tables::file(own, &[], 0), "data.arrow");
    assert_eq!(list(&own, PICKLED), ["x:acme.tensor"]);
    assert_eq!(list(&own, CALLS), ["os.system"]);
}

#[test]
fn metadata_holds_no_code() {
    let payload = build::pickle_os_system();
    let text = STANDARD.encode(&payload);
    let within = format!("{{\"columns\": [{{\"metadata\": \"{text}\"}}]}}");
    for value in [payload.as_slice(), text.as_bytes(), within.as_bytes(), b"__import__('os').system('echo lanner')"] {
        for sample in [tables::file(&[], &[("notes", value)], 0), tables::parquet(4, None, &[("notes", value)])] {
            let report = report(&sample, "data.bin");
            assert_eq!(list(&report, "artifact.metadata.suspicious"), ["notes"], "{report:?}");
        }
    }
}

#[test]
fn plain_tables_are_silent() {
    let uuid: tables::Pairs<'_> = &[("ARROW:extension:name", b"arrow.uuid"), ("ARROW:extension:metadata", b"")];
    let pandas: &[u8] = br#"{"index_columns": [], "columns": [{"name": "x", "numpy_type": "object"}]}"#;
    let schema = STANDARD.encode(tables::schema_message(uuid, &[("pandas", pandas)]));
    for (sample, name) in [
        (tables::stream(uuid, (0, 64), &[7; 64]), "data.arrow"),
        (tables::file(uuid, &[("pandas", pandas)], 0), "data.feather"),
        (tables::parquet(4, None, &[("ARROW:schema", schema.as_bytes()), ("pandas", pandas)]), "data.parquet"),
        (tables::parquet(4000, Some("part-0.parquet"), &[]), "_metadata"),
    ] {
        let report = report(&sample, name);
        assert!(report.issues.is_empty(), "{name}: {report:?}");
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{name}: {report:?}");
    }
}

#[test]
fn places_that_lie_are_told() {
    for sample in [
        tables::stream(&[], (0, 65), &[7; 64]),
        tables::stream(&[], (u64::MAX, 2), &[7; 64]),
        tables::file(&[], &[], 1 << 40),
        tables::file(&[], &[], u64::MAX / 2),
        tables::parquet(1 << 40, None, &[]),
        tables::parquet(60, None, &[]),
    ] {
        let report = report(&sample, "data.bin");
        assert_eq!(list(&report, "artifact.tensors.anomalies"), ["out_of_bounds"], "{report:?}");
        assert!(!report.issues.is_empty());
    }
    let outside = report(&tables::parquet(4, Some("../../etc/passwd"), &[]), "_metadata");
    assert_eq!(list(&outside, "artifact.container.escapes"), ["../../etc/passwd"]);
}

#[test]
fn bodies_hold_no_programs() {
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 57]].concat();
    let native = report(&tables::stream(&[], (0, 64), &elf), "data.arrow");
    assert!(list(&native, "artifact.embedded_executables").iter().any(|item| item.starts_with("elf@")), "{native:?}");
    let payload = build::pickle_os_system();
    let pickled = report(&tables::stream(&[], (0, payload.len() as u64), &payload), "data.arrow");
    assert_eq!(list(&pickled, CALLS), ["os.system"]);
    // A dataset may hold objects of its own.
    let array = pickle::whole(4, &[&pickle::stack_global("numpy", "dtype")]);
    let values = report(&tables::stream(&[], (0, array.len() as u64), &array), "data.arrow");
    assert!(ALARMING.iter().all(|path| !values.facts.contains_key(*path)), "{values:?}");
}

#[test]
fn lengths_within_thrift_do_not_run_away() {
    let nested = b"\x1c".repeat(10_000);
    let wide = [b"\x19\xf8\xff\xff\xff\xff\x0f".as_slice(), &[0; 64]].concat();
    let map = [b"\x1b\xff\xff\xff\xff\x0f\x88".as_slice(), &[0; 64]].concat();
    for footer in [nested, wide, map] {
        let length = u32::try_from(footer.len()).expect("short").to_le_bytes();
        let report = report(&[b"PAR1".as_slice(), &footer, &length, b"PAR1"].concat(), "data.parquet");
        assert_eq!(report.format, "parquet");
        assert!(report.issues.iter().any(|issue| issue.code == "malformed"), "{report:?}");
    }
}

#[test]
fn damage_is_survived() {
    let column: tables::Pairs<'_> = &[("ARROW:extension:name", b"arrow.uuid"), ("ARROW:extension:metadata", b"")];
    let schema = STANDARD.encode(tables::schema_message(column, &[]));
    survives(&tables::file(column, &[("notes", b"plain")], 0), "a.arrow");
    survives(&tables::stream(column, (0, 64), &[7; 64]), "a.arrows");
    survives(&tables::parquet(4, Some("part"), &[("ARROW:schema", schema.as_bytes())]), "a.parquet");
}
