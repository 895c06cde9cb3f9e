//! The `lanner` program; everything it does is in the library.

fn main() -> std::process::ExitCode {
    lanner::cli::main()
}
