//! Any text as a rule file: it loads or says why not, and what loads can be run, tested and explained.

#![no_main]

use lanner::detect::{self, Schema, Source};
use lanner::event::json;
use libfuzzer_sys::fuzz_target;

/// Events that look a little like what rules ask for.
const EVENTS: [&str; 3] = [
    r#"{"a": "abc", "b": ["x", 7, null, true], "c": {"d": "1.2.3.4"}, "time": "2026-01-02T03:04:05Z"}"#,
    r#"{"CommandLine": "cmd.exe /c whoami -enc aGk=", "Image": "C:\\Windows\\cmd.exe", "EventID": 1}"#,
    r#"{"log.line": "Traceback (most recent call last)", "ml.model.name": "churn", "artifact.size": 12}"#,
];

fuzz_target!(|text: &str| {
    for schema in [Schema::open(), Schema::declared(lanner::agent::rules::declared_fields())] {
        let sources = [Source::new("fuzzed.yml", text)];
        match detect::load(&sources, &schema) {
            Ok(set) => {
                set.test();
                for event in EVENTS {
                    let fields = json::fields(event.as_bytes()).expect("it is JSON");
                    let hits = set.open_hits(&fields);
                    assert_eq!(hits, set.plain_hits(&fields), "a program differs from its rules");
                    assert_eq!(hits, set.json_hits(event, None).expect("it is JSON"), "JSON is read differently");
                }
            }
            Err(found) => {
                assert!(!found.is_empty(), "refused without a reason");
                for diagnostic in found {
                    assert!(diagnostic.to_string().contains(diagnostic.code), "a diagnostic without its code");
                }
            }
        }
    }
});
