//! The canonical alert in the shapes that others read.

pub mod alertmanager;
pub mod cloudevents;
pub mod ocsf;
pub mod text;
