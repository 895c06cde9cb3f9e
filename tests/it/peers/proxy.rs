//! A bad connection: passes bytes to a server and back, cut off or slowly.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::support::runtime;

/// What is wrong with the connection, from the next answer on.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    None,
    /// Each connection ends after so many bytes of answers.
    CutAfter(usize),
    /// So many bytes at a time.
    Slow {
        bytes: usize,
        pause: Duration,
    },
}

/// What went through.
#[derive(Debug, Default)]
pub struct Passed {
    /// Requests over HTTP/1.1.
    pub requests: AtomicUsize,
    /// Bytes of answers.
    pub bytes: AtomicUsize,
}

/// A proxy on loopback; it ends when it is dropped.
pub struct Proxy {
    address: String,
    fault: Arc<Mutex<Fault>>,
    passed: Arc<Passed>,
    _runtime: Runtime,
}

impl Proxy {
    pub fn start(server: &str) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let fault = Arc::new(Mutex::new(Fault::None));
        let passed = Arc::new(Passed::default());
        let (server, shared, counted) = (server.to_owned(), Arc::clone(&fault), Arc::clone(&passed));
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, fault, passed) = (server.clone(), Arc::clone(&shared), Arc::clone(&counted));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        pass(client, server, &fault, &passed).await;
                    }
                });
            }
        });
        Self { address, fault, passed, _runtime: runtime }
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Requests and bytes of answers so far.
    pub fn passed(&self) -> (usize, usize) {
        (self.passed.requests.load(Ordering::Relaxed), self.passed.bytes.load(Ordering::Relaxed))
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

async fn pass(client: TcpStream, server: TcpStream, fault: &Mutex<Fault>, counted: &Passed) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            let lines = buffer[..count].windows(11).filter(|part| part == b" HTTP/1.1\r\n");
            counted.requests.fetch_add(lines.count(), Ordering::Relaxed);
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        to_server.shutdown().await.ok();
    };
    let back = async {
        let mut buffer = vec![0; 16 << 10];
        let mut passed = 0;
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            counted.bytes.fetch_add(count, Ordering::Relaxed);
            let fault = *fault.lock().unwrap();
            match fault {
                Fault::None => {
                    if to_client.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
                Fault::CutAfter(most) => {
                    let left = most.saturating_sub(passed).min(count);
                    to_client.write_all(&buffer[..left]).await.ok();
                    if left < count {
                        break;
                    }
                }
                Fault::Slow { bytes, pause } => {
                    for part in buffer[..count].chunks(bytes) {
                        tokio::time::sleep(pause).await;
                        if to_client.write_all(part).await.is_err() {
                            return;
                        }
                    }
                }
            }
            passed += count;
        }
    };
    // Either end closes both.
    tokio::select! {
        () = back => {}
        () = async { there.await; std::future::pending::<()>().await } => {}
    }
}
