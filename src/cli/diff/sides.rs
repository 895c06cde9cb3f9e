//! One side of a comparison: a file, the files below a directory, or those at an address.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::artifact::{Bytes, FileBytes, Stop};
use crate::cli::scan::remote::{Fetched, Fetcher};
use crate::sources::filesystem::paths;
use crate::sources::remote::is_address;

/// Files that are larger are read in parts where they lie. Bytes.
const WHOLE_MAX: u64 = 1 << 30;
/// How long the listing of an address may take.
const LISTING: Duration = Duration::from_secs(300);

/// Where a file lies.
enum Place {
    Local(PathBuf),
    /// The number in the fetcher.
    Remote(usize),
}

pub struct Side {
    /// Files by their path below the root; a single file has an empty one.
    files: BTreeMap<String, Place>,
    fetcher: Fetcher,
    shown: String,
    /// What lies below the root and is not compared, with the reason.
    pub unread: Vec<String>,
}

impl Side {
    pub fn open(root: &str) -> anyhow::Result<Self> {
        let mut side = Self {
            files: BTreeMap::new(),
            fetcher: Fetcher::new(WHOLE_MAX, LISTING),
            shown: root.to_owned(),
            unread: Vec::new(),
        };
        let path = Path::new(root);
        if is_address(root) && path.symlink_metadata().is_err() {
            side.listed(root)?;
        } else {
            side.walked(path)?;
        }
        Ok(side)
    }

    fn walked(&mut self, root: &Path) -> anyhow::Result<()> {
        if !root.exists() {
            bail!("`{}` does not exist", root.display());
        }
        // Through links, as the programs that load models do: snapshots of the Hugging Face cache are nothing else.
        for entry in walkdir::WalkDir::new(root).follow_links(true) {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) if entry.file_type().is_file() || entry.depth() == 0 => {
                    let below = paths::escape(entry.path().strip_prefix(root)?);
                    self.files.insert(below, Place::Local(entry.into_path()));
                }
                Ok(entry) => self.unread.push(format!("`{}` is no regular file", entry.path().display())),
                Err(error) => self.unread.push(error.to_string()),
            }
        }
        Ok(())
    }

    fn listed(&mut self, address: &str) -> anyhow::Result<()> {
        let listed = self.fetcher.list(address).with_context(|| format!("failed to list `{address}`"))?;
        // A file is named below what all have in common, up to a slash.
        let keys: Vec<&str> = listed.iter().map(|remoted| remoted.entry.key.as_str()).collect();
        let first = keys.first().copied().unwrap_or_default();
        let common = |length: &usize| {
            let prefix = first.get(..*length);
            prefix.is_some_and(|prefix| keys.iter().all(|key| key.starts_with(prefix)))
        };
        let mut folders = first.rmatch_indices('/').map(|(at, _)| at.saturating_add(1));
        let length = folders.find(common).unwrap_or(0);
        for (number, remoted) in listed.iter().enumerate() {
            if let Some(why) = &remoted.entry.unreadable {
                self.unread.push(format!("`{}` cannot be read: {why}", remoted.entry.address));
                continue;
            }
            let name =
                if listed.len() == 1 { "" } else { remoted.entry.key.get(length..).unwrap_or(&remoted.entry.key) };
            self.files.insert(name.to_owned(), Place::Remote(number));
        }
        self.fetcher.files = listed;
        Ok(())
    }

    /// The name of the only file, where a file was named and no directory.
    pub fn single(&self) -> Option<&str> {
        self.files.keys().next().filter(|name| name.is_empty() && self.files.len() == 1).map(String::as_str)
    }

    /// Calls the only file by its own name: beside a directory it stands for the file of that name.
    pub fn by_name(&mut self) {
        let Some(place) = self.single().is_some().then(|| self.files.remove("")).flatten() else { return };
        let name = match &place {
            Place::Local(path) => path.file_name().map(|name| paths::escape(Path::new(name))),
            Place::Remote(number) => {
                let key = self.fetcher.files.get(*number).map(|remoted| remoted.entry.key.as_str());
                key.and_then(|key| key.rsplit('/').next()).map(str::to_owned)
            }
        };
        self.files.insert(name.filter(|name| !name.is_empty()).unwrap_or_else(|| self.shown.clone()), place);
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// What a file is called for people, and for the formats that go by names.
    pub fn shown(&self, name: &str) -> String {
        if name.is_empty() { self.shown.clone() } else { name.to_owned() }
    }

    pub fn failed(&self, name: &str) -> String {
        format!("failed to read `{}`", self.shown(name))
    }

    /// The bytes of a file. Of an address they come when they are asked for.
    pub fn read(&self, name: &str) -> anyhow::Result<Box<dyn Bytes>> {
        let bytes: io::Result<Box<dyn Bytes>> = match self.files.get(name) {
            Some(Place::Local(path)) => FileBytes::open(path).map(|bytes| Box::new(bytes) as Box<dyn Bytes>),
            Some(Place::Remote(number)) => self.fetcher.fetch(*number, &Stop::default()).and_then(|(_, fetched)| {
                Ok(match fetched {
                    Fetched::Whole(file) => Box::new(FileBytes::of(file)?) as Box<dyn Bytes>,
                    Fetched::Parts(ranged) => ranged,
                    Fetched::Late => return Err(io::Error::from(io::ErrorKind::TimedOut)),
                })
            }),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        bytes.with_context(|| self.failed(name))
    }
}
