//! `lanner version`: what this program is.

use std::process::ExitCode;

use serde_json::json;

use crate::event::{alert, atlas};

#[derive(clap::Args)]
pub struct Args {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        let about = json!({
            "name": "lanner",
            "version": version,
            "atlas": atlas::VERSION,
            "alert_schema": alert::SCHEMA_VERSION,
            "ocsf": crate::alert::render::ocsf::VERSION,
            "state_schema": crate::state::VERSION,
            "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        });
        super::say(&about.to_string())?;
    } else {
        super::say(&format!("lanner {version}, rules for MITRE ATLAS {}", atlas::VERSION))?;
    }
    Ok(ExitCode::SUCCESS)
}
