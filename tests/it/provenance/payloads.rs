//! What is signed: statements that contradict themselves, names that climb, lists that hide.

use lanner::event::Sha256;
use lanner::provenance::Reason;
use serde_json::{Value, json};

use super::maker::{self, Scene, files, statement};
use super::{Case, hold};

const SOUND: &[Case] = &[
    ("blake2b", None, |s| s.hashed("blake2b", None)),
    ("blake3", None, |s| s.hashed("blake3", None)),
    ("shards", None, |s| s.hashed("sha256", Some(1000))),
    ("shards of blake3", None, |s| s.hashed("blake3", Some(512))),
    ("shards of one byte", None, |s| {
        s.content = files(&[("a", b"xyz")]);
        s.hashed("sha256", Some(1));
    }),
    ("shards of a size without a point", None, |s| {
        s.hashed("sha256", Some(1000));
        s.serialization()["shard_size"] = json!(1000);
    }),
    ("shards of files with colons", None, |s| {
        s.content = files(&[("a:1:2", &[1; 1500]), ("b", b"1")]);
        s.hashed("sha256", Some(1000));
    }),
    ("a later minor version", None, |s| s.statement["predicateType"] = json!("https://model_signing/signature/v1.7")),
    ("members that nobody knows", None, |s| s.statement["predicate"]["card"] = json!({ "author": "x" })),
    ("ordered by the parts of names", None, |s| {
        s.content = files(&[("a/b", b"1"), ("a.b", b"2"), ("a-b/c", b"3")]);
        s.statement = statement(&s.content, "sha256");
    }),
    ("ordered by the bytes of names", None, |s| {
        s.content = files(&[("a/b", b"1"), ("a.b", b"2"), ("a-b/c", b"3")]);
        s.statement = statement(&s.content, "sha256");
        s.resources().sort_by_key(|one| one["name"].as_str().unwrap().to_owned());
        s.root_again();
    }),
    ("digests in capitals", None, |s| {
        for one in s.resources() {
            one["digest"] = json!(one["digest"].as_str().unwrap().to_uppercase());
        }
    }),
    ("names in other scripts", None, |s| {
        s.content = files(&[("мо дель.bin", b"1"), ("模型/权重", b"2")]);
        s.statement = statement(&s.content, "sha256");
    }),
    ("the subject that is expected", None, |s| {
        s.expected = s.statement["subject"][0]["digest"]["sha256"].as_str().unwrap().parse().ok();
    }),
    ("names left out, in any order", None, |s| s.ignored(&[".github", "model.sig", ".git", "notes/drafts"])),
    ("an empty file", None, |s| {
        s.content = files(&[("__init__.py", b""), ("a", b"1")]);
        s.statement = statement(&s.content, "sha256");
    }),
];

const DIGESTS: &[Case] = &[
    ("md5", Some(Reason::BadStatement), |s| s.resources()[0]["algorithm"] = json!("md5")),
    ("sha1 for all", Some(Reason::BadStatement), |s| {
        s.serialization()["hash_type"] = json!("sha1");
        s.resources().iter_mut().for_each(|one| one["algorithm"] = json!("sha1"));
    }),
    ("two algorithms", Some(Reason::BadStatement), |s| s.resources()[1]["algorithm"] = json!("blake3")),
    ("one that is not the announced one", Some(Reason::BadStatement), |s| {
        s.serialization()["hash_type"] = json!("blake3");
    }),
    ("cut", Some(Reason::BadStatement), |s| {
        let cut: String = s.resources()[0]["digest"].as_str().unwrap().chars().take(32).collect();
        s.resources()[0]["digest"] = json!(cut);
        s.root_again();
    }),
    ("empty digest", Some(Reason::BadStatement), |s| {
        s.resources()[0]["digest"] = json!("");
        s.root_again();
    }),
    ("no hexadecimal", Some(Reason::BadStatement), |s| s.resources()[0]["digest"] = json!("zz".repeat(32))),
    ("longer", Some(Reason::BadStatement), |s| {
        let more = format!("{}00", s.resources()[0]["digest"].as_str().unwrap());
        s.resources()[0]["digest"] = json!(more);
        s.root_again();
    }),
    ("root of other files", Some(Reason::BadStatement), |s| {
        s.statement["subject"][0]["digest"]["sha256"] = json!("00".repeat(32));
    }),
    ("root by another algorithm only", Some(Reason::BadStatement), |s| {
        s.statement["subject"][0]["digest"] = json!({ "sha512": "00".repeat(64) });
    }),
    ("another subject than expected", Some(Reason::SubjectMismatch), |s| s.expected = Some(Sha256::of(b"other"))),
];

const SHARDS: &[Case] = &[
    ("without a size", Some(Reason::BadStatement), |s| {
        drop(s.serialization().as_object_mut().unwrap().remove("shard_size"));
    }),
    ("of size 0", Some(Reason::BadStatement), |s| s.serialization()["shard_size"] = json!(0)),
    ("of half a byte more", Some(Reason::BadStatement), |s| s.serialization()["shard_size"] = json!(1000.5)),
    ("of less than nothing", Some(Reason::BadStatement), |s| s.serialization()["shard_size"] = json!(-1000)),
    ("of a size that is a text", Some(Reason::BadStatement), |s| s.serialization()["shard_size"] = json!("1000")),
    ("of immense size", Some(Reason::BadStatement), |s| s.serialization()["shard_size"] = json!(1e300)),
    ("of another size than announced", Some(Reason::BadStatement), |s| s.serialization()["shard_size"] = json!(500)),
    ("of another size in the algorithm", Some(Reason::BadStatement), |s| {
        s.resources()[0]["algorithm"] = json!("sha256-sharded-999");
    }),
    ("whole files with a size", Some(Reason::BadStatement), |s| s.serialization()["method"] = json!("files")),
    ("a method that nobody knows", Some(Reason::BadStatement), |s| s.serialization()["method"] = json!("tree")),
    ("a gap", Some(Reason::BadStatement), |s| {
        s.resources().retain(|one| one["name"] != "weights.bin:1000:2000");
        s.root_again();
    }),
    ("the last one is missing", Some(Reason::DigestMismatch), |s| {
        s.resources().retain(|one| one["name"] != "weights.bin:2000:2500");
        s.root_again();
    }),
    ("the first one is missing", Some(Reason::BadStatement), |s| {
        s.resources().retain(|one| one["name"] != "weights.bin:0:1000");
        s.root_again();
    }),
    ("overlapping", Some(Reason::BadStatement), |s| {
        let at = s.resources().iter().position(|one| one["name"] == "weights.bin:1000:2000").unwrap();
        s.resources()[at]["name"] = json!("weights.bin:999:2000");
    }),
    ("backwards", Some(Reason::BadStatement), |s| s.rename("config.json:8:0")),
    ("of nothing", Some(Reason::BadStatement), |s| s.rename("config.json:0:0")),
    ("without numbers", Some(Reason::BadStatement), |s| s.rename("config.json")),
    ("with a sign", Some(Reason::BadStatement), |s| s.rename("config.json:+0:8")),
    ("with zeros before", Some(Reason::BadStatement), |s| s.rename("config.json:0:08")),
    ("with a number that no computer counts to", Some(Reason::BadStatement), |s| {
        s.rename("config.json:0:99999999999999999999999999");
    }),
    ("ending behind the file", Some(Reason::DigestMismatch), |s| s.rename("config.json:0:9")),
    ("ending before the file", Some(Reason::DigestMismatch), |s| {
        s.content.files.insert("config.json".to_owned(), b"{\"a\": 1} ".to_vec());
    }),
    ("a file cut at a shard", Some(Reason::DigestMismatch), |s| {
        s.content.files.get_mut("weights.bin").unwrap().truncate(2000);
    }),
    ("a byte in the middle", Some(Reason::DigestMismatch), |s| {
        s.content.files.get_mut("weights.bin").unwrap()[1500] = 8;
    }),
    ("shards swapped", Some(Reason::BadStatement), |s| {
        s.resources().swap(2, 3);
        s.root_again();
    }),
    ("an empty file that no shard covers", Some(Reason::UnsignedFile), |s| {
        s.content.files.insert("__init__.py".to_owned(), Vec::new());
    }),
];

const STATEMENTS: &[Case] = &[
    ("version 0.1", Some(Reason::WrongPredicate), |s| {
        s.statement["_type"] = json!("https://in-toto.io/Statement/v0.1");
    }),
    ("no type", Some(Reason::BadStatement), |s| drop(s.statement.as_object_mut().unwrap().remove("_type"))),
    ("predicate of version 2", Some(Reason::WrongPredicate), |s| {
        s.statement["predicateType"] = json!("https://model_signing/signature/v2.0");
    }),
    ("predicate of version 1 without a minor", Some(Reason::WrongPredicate), |s| {
        s.statement["predicateType"] = json!("https://model_signing/signature/v1.");
    }),
    ("predicate of version 1.0 and something", Some(Reason::WrongPredicate), |s| {
        s.statement["predicateType"] = json!("https://model_signing/signature/v1.0/evil");
    }),
    ("predicate of version 0.1", Some(Reason::LegacyPredicate), |s| {
        s.statement["predicateType"] = json!("https://model_signing/Digests/v0.1");
    }),
    ("predicate of version 0.1 with its encoding", Some(Reason::LegacyPredicate), |s| {
        s.statement["predicateType"] = json!("https://model_signing/Digests/v0.1");
        s.message = Some(<[u8]>::to_vec);
    }),
    ("provenance by the same signer", Some(Reason::WrongPredicate), |s| {
        s.statement["predicateType"] = json!("https://slsa.dev/provenance/v1");
    }),
    ("a verdict by the same signer", Some(Reason::WrongPredicate), |s| {
        s.statement["predicateType"] = json!("https://in-toto.io/attestation/test-result/v0.1");
    }),
    ("no subject", Some(Reason::BadStatement), |s| s.statement["subject"] = json!([])),
    ("two subjects", Some(Reason::BadStatement), |s| {
        let one = s.statement["subject"][0].clone();
        s.statement["subject"] = json!([one, one]);
    }),
    ("no files", Some(Reason::BadStatement), |s| {
        s.resources().clear();
        s.root_again();
    }),
    ("no serialization", Some(Reason::BadStatement), |s| {
        s.statement["predicate"].as_object_mut().unwrap().remove("serialization");
    }),
    ("files in a map", Some(Reason::BadStatement), |s| s.statement["predicate"]["resources"] = json!({ "a": "b" })),
    ("links allowed by a text", Some(Reason::BadStatement), |s| s.serialization()["allow_symlinks"] = json!("false")),
    ("out of order", Some(Reason::BadStatement), |s| {
        s.resources().reverse();
        s.root_again();
    }),
    ("a file twice", Some(Reason::BadStatement), |s| {
        let one = s.resources()[0].clone();
        s.resources().insert(1, one);
        s.root_again();
    }),
    ("a file twice with two digests", Some(Reason::BadStatement), |s| {
        let mut one = s.resources()[0].clone();
        one["digest"] = json!("00".repeat(32));
        s.resources().insert(0, one);
        s.root_again();
    }),
    ("no JSON", Some(Reason::BadStatement), |s| s.payload = Some(b"model".to_vec())),
    ("a list", Some(Reason::BadStatement), |s| s.payload = Some(b"[]".to_vec())),
    ("deep", Some(Reason::BadStatement), |s| {
        s.payload = Some(["[".repeat(200_000), "]".repeat(200_000)].concat().into_bytes());
    }),
    ("files twice", Some(Reason::BadStatement), |s| twice(s, "\"resources\":", "\"resources\": [],")),
    ("subject twice", Some(Reason::BadStatement), |s| twice(s, "\"subject\":", "\"subject\": [],")),
    ("predicate twice", Some(Reason::BadStatement), |s| twice(s, "\"predicate\":", "\"predicate\": {},")),
    ("type of the predicate twice", Some(Reason::BadStatement), |s| {
        twice(s, "\"predicateType\":", "\"predicateType\": \"https://slsa.dev/provenance/v1\",");
    }),
    ("root twice", Some(Reason::BadStatement), |s| twice(s, "\"sha256\":", "\"sha256\": \"00\",")),
    ("digest of a file twice", Some(Reason::BadStatement), |s| {
        twice(s, "\"algorithm\":", "\"algorithm\": \"sha256\",");
    }),
    ("left out twice", Some(Reason::BadStatement), |s| twice(s, "\"method\":", "\"method\": \"files\",")),
    ("deep in what nobody knows", Some(Reason::BadStatement), |s| {
        twice(s, "\"predicate\":", &format!("\"x\": {}{},", "[".repeat(200_000), "]".repeat(200_000)));
    }),
    ("what nobody knows twice", Some(Reason::BadStatement), |s| twice(s, "\"predicate\":", "\"x\": 1, \"x\": 2,")),
    ("half a character", Some(Reason::BadStatement), |s| {
        let text = String::from_utf8(s.signed_payload()).unwrap();
        s.payload = Some(text.replace("config.json", "config\\ud800.json").into_bytes());
    }),
    ("not in UTF-8", Some(Reason::BadStatement), |s| {
        let text = s.signed_payload();
        s.payload = Some(text.iter().map(|byte| if *byte == b'm' { 0xff } else { *byte }).collect());
    }),
    ("something behind it", Some(Reason::BadStatement), |s| {
        s.payload = Some([s.signed_payload(), b"{}".to_vec()].concat());
    }),
];

/// Writes a member before the first of that name.
fn twice(scene: &mut Scene, member: &str, more: &str) {
    let text = String::from_utf8(scene.signed_payload()).unwrap();
    let changed = text.replacen(member, &format!("{more}{member}"), 1);
    assert_ne!(changed, text, "{member} is there");
    scene.payload = Some(changed.into_bytes());
}

/// Names that a model cannot have.
const NAMES: [&str; 15] = [
    "../config.json",
    "/etc/passwd",
    "a/../../b",
    "sub/..",
    "a//b",
    "./a",
    "a/./b",
    "a/",
    "/",
    "",
    "..",
    "a\0b",
    "//",
    ".",
    "a/.",
];

#[test]
fn names_that_climb_or_can_be_written_otherwise_are_refused() {
    for name in NAMES {
        let mut scene = Scene::key();
        scene.content = files(&[("a", b"1")]);
        scene.statement = statement(&scene.content, "sha256");
        scene.rename(name);
        let outcome = scene.verify();
        // A single file is called so in its own signature.
        let expected = if name == "." { Reason::SubjectMismatch } else { Reason::BadStatement };
        assert_eq!(outcome.reason, Some(expected), "{name:?}: {}", outcome.detail);
        let mut scene = Scene::key();
        scene.content = files(&[("a", b"1")]);
        scene.hashed("sha256", Some(10));
        scene.rename(&format!("{name}:0:1"));
        assert_eq!(scene.verify().reason, Some(expected), "{name:?} in shards");
    }
    let mut scene = Scene::key();
    scene.rename(&"a/".repeat(3000));
    assert_eq!(scene.verify().reason, Some(Reason::BadStatement));
}

/// What a signer, or whoever verifies, may not leave out.
const LEFT_OUT: [&str; 17] = [
    ".",
    "",
    "..",
    "../x",
    "/",
    "/etc",
    "a/../b",
    "./notes",
    "notes/",
    "*",
    "*.txt",
    "no?es",
    "[a-z]",
    "{a,b}",
    "config.json",
    "sub",
    "config.json/x",
];

#[test]
fn what_hides_too_much_is_refused() {
    for entry in LEFT_OUT {
        let mut by_signer = Scene::key();
        by_signer.ignored(&[entry]);
        assert_eq!(by_signer.verify().reason, Some(Reason::BadIgnore), "{entry:?} by the signer");
        let mut by_us = Scene::key();
        by_us.allowed.ignore = vec![entry.to_owned()];
        assert_eq!(by_us.verify().reason, Some(Reason::BadIgnore), "{entry:?} by whoever verifies");
    }
    let mut many = Scene::key();
    let names: Vec<String> = (0..2000).map(|number| format!("n{number}")).collect();
    many.serialization()["ignore_paths"] = json!(names);
    assert_eq!(many.verify().reason, Some(Reason::BadStatement));
}

#[test]
fn sound_statements_are_verified() {
    hold(SOUND, Scene::key);
}

#[test]
fn digests_that_do_not_fit_are_refused() {
    hold(DIGESTS, Scene::key);
}

#[test]
fn shards_cover_a_file_without_a_gap() {
    hold(SHARDS, || {
        let mut scene = Scene::key();
        scene.hashed("sha256", Some(1000));
        scene
    });
}

#[test]
fn statements_that_contradict_themselves_are_refused() {
    hold(STATEMENTS, Scene::key);
}

#[test]
fn a_single_file_has_a_signature_of_its_own() {
    let single = |resource: &str| {
        let mut scene = Scene::key();
        scene.content = maker::Memory { single: Some("weights.bin".to_owned()), ..files(&[(".", b"weights")]) };
        scene.statement = statement(&scene.content, "sha256");
        scene.rename(resource);
        scene
    };
    assert_eq!(single(".").verify().reason, None);
    assert_eq!(single("weights.bin").verify().reason, None);
    assert_eq!(single("other.bin").verify().reason, Some(Reason::SubjectMismatch));
    assert_eq!(single("sub/weights.bin").verify().reason, Some(Reason::SubjectMismatch));
    let mut sharded = single(".");
    sharded.hashed("sha256", Some(3));
    assert_eq!(sharded.verify().reason, None);
    let mut changed = single(".");
    changed.content.files.insert(".".to_owned(), b"weightz".to_vec());
    let outcome = changed.verify();
    assert_eq!((outcome.reason, outcome.files.names), (Some(Reason::DigestMismatch), vec![".".to_owned()]));
    // The signature of a folder says nothing about one of its files, and the other way round.
    let mut folder = Scene::key();
    folder.content = single(".").content;
    assert_eq!(folder.verify().reason, Some(Reason::SubjectMismatch));
    let mut of_single = single(".");
    of_single.content = Scene::key().content;
    assert_eq!(of_single.verify().reason, Some(Reason::SubjectMismatch));
}

#[test]
fn the_root_is_the_identity_whatever_the_signature() {
    let one = Scene::key().verify();
    let mut other = Scene::key();
    other.by("key-p521");
    let other = other.verify();
    assert_eq!(one.root_digest, other.root_digest);
    assert_ne!(one.signer, other.signer);
    let expected = Scene::key().statement["subject"][0]["digest"]["sha256"].clone();
    assert_eq!(Value::String(one.root_digest.unwrap().to_string()), expected);
}
