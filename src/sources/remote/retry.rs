//! A call that is made again when it failed for a reason that may pass.

use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::base::http::Failure;

/// How often a call is made at most.
const TRIES: u32 = 4;
const FIRST: Duration = Duration::from_millis(300);
const MOST: Duration = Duration::from_secs(8);
/// Longest wait that a server may ask for.
const ASKED_MOST: u64 = 60;

/// Calls until it works, the reason lies with us, or it failed too often.
pub async fn patiently<T, F: Future<Output = Result<T, Failure>>>(call: impl Fn() -> F) -> Result<T, Failure> {
    let mut backoff = Backoff::new(FIRST, MOST, u64::from(std::process::id()));
    for _ in 1..TRIES {
        let wait = match call().await {
            Err(Failure::Throttled { after: Some(seconds) }) if seconds <= ASKED_MOST => Duration::from_secs(seconds),
            Err(
                Failure::Throttled { after: None }
                | Failure::Server { .. }
                | Failure::Unreachable(_)
                | Failure::Timeout,
            ) => backoff.next_wait(),
            other => return other,
        };
        tokio::time::sleep(wait).await;
    }
    call().await
}
