//! Lengths of time: `30s`, `5m`, `1h`, `7d`, `2w`, `1M`, `1y`.

use crate::base::yaml::{Data, Node};

/// Units and their seconds. The specification names the first four; the others are as the reference
/// implementation has them: a month and a year are means of the Gregorian calendar.
pub const UNITS: &[(&str, i64)] =
    &[("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800), ("M", 2_629_746), ("y", 31_556_952)];
/// Ten years in milliseconds: whoever waits longer has mistaken the unit.
const MILLIS_MAX: i64 = 10 * 31_556_952 * 1_000;

/// Milliseconds; the error says what is wrong with the text.
pub fn parse(node: &Node) -> Result<i64, String> {
    let text = match &node.data {
        Data::Text(text) => text.trim(),
        Data::Int(number) => return Err(format!("the unit is missing: `{number}s` is {number} seconds")),
        Data::Null | Data::Bool(_) | Data::Float(_) | Data::List(_) | Data::Map(_) => {
            return Err(format!("`timespan` is a text such as `5m`, not {}", node.kind()));
        }
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
        return Err(format!("`{text}` is no timespan: write a whole number and one of {}", names.join(", ")));
    };
    let millis = number.parse::<i64>().ok().and_then(|number| number.checked_mul(*seconds)?.checked_mul(1_000));
    match millis {
        Some(0) => Err("a timespan is longer than nothing".to_owned()),
        Some(millis) if millis <= MILLIS_MAX => Ok(millis),
        Some(_) | None => Err("a timespan is a whole number and a unit, and at most ten years".to_owned()),
    }
}
