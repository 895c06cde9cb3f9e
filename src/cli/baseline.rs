//! `lanner baseline`: what was approved, carried from one node to another, and held against what lies there.

mod check;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::setup::ConfigArgs;
use super::{CLEAN, Format, say};
use crate::base::{clock, files};
use crate::provenance::bundle::Envelope;
use crate::provenance::key::{PublicKey, Scheme};
use crate::provenance::sign::SigningKey;
use crate::state::State;
use crate::state::baseline::{Baseline, PREDICATE_TYPE};

/// Larger files are no baseline of ours.
const BYTES_MAX: u64 = 1 << 30;
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Write what was approved into a signed file: an in-toto statement in an envelope (DSSE).
    Export {
        /// The file to write.
        file: PathBuf,
        /// Private key, PEM (PKCS#8): `openssl genpkey -algorithm ed25519 -out baseline.key`.
        #[arg(long, value_name = "PEM")]
        key: PathBuf,
        /// Only this model; may be given several times.
        #[arg(long, value_name = "MODEL")]
        model: Vec<String>,
    },
    /// Take over what another node approved.
    Import {
        /// A file that `export` wrote.
        file: PathBuf,
        /// Public key of whoever signed it, PEM.
        #[arg(long, value_name = "PEM")]
        public_key: PathBuf,
    },
    /// Hold the files below a path against a baseline, without an agent; ends with 1 where they differ.
    Check {
        /// File or directory that is served.
        path: PathBuf,
        /// A file that `export` wrote.
        #[arg(long, value_name = "FILE")]
        baseline: PathBuf,
        /// Public key of whoever signed it, PEM.
        #[arg(long, value_name = "PEM")]
        public_key: PathBuf,
        /// The model that is served there; any model of the baseline, if it is left out.
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// Print only what differs.
        #[arg(long)]
        quiet: bool,
    },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Export { file, key, model } => export(&args.config.visit()?, file, key, model),
        Verb::Import { file, public_key } => {
            let taken = args.config.visit()?.import(&read(file, public_key)?)?;
            say(&match args.format {
                Format::Json => json!({ "taken": taken }).to_string(),
                Format::Text => format!("{taken} approvals were new or changed"),
            })?;
            Ok(ExitCode::from(CLEAN))
        }
        Verb::Check { path, baseline, public_key, model, quiet } => {
            let baseline = read(baseline, public_key)?;
            check::run(path, &baseline, model.as_deref(), *quiet, args.format)
        }
    }
}

fn export(state: &State, file: &Path, key: &Path, models: &[String]) -> anyhow::Result<ExitCode> {
    let key = pem(key)?;
    let key = SigningKey::from_pem(&key.1).map_err(|why| anyhow::anyhow!("`{}`: {why}", key.0))?;
    let baseline = state.baseline(models)?;
    if baseline.approvals.is_empty() {
        bail!("nothing was approved that could be exported; `lanner inventory approve` comes first");
    }
    let subjects: Vec<serde_json::Value> = baseline
        .approvals
        .iter()
        .map(|approval| {
            let name = format!("{}@{}", approval.model, approval.version);
            json!({ "name": name.trim_end_matches('@'), "digest": { "sha256": approval.root } })
        })
        .collect();
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": { "created": clock::now(), "baseline": baseline },
    });
    let sealed = key.seal(statement.to_string().as_bytes()).map_err(anyhow::Error::msg)?;
    files::replace(file, (sealed + "\n").as_bytes())
        .with_context(|| format!("`{}` cannot be written", file.display()))?;
    let (approvals, artifacts) = (baseline.approvals.len(), baseline.artifacts.len());
    say(&format!("{approvals} approvals and {artifacts} artifacts are in `{}`", file.display()))?;
    Ok(ExitCode::from(CLEAN))
}

fn pem(path: &Path) -> anyhow::Result<(String, String)> {
    let name = path.display().to_string();
    let text = files::read_text(path, 1 << 20).with_context(|| format!("`{name}` cannot be read"))?;
    Ok((name, text))
}

/// Reads a baseline, once its signature is known to be good.
fn read(file: &Path, public_key: &Path) -> anyhow::Result<Baseline> {
    let name = file.display();
    let (key_name, key) = pem(public_key)?;
    let key = PublicKey::from_pem(&key).map_err(|why| anyhow::anyhow!("`{key_name}`: {why}"))?;
    let text = files::read_text(file, BYTES_MAX).with_context(|| format!("`{name}` cannot be read"))?;
    let envelope =
        Envelope::parse(text.as_bytes()).map_err(|why| anyhow::anyhow!("`{name}` is no baseline: {}", why.detail))?;
    key.verify(Scheme::OfCurve, &envelope.message(), &envelope.signature)
        .map_err(|why| anyhow::anyhow!("`{name}` was not signed by the key in `{key_name}`: {}", why.detail))?;
    let statement: Statement = serde_json::from_slice(&envelope.payload)
        .with_context(|| format!("`{name}` is signed, but holds no baseline of a version that this program knows"))?;
    if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
        bail!(
            "`{name}` is signed, but says something else: {}",
            crate::alert::render::text::clean(&statement.predicate_type)
        );
    }
    Ok(statement.predicate.baseline)
}

#[derive(serde::Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(serde::Deserialize)]
struct Predicate {
    baseline: Baseline,
}
