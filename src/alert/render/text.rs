//! An alert as a person reads it on a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::base::text::shorten;
use crate::event::{Alert, Severity};

/// A few lines with colour; whoever writes them to something else than a terminal strips it.
pub fn alert(alert: &Alert) -> String {
    let (bold, dim, colour) = (Style::new().bold(), Style::new().dimmed(), style(alert.severity));
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("writing to a String");
    line(format_args!(
        "{colour} {} {colour:#} {bold}{}{bold:#}  {}",
        alert.severity.as_str().to_uppercase(),
        clean(&alert.rule.title),
        alert.rule.id
    ));
    line(format_args!(
        "  {dim}{:<9}{dim:#} {}",
        alert.subject.kind.as_str().replace('_', " "),
        clean(&alert.subject.name)
    ));
    if let Some(digest) = &alert.digest {
        line(format_args!("  {dim}digest   {dim:#} sha256:{digest}"));
    }
    let said = |path: &str, value: &Value| path == "artifact.hash" || value.as_str() == Some(&alert.subject.name);
    for (path, value) in alert.evidence.iter().filter(|(path, value)| !said(path, value)) {
        line(format_args!("  {dim}evidence {dim:#} {path} = {}", fact(value)));
    }
    line(format_args!("  {dim}ATLAS    {dim:#} {} ({})", alert.rule.atlas.join(" "), alert.rule.phase));
    line(format_args!("  {dim}mitigate {dim:#} {}", alert.rule.mitigations.join(" ")));
    line(format_args!("  {dim}{} from {} ({}), alert {}{dim:#}", alert.time, alert.source, alert.product, alert.id));
    text
}

/// The colours of a severity.
pub const fn style(severity: Severity) -> Style {
    let style = Style::new().bold();
    match severity {
        Severity::Critical => style
            .fg_color(Some(anstyle::Color::Ansi(AnsiColor::White)))
            .bg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))),
        Severity::High => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))),
        Severity::Medium => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow))),
        Severity::Low => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan))),
        Severity::Informational => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Blue))),
    }
}

/// A fact on one line, shortened.
fn fact(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    clean(&shorten(&text, 160))
}

/// Control characters would let an attacker write to the terminal of whoever reads the alert.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidi(c) { '\u{fffd}' } else { c }).collect()
}

const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{e0000}'..='\u{e007f}')
}
