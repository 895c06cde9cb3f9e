//! What is read must not be written over.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::bail;

use super::ReplayArgs;

/// Refuses a command that would write into one of the files that it reads, by whatever name.
pub fn check(args: &ReplayArgs) -> anyhow::Result<()> {
    let written = [("--output", &args.output), ("--state", &args.state)];
    let written: Vec<_> = written.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?))).collect();
    let rules = args.rules.iter().map(|path| ("--rules", path.as_path()));
    let values = args.values.iter().map(|path| ("--values", path.as_path()));
    let overrides = args.overrides.iter().map(|path| ("--overrides", path.as_path()));
    let events = [("the events", args.events.as_path())].into_iter();
    let read: Vec<_> = events.chain(rules).chain(values).chain(overrides).collect();
    for (name, path) in &written {
        if let Some((other, _)) = read.iter().find(|(_, other)| same(path, other) || holds(other, path)) {
            bail!("`{name} {}` would write over {other}: name another file", path.display());
        }
    }
    if let [(_, output), (_, state)] = written.as_slice()
        && (output == state || same(output, state))
    {
        bail!("`--output` and `--state` are both {}: name two files", output.display());
    }
    Ok(())
}

/// Whether both are the same regular file.
fn same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
    match (identity(one), identity(other)) {
        (Some(one), Some(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Whether the file is there, in this folder or in one inside it, and is a rule or a list of values.
fn holds(folder: &Path, file: &Path) -> bool {
    let taken =
        file.extension().is_some_and(|extension| ["yml", "yaml", "txt"].iter().any(|taken| extension == *taken));
    let (Ok(folder), Ok(file)) = (folder.canonicalize(), file.canonicalize()) else { return false };
    taken && folder.is_dir() && file.starts_with(folder)
}
