//! What is to be looked at: paths, globs, folders and links become one sorted list.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use super::globs::{Globs, Pattern};
use super::remote::Remoted;
use crate::sources::remote::{self, RemoteError};

/// One line of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it is told.
    pub path: PathBuf,
    pub what: What,
}

/// What is done about it.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// Opened at this path, at which no link is followed any more.
    File(PathBuf),
    /// The file of this number in [`List::remote`].
    Remote(usize),
    Stdin,
    Skipped(Skip),
    Unreadable(String),
}

/// Why something is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    pub reason: String,
    /// Left out because it is looked at elsewhere or because somebody asked for that: nothing is
    /// missing.
    pub wanted: bool,
}

/// What the command line says about the choice of files.
pub struct Choice {
    pub include: Globs,
    pub exclude: Globs,
    /// Links are followed wherever they lead.
    pub follow: bool,
}

/// Everything to be told, sorted by path.
pub struct List {
    pub entries: Vec<Entry>,
    /// Files at addresses.
    pub remote: Vec<Remoted>,
    /// Paths that do not exist and globs that fit nothing.
    pub missing: Vec<String>,
}

/// Lists arguments, in which globs are expanded, and paths that are meant as they are. Addresses are
/// listed by `fetch`.
pub fn list(
    arguments: &[PathBuf],
    exact: &[PathBuf],
    choice: &Choice,
    fetch: &mut dyn FnMut(&str) -> Result<Vec<Remoted>, RemoteError>,
) -> anyhow::Result<List> {
    let mut walk = Walk::new(choice);
    let mut asked = Vec::new();
    for argument in arguments.iter().chain(exact) {
        if let Some(address) = address(argument) {
            walk.address(address, fetch(address));
        }
    }
    for argument in arguments.iter().filter(|argument| address(argument).is_none()) {
        let pattern = match argument.to_str() {
            Some("-") => None,
            Some(text) if argument.symlink_metadata().is_err() => Pattern::new(text)?,
            Some(_) | None => None,
        };
        asked.push((argument, pattern, argument.as_os_str() == "-"));
    }
    asked.extend(exact.iter().filter(|path| address(path).is_none()).map(|path| (path, None, false)));
    // All roots first: a link may lead from one into another.
    for (path, pattern, stdin) in &asked {
        if !stdin {
            walk.root(pattern.as_ref().map_or(path.as_path(), |pattern| pattern.base.as_path()));
        }
    }
    for (path, pattern, stdin) in &asked {
        if *stdin {
            walk.push(path, What::Stdin);
        } else {
            walk.argument(path, pattern.as_ref());
        }
    }
    let mut entries = walk.entries;
    entries.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
    entries.dedup_by(|a, b| a.path == b.path && a.what == b.what);
    Ok(List { entries, remote: walk.remote, missing: walk.missing })
}

/// An argument that is an address: what lies here under that name comes first.
fn address(argument: &Path) -> Option<&str> {
    argument.to_str().filter(|text| remote::is_address(text) && argument.symlink_metadata().is_err())
}

struct Walk<'c> {
    choice: &'c Choice,
    /// Folders that are asked for, without links in them.
    roots: Vec<PathBuf>,
    /// Folders beside them into which links may lead.
    beside: Vec<PathBuf>,
    /// Device and inode of every root, and of every folder that was entered through a link.
    entered: HashSet<(u64, u64)>,
    entries: Vec<Entry>,
    remote: Vec<Remoted>,
    missing: Vec<String>,
}

impl<'c> Walk<'c> {
    fn new(choice: &'c Choice) -> Self {
        Self {
            choice,
            roots: Vec::new(),
            beside: Vec::new(),
            entered: HashSet::new(),
            entries: Vec::new(),
            remote: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn push(&mut self, path: &Path, what: What) {
        self.entries.push(Entry { path: plain(path), what });
    }

    /// The files at an address; globs are compared with their own addresses.
    fn address(&mut self, address: &str, listed: Result<Vec<Remoted>, RemoteError>) {
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                if matches!(error, RemoteError::Missing | RemoteError::Address(_)) {
                    self.missing.push(address.to_owned());
                }
                self.entries.push(Entry { path: address.into(), what: What::Unreadable(error.to_string()) });
                return;
            }
        };
        for remoted in listed {
            let path = PathBuf::from(&remoted.entry.address);
            let what = remoted.entry.unreadable.clone().map_or(What::Remote(self.remote.len()), What::Unreadable);
            let what = self.left_out(&path).map_or(what, What::Skipped);
            self.entries.push(Entry { path, what });
            self.remote.push(remoted);
        }
    }

    fn skip(&mut self, path: &Path, reason: String, wanted: bool) {
        self.push(path, What::Skipped(Skip { reason, wanted }));
    }

    fn root(&mut self, path: &Path) {
        let Ok(real) = path.canonicalize() else { return };
        let Ok(metadata) = real.metadata() else { return };
        if !metadata.is_dir() {
            return;
        }
        self.entered.insert((metadata.dev(), metadata.ino()));
        // The Hugging Face cache keeps the bytes of `snapshots` in `blobs` beside it.
        let snapshots = real.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "snapshots"));
        let blobs = snapshots.and_then(Path::parent).map(|folder| folder.join("blobs"));
        // A link there could lead anywhere: only a real folder counts.
        self.beside.extend(blobs.filter(|blobs| blobs.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())));
        self.roots.push(real);
    }

    fn argument(&mut self, path: &Path, pattern: Option<&Pattern>) {
        let before = self.entries.len();
        let start = pattern.map_or(path, |pattern| pattern.base.as_path());
        match start.metadata() {
            Ok(metadata) if metadata.is_dir() => self.folder(start, pattern, false),
            // Whoever names a link means what it leads to.
            Ok(metadata) if pattern.is_none() => match path.canonicalize() {
                Ok(real) => self.file(path, &real, &metadata, None),
                Err(error) => self.push(path, What::Unreadable(error.to_string())),
            },
            Ok(_) => {}
            Err(_) if pattern.is_some() => {}
            Err(error) => {
                if error.kind() == std::io::ErrorKind::NotFound {
                    self.missing.push(path.display().to_string());
                }
                self.push(path, What::Unreadable(error.to_string()));
            }
        }
        if pattern.is_some() && self.entries.len() == before {
            self.missing.push(path.display().to_string());
        }
    }

    /// Everything under a folder; `linked` when a link led there.
    fn folder(&mut self, root: &Path, pattern: Option<&Pattern>, linked: bool) {
        let mut walker = WalkDir::new(root).sort_by_file_name().into_iter();
        while let Some(entry) = walker.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    self.push(&path, What::Unreadable(reason));
                    continue;
                }
            };
            let (path, depth) = (entry.path(), entry.depth());
            if depth == 0 {
                // The folder itself, or the link that led here.
            } else if entry.path_is_symlink() {
                self.link(path, pattern);
            } else if entry.file_type().is_dir() {
                if !self.enter(path, depth, pattern, linked) {
                    walker.skip_current_dir();
                }
            } else {
                match path.symlink_metadata() {
                    Ok(metadata) => self.file(path, path, &metadata, pattern),
                    Err(error) => self.push(path, What::Unreadable(error.to_string())),
                }
            }
        }
    }

    /// Whether a folder is walked.
    fn enter(&mut self, path: &Path, depth: usize, pattern: Option<&Pattern>, linked: bool) -> bool {
        let told = plain(path);
        if pattern.is_some_and(|pattern| !pattern.may_lead_on(&told, depth)) {
            return false;
        }
        if let Some(glob) = self.choice.exclude.fits(&told) {
            let reason = format!("a folder left out by `--exclude {glob}`");
            self.skip(path, reason, true);
            return false;
        }
        let again = linked
            && path.symlink_metadata().is_ok_and(|metadata| self.entered.contains(&(metadata.dev(), metadata.ino())));
        if again {
            self.skip(path, "a folder that is looked at in another place".to_owned(), true);
        }
        !again
    }

    /// A link inside a folder: followed to what is asked for anyway, and nowhere else.
    fn link(&mut self, path: &Path, pattern: Option<&Pattern>) {
        let told = plain(path);
        if pattern.is_some_and(|pattern| !pattern.fits(&told)) {
            return;
        }
        let (real, metadata) = match path.canonicalize().and_then(|real| Ok((real.metadata()?, real))) {
            Ok((metadata, real)) => (real, metadata),
            Err(error) => return self.unchosen(&told, What::Unreadable(format!("a link that leads nowhere: {error}"))),
        };
        let under = |folders: &[PathBuf]| folders.iter().any(|folder| real.starts_with(folder));
        let inside = under(&self.roots);
        if metadata.is_dir() {
            if let Some(glob) = self.choice.exclude.fits(&told) {
                let reason = format!("a folder left out by `--exclude {glob}`");
                return self.skip(path, reason, true);
            }
            if inside && pattern.is_none() {
                return self.skip(path, "a link to a folder that is looked at in its own place".to_owned(), true);
            }
        }
        if !inside && !under(&self.beside) && !self.choice.follow {
            let reason = "a link that leads outside; `--follow-links` follows it".to_owned();
            return self.unchosen(&told, What::Skipped(Skip { reason, wanted: false }));
        }
        if !metadata.is_dir() {
            self.file(path, &real, &metadata, pattern);
        } else if self.entered.insert((metadata.dev(), metadata.ino())) {
            self.folder(path, pattern, true);
        } else {
            self.skip(path, "a link to a folder that is looked at in another place".to_owned(), true);
        }
    }

    /// What cannot be looked at, unless it was not asked for at all.
    fn unchosen(&mut self, told: &Path, what: What) {
        let what = self.left_out(told).map_or(what, What::Skipped);
        self.push(told, what);
    }

    fn left_out(&self, told: &Path) -> Option<Skip> {
        let reason = match self.choice.exclude.fits(told) {
            Some(glob) => format!("left out by `--exclude {glob}`"),
            None if self.choice.include.is_empty() || self.choice.include.fits(told).is_some() => return None,
            None => "no `--include` fits it".to_owned(),
        };
        Some(Skip { reason, wanted: true })
    }

    fn file(&mut self, path: &Path, real: &Path, metadata: &Metadata, pattern: Option<&Pattern>) {
        let told = plain(path);
        if pattern.is_some_and(|pattern| !pattern.fits(&told)) {
            return;
        }
        let kind = metadata.file_type();
        let other = [
            (kind.is_fifo(), "a pipe"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device() || kind.is_block_device(), "a device"),
        ];
        let what = match other.into_iter().find(|(is, _)| *is) {
            // Not even opened: that alone can have effects.
            Some((_, name)) => What::Unreadable(format!("not a regular file but {name}")),
            None => What::File(real.to_owned()),
        };
        self.unchosen(&told, what);
    }
}

/// A path without `.` in it, as people write it: `models/a.pkl`, not `./models/a.pkl`.
fn plain(path: &Path) -> PathBuf {
    let told: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if told.as_os_str().is_empty() { PathBuf::from(".") } else { told }
}
