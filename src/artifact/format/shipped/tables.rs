//! Tables that are written as text: cells that a spreadsheet takes for formulas and that run or fetch.

use std::sync::LazyLock;

use regex::Regex;

use crate::artifact::inspection::Inspection;

/// Cells that are told.
const CELLS_MAX: usize = 64;

/// A cell that begins as a formula and asks a program for data: `=cmd|' /C …'!A0`.
static COMMAND: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?m)(?:^|[,;\t"])\s*[=+\-@][^,\n\t]{0,200}?\b\w+\s*\|\s*'[^'\n]{1,400}'\s*!"#).ok());
/// A cell that hands others to an address.
static FETCH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?im)(?:^|[,;\t"])\s*[=+\-@]\s*(?:WEBSERVICE|IMPORTXML|IMPORTHTML|IMPORTDATA|IMPORTFEED|HYPERLINK|IMAGE)\s*\(\s*"{1,2}\s*(?:https?|ftp|file):[^\n]{0,400}&"#,
    )
    .ok()
});

/// Tells the lines of such cells.
pub fn inspect(inspection: &mut Inspection<'_>, text: &str) {
    for (name, pattern) in [("command", &COMMAND), ("fetch", &FETCH)] {
        let Some(pattern) = pattern.as_ref() else { continue };
        for found in pattern.find_iter(text).take(CELLS_MAX) {
            let before = text.get(..found.start().saturating_add(1)).unwrap_or_default();
            let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
            inspection.list("artifact.table.formulas", format!("{name}@line {line}"));
        }
    }
}
