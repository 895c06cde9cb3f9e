//! All tests of the project in one binary: what is under test is the library and the program.

mod docs;
mod end_to_end;
mod formats;
mod packaging;
mod peers;
mod rules;
mod sources;
mod state;
mod support;
mod tidy;
