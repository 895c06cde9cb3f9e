//! A web server that gives out a folder: nginx, with and without a token.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use crate::support::free_port;

pub const TOKEN: &str = "let-me-read";

pub struct Web {
    pub process: Process,
    /// `127.0.0.1:port`.
    pub host: String,
}

impl Web {
    pub fn start() -> Self {
        Self::with("")
    }

    /// One that asks for [`TOKEN`], but for `/ready`.
    pub fn with_token() -> Self {
        Self::with(&format!("location / {{ if ($http_authorization != \"Bearer {TOKEN}\") {{ return 401; }} }}\n"))
    }

    fn with(guard: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("served")).unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        // Its workers read what a test writes: nobody else is who the test is.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "daemon off; {user} worker_processes 1; pid nginx.pid; error_log stderr;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;\n\
             uwsgi_temp_path temp; scgi_temp_path temp;\n\
             server {{ listen {host}; root served; location = /ready {{ return 204; }}\n{guard} }} }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]);
        let process = Process::start(folder, command, &format!("http://{host}/ready"));
        Self { process, host }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.host)
    }

    /// The folder that it gives out.
    pub fn folder(&self) -> PathBuf {
        self.process.folder().join("served")
    }

    /// Puts a file there, whole or not at all.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.folder().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let new = self.process.folder().join("new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(&new, path).unwrap();
    }
}
