//! What anything else may say of models, versions and artifacts, as `CloudEvents` 1.0: a documented contract for
//! registries and stores that have no source of their own.
//!
//! Each document says how one thing stands, as a whole; what changed is found here, by comparing. Documents are pushed
//! one by one ([`push`]), or listed in an index that is read again and again ([`index`]).

mod data;
mod envelope;
mod fetch;
mod index;
mod order;
mod push;
mod records;

pub use index::Config as IndexConfig;
pub use push::Config;
