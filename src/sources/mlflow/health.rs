//! What a failure means for a person, and how long to wait.

use crate::base::http::{self, Failure};

/// What a listing fails with where workspaces are wanted, and the server has none.
pub const NO_WORKSPACES: &str = "workspaces are not enabled";

/// Why a thing is not seen: a reason from a closed set, and a sentence with a remedy.
pub fn explain(failure: &Failure, server: &str) -> (&'static str, String) {
    match failure {
        Failure::Denied { status: 401 } => (
            "unauthorized",
            format!(
                "`{server}` answers 401; set MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN, or write them in the configuration"
            ),
        ),
        Failure::Denied { status: status @ 300..=399 } => (
            "redirected",
            format!("`{server}` answers {status}; write the address to which it redirects, without a login page"),
        ),
        Failure::Denied { status } => {
            ("forbidden", format!("`{server}` answers {status}; give the agent's user permission to read the registry"))
        }
        Failure::Gone | Failure::Rejected { .. } => (
            "not_mlflow",
            format!(
                "`{server}` does not know the call ({failure}); is it an MLflow 3 server, and its prefix in the address?"
            ),
        ),
        Failure::Server { .. } | Failure::Throttled { .. } => {
            ("server_error", format!("`{server}`: {failure}; look into its log"))
        }
        Failure::Unreachable(cause) => {
            let why = std::iter::successors(std::error::Error::source(cause), |error| error.source()).last();
            let why = why.map_or_else(|| cause.to_string(), ToString::to_string);
            if http::is_distrust(&why) {
                let text = format!(
                    "`{server}`: {why}; give the certificate of its authority, `server_cert_path`, or correct the name"
                );
                return ("certificate", text);
            }
            ("unreachable", format!("`{server}` cannot be reached ({why}); is it running, and the address right?"))
        }
        Failure::Timeout => (
            "timeout",
            format!(
                "`{server}` takes too long; raise `request_timeout_secs`, or set `auth_cache_ttl_seconds` on a server with basic authentication"
            ),
        ),
        Failure::TooLarge { bytes_max } => (
            "too_large",
            format!(
                "`{server}` sent more than {bytes_max} bytes in one answer; raise `page_bytes_max` if that is right"
            ),
        ),
        Failure::Garbage(what) if what == NO_WORKSPACES => (
            "no_workspaces",
            format!("`{server}` has no workspaces; leave `workspaces` out, or start it with `--enable-workspaces`"),
        ),
        Failure::Garbage(what) => ("garbage", format!("`{server}` sent an answer that is not MLflow's: {what}")),
    }
}
