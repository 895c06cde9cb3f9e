//! Where the parts of a repository lie: <https://git-scm.com/docs/gitrepository-layout>.
//!
//! Of its configuration only what decides how it is read is believed: format, hash, and where large files are kept.
//! Nothing is included, and neither the system's nor a user's configuration is read.

use std::path::{Path, PathBuf};

use gix_config::file::Metadata;
use gix_config::file::init::Options;
use gix_hash::Kind;

use super::config::Checked;
use super::files::{Fault, Ground};
use crate::base::text::shorten;

/// Bytes of a file that says where something else is.
const POINTER_BYTES_MAX: u64 = 16 << 10;
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Repositories from which objects are borrowed, in each other.
const ALTERNATES_MAX: usize = 32;

/// What lies in the folder of a repository, and in that of a linked working tree.
const REPOSITORY: &[&str] = &["HEAD", "objects", "refs"];
const WORKING_TREE: &[&str] = &["HEAD", "commondir"];

/// A repository as it lies on the disk.
pub struct Layout {
    pub ground: Ground,
    /// What belongs to one working tree: `HEAD`.
    pub git: PathBuf,
    /// What all working trees share: objects and refs.
    pub common: PathBuf,
    /// It has no working tree: `HEAD` is the branch that whoever clones it gets.
    pub bare: bool,
    /// Folders of objects, its own first.
    pub objects: Vec<PathBuf>,
    pub hash: Kind,
    /// Folders of LFS objects.
    pub lfs: Vec<PathBuf>,
    /// Caches of DVC.
    pub dvc: Vec<PathBuf>,
    /// Alternates that lead outside, and are not used.
    pub refused: Vec<Fault>,
}

impl Layout {
    /// Finds the parts of what lies at a path: a working tree, a bare repository, or a folder named `.git`.
    ///
    /// Of what lies elsewhere, other repositories below the folders that are watched anyway are read, if this one is
    /// a working tree of theirs or borrows their objects; and nothing else that nobody named.
    pub fn find(path: &Path, checked: &Checked) -> Result<Self, Fault> {
        let named = &checked.config.repositories;
        let mut ground = Ground::new(path, &checked.outside)?;
        let root = ground.repository().to_owned();
        let (git, tree) = git_dir(&mut ground, &root, named)?;
        let common = match ground.read(&git.join("commondir"), POINTER_BYTES_MAX)? {
            Some(text) => ground.adopt(&git.join(path_in(&text)?), named, REPOSITORY)?,
            None => git.clone(),
        };
        let mut layout = Self {
            objects: vec![common.join("objects")],
            lfs: vec![common.join("lfs/objects")],
            bare: tree.is_none() && common == git,
            dvc: tree.map(|tree| tree.join(".dvc/cache")).into_iter().collect(),
            ground,
            git,
            common,
            hash: Kind::Sha1,
            refused: Vec::new(),
        };
        layout.dvc.extend(checked.config.dvc_caches.iter().cloned());
        layout.configured()?;
        layout.alternates(named)?;
        Ok(layout)
    }

    /// Reads what the repository says of its own format.
    fn configured(&mut self) -> Result<(), Fault> {
        let path = self.common.join("config");
        let Some(bytes) = self.ground.read(&path, CONFIG_BYTES_MAX)? else { return Ok(()) };
        let config = gix_config::File::from_bytes_no_includes(&bytes, Metadata::api(), Options::default())
            .map_err(|_| Fault::Corrupt("its `config` is not understood".to_owned()))?;
        let text = |key: &str| config.string(key).map(|value| value.to_string());
        let unsupported = |what: &str, value: &str| {
            Fault::Unsupported(format!("its `{what}` is `{}`, which is not read here", shorten(value, 40)))
        };
        if let Some(version) = text("core.repositoryformatversion").filter(|version| !matches!(&**version, "0" | "1")) {
            return Err(unsupported("core.repositoryformatversion", &version));
        }
        match text("extensions.refstorage").as_deref() {
            None | Some("files") => {}
            Some("reftable") => {
                let why = "its `extensions.refstorage` is `reftable`, which is not read here; keep refs as files: `git refs migrate --ref-format=files` (Git 2.46)";
                return Err(Fault::Unsupported(why.to_owned()));
            }
            Some(other) => return Err(unsupported("extensions.refstorage", other)),
        }
        self.hash = match text("extensions.objectformat").as_deref() {
            None | Some("sha1") => Kind::Sha1,
            Some("sha256") => Kind::Sha256,
            Some(other) => return Err(unsupported("extensions.objectformat", other)),
        };
        // A folder that lies apart from its working tree is still one of a working tree.
        if matches!(config.boolean("core.bare"), Ok(Some(false))) || text("core.worktree").is_some() {
            self.bare = false;
        }
        if let Some(storage) = text("lfs.storage").filter(|storage| !storage.is_empty()) {
            // As git-lfs takes it: below the repository, unless it is absolute.
            self.lfs.insert(0, self.common.join(storage).join("objects"));
        }
        Ok(())
    }

    /// Finds repositories from which this one borrows objects. One that is not allowed is refused by itself: what is
    /// missing then is told as missing.
    fn alternates(&mut self, named: &[PathBuf]) -> Result<(), Fault> {
        let mut index = 0;
        while let Some(objects) = self.objects.get(index).cloned() {
            index += 1;
            let Some(bytes) = self.ground.read(&objects.join("info/alternates"), POINTER_BYTES_MAX)? else { continue };
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#"));
            for line in lines {
                match path_in(line).and_then(|path| self.borrowed(&objects.join(path), named)) {
                    Ok(found) if self.objects.contains(&found) => {}
                    Ok(_) if self.objects.len() > ALTERNATES_MAX => {
                        let why = format!("it borrows objects of more than {ALTERNATES_MAX} others");
                        self.refused.push(Fault::TooLarge(why));
                        return Ok(());
                    }
                    Ok(found) => {
                        self.lfs.extend(found.parent().map(|git| git.join("lfs/objects")));
                        self.objects.push(found);
                    }
                    Err(Fault::Missing) => {}
                    Err(fault) => self.refused.push(fault),
                }
            }
        }
        Ok(())
    }

    /// The folder of objects of another repository.
    fn borrowed(&mut self, objects: &Path, named: &[PathBuf]) -> Result<PathBuf, Fault> {
        let covered = self.ground.covers(objects);
        let Err(Fault::Outside(real)) = &covered else { return covered };
        let lender = real.parent().filter(|_| real.ends_with("objects"));
        match lender.map(|lender| self.ground.adopt(lender, named, REPOSITORY)) {
            Some(Ok(lender)) => Ok(lender.join("objects")),
            Some(Err(_)) | None => covered,
        }
    }
}

/// The folder with `HEAD`, and the working tree where there is one.
fn git_dir(ground: &mut Ground, root: &Path, named: &[PathBuf]) -> Result<(PathBuf, Option<PathBuf>), Fault> {
    let inner = root.join(".git");
    match ground.stat(&inner)? {
        Some(_) if ground.is_folder(&inner)? => {
            if ground.stat(&inner.join("HEAD"))?.is_none() {
                return Err(Fault::Unsupported("its `.git` has no `HEAD`: it is no Git repository yet".to_owned()));
            }
            return Ok((ground.covers(&inner)?, Some(root.to_owned())));
        }
        Some(_) => {
            let text = ground.read(&inner, POINTER_BYTES_MAX)?.unwrap_or_default();
            let target = text.strip_prefix(b"gitdir: ".as_slice());
            let target = target.ok_or_else(|| Fault::Corrupt("its `.git` is no folder and names none".to_owned()))?;
            let target = root.join(path_in(target)?);
            let linked = ground.adopt(&target, named, WORKING_TREE);
            let git = linked.or_else(|_| ground.adopt(&target, named, REPOSITORY)).map_err(|fault| match fault {
                Fault::Missing => Fault::Unsupported(
                    "its `.git` leads to a folder that is not there; mount that too, or name the repository itself"
                        .to_owned(),
                ),
                fault => fault,
            })?;
            return Ok((git, Some(root.to_owned())));
        }
        None => {}
    }
    let bare = ground.is_folder(&root.join("objects"))? && ground.is_folder(&root.join("refs"))?;
    if !bare || ground.stat(&root.join("HEAD"))?.is_none() {
        return Err(Fault::Unsupported(
            "it is no Git repository; name a working tree, a bare repository or a folder of them".to_owned(),
        ));
    }
    let tree = (root.file_name() == Some(".git".as_ref())).then(|| root.parent().map(Path::to_owned)).flatten();
    Ok((root.to_owned(), tree))
}

/// Whether a folder looks like a repository.
pub fn is_repository(ground: &Ground, folder: &Path) -> bool {
    // What leads outside is one that cannot be read.
    let has = |name: &str| !matches!(ground.stat(&folder.join(name)), Ok(None) | Err(Fault::Missing));
    has(".git") || (has("HEAD") && has("objects") && has("refs"))
}

/// A path as such files hold it, on one line.
fn path_in(text: &[u8]) -> Result<PathBuf, Fault> {
    use std::os::unix::ffi::OsStrExt as _;
    let text = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.is_empty() || text.contains(&0) || text.starts_with(b"\"") {
        return Err(Fault::Corrupt("a path in it is none".to_owned()));
    }
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(text)))
}
