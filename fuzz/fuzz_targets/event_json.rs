//! Any text as an event: the program, the plain rules and the reader of JSON must agree.

#![no_main]

use std::sync::LazyLock;

use lanner::detect::{self, RuleSet, Schema, Source};
use lanner::event::json;
use libfuzzer_sys::fuzz_target;

/// Every modifier over a few short names, with texts that are soon found by chance.
static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let asked = [
        "a: x", "a: ''", "a: null", "a: 1", "a: true", "a: '*'", "a: 'x*y?z'", "a|contains: ab", "a|contains: abcd",
        "a|contains: 'longer text'", "a|startswith: ab", "a|endswith: ab", "a|startswith: abcdefgh", "a|cased: aB",
        "a|contains|cased: aBcDe", "a|contains|all: [ab, cd, efgh]", "a|exists: true", "b|exists: false", "a|re: 'a+b'",
        "a|re|i: 'hello\\s+wor'", "a|re: '^(foo|bar)\\d{2,4}$'", "a|cidr: 10.0.0.0/8", "a|cidr: 'fe80::/10'", "a|gt: 5",
        "a|lte: -0.5", "a|neq: 3", "a|base64: foobar", "a|base64offset|contains: foobar", "a|windash|contains: ' -enc'",
        "a|fieldref: b", "a|fieldref|contains: b", "a|fieldref|endswith: c.d", "c.d: x", "c.d|contains: abcd",
        "c.e.f|endswith: .exe", "x.y|exists: true", "a|utf16le|base64offset|contains: hey", "t|hour: 7", "t|day|gt: 5",
        "a: [x, 1, null, 'y*']", "a|contains: ['ſ', 'K', 'İ']", "a.b: 7", "a.b.c|exists: true",
    ];
    let mut rules: Vec<String> = asked
        .iter()
        .enumerate()
        .flat_map(|(number, item)| {
            ["s", "not s"].map(|condition| {
                format!(
                    "title: R{number} {condition}\nlogsource: {{category: test}}\ndetection:\n  s:\n    {item}\n  \
                     condition: {condition}\n"
                )
            })
        })
        .collect();
    rules.push("title: K\nlogsource: {category: test}\ndetection:\n  keywords: [abc, 7, 'x*y']\n  condition: keywords".to_owned());
    rules.push(
        "title: KA\nlogsource: {category: test}\ndetection:\n  keywords:\n    '|all': [abc, def]\n  condition: keywords"
            .to_owned(),
    );
    detect::load(&[Source::new("rules.yml", rules.join("\n---\n"))], &Schema::open())
        .unwrap_or_else(|found| panic!("{}", found.iter().map(ToString::to_string).collect::<String>()))
});

fuzz_target!(|text: &str| {
    let parsed = json::fields(text.as_bytes());
    let read = RULES.json_hits(text, None);
    match parsed {
        Ok(fields) => {
            let hits = RULES.open_hits(&fields);
            assert_eq!(hits, RULES.plain_hits(&fields), "a program differs from its rules");
            assert_eq!(hits, read.expect("what parses can be read"), "JSON is read differently");
        }
        // The reader passes over what no rule asks for: it may take what the parser refuses.
        Err(_) => drop(read),
    }
});
