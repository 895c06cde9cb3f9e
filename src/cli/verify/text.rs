//! The outcome of a verification, for people: what, who, which files, and what to do.

use anstyle::{AnsiColor, Style};

use crate::alert::render::text::clean;
use crate::base::text::shorten;
use crate::cli::say;
use crate::provenance::{Names, Outcome, Reason};

/// Names that are printed of one list.
const SHOWN_MAX: usize = 20;

pub fn print(path: &str, outcome: &Outcome) -> anyhow::Result<()> {
    let colour = if outcome.is_verified() { AnsiColor::Green } else { AnsiColor::Red };
    let (bold, dim) = (Style::new().bold().fg_color(Some(colour.into())), Style::new().dimmed());
    let reason = outcome.reason.map(|reason| format!("  ({reason})")).unwrap_or_default();
    let verdict = if outcome.is_verified() { "verified" } else { "FAILED" };
    say(&format!("{bold}{verdict}{bold:#}  {}{reason}", clean(path)))?;
    let line = |name: &str, value: &str| say(&format!("  {dim}{name:<9}{dim:#} {}", clean(&shorten(value, 400))));
    if !outcome.detail.is_empty() {
        line("because", &outcome.detail)?;
    }
    if let Some(signer) = &outcome.signer {
        line("signer", &signer.text())?;
    }
    if let Some(root) = &outcome.root_digest {
        line("root", &format!("sha256:{root}"))?;
    }
    if let Some(built) = &outcome.provenance {
        line("builder", &built.builder)?;
        if let Some(source) = &built.source {
            line("source", source)?;
        }
        for one in built.dependencies.iter().take(SHOWN_MAX) {
            let digest =
                one.digest.iter().map(|(name, digest)| format!("{name}:{digest}")).collect::<Vec<_>>().join(" ");
            let name = one.uri.as_deref().or(one.name.as_deref()).unwrap_or("without a name");
            line("from", &format!("{name} {digest}"))?;
        }
    }
    list(&line, "differs", &outcome.files)?;
    list(&line, "unsigned", &outcome.unsigned)?;
    match outcome.reason.map(Reason::advice) {
        Some(advice) => line("do", advice),
        None => Ok(()),
    }
}

fn list(line: &dyn Fn(&str, &str) -> anyhow::Result<()>, word: &str, names: &Names) -> anyhow::Result<()> {
    for name in names.names.iter().take(SHOWN_MAX) {
        line(word, name)?;
    }
    let more = names.more.saturating_add(names.names.len().saturating_sub(SHOWN_MAX) as u64);
    if more > 0 {
        line(word, &format!("and {more} more; --format json lists them"))?;
    }
    Ok(())
}
