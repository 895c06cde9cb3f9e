//! The command line.

pub mod replay;
pub mod rules;
mod source_fields;

/// Runs the program.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
