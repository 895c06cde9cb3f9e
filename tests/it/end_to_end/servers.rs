//! Real Prometheus and Alertmanager on loopback, stopped by their pid.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{free_port, get, peer, wait_for};

/// A server that ends with the test.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(directory: &Path, name: &str, port: u16, arguments: &[String], ready: &str) -> Server {
    let log = std::fs::File::create(directory.join(format!("{name}.log"))).expect("there is space");
    let child = Command::new(peer(name))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("it can be started");
    let server = Server { child, port };
    wait_for(name, Duration::from_secs(60), || (get(&server.url(ready))?.0 == 200).then_some(()));
    server
}

/// An Alertmanager that keeps what it is told.
pub fn alertmanager(directory: &Path) -> Server {
    let port = free_port();
    let config = "route: {receiver: none, group_wait: 1s}\nreceivers: [{name: none}]\n";
    std::fs::write(directory.join("alertmanager.yml"), config).expect("there is space");
    let arguments = [
        "--config.file=alertmanager.yml".to_owned(),
        "--storage.path=alertmanager".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    start(directory, "prometheus-alertmanager", port, &arguments, "/-/ready")
}

/// A Prometheus that scrapes the agent each second and evaluates the shipped rules.
pub fn prometheus(directory: &Path, agent: u16) -> Server {
    let port = free_port();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/alerts.yaml");
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\n\
         scrape_configs: [{{job_name: lanner, static_configs: [{{targets: ['127.0.0.1:{agent}']}}]}}]\n",
        rules.display()
    );
    std::fs::write(directory.join("prometheus.yml"), config).expect("there is space");
    let arguments = [
        "--config.file=prometheus.yml".to_owned(),
        "--storage.tsdb.path=prometheus".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    start(directory, "prometheus", port, &arguments, "/-/ready")
}
