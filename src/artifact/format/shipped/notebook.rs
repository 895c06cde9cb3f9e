//! Jupyter notebooks: the sources of their cells, the commands that they hand to a shell, code that
//! they fetch, and outputs that drive the kernel.

use super::commands::{self, Deed};
use super::python;
use crate::artifact::format::hidden;
use crate::artifact::format::json::Json;
use crate::artifact::inspection::Inspection;

/// Longest output that somebody wrote by hand.
const SCRIPT_MAX: usize = 64 << 10;
/// First lines of cells that are run by another interpreter.
const SHELLS: &[&str] = &["%%bash", "%%sh", "%%script", "%%system", "%%sx", "%%cmd", "%%perl", "%%ruby"];
/// First lines of cells that are shown as a page.
const PAGES: &[&str] = &["%%javascript", "%%js", "%%html", "%%HTML", "%%svg", "%%SVG"];
/// Beginnings of lines that are run by a shell.
const ESCAPES: &[&str] = &["!", "%system ", "%sx ", "%sc "];

pub fn inspect(inspection: &mut Inspection<'_>, json: &Json) {
    // Before the fourth version cells lay in sheets, and called their source `input`.
    let sheets = json.get("worksheets").map(Json::items).unwrap_or_default();
    let cells = std::iter::once(json).chain(sheets).filter_map(|place| place.get("cells"));
    for cell in cells.flat_map(Json::items) {
        let source = joined(cell.get("source").or_else(|| cell.get("input")));
        hidden::inspect(inspection, &source, true);
        match cell.get("cell_type").and_then(Json::as_text) {
            Some("markdown" | "raw") => {
                if has_handler(&source) {
                    inspection.list("artifact.notebook.dangers", "handler");
                }
            }
            _ => code(inspection, &source),
        }
        for output in cell.get("outputs").map(Json::items).unwrap_or_default() {
            let old = output.members().iter().filter(|(key, _)| matches!(key.as_str(), "html" | "javascript" | "svg"));
            for (_, data) in output.get("data").map(Json::members).unwrap_or_default().iter().chain(old) {
                // Pictures of plotting libraries are scripts as well, but run nothing in the kernel.
                let shown = joined(Some(data));
                if shown.contains("kernel.execute(") {
                    inspection.list("artifact.notebook.dangers", "output_drives_kernel");
                }
                if gives_away(&shown) {
                    inspection.list("artifact.notebook.dangers", "output_gives_away");
                }
            }
        }
    }
}

/// A script in a page that sends what the browser keeps.
fn gives_away(shown: &str) -> bool {
    let takes = ["document.cookie", "localStorage", "_xsrf"].iter().any(|what| shown.contains(what));
    let sends = ["fetch(", "sendBeacon(", "XMLHttpRequest", "new Image"].iter().any(|how| shown.contains(how));
    // Libraries that come whole with a picture may touch all of it somewhere.
    shown.len() < SCRIPT_MAX && takes && sends
}

/// What a line that has `IPython` take code from another machine is: text that is loaded is shown before it is run, as
/// the documentation of many libraries does it.
fn fetches(line: &str) -> Option<&'static str> {
    let (magic, rest) = line.trim().strip_prefix('%')?.split_once(char::is_whitespace)?;
    // Behind the options of the magic; what comes later is an argument of the program.
    let address = rest.split_whitespace().find(|word| !word.starts_with('-'))?.trim_matches(['"', '\'']);
    let (scheme, place) = address.split_once("://")?;
    let host = place.split(['/', '?', '#']).next()?.rsplit('@').next()?.split(':').next()?;
    let near = matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0");
    let bare = host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match (magic, scheme) {
        ("run" | "load" | "loadpy" | "macro", "http" | "https" | "ftp") if bare && !near => Some("fetched"),
        ("run", "http" | "ftp") if !near => Some("fetched"),
        ("run", "https") => Some("script"),
        _ => None,
    }
}

fn code(inspection: &mut Inspection<'_>, source: &str) {
    let first = source.trim_start().lines().next().unwrap_or_default();
    if PAGES.iter().any(|page| first.starts_with(page)) && gives_away(source) {
        inspection.list("artifact.notebook.dangers", "cell_gives_away");
    }
    let shell = SHELLS.iter().any(|shell| first.starts_with(shell));
    let (mut commands, mut python) = (String::new(), String::new());
    for line in source.lines() {
        let trimmed = line.trim_start();
        if let Some(danger) = fetches(trimmed) {
            inspection.list("artifact.notebook.dangers", danger);
            inspection.list("artifact.notebook.commands", trimmed.trim_end());
        }
        let escaped = ESCAPES.iter().find_map(|escape| trimmed.strip_prefix(escape));
        let (out, line) = match escaped {
            Some(command) => (&mut commands, command),
            None if shell => (&mut commands, line),
            None => (&mut python, line),
        };
        out.push_str(line);
        out.push('\n');
    }
    for command in commands.lines().map(|line| line.trim_start_matches('!').trim()).filter(|line| !line.is_empty()) {
        inspection.list("artifact.notebook.commands", command);
    }
    // IPython's own functions take a command as well as a line with an exclamation mark does.
    if ["get_ipython(", "run_line_magic(", "run_cell_magic("].iter().any(|call| python.contains(call)) {
        commands.push_str(&python);
    }
    if let Some((deed, _)) = commands::judge(&commands) {
        let danger = match deed {
            Deed::Installs => "installer",
            Deed::Pipes => "script",
            Deed::Endangers => "shell",
        };
        inspection.list("artifact.notebook.dangers", danger);
    }
    python::inspect_cells(inspection, &python);
}

/// An element of HTML that runs a script as soon as it is shown; code that is quoted is none.
fn has_handler(source: &str) -> bool {
    let lower = source.to_ascii_lowercase();
    let mut quoted = false;
    lower.lines().any(|line| {
        if line.trim_start().starts_with("```") {
            quoted = !quoted;
        }
        let bare: String = line.split('`').step_by(2).collect();
        let mut tags = bare.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or(tag));
        !quoted && tags.any(|tag| [" onerror=", " onload=", "/onerror=", "/onload="].iter().any(|on| tag.contains(on)))
    })
}

/// True for commands that fetch and run something, or open a way in; the script of a known maker is none.
pub fn fetches_and_runs(text: &str) -> bool {
    commands::judge(text).is_some_and(|(deed, _)| deed == Deed::Endangers)
}

/// A text, or the lines of one.
fn joined(json: Option<&Json>) -> String {
    let Some(json) = json else { return String::new() };
    json.as_text().map_or_else(|| json.items().iter().filter_map(Json::as_text).collect(), str::to_owned)
}
