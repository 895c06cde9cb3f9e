use clap::Parser;
#[derive(Parser)]
enum C {
    Rules(lanner::cli::rules::RulesArgs),
    Replay(lanner::cli::replay::ReplayArgs),
}
fn main() -> std::process::ExitCode {
    let r = match C::parse() {
        C::Rules(a) => lanner::cli::rules::run(&a),
        C::Replay(a) => lanner::cli::replay::run(&a),
    };
    match r {
        Ok(c) => c,
        Err(e) => {
            eprintln!("{e:#}");
            std::process::ExitCode::from(2)
        }
    }
}
