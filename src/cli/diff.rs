//! `lanner diff`: what differs between two artifacts, two directories of them, or two addresses.

mod json;
mod page;
mod pair;
mod sides;
mod tensors;
mod text;

use std::process::ExitCode;

use clap::ValueEnum;

use super::{CLEAN, FOUND, UNSEEN, say};
use crate::event::difference::{Difference, Grade};
use pair::{Change, How};
use sides::Side;

#[derive(clap::Args)]
pub struct Args {
    /// File, directory or address before: `models/v1`, `hf://org/model@v1`, `oci://registry/repository:tag`.
    old: String,
    /// File, directory or address after.
    new: String,
    #[arg(long, value_enum, default_value = "text")]
    format: Output,
}

/// How the differences are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON object a line, for each file that differs.
    Json,
    /// One page that needs nothing else: save it, and open it in a browser.
    Html,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (mut old, mut new) = (Side::open(&args.old)?, Side::open(&args.new)?);
    if old.single().is_some() != new.single().is_some() {
        old.by_name();
        new.by_name();
    }
    let mut unread: Vec<String> = old.unread.iter().chain(&new.unread).cloned().collect();
    let mut changes = pair::changes(&old, &new, &mut unread)?;
    // The worst first; files of the same grade by their name.
    changes.sort_by(|one, other| (other.grade(), &one.name).cmp(&(one.grade(), &other.name)));
    match args.format {
        Output::Text => text::print(&changes, !unread.is_empty())?,
        Output::Json => changes.iter().try_for_each(|change| say(&json::line(change)))?,
        Output::Html => say(&page::page(&args.old, &args.new, &changes))?,
    }
    for why in &unread {
        anstream::eprintln!("not compared: {}", crate::alert::render::text::clean(why));
    }
    if !unread.is_empty() {
        let count = unread.len();
        anstream::eprintln!("{count} {} not compared", if count == 1 { "file was" } else { "files were" });
    }
    Ok(ExitCode::from(match (changes.is_empty(), unread.is_empty()) {
        (true, true) => CLEAN,
        (true, false) => UNSEEN,
        (false, _) => FOUND,
    }))
}

impl Change {
    /// The worst of its differences; none for bytes about which nothing is known.
    fn grade(&self) -> Option<Grade> {
        self.differences().iter().map(|difference| difference.grade).max()
    }

    fn differences(&self) -> &[Difference] {
        match &self.how {
            How::Changed(changed) => &changed.differences,
            How::Added | How::Removed | How::Renamed(_) | How::Copied(_) => &[],
        }
    }
}
