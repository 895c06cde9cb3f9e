//! Tables of `docs/rules.md` that the code says, between `<!-- NAME -->` and `<!-- /NAME -->`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lanner::detect::diagnostic::CODES;
use lanner::detect::reference;

use super::read;

/// Several tests look after one file.
static MANUAL: Mutex<()> = Mutex::new(());

/// Fails unless the manual has the table as it should be; `UPDATE=1` rewrites it.
pub fn holds(name: &str, wanted: &str) {
    holds_in(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md"), name, wanted);
}

/// The same for any page.
pub fn holds_in(path: &Path, name: &str, wanted: &str) {
    let _guard = MANUAL.lock().unwrap_or_else(PoisonError::into_inner);
    let (open, close) = (format!("<!-- {name} -->\n\n"), format!("\n<!-- /{name} -->"));
    let manual = read(path);
    let (before, rest) = manual.split_once(&open).unwrap_or_else(|| panic!("no `{open}` in {}", path.display()));
    let (found, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no `{close}` in {}", path.display()));
    if std::env::var_os("UPDATE").is_some() && found != wanted {
        lanner::base::files::replace(path, format!("{before}{open}{wanted}{close}{after}").as_bytes())
            .expect("the manual can be written");
    } else {
        assert_eq!(found, wanted, "the part `{name}` of {}; UPDATE=1 rewrites it", path.display());
    }
}

fn table(head: [&str; 2], rows: impl IntoIterator<Item = (String, String)>) -> String {
    let [left, right] = head;
    let mut table = format!("| {left} | {right} |\n| --- | --- |\n");
    for (left, right) in rows {
        writeln!(table, "| {left} | {right} |").expect("a text can be written to");
    }
    table
}

fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_manual_explains_every_code() {
    holds("codes", &table(["code", "meaning"], CODES.iter().map(|(code, text)| ((*code).into(), (*text).into()))));
}

#[test]
fn the_manual_explains_every_modifier() {
    let mut explained: Vec<&str> = reference::MODIFIERS.iter().flat_map(|(names, _)| *names).copied().collect();
    let mut all: Vec<&str> = reference::modifier_names().collect();
    explained.sort_unstable();
    all.sort_unstable();
    assert_eq!(explained, all);
    let rows = reference::MODIFIERS.iter().map(|(names, text)| (quoted(names.iter().copied()), (*text).into()));
    holds("modifiers", &table(["modifier", "asks for"], rows));
}

#[test]
fn the_manual_explains_every_correlation() {
    let explained = reference::CORRELATIONS.iter().map(|(name, _)| *name);
    assert!(explained.eq(reference::correlation_names()));
    let rows = reference::CORRELATIONS.iter().map(|(name, text)| (format!("`{name}`"), (*text).into()));
    holds("correlations", &table(["type", "what is computed over a window"], rows));
    let rows = reference::timespans().iter().map(|(unit, seconds)| (format!("`{unit}`"), seconds.to_string()));
    holds("timespans", &table(["unit", "seconds"], rows));
    let manual = read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md"));
    assert!(manual.contains(&quoted(reference::operators())), "{}", quoted(reference::operators()));
}
