//! The hub by way of `olah`, a mirror that others wrote: a second opinion of what a hub says.

use std::sync::Arc;

use lanner::sources::{Settings as _, Source};
use tempfile::TempDir;

use super::harness::start_with;
use super::huggingface::{Hubs, config};
use super::suite::{World, everything};
use crate::peers::hub::TOKEN;
use crate::peers::process::Process;
use crate::support::{free_port, peers, runtime};

/// The stand-in of the hub, and the mirror in front of it.
struct Mirrored {
    hubs: Hubs,
    mirror: String,
    process: Process,
}

impl Mirrored {
    fn start() -> Self {
        let hubs = Hubs::private();
        // The mirror gives the first page again and again: the hub gives a thousand files on one.
        hubs.hub().page = 1000;
        let (netloc, mirror) = (hubs.address(), format!("127.0.0.1:{}", free_port()));
        let lfs = netloc.replace("127.0.0.1", "localhost");
        let (host, port) = mirror.split_once(':').unwrap();
        let mut command = std::process::Command::new(peers().join("venv/bin/olah-cli"));
        command.args(["--host", host, "--port", port, "--hf-scheme", "http", "--hf-netloc", &netloc]);
        command.args(["--hf-lfs-netloc", &lfs, "--mirror-scheme", "http", "--mirror-netloc", &mirror]);
        command.args(["--mirror-lfs-netloc", &mirror, "--repos-path", "repositories"]);
        // It asks the hub each time what is there.
        command.args(["--metadata-cache-ttl", "0"]);
        let process = Process::start(TempDir::new().unwrap(), command, &format!("http://{mirror}"));
        Self { hubs, mirror, process }
    }
}

impl World for Mirrored {
    fn source(&self, by: &str) -> Arc<dyn Source> {
        config(&format!("http://{by}"), Some(&self.hubs.token(TOKEN))).build().unwrap()
    }

    fn address(&self) -> String {
        self.mirror.clone()
    }

    fn stranger(&self) -> Option<Arc<dyn Source>> {
        Some(config(&format!("http://{}", self.mirror), Some(&self.hubs.token("hf_guessed"))).build().unwrap())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.hubs.put(name, bytes);
    }

    fn delete(&mut self, name: &str) {
        self.hubs.delete(name);
    }

    fn key(&self, name: &str, bytes: &[u8]) -> String {
        self.hubs.key(name, bytes)
    }

    fn stop(&mut self) {
        self.process.stop();
    }

    fn start(&mut self) {
        self.process.again();
    }

    fn fill(&mut self, names: &[String]) {
        self.hubs.fill(names);
    }

    fn odd_names(&self) -> Vec<&'static str> {
        // It decodes names twice: one with `%`, `?` or `#` is another file to it, and is told as gone.
        vec!["späte/mo del.bin", "a+b c.pkl", "🤗.safetensors", "deep/er/and/deep/er/config.json"]
    }

    fn most(&self) -> usize {
        // As many as fit on the one page that it gives, beside the others.
        900
    }
}

#[test]
fn a_mirror_of_the_hub_is_watched_like_the_hub() {
    everything(&mut Mirrored::start());
}

#[test]
fn a_mirror_that_gives_the_first_page_again_and_again_is_told() {
    let mut mirrored = Mirrored::start();
    mirrored.hubs.hub().page = 1;
    mirrored.put("a.bin", b"bytes");
    let runtime = runtime();
    runtime.block_on(async {
        let mut running = start_with(mirrored.source(&mirrored.address()), std::collections::BTreeMap::new(), 1024);
        running.until("blindness", |running| running.state().blind.contains_key("not_a_hub")).await;
        assert!(!running.listed && running.state().blind["not_a_hub"].contains("without end"), "{:?}", running.state());
        running.stop().await;
    });
}
