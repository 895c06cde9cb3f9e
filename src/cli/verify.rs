//! `lanner verify`: are these the bytes that somebody signed, and who was that?

mod against;
mod image;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;

use super::{CLEAN, FOUND, Format, say};
use crate::artifact::Stop;
use crate::base::{clock, files};
use crate::event::Sha256;
use crate::provenance::policy::SignerConfig;
use crate::provenance::{
    self, Allowed, BUNDLE_BYTES_MAX, Failure, Kind, Outcome, Reason, Request, Trust, slsa::Wanted,
};
use crate::sources::folder::Local;
use crate::sources::{remote, signatures};

/// Bytes of a key, a certificate or a trusted root.
const TRUST_BYTES_MAX: u64 = 4 << 20;

const CODES: &str = "Exit codes:
  0  verified
  1  failed: the signature is missing or wrong, or does not cover what is there
  2  the command line makes no sense, or a file that it names cannot be read";

#[derive(clap::Args)]
#[command(after_help = CODES, group(clap::ArgGroup::new("trust").required(true).args(["public_key", "ca", "identity", "against"])))]
pub struct Args {
    /// Folder or file of a model, or the address of an image: `oci://registry/repository:tag`.
    path: PathBuf,
    /// The signature; without it model.sig, *.oms.sig, *.sig and *.sigstore.json are looked for in and beside
    /// the path, and for an image at its registry.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Public key of the signer, PEM.
    #[arg(long, value_name = "PEM", conflicts_with_all = ["ca", "identity"])]
    public_key: Option<PathBuf>,
    /// Certificates of authorities that you trust, PEM; may be given again.
    #[arg(long, value_name = "PEM", conflicts_with = "identity")]
    ca: Vec<PathBuf>,
    /// Who must have signed, as the issuer knows them.
    #[arg(long, value_name = "ID", requires = "issuer")]
    identity: Option<String>,
    /// The identity provider, for example `https://accounts.google.com`.
    #[arg(long, value_name = "URL", requires = "identity")]
    issuer: Option<String>,
    /// A trusted root of Sigstore, JSON, instead of the one of its public instance that came with this program.
    #[arg(long, value_name = "FILE", requires = "identity")]
    trusted_root: Option<PathBuf>,
    /// Compare a local copy with what lies at an address (hf://, oci://, s3:// and so on) instead of a signature:
    /// with the digests that it promises, else with its bytes.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["signature", "expected_subject", "builder", "source"])]
    against: Option<String>,
    /// A file or folder that may be there without being signed, as a path in the model; may be given again.
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,
    /// Whatever nobody signed may be there; it is still listed.
    #[arg(long)]
    allow_unsigned: bool,
    /// Links that lead outside of the model count, where the signer allowed links.
    #[arg(long)]
    follow_links: bool,
    /// Identity that the model must have: the root digest of its signature, or the digest of an image.
    #[arg(long, value_name = "DIGEST")]
    expected_subject: Option<Sha256>,
    /// What the signature must be.
    #[arg(long = "type", value_enum, default_value = "model")]
    kind: StatementKind,
    /// With --type slsa: the builder that must have built it.
    #[arg(long, value_name = "ID")]
    builder: Option<String>,
    /// With --type slsa: the source that it must have been built from.
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatementKind {
    /// The signature of a model (OpenSSF Model Signing), or of an image (cosign).
    Model,
    /// Provenance (SLSA): who built it, and from what.
    Slsa,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let slsa = args.kind == StatementKind::Slsa;
    anyhow::ensure!(
        slsa || args.builder.is_none() && args.source.is_none(),
        "--builder and --source are asked of provenance: add --type slsa"
    );
    let address = args.path.to_str().filter(|text| remote::is_address(text));
    let outcome = match (&args.against, address) {
        (Some(other), None) => {
            anyhow::ensure!(
                !slsa,
                "--against compares bytes; provenance is verified with a key, an authority or an identity"
            );
            against::verify(args, other)?
        }
        (Some(_), Some(_)) => anyhow::bail!("--against compares a local copy; name a file or folder"),
        (None, Some(address)) => image::verify(args, address, &trust(args)?)?,
        (None, None) => local(args, &trust(args)?)?,
    };
    match args.format {
        Format::Json => say(&serde_json::to_string(&outcome)?)?,
        Format::Text => text::print(&args.path.display().to_string(), &outcome)?,
    }
    Ok(ExitCode::from(if outcome.is_verified() { CLEAN } else { FOUND }))
}

/// Reads what the command line trusts.
fn trust(args: &Args) -> anyhow::Result<Trust> {
    let config = SignerConfig {
        public_key: args.public_key.clone(),
        ca: args.ca.clone(),
        identity: args.identity.clone(),
        issuer: args.issuer.clone(),
        trusted_root: args.trusted_root.clone(),
    };
    let read = |path: &Path| files::read_text(path, TRUST_BYTES_MAX).map_err(|error| error.to_string());
    config.check(&read).map_err(anyhow::Error::msg)
}

fn wanted(args: &Args) -> Wanted {
    Wanted { builder: args.builder.clone(), source: args.source.clone() }
}

fn local(args: &Args, trust: &Trust) -> anyhow::Result<Outcome> {
    let shown = args.path.display();
    let content = Local::open(&args.path, Stop::default()).with_context(|| format!("`{shown}` cannot be opened"))?;
    let kind = if args.kind == StatementKind::Slsa { Kind::Slsa } else { Kind::Model };
    let found = match &args.signature {
        Some(path) => Some(path.clone()),
        None => signatures::beside(&args.path, kind).map_err(anyhow::Error::msg)?,
    };
    let Some(path) = found else {
        let what = format!("there is no signature in or beside `{shown}`");
        return Ok(Outcome::failed(Failure::new(Reason::Unsigned, what)));
    };
    let signature = match read(&path)? {
        Ok(bytes) => bytes,
        Err(failure) => return Ok(Outcome::failed(failure)),
    };
    let allowed = Allowed {
        ignore: args.ignore.iter().map(|entry| entry.trim_end_matches('/').to_owned()).collect(),
        unsigned: args.allow_unsigned,
        follow_links: args.follow_links,
        signature: content.name_of(&path),
    };
    let request = Request {
        signature: &signature,
        trust,
        kind,
        allowed,
        expected: args.expected_subject,
        wanted: wanted(args),
        now: clock::now(),
    };
    Ok(provenance::verify(&request, &content))
}

/// The bytes of a signature. One that is too large is a failure of the signature, not of the command.
fn read(path: &Path) -> anyhow::Result<Result<Vec<u8>, Failure>> {
    match files::read(path, BUNDLE_BYTES_MAX) {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Ok(Err(Failure::new(Reason::TooLarge, format!("the signature is {error}"))))
        }
        // A pipe, a folder or a device: whoever can put that there can as well put no signature there.
        Err(error) if matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::IsADirectory) => {
            Ok(Err(Failure::new(Reason::BadBundle, "the signature is no regular file")))
        }
        Err(error) => Err(error).with_context(|| format!("the signature `{}` cannot be read", path.display())),
    }
}
