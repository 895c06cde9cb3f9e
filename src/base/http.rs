//! HTTP clients with bounds, and what to do about an answer that is none.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Response, StatusCode, redirect};

/// How a client connects.
#[derive(Debug, Clone)]
pub struct Options {
    /// From the connection to the last byte of the answer.
    pub timeout: Option<Duration>,
    /// Between two reads of one answer.
    pub read_timeout: Duration,
    pub connect_timeout: Duration,
    /// Accept any certificate: for test servers.
    pub insecure_tls: bool,
    /// Certificates trusted beside those of the system, PEM.
    pub authorities: Option<Vec<u8>>,
    /// Certificate and key of the client, PEM.
    pub identity: Option<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(30)),
            read_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            insecure_tls: false,
            authorities: None,
            identity: None,
        }
    }
}

/// Why there is no usable answer, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A person must act: credentials, permissions, address.
    #[error("the server refused: HTTP {status}")]
    Denied { status: u16 },
    /// What was asked for is not there.
    #[error("not found: HTTP 404")]
    Gone,
    /// The request itself is wrong for this server.
    #[error("the server does not take the request: HTTP {status}")]
    Rejected { status: u16 },
    /// Try again later.
    #[error("the server failed: HTTP {status}")]
    Server { status: u16 },
    #[error("no connection to the server")]
    Unreachable(#[source] reqwest::Error),
    #[error("the server took too long")]
    Timeout,
    /// The answer is larger than allowed.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    /// The answer is not what its kind should be.
    #[error("the answer is not understood: {0}")]
    Garbage(String),
}

/// Makes a client that follows no redirection: a login page is no answer, and a token stays home.
pub fn client(options: &Options) -> Result<Client, String> {
    // Another part of the process may have chosen already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = Client::builder()
        .user_agent(concat!("lanner/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .redirect(redirect::Policy::none())
        .tls_danger_accept_invalid_certs(options.insecure_tls);
    if let Some(timeout) = options.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(pem) = &options.authorities {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| format!("certificates: {error}"))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(pem) = &options.identity {
        builder = builder.identity(Identity::from_pem(pem).map_err(|error| format!("client certificate: {error}"))?);
    }
    builder.build().map_err(|error| error.to_string())
}

/// The answer if it is a success, else why it is none.
pub fn success(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let code = status.as_u16();
    Err(match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failure::Gone,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Failure::Denied { status: code }
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Failure::Server { status: code },
        _ if status.is_redirection() => Failure::Denied { status: code },
        _ if status.is_client_error() => Failure::Rejected { status: code },
        _ => Failure::Server { status: code },
    })
}

/// Reads a body with a bound.
pub async fn body(mut response: Response, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    if response.content_length().is_some_and(|length| length > bytes_max) {
        return Err(Failure::TooLarge { bytes_max });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > bytes_max {
            return Err(Failure::TooLarge { bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // A URL may hold credentials.
        let error = error.without_url();
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_builder() {
            Self::Garbage(error.to_string())
        } else {
            Self::Unreachable(error)
        }
    }
}
