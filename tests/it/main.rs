//! All tests of the project in one binary: what is under test is the library and the program.
#![expect(
    clippy::disallowed_methods,
    clippy::string_slice,
    clippy::float_cmp,
    clippy::print_stdout,
    reason = "tests read, slice and compare what they wrote themselves, and may print what they measured"
)]

mod alerts;
mod base;
mod config;
mod corpus;
mod docs;
mod end_to_end;
mod formats;
mod outlines;
mod packaging;
mod peers;
mod provenance;
mod rules;
mod sinks;
mod sources;
mod standing;
mod state;
mod support;
mod tidy;
mod weights;
