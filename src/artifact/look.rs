//! Everything that is known of bytes by themselves: digests and measures, then what they are and hold.

use std::io;

use super::{Bytes, Hashed, Limits, Report, Version, hash_with, inspect_with, segments, weights};

/// Digests of bytes and of their tensors; with options, tensors are measured as well. An error of the kind
/// `Interrupted` where the limits said to stop.
pub fn read(bytes: &dyn Bytes, measure: Option<&weights::Options>, limits: &Limits) -> io::Result<Hashed> {
    let hashed = hash_with(bytes, segments(bytes, limits), measure, &|| limits.stop.now())?;
    hashed.ok_or_else(|| io::Error::from(io::ErrorKind::Interrupted))
}

/// The same, and what an inspection finds.
pub fn look(
    bytes: &dyn Bytes,
    name: &str,
    measure: Option<&weights::Options>,
    limits: &Limits,
) -> io::Result<(Hashed, Report)> {
    let hashed = read(bytes, measure, limits)?;
    let report = inspect_with(bytes, name, limits, &hashed.found);
    Ok((hashed, report))
}

impl Version {
    /// What was looked at, as one side of a comparison.
    pub fn of(hashed: &Hashed, report: &Report) -> Self {
        Self {
            hash: hashed.sha256,
            format: report.format.clone(),
            facts: report.facts.clone(),
            segments: hashed.segments.clone(),
        }
    }
}
