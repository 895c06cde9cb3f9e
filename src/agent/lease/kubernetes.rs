//! A Lease of Kubernetes (`coordination.k8s.io/v1`), held as its own components hold theirs: whoever renews it in time
//! keeps it, and a holder that did not is judged by our clock alone, since clocks of hosts differ.
//!
//! Reference: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/>.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

use crate::base::environment::variable;
use crate::base::http::{self, Options};
use crate::base::{clock, files};
use crate::config::raw;
use crate::event::digest;

/// How long others wait for a holder that does not renew.
const DURATION_SECS: u64 = 15;
/// How long we go on without having renewed.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(2);
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of a Lease, a token, a certificate.
const BYTES_MAX: u64 = 1 << 20;

/// One Lease, and who we are.
pub struct Cluster {
    client: Client,
    url: Url,
    /// Where it is made.
    all: Url,
    token: PathBuf,
    namespace: String,
    name: String,
    identity: String,
    seen: Mutex<Option<Seen>>,
}

/// Another holder's last renewal, and when we saw it first.
struct Seen {
    holder: String,
    renewed: String,
    at: Instant,
}

impl Cluster {
    /// As a pod is told: the address by the environment, token, authority and namespace in the folder of its service
    /// account.
    pub fn new(config: &raw::KubernetesLease) -> Result<Self, String> {
        let account = &config.service_account;
        let server = config.server.clone().map_or_else(in_cluster, Ok)?;
        let namespace = config.namespace.clone().map_or_else(|| own_namespace(account), Ok)?;
        let path =
            format!("{}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", server.trim_end_matches('/'));
        let all = Url::parse(&path).map_err(|error| format!("`{server}` is no address of a cluster: {error}"))?;
        let url = Url::parse(&format!("{path}/{}", config.name)).map_err(|error| error.to_string())?;
        let authorities = files::read(&account.join("ca.crt"), BYTES_MAX).ok();
        let options = Options { timeout: Some(REQUEST_WITHIN), authorities, ..Options::default() };
        Ok(Self {
            client: http::client(&options)?,
            url,
            all,
            token: account.join("token"),
            namespace,
            name: config.name.clone(),
            identity: identity(),
            seen: Mutex::default(),
        })
    }

    /// Namespace and name.
    pub fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Takes or renews it: `None` if it is ours now, else who holds it.
    pub async fn take(&self) -> Result<Option<String>, String> {
        let Some(mut lease) = self.get().await? else {
            let new = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": { "name": self.name, "namespace": self.namespace },
                "spec": self.spec(None),
            });
            return self.put(Method::POST, self.all.clone(), &new).await;
        };
        let spec = lease.get("spec").cloned().unwrap_or_default();
        let holder = text(&spec, "holderIdentity");
        if !holder.is_empty() && holder != self.identity && !self.is_late(&spec) {
            return Ok(Some(holder));
        }
        // All else that is written there stays.
        lease["spec"] = self.spec(Some(&spec));
        self.put(Method::PUT, self.url.clone(), &lease).await
    }

    /// Renews it until it is lost, and says why.
    pub async fn renew(&self) -> String {
        let mut renewed = Instant::now();
        let mut why = "nobody answered in time".to_owned();
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let asked = Instant::now();
            // Others count from when they saw it renewed, which is not before we asked.
            let left = RENEW_WITHIN.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.take()).await {
                Ok(Ok(None)) => renewed = asked,
                Ok(Ok(Some(holder))) => return format!("`{holder}` took it"),
                Ok(Err(failed)) => why = failed,
                Err(_) => return why,
            }
        }
    }

    /// Lets go of it, if it is still ours.
    pub async fn release(&self) {
        let Ok(Some(mut lease)) = self.get().await else { return };
        let spec = lease.get("spec").cloned().unwrap_or_default();
        if text(&spec, "holderIdentity") == self.identity {
            lease["spec"] = self.spec(Some(&spec));
            lease["spec"]["holderIdentity"] = json!("");
            lease["spec"]["leaseDurationSeconds"] = json!(1);
            // If that fails, it ends by itself.
            drop(self.put(Method::PUT, self.url.clone(), &lease).await);
        }
    }

    /// The specification with us as its holder.
    fn spec(&self, before: Option<&Value>) -> Value {
        let now = clock::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let ours = before.is_some_and(|spec| text(spec, "holderIdentity") == self.identity);
        let acquired = before.filter(|_| ours).map_or_else(|| json!(now), |spec| spec["acquireTime"].clone());
        let transitions = before.and_then(|spec| spec["leaseTransitions"].as_u64()).unwrap_or(0);
        json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION_SECS,
            "acquireTime": acquired,
            "renewTime": now,
            "leaseTransitions": transitions.saturating_add(u64::from(before.is_some() && !ours)),
        })
    }

    /// Whether its holder has not renewed it for as long as it promised to.
    fn is_late(&self, spec: &Value) -> bool {
        let (holder, renewed) = (text(spec, "holderIdentity"), text(spec, "renewTime"));
        let within = Duration::from_secs(spec["leaseDurationSeconds"].as_u64().unwrap_or(DURATION_SECS));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some(before) if before.holder == holder && before.renewed == renewed => before.at.elapsed() > within,
            Some(_) | None => {
                *seen = Some(Seen { holder, renewed, at: Instant::now() });
                false
            }
        }
    }

    async fn get(&self) -> Result<Option<Value>, String> {
        let answer =
            self.request(Method::GET, self.url.clone()).send().await.map_err(|error| self.failed(&error.into()))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = http::success(answer).map_err(|failure| self.failed(&failure))?;
        let body = http::body(answer, BYTES_MAX).await.map_err(|failure| self.failed(&failure))?;
        let lease: Value = serde_json::from_slice(&body).map_err(|error| format!("{}: {error}", self.lease()))?;
        if lease.is_object() { Ok(Some(lease)) } else { Err(format!("{} is no Lease", self.lease())) }
    }

    /// Writes it, unless somebody else did since it was read.
    async fn put(&self, method: Method, url: Url, lease: &Value) -> Result<Option<String>, String> {
        let answer = self.request(method, url).json(lease).send().await.map_err(|error| self.failed(&error.into()))?;
        if answer.status() == StatusCode::CONFLICT {
            return Ok(Some("another agent".to_owned()));
        }
        http::success(answer).map(|_| None).map_err(|failure| self.failed(&failure))
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        // Read each time: it is replaced before it ends.
        match files::read_text(&self.token, BYTES_MAX) {
            Ok(token) => request.bearer_auth(token.trim()),
            Err(_) => request,
        }
    }

    fn failed(&self, failure: &http::Failure) -> String {
        let (lease, namespace) = (self.lease(), &self.namespace);
        match failure {
            http::Failure::Denied { status: 401 } => {
                format!("the Lease {lease} cannot be asked for ({failure}); mount the token of a service account")
            }
            http::Failure::Denied { .. } => format!(
                "the Lease {lease} may not be read or written ({failure}); let the service account get, create and update leases in `{namespace}`"
            ),
            failure => format!("the Lease {lease}: {}", http::chain(failure)),
        }
    }
}

/// The address that every pod is told.
fn in_cluster() -> Result<String, String> {
    let host = variable("KUBERNETES_SERVICE_HOST")
        .ok_or("KUBERNETES_SERVICE_HOST is not set: this is no pod; write `kubernetes.server`")?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(format!("https://{host}:{port}"))
}

fn own_namespace(account: &Path) -> Result<String, String> {
    let path = account.join("namespace");
    let text = files::read_text(&path, BYTES_MAX)
        .map_err(|error| format!("`{}` cannot be read ({error}); write `kubernetes.namespace`", path.display()))?;
    Ok(text.trim().to_owned())
}

fn text(spec: &Value, name: &str) -> String {
    spec[name].as_str().unwrap_or_default().to_owned()
}

/// Who we are among all agents: the pod's name, and what tells two runs of it apart.
fn identity() -> String {
    let host = files::read_text(Path::new("/proc/sys/kernel/hostname"), 1024).unwrap_or_default();
    let host = host.trim();
    let run = format!("{} {:?} {}", std::process::id(), Instant::now(), clock::now());
    let digest = digest::of_parts(&[host, &run]).short();
    format!("{host}_{}", digest.get(..12).unwrap_or(&digest))
}
