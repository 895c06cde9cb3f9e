//! Sources against real files and real servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod cloudevents;
mod filesystem;
mod filesystem_aside;
mod filesystem_cache;
mod filesystem_hints;
mod filesystem_suite;
mod git;
mod git_hostile;
mod git_kept;
mod git_suite;
mod harness;
mod huggingface;
mod huggingface_limits;
mod huggingface_mirror;
mod index;
mod logs;
mod logs_rotation;
mod mlflow;
mod mlflow_faults;
mod mlflow_suite;
mod objects;
mod objects_checksums;
mod objects_cost;
mod objects_events;
mod objects_hints;
mod objects_hostile;
mod objects_versions;
mod oci;
mod oci_answers;
mod oci_packaging;
mod oci_suite;
mod reconcile;
mod suite;
