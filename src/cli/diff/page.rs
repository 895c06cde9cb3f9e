//! The differences as one page: no script, nothing fetched, every text escaped; light or dark as the reader has it.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::pair::{Change, Changed, How};
use super::tensors::{Kind, Tensor};
use super::text::percent;
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

const STYLE: &str = include_str!("page.css");
/// Files, and tensors of one file, that are shown one by one.
const FILES_MAX: usize = 2000;
const TENSORS_MAX: usize = 600;
/// Bytes of the two texts of one difference that are laid side by side.
const TEXT_MAX: usize = 64 << 10;

/// The whole page.
pub fn page(old: &str, new: &str, changes: &[Change]) -> String {
    let mut out = String::new();
    let worst = changes.iter().filter_map(Change::grade).max();
    let title = format!("What differs: {} → {}", plain(old), plain(new));
    write(&mut out, format_args!("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"));
    write(&mut out, format_args!("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"));
    write(
        &mut out,
        format_args!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        ),
    );
    write(&mut out, format_args!("<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n", escape(&title)));
    let class = worst.map_or("none", Grade::as_str);
    write(&mut out, format_args!("<header class=\"{class}\">\n<h1>What differs</h1>\n"));
    write(
        &mut out,
        format_args!(
            "<p class=\"sides\"><code>{}</code> <span aria-hidden=\"true\">→</span><span class=\"unseen\"> to </span> <code>{}</code></p>\n",
            escape(old),
            escape(new)
        ),
    );
    write(&mut out, format_args!("<p class=\"sum\">{}</p>\n</header>\n<main>\n", escape(&sum(changes))));
    if changes.len() > 1 {
        contents(&mut out, changes);
    }
    for (number, change) in changes.iter().take(FILES_MAX).enumerate() {
        file(&mut out, number, change);
    }
    if changes.len() > FILES_MAX {
        write(&mut out, format_args!("<p>{} more files differ.</p>\n", changes.len().saturating_sub(FILES_MAX)));
    }
    out.push_str("</main>\n<footer><p>Hostile: what no ordinary training or export leaves. Notable: worth a look where nobody announced it. Routine: every new version has it.</p></footer>\n</body>\n</html>");
    out
}

/// Writing to a text does not fail.
fn write(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).unwrap_or_default();
}

/// The sum in words.
fn sum(changes: &[Change]) -> String {
    let count = |grade: Grade| changes.iter().filter(|change| change.grade() == Some(grade)).count();
    let (hostile, notable) = (count(Grade::Hostile), count(Grade::Notable));
    let files = |count: usize| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    if changes.is_empty() {
        return "No difference: the bytes are the same.".to_owned();
    }
    let judged = match (hostile, notable) {
        (0, 0) => "What was found is what every new version has.".to_owned(),
        (0, notable) => format!("{} worth a look where nobody announced the change.", verb(notable)),
        (hostile, 0) => format!("{} the mark of an attack.", bears(hostile)),
        (hostile, notable) => format!("{} the mark of an attack; {} worth a look.", bears(hostile), verb(notable)),
    };
    format!("{} differ. {judged}", files(changes.len())).replace("1 file differ.", "1 file differs.")
}

fn verb(count: usize) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

fn bears(count: usize) -> String {
    if count == 1 { "1 bears".to_owned() } else { format!("{count} bear") }
}

fn contents(out: &mut String, changes: &[Change]) {
    out.push_str("<nav aria-label=\"Files that differ\"><ol>\n");
    for (number, change) in changes.iter().take(FILES_MAX).enumerate() {
        write(
            out,
            format_args!(
                "<li><a href=\"#f{number}\">{}</a> {}</li>\n",
                escape(&change.name),
                badge(change.grade(), how(change))
            ),
        );
    }
    out.push_str("</ol></nav>\n");
}

fn how(change: &Change) -> &'static str {
    match change.how {
        How::Added => "added",
        How::Removed => "removed",
        How::Renamed(_) => "renamed",
        How::Copied(_) => "copied",
        How::Changed(_) => "changed",
    }
}

fn badge(grade: Option<Grade>, word: &str) -> String {
    let (class, word) = grade.map_or(("none", word), |grade| (grade.as_str(), grade.as_str()));
    format!("<span class=\"badge {class}\">{word}</span>")
}

fn file(out: &mut String, number: usize, change: &Change) {
    write(out, format_args!("<section id=\"f{number}\" aria-labelledby=\"h{number}\">\n"));
    write(
        out,
        format_args!(
            "<h2 id=\"h{number}\"><code>{}</code> {}</h2>\n",
            escape(&change.name),
            badge(change.grade(), how(change))
        ),
    );
    match &change.how {
        How::Added => out.push_str("<p>The file is new.</p>\n"),
        How::Removed => out.push_str("<p>The file is gone.</p>\n"),
        How::Renamed(from) => {
            write(out, format_args!("<p>The same bytes were called <code>{}</code>.</p>\n", escape(from)));
        }
        How::Copied(from) => write(out, format_args!("<p>The same bytes are in <code>{}</code>.</p>\n", escape(from))),
        How::Changed(changed) => {
            if changed.differences.is_empty() && changed.tensors.is_empty() {
                out.push_str("<p>The bytes differ; nothing of what is compared does.</p>\n");
            }
            changed.differences.iter().for_each(|told| difference(out, told));
            tensors(out, number, &changed.tensors);
            figures(out, changed);
        }
    }
    out.push_str("</section>\n");
}

fn difference(out: &mut String, told: &Difference) {
    write(
        out,
        format_args!(
            "<article class=\"{}\">\n<h3>{} <code>{}</code>",
            told.grade,
            badge(Some(told.grade), ""),
            escape(&told.class)
        ),
    );
    if !told.place.is_empty() {
        write(out, format_args!(" <span class=\"place\">{}</span>", escape(&told.place)));
    }
    write(out, format_args!("</h3>\n<p>{}</p>\n", words(&told.words)));
    if told.before.is_some() || told.after.is_some() {
        let of = |text: &Option<String>| text.as_deref().map(|text| shorten(text, TEXT_MAX)).unwrap_or_default();
        match (of(&told.before), of(&told.after)) {
            (before, after) if before.is_empty() => alone(out, "after", "fresh", &after),
            (before, after) if after.is_empty() => alone(out, "before", "gone", &before),
            (before, after) => side_by_side(out, &before, &after),
        }
    }
    out.push_str("</article>\n");
}

/// A text that is on one side only.
fn alone(out: &mut String, side: &str, class: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    write(
        out,
        format_args!(
            "<div class=\"texts\"><table class=\"alone\"><thead><tr><th scope=\"col\">{side}</th></tr></thead><tbody>\n"
        ),
    );
    for line in text.lines() {
        write(out, format_args!("<tr class=\"{class}\"><td>{}</td></tr>\n", visible(line)));
    }
    out.push_str("</tbody></table></div>\n");
}

/// Two texts in two columns: lines that belong together stand beside each other, and their words are marked.
fn side_by_side(out: &mut String, before: &str, after: &str) {
    out.push_str("<div class=\"texts\"><table><thead><tr><th scope=\"col\">before</th><th scope=\"col\">after</th></tr></thead><tbody>\n");
    let diff = TextDiff::from_lines(before, after);
    let (mut gone, mut fresh): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        match change.tag() {
            ChangeTag::Delete => gone.push(change.value()),
            ChangeTag::Insert => fresh.push(change.value()),
            ChangeTag::Equal => {
                lines(out, &std::mem::take(&mut gone), &std::mem::take(&mut fresh));
                let text = visible(change.value());
                write(out, format_args!("<tr><td>{text}</td><td>{text}</td></tr>\n"));
            }
        }
    }
    lines(out, &gone, &fresh);
    out.push_str("</tbody></table></div>\n");
}

fn lines(out: &mut String, gone: &[&str], fresh: &[&str]) {
    for at in 0..gone.len().max(fresh.len()) {
        match (gone.get(at), fresh.get(at)) {
            (Some(old), Some(new)) => {
                let (mut left, mut right) = (String::new(), String::new());
                for change in TextDiff::from_words(*old, *new).iter_all_changes() {
                    let text = visible(change.value());
                    match change.tag() {
                        ChangeTag::Equal => {
                            left.push_str(&text);
                            right.push_str(&text);
                        }
                        ChangeTag::Delete => write(&mut left, format_args!("<del>{text}</del>")),
                        ChangeTag::Insert => write(&mut right, format_args!("<ins>{text}</ins>")),
                    }
                }
                write(out, format_args!("<tr class=\"both\"><td>{left}</td><td>{right}</td></tr>\n"));
            }
            (Some(old), None) => {
                write(out, format_args!("<tr class=\"gone\"><td><del>{}</del></td><td></td></tr>\n", visible(old)));
            }
            (None, Some(new)) => {
                write(out, format_args!("<tr class=\"fresh\"><td></td><td><ins>{}</ins></td></tr>\n", visible(new)));
            }
            (None, None) => {}
        }
    }
}

/// Bars for tensors: how much of the bytes of each differs.
fn tensors(out: &mut String, number: usize, tensors: &[Tensor]) {
    if tensors.is_empty() {
        return;
    }
    write(
        out,
        format_args!("<h3 id=\"t{number}\">Tensors</h3>\n<table class=\"bars\" aria-labelledby=\"t{number}\">\n"),
    );
    out.push_str("<thead><tr><th scope=\"col\">name</th><th scope=\"col\">type and shape</th><th scope=\"col\">bytes that differ</th></tr></thead>\n<tbody>\n");
    for tensor in tensors.iter().take(TENSORS_MAX) {
        let (class, share, said) = match tensor.how {
            Kind::Added => ("fresh", 1000, "added".to_owned()),
            Kind::Removed => ("gone", 1000, "removed".to_owned()),
            Kind::Reshaped => ("both", 1000, "another type or shape".to_owned()),
            Kind::Changed { differ, compared } => {
                let share = u128::from(differ).saturating_mul(1000).checked_div(u128::from(compared)).unwrap_or(1000);
                (
                    "changed",
                    u64::try_from(share).unwrap_or(1000).max(u64::from(differ > 0) * 4),
                    percent(differ, compared),
                )
            }
        };
        let said = if tensor.what.is_empty() { said } else { format!("{said} · {}", tensor.what) };
        write(
            out,
            format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td class=\"bar\"><span class=\"fill {class}\" style=\"width:{}.{}%\"></span><span class=\"said\">{}</span></td></tr>\n",
                escape(&tensor.name),
                escape(&tensor.shape),
                share / 10,
                share % 10,
                escape(&said)
            ),
        );
    }
    out.push_str("</tbody></table>\n");
    if tensors.len() > TENSORS_MAX {
        write(out, format_args!("<p>{} more tensors differ.</p>\n", tensors.len().saturating_sub(TENSORS_MAX)));
    }
}

fn figures(out: &mut String, changed: &Changed) {
    out.push_str("<details><summary>Figures</summary><table class=\"figures\"><thead><tr><th></th><th scope=\"col\">before</th><th scope=\"col\">after</th></tr></thead><tbody>\n");
    let rows = [
        ("SHA-256", changed.old.sha256.to_string(), changed.new.sha256.to_string()),
        ("bytes", changed.old.size.to_string(), changed.new.size.to_string()),
        ("format", changed.formats[0].clone(), changed.formats[1].clone()),
    ];
    for (name, before, after) in rows {
        let (before, after) = (escape(&before), escape(&after));
        write(
            out,
            format_args!(
                "<tr><th scope=\"row\">{name}</th><td><code>{before}</code></td><td><code>{after}</code></td></tr>\n"
            ),
        );
    }
    out.push_str("</tbody></table></details>\n");
}

/// Text for the title of a window: one line.
fn plain(text: &str) -> String {
    shorten(&text.replace(['\n', '\r'], " "), 200)
}

/// A text of an attacker's as text: markup is none, and characters that nobody sees are shown.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if is_unseen(c) => write(&mut out, format_args!("<span class=\"mark\">U+{:04X}</span>", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A sentence, in which names stand between backticks.
fn words(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd one is a backtick of somebody's.
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let mark = |(at, part): (usize, &&str)| {
        if at % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }
    };
    parts.iter().enumerate().map(mark).collect()
}

/// The same for a line of a text.
fn visible(text: &str) -> String {
    escape(text.trim_end_matches(['\n', '\r']))
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{00ad}' | '\u{e0000}'..='\u{e007f}')
}
