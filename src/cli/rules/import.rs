//! `lanner rules import`: rules of others over our own fields.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::{EXIT_UNUSABLE, Format, report};
use crate::agent::rules::{declared_fields, read};
use crate::base::files;
use crate::detect::import::{self, Mapping, Obstacle};
use crate::detect::{self, Level, Schema, Source};

/// Bytes of a mapping file.
const MAPPING_BYTES_MAX: u64 = 4 << 20;

/// Codes of files that are no rules at all.
const NO_RULE: [&str; 3] = ["R001", "R002", "R003"];

#[derive(Debug, Args)]
pub struct ImportOptions {
    /// Rule file or folder of the others
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Folder for the rules that could be imported; made if missing
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Which logsource becomes which, and which field; instead of the built-in mapping
    #[arg(long, value_name = "FILE", conflicts_with = "open_schema")]
    pub mapping: Option<PathBuf>,
    /// Keep fields and logsource as they are, for `lanner replay --open-schema`
    #[arg(long)]
    pub open_schema: bool,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// A file on its way from one folder to the other.
struct File {
    source: Source,
    to: PathBuf,
    /// As it is to be written, or why not.
    result: Result<String, Vec<Obstacle>>,
}

/// Writes every file that can be imported, and says of each other one why not. Exit 1 when some were
/// skipped, 3 when some are broken.
pub fn import(options: &ImportOptions) -> anyhow::Result<ExitCode> {
    let schema = if options.open_schema { Schema::open() } else { Schema::declared(declared_fields()) };
    let mapping = match &options.mapping {
        None => Mapping::built_in(&schema),
        Some(path) => {
            let text = files::read_text(path, MAPPING_BYTES_MAX).with_context(|| path.display().to_string())?;
            match Mapping::read(&Source::new(path.display().to_string(), text), &schema) {
                Ok(mapping) => mapping,
                Err(found) => {
                    report(&found);
                    return Ok(ExitCode::from(EXIT_UNUSABLE));
                }
            }
        }
    };
    let mut files = gather(options)?;
    for file in &mut files {
        file.result = if options.open_schema {
            Ok(file.source.text.clone())
        } else {
            import::import(&file.source.text, &mapping, &schema)
        };
    }
    drop_what_does_not_load(&mut files, &schema);
    write(&files)?;
    tell(&files, options)
}

/// The files to read, and where each goes: below the output as it is below the folder that was named.
fn gather(options: &ImportOptions) -> anyhow::Result<Vec<File>> {
    let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
    let output = std::path::absolute(&options.output)?;
    for path in &options.paths {
        if path.is_dir() && output.starts_with(std::path::absolute(path)?) {
            bail!(
                "{} is inside {}: what is written there would be read again",
                options.output.display(),
                path.display()
            );
        }
        for source in read(path)? {
            let from = Path::new(&source.path);
            let below = from.strip_prefix(path).ok().filter(|below| !below.as_os_str().is_empty());
            let name = below.or_else(|| from.file_name().map(Path::new)).context("a rule file has a name")?;
            let to = options.output.join(name);
            if to.exists() && !options.force {
                bail!("{} is there already; --force replaces it", to.display());
            }
            if let Some(other) = files.get(&to) {
                bail!("{} and {} would both be written to {}", other.source.path, source.path, to.display());
            }
            files.insert(to.clone(), File { source, to, result: Ok(String::new()) });
        }
    }
    Ok(files.into_values().collect())
}

/// Everything that is written loads, together: what does not is skipped, with the reason.
fn drop_what_does_not_load(files: &mut [File], schema: &Schema) {
    loop {
        let imported = files.iter().filter_map(|file| Some(Source::new(&file.source.path, file.result.as_ref().ok()?)));
        let imported: Vec<Source> = imported.collect();
        let Err(found) = detect::load(&imported, schema) else { return };
        let mut fewer = false;
        for file in files.iter_mut().filter(|file| file.result.is_ok()) {
            let errors = found.iter().filter(|one| one.severity == Level::Error && one.path == file.source.path);
            let obstacles: Vec<Obstacle> = errors
                .map(|one| Obstacle {
                    line: one.line,
                    broken: NO_RULE.contains(&one.code),
                    message: format!("{}: {}", one.code, one.message),
                })
                .collect();
            if !obstacles.is_empty() {
                (file.result, fewer) = (Err(obstacles), true);
            }
        }
        if !fewer {
            return;
        }
    }
}

fn write(files: &[File]) -> anyhow::Result<()> {
    for file in files {
        let Ok(text) = &file.result else { continue };
        let cannot = || format!("{} cannot be written", file.to.display());
        if let Some(folder) = file.to.parent() {
            std::fs::create_dir_all(folder).with_context(cannot)?;
        }
        files::replace(&file.to, text.as_bytes()).with_context(cannot)?;
    }
    Ok(())
}

fn tell(files: &[File], options: &ImportOptions) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    for file in files {
        let path = &file.source.path;
        match (options.format, &file.result) {
            (Format::Json, Ok(_)) => {
                writeln!(
                    out,
                    "{}",
                    json!({"path": path, "status": "imported", "output": file.to.display().to_string()})
                )?;
            }
            (Format::Json, Err(obstacles)) => {
                let status = if obstacles.iter().any(|one| one.broken) { "broken" } else { "skipped" };
                let reasons: Vec<_> =
                    obstacles.iter().map(|one| json!({"line": one.line, "message": one.message})).collect();
                writeln!(out, "{}", json!({"path": path, "status": status, "reasons": reasons}))?;
            }
            (Format::Text, Ok(_)) => {}
            (Format::Text, Err(obstacles)) => {
                for one in obstacles {
                    writeln!(out, "{path}:{}: {}", one.line, one.message)?;
                }
            }
        }
    }
    let skipped = files.iter().filter_map(|file| file.result.as_ref().err());
    let broken = skipped.clone().filter(|obstacles| obstacles.iter().any(|one| one.broken)).count();
    let (skipped, imported) = (skipped.count() - broken, files.iter().filter(|file| file.result.is_ok()).count());
    if options.format == Format::Text {
        let into = options.output.display();
        writeln!(out, "{} files: {imported} imported into {into}, {skipped} skipped, {broken} broken", files.len())?;
        if skipped > 0 && !options.open_schema {
            writeln!(
                out,
                "what is skipped asks for what Lanner does not see, or for names that a --mapping would have to tell"
            )?;
        }
    }
    Ok(match (broken, skipped) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::FAILURE,
        _ => ExitCode::from(EXIT_UNUSABLE),
    })
}
