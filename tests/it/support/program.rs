//! The program as a process, as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::{free_port, get, wait_for};

/// The program's path.
pub const LANNER: &str = env!("CARGO_BIN_EXE_lanner");

/// Runs a verb to its end.
pub fn lanner(arguments: &[&str]) -> Output {
    lanner_in(Path::new("."), arguments)
}

/// Runs a verb in a directory.
pub fn lanner_in(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(LANNER)
        .args(arguments)
        .current_dir(directory)
        .env_remove("MLFLOW_TRACKING_URI")
        .output()
        .expect("the program can be run")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running agent.
pub struct Agent {
    child: Child,
    pub port: u16,
    /// What it said on standard error.
    pub log: PathBuf,
}

impl Agent {
    /// Starts `lanner run` in a directory with the configuration written there as `lanner.yaml`,
    /// to which `state` and `http` are added.
    pub fn start(directory: &Path, config: &str) -> Self {
        let port = free_port();
        let text = format!("state: {{path: state}}\nhttp: {{listen: \"127.0.0.1:{port}\"}}\n{config}");
        std::fs::write(directory.join("lanner.yaml"), text).expect("the directory is writable");
        Self::start_again(directory, port)
    }

    /// Starts it again with the configuration that is there.
    pub fn start_again(directory: &Path, port: u16) -> Self {
        let log = directory.join("agent.log");
        let append =
            || std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("the log can be opened");
        let child = Command::new(LANNER)
            .args(["run", "--config", "lanner.yaml"])
            .current_dir(directory)
            .env_remove("MLFLOW_TRACKING_URI")
            .stdin(Stdio::null())
            .stdout(append())
            .stderr(append())
            .spawn()
            .expect("the program can be run");
        Self { child, port, log }
    }

    /// Waits until every source has completed its first listing.
    pub fn ready(self) -> Self {
        wait_for("the agent to be ready", Duration::from_secs(60), || {
            (get(&self.url("/readyz"))?.0 == 200).then_some(())
        });
        self
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sum of all series of a metric whose line holds the text.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let Some((200, text)) = get(&self.url("/metrics")) else { return 0.0 };
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter(|line| line[name.len()..].starts_with(['{', ' ']))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Sends a signal by number.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill can be run").success());
    }

    /// SIGTERM, and the exit code.
    pub fn stop(self) -> Option<i32> {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until it ends by itself; the exit code.
    pub fn ended(mut self) -> Option<i32> {
        let status = wait_for("the agent to stop", Duration::from_secs(40), || self.child.try_wait().ok().flatten());
        status.code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A test that failed must not leave its agent behind.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the agent said:\n{}", self.log());
        }
    }
}
