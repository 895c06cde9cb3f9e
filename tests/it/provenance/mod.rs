//! Signatures of models, images and builds: what is verified, and what is not.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod certificates;
mod command;
mod files;
mod images;
mod maker;
mod mutations;
mod payloads;
mod policy;
mod properties;
mod reference;
mod signatures;
mod slsa;
mod upstream;

use lanner::provenance::Reason;
use maker::Scene;

/// Name, why it fails (`None`: it is verified), and what is done to a sound scene.
type Case = (&'static str, Option<Reason>, fn(&mut Scene));

/// Tries every case of a table, and tells of all that go wrong.
#[track_caller]
fn hold(cases: &[Case], base: fn() -> Scene) {
    let mut wrong = Vec::new();
    for (name, expected, edit) in cases {
        let mut scene = base();
        edit(&mut scene);
        let outcome = scene.verify();
        if outcome.reason != *expected || outcome.is_verified() != expected.is_none() {
            wrong.push(format!("{name}: {:?} instead of {expected:?}: {}", outcome.reason, outcome.detail));
        }
        // What fails by its signature tells nothing that the signature did not earn.
        if outcome.signer.is_none() && (outcome.root_digest.is_some() || !outcome.files.names.is_empty()) {
            wrong.push(format!("{name}: tells of what nobody signed"));
        }
    }
    let mut names: Vec<&str> = cases.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
