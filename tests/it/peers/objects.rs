//! Object stores: `SeaweedFS` for S3, fake-gcs-server for Google Cloud Storage, Azurite for Azure.

use std::process::Command;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tempfile::TempDir;

use super::process::Process;
use super::registry::done;
use crate::support::{client, free_port, peers, runtime};

const ACCESS_KEY: &str = "AKIALANNERTEST";
const SECRET_KEY: &str = "not-much-of-a-secret";
const ACCOUNT: &str = "devstoreaccount1";

/// Which store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    S3,
    Google,
    Azure,
}

/// A store with what a client must know of it.
pub struct Store {
    process: Process,
    kind: Kind,
    http: reqwest::Client,
    /// Variables for the program.
    pub variables: Vec<(String, String)>,
    url: String,
    /// Where `SeaweedFS` takes files without a signature.
    filer: String,
}

impl Store {
    /// S3: signatures are checked.
    pub fn seaweed() -> Self {
        Self::seaweed_in(TempDir::new().unwrap())
    }

    /// The same, telling an address of everything that happens.
    pub fn seaweed_telling(url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let text = format!(
            "[notification.webhook]\nenabled = true\nendpoint = \"{url}\"\nmax_retries = 3\nbackoff_seconds = 1\n\
             event_types = [\"create\", \"update\", \"delete\", \"rename\"]\n"
        );
        std::fs::write(folder.path().join("notification.toml"), text).unwrap();
        Self::seaweed_in(folder)
    }

    fn seaweed_in(folder: TempDir) -> Self {
        let identities = format!(
            r#"{{"identities":[{{"name":"admin","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        std::fs::write(folder.path().join("s3.json"), identities).unwrap();
        let (s3, filer) = (free_port(), free_port());
        let mut command = Command::new(peers().join("venv/bin/weed"));
        command.args([
            "server",
            "-dir=.",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
            "-s3.config=s3.json",
        ]);
        command.args(["-volume.max=100", "-master.volumeSizeLimitMB=64"]);
        // Every door that it would open by itself is given a free number, or closed; it reports to nobody.
        command.arg("-master.telemetry=false").args([
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            &format!("-s3.port={s3}"),
            &format!("-filer.port={filer}"),
        ]);
        for door in
            ["master.port", "volume.port", "master.port.grpc", "volume.port.grpc", "filer.port.grpc", "s3.port.grpc"]
        {
            command.arg(format!("-{door}={}", free_port()));
        }
        let url = format!("http://127.0.0.1:{s3}");
        let process = Process::start(folder, command, &url);
        let variables = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &url),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { process, http: client(), kind: Kind::S3, variables, url, filer: format!("http://127.0.0.1:{filer}") }
    }

    /// Google Cloud Storage, with these objects: `bucket/key`.
    pub fn google(objects: &[(&str, &[u8])]) -> Self {
        let folder = TempDir::new().unwrap();
        for (key, bytes) in objects {
            let path = folder.path().join("objects").join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        Self::google_in(folder, "memory")
    }

    /// With an empty bucket, keeping what it holds when it is stopped.
    pub fn google_on_disk(bucket: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join("objects").join(bucket)).unwrap();
        Self::google_in(folder, "filesystem")
    }

    fn google_in(folder: TempDir, backend: &str) -> Self {
        let port = free_port();
        let package = peers().join("venv/lib");
        let program = walkdir::WalkDir::new(package)
            .into_iter()
            .flatten()
            .find(|entry| entry.file_name() == "fake-gcs-server-linux-amd64")
            .expect("fake-gcs-server is installed; run `make peers`");
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(program.path());
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string(), "-backend", backend]);
        command.args(["-public-host", &format!("127.0.0.1:{port}")]);
        // Where it keeps objects, or what it begins with.
        command.args([if backend == "memory" { "-data" } else { "-filesystem-root" }, "objects"]);
        let process = Process::start(folder, command, &format!("{url}/storage/v1/b"));
        let variables =
            vec![("GOOGLE_BASE_URL".to_owned(), url.clone()), ("GOOGLE_SKIP_SIGNATURE".to_owned(), "true".to_owned())];
        Self { process, http: client(), kind: Kind::Google, variables, url, filer: String::new() }
    }

    /// Azure Blob Storage, with these objects in a container.
    pub fn azure(container: &str, objects: &[(&str, &[u8])]) -> Self {
        let folder = TempDir::new().unwrap();
        let modules = peers().join("npm/node_modules");
        let port = free_port();
        let mut command = Command::new(modules.join(".bin/azurite-blob"));
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location", "data"]);
        command.args(["--skipApiVersionCheck", "--disableTelemetry", "--silent"]);
        let url = format!("http://127.0.0.1:{port}");
        let process = Process::start(folder, command, &url);
        // Only Azure's own client makes containers.
        for (number, (key, bytes)) in objects.iter().enumerate() {
            let file = process.folder().join(format!("object-{number}"));
            std::fs::write(&file, bytes).unwrap();
            let script = format!(
                "const {{BlobServiceClient}} = require('@azure/storage-blob');
                 const service = BlobServiceClient.fromConnectionString(process.env.CONNECTION);
                 (async () => {{
                   const container = service.getContainerClient('{container}');
                   await container.createIfNotExists();
                   await container.getBlockBlobClient({key:?}).uploadFile('{}');
                 }})().catch(error => {{ console.error(error); process.exit(1); }});",
                file.display()
            );
            let connection = format!(
                "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={AZURITE_KEY};BlobEndpoint={url}/{ACCOUNT};"
            );
            done(Command::new("node").args(["-e", &script]).env("NODE_PATH", &modules).env("CONNECTION", connection));
        }
        let variables = vec![
            ("AZURE_STORAGE_USE_EMULATOR".to_owned(), "true".to_owned()),
            ("AZURITE_BLOB_STORAGE_URL".to_owned(), url.clone()),
        ];
        Self { process, http: client(), kind: Kind::Azure, variables, url, filer: String::new() }
    }

    /// A client of S3 for one bucket, which is made with the first object.
    pub fn s3(&self, bucket: &str) -> Arc<dyn ObjectStore> {
        assert_eq!(self.kind, Kind::S3);
        self.client(bucket)
    }

    /// A client of the store for one bucket; of Google's stand-in it is not used.
    pub fn client(&self, bucket: &str) -> Arc<dyn ObjectStore> {
        lanner::base::http::provider();
        let plain = object_store::ClientOptions::new().with_allow_http(true);
        match self.kind {
            Kind::S3 => Arc::new(
                AmazonS3Builder::new()
                    .with_endpoint(&self.url)
                    .with_client_options(plain)
                    .with_region("us-east-1")
                    .with_bucket_name(bucket)
                    .with_access_key_id(ACCESS_KEY)
                    .with_secret_access_key(SECRET_KEY)
                    .build()
                    .unwrap(),
            ),
            Kind::Google => Arc::new(object_store::memory::InMemory::new()),
            Kind::Azure => Arc::new(
                MicrosoftAzureBuilder::new()
                    .with_endpoint(format!("{}/{ACCOUNT}", self.url))
                    .with_client_options(plain)
                    .with_account(ACCOUNT)
                    .with_access_key(AZURITE_KEY)
                    .with_container_name(bucket)
                    .build()
                    .unwrap(),
            ),
        }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// What is to be written as `endpoint` to reach it by way of an address.
    pub fn endpoint(&self, by: &str) -> String {
        if self.kind == Kind::Azure { format!("http://{by}/{ACCOUNT}") } else { format!("http://{by}") }
    }

    /// Variables of whom the store knows, or of a stranger.
    pub fn credentials(&self, known: bool) -> String {
        match (self.kind, known) {
            (Kind::S3, true) => format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={SECRET_KEY}\n"),
            (Kind::S3, false) => format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY=wrong\n"),
            (Kind::Google, _) => "# It asks nobody who they are.\nGOOGLE_SKIP_SIGNATURE=true\n".to_owned(),
            (Kind::Azure, true) => {
                format!("AZURE_STORAGE_ACCOUNT_NAME={ACCOUNT}\nAZURE_STORAGE_ACCOUNT_KEY={AZURITE_KEY}\n")
            }
            (Kind::Azure, false) => {
                format!("AZURE_STORAGE_ACCOUNT_NAME={ACCOUNT}\nAZURE_STORAGE_ACCOUNT_KEY=d3Jvbmcga2V5\n")
            }
        }
    }

    /// Stops it, so that it keeps what it holds.
    pub fn stop(&mut self) {
        // Azurite writes every few seconds what it was told.
        if self.kind == Kind::Azure { self.process.quit() } else { self.process.stop() }
    }

    /// Starts it again with what it holds.
    pub fn start(&mut self) {
        self.process.again();
    }

    /// Makes a bucket, as nobody but an administrator may.
    pub fn make_bucket(&self, bucket: &str) {
        let made = runtime().block_on(async {
            client().post(format!("{}/buckets/{bucket}/", self.filer)).send().await.unwrap().status()
        });
        assert!(made.is_success(), "{made}");
    }

    /// Puts an object, by the interface that each store takes.
    pub async fn put_with(&self, client: &dyn ObjectStore, bucket: &str, key: &str, bytes: &[u8]) {
        if self.kind == Kind::Google {
            // The stand-in takes uploads by the JSON interface only.
            let (url, name) = (&self.url, lanner::base::uri::encode(key));
            let url = format!("{url}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}");
            let answer = self.http.post(url).body(bytes.to_vec()).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.status());
        } else {
            client.put(&Path::parse(key).unwrap(), bytes.to_vec().into()).await.unwrap();
        }
    }

    /// Deletes an object.
    pub async fn delete_with(&self, client: &dyn ObjectStore, bucket: &str, key: &str) {
        if self.kind == Kind::Google {
            let url = format!("{}/storage/v1/b/{bucket}/o/{}", self.url, lanner::base::uri::encode(key));
            let answer = self.http.delete(url).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.status());
        } else {
            client.delete(&Path::parse(key).unwrap()).await.unwrap();
        }
    }

    /// Puts an object into S3.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let store = self.s3(bucket);
        runtime().block_on(async {
            store.put(&Path::parse(key).unwrap(), bytes.to_vec().into()).await.unwrap();
        });
    }

    pub fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// The key that every Azurite has.
const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
