//! Parts of a time: what `hour`, `day` and the like ask of a value.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::event::Value;

use super::number::Number;

/// A part of a time, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Of the month, 1 to 31.
    Day,
    /// Of the year by ISO 8601, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// With all its digits.
    Year,
}

impl TimePart {
    /// The smallest and the largest value that it can have.
    pub const fn range(self) -> (i64, i64) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Week => (1, 53),
            Self::Month => (1, 12),
            Self::Year => (1, 9_999),
        }
    }

    /// This part of a value that is a time: a text by RFC 3339, a date with or without a time of day
    /// and taken for UTC where it names no zone, or a number of seconds, milliseconds, microseconds or
    /// nanoseconds since 1970, told apart by their size. `None` for what is no time.
    pub fn of(self, value: &Value) -> Option<i64> {
        let time = time_of(value)?;
        Some(match self {
            Self::Minute => time.minute().into(),
            Self::Hour => time.hour().into(),
            Self::Day => time.day().into(),
            Self::Week => time.date().iso_week_date().week().into(),
            Self::Month => time.month().into(),
            Self::Year => time.year().into(),
        })
    }
}

fn time_of(value: &Value) -> Option<DateTime> {
    if let Some(number) = Number::of(value) {
        return from_epoch(number);
    }
    let Value::Text(text) = value else { return None };
    if text.len() > 64 {
        return None;
    }
    let text = text.trim();
    let zoned = text.parse::<Timestamp>().ok().map(|stamp| TimeZone::UTC.to_datetime(stamp));
    zoned.or_else(|| text.parse::<DateTime>().ok())
}

/// Seconds until the year 5138, milliseconds from 1973 on, and so forth by thousands.
fn from_epoch(number: Number) -> Option<DateTime> {
    const UNITS: [(i128, i128); 4] = [
        (100_000_000_000, 1_000_000_000),
        (100_000_000_000_000, 1_000_000),
        (100_000_000_000_000_000, 1_000),
        (i128::MAX, 1),
    ];
    let nanoseconds = match number {
        Number::Int(whole) => {
            let size = whole.checked_abs()?;
            let (_, factor) = UNITS.into_iter().find(|(below, _)| size < *below)?;
            whole.checked_mul(factor)?
        }
        Number::Float(float) => from_float(float)?,
    };
    let stamp = Timestamp::from_nanosecond(nanoseconds).ok()?;
    Some(TimeZone::UTC.to_datetime(stamp))
}

/// A number with a fraction is one of seconds, or of milliseconds when it is large.
#[expect(clippy::cast_possible_truncation, reason = "the size is checked")]
fn from_float(float: f64) -> Option<i128> {
    let factor = if float.abs() < 1e11 { 1e9 } else { 1e6 };
    let nanoseconds = float * factor;
    (nanoseconds.abs() < 1e27).then_some(nanoseconds as i128)
}
