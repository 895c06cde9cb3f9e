//! Texts that nobody means well with: an answer within bounds, never a panic.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::problems;

#[test]
fn the_example_cut_anywhere_does_no_harm() {
    let text = lanner::config::example();
    for (end, _) in text.char_indices() {
        // The last, cut line may be a whole setting: sound or not, it is answered.
        for problem in problems(&text[..end]) {
            assert!(problem.line > 0, "cut at {end}: {problem}");
        }
    }
}

#[test]
fn aliases_do_not_multiply() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let previous = format!("*a{}", level - 1);
        writeln!(text, "a{level}: &a{level} [{}]", vec![previous; 10].join(", ")).expect("a text takes all");
    }
    let started = Instant::now();
    let problems = problems(&text);
    assert!(problems.len() == 1 && problems[0].message.contains("nodes"), "{problems:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn anchors_around_anchors_do_not_multiply() {
    let mut text = String::new();
    for level in 0..60 {
        write!(text, "&n{level} [").expect("a text takes all");
    }
    text += &"x,".repeat(100_000);
    text += &"]".repeat(60);
    let problems = problems(&text);
    assert!(problems.len() == 1 && problems[0].message.contains("nodes"), "{problems:?}");
}

#[test]
fn depth_has_a_bound() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        for depth in [100, 100_000] {
            let text = format!("state: {}{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(problems(&text).len(), 1, "{open} {depth}");
        }
    }
}

#[test]
fn a_page_of_mistakes_is_told_and_no_more() {
    let text = (0..60).map(|number| format!("wrong{number}: 1")).collect::<Vec<_>>().join("\n");
    assert_eq!(problems(&text).len(), 50);
}
