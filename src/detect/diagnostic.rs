//! What is wrong with a rule, where, and how to put it right.

use std::fmt;

use serde::Serialize;

use crate::base::text;
use crate::base::yaml::Node;

use super::Source;

/// Longest stretch of a source line that a diagnostic shows, in characters.
const SNIPPET_CHARS_MAX: usize = 160;
/// Diagnostics kept for one file; more would not be read.
const PER_FILE_MAX: usize = 200;

/// Whether the rule can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warning,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem in one place. `Display` shows it with the line and a caret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// One of [`CODES`].
    pub code: &'static str,
    pub severity: Level,
    pub path: String,
    /// Counts from 1; 0 when the whole file is meant.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
    /// Characters that are meant, at least 1.
    pub length: usize,
    pub message: String,
    pub hint: Option<String>,
    /// The line as written.
    pub snippet: Option<String>,
}

/// Every code with what it means; `docs/rules.md` explains them.
pub const CODES: &[(&str, &str)] = &[
    ("R001", "the file is no YAML, cannot be read, or is larger than allowed"),
    ("R002", "the document is no Sigma rule"),
    ("R003", "a required key is missing"),
    ("R004", "a key has a value of the wrong kind"),
    ("R005", "a key is misspelt or unknown"),
    ("R006", "a value is not one of those allowed"),
    ("R007", "an id is malformed"),
    ("R008", "an id is used twice"),
    ("R009", "a kind of document that Sigma 2 has given up"),
    ("R010", "unknown logsource category"),
    ("R012", "unknown field"),
    ("R013", "the value does not suit the field's type"),
    ("R014", "unknown modifier"),
    ("R015", "modifiers that do not go together"),
    ("R016", "the value does not suit the modifier"),
    ("R017", "invalid regular expression"),
    ("R018", "a selection that is empty or of the wrong shape"),
    ("R019", "a placeholder for values that are not there"),
    ("R020", "the condition cannot be read"),
    ("R021", "the condition names a selection that is not defined"),
    ("R022", "a selection, a rule or an alias that nothing uses"),
    ("R023", "a condition that can never hold"),
    ("R024", "a condition that always holds"),
    ("R025", "a value that is written twice, or covered by another"),
    ("R026", "an expression that is a plain text"),
    ("R027", "a star that is no wildcard"),
    ("R028", "two rules that ask the same"),
    ("R029", "the rule's status says that it should not be used"),
    ("R030", "unknown or retired ATLAS identifier"),
    ("R031", "malformed tag"),
    ("R040", "the rule's own tests are missing or malformed"),
    ("R050", "an override that fits no rule"),
    ("R051", "an override that has expired"),
    ("R052", "an override that names no rule, or changes nothing"),
    ("R053", "an override that asks for what is so already"),
    ("R054", "a mapping of foreign fields is malformed"),
    ("R060", "a correlation names a rule that is not there"),
    ("R061", "a correlation is malformed"),
    ("R062", "correlations that count each other"),
    ("R063", "a correlation that asks for more events than are remembered"),
    ("R070", "a filter is malformed"),
    ("R071", "a filter is for no rule"),
    ("R072", "a filter keeps what it describes, instead of leaving it out"),
];

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}[{}]: {}", self.severity.as_str(), self.code, self.message)?;
        let gutter = " ".repeat(self.line.to_string().len());
        if self.line == 0 {
            write!(f, "{gutter}--> {}", self.path)?;
        } else {
            write!(f, "{gutter}--> {}:{}:{}", self.path, self.line, self.column)?;
        }
        if let Some(snippet) = &self.snippet {
            let indent = " ".repeat(self.column.saturating_sub(1));
            let room = snippet.chars().count().saturating_sub(self.column.saturating_sub(1)).max(1);
            write!(
                f,
                "\n{gutter} |\n{} | {snippet}\n{gutter} | {indent}{}",
                self.line,
                "^".repeat(self.length.clamp(1, room))
            )?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{gutter} = help: {hint}")?;
        }
        Ok(())
    }
}

/// Characters that are counted into a line to find a place in it.
const COUNTED_MAX: usize = 1 << 12;

/// Where something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

impl Span {
    /// The beginning of a node; a scalar's length is taken from its text.
    pub fn of(node: &Node) -> Self {
        let length = match node.as_text() {
            Some(text) if !text.contains('\n') => text.chars().count().max(1),
            Some(_) | None => 1,
        };
        Self { line: node.line, column: node.column, length }
    }

    /// A part of it, `offset` characters in.
    pub const fn part(self, offset: usize, length: usize) -> Self {
        Self { line: self.line, column: self.column + offset, length }
    }
}

/// Collects what is wrong with one file.
pub(crate) struct Reporter<'s> {
    source: &'s Source,
    lines: Vec<&'s str>,
    /// Characters are bytes.
    ascii: bool,
    found: Vec<Diagnostic>,
}

impl<'s> Reporter<'s> {
    pub fn new(source: &'s Source) -> Self {
        Self { source, lines: source.text.lines().collect(), ascii: source.text.is_ascii(), found: Vec::new() }
    }

    pub fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.report(Level::Error, code, span, message.into(), None);
    }

    pub fn error_hint(&mut self, code: &'static str, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Level::Error, code, span, message.into(), Some(hint.into()));
    }

    pub fn report(&mut self, severity: Level, code: &'static str, span: Span, message: String, hint: Option<String>) {
        if self.found.len() >= PER_FILE_MAX {
            return;
        }
        // A misspelt key is also a missing one: said once.
        if code == "R003" {
            self.found.retain(|found| (found.code, found.line, found.column) != ("R005", span.line, span.column));
        }
        let line = span.line.checked_sub(1).and_then(|index| self.lines.get(index));
        let (column, line) = (span.column.max(1), line.map(|line| line.trim_end()));
        let fits = |line: &&str| column <= SNIPPET_CHARS_MAX && line.chars().count() >= column;
        self.found.push(Diagnostic {
            code,
            severity,
            path: self.source.path.clone(),
            line: span.line,
            column,
            length: self.shown_length(span),
            message,
            hint,
            snippet: line.filter(fits).map(|line| text::shorten(&line.replace('\t', " "), SNIPPET_CHARS_MAX)),
        });
    }

    /// Whether any error was reported since `mark` of [`Self::mark`].
    pub fn errors_since(&self, mark: usize) -> bool {
        self.found.iter().skip(mark).any(|diagnostic| diagnostic.severity == Level::Error)
    }

    /// What diagnostics call the file.
    pub fn path(&self) -> &str {
        &self.source.path
    }

    pub fn mark(&self) -> usize {
        self.found.len()
    }

    pub fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }

    /// Where `length` characters of a scalar are written, `start` characters in. Quotes shift them
    /// by one; those of a block stand on lines of their own. The whole scalar when in doubt.
    pub fn inside(&self, node: &Node, text: &str, start: usize, length: usize) -> Span {
        let before: String = text.chars().take(start).collect();
        let part: String = text.chars().skip(start).take(length).collect();
        let row = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let place = Span { line: node.line + row, column: node.column + column, length };
        let candidates = [place, place.part(usize::from(row == 0), length)];
        let written = |span: &Span| self.at(*span).is_some_and(|rest| rest.starts_with(part.as_str()));
        candidates.into_iter().find(written).unwrap_or_else(|| Span::of(node))
    }

    /// The rest of the line from a place on. A rule may be one line of megabytes, and this is asked for
    /// each of its keys, so characters are counted only so far.
    fn at(&self, span: Span) -> Option<&'s str> {
        let (number, before) = (span.line.checked_sub(1)?, span.column.saturating_sub(1));
        let line = self.lines.get(number)?;
        if self.ascii {
            return line.get(before..);
        }
        if before > COUNTED_MAX {
            return None;
        }
        let (at, _) = line.char_indices().nth(before)?;
        line.get(at..)
    }

    /// Quotes around a scalar are not part of its text but of what is shown.
    fn shown_length(&self, span: Span) -> usize {
        let line = span.line.checked_sub(1).and_then(|index| self.lines.get(index));
        let first = line.and_then(|line| line.chars().nth(span.column.saturating_sub(1)));
        match first {
            Some('\'' | '"') if span.length > 1 => span.length + 2,
            Some(_) | None => span.length.max(1),
        }
    }
}
