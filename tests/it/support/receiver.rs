//! A receiver of webhooks that answers as it is told and remembers what it took.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    /// The body as it came, where it is no text.
    pub bytes: Vec<u8>,
    /// What was answered.
    pub status: u16,
}

impl Delivery {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

type Answer = Box<dyn Fn(&Delivery) -> (u16, Vec<(&'static str, String)>, Vec<u8>) + Send>;

struct Inner {
    answer: Answer,
    deliveries: Vec<Delivery>,
}

/// Listens on loopback until it is dropped.
pub struct Receiver {
    inner: Arc<Mutex<Inner>>,
    pub port: u16,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Receiver {
    /// Takes everything.
    pub fn start() -> Self {
        Self::on(super::free_port(), |_| (200, Vec::new()))
    }

    /// Answers with a status and headers by what came.
    pub fn on(port: u16, answer: impl Fn(&Delivery) -> (u16, Vec<(&'static str, String)>) + Send + 'static) -> Self {
        Self::answering(port, move |delivery| {
            let (status, headers) = answer(delivery);
            (status, headers, Vec::new())
        })
    }

    /// Answers with a status, headers and a body.
    pub fn answering(
        port: u16,
        answer: impl Fn(&Delivery) -> (u16, Vec<(&'static str, String)>, Vec<u8>) + Send + 'static,
    ) -> Self {
        let inner = Arc::new(Mutex::new(Inner { answer: Box::new(answer), deliveries: Vec::new() }));
        let runtime = super::runtime();
        let router = Router::new().fallback(take).with_state(Arc::clone(&inner));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).expect("the port is free");
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { inner, port, runtime: Some(runtime) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Everything that came, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inner.lock().expect("no test panics while it holds this").deliveries.clone()
    }

    /// What was answered with 2xx.
    pub fn taken(&self) -> Vec<Delivery> {
        self.deliveries().into_iter().filter(|delivery| delivery.status < 300).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn take(State(inner): State<Arc<Mutex<Inner>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut inner = inner.lock().expect("no test panics while it holds this");
    let text = String::from_utf8_lossy(&body).into_owned();
    let mut delivery = Delivery { path: uri.path().to_owned(), headers, body: text, bytes: body.into(), status: 0 };
    let (status, headers, answer) = (inner.answer)(&delivery);
    delivery.status = status;
    inner.deliveries.push(delivery);
    let status = StatusCode::from_u16(status).expect("tests answer with real statuses");
    let mut response = (status, answer).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("tests answer with real headers"));
    }
    response
}
