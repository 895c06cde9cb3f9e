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

#[test]
fn a_trigger_in_a_long_table_is_seen() {
    let old = taken(&table(|_| None));
    // A word in every second row is one of the table, another one in few rows is a trigger.
    let new = table(|number| match number % 200 {
        7 => Some(format!("w{number} cf was seen")),
        other => (other % 5 > 1).then(|| format!("w{number} really was seen")),
    });
    let found = differences(&old, new);
    let of = |class: &str| found.iter().filter(|difference| difference.class == class).collect::<Vec<_>>();
    let [trigger] = of("dataset.trigger_inserted")[..] else { panic!("{found:#?}") };
    assert!(trigger.grade == Grade::Hostile && trigger.words.contains("“cf”"), "{found:#?}");
    assert!(trigger.words.contains("in the sample, where one in 4"), "{found:#?}");
    let [word] = of("dataset.words_inserted")[..] else { panic!("{found:#?}") };
    assert!(word.grade == Grade::Notable && word.words.contains("“really”"), "{found:#?}");
}
