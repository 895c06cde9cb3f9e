//! A server that answers whatever a test wants: for answers that no honest server gives.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::Response;
use tokio::runtime::Runtime;

use crate::support::runtime;

/// What is asked: path with query, and headers.
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Status, headers and body.
pub type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// A running server; it ends when it is dropped.
pub struct Stub {
    /// `127.0.0.1:port`.
    pub host: String,
    _runtime: Runtime,
}

type Handler = Arc<dyn Fn(Asked) -> Answer + Send + Sync>;

pub fn start(answer: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Stub {
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let handler: Handler = Arc::new(answer);
    let router = Router::new().fallback(handle).with_state(handler);
    runtime.spawn(async move { axum::serve(listener, router).await });
    Stub { host, _runtime: runtime }
}

async fn handle(State(handler): State<Handler>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let (status, headers, body) = handler(Asked { path, headers });
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    response
}
