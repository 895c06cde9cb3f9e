//! A bad connection: passes bytes to a server and back, cut off or slowly.

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

/// A proxy on loopback; it ends when it is dropped.
pub struct Proxy {
    address: String,
    fault: Arc<Mutex<Fault>>,
    _runtime: Runtime,
}

impl Proxy {
    pub fn start(server: &str) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let fault = Arc::new(Mutex::new(Fault::None));
        let (server, shared) = (server.to_owned(), Arc::clone(&fault));
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, fault) = (server.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        pass(client, server, &fault).await;
                    }
                });
            }
        });
        Self { address, fault, _runtime: runtime }
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

async fn pass(client: TcpStream, server: TcpStream, fault: &Mutex<Fault>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        tokio::io::copy(&mut from_client, &mut to_server).await.ok();
        to_server.shutdown().await.ok();
    };
    let back = async {
        let mut buffer = vec![0; 16 << 10];
        let mut passed = 0;
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
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
