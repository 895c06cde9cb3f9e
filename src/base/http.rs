//! The HTTP client that sources, sinks and exporters share.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};

/// How long a connection may take to open.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A builder with what every client of ours has: our name, no redirects, a bound on connecting.
pub fn builder() -> ClientBuilder {
    // The provider is installed once for each process; a second time changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .user_agent(concat!("lanner/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_WITHIN)
}

/// A client whose requests fail after a time.
///
/// # Errors
/// When the host has no usable certificates.
pub fn client(timeout: Duration) -> reqwest::Result<Client> {
    builder().timeout(timeout).build()
}
