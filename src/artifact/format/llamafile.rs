//! llamafile: a program that runs everywhere, with a ZIP behind it in which a model and the
//! program's arguments lie. Whoever starts it runs the program; what it is told to do is looked at.

use super::{Head, executable, probe, shipped, zip};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Longest list of arguments.
const ARGUMENTS_MAX: u64 = 64 << 10;

pub fn identify(head: &Head<'_>) -> bool {
    let program = is_ape(head.bytes) || matches!(executable::kind(head.bytes), Some("elf" | "pe" | "mach-o"));
    program && zip::has_members(head.input) && zip::names(head.input).iter().any(|name| is_part(name))
}

/// The head that every system takes for its own.
fn is_ape(head: &[u8]) -> bool {
    head.starts_with(b"MZqFpD='") || head.starts_with(b"jartsr='")
}

/// Members that only such a file has.
fn is_part(name: &str) -> bool {
    name == ".args" || name.to_ascii_lowercase().ends_with(".gguf")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    let head = input.read(0, 4096);
    let kind = if is_ape(&head) { "ape" } else { executable::kind(&head).unwrap_or("ape") };
    inspection.list("artifact.llamafile.program", kind);
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    if !file.contains("llamafile") && !is_ape(&head) {
        executable::look(inspection, &head, 0);
    }
    zip::inspect_behind(inspection, input);
    "llamafile"
}

/// A member: the model, the arguments, or one of the many files that the program brings along.
pub fn member(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) {
    let head = input.read(0, 4);
    if name == ".args" {
        arguments(inspection, input);
    } else if head == b"GGUF" || is_part(name) {
        super::inspect_member(inspection, input, name);
    } else {
        probe::pickles(inspection, input);
    }
}

/// The arguments with which the program starts, one a line.
fn arguments(inspection: &mut Inspection<'_>, input: Input<'_>) {
    let bytes = input.window(0, ARGUMENTS_MAX).read(0, 64 << 10);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut last = "";
    for argument in text.lines().map(str::trim) {
        let (key, value) = argument.split_once('=').unwrap_or((last, argument));
        let open = matches!(value, "0.0.0.0" | "::" | "[::]" | "*");
        match key {
            "--host" | "--listen" | "-l" if open => {
                inspection.list("artifact.llamafile.arguments", format!("listens:{value}"));
            }
            "--path" if value.starts_with('/') && !value.starts_with("/zip") => {
                inspection.list("artifact.llamafile.arguments", format!("serves:{value}"));
            }
            "-m" | "--model" | "--mmproj" | "-f" | "--file" | "--path" | "--log-file" | "--prompt-cache" | "--lora" => {
                let inside = value.strip_prefix("/zip/").unwrap_or(value);
                if value.contains("://") || value.split('/').any(|part| part == "..") || inside.starts_with('/') {
                    inspection.list("artifact.llamafile.arguments", format!("reads:{value}"));
                }
            }
            _ => {}
        }
        if matches!(argument, "--unsecure" | "--trust") {
            inspection.list("artifact.llamafile.arguments", argument);
        }
        let shell = argument.contains("$(") || argument.contains('`') || argument.contains("/bin/sh");
        if shell || shipped::holds_code(argument) {
            inspection.list("artifact.llamafile.arguments", format!("command:{argument}"));
        }
        last = argument;
    }
    probe::text(inspection, ".args", &text, input);
}
