//! Sources: functions and classes of Python files, cells of notebooks, each with its digest and with the calls in it
//! that execute, deserialise or reach the network. Outputs of cells do not count.

mod imports;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::packed::{digits, print};
use super::take::Taking;
use super::{Body, Told};
use crate::artifact::format::json::Json;
use crate::artifact::format::shipped;
use crate::artifact::format::shipped::python::{pieces, sinks_of};
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};
use imports::{imports, is_imported};

/// Functions, classes or cells of one source, and characters of each that are kept.
const UNITS_MAX: usize = 1500;
const TEXT_MAX: usize = 2000;
const TEXTS_MAX: usize = 160 << 10;
/// Calls kept of one unit, and bytes of sources that are looked through for them.
const SINKS_MAX: usize = 32;
const WORK_MAX: usize = 8 << 20;
/// Calls that programs of every kind make for ordinary reasons.
const ORDINARY: &[&str] = &[
    "os.environ",
    "os.getenv",
    "os.remove",
    "os.unlink",
    "torch.load",
    "torch.hub.load",
    "joblib.load",
    "importlib.",
    "shutil.",
    "codecs.decode",
    "zlib.decompress",
    "base64.b64decode",
    "platform.node",
    "getpass.getuser",
    "yaml.load",
    "pandas.read_pickle",
    "multiprocessing.Process",
    "atexit.register",
    "torch.utils.cpp_extension.load",
    "webbrowser.",
    "compile",
];
/// Beginnings of lines of a cell that a shell runs.
const SHELL: &[&str] = &["!", "%%bash", "%%sh", "%system ", "%sx "];

/// A source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// True for cells, which somebody starts one by one.
    cells: bool,
    units: Vec<Unit>,
    sinks: BTreeSet<String>,
}

/// A function, a class, a cell, or what stands outside of all functions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Unit {
    name: String,
    digest: String,
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sinks: Vec<String>,
}

/// What one source is gathered into.
#[derive(Default)]
struct Gathering {
    code: Code,
    kept: usize,
    work: usize,
    cut: bool,
}

impl Gathering {
    /// `prelude` are the imports of the whole source.
    fn unit(&mut self, name: &str, text: &str, prelude: &str) {
        let plain: String = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
            .flat_map(|line| [line, "\n"])
            .collect();
        if plain.is_empty() {
            return;
        }
        if self.code.units.len() >= UNITS_MAX {
            self.cut = true;
            return;
        }
        self.work = self.work.saturating_add(plain.len()).saturating_add(prelude.len());
        let mut sinks = if self.work <= WORK_MAX { sinks_of(&format!("{prelude}\n{text}")) } else { Vec::new() };
        sinks.retain(|sink| is_imported(sink, prelude, text));
        self.cut |= self.work > WORK_MAX;
        sinks.truncate(SINKS_MAX);
        let room = TEXTS_MAX.saturating_sub(self.kept).min(TEXT_MAX);
        let shown = shorten(&plain, room);
        self.kept = self.kept.saturating_add(shown.len());
        self.code.sinks.extend(sinks.iter().cloned());
        self.code.units.push(Unit {
            name: shorten(name, 120),
            digest: digits(print(plain.as_bytes())),
            text: shown,
            sinks,
        });
    }

    fn finish(self, taking: &mut Taking) {
        if self.cut {
            taking.cut("the source is longer than is looked at, or has more functions than are kept");
        }
        if !self.code.units.is_empty() {
            taking.add("", Body::Code(self.code));
        }
    }
}

/// A Python file: what begins in the first column is a function, a class, or the program itself.
pub fn python(taking: &mut Taking, text: &str) {
    // Texts and comments are blanked, so that a line in one is no definition.
    let stripped = pieces::strip(text);
    let mut units: Vec<(String, String)> = Vec::new();
    let (mut top, mut prelude) = (String::new(), String::new());
    imports(&stripped, &mut prelude);
    let mut current: Option<usize> = None;
    let mut decorators = String::new();
    for (line, code) in text.split_inclusive('\n').zip(stripped.split_inclusive('\n')) {
        let begins = code.as_bytes().first().is_some_and(|byte| !byte.is_ascii_whitespace());
        if !begins {
            match current.and_then(|at| units.get_mut(at)) {
                Some((_, unit)) => unit.push_str(line),
                None => top.push_str(line),
            }
            continue;
        }
        if code.starts_with('@') {
            decorators.push_str(line);
            current = None;
            continue;
        }
        let rest = code.strip_prefix("async ").unwrap_or(code);
        let definition = rest.strip_prefix("def ").or_else(|| rest.strip_prefix("class "));
        if let Some(definition) = definition {
            let name: String =
                definition.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            units.push((name, format!("{}{line}", std::mem::take(&mut decorators))));
            current = units.len().checked_sub(1);
        } else if code.starts_with([')', ']', '}']) && current.is_some() {
            // The end of a bracket that was opened above.
            if let Some((_, unit)) = current.and_then(|at| units.get_mut(at)) {
                unit.push_str(line);
            }
        } else {
            current = None;
            top.push_str(&std::mem::take(&mut decorators));
            top.push_str(line);
        }
    }
    let mut gathering = Gathering::default();
    gathering.unit("", &top, &prelude);
    for (name, unit) in &units {
        gathering.unit(name, unit, &prelude);
    }
    gathering.finish(taking);
}

pub fn notebook(taking: &mut Taking, json: &Json) {
    let sheets = json.get("worksheets").map(Json::items).unwrap_or_default();
    let cells = std::iter::once(json).chain(sheets).filter_map(|place| place.get("cells")).flat_map(Json::items);
    let mut gathering = Gathering::default();
    gathering.code.cells = true;
    let mut prelude = String::new();
    for (number, cell) in cells.enumerate() {
        if cell.get("cell_type").and_then(Json::as_text) != Some("code") {
            continue;
        }
        let source = cell.get("source").or_else(|| cell.get("input"));
        let source: String = source
            .map(|json| {
                json.as_text().map_or_else(|| json.items().iter().filter_map(Json::as_text).collect(), str::to_owned)
            })
            .unwrap_or_default();
        // What a shell runs is no Python.
        let python: String = source
            .lines()
            .filter(|line| !line.trim_start().starts_with(['!', '%']))
            .flat_map(|line| [line, "\n"])
            .collect();
        imports(&pieces::strip(&python), &mut prelude);
        let before = gathering.code.units.len();
        gathering.unit(&format!("cell {}", number.saturating_add(1)), &source, "");
        if let Some(unit) = gathering.code.units.get_mut(before) {
            unit.sinks = sinks_of(&format!("{prelude}\n{python}"));
            unit.sinks.retain(|sink| is_imported(sink, &prelude, &python));
            if shipped::fetches_and_runs(&shell(&source)) {
                unit.sinks.push("shell that fetches and runs".to_owned());
            }
            unit.sinks.truncate(SINKS_MAX);
            gathering.code.sinks.extend(unit.sinks.iter().cloned());
        }
    }
    gathering.finish(taking);
}

/// The lines of a cell that a shell runs.
fn shell(source: &str) -> String {
    let whole = source.trim_start().starts_with("%%");
    let lines = source.lines().filter_map(|line| {
        let trimmed = line.trim_start();
        let escaped = SHELL.iter().find_map(|start| trimmed.strip_prefix(start));
        escaped.or(whole.then_some(trimmed))
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn is_ordinary(sink: &str) -> bool {
    ORDINARY.iter().any(|known| {
        sink == *known || known.ends_with('.') && sink.starts_with(known) || sink.starts_with(&format!("{known}."))
    })
}

pub fn compare(told: &mut Told, place: &str, old: &Code, new: &Code) {
    let what = if new.cells { "cells" } else { "functions and classes" };
    let digests = |code: &Code| code.units.iter().map(|unit| unit.digest.clone()).collect::<BTreeSet<_>>();
    let (before, after) = (digests(old), digests(new));
    let fresh: Vec<&Unit> = new.units.iter().filter(|unit| !before.contains(&unit.digest)).collect();
    let gone: Vec<&Unit> = old.units.iter().filter(|unit| !after.contains(&unit.digest)).collect();
    for unit in &fresh {
        let sinks: Vec<&String> = unit.sinks.iter().filter(|sink| !old.sinks.contains(*sink)).collect();
        if sinks.is_empty() {
            continue;
        }
        let worst = sinks.iter().any(|sink| !is_ordinary(sink));
        // A cell runs when its reader wants it to; who writes notebooks installs and fetches in them.
        let fetches = sinks.iter().any(|sink| sink.starts_with("shell that"));
        let grade = if worst && (!new.cells || fetches) { Grade::Hostile } else { Grade::Notable };
        let named: Vec<String> = sinks.iter().map(|sink| format!("`{sink}`")).collect();
        let words = format!("the code reaches for {}, which it did not anywhere", named.join(", "));
        let known = gone.iter().find(|other| other.name == unit.name && !new.cells);
        let place = if unit.name.is_empty() { place.to_owned() } else { format!("{place}{}", unit.name) };
        let difference = Difference::new("code.sinks_added", grade, place, words);
        told.push(
            difference.texts(known.map(|unit| shorten(&unit.text, 800)).unwrap_or_default(), shorten(&unit.text, 800)),
        );
    }
    if fresh.is_empty() && gone.is_empty() {
        return;
    }
    let mut names: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for unit in &gone {
        names.entry(&unit.name).or_default().0 = true;
    }
    for unit in &fresh {
        names.entry(&unit.name).or_default().1 = true;
    }
    let list = |wanted: (bool, bool)| {
        let all: Vec<String> = names
            .iter()
            .filter(|(_, found)| **found == wanted)
            .map(
                |(name, _)| {
                    if name.is_empty() { "what stands outside of functions".to_owned() } else { format!("`{name}`") }
                },
            )
            .take(10)
            .collect();
        all.join(", ")
    };
    let parts = if new.cells {
        vec![(format!("{} cells are new or changed", fresh.len()), true), (format!("{} are gone", gone.len()), true)]
    } else {
        [("changed", list((true, true))), ("added", list((false, true))), ("removed", list((true, false)))]
            .into_iter()
            .map(|(how, names)| (format!("{how}: {names}"), !names.is_empty()))
            .collect()
    };
    let parts: Vec<String> = parts.into_iter().filter(|(_, some)| *some).map(|(part, _)| part).collect();
    let difference =
        Difference::new("code.changed", Grade::Notable, place, format!("{what} differ – {}", parts.join("; ")));
    let text = |units: &[&Unit]| units.first().map(|unit| shorten(&unit.text, 800)).unwrap_or_default();
    told.push(difference.texts(text(&gone), text(&fresh)));
}
