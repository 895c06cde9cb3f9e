//! What lies beside what is read: comments and extra fields of archives, names in gzip; and files that vetted
//! classes would read.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::build::{self, pickle, zip};
use super::{ALARMING, list, report};

const SUSPICIOUS: &str = "artifact.metadata.suspicious";
const CALLS: &str = "artifact.pickle.dangerous_calls";
const PROGRAMS: &str = "artifact.embedded_executables";

/// An archive of one member with a comment at its end, and an extra field in front of the member.
fn archive(comment: &[u8], extra: &[u8]) -> Vec<u8> {
    let mut bytes = zip::archive(&[zip::member("a.txt", b"hello")]);
    let length = |part: &[u8]| u16::try_from(part.len()).expect("it is short").to_le_bytes();
    let end = bytes.len() - 22;
    bytes.splice(end + 20.., length(comment));
    bytes.extend(comment);
    let place = bytes.get(end + 16..end + 20).and_then(|place| place.try_into().ok()).map(u32::from_le_bytes);
    let moved = place.expect("there is a place") + u32::try_from(extra.len()).expect("it is short");
    bytes.splice(end + 16..end + 20, moved.to_le_bytes());
    bytes.splice(28..30, length(extra));
    bytes.splice(35..35, extra.iter().copied());
    bytes
}

fn field(id: u16, value: &[u8]) -> Vec<u8> {
    let size = u16::try_from(value.len()).expect("it is short");
    [&id.to_le_bytes(), &size.to_le_bytes(), value].concat()
}

#[test]
fn comments_and_extra_fields_of_archives_are_looked_at() {
    let bad = build::pickle_os_system();
    for hidden in [bad.clone(), STANDARD.encode(&bad).into_bytes()] {
        let comment = report(&archive(&hidden, b""), "a.zip");
        assert_eq!(list(&comment, CALLS), ["os.system"]);
        assert_eq!(list(&comment, SUSPICIOUS), ["zip_comment"]);
        let extra = report(&archive(b"", &field(0x4246, &hidden)), "a.zip");
        assert_eq!(list(&extra, CALLS), ["os.system"]);
        assert_eq!(list(&extra, SUSPICIOUS), ["zip_extra"]);
    }
    let script = report(&archive(b"#!/bin/sh\nexec /bin/sh\n", b""), "a.zip");
    assert_eq!(list(&script, PROGRAMS).len(), 1);
    let code = report(&archive(b"import os; os.system('echo lanner')", b""), "a.zip");
    assert_eq!(list(&code, SUSPICIOUS), ["zip_comment"]);
    let padding = field(0x4246, &[b'Z'; 60]);
    let times = field(0x5455, &[3, 0x11, 0x22, 0x33, 0x44, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0]);
    for quiet in [archive(b"Made with https://example.org/tool 3.1", &padding), archive(b"", &times), archive(b"", b"")]
    {
        let found = report(&quiet, "a.zip");
        assert_eq!(found.format, "zip");
        assert!(ALARMING.iter().all(|path| !found.facts.contains_key(*path)), "{:?}", found.facts);
    }
}

#[test]
fn names_and_comments_in_gzip_are_looked_at() {
    let made = |builder: flate2::GzBuilder| {
        let mut encoder = builder.write(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"a,b\n1,2\n").expect("memory takes it");
        encoder.finish().expect("memory takes it")
    };
    let text = STANDARD.encode(build::pickle_os_system());
    let new = flate2::GzBuilder::new;
    let extra = [b"LN".as_slice(), &[0, 0], &build::pickle_os_system()].concat();
    for (bytes, key) in [
        (made(new().comment(text.as_bytes())), "gzip_comment"),
        (made(new().filename(text.as_bytes()).comment("x")), "gzip_name"),
        (made(new().extra(extra).filename("x")), "gzip_extra"),
    ] {
        let found = report(&bytes, "a.csv.gz");
        assert_eq!(list(&found, CALLS), ["os.system"], "{key}");
        assert_eq!(list(&found, SUSPICIOUS), [key]);
    }
    let climbs = report(&made(new().filename("../../.ssh/authorized_keys")), "a.csv.gz");
    assert_eq!(list(&climbs, "artifact.container.escapes"), ["../../.ssh/authorized_keys"]);
    let quiet =
        report(&made(new().filename("a.csv").comment("weekly export").extra(b"AB\x02\0xy".to_vec())), "a.csv.gz");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
}

#[test]
fn vetted_classes_are_given_no_files_to_read() {
    let arguments = "artifact.pickle.suspicious_arguments";
    let booster = [b"NN".to_vec(), pickle::text("/srv/other/model.txt"), b"\x87R".to_vec()].concat();
    let zone =
        |file: &[u8]| [file.to_vec(), pickle::text("/usr/share/zoneinfo/Europe/Berlin"), b"\x86R".to_vec()].concat();
    for (module, name, call) in [
        ("lightgbm.basic", "Booster", booster.clone()),
        ("xgboost.core", "Booster", booster),
        ("xgboost.core", "DMatrix", [pickle::text("/srv/other/data.txt"), b"\x85R".to_vec()].concat()),
        ("dateutil.tz.tz", "tzfile", zone(&pickle::text("/srv/other/zone"))),
        ("dateutil.tz.tz", "gettz", [pickle::text("/etc/hostname"), b"\x85R".to_vec()].concat()),
    ] {
        let bytes = pickle::whole(4, &[&pickle::stack_global(module, name), &call]);
        let found = list(&report(&bytes, "a.pkl"), arguments);
        assert!(found.len() == 1 && found.iter().all(|text| text.starts_with('/')), "{module}.{name}: {found:?}");
    }
    for (module, name, call) in [
        ("dateutil.tz.tz", "tzfile", zone(b"N")),
        ("dateutil.tz.tz", "gettz", [pickle::text("Europe/Berlin"), b"\x85R".to_vec()].concat()),
        ("lightgbm.basic", "Booster", b")\x81".to_vec()),
    ] {
        let found = report(&pickle::whole(4, &[&pickle::stack_global(module, name), &call]), "a.pkl");
        assert!(ALARMING.iter().all(|path| !found.facts.contains_key(*path)), "{module}.{name}: {:?}", found.facts);
    }
}
