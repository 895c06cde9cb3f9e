//! What has no word of the domain: YAML with places, waits, spelling, files replaced whole.

use std::time::Duration;

use lanner::base::backoff::Backoff;
use lanner::base::files;
use lanner::base::text::{distance, nearest, shorten};
use lanner::base::yaml::{Data, Node, parse};

use crate::support::Numbers;

fn one(text: &str) -> Node {
    parse(text).expect("it is YAML").remove(0)
}

#[test]
fn yaml_knows_the_place_of_every_node() {
    let root = one("# a comment\nsinks:\n  webhook:\n    - name: soc\n      url: x\n");
    let item = &root.get("sinks").and_then(|sinks| sinks.get("webhook")).and_then(Node::as_list).expect("a list")[0];
    let url = item.get("url").expect("it is there");
    assert_eq!((item.line, item.column, url.line, url.column), (4, 7, 5, 12));
}

#[test]
fn yaml_scalars_follow_the_core_schema() {
    let cases: [(&str, Data); 14] = [
        ("~", Data::Null),
        ("null", Data::Null),
        ("true", Data::Bool(true)),
        ("yes", Data::Text("yes".to_owned())),
        ("no", Data::Text("no".to_owned())),
        ("-12", Data::Int(-12)),
        ("0x1f", Data::Int(31)),
        ("0o17", Data::Int(15)),
        ("1.5", Data::Float(1.5)),
        ("1e3", Data::Float(1000.0)),
        (".inf", Data::Float(f64::INFINITY)),
        ("'12'", Data::Text("12".to_owned())),
        ("!!str 12", Data::Text("12".to_owned())),
        ("2027-01-31", Data::Text("2027-01-31".to_owned())),
    ];
    for (text, data) in cases {
        assert_eq!(one(&format!("[{text}]")).as_list().expect("a list")[0].data, data, "{text}");
    }
}

#[test]
fn yaml_keys_are_written_once() {
    let error = parse("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n").expect_err("`c` is there twice");
    assert_eq!((error.line, error.column), (5, 3));
    assert!(error.message.contains("`c` is written twice"), "{error}");
    assert!(parse("a: {c: 1}\nb: {c: 1}\n").is_ok(), "in two mappings it is another key");
}

#[test]
fn yaml_mappings_are_merged() {
    let found = one("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, x: 9}\nd: {<<: [*a, *b], w: 0}\n").to_json();
    assert_eq!(found["c"], serde_json::json!({"x": 9, "y": 2}));
    assert_eq!(found["d"], serde_json::json!({"w": 0, "x": 1, "y": 2, "z": 4}));
    assert!(parse("c: {<<: 1}").unwrap_err().message.contains("brings in a mapping"));
    assert!(parse("c: !!binary aGVsbG8=").unwrap_err().message.contains("!!binary"));
    // A great many of one great mapping, merged without going through them all for each.
    let keys = (0..10_000).map(|number| format!("k{number}: 1")).collect::<Vec<_>>().join(", ");
    let begun = std::time::Instant::now();
    parse(&format!("a: &a {{{keys}}}\nb: {{<<: [*a, *a, *a], {keys}}}\n")).expect("it is within the bounds");
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn yaml_has_bounds() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&deep(64)).is_ok());
    assert!(parse(&deep(65)).is_err());
    let wide = |count: usize| "- x\n".repeat(count);
    assert!(parse(&wide(190_000)).is_ok());
    assert!(parse(&wide(200_001)).is_err());
    assert_eq!(parse("a: *nowhere\n").expect_err("there is no such anchor").line, 1);
}

#[test]
fn waits_double_within_bounds_and_begin_again() {
    let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
    for seed in 0..200 {
        let mut backoff = Backoff::new(first, most, seed);
        for failure in 0_u32..100 {
            let whole = first.saturating_mul(1 << failure.min(20)).min(most);
            let wait = backoff.next_wait();
            assert!(wait >= whole / 2 && wait <= whole, "seed {seed}, failure {failure}: {wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= first);
    }
    let waits = |seed| Backoff::new(first, most, seed).next_wait();
    assert_eq!(waits(8), waits(8), "a seed repeats itself");
    assert_ne!(waits(8), waits(10), "two agents do not knock together");
}

#[test]
fn waits_do_not_overflow() {
    let mut backoff = Backoff::new(Duration::MAX, Duration::MAX, 1);
    for _ in 0..100 {
        assert!(backoff.next_wait() >= Duration::MAX / 3);
    }
}

#[test]
fn a_misspelt_word_finds_its_neighbour() {
    let known = ["timeout_secs", "url", "name", "minimum_severity"];
    let cases = [
        ("timeout_sec", Some("timeout_secs")),
        ("timeuot_secs", Some("timeout_secs")),
        ("minimum_severty", Some("minimum_severity")),
        ("ulr", Some("url")),
        ("completely_different", None),
        ("", None),
    ];
    for (word, expected) in cases {
        assert_eq!(nearest(word, known), expected, "{word}");
    }
    assert_eq!(nearest("x", []), None);
}

#[test]
fn distance_is_one() {
    for (from, to, edits) in
        [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3), ("größe", "grösse", 2)]
    {
        assert_eq!((distance(from, to), distance(to, from)), (edits, edits), "{from} {to}");
    }
    let long = "x".repeat(1 << 20);
    assert_eq!(distance(&long, &long), 0, "long words are compared by their beginnings");
}

#[test]
fn text_is_shortened_between_characters() {
    assert_eq!(shorten("größer", 6), "größer");
    assert_eq!(shorten("größer", 5), "größ…");
    assert_eq!(shorten("größer", 1), "…");
    assert_eq!(shorten("", 0), "");
}

#[test]
fn a_file_is_replaced_whole() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("file");
    files::replace(&path, b"first").expect("it is writable");
    files::replace(&path, b"2nd").expect("it is writable");
    assert_eq!(files::read(&path, 3).expect("it is there"), b"2nd");
    assert_eq!(std::fs::read_dir(directory.path()).expect("it is there").count(), 1, "nothing is left aside");
    assert!(files::read(&path, 2).is_err(), "larger than the bound");
    // A folder cannot be replaced by a file: what was there stays.
    let folder = directory.path().join("folder");
    std::fs::create_dir(&folder).expect("it is writable");
    assert!(files::replace(&folder, b"x").is_err());
    assert!(folder.is_dir());
}

#[test]
fn readers_never_see_half_a_file() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("file");
    let whole = |digit: u64| digit.to_string().repeat(1 << 16);
    files::replace(&path, whole(0).as_bytes()).expect("it is writable");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut numbers = Numbers(7);
            for _ in 0..50 {
                files::replace(&path, whole(numbers.below(10)).as_bytes()).expect("it is writable");
            }
        });
        while !writer.is_finished() {
            let text = files::read_text(&path, 1 << 20).expect("there is always one");
            assert!(text.len() == 1 << 16 && text.bytes().all(|byte| byte == text.as_bytes()[0]));
        }
    });
}
