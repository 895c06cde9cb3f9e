//! What DVC keeps beside Git: `NAME.dvc` and `dvc.lock` name files by digest and size, `….dir` those of a folder.
//! <https://dvc.org/doc/user-guide/project-structure>

use serde::Deserialize;

use crate::base::yaml::{self, Data, Node};

/// Bytes of a file of DVC, and of the list of a folder.
pub const BYTES_MAX: u64 = 1 << 20;
pub const LIST_BYTES_MAX: u64 = 32 << 20;
/// Files that one file of DVC names, and those of a folder.
const OUTS_MAX: usize = 10_000;
pub const LISTED_MAX: usize = 100_000;

/// One file or folder that DVC keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    /// Path in the repository, `/` between its parts.
    pub path: String,
    pub md5: Md5,
    /// What it names is the list of a folder.
    pub folder: bool,
    pub size: Option<u64>,
}

/// An MD5, in lower case. It tells damage from none, and no forgery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Md5(String);

impl Md5 {
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| Self(text.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a cache keeps it: as DVC 3 does, and as those before.
    pub fn places(&self, folder: bool) -> [String; 2] {
        let (first, rest) = self.0.split_at_checked(2).unwrap_or_default();
        let end = if folder { ".dir" } else { "" };
        [format!("files/md5/{first}/{rest}{end}"), format!("{first}/{rest}{end}")]
    }
}

/// Whether a file is one of DVC, by its name.
pub fn is_named(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name == b"dvc.lock" || (name.ends_with(b".dvc") && name.len() > 4)
}

/// What a file of DVC says.
#[derive(Debug, Default)]
pub struct Read {
    pub outs: Vec<Out>,
    /// Why some of what it names is not known.
    pub hidden: Vec<String>,
    /// What it names and nobody here keeps.
    pub odd: Vec<String>,
}

impl Read {
    pub fn failed(why: String) -> Self {
        Self { hidden: vec![why], ..Self::default() }
    }
}

/// Reads what a file of DVC names.
pub fn read(path: &str, bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let parsed = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
    match parsed.and_then(|text| yaml::parse_any(text).map_err(|error| error.to_string())) {
        Ok(documents) => documents.iter().for_each(|document| read.document(folder, document)),
        Err(why) => read.hidden.push(why),
    }
    if read.outs.len() > OUTS_MAX {
        read.outs.truncate(OUTS_MAX);
        read.hidden.push(format!("it names more than {OUTS_MAX} files"));
    }
    read
}

impl Read {
    fn document(&mut self, folder: &str, document: &Node) {
        let below = document.get("wdir").and_then(Node::as_text).unwrap_or(".");
        let Some(folder) = join(folder, below) else {
            self.hidden.push("its `wdir` leads out of the repository".to_owned());
            return;
        };
        let stages = document.get("stages").and_then(Node::as_map).unwrap_or_default();
        for stage in stages.iter().map(|(_, stage)| stage).chain([document]) {
            for out in stage.get("outs").and_then(Node::as_list).unwrap_or_default() {
                self.out(&folder, out);
            }
        }
    }

    fn out(&mut self, folder: &str, out: &Node) {
        let Some(path) = out.get("path").and_then(Node::as_text) else {
            self.hidden.push("an entry of `outs` has no path".to_owned());
            return;
        };
        // Whatever Git keeps itself is seen there.
        if out.get("cache").is_some_and(|cache| cache.data == Data::Bool(false)) {
            return;
        }
        let Some(path) = Some(path).filter(|path| !path.contains("://")).and_then(|path| join(folder, path)) else {
            // Kept by DVC in a place of its own: nothing here says what it is.
            self.odd.push(format!("`{}` lies outside of the repository", crate::base::text::shorten(path, 100)));
            return;
        };
        // Kept by versions of a cloud, a folder is a list of files right here.
        if let Some(files) = out.get("files").and_then(Node::as_list) {
            for file in files {
                let below = file.get("relpath").and_then(Node::as_text).and_then(|below| join(&path, below));
                self.push(below, file);
            }
            return;
        }
        self.push(Some(path), out);
    }

    fn push(&mut self, path: Option<String>, out: &Node) {
        // A scalar such as `00000000000000000000000000000012` is no number here.
        let md5 =
            out.get("md5").map(Node::to_json).map(|md5| md5.as_str().map_or_else(|| md5.to_string(), str::to_owned));
        let Some(md5) = md5 else {
            // Imported and not fetched, or of a cloud that has digests of its own: there is nothing to look into.
            self.odd.push("an entry of `outs` has no MD5".to_owned());
            return;
        };
        let (hex, folder) = md5.strip_suffix(".dir").map_or((&*md5, false), |hex| (hex, true));
        let (Some(path), Some(md5)) = (path.filter(|path| !path.is_empty()), Md5::parse(hex)) else {
            self.hidden.push("an entry of `outs` names no file with an MD5".to_owned());
            return;
        };
        let size = match out.get("size").map(|size| &size.data) {
            Some(Data::Int(size)) => u64::try_from(*size).ok(),
            _ => None,
        };
        self.outs.push(Out { path, md5, folder, size });
    }
}

#[derive(Deserialize)]
struct Listed {
    md5: String,
    relpath: String,
}

/// The files of a folder with their paths in it, by the list that the cache keeps of it.
pub fn list(bytes: &[u8]) -> Result<Vec<Out>, String> {
    let listed: Vec<Listed> = serde_json::from_slice(bytes).map_err(|_| "it is no list of files".to_owned())?;
    if listed.len() > LISTED_MAX {
        return Err(format!("it names more than {LISTED_MAX} files"));
    }
    let out = |file: Listed| {
        let path = join("", &file.relpath).filter(|path| !path.is_empty())?;
        Some(Out { path, md5: Md5::parse(&file.md5)?, folder: false, size: None })
    };
    let outs: Option<Vec<Out>> = listed.into_iter().map(out).collect();
    outs.ok_or_else(|| "it names a file outside of its folder, or without an MD5".to_owned())
}

/// A path from a folder on, both in the repository; `None` if it leads out of it.
fn join(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains(['\\', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
