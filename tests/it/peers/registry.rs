//! The registry of the Docker project, with and without a password.

use std::process::{Command, Output};

use lanner::event::Sha256;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::Process;
use crate::support::{client, free_port, peer, runtime};

/// User and password of a registry that asks for them, with the line of `htpasswd -B` for them.
pub const USER: &str = "scanner";
pub const PASSWORD: &str = "let-me-read";
const HTPASSWD: &str = "scanner:$2b$05$CCCCCCCCCCCCCCCCCCCCC.SEVTZm6kVUP4sum5n2q8aLlW80PVmaO\n";

pub struct Registry {
    process: Process,
    /// `127.0.0.1:port`.
    pub host: String,
    password: bool,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Registry {
    pub fn start() -> Self {
        Self::with(false, "")
    }

    pub fn with_password() -> Self {
        Self::with(true, "")
    }

    /// One that tells an address of all that happens.
    pub fn notifying(url: &str) -> Self {
        let endpoint = format!("{{name: hints, url: \"{url}\", timeout: 5s, threshold: 3, backoff: 1s}}");
        Self::with(false, &format!("notifications: {{endpoints: [{endpoint}]}}\n"))
    }

    fn with(password: bool, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        let auth = if password {
            std::fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
            "auth: {htpasswd: {realm: models, path: htpasswd}}\n"
        } else {
            ""
        };
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: data}}, delete: {{enabled: true}}}}\nhttp: {{addr: \"{host}\"}}\n{auth}{more}"
        );
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut command = Command::new(peer("docker-registry"));
        command.args(["serve", "config.yml"]);
        let process = Process::start(folder, command, &format!("http://{host}/v2/"));
        Self { process, host, password, client: client(), runtime: runtime() }
    }

    /// Puts a blob; its digest.
    pub fn blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = format!("sha256:{}", Sha256::of(bytes));
        let begin = format!("http://{}/v2/{repository}/blobs/uploads/", self.host);
        self.runtime.block_on(async {
            let begun = self.signed(self.client.post(begin)).send().await.unwrap();
            let location = begun.headers()["location"].to_str().unwrap().to_owned();
            let url = format!("{location}&digest={digest}");
            let put = self.signed(self.client.put(url)).body(bytes.to_vec()).send().await.unwrap();
            assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
        });
        digest
    }

    /// Puts a manifest under a tag; its digest.
    pub fn manifest(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let kind = manifest["mediaType"].as_str().unwrap().to_owned();
        self.runtime.block_on(async {
            let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.host);
            let request = self.signed(self.client.put(url)).header("content-type", kind).body(bytes.clone());
            let put = request.send().await.unwrap();
            assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
        });
        format!("sha256:{}", Sha256::of(&bytes))
    }

    /// An artifact of named files, as ORAS packs them; its digest.
    pub fn artifact(&self, repository: &str, tag: &str, files: &[(&str, &[u8])]) -> String {
        let config = self.blob(repository, b"{}");
        let layers: Vec<Value> = files
            .iter()
            .map(|(name, bytes)| {
                json!({
                    "mediaType": "application/octet-stream",
                    "digest": self.blob(repository, bytes),
                    "size": bytes.len(),
                    "annotations": { "org.opencontainers.image.title": name },
                })
            })
            .collect();
        self.manifest(
            repository,
            tag,
            &json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
                "layers": layers,
            }),
        )
    }

    /// Deletes a manifest, with all tags that lead to it.
    pub fn delete(&self, repository: &str, digest: &str) {
        self.runtime.block_on(async {
            let url = format!("http://{}/v2/{repository}/manifests/{digest}", self.host);
            let deleted = self.signed(self.client.delete(url)).send().await.unwrap();
            assert_eq!(deleted.status(), 202, "{}", deleted.text().await.unwrap());
        });
    }

    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it once more, with what it has.
    pub fn again(&mut self) {
        self.process.again();
    }

    /// Requests that it answered so far, of those who call themselves so: method and path.
    pub fn asked_by(&self, agent: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.process.folder().join("server.log")).unwrap();
        let agent = format!("\"{agent}");
        let requests = log.lines().filter(|line| line.contains(" HTTP/1.1\"") && line.contains(&agent));
        requests.filter_map(|line| Some(line.split_once('"')?.1.split_once(" HTTP/")?.0.to_owned())).collect()
    }

    /// Where the registry keeps a blob, for those who write there behind its back.
    pub fn blob_file(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.process.folder().join(format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]))
    }

    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if self.password { request.basic_auth(USER, Some(PASSWORD)) } else { request }
    }
}

/// Runs a program of the peers to its end.
#[track_caller]
pub fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
