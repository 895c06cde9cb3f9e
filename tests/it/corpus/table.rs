//! The tables that the test prints and that stand in `docs/corpus.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::score::{Sample, Scores, Verdict};

const HEAD: &str = "# Corpus

What `make corpus` measured: files that `tests/corpus` writes, scanned with the rules that come with the program,
and by other scanners in the same run (`tests/corpus/peers.py` says how). The generator of malicious files was
written before the inspectors were read, and its first score, before anything was mended, was 1,050 of 1,194 files
high (88 %); samples that were found to be wrong then were mended, labelled anew or left out. Files that a loader
would refuse, or that need something that does not come with them, are labelled suspicious and are counted apart.
**High** is critical or high, **any** is any finding.

Benign files here are what light libraries write. `make heavy` has PyTorch, TensorFlow, Keras, JAX, transformers and
others write some 400 more, and fails where one of them raises more than a low finding; those that do raise one bring
code along (`torch.package`, Keras' own classes). Of a few only the digest is known: OCDBT's data, ONNX's external
data, `fingerprint.pb`.
";

/// Files, and how many of them each scanner found: high, any.
#[derive(Default)]
struct Row {
    files: usize,
    found: Vec<(usize, usize)>,
}

fn rows<'s>(
    samples: &[(PathBuf, &'s Sample)],
    scores: &[(String, Scores)],
    label: &str,
    key: fn(&'s Sample) -> &'s str,
) -> BTreeMap<&'s str, Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for (path, sample) in samples.iter().filter(|(_, sample)| sample.label == label) {
        let row = rows.entry(key(sample)).or_default();
        row.files += 1;
        row.found.resize(scores.len(), (0, 0));
        for (found, (_, scores)) in row.found.iter_mut().zip(scores) {
            let verdict = scores.of(path);
            found.0 += usize::from(verdict == Verdict::High);
            found.1 += usize::from(verdict != Verdict::Nothing);
        }
    }
    rows
}

fn head(out: &mut String, first: &str, scores: &[(String, Scores)]) {
    write!(out, "\n| {first} | files |").expect("a string takes text");
    for (name, _) in scores {
        write!(out, " {name} |").expect("a string takes text");
    }
    write!(out, "\n| --- | --- |{}\n", " --- |".repeat(scores.len())).expect("a string takes text");
}

fn line(out: &mut String, name: &str, row: &Row) {
    write!(out, "| {name} | {} |", row.files).expect("a string takes text");
    for (high, any) in &row.found {
        if high == any {
            write!(out, " {high} |").expect("a string takes text");
        } else {
            write!(out, " {high} ({any}) |").expect("a string takes text");
        }
    }
    out.push('\n');
}

/// A table of malicious files by something of theirs.
fn part<'s>(
    out: &mut String,
    by: &str,
    samples: &[(PathBuf, &'s Sample)],
    scores: &[(String, Scores)],
    key: fn(&'s Sample) -> &'s str,
) {
    write!(out, "\n## Malicious files by {by}\n").expect("a string takes text");
    head(out, by, scores);
    for (name, row) in rows(samples, scores, "malicious", key) {
        line(out, name, &row);
    }
}

/// All tables.
pub fn write(samples: &[(PathBuf, &Sample)], scores: &[(String, Scores)], left_out: &[&str]) -> String {
    let mut out = HEAD.to_owned();
    if !left_out.is_empty() {
        writeln!(out, "\nNot asked in this run: {}.", left_out.join(", ")).expect("a string takes text");
    }
    out.push_str("\n## All\n\nHigh, and in parentheses any.\n");
    head(&mut out, "files that are", scores);
    for label in ["malicious", "suspicious", "benign"] {
        for row in rows(samples, scores, label, |_| "all").values() {
            line(&mut out, label, row);
        }
    }
    if scores.len() > 1 {
        out.push_str("\n| scanner | crashes | no answer | CPU s | peak MiB |\n| --- | --- | --- | --- | --- |\n");
        for (name, scores) in scores.iter().skip(1) {
            let (crashes, silent) = (scores.crashes, scores.unanswered.len());
            let (cpu, peak) = (scores.cpu_seconds.unwrap_or_default(), scores.peak_mib.unwrap_or_default());
            writeln!(out, "| {name} | {crashes} | {silent} | {cpu:.0} | {peak} |").expect("a string takes text");
        }
        out.push_str("\nCPU seconds hold the cost of a process for each file, except for modelaudit.\n");
    }
    for (name, scores) in scores.iter().filter(|(_, scores)| !scores.unanswered.is_empty()) {
        let files = samples.iter().filter(|(path, _)| scores.unanswered.contains(path));
        let files: Vec<String> = files.map(|(_, sample)| format!("`{}`", sample.path)).collect();
        writeln!(out, "\n{name} gave no answer in time to {}.", files.join(", ")).expect("a string takes text");
    }
    part(&mut out, "class", samples, scores, |sample| &sample.class);
    part(&mut out, "format", samples, scores, |sample| &sample.format);
    out
}

/// Rows of malicious files that stand otherwise in the docs: name, count and our own column.
pub fn differences(stands: &str, measured: &str) -> String {
    let cells = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| benign"));
        rows.map(|line| line.split('|').skip(1).take(3).map(str::trim).collect::<Vec<_>>().join(" | ")).collect()
    };
    let (stands, measured) = (cells(stands), cells(measured));
    let missing = measured.iter().filter(|row| !stands.contains(row));
    missing.fold(String::new(), |mut told, row| {
        writeln!(told, "measured: {row}").expect("a string takes text");
        told
    })
}
