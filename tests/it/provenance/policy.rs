//! What follows from an outcome: substitution, rollback, and how much it matters.

use std::path::{Path, PathBuf};

use lanner::provenance::policy::{Config, Enforcement, Judgement, Policy, RuleConfig, SignerConfig, judge};
use lanner::provenance::{Failure, Outcome, Reason};
use serde_json::json;

use super::maker::{Scene, file, text};

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn key(name: &str) -> SignerConfig {
    SignerConfig { public_key: Some(file(&format!("{name}.pub"))), ..SignerConfig::default() }
}

fn rule(glob: &str, subjects: &[String], enforcement: Enforcement) -> RuleConfig {
    RuleConfig {
        matches: vec![glob.to_owned()],
        enforcement,
        signers: vec![key("key-p256")],
        subjects: subjects.to_vec(),
        ..RuleConfig::default()
    }
}

fn root(outcome: &Outcome) -> String {
    outcome.root_digest.unwrap().to_string()
}

fn checked(config: &Config) -> Policy {
    config.check(&read).unwrap()
}

fn refused(judgement: &Judgement) -> Option<Reason> {
    match judgement {
        Judgement::Refused(failure) => Some(failure.reason),
        Judgement::NotAsked | Judgement::Fits | Judgement::Warned(_) => None,
    }
}

#[test]
fn a_valid_signature_of_another_model_is_a_substitution() {
    let own = Scene::key().verify();
    let mut scene = Scene::key();
    scene.content.files.insert("weights.bin".to_owned(), b"other".to_vec());
    scene.hashed("sha256", None);
    let other = scene.verify();
    assert!(own.is_verified() && other.is_verified());
    let config = Config {
        rules: vec![
            rule("/srv/models/fraud/**", &[root(&own)], Enforcement::Require),
            rule("/srv/models/churn/**", &[root(&other)], Enforcement::Require),
            rule("oci://registry.example.com/team/*", &[], Enforcement::Require),
        ],
        superseded: Vec::new(),
    };
    let policy = checked(&config);
    assert_eq!(judge(&policy, "/srv/models/fraud/1", &own), Judgement::Fits);
    assert_eq!(judge(&policy, "oci://registry.example.com/team/any", &other), Judgement::Fits);
    let swapped = judge(&policy, "/srv/models/fraud/1", &other);
    assert_eq!(refused(&swapped), Some(Reason::SubjectMismatch));
    let Judgement::Refused(Failure { detail, .. }) = swapped else { return };
    assert!(detail.contains("/srv/models/churn/**"), "whose it is: {detail}");
    assert_eq!(judge(&policy, "/srv/elsewhere/1", &other), Judgement::NotAsked);
    // One star does not reach over a slash.
    assert_eq!(judge(&policy, "oci://registry.example.com/team/deep/er", &other), Judgement::NotAsked);
}

#[test]
fn an_older_version_is_a_rollback() {
    let outcome = Scene::key().verify();
    let config =
        Config { rules: vec![rule("**", &[root(&outcome)], Enforcement::Require)], superseded: vec![root(&outcome)] };
    assert_eq!(refused(&judge(&checked(&config), "/m", &outcome)), Some(Reason::Superseded));
}

#[test]
fn enforcement_decides_how_much_it_matters() {
    let unsigned = Outcome::failed(Failure::new(Reason::Unsigned, "no signature"));
    let with = |enforcement| checked(&Config { rules: vec![rule("**", &[], enforcement)], ..Config::default() });
    assert_eq!(judge(&with(Enforcement::Off), "/m", &unsigned), Judgement::NotAsked);
    assert!(
        matches!(judge(&with(Enforcement::Warn), "/m", &unsigned), Judgement::Warned(one) if one.reason == Reason::Unsigned)
    );
    assert_eq!(refused(&judge(&with(Enforcement::Require), "/m", &unsigned)), Some(Reason::Unsigned));
    assert_eq!(RuleConfig::default().enforcement, Enforcement::Require, "strict unless it is said");
    // The first rule that fits counts.
    let both = vec![rule("/m/**", &[], Enforcement::Off), rule("**", &[], Enforcement::Require)];
    let policy = checked(&Config { rules: both, ..Config::default() });
    assert_eq!(judge(&policy, "/m/x", &unsigned), Judgement::NotAsked);
    assert_eq!(refused(&judge(&policy, "/n/x", &unsigned)), Some(Reason::Unsigned));
}

#[test]
fn whoever_signed_must_be_one_of_the_rule() {
    let policy = checked(&Config { rules: vec![rule("**", &[], Enforcement::Require)], ..Config::default() });
    let mut scene = Scene::key();
    scene.by("key-p384");
    let outcome = scene.verify();
    assert!(outcome.is_verified(), "with its own key");
    assert_eq!(refused(&judge(&policy, "/m", &outcome)), Some(Reason::IdentityMismatch));
    assert_eq!(refused(&judge(&policy, "/m", &Scene::certificate().verify())), Some(Reason::IdentityMismatch));
    let several =
        RuleConfig { signers: vec![key("key-p256"), key("key-p384")], ..rule("**", &[], Enforcement::Require) };
    let policy = checked(&Config { rules: vec![several], ..Config::default() });
    assert_eq!(judge(&policy, "/m", &outcome), Judgement::Fits);
    // The rule's own trust verifies, whichever signer it was.
    let rule = policy.rule("/m").unwrap();
    let now = scene.now.parse().unwrap();
    for key in ["key-p256", "key-p384"] {
        scene.by(key);
        let outcome = rule.verify(&scene.written(), None, &scene.content, now);
        assert_eq!(judge(&policy, "/m", &outcome), Judgement::Fits, "{key}");
    }
    scene.content.files.insert("evil.py".to_owned(), b"x".to_vec());
    let outcome = rule.verify(&scene.written(), None, &scene.content, now);
    assert_eq!(refused(&judge(&policy, "/m", &outcome)), Some(Reason::UnsignedFile));
    scene.by("key-attacker");
    let outcome = rule.verify(&scene.written(), None, &scene.content, now);
    assert_eq!(refused(&judge(&policy, "/m", &outcome)), Some(Reason::KeyMismatch));
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let signer = |edit: fn(&mut SignerConfig)| {
        let mut one = SignerConfig::default();
        edit(&mut one);
        one
    };
    let config = Config {
        rules: vec![
            RuleConfig::default(),
            RuleConfig {
                matches: vec!["[".to_owned()],
                signers: vec![
                    key("nowhere"),
                    signer(|one| one.identity = Some("a".to_owned())),
                    signer(|_| {}),
                    signer(|one| one.ca = vec![file("key-p256.pub")]),
                    signer(|one| one.public_key = Some(PathBuf::from("/dev/null"))),
                ],
                subjects: vec!["abc".to_owned()],
                ignore: vec!["*".to_owned()],
                ..RuleConfig::default()
            },
        ],
        superseded: vec!["x".to_owned()],
    };
    let problems = config.check(&read).unwrap_err();
    for place in [
        "`superseded`",
        "`rules[0].match`",
        "`rules[0].signers`",
        "`rules[1].match`",
        "`rules[1].signers[0]`",
        "`rules[1].signers[1]`",
        "`rules[1].signers[2]`",
        "`rules[1].signers[3]`",
        "`rules[1].signers[4]`",
        "`rules[1].subjects`",
        "`rules[1].ignore`",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(place)), "{place}: {problems:#?}");
    }
    assert_eq!(problems.len(), 11, "{problems:#?}");
    let written = json!({ "rules": [{ "match": ["**"], "signers": [{ "public_key": "a.pub", "pubic_key": "b" }] }] });
    assert!(serde_json::from_value::<Config>(written).unwrap_err().to_string().contains("pubic_key"));
    assert!(text("key-p256.pub").contains("BEGIN"));
    let schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
    assert!(schema.to_string().contains("superseded"));
}
