//! NumPy's `.npy`: a header in Python's literal syntax, then raw data or a pickle of objects.

use super::{Head, executable, midst, pickle};
use crate::artifact::Segment;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Longest header looked at; NumPy itself refuses more than 10,000 characters by default.
const HEADER_MAX: usize = 1 << 20;

/// Types of numbers in this machine's order, and how safetensors calls them.
const TYPES: &[(&str, &str)] = &[
    ("<f8", "F64"),
    ("<f4", "F32"),
    ("<f2", "F16"),
    ("<i8", "I64"),
    ("<i4", "I32"),
    ("<i2", "I16"),
    ("|i1", "I8"),
    ("|u1", "U8"),
    ("|b1", "BOOL"),
];

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.starts_with(b"\x93NUMPY")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let start = input.read(0, 12);
    let (length, data) = match start.as_slice() {
        [_, _, _, _, _, _, 1, _, low, high, ..] => (u32::from(u16::from_le_bytes([*low, *high])), 10),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d] => (u32::from_le_bytes([*a, *b, *c, *d]), 12),
        _ => {
            inspection.issue("malformed", "the NumPy header has an unknown version or is cut off");
            return "numpy";
        }
    };
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    let header = input.read(data, wanted.min(HEADER_MAX));
    if header.len() < wanted {
        inspection.issue("truncated", "the NumPy header reaches beyond the end or is far too long");
    }
    let text = String::from_utf8_lossy(&header);
    if !is_dictionary(&text) {
        inspection.issue("malformed", "the NumPy header is no literal dictionary");
    }
    let body = input.from(data.saturating_add(length.into()));
    match literal(&text, "descr") {
        Some(descr) if descr.contains('O') => {
            if body.len() == 0 {
                inspection.issue("truncated", "an array of objects without its pickle");
            } else {
                pickle::inspect(inspection, body);
            }
        }
        Some(descr) => raw(inspection, body, &descr, &text),
        None => inspection.issue("malformed", "the NumPy header names no type"),
    }
    "numpy"
}

/// The one array, where it is plain numbers; an array in Fortran's order has its axes the other way round.
pub fn segment(input: Input<'_>, name: &str) -> Option<Segment> {
    let start = input.read(0, 12);
    let (length, data) = match start.as_slice() {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => (u32::from(u16::from_le_bytes([*low, *high])), 10),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d] => (u32::from_le_bytes([*a, *b, *c, *d]), 12),
        _ => return None,
    };
    let header = input.read(data, usize::try_from(length).ok()?.min(HEADER_MAX));
    let text = String::from_utf8_lossy(&header);
    let descr = literal(&text, "descr")?;
    let code = descr.trim_matches(['\'', '"']);
    let dtype = TYPES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)?;
    let shape = literal(&text, "shape")?;
    let lengths = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|length| !length.is_empty());
    let mut shape = lengths.map(|length| length.parse::<u64>().ok()).collect::<Option<Vec<_>>>()?;
    if literal(&text, "fortran_order").as_deref() == Some("True") {
        shape.reverse();
    }
    let count = shape.iter().try_fold(1_u64, |product, length| product.checked_mul(*length))?;
    let start = data.checked_add(length.into())?;
    let end = start.checked_add(count.checked_mul(item_size(&descr)?)?).filter(|end| *end <= input.len())?;
    let place = input.position();
    Some(Segment {
        name: name.to_owned(),
        dtype: dtype.to_owned(),
        shape,
        start: place.saturating_add(start),
        end: place.saturating_add(end),
        digest: None,
    })
}

/// Raw data: as long as type and shape say, and no program.
fn raw(inspection: &mut Inspection<'_>, body: Input<'_>, descr: &str, header: &str) {
    let head = body.read(0, 4096);
    if executable::kind(&head).is_some_and(|kind| kind != "script") {
        executable::look(inspection, &head, 0);
    }
    midst::numbers(inspection, body);
    let size = item_size(descr);
    let numbers = descr.trim_matches(['\'', '"', '<', '=']).starts_with(['f', 'i', 'u', 'c', '|']);
    if let Some(width) = size.filter(|_| numbers).and_then(|size| usize::try_from(size).ok()) {
        midst::low_bits(inspection, body, Some(width));
    }
    let count = literal(header, "shape").and_then(|shape| {
        let lengths = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|length| !length.is_empty());
        lengths
            .map(|length| length.trim_end_matches('L').parse::<u64>().ok())
            .try_fold(1_u64, |product, length| product.checked_mul(length?))
    });
    let (Some(size), Some(count)) = (size, count) else { return };
    inspection.set("artifact.tensors.count", 1_u64);
    let Some(bytes) = size.checked_mul(count) else {
        inspection.list("artifact.tensors.anomalies", "out_of_bounds");
        return;
    };
    inspection.set("artifact.tensors.bytes", bytes);
    if bytes > body.len() {
        inspection.list("artifact.tensors.anomalies", "out_of_bounds");
        inspection.issue("truncated", "the array is shorter than its header says");
    } else if bytes < body.len() {
        inspection.list("artifact.tensors.anomalies", "trailing_data");
        let rest = body.from(bytes);
        let head = rest.read(0, 4096);
        executable::look(inspection, &head, bytes);
        if pickle::may_be_pickle(&head, rest.len()) && pickle::attempt(inspection, rest) {
            inspection.add("artifact.pickle.nested", 1);
        }
    }
}

/// Bytes of one element of a plain type such as `<f4`; `None` for structures.
fn item_size(descr: &str) -> Option<u64> {
    let code = descr.trim_matches('\'').trim_matches('"').trim_start_matches(['<', '>', '|', '=']);
    let kind = code.chars().next()?;
    let digits: String = code.get(kind.len_utf8()..)?.chars().take_while(char::is_ascii_digit).collect();
    let size: u64 = digits.parse().ok()?;
    if kind == 'U' { size.checked_mul(4) } else { Some(size) }
}

/// True for a dictionary of literals: outside of its texts stand numbers, brackets and constants.
fn is_dictionary(text: &str) -> bool {
    let mut quote = None;
    let mut outside = String::new();
    for c in text.trim().chars() {
        match quote {
            Some(open) if open == c => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None => outside.push(c),
        }
    }
    let mut words = outside.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let number = |word: &str| word.trim_end_matches('L').bytes().all(|byte| byte.is_ascii_digit());
    quote.is_none()
        && outside.starts_with('{')
        && outside.ends_with('}')
        && outside.chars().all(|c| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "{}()[],:_-".contains(c))
        && words.all(|word| matches!(word, "True" | "False" | "None") || number(word))
}

/// The value of a key of the header's dictionary, as written.
fn literal(text: &str, key: &str) -> Option<String> {
    let at = text.find(&format!("'{key}'")).or_else(|| text.find(&format!("\"{key}\"")))?;
    let rest = text.get(at..)?.split_once(':')?.1.trim_start();
    let mut depth = 0_i32;
    let mut quote = None;
    let end = rest.char_indices().find(|(_, c)| {
        match (quote, c) {
            (Some(open), c) if open == *c => quote = None,
            (None, '\'' | '"') => quote = Some(*c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, ',') => return depth == 0,
            (Some(_) | None, _) => {}
        }
        depth < 0
    });
    rest.get(..end.map_or(rest.len(), |(at, _)| at)).map(|value| value.trim().to_owned())
}
