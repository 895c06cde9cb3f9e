//! Tables of `docs/rules.md` that the code says, between `<!-- NAME -->` and `<!-- /NAME -->`.

use std::path::PathBuf;

use super::read;

/// Fails unless the manual has the table as it should be; `UPDATE=1` rewrites it.
pub fn holds(name: &str, wanted: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let (open, close) = (format!("<!-- {name} -->\n\n"), format!("\n<!-- /{name} -->"));
    let manual = read(&path);
    let (before, rest) = manual.split_once(&open).unwrap_or_else(|| panic!("no `{open}` in the manual"));
    let (found, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no `{close}` in the manual"));
    if std::env::var_os("UPDATE").is_some() && found != wanted {
        lanner::base::files::replace(&path, format!("{before}{open}{wanted}{close}{after}").as_bytes()).unwrap();
    } else {
        assert_eq!(found, wanted, "the table `{name}` of the manual; UPDATE=1 rewrites it");
    }
}
