//! Jupyter notebooks: the sources of their cells, the commands that they hand to a shell, and
//! outputs that drive the kernel.

use std::sync::LazyLock;

use regex::Regex;

use super::python;
use crate::artifact::format::hidden;
use crate::artifact::format::json::Json;
use crate::artifact::inspection::Inspection;

/// Longest output that somebody wrote by hand.
const SCRIPT_MAX: usize = 64 << 10;
/// First lines of cells that are run by another interpreter.
const SHELLS: &[&str] = &["%%bash", "%%sh", "%%script", "%%system", "%%sx", "%%cmd", "%%perl", "%%ruby"];
/// Beginnings of lines that are.
const ESCAPES: &[&str] = &["!", "%system ", "%sx ", "%sc "];

static DANGER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:curl|wget|base64\s+(?:-d|--decode)|echo)\b[^|\n]*\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b|/dev/tcp/|\bnc(?:at)?\s+(?:-\w+\s+)*\S+\s+\d+\s+-e|\bmkfifo\b.*\|\s*nc|bash\s+-i\b|(?:ba)?sh\s+<\(\s*(?:curl|wget)|powershell\s+-e|crontab\s|authorized_keys|(?:curl|wget)\b[^\n]*\shttp://[^\n]*(?:&&|;)\s*(?:sudo\s+)?(?:chmod\s|(?:ba)?sh\s|\./|python)").ok()
});

pub fn inspect(inspection: &mut Inspection<'_>, json: &Json) {
    for cell in json.get("cells").map(Json::items).unwrap_or_default() {
        let source = joined(cell.get("source"));
        hidden::inspect(inspection, &source, true);
        match cell.get("cell_type").and_then(Json::as_text) {
            Some("markdown" | "raw") => {
                let lower = source.to_ascii_lowercase();
                if lower.contains("onerror=") || lower.contains("onload=") {
                    inspection.list("artifact.notebook.dangers", "handler");
                }
            }
            _ => code(inspection, &source),
        }
        for output in cell.get("outputs").map(Json::items).unwrap_or_default() {
            for (_, data) in output.get("data").map(Json::members).unwrap_or_default() {
                // Pictures of plotting libraries are scripts as well, but run nothing in the kernel.
                let shown = joined(Some(data));
                if shown.contains("kernel.execute(") {
                    inspection.list("artifact.notebook.dangers", "output_drives_kernel");
                }
                // Libraries that come whole with a picture may touch all of it somewhere.
                let takes = ["document.cookie", "localStorage", "_xsrf"].iter().any(|what| shown.contains(what));
                let sends = ["fetch(", "sendBeacon(", "XMLHttpRequest", "new Image"];
                if shown.len() < SCRIPT_MAX && takes && sends.iter().any(|how| shown.contains(how)) {
                    inspection.list("artifact.notebook.dangers", "output_gives_away");
                }
            }
        }
    }
}

fn code(inspection: &mut Inspection<'_>, source: &str) {
    let first = source.trim_start().lines().next().unwrap_or_default();
    let shell = SHELLS.iter().any(|shell| first.starts_with(shell));
    let (mut commands, mut python) = (String::new(), String::new());
    for line in source.lines() {
        let trimmed = line.trim_start();
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
    if fetches_and_runs(&commands) {
        inspection.list("artifact.notebook.dangers", "shell");
    }
    python::inspect(inspection, &python);
}

/// True for commands that fetch and run something, or open a way in.
pub fn fetches_and_runs(commands: &str) -> bool {
    DANGER.as_ref().is_some_and(|pattern| pattern.is_match(commands))
}

/// A text, or the lines of one.
fn joined(json: Option<&Json>) -> String {
    let Some(json) = json else { return String::new() };
    json.as_text().map_or_else(|| json.items().iter().filter_map(Json::as_text).collect(), str::to_owned)
}
