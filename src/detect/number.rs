//! Numbers compared exactly: whole numbers beyond 2^53 are not rounded on the way.

use std::cmp::Ordering;

use crate::event::Value;

/// A number as a rule or an event has it. In a rule it is finite; a text of an event may spell one that
/// no float reaches, which is then larger, or smaller, than all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// The finite number that a value is, or that its text spells in decimal.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Float(number) => number.is_finite().then_some(Self::Float(*number)),
            Value::Text(text) => Self::parse(text).and_then(Self::finite),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Decimal digits with sign, point and exponent; no spaces, no `inf`. Infinite beyond the floats.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self::Int(number));
        }
        let decimal = text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        text.parse().ok().filter(|_| decimal).map(Self::Float)
    }

    /// Itself, unless it is beyond the floats.
    pub fn finite(self) -> Option<Self> {
        match self {
            Self::Float(number) if !number.is_finite() => None,
            Self::Int(_) | Self::Float(_) => Some(self),
        }
    }

    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Int(a), Self::Float(b)) => whole_to_float(a, b),
            (Self::Float(a), Self::Int(b)) => whole_to_float(b, a).reverse(),
        }
    }
}

/// 2^127: the first float that no `i128` reaches.
const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

#[expect(clippy::cast_possible_truncation, reason = "the float is whole and within the range of i128")]
fn whole_to_float(whole: i128, float: f64) -> Ordering {
    if float >= BEYOND {
        return Ordering::Less;
    }
    if float < -BEYOND {
        return Ordering::Greater;
    }
    whole.cmp(&(float.trunc() as i128)).then_with(|| 0.0.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal))
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}
