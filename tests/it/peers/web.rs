//! A web server that gives out a folder: nginx, with and without a token.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use crate::support::{free_port, run_python};

pub const TOKEN: &str = "let-me-read";

/// Writes a certificate for loopback by an authority of its own, and its key.
const CERTIFICATE: &str = r"
import datetime, ipaddress, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
folder, now = pathlib.Path(sys.argv[1]), datetime.datetime.now(datetime.timezone.utc)
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'loopback')])
made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), False)
pem = serialization.Encoding.PEM
(folder / 'cert.pem').write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
(folder / 'key.pem').write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
";

pub struct Web {
    pub process: Process,
    /// `127.0.0.1:port`.
    pub host: String,
}

impl Web {
    pub fn start() -> Self {
        Self::with("", "")
    }

    /// One that speaks TLS, with a certificate that nobody trusts.
    pub fn with_tls() -> Self {
        Self::with(" ssl", "ssl_certificate cert.pem; ssl_certificate_key key.pem;")
    }

    /// One that asks for [`TOKEN`], but for `/ready`.
    pub fn with_token() -> Self {
        let guard = format!("location / {{ if ($http_authorization != \"Bearer {TOKEN}\") {{ return 401; }} }}\n");
        Self::with("", &guard)
    }

    fn with(listen: &str, settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        if listen.contains("ssl") {
            run_python(CERTIFICATE, &[&folder.path().display().to_string()]);
        }
        std::fs::create_dir(folder.path().join("served")).unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        // Its workers read what a test writes: nobody else is who the test is.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "daemon off; {user} worker_processes 1; pid nginx.pid; error_log stderr;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;\n\
             uwsgi_temp_path temp; scgi_temp_path temp;\n\
             server {{ listen {host}{listen}; root served; location = /ready {{ return 204; }}\n{settings} }} }}\n"
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
