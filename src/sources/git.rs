//! Git repositories on this host: working trees, bare repositories, mirrors. Models, data and prompts that are kept in
//! them by Git itself, by LFS or by DVC.
//!
//! Nothing is written, no program is run, and no configuration but the repository's own is read. Refs say what there is:
//! the tree at the tip of each is listed. Objects, packs and refs are read by position and with bounds, since whoever can
//! write to a repository can write anything into it.

mod changes;
mod config;
mod discover;
mod dvc;
mod files;
mod history;
mod inflate;
mod layout;
mod look;
mod objects;
mod open;
mod pack;
mod pointer;
mod records;
mod refs;
mod stored;
mod tree;
mod watch;

pub use config::Config;
