//! Rules and the fields they may use, gathered from everywhere.

use std::path::{Path, PathBuf};

use crate::artifact;
use crate::base::{clock, files};
use crate::config::raw;
use crate::detect::values::ValuesError;
use crate::detect::{self, Diagnostic, Loader, RuleSet, Schema};
use crate::event::{Field, field};
use crate::sources;

use super::values;

/// Rule files under one path.
const RULE_FILES_MAX: usize = 20_000;
/// Folders in folders.
const RULE_DEPTH_MAX: usize = 32;

/// Why rules could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("`{path}` cannot be read: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("more than {RULE_FILES_MAX} rule files under `{path}`")]
    TooMany { path: String },
    #[error("there is no rule file (*.yml) under `{path}`")]
    None { path: String },
    #[error("there is no list of values (NAME.txt or NAME.yml) at `{path}`")]
    NoValues { path: String },
    #[error("`{path}` is no list of values: {cause}")]
    Values { path: String, cause: ValuesError },
    #[error("{} problem(s) in the rules", .0.len())]
    Invalid(Vec<Diagnostic>),
}

impl RulesError {
    /// Everything that a person needs to mend it.
    pub fn explain(&self) -> String {
        match self {
            Self::Unreadable { .. }
            | Self::TooMany { .. }
            | Self::None { .. }
            | Self::NoValues { .. }
            | Self::Values { .. } => self.to_string(),
            Self::Invalid(diagnostics) => diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }
}

/// Every field that a rule may use.
pub fn declared_fields() -> Vec<Field> {
    let mut fields = field::COMMON.to_vec();
    fields.extend(artifact::fields());
    fields.extend(sources::fields::fields());
    fields.extend_from_slice(super::tell::HEALTH_FIELDS);
    fields.extend_from_slice(super::tell::PARTS_FIELDS);
    fields.extend_from_slice(super::announced::FIELDS);
    fields.extend_from_slice(super::pipeline::FIELDS);
    fields.extend_from_slice(crate::event::identity::FIELDS);
    fields.extend_from_slice(super::signatures::FIELDS);
    fields.sort_by_key(|field| field.path);
    fields.dedup_by_key(|field| field.path);
    fields
}

/// The rules that a configuration asks for.
pub fn load(rules: &raw::Rules) -> Result<RuleSet, RulesError> {
    let mut sources = if rules.shipped { detect::shipped::sources() } else { Vec::new() };
    for path in &rules.paths {
        sources.extend(read(path)?);
    }
    let loader = loader(Schema::declared(declared_fields()), &rules.values)?;
    let set = loader.load(&sources).map_err(RulesError::Invalid)?;
    for id in rules.disabled.iter().filter(|id| set.find(id).is_none()) {
        tracing::warn!(%id, "`rules.disabled` names a rule that is not there");
    }
    let set = overridden(set.without(&rules.disabled), &rules.overrides)?;
    for warning in set.warnings() {
        tracing::warn!(code = warning.code, path = %warning.path, line = warning.line, "{}", warning.message);
    }
    Ok(set)
}

/// The set as the files of overrides change it now.
pub fn overridden(set: RuleSet, paths: &[PathBuf]) -> Result<RuleSet, RulesError> {
    if paths.is_empty() {
        return Ok(set);
    }
    let sources: Vec<_> = paths.iter().map(|path| source(path)).collect::<Result<_, _>>()?;
    set.overridden(&sources, clock::now()).map_err(RulesError::Invalid)
}

/// One file as rules' messages call it.
pub fn source(path: &Path) -> Result<detect::Source, RulesError> {
    let text = text(path).map_err(|cause| RulesError::Unreadable { path: path.display().to_string(), cause })?;
    Ok(detect::Source::new(path.display().to_string(), text))
}

fn text(path: &Path) -> std::io::Result<String> {
    files::read_text(path, detect::FILE_BYTES_MAX as u64)
}

/// Loads rules with the lists of values at these paths.
pub fn loader(schema: Schema, paths: &[PathBuf]) -> Result<Loader, RulesError> {
    Ok(Loader { schema, values: values::read(paths)? })
}

/// The rules at paths that a person named, else those that are built in.
pub fn named_or_shipped(paths: &[PathBuf]) -> Result<Vec<detect::Source>, RulesError> {
    if paths.is_empty() {
        return Ok(detect::shipped::sources());
    }
    let read: Vec<_> = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// A rule file, or all `.yml` and `.yaml` files under a directory, in the order of their names.
pub fn read(path: &Path) -> Result<Vec<detect::Source>, RulesError> {
    let unreadable = |path: &Path, cause| RulesError::Unreadable { path: path.display().to_string(), cause };
    let mut files: Vec<PathBuf> = Vec::new();
    let walk = walkdir::WalkDir::new(path).follow_links(true).max_depth(RULE_DEPTH_MAX).sort_by_file_name();
    for entry in walk {
        let entry = entry.map_err(|error| unreadable(path, error.into()))?;
        if entry.file_type().is_file() && (entry.depth() == 0 || is_rule(entry.path())) {
            files.push(entry.into_path());
        }
        if files.len() > RULE_FILES_MAX {
            return Err(RulesError::TooMany { path: path.display().to_string() });
        }
    }
    if files.is_empty() {
        return Err(RulesError::None { path: path.display().to_string() });
    }
    // One file that cannot be read must not hide what is wrong with the others.
    let source = |file: &PathBuf| match text(file) {
        Ok(text) => detect::Source::new(file.display().to_string(), text),
        Err(why) => detect::Source::unreadable(file.display().to_string(), why.to_string()),
    };
    Ok(files.iter().map(source).collect())
}

/// By its extension. Files behind `..data` of a mounted ConfigMap are seen once, under their own names.
fn is_rule(path: &Path) -> bool {
    let hidden = |part: &str| part.starts_with("..2") || part == "..data";
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
        && !path.components().any(|part| hidden(&part.as_os_str().to_string_lossy()))
}
