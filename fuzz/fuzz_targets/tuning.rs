//! Any text as overrides, as a list of values and as a filter: nothing but what was asked changes.

#![no_main]

use lanner::detect::{Loader, Schema, Source, Values};
use libfuzzer_sys::{arbitrary::{self, Arbitrary}, fuzz_target};

const RULES: &str = "
title: One
id: 00000000-0000-4000-8000-000000000001
name: one
tags: [attack.execution]
logsource: {category: test}
detection: {s: {a|expand: '%list%'}, condition: s}
level: high
---
title: Two
id: 00000000-0000-4000-8000-000000000002
name: two
logsource: {category: test}
detection: {s: {a: x}, condition: s}
level: low
---
title: Often
id: 00000000-0000-4000-8000-000000000003
correlation: {type: event_count, rules: [one, two], group-by: [a], timespan: 1m, condition: {gte: 2}}
level: medium
";

#[derive(Debug, Arbitrary)]
struct Written<'t> {
    overrides: &'t str,
    lines: &'t str,
    yaml: &'t str,
    filter: &'t str,
}

fuzz_target!(|written: Written<'_>| {
    let mut values = Values::default();
    // The one that fails leaves no list behind.
    if values.insert_lines("list", written.lines).is_err() && values.insert_yaml("list", written.yaml).is_err() {
        assert!(values.get("list").is_none());
        values.insert_lines("list", "x").expect("one value is a list");
    }
    let loader = Loader { schema: Schema::open(), values };
    let rules = Source::new("rules.yml", RULES);
    let base = loader.load(std::slice::from_ref(&rules)).expect("the rules are sound");
    let whole = base.rules().len();
    if let Ok(filtered) = loader.load(&[rules, Source::new("filter.yml", written.filter)]) {
        assert!(filtered.rules().len() >= whole);
    }
    let now = "2026-01-02T03:04:05Z".parse().expect("it is a time");
    match base.overridden(&[Source::new("overrides.yml", written.overrides)], now) {
        Ok(set) => assert!(set.rules().len() <= whole),
        Err(found) => assert!(!found.is_empty()),
    }
});
