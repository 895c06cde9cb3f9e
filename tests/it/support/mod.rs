//! What suites share: waiting, free ports, the program as a process, and a receiver of alerts.

pub mod program;
pub mod receiver;
pub mod traffic;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Polls until the condition gives a value; fails with what was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {within:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port on loopback that nothing listens on, and that no outgoing connection is given: those come
/// from above 32768. No port is handed out twice in one run.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        let port = 16_000 + u16::try_from(number).expect("it is less than 16,000");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A program that the tests' set-up installed.
pub fn peer(name: &str) -> PathBuf {
    let candidates = ["/usr/bin", "/usr/local/bin"].map(|folder| PathBuf::from(folder).join(name));
    candidates
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("`{name}` is not installed; run `make peers`"))
}

/// The folder of what the tests' set-up installed.
pub fn peers() -> PathBuf {
    std::env::var_os("LANNER_PEERS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".peers"), PathBuf::from)
}

/// The interpreter that has the real libraries.
pub fn python() -> PathBuf {
    let python = peers().join("venv/bin/python");
    assert!(python.exists(), "`{}` is not installed; run `make peers`", python.display());
    python
}

/// Runs a Python program with the real libraries; its standard output.
pub fn run_python(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(python())
        .arg("-c")
        .arg(program)
        .args(arguments)
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("DO_NOT_TRACK", "1")
        .output()
        .expect("Python can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `GET` over HTTP/1.1: status and body.
pub fn get(url: &str) -> Option<(u16, String)> {
    runtime().block_on(async {
        let response = client().get(url).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.text().await.ok()?))
    })
}

/// A client without surprises.
pub fn client() -> reqwest::Client {
    lanner::base::http::client(&lanner::base::http::Options::default()).expect("a client can be made")
}

/// A runtime for a test that needs one.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be made")
}

/// A repeatable source of numbers (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
