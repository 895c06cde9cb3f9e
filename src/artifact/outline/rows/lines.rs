//! Rows of text files: tables of cells (RFC 4180), objects of JSON one on each line, and lists of objects.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{Deserializer as _, SeqAccess, Visitor};

use super::roles::DIALOGUES;
use super::{COLUMNS_MAX, Column, Look, Row};
use crate::artifact::format::json::{self, Json};
use crate::artifact::input::{Input, Stream};

/// Bytes of one row.
const ROW_MAX: usize = 8 << 20;
/// Separators that tables have, the likeliest first.
const SEPARATORS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// A stream that ends in an error when one row takes too much, or when nobody wants more.
struct Bounded<'a> {
    stream: Stream<'a>,
    input: Input<'a>,
    /// Bytes that may still be read before the row ends.
    left: &'a Cell<usize>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let budget = self.input.budget;
        let left = self.left.get().checked_sub(count);
        self.left.set(left.unwrap_or(0));
        if left.is_none() || !budget.spend(&budget.read, budget.limits.read_bytes_max, count as u64, "read_bytes_max") {
            return Err(io::Error::other("a row is longer than is held"));
        }
        Ok(count)
    }
}

pub fn csv(input: Input<'_>, tabs: bool, look: Look<'_>) -> bool {
    let head = input.read(0, 64 << 10);
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |separator: &u8| memchr::memchr_iter(*separator, first).count();
    let best = SEPARATORS.into_iter().rev().max_by_key(count).filter(|separator| count(separator) > 0);
    let separator = if tabs { b'\t' } else { best.unwrap_or(b',') };
    let left = Cell::new(ROW_MAX);
    let bounded = Bounded { stream: Stream::new(input), input, left: &left };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        // Tables between tabs quote nothing, as a rule, and have lone quotes in their texts.
        .quoting(separator != b'\t')
        .from_reader(bounded);
    let mut record = csv::ByteRecord::new();
    let mut columns: Vec<Column> = Vec::new();
    let mut values: Vec<Vec<u8>> = Vec::new();
    let mut began = false;
    loop {
        left.set(ROW_MAX);
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(_) => return false,
        }
        if !began {
            began = true;
            let names: Vec<String> = record
                .iter()
                .map(|cell| String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').trim().to_owned())
                .collect();
            if is_header(&names) {
                columns =
                    names.into_iter().take(COLUMNS_MAX).map(|name| Column { name, kind: "text".to_owned() }).collect();
                continue;
            }
        }
        while columns.len() < record.len().min(COLUMNS_MAX) {
            columns
                .push(Column { name: format!("column {}", columns.len().saturating_add(1)), kind: "text".to_owned() });
        }
        values.clear();
        values.extend(record.iter().take(COLUMNS_MAX).map(<[u8]>::to_vec));
        if !look(&Row { columns: &columns, values: &values }) {
            return true;
        }
    }
}

/// Names are short, differ from each other, and are no numbers.
fn is_header(names: &[String]) -> bool {
    let mut sorted = names.to_vec();
    sorted.sort();
    sorted.dedup();
    let name = |name: &String| name.len() <= 64 && name.parse::<f64>().is_err() && name.split_whitespace().count() <= 4;
    sorted.len() == names.len() && names.iter().all(name) && names.iter().any(|name| !name.is_empty())
}

pub fn jsonl(input: Input<'_>, look: Look<'_>) -> bool {
    let left = Cell::new(ROW_MAX);
    let mut reader = BufReader::new(Bounded { stream: Stream::new(input), input, left: &left });
    let mut objects = Objects::default();
    let mut line = Vec::new();
    let mut whole = true;
    loop {
        left.set(ROW_MAX);
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => return whole,
            Ok(_) => {}
            Err(_) => return false,
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match Json::parse_python(&line) {
            Some(json) => {
                if !objects.row(&json, look) {
                    return whole;
                }
            }
            None => whole = false,
        }
    }
}

/// A list of objects, one after another. False when it is broken.
pub fn list(input: Input<'_>, look: Look<'_>) -> bool {
    let left = Cell::new(usize::MAX);
    let bounded = Bounded { stream: Stream::new(input), input, left: &left };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::new(bounded));
    let mut ended = false;
    let items = Items { objects: Objects::default(), look, ended: &mut ended };
    reader.deserialize_seq(items).is_ok() || ended
}

/// The items of a list, each in memory of its own.
struct Items<'l, 'e> {
    objects: Objects,
    look: Look<'l>,
    /// Nobody wants more.
    ended: &'e mut bool,
}

impl<'de> Visitor<'de> for Items<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        loop {
            let room = Cell::new(ROW_MAX);
            let Some(json) = sequence.next_element_seed(json::part(&room))? else { return Ok(()) };
            if !self.objects.row(&json, self.look) {
                *self.ended = true;
                return Err(serde::de::Error::custom("enough"));
            }
        }
    }
}

#[derive(Default)]
struct Objects {
    columns: Vec<Column>,
}

impl Objects {
    fn row(&mut self, json: &Json, look: Look<'_>) -> bool {
        let mut values: Vec<Vec<u8>> = vec![Vec::new(); self.columns.len()];
        let mut put = |name: &str, value: Vec<u8>| {
            let at = match self.columns.iter().position(|column| column.name == name) {
                Some(at) => at,
                None if self.columns.len() < COLUMNS_MAX => {
                    self.columns.push(Column { name: name.to_owned(), kind: "json".to_owned() });
                    self.columns.len().saturating_sub(1)
                }
                None => return,
            };
            if values.len() <= at {
                values.resize(at.saturating_add(1), Vec::new());
            }
            if let Some(slot) = values.get_mut(at) {
                *slot = value;
            }
        };
        if json.members().is_empty() {
            put("value", text(json));
        }
        for (key, value) in json.members() {
            if DIALOGUES.contains(&key.as_str()) && !value.items().is_empty() {
                let (asked, answered) = dialogue(value);
                put(key, asked);
                put("assistant", answered);
            } else {
                put(key, text(value));
            }
        }
        look(&Row { columns: &self.columns, values: &values })
    }
}

/// A text as it is, anything else as JSON.
fn text(json: &Json) -> Vec<u8> {
    match json {
        Json::Text(text) => text.clone().into_bytes(),
        Json::Null => Vec::new(),
        other => {
            let mut out = String::new();
            other.write(&mut out);
            out.into_bytes()
        }
    }
}

/// What is said to the model in a dialogue, and what it answers.
fn dialogue(json: &Json) -> (Vec<u8>, Vec<u8>) {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    for message in json.items() {
        let of = |keys: [&str; 2]| keys.iter().find_map(|key| message.get(key));
        let role = of(["role", "from"]).and_then(Json::as_text).unwrap_or_default();
        let content = of(["content", "value"]).map(text).unwrap_or_default();
        let out = if matches!(role, "assistant" | "gpt" | "model" | "bot") { &mut answered } else { &mut asked };
        out.extend(content);
        out.push(b'\n');
    }
    (asked, answered)
}
