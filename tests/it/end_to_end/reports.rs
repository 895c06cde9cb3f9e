//! Statuses, exit codes, and reports for other programs: JSON, SARIF and `JUnit`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::Value;

use super::calls_os_system;
use crate::support::program::{lanner, lanner_in, stderr, stdout};
use crate::support::run_python;

const GOOD: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.";

fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    std::fs::write(root.join("bad.pkl"), calls_os_system("x")).expect("there is space");
    std::fs::write(root.join("cut.pkl"), b"\x80\x02}q\x00X\x01\x00\x00").expect("there is space");
    std::fs::write(root.join("good.pkl"), GOOD).expect("there is space");
    std::fs::write(root.join("noise.bin"), [0x97, 0x13, 0xfe, 0x01].repeat(64)).expect("there is space");
    std::os::unix::fs::symlink("gone", root.join("dangling")).expect("it can be made");
    directory
}

#[test]
fn every_file_has_a_status_and_a_reason() {
    let directory = tree();
    let output = lanner_in(directory.path(), &["scan", "--format", "json", ".", "--exclude", "good.*"]);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let told: Vec<(&str, &str, bool)> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            (text("path"), text("status"), line["reason"].is_string())
        })
        .collect();
    let expected = [
        ("bad.pkl", "findings", false),
        ("cut.pkl", "incomplete", true),
        ("dangling", "unreadable", true),
        ("good.pkl", "skipped", true),
        ("noise.bin", "not_understood", true),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_text_says_each_issue_in_the_word_of_its_status() {
    let directory = tree();
    let output = lanner_in(directory.path(), &["scan", "."]);
    let text = stdout(&output);
    let under = |path: &str| {
        let lines = text.lines().skip_while(|line| !line.contains(path)).skip(1);
        lines.take_while(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n")
    };
    for (path, word) in [("cut.pkl", "incomplete: "), ("dangling", "unreadable: "), ("noise.bin", "not understood: ")] {
        let told = under(path);
        assert!(told.trim_start().starts_with(word), "{path}: {told}\n{text}");
    }
}

#[test]
fn a_checkout_without_its_models_is_not_clean() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    let digest = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 12345\n");
    std::fs::write(root.join("model.safetensors"), &text).expect("there is space");
    std::fs::write(root.join("notes.txt"), format!("They begin so:\n{text}")).expect("there is space");
    let output = lanner_in(root, &["scan", ".", "--fail-on", "critical", "--fail-on-incomplete"]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    assert!(stdout(&output).contains("pointer of Git LFS"), "{}", stdout(&output));
    assert_eq!(lanner_in(root, &["scan", "notes.txt", "--fail-on-incomplete"]).status.code(), Some(0));
}

#[test]
fn progress_is_drawn_on_a_terminal_and_nowhere_else() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for number in 0..300 {
        std::fs::write(directory.path().join(format!("{number}.pkl")), GOOD).expect("there is space");
    }
    let program = "import sys, os, pty, fcntl, termios, struct, subprocess, threading\n\
        ours, theirs = pty.openpty()\n\
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))\n\
        child = subprocess.Popen([sys.argv[1], 'scan', sys.argv[2]], stdout=subprocess.PIPE, stderr=theirs)\n\
        os.close(theirs)\n\
        seen = b''\n\
        while True:\n\
        \x20   try: more = os.read(ours, 65536)\n\
        \x20   except OSError: break\n\
        \x20   if not more: break\n\
        \x20   seen += more\n\
        print(child.stdout.read().decode().strip(), b'/300 files' in seen)";
    let path = directory.path().display().to_string();
    let said = run_python(program, &[crate::support::program::LANNER, &path]);
    assert!(said.trim().ends_with("without findings True"), "{said}");
    assert!(said.starts_with("300 files"), "the bar is no part of the output: {said}");
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let directory = tree();
    let root = directory.path();
    let code = |arguments: &[&str]| {
        let all: Vec<&str> = ["scan"].iter().chain(arguments).copied().collect();
        lanner_in(root, &all).status.code()
    };
    assert_eq!(code(&["good.pkl"]), Some(0));
    assert_eq!(code(&["good.pkl", "cut.pkl", "noise.bin"]), Some(0), "as before");
    for name in ["cut.pkl", "noise.bin"] {
        assert_eq!(code(&["good.pkl", name, "--fail-on-incomplete"]), Some(4), "{name}");
    }
    assert_eq!(code(&[".", "--exclude", "bad.pkl"]), Some(4), "what cannot be read was not found clean");
    assert_eq!(code(&["."]), Some(1), "findings come first");
    assert_eq!(code(&["bad.pkl", "cut.pkl", "--fail-on-incomplete"]), Some(1));
    assert_eq!(code(&["bad.pkl", "gone.pkl"]), Some(2));
    let help = stdout(&lanner(&["scan", "--help"]));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scanning.md")).expect("it is there");
    for code in 0..=4 {
        assert!(help.contains(&format!("\n  {code}  ")), "{help}");
        assert!(page.contains(&format!("\n| {code} | ")), "exit code {code} is not in docs/scanning.md");
    }
    for option in help.split_whitespace().filter(|word| word.starts_with("--")) {
        let option = option.trim_matches(|c: char| c != '-' && !c.is_ascii_lowercase());
        assert!(option == "--help" || page.contains(option), "`{option}` is not in docs/scanning.md");
    }
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let directory = tree();
    let root = directory.path();
    let run = |arguments: &[&str]| -> Value {
        let output = lanner_in(root, arguments);
        let log: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        log["runs"][0].clone()
    };
    std::fs::create_dir(root.join("a b")).expect("it is empty");
    std::fs::write(root.join("a b/ü:%.pkl"), calls_os_system("x")).expect("there is space");
    let whole = root.canonicalize().expect("it is there").display().to_string();
    let scan = run(&["scan", "--format", "sarif", "."]);
    let results = scan["results"].as_array().expect("a list");
    let place = |result: &Value| result["locations"][0]["physicalLocation"].clone();
    let of = |uri: &str| {
        let found = results.iter().filter(|result| place(result)["artifactLocation"]["uri"] == uri);
        let found: Vec<&Value> = found.filter(|result| result["ruleId"] == "SCN-002").collect();
        assert_eq!(found.len(), 1, "one result for one finding: {uri} in {results:#?}");
        found[0].clone()
    };
    let (first, second) = (of("bad.pkl"), of("a%20b/%C3%BC%3A%25.pkl"));
    assert_eq!(place(&first)["artifactLocation"]["uriBaseId"], "%SRCROOT%");
    assert_eq!(place(&first)["region"]["startLine"], 1);
    let print = |result: &Value| result["partialFingerprints"]["primaryLocationLineHash"].as_str().map(str::to_owned);
    assert!(print(&first).is_some_and(|print| print.ends_with(":1")));
    assert_ne!(print(&first), print(&second));
    assert!(first["suppressions"].is_null());
    for rule in scan["tool"]["driver"]["rules"].as_array().expect("a list") {
        assert!(rule["help"]["text"].is_string() && rule["properties"]["tags"][0] == "security", "{rule}");
        assert!(rule["properties"]["security-severity"].as_str().is_some_and(|score| score.parse::<f64>().is_ok()));
    }
    assert_eq!(scan["invocations"][0]["executionSuccessful"], false, "one could not be read");
    // The same from a whole path, and after a copy elsewhere.
    let again = run(&["scan", "--format", "sarif", &whole, "--exclude", "dangling"]);
    assert_eq!(again["invocations"][0]["executionSuccessful"], true);
    let uris: Vec<Value> = again["results"].as_array().expect("a list").iter().map(place).collect();
    assert!(uris.contains(&place(&first)), "{uris:?}");
    std::fs::write(root.join("bad.pkl"), calls_os_system("y")).expect("there is space");
    let changed = run(&["scan", "--format", "sarif", "bad.pkl"]);
    assert_ne!(print(&changed["results"][0]), print(&first), "other bytes are another finding");
}

#[test]
fn junit_is_xml_whatever_files_are_called() {
    let directory = tree();
    let root = directory.path();
    let names: [&[u8]; 4] =
        [b"<&>\"'.pkl", b"\x01\x08\x1b]]>\n.pkl", b"\xff\xfe.pkl", "\u{fffe}\u{1f600}.pkl".as_bytes()];
    for name in names {
        std::fs::write(root.join(OsStr::from_bytes(name)), calls_os_system("]]></failure>\x02&amp;"))
            .expect("there is space");
    }
    let output = lanner_in(root, &["scan", "--format", "junit", "."]);
    assert_eq!(output.status.code(), Some(1));
    std::fs::write(root.join("report.xml"), &output.stdout).expect("there is space");
    let program = "import sys, json, xml.etree.ElementTree as tree\n\
        root = tree.parse(sys.argv[1]).getroot()\n\
        suite = root.find('testsuite')\n\
        cases = [[case.get('name'), [child.tag for child in case]] for case in suite]\n\
        print(json.dumps([root.tag, suite.attrib, cases]))";
    let told: Value = serde_json::from_str(&run_python(program, &[&root.join("report.xml").display().to_string()]))
        .expect("it is JSON");
    assert_eq!(told[0], "testsuites");
    let sums = ["tests", "failures", "errors", "skipped"].map(|name| told[1][name].as_str().unwrap_or_default());
    assert_eq!(sums, ["9", "5", "1", "1"]);
    let cases = told[2].as_array().expect("a list");
    let of = |name: &str| cases.iter().find(|case| case[0] == name).map(|case| case[1].clone());
    assert_eq!(of("good.pkl"), Some(serde_json::json!([])));
    assert_eq!(of("dangling"), Some(serde_json::json!(["error"])));
    assert_eq!(of("noise.bin"), Some(serde_json::json!(["skipped"])));
    assert_eq!(of("cut.pkl"), Some(serde_json::json!(["system-out"])));
    assert!(of("<&>\"'.pkl").is_some_and(|children| children.to_string().contains("failure")), "{cases:?}");
    // Suppressed: no failure, but said.
    lanner_in(root, &["scan", "bad.pkl", "--write-baseline", "base.json"]);
    let text = stdout(&lanner_in(root, &["scan", "--format", "junit", "bad.pkl", "--baseline", "base.json"]));
    assert!(text.contains("failures=\"0\"") && text.contains("suppressed by base.json"), "{text}");
}
