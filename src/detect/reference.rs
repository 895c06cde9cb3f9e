//! The language in tables, as `docs/rules.md` prints them.

use super::sigma::{correlation, modifier, timespan};

/// Modifiers, those that belong together in one row, and what they ask for.
pub const MODIFIERS: &[(&[&str], &str)] = &[
    (&["contains", "startswith", "endswith"], "a part of the value; wildcards inside work as everywhere"),
    (&["all"], "all values of the list, instead of any"),
    (&["cased"], "the same case"),
    (&["exists"], "`true` or `false`: whether the field is there, null or not"),
    (&["re"], "a regular expression found anywhere in the value, with case"),
    (
        &["i", "ignorecase", "m", "multiline", "s", "dotall"],
        "flags behind `re`: no case, `^` and `$` at each line, `.` over line breaks",
    ),
    (&["cidr"], "an address in a network; IPv4 inside IPv6 counts as IPv4"),
    (&["lt", "lte", "gt", "gte"], "numbers, compared exactly; texts that spell a number count"),
    (&["neq"], "a value, and none of these"),
    (&["fieldref"], "the value of another field; goes with `contains`, `startswith`, `endswith`, `cased`, `neq`"),
    (&["windash"], "any of the five characters that pass for the dash of an option"),
    (&["base64", "base64offset"], "the value encoded, whole or at each of three offsets"),
    (&["wide", "utf16le", "utf16be", "utf16"], "the value in UTF-16, as a rule before `base64…`"),
    (&["expand"], "`%name%` stands for each value of a named list"),
    (
        &["minute", "hour", "day", "week", "month", "year"],
        "that part of a time in UTC; goes with `lt`, `lte`, `gt`, `gte`, `neq`",
    ),
];

/// Types of correlation, and what is compared with the condition.
pub const CORRELATIONS: &[(&str, &str)] = &[
    ("event_count", "how many events matched"),
    ("value_count", "how many different values `field` had; of several fields, combinations"),
    ("temporal", "whether all rules matched, or what the condition says of them"),
    ("temporal_ordered", "the same, one after the other as `rules` lists them"),
    ("value_sum", "the sum of the numbers in `field`"),
    ("value_avg", "their mean"),
    ("value_percentile", "the number below which `percentile` per cent of them lie"),
    ("value_median", "the one in the middle"),
];

/// Every modifier that exists, whatever [`MODIFIERS`] says of it.
pub fn modifier_names() -> impl Iterator<Item = &'static str> {
    modifier::names()
}

/// Every type of correlation that exists.
pub fn correlation_names() -> impl Iterator<Item = &'static str> {
    correlation::KINDS.iter().map(|(name, _)| *name)
}

/// The operators of a correlation's condition.
pub fn operators() -> impl Iterator<Item = &'static str> {
    correlation::BOUNDS.iter().map(|(name, _)| *name)
}

/// Units of timespans and how many seconds they are.
pub const fn timespans() -> &'static [(&'static str, i64)] {
    timespan::UNITS
}
