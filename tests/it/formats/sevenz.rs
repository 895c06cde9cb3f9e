//! 7z archives: their members are looked into, and what cannot be is told.

use super::build::{self, sevenz, zip};
use super::{ALARMING, list, report};

const CALLS: &str = "artifact.pickle.dangerous_calls";

#[test]
fn members_of_a_7z_are_looked_into() {
    let pickle = build::pickle_os_system();
    let torch = zip::archive(&zip::torch(&pickle));
    for (name, bytes) in [("x/a.pkl", &pickle), ("data.bin", &pickle), ("model.pt", &torch)] {
        let report = report(&sevenz::archive(&[("readme.md", b"# x", 0), (name, bytes, 0)]), "model.7z");
        assert_eq!(report.format, "7z");
        assert_eq!(list(&report, CALLS), ["os.system"], "{name}: {:?}", report.issues);
        assert_eq!(
            list(&report, "artifact.members").get(..2),
            Some(["readme.md".to_owned(), name.to_owned()].as_slice())
        );
    }
    let renamed = report(&sevenz::archive(&[("data.pkl", &pickle, 0)]), "model.pt");
    assert_eq!(list(&renamed, CALLS), ["os.system"]);
    assert_eq!(list(&renamed, "artifact.container.anomalies"), ["unexpected_container"]);
    let quiet = report(&sevenz::archive(&[("a.pkl", &build::pickle_benign(), 0), ("b.txt", b"words", 0)]), "model.7z");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
    assert!(quiet.issues.is_empty(), "{:?}", quiet.issues);
}

#[test]
fn members_of_a_7z_stay_inside() {
    let escapes = |name: &str, bytes: &[u8], attributes: u32| {
        list(&report(&sevenz::archive(&[(name, bytes, attributes)]), "a.7z"), "artifact.container.escapes")
    };
    assert_eq!(escapes("../../x", b"x", 0), ["../../x"]);
    assert_eq!(escapes("/etc/x", b"x", 0), ["/etc/x"]);
    let link = 0x8000 | 0o120_777 << 16;
    assert_eq!(escapes("a/link", b"../../x", link), ["a/link -> ../../x"]);
    assert!(escapes("a/link", b"../x", link).is_empty() && escapes("a/b", b"../../x", 0).is_empty());
}

#[test]
fn what_a_7z_hides_is_told() {
    let encrypted = sevenz::coded(&[("a.pkl", b"secret", 0)], b"\x24\x06\xf1\x07\x01\x02\x13\x00", &[0; 16]);
    let report = report(&encrypted, "a.7z");
    assert_eq!(list(&report, "artifact.container.anomalies"), ["encrypted"], "{:?}", report.issues);
    assert!(report.issues.iter().any(|issue| issue.code == "not_inspected"));
}

#[test]
fn a_member_longer_than_an_item_is_looked_at_from_its_beginning() {
    let mut members = zip::torch(&build::pickle_os_system());
    members.push(zip::member("archive/data/1", &vec![0; 17 << 20]));
    let hostile = report(&sevenz::archive(&[("model.pt", &zip::archive(&members), 0)]), "a.7z");
    assert_eq!(list(&hostile, CALLS), ["os.system"]);
    let mut members = zip::torch(&build::pickle_benign());
    members.push(zip::member("archive/data/1", &vec![0; 17 << 20]));
    let quiet = report(&sevenz::archive(&[("model.pt", &zip::archive(&members), 0)]), "a.7z");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
    assert!(quiet.issues.iter().any(|issue| issue.code == "budget_exceeded"));
}

#[test]
fn a_7z_that_is_cut_or_flipped_is_survived_and_told() {
    let whole = sevenz::archive(&[("a.pkl", &build::pickle_os_system(), 0), ("b", b"x", 0)]);
    for end in 6..whole.len() {
        let report = report(whole.get(..end).expect("within"), "a.7z");
        assert!(!report.issues.is_empty(), "{end}: {:?}", report.facts);
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            report(&flipped, "a.7z");
        }
    }
}
