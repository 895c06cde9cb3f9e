//! Commands for a shell that no training needs: what they fetch or decode is run at once, they let
//! somebody in, or they destroy.

use std::sync::LazyLock;

use regex::Regex;

/// Lines of one text.
const LINES_MAX: usize = 100_000;
/// Files that are fetched whose fate is followed.
const FILES_MAX: usize = 64;
/// Longest line that is looked at.
const LINE_MAX: usize = 16 << 10;

static DANGER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)",
        // What is fetched or decoded is piped into a shell, or into an interpreter that reads its program there.
        r"(?:\b(?:curl|wget|fetch|openssl\s+enc)\b|\bbase64\s+(?:-d|-D|--decode)|\bxxd\s+-r)[^\n]*?\|\s*",
        r#"(?:sudo\s+(?:-\S+\s+)*)?(?:/(?:usr/)?bin/)?(?:env\s+)?(?:(?:ba|z|da|k)?sh\b(?:$|[^.\w/])|(?:python[0-9.]*|perl|ruby|node)\s*-?\s*(?:$|[;&|)'"`]))"#,
        r"|\becho\b[^|\n]*\|\s*(?:sudo\s+)?(?:/bin/)?(?:ba|z|da)?sh\s*(?:-s?\s*)?(?:$|[;&|)])",
        r"|\b(?:ba|z|da)?sh\s+<\(\s*(?:curl|wget)|\b(?:ba|z|da)?sh\s+-c\s+.{0,3}\$\(\s*(?:curl|wget)|\beval\s+.{0,3}\$\(\s*(?:curl|wget|echo\s+\S+\s*\|\s*base64)",
        r"|(?:curl|wget)\b[^\n]*\shttp://[^\n]*(?:&&|;)\s*(?:sudo\s+)?(?:chmod\s|(?:ba)?sh\s|\./|python)",
        r"|\bexec\([^\n]{0,80}b64decode",
        // Somebody is let in.
        r"|/dev/tcp/|\bnc(?:at)?\s+(?:-\w+\s+)*\S+\s+\d+\s+-e|\bnc(?:at)?\s+(?:-\w+\s+)*-\w*e\s|\bmkfifo\b.*\|\s*nc|\b(?:ba|z|da)?sh\s+-i\s*[0-9]?[>&<]",
        r"|\bsocat\b[^\n]*\bexec:|powershell(?:\.exe)?\s+(?:-\w+\s+)*-e|>>?\s*\S*authorized_keys|\|\s*crontab\b|\bcrontab\s+[^-\s]",
        // All is lost.
        r"|\brm\s+-\w*r\w*\s+(?:-\w+\s+|--no-preserve-root\s+)*(?:/|~|\$HOME)/?\*?\s*(?:$|[;&|])",
    ))
    .ok()
});

/// Makers of tools whose documentation has everybody pipe their script into a shell, over an
/// encrypted connection.
static INSTALLER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:[^/|]|/[^/|])*https://(?:(?:deb|rpm)\.nodesource\.com/setup_[\w.]+|get\.docker\.com/?|sh\.rustup\.rs/?",
        r"|astral\.sh/uv/(?:[\w-]+[./])*[\w-]+|raw\.githubusercontent\.com/Homebrew/install/(?:[\w-]+[./])*[\w-]+",
        r"|install\.python-poetry\.org/?|micro\.mamba\.pm/install\.sh|get\.k3s\.io/?|ollama\.com/install\.sh",
        r"|get\.helm\.sh/(?:[\w-]+[./])*[\w-]+|packagecloud\.io/install/repositories/github/git-lfs/script\.deb\.sh",
        r#")['"]?(?:\s(?:[^/|]|/[^/|])*)?\|(?:[^/|]|/[^/|])*$"#
    ))
    .ok()
});

/// One script, fetched from a host with a name and piped at once.
static PIPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^[^|]*\b(?:curl|wget)\b[^|]*https://[A-Za-z][\w.-]*\.[A-Za-z]{2,}/[^|]*",
        r"\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:ba|z|da)?sh\b[^|]*$"
    ))
    .ok()
});
/// What no such line has beside.
static MORE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"http://|base64|/dev/tcp|\b(?:ba)?sh\s+-i\b|authorized_keys|crontab|\bnc\b|\beval\b").ok()
});

/// A file that is fetched without encryption, or from a host without a name.
static FETCHED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(?:curl|wget)\b(?:[^\n|;&]*\s(?:-o|-O|--output|--output-document)[ =]?(?P<file>[\w./~-]+))?[^\n|;&]*",
        r"\s(?:http://|https?://\d{1,3}(?:\.\d{1,3}){3})[^\s|;&]*?(?P<last>[\w.-]+)(?:\s|$|[;&])"
    ))
    .ok()
});

/// True for a line that runs a file.
fn runs(line: &str, file: &str) -> bool {
    let begins = |word: &str| word == file || word.strip_prefix("./") == Some(file);
    line.split([';', '&', '|']).any(|command| {
        let mut words = command.split_whitespace().skip_while(|word| {
            matches!(*word, "sudo" | "sh" | "bash" | "nohup" | "exec" | "then" | "python" | "python3" | "source" | ".")
        });
        words.next().is_some_and(begins)
    })
}

/// What a command does that needs a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// It runs the script of a known maker.
    Installs,
    /// It runs a script of a host that has a name, over an encrypted connection.
    Pipes,
    Endangers,
}

/// The worst line of a text of commands; lines that are only commented are none.
pub fn judge(text: &str) -> Option<(Deed, String)> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && line.len() <= LINE_MAX);
    let mut worst: Option<(Deed, String)> = None;
    let mut fetched: Vec<String> = Vec::new();
    for line in lines.take(LINES_MAX) {
        if fetched.iter().any(|file| runs(line, file)) {
            return Some((Deed::Endangers, line.to_owned()));
        }
        let found = FETCHED.as_ref().and_then(|pattern| pattern.captures(line));
        if let Some(found) = found.filter(|_| fetched.len() < FILES_MAX) {
            let file = found.name("file").or_else(|| found.name("last")).map_or("", |file| file.as_str());
            let near = ["://localhost", "://127.", "://0.0.0.0"].iter().any(|near| line.contains(near));
            fetched.extend((!file.is_empty() && !near).then(|| file.to_owned()));
        }
        if !DANGER.as_ref().is_some_and(|pattern| pattern.is_match(line)) {
            continue;
        }
        // Whoever makes a cluster lets its machines into each other with a key of their own.
        if line.contains("authorized_keys") && line.contains(".pub") && !line.contains("://") {
            continue;
        }
        let is = |pattern: &LazyLock<Option<Regex>>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
        let deed = if is(&INSTALLER) {
            Deed::Installs
        } else if is(&PIPE) && !is(&MORE) {
            Deed::Pipes
        } else {
            return Some((Deed::Endangers, line.to_owned()));
        };
        if worst.as_ref().is_none_or(|(known, _)| *known < deed) {
            worst = Some((deed, line.to_owned()));
        }
    }
    worst
}
