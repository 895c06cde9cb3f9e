//! How a file stands, without reading it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{cache, paths};
use crate::event::subject::SubjectKind;
use crate::event::{ArtifactRef, Fields, Place, Subject, Value};
use crate::sources::{Hint, Record, RecordKind};

/// What changes when somebody writes to a file or replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub dev: u64,
    pub inode: u64,
    pub size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    mode: u32,
    owner: u32,
    links: u64,
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    File(Stat),
    Directory,
    /// A device, a pipe, a socket, or a link that is not followed.
    Other,
    Gone,
    /// Permissions or the file system keep us from knowing.
    Unknown,
}

/// Looks at a path, through links on wish.
pub fn look(path: &Path, follow_symlinks: bool) -> Look {
    let metadata = if follow_symlinks { path.metadata() } else { path.symlink_metadata() };
    match metadata {
        Ok(metadata) if metadata.is_file() => Look::File(Stat::from(&metadata)),
        Ok(metadata) if metadata.is_dir() => Look::Directory,
        Ok(_) => Look::Other,
        Err(error) => match error.kind() {
            // A link to nowhere or in a circle holds no bytes.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Look::Gone,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Look::Gone,
            _ => Look::Unknown,
        },
    }
}

impl From<&rustix::fs::Stat> for Stat {
    #[allow(clippy::useless_conversion, reason = "the types of the fields differ between processors")]
    fn from(stat: &rustix::fs::Stat) -> Self {
        Self {
            dev: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mtime: (stat.st_mtime.into(), i64::try_from(stat.st_mtime_nsec).unwrap_or_default()),
            ctime: (stat.st_ctime.into(), i64::try_from(stat.st_ctime_nsec).unwrap_or_default()),
            mode: stat.st_mode.into(),
            owner: stat.st_uid.into(),
            links: stat.st_nlink.into(),
        }
    }
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
            owner: metadata.uid(),
            links: metadata.nlink(),
        }
    }
}

impl Stat {
    /// Device, inode, size, time of modification and of change: the last cannot be set back.
    pub fn signature(&self) -> String {
        let Self { dev, inode, size, mtime, ctime, .. } = self;
        format!("{dev}:{inode}:{size}:{}.{:09}:{}.{:09}", mtime.0, mtime.1, ctime.0, ctime.1)
    }

    fn modified(&self) -> Option<Timestamp> {
        Timestamp::new(self.mtime.0, i32::try_from(self.mtime.1).ok()?).ok()
    }

    /// The record of a file; `target` is where it leads if it is a link.
    pub fn record(&self, store: &str, path: &Path, target: Option<&PathBuf>, hint: Hint) -> Record {
        let text = paths::escape(path);
        Record {
            key: text.clone(),
            kind: RecordKind::Artifact,
            signature: self.signature(),
            subject: Subject::new(SubjectKind::Artifact, text.clone()),
            artifact: Some(ArtifactRef {
                store: store.to_owned(),
                path: text.clone(),
                version: None,
                lineage: text.clone(),
            }),
            time: self.modified(),
            place: Place::default(),
            attributes: self.attributes(text, path, target),
            hint,
        }
    }

    fn attributes(&self, text: String, path: &Path, target: Option<&PathBuf>) -> Fields {
        let name = path.file_name().map(|name| paths::escape(Path::new(name))).unwrap_or_default();
        let extension = path.extension().map(|extension| paths::escape(Path::new(extension)).to_lowercase());
        let mut fields = Fields::new();
        let mut put = |path: &str, value: Value| fields.insert(path.to_owned(), value);
        put("file.path", text.into());
        put("file.name", name.into());
        put("file.extension", extension.unwrap_or_default().into());
        put("file.size", self.size.into());
        put("file.inode", self.inode.into());
        put("file.mode", format!("{:04o}", self.mode & 0o7777).into());
        put("file.owner.id", u64::from(self.owner).into());
        put("file.links", self.links.into());
        let writers = [(0o020, "group"), (0o002, "others")].into_iter().filter(|(bit, _)| self.mode & bit != 0);
        let writers: Vec<&str> = writers.map(|(_, who)| who).collect();
        if !writers.is_empty() {
            put("file.writable_by", writers.into());
        }
        if let Some(modified) = self.modified() {
            put("file.modified", modified.to_string().into());
        }
        if let Some(target) = target {
            put("file.target_path", paths::escape(target).into());
            if let Some(claimed) = cache::claimed(target) {
                put("artifact.claimed_hash", format!("sha256:{claimed}").into());
            }
        }
        if cache::leads_outside(path) {
            put("file.leads_outside", true.into());
        }
        fields
    }
}
