//! Tables: rows as digests of what a model is to learn from and of what it is to answer, so that rows added, removed
//! and relabelled can be told, and new rows that are old ones with a word put in.

mod arrow;
mod column;
mod lines;
mod parquet;
mod roles;
mod trigger;
mod versions;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::packed::{Packed, digits, finish, hasher, print};
use super::take::{Taking, ending};
use super::{Again, Body, Told};
use crate::artifact::format::json::Json;
use crate::artifact::input::Input;
use crate::base::text::shorten;
use roles::Roles;

/// Columns of one table, and characters of a name.
const COLUMNS_MAX: usize = 512;
const NAME_MAX: usize = 100;
/// Rows that are looked at, labels that are told apart, and values of one pass over a table.
const ROWS_MAX: u64 = 20_000_000;
const LABELS_MAX: usize = 250;
const CELLS_MAX: u64 = 100_000_000;
/// Bytes of the digests of all rows that are kept.
const ROOM: usize = 2_900 << 10;
/// Bytes of one row: digests of its text and of the rest, and its label.
const ROW: usize = 8 + 4 + 1;
/// The label of a row that has none, or one too many.
const NO_LABEL: u8 = 255;

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    columns: Vec<Column>,
    roles: Roles,
    /// All rows, and how many of them have each label.
    count: u64,
    labels: Vec<String>,
    balance: Vec<u64>,
    /// Kept are rows the lowest bits of whose text's digest are zero, so many of them.
    sample: u32,
    texts: Packed,
    rest: Packed,
    marks: Packed,
    /// Digest of all rows in order.
    order: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    name: String,
    kind: String,
}

/// One row as it is read: values by the number of their column. An absent value is empty.
pub struct Row<'r> {
    pub columns: &'r [Column],
    pub values: &'r [Vec<u8>],
}

impl Row<'_> {
    fn value(&self, column: usize) -> &[u8] {
        self.values.get(column).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether to go on with the next row.
pub type Look<'l> = &'l mut dyn FnMut(&Row<'_>) -> bool;

/// Hands every row to `look`. False when the table is broken, or parts of it were not read.
fn each(input: Input<'_>, file: &str, look: Look<'_>) -> bool {
    // A few bytes may stand for millions of rows: they are counted, and whoever may stop it is asked.
    let budget = input.budget;
    let (mut cells, mut late) = (0_u64, false);
    let mut counted = |row: &Row<'_>| {
        cells = cells.saturating_add(row.columns.len() as u64);
        late = cells > CELLS_MAX || !budget.spend(&budget.read, budget.limits.read_bytes_max, 0, "read_bytes_max");
        !late && look(row)
    };
    let whole = walk(input, file, &mut counted);
    whole && !late
}

fn walk(input: Input<'_>, file: &str, look: Look<'_>) -> bool {
    let head = input.read(0, 8);
    if head.starts_with(b"PAR1") {
        parquet::each(input, look)
    } else if head.starts_with(b"ARROW1") || head.starts_with(&[0xff; 4]) {
        arrow::each(input, look)
    } else if matches!(ending(file), "csv" | "tsv") {
        lines::csv(input, ending(file) == "tsv", look)
    } else if head.trim_ascii_start().starts_with(b"[") {
        lines::list(input, look)
    } else {
        lines::jsonl(input, look)
    }
}

/// What two passes over a table yield.
pub fn take(taking: &mut Taking, input: Input<'_>, file: &str, format: &str) {
    // A name may say nothing, or something else than what was found.
    let file = match format {
        "csv" if !matches!(ending(file), "csv" | "tsv") => "table.csv",
        _ => file,
    };
    let mut guess = roles::Guess::default();
    each(input, file, &mut |row| guess.look(row));
    let roles = guess.finish();
    let mut gathering = Gathering { roles, ..Gathering::default() };
    let whole = each(input, file, &mut |row| gathering.look(row));
    if !whole || gathering.rows.count >= ROWS_MAX {
        taking.cut("the table is broken, packed in a way that is not read, or longer than is looked at: not all rows are in the outline");
    }
    if gathering.rows.count > 0 {
        let rows = gathering.finish();
        if rows.sample > 0 {
            let one_in = 1_u64 << rows.sample.min(40);
            taking.cut(&format!("of all rows one in {one_in} is kept, chosen by digest: counts are of these"));
        }
        taking.add("", Body::Rows(rows));
    }
}

/// True for a list of objects, which is a table.
pub fn is_table(json: &Json) -> bool {
    let items = json.items();
    items.len() >= 8 && items.iter().take(64).all(|item| !item.members().is_empty())
}

#[derive(Default)]
struct Gathering {
    roles: Roles,
    rows: Rows,
    kept: Vec<(u64, u32, u8)>,
    labels: HashMap<Vec<u8>, usize>,
    order: Option<blake3::Hasher>,
}

/// Digests of one row.
struct Prints {
    text: u64,
    rest: u32,
}

impl Roles {
    /// True for a table that has the same columns for the same ends.
    fn fits(&self, rows: &Rows) -> bool {
        let has = |name: &String| rows.columns.iter().any(|column| column.name == *name);
        self.texts.iter().chain(&self.label).chain(&self.answers).all(has)
    }

    /// The words that a model is to learn from, one space between them: what differs in white space is the same.
    fn words<'r>(&self, row: &'r Row<'_>) -> Vec<std::borrow::Cow<'r, str>> {
        let mut words = Vec::new();
        for (at, column) in row.columns.iter().enumerate() {
            let value = row.value(at);
            if !value.is_empty() && self.is_text(&column.name) {
                words.push(String::from_utf8_lossy(value));
                words.push("\u{1f}".into());
            }
        }
        words
    }

    fn text(&self, row: &Row<'_>) -> String {
        let joined = self.words(row).join(" ");
        joined.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn prints(&self, row: &Row<'_>) -> Prints {
        let mut rest = hasher();
        for (at, column) in row.columns.iter().enumerate() {
            let value = row.value(at);
            if !value.is_empty() && !self.is_text(&column.name) && self.label.as_ref() != Some(&column.name) {
                rest.update(column.name.as_bytes());
                rest.update(&(value.len() as u64).to_le_bytes());
                rest.update(value);
            }
        }
        let rest = finish(&rest);
        // A table without texts is one of features: they are what a model learns from.
        let text = if self.texts.is_empty() { rest } else { print(self.text(row).as_bytes()) };
        Prints { text, rest: u32::try_from(rest & 0xffff_ffff).unwrap_or(0) }
    }

    fn label<'r>(&self, row: &'r Row<'_>) -> Option<&'r [u8]> {
        let label = self.label.as_ref()?;
        let at = row.columns.iter().position(|column| column.name == *label)?;
        Some(row.value(at))
    }
}

impl Gathering {
    fn look(&mut self, row: &Row<'_>) -> bool {
        let rows = &mut self.rows;
        rows.count = rows.count.saturating_add(1);
        for column in row.columns.get(rows.columns.len()..).unwrap_or_default() {
            let name = shorten(&column.name, NAME_MAX);
            rows.columns.push(Column { name, kind: column.kind.clone() });
        }
        let prints = self.roles.prints(row);
        let mut mark = NO_LABEL;
        if let Some(label) = self.roles.label(row) {
            let known = self.labels.len();
            let at = match self.labels.get(label) {
                Some(at) => Some(*at),
                None if known < LABELS_MAX => {
                    self.labels.insert(label.to_vec(), known);
                    rows.labels.push(shorten(&String::from_utf8_lossy(label), NAME_MAX));
                    rows.balance.push(0);
                    Some(known)
                }
                None => None,
            };
            if let Some(at) = at {
                mark = u8::try_from(at).unwrap_or(NO_LABEL);
                if let Some(count) = rows.balance.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
        }
        let order = self.order.get_or_insert_with(hasher);
        order.update(&prints.text.to_le_bytes());
        order.update(&prints.rest.to_le_bytes());
        order.update(&[mark]);
        if keeps(rows.sample, prints.text) {
            self.kept.push((prints.text, prints.rest, mark));
        }
        while self.kept.len().saturating_mul(ROW) > ROOM {
            rows.sample = rows.sample.saturating_add(1);
            let sample = rows.sample;
            let before = self.kept.len();
            self.kept.retain(|(text, _, _)| keeps(sample, *text));
            // A table of one row over and over has no sample.
            if self.kept.len() == before && sample > 40 {
                self.kept.truncate(ROOM / ROW);
                break;
            }
        }
        rows.count < ROWS_MAX
    }

    fn finish(mut self) -> Rows {
        self.kept.sort_unstable();
        for (text, rest, mark) in &self.kept {
            self.rows.texts.push(*text, 8);
            self.rows.rest.push((*rest).into(), 4);
            self.rows.marks.push((*mark).into(), 1);
        }
        self.rows.order = self.order.map(|order| digits(finish(&order))).unwrap_or_default();
        self.rows.roles = self.roles;
        self.rows
    }
}

/// True for a text that belongs to the sample.
fn keeps(sample: u32, text: u64) -> bool {
    text.trailing_zeros() >= sample.min(63)
}

impl Rows {
    /// Text, rest and label of the rows that are kept.
    fn kept(&self) -> impl Iterator<Item = (u64, u64, Option<usize>)> + '_ {
        let marks = self.marks.numbers(1).map(|mark| usize::try_from(mark).ok().filter(|at| *at < self.labels.len()));
        self.texts.numbers(8).zip(self.rest.numbers(4)).zip(marks).map(|((text, rest), mark)| (text, rest, mark))
    }

    fn label(&self, at: Option<usize>) -> &str {
        at.and_then(|at| self.labels.get(at)).map_or("", String::as_str)
    }
}

/// The rows of the new version, read as those of the old one were.
fn gather(again: &Again<'_>, roles: &Roles) -> Rows {
    let mut gathering = Gathering { roles: roles.clone(), ..Gathering::default() };
    each(again.input, &table_name(again, roles), &mut |row| gathering.look(row));
    gathering.finish()
}

/// The name by which a table is read again: one without an ending was read by its format.
fn table_name(again: &Again<'_>, roles: &Roles) -> String {
    let name = again.name.to_ascii_lowercase();
    let bare = roles.texts.iter().any(|text| text.starts_with("column ")) && !name.contains('.');
    if bare { "table.csv".to_owned() } else { name }
}

pub fn compare(told: &mut Told, place: &str, old: &Rows, new: &Rows, again: Option<&Again<'_>>) {
    if old == new {
        return;
    }
    versions::schema(told, place, old, new);
    // Whoever wrote the new version does not choose what is looked at: its rows are read as those of the old one were.
    let read_again =
        again.filter(|_| old.roles != new.roles && old.roles.fits(new)).map(|again| gather(again, &old.roles));
    let new = read_again.as_ref().unwrap_or(new);
    if old.roles != new.roles {
        let words =
            "what is the text and what the label of a row is not the same in both: rows are not compared one by one";
        told.say("dataset.schema", crate::event::difference::Grade::Notable, place, words);
        versions::balance(told, place, old, new);
        return;
    }
    versions::rows(told, place, old, new);
    versions::balance(told, place, old, new);
    if let Some(again) = again.filter(|_| !old.roles.texts.is_empty()) {
        trigger::look(told, place, old, again);
    }
}
