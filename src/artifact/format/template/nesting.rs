//! Whether a template can be parsed: its parser makes a tree as deep as an expression is long, and a tree is
//! walked and dropped by recursion. Engines that render it give up long before.

use crate::artifact::format::shipped;

/// Branches behind one another, each inside the one before.
const BRANCHES_MAX: usize = 1000;

/// True for a template that is not too deep.
pub fn is_bounded(text: &str) -> bool {
    let mut branches = 0_usize;
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        rest = rest.get(at.saturating_add(1)..).unwrap_or_default();
        let Some(kind @ ('{' | '%' | '#')) = rest.chars().next() else { continue };
        rest = rest.get(1..).unwrap_or_default();
        if kind == '#' {
            rest = rest.split_once("#}").map_or("", |(_, after)| after);
            continue;
        }
        let (code, after) = block(rest, if kind == '{' { "}}" } else { "%}" });
        rest = after;
        let word = code.trim_start_matches(['-', '+']).trim_start();
        branches = branches.saturating_add(usize::from(word.starts_with("elif")));
        if branches > BRANCHES_MAX || !shipped::is_shallow(&code) {
            return false;
        }
    }
    true
}

/// The code up to the end of a tag, with its texts left out, and what follows.
fn block<'t>(text: &'t str, end: &str) -> (String, &'t str) {
    let mut code = String::new();
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if let Some(open) = quote {
            if !escaped && c == open {
                quote = None;
            }
            escaped = c == '\\' && !escaped;
            continue;
        }
        let tail = text.get(at..).unwrap_or_default();
        if let Some(after) = tail.strip_prefix(end) {
            return (code, after);
        }
        if matches!(c, '"' | '\'') {
            (quote, escaped) = (Some(c), false);
            code.push('_');
        } else {
            code.push(if c == '\n' { ' ' } else { c });
        }
    }
    (code, "")
}
