//! The settings of watched repositories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::refs::{self, Globs};
use super::watch::Repositories;
use crate::sources::filter::{EXCLUDED, Filter};
use crate::sources::{Built, Settings};

/// Plain files that are looked into unless the configuration says otherwise: weights, data, prompts, and the
/// configurations and code that loaders read beside them.
const INCLUDED: &[&str] = &[
    "*.{safetensors,gguf,ggml,npy,npz,pt,pth,ckpt,bin,ptl,pt2,pkl,pickle,joblib,dill,keras,h5,hdf5,onnx,tflite,pte,pb}",
    "*.{mlmodel,pdmodel,pdiparams,ubj,msgpack,t7,cbm,llamafile,mnn,rknn,engine,plan,skops,pmml,rds,rda,rdata,mar,nemo}",
    "*.{parquet,arrow,arrows,feather,jsonl,ndjson,csv,tsv,ipynb,jinja,prompt,prompty,model}",
    "{config,generation_config,adapter_config,tokenizer,tokenizer_config,special_tokens_map,preprocessor_config}.json",
    "{modeling,configuration,tokenization,processing}_*.py",
    "MLmodel",
    "Modelfile",
    "**/prompts/**",
];

/// Branches that servers of Git protect, or people would.
const PROTECTED: &[&str] =
    &["main", "master", "trunk", "develop", "prod", "production", "staging", "stable", "release/**", "releases/**"];

/// Refs of a lower rank are remembered beyond the end of the agent.
const REMEMBERED: u8 = 3;

/// A source that watches Git repositories on this host: working trees, bare repositories, mirrors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name in events, metrics and the status page.
    pub name: String,
    /// Repositories: working trees, bare repositories, or folders below which all repositories are watched.
    pub repositories: Vec<PathBuf>,
    /// Globs of refs. Those that begin with `refs/`, and `HEAD`, are for whole names, others for names of branches.
    pub refs: Vec<String>,
    /// Globs of tags that may move, by their short names; any other tag must lead where it always did.
    pub moving_tags: Vec<String>,
    /// Globs of branches whose history must not be rewritten: those that something is trained, tested or served from.
    /// Of others it is routine, since people rebase what is theirs.
    pub protected_branches: Vec<String>,
    /// Globs of plain files to look into; none means all. Pointers of LFS and files of DVC are read whatever they are
    /// called. Without a slash a glob matches a name anywhere, with one the path in the repository.
    pub include: Vec<String>,
    /// Globs of files and folders to leave out, pointers too.
    pub exclude: Vec<String>,
    /// Folders outside of the repositories that these may refer to: by links, `objects/info/alternates`, a `.git` that
    /// names a folder, `lfs.storage`. Other repositories below `repositories` need not be named.
    pub outside: Vec<PathBuf>,
    /// Caches of DVC beside `.dvc/cache` of a working tree.
    pub dvc_caches: Vec<PathBuf>,
    /// Look at everything, also whether bytes in LFS storage and DVC caches are as before.
    pub sweep_interval_secs: u64,
    /// Look whether a ref moved.
    pub poll_interval_secs: u64,
    /// Larger artifacts are not opened.
    pub artifact_bytes_max: u64,
    /// Files of one tree that are looked through.
    pub files_max: usize,
    /// Repositories, refs and files that are kept.
    pub records_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        let texts = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        Self {
            name: "git".to_owned(),
            repositories: Vec::new(),
            refs: texts(&["refs/heads/**", "refs/tags/**"]),
            moving_tags: texts(&["latest", "nightly"]),
            protected_branches: texts(PROTECTED),
            include: texts(INCLUDED),
            exclude: texts(EXCLUDED).into_iter().filter(|glob| glob != "*.lock").collect(),
            outside: Vec::new(),
            dvc_caches: Vec::new(),
            sweep_interval_secs: 60,
            poll_interval_secs: 5,
            artifact_bytes_max: 4 << 30,
            files_max: 250_000,
            records_max: 200_000,
        }
    }
}

/// Settings that make sense.
pub struct Checked {
    pub config: Config,
    pub filter: Filter,
    pub refs: Globs,
    pub moving: GlobSet,
    pub protected: GlobSet,
    /// Those of the protected branches that are named, and not by a glob.
    named: BTreeSet<String>,
    /// Folders outside of a repository that it may refer to.
    pub outside: Vec<PathBuf>,
}

impl Checked {
    /// Whether the history of a ref must not be rewritten, by what people call it. What a clone follows counts like
    /// the branch itself; tags that may move have no history to keep.
    pub fn protects(&self, short: &str) -> bool {
        let followed = short.strip_prefix("refs/remotes/").and_then(|branch| branch.split_once('/'));
        let branch = followed.map_or(short, |(_, branch)| branch);
        !short.starts_with("tags/") && self.protected.is_match(branch)
    }

    /// Whether a ref must lead where it always did, by what people call it.
    pub fn fixes(&self, short: &str) -> bool {
        short.strip_prefix("tags/").is_some_and(|tag| !self.moving.is_match(tag))
    }

    /// What is looked at first, where there is more than can be: the default branch and protected branches that are
    /// named, those of which only a glob speaks, then tags that must not move. So nobody hides one behind a flood of
    /// others: names are few, but of what a glob matches anybody who can push can make as many as he likes.
    pub fn rank(&self, name: &str, default: Option<&str>) -> u8 {
        let short = refs::short(name);
        match (self.protects(short), self.fixes(short)) {
            _ if name == "HEAD" || Some(name) == default || self.named.contains(short) => 0,
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => REMEMBERED,
        }
    }

    /// Whether it is remembered beyond the end of the agent where a ref leads: a flood then does not hide it either.
    pub fn remembers(&self, name: &str, default: Option<&str>) -> bool {
        self.rank(name, default) < REMEMBERED
    }
}

impl Config {
    fn checked(mut self) -> Result<Checked, Vec<String>> {
        let mut problems = Vec::new();
        if self.repositories.is_empty() {
            problems.push("`repositories` is empty; name at least one repository, or a folder of them".to_owned());
        }
        for (name, number) in [
            ("sweep_interval_secs", self.sweep_interval_secs),
            ("poll_interval_secs", self.poll_interval_secs),
            ("files_max", self.files_max as u64),
            ("records_max", self.records_max as u64),
        ] {
            if number == 0 {
                problems.push(format!("`{name}` is 0; write at least 1"));
            }
        }
        for path in self.repositories.iter_mut().chain(&mut self.outside).chain(&mut self.dvc_caches) {
            match std::path::absolute(&*path) {
                Ok(absolute) => *path = absolute,
                Err(error) => problems.push(format!("`{}` is no path: {error}", path.display())),
            }
        }
        let mut last: Vec<&str> = self.repositories.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        last.sort_unstable();
        for pair in last.array_windows::<2>().filter(|[one, other]| one == other) {
            let name = pair[0];
            problems.push(format!("`repositories` has two that are called `{name}`; name the folder that both lie in"));
        }
        let refs = Globs::new(&self.refs).map_err(|bad| problems.extend(bad));
        let filter = Filter::new(&self.include, &self.exclude).map_err(|bad| problems.extend(bad));
        let moving = names("moving_tags", &self.moving_tags).map_err(|bad| problems.push(bad));
        let protected = names("protected_branches", &self.protected_branches).map_err(|bad| problems.push(bad));
        let is_name = |text: &&String| !text.contains(['*', '?', '[', '{', '\\']);
        let named = self.protected_branches.iter().filter(is_name).cloned().collect();
        let outside = self.outside.iter().chain(&self.dvc_caches).cloned().collect();
        match (refs, filter, moving, protected) {
            (Ok(refs), Ok(filter), Ok(moving), Ok(protected)) if problems.is_empty() => {
                Ok(Checked { config: self, filter, refs, moving, protected, named, outside })
            }
            _ => Err(problems),
        }
    }
}

fn names(setting: &str, globs: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for text in globs {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        set.add(glob.map_err(|error| format!("`{setting}` has the glob `{text}`: {}", error.kind()))?);
    }
    set.build().map_err(|error| format!("`{setting}`: {error}; use fewer or simpler globs"))
}

impl Settings for Config {
    fn build(self) -> Built {
        Ok(Arc::new(Repositories::new(self.checked()?)))
    }
}

/// What a repository is called by its path below a folder, or by its own: `team/ranker` for `team/ranker.git`.
pub fn name_of(path: &Path) -> String {
    let path = if path.file_name() == Some(".git".as_ref()) { path.parent().unwrap_or(path) } else { path };
    let text = crate::sources::filesystem::escape(path);
    text.strip_suffix(".git").unwrap_or(&text).to_owned()
}
