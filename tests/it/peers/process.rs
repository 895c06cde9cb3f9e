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
    child: Option<Child>,
    command: Command,
    ready: String,
    folder: TempDir,
}

impl Process {
    /// Starts a server in a folder, and waits until the address answers with anything.
    pub fn start(folder: TempDir, mut command: Command, ready: &str) -> Self {
        let log = std::fs::File::create(folder.path().join("server.log")).unwrap();
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // Its workers are in the same group, to be stopped with it.
            .process_group(0);
        let mut process = Self { child: None, command, ready: ready.to_owned(), folder };
        process.again();
        process
    }

    /// Starts it once more in its folder, with what it left there.
    pub fn again(&mut self) {
        let command = &mut self.command;
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run `make peers`"));
        self.child = Some(child);
        let log = self.folder.path().join("server.log");
        wait_for(&format!("{} ({})", self.ready, log.display()), START, || get(&self.ready));
    }

    /// Kills it, and all that it started.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        drop(child.wait());
    }

    /// Lets it stand still, or go on: what it holds in memory stays.
    pub fn pause(&self, paused: bool) {
        let signal = if paused { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process_group(pid, signal).unwrap();
        }
    }

    /// Asks it to end, and waits: some servers write what they hold only then.
    pub fn quit(&mut self) {
        if let Some(child) = &mut self.child {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
            }
            wait_for("a server to end", START, || child.try_wait().ok().flatten());
        }
        self.stop();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
