//! What a failure of a registry means for a person.

use crate::base::http::{Failure, chain};

/// Why a thing is not seen: a reason from a closed set, and a sentence with a remedy. `place` is a registry or one of
/// its repositories.
pub fn explain(failure: &Failure, place: &str) -> (&'static str, String) {
    match failure {
        Failure::Denied { status: 401 } => (
            "unauthorized",
            format!(
                "`{place}` answers 401; log in with `docker login`, `podman login` or `oras login`, or write `username` \
                 with `password_file`"
            ),
        ),
        Failure::Denied { status: status @ 300..=399 } => {
            ("redirected", format!("`{place}` answers {status}; write the registry to which it redirects"))
        }
        Failure::Denied { status } => (
            "forbidden",
            format!(
                "`{place}` answers {status}; let the agent's user pull from there, and read the catalog, or name the \
                 repositories in `repositories`"
            ),
        ),
        Failure::Gone | Failure::Rejected { .. } => (
            "not_a_registry",
            format!(
                "`{place}` does not know the call ({failure}); is it an OCI registry? Some have no catalog: name the \
                 repositories in `repositories` there"
            ),
        ),
        Failure::Throttled { .. } => (
            "throttled",
            format!(
                "`{place}` takes no more requests for now; raise `sweep_interval_secs`, lower `requests_max`, or watch fewer repositories"
            ),
        ),
        Failure::Server { .. } => ("server_error", format!("`{place}`: {failure}; look into its log")),
        Failure::Unreachable(_) => (
            "unreachable",
            format!(
                "`{place}` cannot be reached ({}); is it running? One without TLS needs `insecure`",
                chain(failure)
            ),
        ),
        Failure::Timeout => ("timeout", format!("`{place}` takes too long; raise `request_timeout_secs`")),
        Failure::TooLarge { bytes_max } => {
            ("too_large", format!("`{place}` sent more than {bytes_max} bytes in one answer"))
        }
        Failure::Garbage(what) => ("garbage", format!("`{place}` sent an answer that is not a registry's: {what}")),
    }
}

/// Whether a failure says something of one repository, so that others can be looked at.
pub const fn is_of_one(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Denied { .. }
            | Failure::Gone
            | Failure::Rejected { .. }
            | Failure::TooLarge { .. }
            | Failure::Garbage(_)
    )
}
