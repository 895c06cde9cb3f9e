//! Lines become the same facts straight from the text as by way of a tree, but for repeated keys.
//! Lines that have to be put right first become what they are put right to.

use lanner::event::{json, repair, value};
use proptest::prelude::*;

fn agrees(line: &[u8]) {
    let tree = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).ok();
    let mended = || repair::repaired(line).and_then(|(line, _)| tree(line.as_bytes()));
    let tree = tree(line).or_else(mended).filter(serde_json::Value::is_object);
    let shown = String::from_utf8_lossy(line);
    assert_eq!(json::fields(line).ok(), tree.map(value::from_json), "{}", shown.get(..200).unwrap_or(&shown));
}

#[test]
fn odd_lines_are_read_or_refused_alike() {
    for line in [
        r#"{"a": [1, -1, 0, -0, 1.0, -0.0, 1e3, 18446744073709551615, 18446744073709551616, -9223372036854775809]}"#,
        r#"{"a": 1e999}"#,
        r#"{"a": "\ud800"}"#,
        r#"{"a": "\ud83d\ude00 \u0000 \n"}"#,
        r#"{"a": null, "b": [], "c": {}, "": 1, "x.y": {"": [{}]}}"#,
        r#"{"a": 1} x"#,
        r#"{"a": 1,}"#,
        r#"{"a": 01}"#,
        "[1]",
        "1",
        "",
        "{",
    ] {
        agrees(line.as_bytes());
    }
    agrees(b"{\"a\": \"\xff\"}");
    for depth in [1, 100, 125, 126, 127, 128, 129, 100_000] {
        agrees(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).as_bytes());
        agrees(format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
    }
}

#[test]
fn nothing_hides_behind_a_key_that_is_written_again() {
    for (twice, once) in [
        (r#"{"a": 1, "a": 2}"#, r#"{"a": [1, 2]}"#),
        (r#"{"a": [1], "a": [], "a": "x", "a": [null, [2]]}"#, r#"{"a": [1, "x", null, [2]]}"#),
        (r#"{"b": {"c": 1}, "a": 0, "b": {"d": 2}}"#, r#"{"a": 0, "b": [{"c": 1}, {"d": 2}]}"#),
    ] {
        assert_eq!(json::fields(twice.as_bytes()).ok(), json::fields(once.as_bytes()).ok(), "{twice}");
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map("[a-c.]{0,3}", inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_line_is_read_alike(tree in any_json(), cut in 0..200_usize, twice in any_json()) {
        let line = serde_json::json!({"a": tree, "b": twice}).to_string();
        agrees(line.as_bytes());
        // A line that breaks off.
        agrees(&line.as_bytes()[..cut.min(line.len())]);
    }
}
