//! The corpus: malicious files of every class of attack, benign ones of real libraries, scored as users scan.
//!
//! `LANNER_CORPUS_PEERS=1` (or names of some) has other scanners look at the same files in the same run, and `LANNER_CORPUS_WRITE=1`
//! writes what was measured to `docs/corpus.md`.

mod score;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use score::{Sample, Scores, Verdict};

use crate::support;

/// Fewest samples for the shares to mean anything.
const MALICIOUS_MIN: usize = 900;
/// Of 1,000 malicious files, those that must be high.
const HIGH_MIN: usize = 980;
/// Of 1,000 benign files, those that may be high, and those that may have a finding at all.
const FALSE_HIGH_MAX: usize = 2;
const FALSE_ANY_MAX: usize = 20;
/// Other scanners, as `tests/corpus/peers.py` knows them.
const PEERS: [&str; 5] = ["picklescan", "modelscan", "fickling", "modelaudit", "hayward"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn wanted(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// The other scanners that are asked for: `1` for all of them, else their names.
fn chosen() -> Vec<&'static str> {
    let asked = std::env::var("LANNER_CORPUS_PEERS").unwrap_or_default();
    PEERS.into_iter().filter(|peer| asked == "1" || asked.split(',').any(|name| name == *peer)).collect()
}

/// Runs a generator; the folder that it wrote.
fn generate(script: &str, out: &Path) {
    let status = Command::new(support::python())
        .arg(root().join(script))
        .arg(out)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status()
        .expect("Python can be run");
    assert!(status.success(), "{script} could not write its files");
}

/// The benign half: with a manifest if there is its generator, else all that the benign test writes.
fn benign(out: &Path) -> Vec<Sample> {
    let own = "tests/corpus/benign.py";
    let script = if root().join(own).exists() { own } else { "tests/peers/benign.py" };
    generate(script, out);
    if out.join("manifest.jsonl").exists() {
        return score::manifest(out);
    }
    let files = walkdir::WalkDir::new(out).sort_by_file_name().into_iter().filter_map(Result::ok);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| Sample {
            path: entry.path().strip_prefix(out).unwrap_or(entry.path()).to_string_lossy().into_owned(),
            label: "benign".to_owned(),
            class: "benign".to_owned(),
            format: "benign".to_owned(),
            why: String::new(),
        })
        .collect()
}

/// What other scanners say of the same files: their names, and their scores in the order of the samples.
fn peers(folders: &[PathBuf], out: &Path) -> Vec<(String, Scores)> {
    let python = support::peers().join("scanners/bin/python");
    assert!(python.exists(), "{} is missing: run `tests/corpus/setup.sh`", python.display());
    let mut scored = Vec::new();
    for peer in chosen() {
        let results = out.join(format!("{peer}.json"));
        let status = Command::new(&python)
            .arg(root().join("tests/corpus/peers.py"))
            .arg(peer)
            .arg(&results)
            .args(folders)
            .status()
            .expect("Python can be run");
        assert!(status.success(), "{peer} could not be scored");
        scored.push((peer.to_owned(), score::of_peer(&results)));
    }
    scored
}

#[test]
fn the_corpus_is_told_from_what_real_libraries_write() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (bad, good) = (folder.path().join("malicious"), folder.path().join("benign"));
    for each in [&bad, &good] {
        std::fs::create_dir(each).expect("the folder can be made");
    }
    generate("tests/corpus/make.py", &bad);
    let malicious = score::manifest(&bad);
    let harmless = benign(&good);

    let ours = score::of_lanner(&[(&bad, &malicious), (&good, &harmless)]);
    let mut scores = vec![("lanner".to_owned(), ours)];
    if !chosen().is_empty() {
        score::write_manifest(&good, &harmless);
        scores.extend(peers(&[bad.clone(), good.clone()], folder.path()));
    }
    let samples: Vec<(PathBuf, &Sample)> = malicious
        .iter()
        .map(|sample| (bad.join(&sample.path), sample))
        .chain(harmless.iter().map(|sample| (good.join(&sample.path), sample)))
        .collect();
    let left_out: Vec<&str> = PEERS.into_iter().filter(|peer| !chosen().contains(peer)).collect();
    let written = table::write(&samples, &scores, &left_out);
    println!("{written}");
    let lanner = &scores.first().expect("ours was scored").1;
    for (path, sample) in &samples {
        let verdict = lanner.of(path);
        let missed = sample.label == "malicious" && verdict != Verdict::High;
        let wrong = sample.label == "benign" && verdict != Verdict::Nothing;
        if missed || wrong {
            println!("{} {verdict:?}: {}: {}", if missed { "missed" } else { "false" }, sample.path, sample.why);
        }
    }

    let count = |label: &str, least: Verdict| {
        let of = samples.iter().filter(|(_, sample)| sample.label == label);
        (of.clone().filter(|(path, _)| lanner.of(path) >= least).count(), of.count())
    };
    let docs = root().join("docs/corpus.md");
    if wanted("LANNER_CORPUS_WRITE") {
        std::fs::write(&docs, &written).expect("the docs can be written");
    } else {
        let stands = std::fs::read_to_string(&docs).expect("docs/corpus.md is there");
        let wrong = table::differences(&stands, &written);
        assert!(wrong.is_empty(), "docs/corpus.md is not what was measured; `make corpus` writes it:\n{wrong}");
    }
    let (high, all) = count("malicious", Verdict::High);
    assert!(all >= MALICIOUS_MIN, "only {all} malicious files");
    assert!(high * 1000 >= all * HIGH_MIN, "{high} of {all} malicious files are high");
    let (false_high, all) = count("benign", Verdict::High);
    assert!(false_high * 1000 <= all * FALSE_HIGH_MAX, "{false_high} of {all} benign files are high");
    let (false_any, all) = count("benign", Verdict::Any);
    assert!(false_any * 1000 <= all * FALSE_ANY_MAX, "{false_any} of {all} benign files have findings");
}
