//! What differs, for people: in words first, then the figures.

use serde_json::Value;

use super::pair::{Change, Changed, How};
use super::tensors::{Kind, Tensor};
use crate::alert::render::text::{clean, style};
use crate::base::text::shorten;
use crate::cli::say;
use crate::event::Severity;
use crate::event::difference::{Difference, Grade};

/// Lines of a text, and characters of one, that are shown.
const LINES_MAX: usize = 12;
const LINE_MAX: usize = 160;
/// Tensors that are shown one by one.
const TENSORS_MAX: usize = 24;
/// Facts of a comparison that are said otherwise.
const HIDDEN: &[&str] = &[
    "artifact.previous_hash",
    "artifact.previous_format",
    "artifact.diff.changed",
    "artifact.diff.tensors.added",
    "artifact.diff.tensors.removed",
    "artifact.diff.tensors.changed",
    "artifact.diff.tensors.reshaped",
    "artifact.diff.tensors.equal",
];

/// `partly` where not everything was compared.
pub fn print(changes: &[Change], partly: bool) -> anyhow::Result<()> {
    if changes.is_empty() {
        return say(if partly { "no difference in what could be read" } else { "no difference" });
    }
    changes.iter().try_for_each(one)
}

/// The colour of a grade, on a terminal.
fn colour(grade: Grade) -> anstyle::Style {
    style(match grade {
        Grade::Hostile => Severity::High,
        Grade::Notable => Severity::Medium,
        Grade::Routine => Severity::Informational,
    })
}

fn one(change: &Change) -> anyhow::Result<()> {
    let name = clean(&change.name);
    match &change.how {
        How::Added => say(&format!("+ {name}")),
        How::Removed => say(&format!("- {name}")),
        How::Renamed(from) => say(&format!("> {name}  renamed, was {}", clean(from))),
        How::Copied(from) => say(&format!("> {name}  a copy of {}", clean(from))),
        How::Changed(changed) => {
            match change.grade() {
                Some(grade) => {
                    let colour = colour(grade);
                    say(&format!("~ {name}  {colour}{grade}{colour:#}"))?;
                }
                None => say(&format!("~ {name}"))?,
            }
            changed.differences.iter().try_for_each(difference)?;
            figures(changed)
        }
    }
}

fn difference(told: &Difference) -> anyhow::Result<()> {
    let colour = colour(told.grade);
    let place = if told.place.is_empty() { String::new() } else { format!(" {}", clean(&told.place)) };
    say(&format!("    {colour}{}{colour:#}  {}{place}: {}", told.grade, told.class, clean(&told.words)))?;
    for (sign, text) in [("-", &told.before), ("+", &told.after)] {
        let lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
        for line in lines.iter().take(LINES_MAX) {
            say(&format!("        {sign} {}", clean(&shorten(line, LINE_MAX))))?;
        }
        if lines.len() > LINES_MAX {
            say(&format!("        {sign} … {} more lines", lines.len().saturating_sub(LINES_MAX)))?;
        }
    }
    Ok(())
}

fn figures(changed: &Changed) -> anyhow::Result<()> {
    say(&format!("    sha256  {} → {}", changed.old.sha256.short(), changed.new.sha256.short()))?;
    say(&format!("    size    {} → {}", changed.old.size, changed.new.size))?;
    if changed.formats[0] != changed.formats[1] {
        say(&format!("    format  {} → {}", changed.formats[0], changed.formats[1]))?;
    }
    for tensor in changed.tensors.iter().take(TENSORS_MAX) {
        say(&format!("    tensor  {}", line(tensor)))?;
    }
    if changed.tensors.len() > TENSORS_MAX {
        say(&format!("    tensor  … {} more", changed.tensors.len().saturating_sub(TENSORS_MAX)))?;
    }
    for (path, value) in changed.delta.fields() {
        if !HIDDEN.contains(&path.as_str()) {
            let json = Value::from(&value).to_string();
            say(&format!("    {path} = {}", clean(&shorten(&json, 300))))?;
        }
    }
    Ok(())
}

fn line(tensor: &Tensor) -> String {
    let name = clean(&shorten(&tensor.name, 80));
    let shape = clean(&tensor.shape);
    match tensor.how {
        Kind::Added => format!("+ {name} {shape}"),
        Kind::Removed if tensor.what.is_empty() => format!("- {name} {shape}"),
        Kind::Removed => format!("- {name} {shape} ({})", tensor.what),
        Kind::Reshaped if tensor.what.is_empty() => format!("~ {name} has another type or shape: {shape}"),
        Kind::Reshaped => format!("~ {name} has another type or shape: {shape} ({})", tensor.what),
        Kind::Changed { differ, compared } if tensor.what.is_empty() => {
            format!("~ {name} {shape}: {} of its bytes", percent(differ, compared))
        }
        Kind::Changed { differ, compared } => {
            format!("~ {name} {shape}: {} of its bytes ({})", percent(differ, compared), tensor.what)
        }
    }
}

/// A share with one digit behind the point.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "an unknown share".to_owned();
    }
    let tenths = u128::from(part).saturating_mul(1000) / u128::from(whole);
    if tenths == 0 && part > 0 { "less than 0.1 %".to_owned() } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}
