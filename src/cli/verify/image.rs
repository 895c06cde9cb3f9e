//! Images at a registry: what their manifest's digest is, and who signed that.

use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::{Args, StatementKind, read, wanted};
use crate::artifact::Stop;
use crate::base::clock;
use crate::provenance::cosign::{self, Attached};
use crate::provenance::{Failure, Outcome, Reason, Trust};
use crate::sources::oci;
use crate::sources::remote::{self, RemoteError};

/// How long a registry may take for all of it.
const PATIENCE: Duration = Duration::from_mins(5);

/// Verifies an image against the signatures at its registry, or against the one that was given.
pub fn verify(args: &Args, address: &str, trust: &Trust) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        address.starts_with("oci://"),
        "`{address}`: of addresses only oci:// can be verified; fetch it, and verify the folder"
    );
    anyhow::ensure!(
        args.ignore.is_empty() && !args.allow_unsigned && !args.follow_links,
        "--ignore, --allow-unsigned and --follow-links are about files; the manifest of an image names all of it"
    );
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    let stop = Stop::when(move || began.elapsed() > PATIENCE);
    let asked = remote::until(&stop, oci::signed(address, args.signature.is_none()));
    let late = || RemoteError::Failed(format!("the registry takes longer than {PATIENCE:?}"));
    let found = runtime.block_on(asked).unwrap_or_else(|| Err(late()));
    let mut found = found.map_err(|error| anyhow::anyhow!("`{address}`: {error}"))?;
    if let Some(path) = &args.signature {
        match read(path)? {
            Ok(bytes) => found.attached.push(Attached::Bundle(bytes)),
            Err(failure) => return Ok(Outcome::failed(failure)),
        }
    }
    let request = cosign::Request {
        trust,
        digest: found.digest,
        provenance: (args.kind == StatementKind::Slsa).then(|| wanted(args)),
        now: clock::now(),
    };
    let mut outcome = cosign::verify(&request, &found.attached);
    if !outcome.is_verified() {
        if found.more {
            let most = cosign::SIGNATURES_MAX;
            outcome.detail =
                format!("{}; there are more than {most} signatures, and the others were not looked at", outcome.detail);
        }
        if found.unread > 0 {
            outcome.detail = format!("{}; {} things beside it could not be read", outcome.detail, found.unread);
        }
    }
    if let Some(expected) = args.expected_subject.filter(|expected| *expected != found.digest) {
        let what = format!("it is the image sha256:{}, not sha256:{expected}", found.digest);
        outcome.fail(Failure::new(Reason::SubjectMismatch, what));
    }
    Ok(outcome)
}
