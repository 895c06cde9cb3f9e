//! Named lists of values, as files: `NAME.txt` with one value on each line, `NAME.yml` with a list.

use std::path::{Path, PathBuf};

use super::rules::RulesError;
use crate::base::files;
use crate::detect::Values;

/// One file; a larger one is none.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Files under one path, others than lists included.
const FILES_MAX: usize = 2_000;

/// How the text of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Yaml,
}

/// Extensions and what they mean.
const FORMS: &[(&str, Form)] = &[("txt", Form::Lines), ("yml", Form::Yaml), ("yaml", Form::Yaml)];

/// The lists in files and in folders; a file's name without its extension is the name of its list.
pub fn read(paths: &[PathBuf]) -> Result<Values, RulesError> {
    let mut values = Values::default();
    for path in paths {
        for (file, form) in list(path)? {
            let shown = file.display().to_string();
            let text = files::read_text(&file, FILE_BYTES_MAX)
                .map_err(|cause| RulesError::Unreadable { path: shown.clone(), cause })?;
            let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let inserted = match form {
                Form::Lines => values.insert_lines(&name, &text),
                Form::Yaml => values.insert_yaml(&name, &text),
            };
            inserted.map_err(|cause| RulesError::Values { path: shown, cause })?;
        }
    }
    Ok(values)
}

/// The files of lists at a path: itself, or those directly in the folder, in the order of their names.
fn list(path: &Path) -> Result<Vec<(PathBuf, Form)>, RulesError> {
    let shown = || path.display().to_string();
    let unreadable = |cause| RulesError::Unreadable { path: shown(), cause };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        let form = form_of(path).ok_or_else(|| RulesError::NoValues { path: shown() })?;
        return Ok(vec![(path.to_owned(), form)]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)?.take(FILES_MAX + 1) {
        let file = entry.map_err(unreadable)?.path();
        // Through links: a mounted ConfigMap is made of them.
        if let Some(form) = form_of(&file).filter(|_| file.is_file()) {
            found.push((file, form));
        }
    }
    if found.len() > FILES_MAX {
        return Err(RulesError::TooMany { path: shown() });
    }
    if found.is_empty() {
        return Err(RulesError::NoValues { path: shown() });
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn form_of(path: &Path) -> Option<Form> {
    let extension = path.extension()?;
    FORMS.iter().find(|(known, _)| extension == *known).map(|(_, form)| *form)
}
