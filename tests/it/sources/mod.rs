//! Sources against real files and real servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod filesystem;
mod filesystem_aside;
mod filesystem_hints;
mod harness;
mod huggingface;
mod logs;
mod logs_rotation;
mod mlflow;
mod mlflow_buckets;
mod mlflow_cost;
mod mlflow_faults;
mod mlflow_lineage;
mod mlflow_pace;
mod mlflow_spaces;
mod mlflow_suite;
mod mlflow_webhooks;
mod objects;
mod objects_cost;
mod objects_hints;
mod objects_hostile;
mod objects_versions;
mod oci;
mod oci_answers;
mod oci_packaging;
mod oci_suite;
mod reconcile;
mod suite;
