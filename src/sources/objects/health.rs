//! What a failure means for a person.

use crate::base::http::Failure;

/// Why a bucket is not seen: a reason from a closed set, and a sentence with a remedy. `access` is what helps when the
/// store does not know who asks.
pub fn explain(failure: &Failure, bucket: &str, access: &str) -> (&'static str, String) {
    match failure {
        Failure::Denied { status: 401 } => {
            ("unauthorized", format!("`{bucket}`: nobody is known by these credentials, or there are none; {access}"))
        }
        Failure::Denied { status: status @ 300..=399 } => (
            "redirected",
            format!("`{bucket}`: the store answers {status}: the bucket lies elsewhere; set `region`, or `endpoint`"),
        ),
        Failure::Denied { status } => (
            "forbidden",
            format!(
                "`{bucket}`: the store answers {status}; let these credentials list the bucket and read its objects, or {access}"
            ),
        ),
        Failure::Gone => ("no_bucket", format!("`{bucket}`: there is no such bucket; look at `url` and `endpoint`")),
        Failure::Rejected { .. } => {
            ("rejected", format!("`{bucket}`: {failure}; is it this kind of store, and `region` and `endpoint` right?"))
        }
        Failure::Server { .. } | Failure::Throttled { .. } => {
            ("server_error", format!("`{bucket}`: {failure}; it is tried again"))
        }
        Failure::Unreachable(cause) => {
            let why = std::iter::successors(std::error::Error::source(cause), |error| error.source()).last();
            let why = why.map_or_else(|| cause.to_string(), ToString::to_string);
            ("unreachable", format!("`{bucket}`: the store cannot be reached ({why}); is `endpoint` right?"))
        }
        Failure::Timeout => ("timeout", format!("`{bucket}`: the store takes too long; raise `request_timeout_secs`")),
        Failure::TooLarge { bytes_max } => {
            ("too_large", format!("`{bucket}`: one page of the listing has more than {bytes_max} bytes"))
        }
        Failure::Garbage(what) => ("garbage", format!("`{bucket}`: the store gives no listing: {what}")),
    }
}
