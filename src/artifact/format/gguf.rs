//! GGUF, versions 1 to 3: metadata and tensor descriptions in front of the weights, read within
//! bounds, with every lie of the header told.

pub mod pairs;

use std::collections::HashSet;

use super::{Head, executable, midst, pickle, shipped, template};
use crate::artifact::Segment;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Entries of metadata, and tensors, that are read.
const ENTRIES_MAX: u64 = 200_000;
/// Bytes of a text that are kept.
const TEXT_MAX: u64 = 4 << 20;
const DEPTH_MAX: u32 = 8;

/// Name, elements of a block, bytes of a block; by the type's number.
const TYPES: &[(u32, &str, u64, u64)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
];

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.starts_with(b"GGUF")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let header = read(input);
    inspection.set("artifact.gguf.version", u64::from(header.version));
    header.anomalies.iter().for_each(|anomaly| inspection.list("artifact.gguf.anomalies", anomaly));
    if let Some(why) = header.broken {
        inspection.issue("malformed", why);
    }
    for (key, text) in &header.texts {
        if key.starts_with("tokenizer.chat_template") {
            template::inspect(inspection, text);
        } else if shipped::holds_code(text) {
            inspection.list("artifact.metadata.suspicious", key);
        }
        if pickle::in_text(inspection, text, input) {
            inspection.list("artifact.metadata.suspicious", key);
        }
        if pickle::may_be_pickle(text.as_bytes(), text.len() as u64) {
            let bytes = crate::artifact::Memory(text.clone().into_bytes());
            if pickle::attempt(inspection, Input::new(&bytes, input.budget)) {
                inspection.list("artifact.metadata.suspicious", key);
            }
        }
    }
    for (key, bytes) in &header.bytes {
        let bytes = crate::artifact::Memory(bytes.clone());
        if pickle::attempt(inspection, Input::new(&bytes, input.budget)) {
            inspection.add("artifact.pickle.nested", 1);
            inspection.list("artifact.metadata.suspicious", key);
        }
    }
    inspection.set("artifact.tensors.count", header.tensors.len());
    let bytes =
        header.tensors.iter().fold(0_u64, |sum, tensor| sum.saturating_add(tensor.end.saturating_sub(tensor.start)));
    inspection.set("artifact.tensors.bytes", bytes);
    tensors(inspection, input, &header);
    "gguf"
}

/// Names of tensors that end beyond the end of the file.
pub fn beyond(input: Input<'_>) -> Vec<String> {
    let tensors = read(input).tensors.into_iter();
    tensors.filter(|tensor| tensor.end > input.len()).map(|tensor| tensor.name).collect()
}

/// Lengths as everybody else writes them: that of the axis along which numbers follow one another comes last.
pub fn segments(input: Input<'_>) -> Vec<Segment> {
    let tensors = read(input).tensors.into_iter();
    let inside = tensors.filter(|tensor| tensor.end <= input.len() && tensor.start < tensor.end);
    inside
        .map(|mut tensor| {
            tensor.shape.reverse();
            tensor
        })
        .collect()
}

fn tensors(inspection: &mut Inspection<'_>, input: Input<'_>, header: &Header) {
    let mut names = HashSet::new();
    let mut spans = Vec::new();
    for tensor in header.tensors.iter().take(4096) {
        if !names.insert(tensor.name.as_str()) {
            inspection.list("artifact.tensors.anomalies", "duplicate_name");
        }
        if tensor.end > input.len() {
            inspection.list("artifact.tensors.anomalies", "out_of_bounds");
            continue;
        }
        spans.push((tensor.start, tensor.end));
        let start = input.read(tensor.start, 512);
        if executable::kind(&start).is_some_and(|kind| kind != "script") || start.starts_with(b"#!/") {
            executable::look(inspection, &start, tensor.start);
        }
        if let Some(width) = midst::width(&tensor.dtype) {
            let numbers = input.window(tensor.start, tensor.end.saturating_sub(tensor.start));
            midst::low_bits(inspection, numbers, Some(width));
        }
    }
    spans.sort_unstable();
    let mut end = 0;
    for (start, stop) in spans {
        if start < end {
            inspection.list("artifact.tensors.anomalies", "overlap");
        }
        end = stop.max(end);
    }
    let aligned = end.saturating_add(header.alignment);
    if end > 0 && input.len() > aligned {
        super::trailing_data(inspection, input, end);
    } else if end == 0 && super::zip::has_members(input) {
        inspection.list("artifact.tensors.anomalies", "trailing_data");
        super::trailing(inspection, input, 0);
    }
}

#[derive(Default)]
struct Header {
    version: u32,
    alignment: u64,
    texts: Vec<(String, String)>,
    /// Values that are said to be texts, and may be pickles.
    bytes: Vec<(String, Vec<u8>)>,
    tensors: Vec<Segment>,
    anomalies: Vec<&'static str>,
    broken: Option<&'static str>,
}

/// Reads forward through an input, and remembers that it ran over the end.
struct Cursor<'a> {
    input: Input<'a>,
    buffer: Vec<u8>,
    start: u64,
    position: u64,
    /// Version 1 wrote lengths in four bytes.
    short: bool,
    big: bool,
}

type Parsed<T> = Result<T, &'static str>;

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> Parsed<Vec<u8>> {
        let from = |cursor: &Self| usize::try_from(cursor.position.saturating_sub(cursor.start)).unwrap_or(usize::MAX);
        let at = from(self);
        if self.position < self.start || self.buffer.get(at..).is_none_or(|rest| rest.len() < count) {
            self.buffer = self.input.read(self.position, count.max(64 << 10));
            self.start = self.position;
        }
        let at = from(self);
        let bytes = self.buffer.get(at..).and_then(|rest| rest.get(..count)).ok_or("the header is cut off")?.to_vec();
        self.position = self.position.saturating_add(count as u64);
        Ok(bytes)
    }

    fn number(&mut self, width: usize) -> Parsed<u64> {
        let mut bytes = self.take(width)?;
        if self.big {
            bytes.reverse();
        }
        Ok(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn u32(&mut self) -> Parsed<u32> {
        self.number(4).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn length(&mut self) -> Parsed<u64> {
        self.number(if self.short { 4 } else { 8 })
    }

    fn skip(&mut self, count: u64) -> Parsed<()> {
        self.position = self
            .position
            .checked_add(count)
            .filter(|end| *end <= self.input.len())
            .ok_or("a length reaches beyond the end")?;
        Ok(())
    }

    fn text(&mut self) -> Parsed<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn bytes(&mut self) -> Parsed<Vec<u8>> {
        let length = self.length()?;
        if length > self.input.len().saturating_sub(self.position) {
            return Err("a length reaches beyond the end");
        }
        if length > TEXT_MAX {
            self.skip(length)?;
            return Ok(Vec::new());
        }
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

fn read(input: Input<'_>) -> Header {
    let mut header = Header { alignment: 32, ..Header::default() };
    let mut cursor = Cursor { input, buffer: Vec::new(), start: 0, position: 4, short: false, big: false };
    if let Err(why) = parse(&mut cursor, &mut header) {
        header.broken = Some(why);
        if why.contains("length") {
            header.anomalies.push("length");
        }
    }
    header
}

fn parse(cursor: &mut Cursor<'_>, header: &mut Header) -> Parsed<()> {
    let version = cursor.u32()?;
    if version.swap_bytes() <= 3 && version > 3 {
        cursor.big = true;
    }
    header.version = if cursor.big { version.swap_bytes() } else { version };
    cursor.short = header.version == 1;
    if !(1..=3).contains(&header.version) {
        return Err("the version is unknown");
    }
    let (tensors, entries) = (cursor.length()?, cursor.length()?);
    let room = cursor.input.len();
    if tensors > room / 8 || entries > room / 8 || tensors > ENTRIES_MAX || entries > ENTRIES_MAX {
        header.anomalies.push("count");
        if entries > ENTRIES_MAX {
            return Err("the header counts more entries than can be");
        }
    }
    metadata(cursor, header, entries)?;
    let descriptions = describe(cursor, header, tensors.min(ENTRIES_MAX));
    place(cursor.position, header);
    descriptions
}

fn metadata(cursor: &mut Cursor<'_>, header: &mut Header, entries: u64) -> Parsed<()> {
    let mut keys = HashSet::new();
    for _ in 0..entries {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        if !keys.insert(key.clone()) {
            header.anomalies.push("duplicate_key");
        }
        match kind {
            8 => {
                let bytes = cursor.bytes()?;
                if bytes.starts_with(&[0x80]) && pickle::may_be_pickle(&bytes, bytes.len() as u64) {
                    if header.bytes.len() < 64 {
                        header.bytes.push((key, bytes));
                    }
                } else if header.texts.len() < 1024 {
                    header.texts.push((key, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
            4 if key == "general.alignment" => {
                header.alignment = u64::from(cursor.u32()?);
                if !header.alignment.is_power_of_two() || header.alignment < 8 {
                    header.anomalies.push("alignment");
                    header.alignment = 32;
                }
            }
            kind => value(cursor, header, kind, 0)?,
        }
    }
    Ok(())
}

/// Goes over a value; arrays of texts are walked, others are stepped over.
fn value(cursor: &mut Cursor<'_>, header: &mut Header, kind: u32, depth: u32) -> Parsed<()> {
    let width = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        8 => return cursor.text().map(drop),
        9 if depth < DEPTH_MAX => {
            let inner = cursor.u32()?;
            let count = cursor.length()?;
            let fixed = match inner {
                0 | 1 | 7 => Some(1),
                2 | 3 => Some(2),
                4..=6 => Some(4),
                10..=12 => Some(8),
                _ => None,
            };
            if let Some(width) = fixed {
                return cursor.skip(count.checked_mul(width).ok_or("a length reaches beyond the end")?);
            }
            if count > cursor.input.len() / 4 {
                return Err("a length reaches beyond the end");
            }
            return (0..count).try_for_each(|_| value(cursor, header, inner, depth.saturating_add(1)));
        }
        _ => {
            header.anomalies.push("type");
            return Err("a value has a type that does not exist");
        }
    };
    cursor.skip(width)
}

fn describe(cursor: &mut Cursor<'_>, header: &mut Header, tensors: u64) -> Parsed<()> {
    for _ in 0..tensors {
        let name = cursor.text()?;
        let dimensions = cursor.u32()?;
        if dimensions > 4 {
            header.anomalies.push("dimensions");
            return Err("a tensor has more dimensions than can be");
        }
        let shape = (0..dimensions).map(|_| cursor.length()).collect::<Parsed<Vec<u64>>>()?;
        let kind = cursor.u32()?;
        let offset = cursor.number(8)?;
        let known = TYPES.iter().find(|(number, ..)| *number == kind);
        let elements = shape.iter().try_fold(1_u64, |product, length| product.checked_mul(*length));
        if elements.is_none() {
            header.anomalies.push("dimensions");
        }
        if known.is_none() {
            header.anomalies.push("type");
        }
        if !offset.is_multiple_of(header.alignment) {
            header.anomalies.push("offset");
        }
        let size = known
            .zip(elements)
            .and_then(|((_, _, block, bytes), elements)| elements.div_ceil(*block).checked_mul(*bytes));
        let dtype = known.map_or_else(|| format!("type {kind}"), |(_, name, ..)| (*name).to_owned());
        let end = offset.saturating_add(size.unwrap_or(0));
        header.tensors.push(Segment { name, dtype, shape, start: offset, end, digest: None });
    }
    Ok(())
}

/// Offsets count from the first aligned byte behind the descriptions.
fn place(end: u64, header: &mut Header) {
    let data = end.checked_next_multiple_of(header.alignment).unwrap_or(end);
    for tensor in &mut header.tensors {
        tensor.start = tensor.start.saturating_add(data);
        tensor.end = tensor.end.saturating_add(data);
    }
}
