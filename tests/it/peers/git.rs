//! Repositories made by the real Git, with the real Git LFS.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{peer, peers};

/// A repository in a folder of its own.
pub struct Repository {
    folder: TempDir,
    pub path: PathBuf,
}

/// Runs Git in a folder, with nobody's configuration; its standard output.
pub fn git_in(folder: &Path, home: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(peer("git"))
        .args(arguments)
        .current_dir(folder)
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Repository {
    fn make(arguments: &[&str], name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        let shown = path.to_str().unwrap();
        git_in(folder.path(), folder.path(), &[&["init", "--quiet", "-b", "main"], arguments, &[shown]].concat(), b"");
        Self { folder, path }
    }

    /// Without a working tree.
    pub fn bare() -> Self {
        Self::make(&["--bare"], "models.git")
    }

    pub fn bare_sha256() -> Self {
        Self::make(&["--bare", "--object-format=sha256"], "models.git")
    }

    /// With a working tree.
    pub fn tree() -> Self {
        Self::make(&[], "models")
    }

    /// With a working tree, of which LFS keeps the files with these names.
    pub fn lfs(patterns: &str) -> Self {
        let repository = Self::tree();
        peer("git-lfs");
        repository.git(&["lfs", "install", "--local"]);
        let mut lines = String::new();
        for name in patterns.split(' ') {
            writeln!(lines, "{name} filter=lfs diff=lfs merge=lfs -text").unwrap();
        }
        repository.commit(&[(".gitattributes", lines.as_bytes())], "large files are kept by LFS");
        repository
    }

    /// The folder that the repository lies in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.path, self.folder(), arguments, b"")
    }

    pub fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        git_in(&self.path, self.folder(), arguments, input)
    }

    /// Writes files into the working tree and commits them; the commit.
    pub fn commit(&self, files: &[(&str, &[u8])], message: &str) -> String {
        for (name, bytes) in files {
            let path = self.path.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.head()
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits to a branch without a working tree: files with their bytes, or without to delete them. The commit.
    pub fn import(&self, branch: &str, files: &[(&[u8], Option<&[u8]>)]) -> String {
        let mut stream = Vec::new();
        let before = self.git(&["for-each-ref", "--format=%(objectname)", branch]);
        write!(stream, "commit {branch}\ncommitter Ada <ada@example.com> 1700000000 +0000\ndata 1\n.\n").unwrap();
        if !before.is_empty() {
            writeln!(stream, "from {before}").unwrap();
        }
        for (name, bytes) in files {
            match bytes {
                Some(bytes) => {
                    writeln!(stream, "M 100644 inline {}\ndata {}", quoted(name), bytes.len()).unwrap();
                    stream.extend_from_slice(bytes);
                    stream.push(b'\n');
                }
                None => writeln!(stream, "D {}", quoted(name)).unwrap(),
            }
        }
        self.git_with(&["-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", "--force"], &stream);
        self.git(&["rev-parse", branch])
    }

    /// Writes a tree as it is given, whatever Git itself would say of it; its name.
    pub fn raw_tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            write!(bytes, "{mode} ").unwrap();
            bytes.extend_from_slice(name);
            bytes.push(0);
            let hex = |at: usize| u8::from_str_radix(id.get(at..at + 2).unwrap(), 16).unwrap();
            bytes.extend((0..id.len()).step_by(2).map(hex));
        }
        self.git_with(&["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], &bytes)
    }

    pub fn blob(&self, bytes: &[u8]) -> String {
        self.git_with(&["hash-object", "-w", "--stdin"], bytes)
    }

    /// Lets a branch lead to a new commit of a tree.
    pub fn commit_tree(&self, branch: &str, tree: &str) -> String {
        let commit = self.git(&["commit-tree", "-m", "x", tree]);
        self.git(&["update-ref", branch, &commit]);
        commit
    }

    /// Runs the real DVC, with nobody's configuration.
    pub fn dvc(&self, arguments: &[&str]) {
        let program = peers().join("venv/bin/dvc");
        assert!(program.exists(), "`{}` is not installed; run `make peers`", program.display());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.path).env("HOME", self.folder()).env("DVC_NO_ANALYTICS", "1");
        for name in ["DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"] {
            command.env(name, self.folder());
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "dvc {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The folder of Git itself.
    pub fn inner(&self) -> PathBuf {
        let inner = self.path.join(".git");
        if inner.is_dir() { inner } else { self.path.clone() }
    }

    /// Files of packs.
    pub fn packs(&self, extension: &str) -> Vec<PathBuf> {
        let names = std::fs::read_dir(self.inner().join("objects/pack")).unwrap();
        let paths = names.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect()
    }
}

/// A name as `git fast-import` reads it.
fn quoted(name: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in name {
        match byte {
            b'"' | b'\\' => write!(text, "\\{}", char::from(*byte)).unwrap(),
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => write!(text, "\\{byte:03o}").unwrap(),
        }
    }
    text.push('"');
    text
}
