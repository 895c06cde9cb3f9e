//! Real servers that tests talk to: started here, on free ports of 127.0.0.1, and stopped by pid.
#![expect(clippy::unwrap_used, reason = "a peer that cannot be set up fails its test")]

pub mod git;
pub mod hub;
pub mod kube;
pub mod mlflow;
pub mod moto;
pub mod objects;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod stub;
pub mod web;
