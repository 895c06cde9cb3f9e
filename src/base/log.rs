//! The agent's own log.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// A further layer, for example one that exports spans.
pub type Extra = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins logging to standard error. `RUST_LOG` wins over `level`.
///
/// # Errors
/// When the level does not parse.
pub fn begin(level: &str, json: bool, extra: Vec<Extra>) -> Result<(), String> {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .map_err(|error| format!("`{level}` is no log level: {error}"))?;
    let to_stderr = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer: Extra = if json {
        to_stderr.json().flatten_event(true).with_filter(filter).boxed()
    } else {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
        to_stderr.with_ansi(colour).with_filter(filter).boxed()
    };
    let mut layers = extra;
    layers.push(layer);
    // A second call, as in tests, keeps the first subscriber.
    drop(tracing_subscriber::registry().with(layers).try_init());
    Ok(())
}
