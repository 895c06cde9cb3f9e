//! What is asked of which model: a signer, an identity, and how much it matters when they are not those.
//!
//! A signature says who signed what; it does not say that this is the model that was asked for, nor that it is
//! the newest. Both are decided here: a valid signature of another model is a substitution, one of a version
//! that was superseded is a rollback.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::{Allowed, Content};
use super::outcome::{Failure, Outcome, Reason, Signer};
use super::slsa::Wanted;
use super::trust::Trust;
use super::{Kind, Request};
use crate::event::Sha256;

/// Signatures of models, as a configuration asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The first rule whose glob fits a name counts; what no rule names is not asked for a signature.
    pub rules: Vec<RuleConfig>,
    /// Root digests that nobody should serve any more, whichever rule counts: 64 hexadecimal digits each.
    pub superseded: Vec<String>,
}

/// What is asked of some models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// Globs of paths (`/srv/models/**`) and of names at registries (`oci://registry/team/*`, `models:/fraud/*`).
    #[serde(rename = "match")]
    pub matches: Vec<String>,
    /// What happens when it is not so.
    pub enforcement: Enforcement,
    /// Whoever may sign; one of them must have.
    pub signers: Vec<SignerConfig>,
    /// Root digests of the models that may lie there; none means any that such a signer signed.
    pub subjects: Vec<String>,
    /// Names in the model that need no signature.
    pub ignore: Vec<String>,
    /// Files that nobody signed may be there.
    pub allow_unsigned: bool,
}

/// One signer: a key, authorities, or an identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignerConfig {
    /// A file with a public key, PEM.
    pub public_key: Option<PathBuf>,
    /// Files with certificates of authorities, PEM.
    pub ca: Vec<PathBuf>,
    /// Who, as the identity provider knows them, for example `team@example.com`.
    pub identity: Option<String>,
    /// The identity provider, for example `https://accounts.google.com`.
    pub issuer: Option<String>,
    /// A trusted root of Sigstore, JSON, instead of the one that came with the program.
    pub trusted_root: Option<PathBuf>,
}

/// How much a failure matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Nothing is asked.
    Off,
    /// It is told.
    Warn,
    /// It is told as something that must not be.
    #[default]
    Require,
}

/// The configuration as checked, with keys and certificates read.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    superseded: Vec<Sha256>,
}

/// What is asked of some models, as checked.
#[derive(Debug, Clone)]
pub struct Rule {
    matches: Vec<GlobMatcher>,
    pub enforcement: Enforcement,
    /// What to verify with, in turn, until one fits.
    pub trust: Vec<Trust>,
    pub subjects: Vec<Sha256>,
    pub ignore: Vec<String>,
    pub allow_unsigned: bool,
}

/// What follows from an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing is asked of it.
    NotAsked,
    /// It is as it should be.
    Fits,
    /// It is not, and that is told.
    Warned(Failure),
    /// It is not, and must not be used.
    Refused(Failure),
}

/// Reads a file that a configuration names.
pub type Reader<'r> = &'r dyn Fn(&Path) -> Result<String, String>;

impl Config {
    /// Checks everything; every problem is told, with its place.
    pub fn check(&self, read: Reader<'_>) -> Result<Policy, Vec<String>> {
        let mut problems = Vec::new();
        let mut policy =
            Policy { rules: Vec::new(), superseded: digests("superseded", &self.superseded, &mut problems) };
        for (number, rule) in self.rules.iter().enumerate() {
            policy.rules.push(rule.check(&format!("rules[{number}]"), read, &mut problems));
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }
}

fn digests(place: &str, texts: &[String], problems: &mut Vec<String>) -> Vec<Sha256> {
    let mut parsed = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(digest) => parsed.push(digest),
            Err(error) => problems.push(format!("`{place}`: `{text}`: {error}")),
        }
    }
    parsed
}

impl RuleConfig {
    fn check(&self, place: &str, read: Reader<'_>, problems: &mut Vec<String>) -> Rule {
        let mut matches = Vec::new();
        if self.matches.is_empty() {
            problems.push(format!("`{place}.match` is empty; name a glob of paths or of names at a registry"));
        }
        for text in &self.matches {
            match GlobBuilder::new(text).literal_separator(true).build() {
                Ok(glob) => matches.push(glob.compile_matcher()),
                Err(error) => problems.push(format!("`{place}.match`: {error}")),
            }
        }
        let mut trust = Vec::new();
        for (number, signer) in self.signers.iter().enumerate() {
            match signer.check(read) {
                Ok(one) => trust.push(one),
                Err(error) => problems.push(format!("`{place}.signers[{number}]`: {error}")),
            }
        }
        if self.signers.is_empty() && self.enforcement != Enforcement::Off {
            problems.push(format!("`{place}.signers` is empty; name who may sign, or set `enforcement: off`"));
        }
        for entry in &self.ignore {
            if let Some(fault) = super::names::ignore_fault(entry) {
                problems.push(format!("`{place}.ignore`: `{entry}`: {fault}"));
            }
        }
        Rule {
            matches,
            enforcement: self.enforcement,
            trust,
            subjects: digests(&format!("{place}.subjects"), &self.subjects, problems),
            ignore: self.ignore.clone(),
            allow_unsigned: self.allow_unsigned,
        }
    }
}

impl SignerConfig {
    /// Reads what it names.
    pub fn check(&self, read: Reader<'_>) -> Result<Trust, String> {
        let file = |path: &Path| read(path).map_err(|error| format!("`{}`: {error}", path.display()));
        let named = |path: &Path, error: String| format!("`{}`: {error}", path.display());
        match (&self.public_key, self.ca.as_slice(), &self.identity, &self.issuer) {
            (Some(path), [], None, None) => Trust::key(&file(path)?).map_err(|error| named(path, error)),
            (None, [first, ..], None, None) => {
                let texts: Vec<String> = self.ca.iter().map(|path| file(path)).collect::<Result<_, _>>()?;
                Trust::authorities(texts.iter().map(String::as_str)).map_err(|error| named(first, error))
            }
            (None, [], Some(identity), Some(issuer)) => {
                let root = self.trusted_root.as_deref().map(file).transpose()?;
                Trust::identity(identity, issuer, root.as_deref())
            }
            (None, [], Some(_), None) | (None, [], None, Some(_)) => {
                Err("an identity counts only with the issuer that knows it: set both".to_owned())
            }
            _ => Err("set one of `public_key`, `ca`, or `identity` with `issuer`".to_owned()),
        }
    }
}

impl Policy {
    /// The rule that counts for a name: a path, or an address at a registry.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matches.iter().any(|glob| glob.is_match(name)))
    }

    /// Globs of paths, for whoever looks for what they name; those of names at registries are left out.
    pub fn globs(&self) -> impl Iterator<Item = &GlobMatcher> {
        let asked = self.rules.iter().filter(|rule| rule.enforcement != Enforcement::Off);
        asked.flat_map(|rule| &rule.matches).filter(|glob| glob.glob().glob().starts_with('/'))
    }

    /// Names by which other rules know a digest.
    fn known(&self, digest: Sha256) -> Option<String> {
        let rule = self.rules.iter().find(|rule| rule.subjects.contains(&digest))?;
        rule.matches.first().map(|glob| glob.glob().to_string())
    }
}

impl Rule {
    /// Verifies a model with the trust of this rule, one signer after the other; `signature` are the bytes of the
    /// signature file, `name` what that is called in the model, if it lies there. Bytes of the model are read only
    /// once a signature is valid.
    pub fn verify(&self, signature: &[u8], name: Option<&str>, content: &dyn Content, now: Timestamp) -> Outcome {
        let mut first: Option<Outcome> = None;
        for trust in &self.trust {
            let allowed = Allowed {
                ignore: self.ignore.clone(),
                unsigned: self.allow_unsigned,
                follow_links: false,
                signature: name.map(ToOwned::to_owned),
            };
            let wanted = Wanted::default();
            let request = Request { signature, trust, kind: Kind::Model, allowed, expected: None, wanted, now };
            let outcome = super::verify(&request, content);
            // Once a signer is known, the others have nothing to add.
            if outcome.signer.is_some() {
                return outcome;
            }
            first.get_or_insert(outcome);
        }
        first.unwrap_or_else(|| Outcome::failed(Failure::new(Reason::Untrusted, "the rule names nobody who may sign")))
    }

    fn knows(&self, signer: &Signer) -> bool {
        self.trust.iter().any(|trust| match (trust, signer) {
            (Trust::Key(key), Signer::Key { sha256, .. }) => key.sha256() == *sha256,
            // Which authority it was is checked by the verification, which has all of the rule's.
            (Trust::Authorities(_), Signer::Certificate { .. }) => true,
            (Trust::Identity(one), Signer::Identity { identity, issuer, .. }) => {
                one.name == *identity && one.issuer == *issuer
            }
            _ => false,
        })
    }
}

/// Judges the outcome of a verification with the trust of the rule that counts for `name`. What has no signature
/// at all is an outcome that failed with [`Reason::Unsigned`].
pub fn judge(policy: &Policy, name: &str, outcome: &Outcome) -> Judgement {
    let Some(rule) = policy.rule(name).filter(|rule| rule.enforcement != Enforcement::Off) else {
        return Judgement::NotAsked;
    };
    match fault(policy, rule, outcome) {
        None => Judgement::Fits,
        Some(failure) if rule.enforcement == Enforcement::Require => Judgement::Refused(failure),
        Some(failure) => Judgement::Warned(failure),
    }
}

fn fault(policy: &Policy, rule: &Rule, outcome: &Outcome) -> Option<Failure> {
    // Even what fails otherwise is told as a rollback or a substitution first: that names the attack.
    if let Some(root) = outcome.root_digest {
        if policy.superseded.contains(&root) {
            return Some(Failure::new(Reason::Superseded, format!("{root} was superseded")));
        }
        if !rule.subjects.is_empty() && !rule.subjects.contains(&root) {
            let other = policy.known(root).map(|glob| format!(", which belongs to `{glob}`")).unwrap_or_default();
            return Some(Failure::new(Reason::SubjectMismatch, format!("it is the model {root}{other}")));
        }
    }
    if let Some(reason) = outcome.reason {
        return Some(Failure::new(reason, outcome.detail.clone()));
    }
    let signer = outcome.signer.as_ref();
    if !signer.is_some_and(|signer| rule.knows(signer)) {
        let who = signer.map_or_else(|| "nobody".to_owned(), Signer::text);
        return Some(Failure::new(Reason::IdentityMismatch, format!("it was signed by {who}")));
    }
    None
}
