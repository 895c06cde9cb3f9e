//! A server as a process of its own: started with a log, waited for, stopped by its pid.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{get, wait_for};

/// How long a server may take until it answers.
const START: Duration = Duration::from_mins(2);

/// A server and its folder; both are gone when it is dropped.
pub struct Process {
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts a server in a folder, and waits until the address answers with anything.
    pub fn start(folder: TempDir, command: &mut Command, ready: &str) -> Self {
        let path = folder.path().join("server.log");
        let log = std::fs::File::create(&path).unwrap();
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // Its workers are in the same group, to be stopped with it.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; run `make peers`"));
        let process = Self { child, folder };
        wait_for(&format!("{ready} ({})", path.display()), START, || get(ready));
        process
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        drop(self.child.wait());
    }
}
