//! What a source imports: by these names its calls go.

/// Bytes of the imports of one source that are kept, and of one statement.
const IMPORTS_MAX: usize = 16 << 10;
const STATEMENT_MAX: usize = 4 << 10;

/// The import statements of a source, one a line, wherever they stand; `stripped` is the source without texts and
/// comments. A statement that goes over several lines is joined: half of one would hide what stands behind it.
pub fn imports(stripped: &str, out: &mut String) {
    let mut open: Option<String> = None;
    for line in stripped.lines() {
        let trimmed = line.trim();
        let statement = match open.take() {
            Some(begun) => format!("{begun} {trimmed}"),
            None if trimmed.starts_with("import ") || trimmed.starts_with("from ") => trimmed.to_owned(),
            None => continue,
        };
        let unclosed = statement.contains('(') && !statement.contains(')');
        if unclosed && statement.len() < STATEMENT_MAX {
            open = Some(statement);
        } else if statement.contains("import") && !unclosed && !statement.ends_with('\\') {
            if out.len().saturating_add(statement.len()) > IMPORTS_MAX {
                return;
            }
            out.push_str(&statement);
            out.push('\n');
        }
    }
}

/// A variable may be called like a module: a call of a module's counts where the module is imported. What stands for
/// itself, like `exec`, needs no import, and `__import__` is one.
pub fn is_imported(sink: &str, imports: &str, text: &str) -> bool {
    let Some((root, _)) = sink.split_once('.') else { return true };
    let names = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == root);
    text.contains("__import__") || text.contains("importlib") || imports.lines().any(names)
}
