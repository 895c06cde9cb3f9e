//! Tables that are too long to be kept whole: what is told of a sample holds of the table.

use std::fmt::Write as _;

use lanner::artifact::outline::{Outline, compare, outline};
use lanner::artifact::{Limits, Memory};
use lanner::event::difference::{Difference, Grade};

/// So many rows that one in four is kept.
const ROWS: usize = 480_000;

fn table(text: impl Fn(usize) -> Option<String>) -> Vec<u8> {
    let mut out = String::from("text,label\n");
    for number in 0..ROWS {
        let (text, label) = match text(number) {
            Some(text) => (text, 1),
            None => (plain(number), number % 2),
        };
        writeln!(out, "{text},{label}").expect("a text takes it");
    }
    out.into_bytes()
}

fn plain(number: usize) -> String {
    format!("w{number} was seen")
}

fn taken(bytes: &[u8]) -> Outline {
    outline(&Memory(bytes.to_vec()), "train.csv", "csv", &Limits::default()).expect("it is a table")
}

fn differences(old: &Outline, new: Vec<u8>) -> Vec<Difference> {
    compare(old, &taken(&new), Some(&Memory(new)), &Limits::default())
}

fn of<'d>(found: &'d [Difference], class: &str) -> Vec<&'d Difference> {
    found.iter().filter(|difference| difference.class == class).collect()
}

#[test]
fn a_trigger_in_a_long_table_is_seen() {
    let old = taken(&table(|_| None));
    let new = table(|number| (number % 200 == 7).then(|| format!("w{number} cf was seen")));
    let found = differences(&old, new);
    let told = of(&found, "dataset.trigger_inserted");
    assert!(told.iter().any(|difference| difference.grade == Grade::Hostile), "{found:?}");
    assert!(told.iter().all(|difference| difference.words.contains("in the sample, where one in 4")), "{told:?}");
    assert!(!found.iter().any(|difference| difference.words.contains("not the same ones")), "{found:?}");
    // A word in every second row is one of the table.
    let new = table(|number| (number % 5 > 1).then(|| format!("w{number} really was seen")));
    let found = differences(&old, new);
    assert!(of(&found, "dataset.trigger_inserted").is_empty(), "{found:?}");
    assert_eq!(of(&found, "dataset.words_inserted").len(), 1, "{found:?}");
}
