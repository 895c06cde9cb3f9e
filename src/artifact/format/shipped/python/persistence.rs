//! Files that somebody's shell, scheduler or session runs without being asked.

use ruff_python_ast::{Expr, ExprCall};

use super::names::Names;

/// Longest text that is a path.
const PATH_MAX: usize = 200;
/// Files, in whatever folder of a user.
const FILES: &[&str] =
    &[".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zprofile", ".zshenv", "authorized_keys"];
/// Parts of paths of folders, or of files for all users.
const PLACES: &[&str] = &[
    "/etc/cron",
    "/var/spool/cron",
    "/etc/profile",
    "/etc/ld.so.preload",
    "/etc/rc.local",
    "/etc/systemd/system/",
    ".config/systemd/user/",
    ".config/autostart/",
    "Library/LaunchAgents/",
    "Library/LaunchDaemons/",
    "Start Menu\\Programs\\Startup",
];

/// True for the path of a file that is run again and again.
pub fn is_run_later(path: &str) -> bool {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    path.len() <= PATH_MAX && (FILES.contains(&file) || PLACES.iter().any(|place| path.contains(place)))
}

/// True for the key of the registry under which programs are named that start with a session.
pub fn is_run_key(text: &str) -> bool {
    text.len() <= PATH_MAX && text.to_ascii_lowercase().contains("\\currentversion\\run")
}

/// True for a call of `open` that may write, by its mode, which is the argument at this place.
pub fn writes(call: &ExprCall, at: usize, names: &Names) -> bool {
    let named = call.arguments.find_keyword("mode").map(|word| &word.value);
    let mode: Option<&Expr> = call.arguments.args.get(at).or(named);
    mode.and_then(|mode| names.text(mode)).is_some_and(|mode| mode.len() <= 4 && mode.contains(['w', 'a', 'x', '+']))
}
