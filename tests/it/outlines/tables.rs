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

/// Rows of which each word is in many rows, so that each may have been put in: every trial reads a whole row.
fn long_rows(count: usize) -> String {
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).expect("it is a letter"));
    let words = |row: usize| {
        let word = move |at: usize| format!("{}{}", letter(at / 26 + at * at / 676 + row), letter(at));
        (0..107_000).map(word).collect::<Vec<_>>().join(" ")
    };
    (0..count).fold(String::new(), |out, row| out + &words(row) + ",0\n")
}

#[test]
fn rows_too_long_to_try_all_words_of_cost_little_and_hide_no_trigger() {
    let short = |with: &dyn Fn(usize) -> bool| {
        (0..200).fold(String::from("text,label\n"), |out, row| {
            let (word, label) = if with(row) { (" cf", 1) } else { ("", row % 2) };
            out + &format!("w{row} was{word} seen,{label}\n")
        })
    };
    let old = taken(short(&|_| false).as_bytes());
    let begun = std::time::Instant::now();
    let (head, rows) = ("text,label\n", short(&|row| row % 20 == 7));
    let new = format!("{head}{}{}", long_rows(6), rows.trim_start_matches(head)).into_bytes();
    let made = taken(&new);
    let looked = std::time::Instant::now();
    let found = compare(&old, &made, Some(&Memory(new.clone())), &Limits::default());
    println!("made in {:?}, compared in {:?}", looked.duration_since(begun), looked.elapsed());
    assert!(looked.elapsed().as_secs() < 20, "a row of 320 KB has 320,000 trials of 320 KB");
    let trigger = found.iter().find(|difference| difference.class == "dataset.trigger_inserted");
    assert!(trigger.is_some_and(|trigger| trigger.words.contains("“cf”")), "{found:#?}");
    let cut = |words: &str| {
        found.iter().any(|difference| difference.class == "outline.cut" && difference.words.contains(words))
    };
    assert!(cut("6 new rows are too long"), "{found:#?}");

    // Whoever may stop it is asked within a row.
    let stopped = lanner::artifact::Limits {
        stop: lanner::artifact::Stop::when({
            let asked = std::sync::atomic::AtomicUsize::new(0);
            move || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 12
        }),
        ..Limits::default()
    };
    let found = compare(&old, &made, Some(&Memory(new)), &stopped);
    assert!(found.iter().any(|difference| difference.words.contains("more new rows than are tried")), "{found:#?}");
}
